"""Atoms as text for other programs: dates with dashes, moments with a T, no suffixes."""

from tickloop.analytics.q.spell import string_of
from tickloop.analytics.q.values import Atom, QType, Value

_DATED = frozenset({QType.DATE, QType.MONTH, QType.TIMESTAMP, QType.DATETIME})


def iso(value: Value, precision: int) -> str:
    """Write an atom as `string` does, but moments as ISO 8601 has them."""
    text = string_of(value, precision)
    if not isinstance(value, Atom) or value.type not in _DATED:
        return text
    day, mark, rest = text.partition("T" if value.type is QType.DATETIME else "D")
    return day.replace(".", "-") + ("T" + rest if mark else "")
