"""Items by position, of any list: outside it stand nulls of its first item's type."""

from collections.abc import Sequence

import numpy as np

from tickloop.analytics.q.kinds import Positions
from tickloop.analytics.q.values import (
    DTYPES,
    NIL,
    NULLS,
    Array,
    Atom,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Table,
    Value,
    Vector,
    collect,
    null,
    symbols,
)


def pick(value: Value, positions: Positions) -> Value:
    """Give the items at positions of a list or table, the entries at positions of a dictionary."""
    if isinstance(value, Vector):
        return Vector(value.type, _taken(value.data, positions, NULLS[value.type]))
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, _taken(value.data, positions, -1))
    if isinstance(value, Table):
        return Table(value.names, tuple(pick(column, positions) for column in value.columns))
    if isinstance(value, Dictionary):
        return Dictionary(pick(value.keys, positions), pick(value.values, positions))
    if isinstance(value, List):
        return _picked(value, positions)
    return collect([value if position == 0 else null_like(value) for position in positions])


def _taken(data: Array, positions: Positions, missing: object) -> Array:
    count = len(data)
    if not len(positions):
        return data[:0]
    if positions.min() >= 0 and positions.max() < count:
        return data.take(positions)
    filler = np.array(missing, dtype=data.dtype)
    if not count:
        return np.full(len(positions), filler, dtype=data.dtype)
    inside = (positions >= 0) & (positions < count)
    taken = data.take(np.where(inside, positions, 0))
    taken[~inside] = filler
    return taken


def _picked(value: List, positions: Positions) -> Value:
    count = len(value.items)
    missing: Value | None = None
    items: list[Value] = []
    for position in positions.tolist():
        if 0 <= position < count:
            items.append(value.items[position])
        else:
            missing = missing if missing is not None else null_item(value)
            items.append(missing)
    return collect(items)


def span(value: Value, start: int, stop: int) -> Value:
    """Give the items from `start` up to `stop` without copying columns; both lie inside."""
    if isinstance(value, Vector):
        return Vector(value.type, value.data[start:stop])
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, value.data[start:stop])
    if isinstance(value, Table):
        return Table(value.names, tuple(span(column, start, stop) for column in value.columns))
    if isinstance(value, Dictionary):
        return Dictionary(span(value.keys, start, stop), span(value.values, start, stop))
    if isinstance(value, List):
        return collect(value.items[start:stop])
    return collect([value][start:stop])


def null_item(value: Value) -> Value:
    """Give what a list answers for a position outside it: a row of nulls for a table."""
    if isinstance(value, Vector):
        return null(value.type)
    if isinstance(value, Enumerated):
        return EnumeratedAtom(value.domain, -1)
    if isinstance(value, Table):
        nulls = collect([null_item(column) for column in value.columns])
        return Dictionary(symbols(value.names), nulls)
    if isinstance(value, Dictionary):
        return null_item(value.values)
    if isinstance(value, List):
        return null_like(value.items[0]) if value.items else List(())
    return null_like(value)


def null_like(item: Value) -> Value:
    """Give the null that stands for a missing neighbour of an item."""
    if isinstance(item, Atom):
        return null(item.type)
    if isinstance(item, EnumeratedAtom):
        return EnumeratedAtom(item.domain, -1)
    if isinstance(item, Vector | Enumerated | Table):
        return span(item, 0, 0)
    if isinstance(item, List):
        return List(())
    if isinstance(item, Dictionary):
        return Dictionary(item.keys, collect([null_item(item.values)] * len(item)))
    return NIL


def nulls_like(column: Value, count: int) -> Value:
    """Give a list of nulls of a column's type."""
    if isinstance(column, Vector):
        kind = column.type
        return Vector(kind, np.full(count, np.array(NULLS[kind], column.data.dtype)))
    if isinstance(column, Enumerated):
        return Enumerated(column.domain, np.full(count, -1, dtype=column.data.dtype))
    return List((null_item(column),) * count)


def listed(rows: Sequence[Value]) -> List:
    """Make a general list, of whatever items."""
    return List(tuple(rows))


def repeated(value: Value, count: int) -> Value:
    """Repeat an atom: a vector; anything else: a general list of it."""
    if isinstance(value, Atom):
        one = collect([value])
        assert isinstance(one, Vector)
        return Vector(value.type, np.full(count, one.data[0], dtype=one.data.dtype))
    if isinstance(value, EnumeratedAtom):
        return Enumerated(value.domain, np.full(count, value.position, dtype=np.int64))
    return collect([value] * count) if isinstance(value, Dictionary) else List((value,) * count)


def without_attribute(value: Value) -> Value:
    """Give a list without its promise about order."""
    if isinstance(value, Vector):
        return Vector(value.type, value.data)
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, value.data)
    if isinstance(value, List):
        return List(value.items)
    return value


def empty_like(value: Value) -> Value:
    """Give the empty list of a value's type; an atom's is that of its vector."""
    if isinstance(value, Atom):
        return Vector(value.type, np.empty(0, dtype=DTYPES[value.type]))
    return span(value, 0, 0)
