"""Moments and spans of q against Python's datetime: parts, casts and units."""

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.calendar import days_from_civil, first_days, months_of
from tickloop.analytics.q.casts import cast_to
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.temporal import ACCESSORS, accessor
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    QType,
    Value,
    Vector,
    null,
    symbols,
    vector,
)
from tickloop.analytics.q.widths import infinity_of

EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - q has no zones
DAY_NS = 86_400 * 10**9
DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
MOMENTS = st.datetimes(
    dt.datetime(1708, 1, 1),  # noqa: DTZ001
    dt.datetime(2291, 12, 31),  # noqa: DTZ001
)
SPAN_STEPS = {
    QType.MINUTE: 60 * 10**9, QType.SECOND: 10**9, QType.TIME: 10**6, QType.TIMESPAN: 1,
}  # fmt: skip


def days_of(date: dt.date) -> int:
    return date.toordinal() - EPOCH.toordinal()


def stamp_of(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000


def number(value: Value) -> object:
    assert isinstance(value, Atom), value
    return value.value


@given(date=DATES)
def test_dates_agree_with_the_calendar_of_python(date: dt.date) -> None:
    days = days_of(date)
    assert days_from_civil(date.year, date.month, date.day) == days
    atom = Atom(QType.DATE, days)
    assert number(accessor(atom, "year")) == date.year
    assert number(accessor(atom, "mm")) == date.month
    assert number(accessor(atom, "dd")) == date.day
    monday = date.toordinal() - date.weekday()
    assert accessor(atom, "week") == Atom(QType.DATE, monday - EPOCH.toordinal())
    months = (date.year - 2000) * 12 + date.month - 1
    assert cast_to(QType.MONTH, atom) == Atom(QType.MONTH, months)
    assert first_days(np.array([months])).tolist() == [days - date.day + 1]
    assert months_of(np.array([days])).tolist() == [months]


@given(moment=MOMENTS)
def test_parts_of_timestamps_agree_with_python(moment: dt.datetime) -> None:
    atom = Atom(QType.TIMESTAMP, stamp_of(moment))
    parts = {"year": moment.year, "mm": moment.month, "dd": moment.day}
    parts |= {"hh": moment.hour, "uu": moment.minute, "ss": moment.second}
    for name, expected in parts.items():
        assert accessor(atom, name) == Atom(QType.INT, expected)
    assert accessor(atom, "date") == Atom(QType.DATE, days_of(moment.date()))
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    assert accessor(atom, "second") == Atom(QType.SECOND, seconds)
    assert accessor(atom, "minute") == Atom(QType.MINUTE, seconds // 60)
    millis = seconds * 1000 + moment.microsecond // 1000
    assert accessor(atom, "time") == Atom(QType.TIME, millis)


@given(moment=MOMENTS)
def test_a_datetime_keeps_the_microsecond(moment: dt.datetime) -> None:
    stamp = Atom(QType.TIMESTAMP, stamp_of(moment))
    back = cast_to(QType.TIMESTAMP, cast_to(QType.DATETIME, stamp))
    assert abs(int(number(back)) - stamp_of(moment)) <= 2000  # type: ignore[call-overload]


def test_every_part_of_null_is_null() -> None:
    for name in ACCESSORS:
        part = accessor(null(QType.TIMESTAMP), name)
        assert isinstance(part, Atom)
        assert part == null(part.type)


def test_a_part_that_a_type_lacks_is_a_type_error() -> None:
    with pytest.raises(QError, match="type: hh of a date"):
        accessor(Atom(QType.DATE, 0), "hh")
    with pytest.raises(QError, match="type: year of a time"):
        accessor(Atom(QType.TIME, 0), "year")


def test_parts_reach_into_dictionaries() -> None:
    times = Dictionary(symbols("ab"), vector(QType.DATE, [0, 366]))
    years = Dictionary(symbols("ab"), vector(QType.INT, [2000, 2001]))
    assert matches(accessor(times, "year"), years)


@pytest.mark.parametrize("source", SPAN_STEPS)
@pytest.mark.parametrize("target", SPAN_STEPS)
@given(steps=st.integers(-(10**4), 10**4))
def test_spans_cast_by_their_steps_and_take_the_floor(
    source: QType, target: QType, steps: int
) -> None:
    expected = steps * SPAN_STEPS[source] // SPAN_STEPS[target]
    assert cast_to(target, Atom(source, steps)) == Atom(target, expected)
    assert cast_to(target, null(source)) == null(target)


def test_a_date_outside_the_range_of_timestamps_is_infinite() -> None:
    far = Atom(QType.DATE, days_of(dt.date(1666, 9, 2)))
    assert cast_to(QType.TIMESTAMP, far) == Atom(QType.TIMESTAMP, -infinity_of(QType.LONG))
    late = Atom(QType.DATE, days_of(dt.date(3001, 1, 1)))
    assert cast_to(QType.TIMESTAMP, late) == Atom(QType.TIMESTAMP, infinity_of(QType.LONG))


@given(value=st.floats(-1e9, 1e9))
def test_floats_cast_to_the_nearest_whole_number(value: float) -> None:
    whole = cast_to(QType.INT, Atom(QType.FLOAT, value))
    assert abs(int(number(whole)) - value) <= 0.5  # type: ignore[call-overload]


def test_what_does_not_fit_is_infinite_and_nulls_stay() -> None:
    floats = vector(QType.FLOAT, [math.nan, math.inf, -math.inf, 1e30, 2.5, -2.5])
    longs = cast_to(QType.LONG, floats)
    top = infinity_of(QType.LONG)
    assert matches(longs, vector(QType.LONG, [-top - 1, top, -top, top, 3, -2]))
    shorts = cast_to(QType.SHORT, vector(QType.LONG, [70_000, -70_000, -(2**63), 7]))
    assert matches(shorts, vector(QType.SHORT, [32767, -32767, -32768, 7]))
    bytes_ = cast_to(QType.BYTE, vector(QType.LONG, [255, 256, 2**31 - 2, 2**31 + 1]))
    assert matches(bytes_, vector(QType.BYTE, [255, 0, 254, 255]))


def test_text_casts_to_its_codes_and_truth() -> None:
    text = Vector(QType.CHAR, np.frombuffer(b"a \0", dtype=np.uint8))
    assert matches(cast_to(QType.BYTE, text), vector(QType.BYTE, [97, 32, 0]))
    assert matches(cast_to(QType.BOOLEAN, text), vector(QType.BOOLEAN, [1, 1, 0]))
    assert matches(cast_to(QType.FLOAT, text), vector(QType.FLOAT, [97, 32, 0]))
    with pytest.raises(QError, match="type: a cast of long to symbol"):
        cast_to(QType.SYMBOL, Atom(QType.LONG, 1))
