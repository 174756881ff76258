"""Casts between types with their units: 12:00 as a time, a timestamp's date, a date's month."""

from typing import Any

import numpy as np

from tickloop.analytics.q.calendar import DAY_NS, first_days, months_of
from tickloop.analytics.q.division_kernels import quotients
from tickloop.analytics.q.promotion import TEMPORAL
from tickloop.analytics.q.values import DTYPES, Array, QType, Simple
from tickloop.analytics.q.widths import (
    as_underlying,
    infinity_of,
    is_null,
    whole,
    with_nulls,
)

# How many nanoseconds a step of a span is.
SPAN_NS = {
    QType.MINUTE: 60 * 10**9, QType.SECOND: 10**9, QType.TIME: 10**6, QType.TIMESPAN: 1,
}  # fmt: skip
MOMENTS = TEMPORAL - SPAN_NS.keys()


def cast(data: Array, source: QType, target: QType) -> Array:
    """Cast an array of numbers, chars or temporals; narrower units take the floor."""
    if source is target:
        return data
    if source not in TEMPORAL or target not in TEMPORAL:
        return as_underlying(data, source, target)
    nulls = is_null(data, source)
    found = nulls.any()
    if found:
        data = np.where(nulls, DTYPES[source].type(0), data)
    result = _between_temporals(data, source, target)
    return with_nulls(result, nulls, target) if found else result


def cast_one(value: Simple, source: QType, target: QType) -> Any:
    """Cast one number, char or temporal."""
    return cast(np.array([value], dtype=DTYPES[source]), source, target)[0].item()


def _between_temporals(data: Array, source: QType, target: QType) -> Array:
    if target is QType.DATETIME:
        return _as_datetime(data, source)
    if target is QType.TIMESTAMP:
        return _as_timestamp(data, source)
    if target is QType.DATE:
        days = _days(data, source)
        # Every timestamp has a date, so there is nothing to clip.
        return days.astype(np.int32) if source is QType.TIMESTAMP else _fitting(days, target)
    if target is QType.MONTH:
        return _fitting(months_of(_days(data, source)), target)
    return _as_span(data, source, target)


def _as_datetime(data: Array, source: QType) -> Array:
    if source is QType.TIMESTAMP:
        return data / DAY_NS
    if source in SPAN_NS:
        return data / (DAY_NS // SPAN_NS[source])
    return _days(data, source).astype(np.float64)


def _as_timestamp(data: Array, source: QType) -> Array:
    if source is QType.DATETIME:
        # A double of days tells microseconds apart in this century, not nanoseconds.
        return _multiplied(whole(np.round(data * 86_400e6), QType.LONG), 1000)
    if source in SPAN_NS:
        return _multiplied(data, SPAN_NS[source])
    return _multiplied(_days(data, source), DAY_NS)


def _as_span(data: Array, source: QType, target: QType) -> Array:
    step = SPAN_NS[target]
    if source in SPAN_NS:
        known = SPAN_NS[source]
        if known >= step:
            return _fitting(_multiplied(data, known // step), target)
        return _fitting(data // (step // known), target)
    if source is QType.DATETIME or source is QType.TIMESTAMP:
        instants = _as_timestamp(data, source) if source is QType.DATETIME else data
        return _in_day(instants, step).astype(DTYPES[target], copy=False)
    return np.zeros(len(data), dtype=DTYPES[target])


def _in_day(instants: Array, step: int) -> Array:
    """Give how many steps of a day were over at each instant."""
    days = quotients(instants, DAY_NS)
    if days is None:
        return instants % DAY_NS // step
    times = instants - days * DAY_NS
    steps = quotients(times, step)
    return times // step if steps is None else steps


def _days(data: Array, source: QType) -> Array:
    """Give the days that moments fall in; a span counts from 2000.01.01."""
    if source is QType.MONTH:
        return first_days(data)
    if source is QType.DATE:
        return data
    if source is QType.DATETIME:
        return whole(np.floor(data), QType.LONG)
    step = DAY_NS // SPAN_NS.get(source, 1)
    # Any long of nanoseconds holds few enough days for the fast way.
    fast = quotients(data, step) if data.dtype == np.int64 else None
    return data // step if fast is None else fast


def _multiplied(data: Array, factor: int) -> Array:
    """Multiply to nanoseconds; what leaves the type's range is infinite."""
    wide = data.astype(np.int64)
    infinity = infinity_of(QType.LONG)
    limit = infinity // factor
    with np.errstate(over="ignore"):
        result = wide * factor
    outside = np.abs(wide) > limit
    if outside.any():
        result = np.where(outside, np.where(wide > 0, infinity, -infinity), result)
    return result


def _fitting(data: Array, target: QType) -> Array:
    if DTYPES[target].itemsize < data.dtype.itemsize:
        limit = infinity_of(target)
        data = np.clip(data, -limit, limit)
    return data.astype(DTYPES[target], copy=False)
