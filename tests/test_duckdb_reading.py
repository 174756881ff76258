"""Raw kdb+ values read through DuckDB: nulls are NULL and the rest is what it means."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.dialects.duckdb import expression
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import Column, Kind

EPOCH = date(2000, 1, 1)
TIMES = datetime(2000, 1, 1, tzinfo=UTC)
# Values that are not null, and within what the SQL type can hold.
RAW: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INSTANT: st.integers(-(2**62), 2**62),
    Kind.SPAN: st.integers(-(2**63) + 1, 2**63 - 1),
    Kind.PRICE: st.floats(allow_nan=False),
    Kind.SIZE: st.integers(-(2**63) + 1, 2**63 - 1),
    Kind.FLOAT: st.floats(allow_nan=False),
    Kind.REAL: st.floats(allow_nan=False, width=32),
    Kind.LONG: st.integers(-(2**63) + 1, 2**63 - 1),
    Kind.INT: st.integers(-(2**31) + 1, 2**31 - 1),
    Kind.SHORT: st.integers(-(2**15) + 1, 2**15 - 1),
    Kind.BYTE: st.integers(0, 255),
    Kind.FLAG: st.integers(0, 1),
    Kind.CHAR: st.integers(0, 255).filter(lambda value: value != 0x20),
    Kind.GUID: st.binary(min_size=16, max_size=16).filter(any),
    Kind.DATE: st.integers(-36_500, 36_500),
    Kind.MONTH: st.integers(-1200, 1200),
    Kind.DATETIME: st.floats(-36_500, 36_500),
    Kind.MINUTE: st.integers(0, 1439),
    Kind.SECOND: st.integers(0, 86_399),
    Kind.MILLI: st.integers(0, 86_399_999),
}
# Kinds that have no null in kdb+.
NEVER_NULL = {Kind.BYTE, Kind.FLAG}


def _month(months: int) -> date:
    years, month = divmod(months, 12)
    return date(2000 + years, month + 1, 1)


def _time_of_day(**parts: int) -> time:
    return (TIMES + timedelta(**parts)).time()


def _instant_ns(raw: int) -> int:
    return raw + (TIMES - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 10**9


def _milliseconds(days: float) -> int:
    # kdb+ shows a datetime to the millisecond; a half rounds away from zero.
    scaled = days * 86_400_000
    nearest = int(abs(scaled) + 0.5)
    return _instant_ns((nearest if scaled > 0 else -nearest) * 10**6)


MEANING: dict[Kind, Callable[[Any], object]] = {
    Kind.INSTANT: _instant_ns,
    Kind.FLAG: bool,
    Kind.CHAR: chr,
    Kind.GUID: lambda raw: UUID(bytes=raw),
    Kind.DATE: lambda raw: EPOCH + timedelta(days=raw),
    Kind.MONTH: _month,
    Kind.DATETIME: _milliseconds,
    Kind.MINUTE: lambda raw: _time_of_day(minutes=raw),
    Kind.SECOND: lambda raw: _time_of_day(seconds=raw),
    Kind.MILLI: lambda raw: _time_of_day(milliseconds=raw),
}


def _array(kind: Kind, values: npt.NDArray[np.generic]) -> pa.Array:
    if kind is Kind.GUID:
        return pa.array(values.tolist(), type=pa.binary(16))
    return pa.array(values)


def _read(kind: Kind, values: npt.NDArray[np.generic], *, fractional: bool = False) -> list[object]:
    connection = duckdb.connect()
    connection.register("raw", pa.table({'a "b"': _array(kind, values)}))
    spelled = expression(Column('a "b"', kind), fractional=fractional)
    shown = "epoch_ns(x)" if kind in (Kind.INSTANT, Kind.DATETIME) else "x"
    rows = connection.execute(
        f'SELECT {shown} FROM (SELECT "a ""b""" AS x FROM (SELECT {spelled} FROM raw))'
    )
    return [row[0] for row in rows.fetchall()]


@pytest.mark.parametrize("kind", RAW)
@settings(max_examples=12)
@given(data=st.data())
def test_values_read_as_what_they_mean(kind: Kind, data: st.DataObject) -> None:
    raw = data.draw(st.lists(RAW[kind], min_size=1, max_size=30))
    values = np.array(raw, dtype=surface_dtype(kind))
    meaning = MEANING.get(kind)
    assert _read(kind, values) == [meaning(value) if meaning else value for value in raw]


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in RAW if kind not in NEVER_NULL])
def test_the_null_of_every_kind_is_null_and_nothing_beside_it(kind: Kind, fractional: bool) -> None:
    dtype = surface_dtype(kind, fractional=fractional)
    value = b"\x01" * 16 if kind is Kind.GUID else 5
    values = np.concatenate([nulls(kind, 2, dtype=dtype), np.array([value], dtype=dtype)])
    seen = _read(kind, values, fractional=fractional)
    assert seen[:2] == [None, None]
    assert seen[2] is not None


@pytest.mark.parametrize("kind", [Kind.BYTE, Kind.FLAG])
def test_bytes_and_flags_have_no_null(kind: Kind) -> None:
    assert _read(kind, nulls(kind, 1, dtype="|u1")) == [0]


@pytest.mark.parametrize("kind", [Kind.MINUTE, Kind.SECOND, Kind.MILLI])
def test_times_outside_a_day_are_null(kind: Kind) -> None:
    values = np.array([-1, 86_400_000, 2**31 - 1, -(2**31) + 1], dtype=np.int32)
    assert _read(kind, values) == [None] * 4


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.SYMBOL])
def test_names_and_text_are_passed_on(kind: Kind) -> None:
    connection = duckdb.connect()
    connection.register("raw", pa.table({"x": pa.array(["", "a b", "µ", None])}))
    rows = connection.execute(f"SELECT {expression(Column('x', kind))} FROM raw").fetchall()
    assert [row[0] for row in rows] == ["", "a b", "µ", None]
