"""A list's items one by one, without all of them in memory as objects at once."""

from collections.abc import Iterator

from tickloop.analytics.q.values import Value, Vector, items_of

_CHUNK = 16_384


def stream(value: Value) -> Iterator[Value]:
    """Go through the items of a value; a long vector is taken apart in chunks."""
    if isinstance(value, Vector):
        for start in range(0, len(value), _CHUNK):
            yield from items_of(Vector(value.type, value.data[start : start + _CHUNK]))
    else:
        yield from items_of(value)
