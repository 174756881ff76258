"""Parts of moments and spans: x.year, x.mm, x.hh ... and the same words as casts."""

from collections.abc import Callable

import numpy as np

from tickloop.analytics.q.calendar import first_days, months_of
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.extremes import array_of, shaped
from tickloop.analytics.q.lift import Simple, lift
from tickloop.analytics.q.units import SPAN_NS, cast
from tickloop.analytics.q.values import DTYPES, Array, QType, Value
from tickloop.analytics.q.widths import is_null, with_nulls

_DATED = (QType.TIMESTAMP, QType.DATE, QType.DATETIME)
_MONTHLY = (*_DATED, QType.MONTH)
_TIMED = (QType.TIMESTAMP, QType.DATETIME, *SPAN_NS)
_CLOCKS = tuple(SPAN_NS)

_Part = Callable[[Array, QType], Array]


def _months(data: Array, kind: QType) -> Array:
    return cast(data, kind, QType.MONTH).astype(np.int64)


def _month_or_minute(data: Array, kind: QType) -> Array:
    """Give the month of what has one, the minute of a time of day."""
    if kind in _CLOCKS:
        return np.asarray(_span(data, kind, QType.MINUTE) % 60)
    return np.asarray(_months(data, kind) % 12 + 1)


def _days(data: Array, kind: QType) -> Array:
    return cast(data, kind, QType.DATE).astype(np.int64)


def _day_of_month(data: Array, kind: QType) -> Array:
    days = _days(data, kind)
    return np.asarray(days - first_days(months_of(days)) + 1)


def _week(data: Array, kind: QType) -> Array:
    days = _days(data, kind)
    return np.asarray(days - (days + 5) % 7)  # 2000.01.01 was a Saturday


def _span(data: Array, kind: QType, unit: QType) -> Array:
    return cast(data, kind, unit).astype(np.int64)


# What a part is taken of, its own type, and how.
_PARTS: dict[str, tuple[tuple[QType, ...], QType, _Part]] = {
    "year": (_MONTHLY, QType.INT, lambda data, kind: _months(data, kind) // 12 + 2000),
    "mm": ((*_MONTHLY, *_CLOCKS), QType.INT, _month_or_minute),
    "dd": (_DATED, QType.INT, _day_of_month),
    "week": (_DATED, QType.DATE, _week),
    "hh": (_TIMED, QType.INT, lambda data, kind: _span(data, kind, QType.MINUTE) // 60),
    "uu": (_TIMED, QType.INT, lambda data, kind: _span(data, kind, QType.MINUTE) % 60),
    "ss": (_TIMED, QType.INT, lambda data, kind: _span(data, kind, QType.SECOND) % 60),
}
_CASTS: dict[str, tuple[tuple[QType, ...], QType]] = {
    "month": (_MONTHLY, QType.MONTH), "date": (_DATED, QType.DATE),
    "time": (_TIMED, QType.TIME), "minute": (_TIMED, QType.MINUTE),
    "second": (_TIMED, QType.SECOND), "timespan": (_TIMED, QType.TIMESPAN),
}  # fmt: skip
PARTS = frozenset(_PARTS)
ACCESSORS = frozenset(_PARTS) | frozenset(_CASTS)


def accessor(value: Value, name: str) -> Value:
    """Give a part of every moment in a value, as `value.name` does; 'type if it has none."""
    return lift(lambda simple: _part(simple, name), value)


def _part(value: Simple, name: str) -> Simple:
    kinds, result, *how = _PARTS[name] if name in _PARTS else _CASTS[name]
    if value.type not in kinds:
        raise type_error(f"{name} of a {value.type.name.lower()} seen, which has no such part")
    data = array_of(value)
    if not how:
        return shaped(result, cast(data, value.type, result), value)
    nulls = is_null(data, value.type)
    known = np.where(nulls, DTYPES[value.type].type(0), data)
    part = how[0](known, value.type).astype(DTYPES[result])
    return shaped(result, with_nulls(part, nulls, result), value)
