"""Python, NumPy, pandas, Arrow and Polars values as variables of a q session."""

import datetime as dt
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Dictionary, QType, Table, Vector, symbols

MORNING = dt.datetime.fromisoformat("2024-01-15T09:30:00")


def shown(value: Any) -> str:
    """Bind a value and print it."""
    session = Session()
    session["x"] = value
    return session.show("x").rstrip("\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "1b"),
        (3, "3"),
        (2.5, "2.5"),
        ("ibm", "`ibm"),
        (b"ibm", '"ibm"'),
        (np.int16(3), "3h"),
        (np.float32(2.5), "2.5e"),
        (dt.date(2024, 1, 15), "2024.01.15"),
        (MORNING, "2024.01.15D09:30:00.000000000"),
        (
            dt.datetime(2024, 1, 15, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "2024.01.15D08:30:00.000000000",
        ),
        (dt.timedelta(minutes=1), "0D00:01:00.000000000"),
        (dt.time(9, 30), "0D09:30:00.000000000"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([1, 2, 3], "1 2 3"),
        (["a", "b"], "`a`b"),
        ({"a": 1, "b": 2}, "a| 1\nb| 2"),
        ({1: 2.5}, "1| 2.5"),
        (np.array(["x", "y"]), "`x`y"),
        (np.array([b"x1", b"yy"]), '"x1"\n"yy"'),
        (np.array([[1, 2], [3, 4]]), "1 2\n3 4"),
        (np.array(["2024-01", "NaT"], dtype="M8[M]"), "2024.01 0Nm"),
        (np.array(["2024-01-15", "NaT"], dtype="M8[D]"), "2024.01.15 0N"),
        (np.array([90], dtype="m8[s]"), ",00:01:30"),
        (np.array([90], dtype="m8[m]"), ",01:30"),
        (np.array([1500], dtype="m8[ms]"), ",00:00:01.500"),
    ],
)
def test_a_python_value_is_the_q_value_it_means(value: Any, text: str) -> None:
    assert shown(value) == text


def test_instants_count_from_2000_and_not_a_time_is_null() -> None:
    session = Session()
    session["x"] = np.array(["2000-01-01T00:00:00.000000001", "NaT"], dtype="M8[ns]")
    bound = session["x"]
    assert isinstance(bound, Vector)
    assert bound.type is QType.TIMESTAMP
    assert bound.data.tolist() == [1, -(2**63)]


@pytest.mark.parametrize("dtype", ["b1", "u1", "i2", "i4", "i8", "f4", "f8", "m8[ns]"])
def test_arrays_of_the_types_of_q_are_not_copied(dtype: str) -> None:
    array = np.zeros(4, dtype=dtype)
    session = Session()
    session["x"] = array
    bound = session["x"]
    assert isinstance(bound, Vector)
    assert np.shares_memory(bound.data, array)


@pytest.mark.parametrize(
    "value",
    [2**63, np.array([2**63], dtype="u8"), np.array(["9999-01-01"], dtype="M8[s]"), object()],
)
def test_what_q_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(QError, match="type"):
        Session()["x"] = value


FRAME = {
    "sym": ["a", "b", None],
    "price": [1.5, None, 2.5],
    "size": [1, 2, None],
    "time": [MORNING, None, MORNING + dt.timedelta(hours=14, minutes=30)],
    "day": [dt.date(2024, 1, 15), None, dt.date(2000, 1, 1)],
    "flag": [True, False, None],
}
SHOWN = """\
sym price size time                          day        flag
------------------------------------------------------------
a   1.5   1    2024.01.15D09:30:00.000000000 2024.01.15 1
b         2                                             0
    2.5        2024.01.16D00:00:00.000000000 2000.01.01 0"""


def arrow_frame() -> pa.Table:
    """Make the frame in Arrow."""
    return pa.table(FRAME)


def polars_frame() -> pl.DataFrame:
    """Make the frame in Polars."""
    return pl.DataFrame(FRAME)


def pandas_frame() -> pd.DataFrame:
    """Make the frame in pandas, with Arrow's types."""
    return pa.table(FRAME).to_pandas(types_mapper=pd.ArrowDtype)


@pytest.mark.parametrize("make", [arrow_frame, polars_frame, pandas_frame])
def test_a_frame_is_a_table_and_its_nulls_are_nulls(make: Any) -> None:
    lines = [line.rstrip() for line in shown(make()).split("\n")]
    assert lines == SHOWN.split("\n")


def test_a_dictionary_of_arrays_is_a_table() -> None:
    session = Session()
    session["t"] = {"sym": np.array(["a", "b"]), "size": np.array([1, 2])}
    bound = session["t"]
    assert isinstance(bound, Table)
    assert bound.names == ("sym", "size")


def test_columns_that_pandas_holds_in_numpy_are_not_copied() -> None:
    frame = pd.DataFrame({"price": np.arange(4.0)})
    session = Session()
    session["t"] = frame
    bound = session["t"]
    assert isinstance(bound, Table)
    column = bound.column("price")
    assert isinstance(column, Vector)
    assert np.shares_memory(column.data, frame["price"].to_numpy())


def test_a_named_index_is_the_key() -> None:
    session = Session()
    session["t"] = pd.DataFrame({"size": [1]}, index=pd.Index(["a"], name="sym"))
    bound = session["t"]
    assert isinstance(bound, Dictionary)
    assert isinstance(bound.keys, Table)
    assert bound.keys.names == ("sym",)


def test_categories_are_symbols() -> None:
    session = Session()
    session["t"] = pl.DataFrame({"sym": pl.Series(["b", "a", "b"], dtype=pl.Categorical)})
    bound = session["t"]
    assert isinstance(bound, Table)
    column = bound.column("sym")
    assert isinstance(column, Vector)
    assert column.data.tolist() == symbols(["b", "a", "b"]).data.tolist()


def test_a_series_is_a_vector() -> None:
    assert shown(pl.Series([1, None, 3])) == "1 0N 3"
    assert shown(pd.Series([1.5, 2.5])) == "1.5 2.5"
    assert shown(pa.array([[1, 2], [3], None])) == "1 2\n,3\n`long$()"
