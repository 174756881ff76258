"""Values between Python and the engines: what goes in comes out, nulls and infinities included."""

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickloop.analytics import Connection, connect
from tickloop.analytics.gateway.result import Result
from tickloop.analytics.q.values import DTYPES, NULLS, QType, Vector
from tickloop.core.errors import QueryError

ZONE = dt.timezone(dt.timedelta(hours=2))
EPOCH_NS = 946_684_800_000_000_000
INFINITE = 2**63 - 1


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with connect(tmp_path_factory.mktemp("values")) as found:
        yield found


INSTANT = pd.Timestamp("2024-01-02T03:04:05.123456789")
ARGUMENTS = [
    (True, "1b"),
    (7, "7"),
    (-(2**63) + 1, "-0W"),
    (1.5, "1.5"),
    (math.inf, "0w"),
    ("a b", '`$"a b"'),
    (b"text", '"text"'),
    (Decimal("1.25"), "1.25"),
    (INSTANT, "2024.01.02D03:04:05.123456789"),
    (INSTANT.tz_localize("UTC").tz_convert(ZONE), "2024.01.02D03:04:05.123456789"),
    (pd.NaT, "0Np"),
    (None, "(::)"),
    (pd.NA, "(::)"),
    (pd.Timedelta("1s 1ns"), "0D00:00:01.000000001"),
    (dt.datetime(2024, 1, 2, 5, tzinfo=ZONE), "2024.01.02D03:00:00"),
    (dt.date(2024, 1, 2), "2024.01.02"),
    (dt.time(9, 30, 0, 5), "0D09:30:00.000005"),
    (dt.timedelta(seconds=90), "0D00:01:30"),
    (np.float32(1.5), "1.5e"),
    (np.int16(5), "5h"),
    (np.int32(5), "5i"),
    (np.bool_(True), "1b"),
    (np.datetime64("2024-01-02"), "2024.01.02"),
    (np.datetime64("NaT", "ns"), "0Np"),
    (np.timedelta64(5, "s"), "00:00:05"),
    (np.datetime64("2024-03"), "2024.03m"),
    (uuid.UUID(int=5), '"G"$"00000000-0000-0000-0000-000000000005"'),
    (np.array([1.5, np.nan]), "1.5 0n"),
    (pd.Series([1, None], dtype="Int64"), "1 0N"),
    (pd.Series(["a", None]), "`a`"),
    ([1, 2], "1 2"),
    (["a", "b"], "`a`b"),
    ({"a": 1}, "enlist[`a]!enlist 1"),
    ([dt.date(2024, 1, 2), dt.date(2024, 1, 3)], "2024.01.02 2024.01.03"),
]


@pytest.mark.parametrize(("value", "text"), ARGUMENTS, ids=[text for _, text in ARGUMENTS])
def test_an_argument_of_q_is_what_it_is_in_python(db: Connection, value: Any, text: str) -> None:
    assert db.q("{x~" + text + "}", value).numpy(), repr(db.q("{x}", value))


SQL_ARGUMENTS = [
    (None, None),
    (True, True),
    (7, 7),
    (1.5, 1.5),
    (math.inf, math.inf),
    ("o'c\"l?", "o'c\"l?"),
    (Decimal("-12.50"), Decimal("-12.50")),
    (Decimal("1E+3"), 1000),
    (Decimal("0.001"), Decimal("0.001")),
    (np.int64(7), 7),
    (np.float64(0.1), 0.1),
    (np.bool_(False), False),
    (pd.NA, None),
    (pd.NaT, None),
    (np.datetime64("NaT"), None),
    (dt.date(2024, 1, 2), dt.date(2024, 1, 2)),
    (np.datetime64("2024-01-02"), dt.date(2024, 1, 2)),
    (dt.time(9, 30, 0, 5), dt.time(9, 30, 0, 5)),
    (INSTANT, INSTANT.tz_localize("UTC")),
    (INSTANT.tz_localize("UTC").tz_convert(ZONE), INSTANT.tz_localize("UTC")),
    (dt.datetime(2024, 1, 2, 5, tzinfo=ZONE), pd.Timestamp("2024-01-02T03:00", tz="UTC")),
    (
        np.datetime64("2024-01-02T03:04:05.000000006"),
        pd.Timestamp("2024-01-02T03:04:05.000000006", tz="UTC"),
    ),
    (b"\x00'x", b"\x00'x"),
    ([1, 2], [1, 2]),
    (["a", "b'"], ["a", "b'"]),
    (np.array([1.5]), [1.5]),
]


@pytest.mark.parametrize(("value", "expected"), SQL_ARGUMENTS, ids=range(len(SQL_ARGUMENTS)))
def test_an_argument_of_sql_comes_back(db: Connection, value: Any, expected: Any) -> None:
    found = db.sql("SELECT ? AS x", value).arrow().column("x").to_pylist()[0]
    assert found == expected


def test_spans_and_sets_stand_in_sql(db: Connection) -> None:
    asked = db.sql("SELECT TIMESTAMP_NS '2024-01-02' + ? AS x", dt.timedelta(minutes=1))
    assert asked.arrow().column("x").to_pylist() == [pd.Timestamp("2024-01-02T00:01", tz="UTC")]
    found = db.sql("SELECT 2 = ANY(?) AS inside, isnan(?) AS n", [1, 2], math.nan).arrow()
    assert found.to_pylist() == [{"inside": True, "n": True}]
    with pytest.raises(QueryError, match="microseconds"):
        db.sql("SELECT ?", np.timedelta64(1, "ns"))
    with pytest.raises(QueryError, match="object seen"):
        db.sql("SELECT ?", object())


NUMBERS = [QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT, QType.TIMESTAMP,
           QType.MONTH, QType.DATE, QType.DATETIME, QType.TIMESPAN, QType.MINUTE, QType.SECOND,
           QType.TIME]  # fmt: skip
UNIT_NS = {QType.MINUTE: 60 * 10**9, QType.SECOND: 10**9, QType.TIME: 10**6, QType.TIMESPAN: 1}
LONGEST = {QType.DATE: 2**31 - 1 - 10957,
           QType.MONTH: 12 * 100_000}  # fmt: skip


@st.composite
def vectors(draw: st.DrawFn) -> Vector:
    """Draw vectors of every type of numbers and times, with nulls and infinities."""
    kind = draw(st.sampled_from(NUMBERS))
    dtype = np.dtype(DTYPES[kind])
    if dtype.kind == "f":
        span = 1e5 if kind is QType.DATETIME else 1e30
        span = float(np.float32(span))
        item = st.floats(-span, span, width=32 if dtype.itemsize == 4 else 64) | st.sampled_from(
            [np.nan, np.inf, -np.inf]
        )
    else:
        most = int(np.iinfo(dtype).max)
        far = min(most - 1, LONGEST.get(kind, most - 1))
        whole = st.integers(-far, far) | st.sampled_from([int(NULLS[kind]), most, -most])
        return Vector(kind, np.array(draw(st.lists(whole, max_size=20)), dtype=dtype))
    items = draw(st.lists(item, max_size=20))
    return Vector(kind, np.array(items, dtype=dtype))


def _expected(kind: QType, item: Any) -> Any:
    """Give an item as Arrow's integers hold it, by Python's own arithmetic; None for the null."""
    if math.isnan(item) if isinstance(item, float) else item == NULLS[kind]:
        return None
    if kind is QType.DATETIME:
        if math.isinf(item):
            return INFINITE if item > 0 else -INFINITE
        return round(item * (86_400 * 10**9)) + EPOCH_NS
    most = 2**31 - 1
    if kind is QType.TIMESTAMP:
        return item if abs(item) == INFINITE else min(item + EPOCH_NS, INFINITE)
    if kind is QType.DATE:
        return item if abs(item) == most else item + 10957
    if kind is QType.MONTH:
        if abs(item) == most:
            return item
        return int(np.datetime64(item + 360, "M").astype("M8[D]").astype(np.int64))
    if kind in UNIT_NS:
        scaled = item * UNIT_NS[kind]
        if abs(scaled) > INFINITE or (kind is not QType.TIMESPAN and abs(item) == most):
            return INFINITE if item > 0 else -INFINITE
        return scaled
    return item


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(vectors())
def test_every_value_is_the_same_in_arrow_pandas_polars_and_numpy(vector: Vector) -> None:
    import pyarrow as pa

    kind, given_ = vector.type, vector.data.tolist()
    expected = [_expected(kind, item) for item in given_]
    result = Result(vector)
    column = result.arrow().column("value").combine_chunks()
    if kind in (QType.REAL, QType.FLOAT):
        for found in (column.to_numpy(), result.pandas()["value"].to_numpy(),
                      result.polars()["value"].to_numpy(), result.numpy()):  # fmt: skip
            np.testing.assert_array_equal(found, vector.data)
        return
    wide = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
    is_time = pa.types.is_temporal(column.type)
    raw = (column.view(wide) if is_time else column).to_pylist()
    assert raw == expected
    assert result.polars()["value"].to_physical().to_list() == expected
    series = result.pandas()["value"]
    assert series.isna().tolist() == [item is None for item in expected]
    if not is_time:
        assert [None if pd.isna(x) else int(x) for x in series] == expected
    elif not pa.types.is_date32(column.type):
        assert [None if pd.isna(x) else x.value for x in series] == expected
    _check_numpy(result.numpy(), kind, given_, expected)


def _check_numpy(found: Any, kind: QType, given_: list[Any], expected: list[Any]) -> None:
    if found.dtype.kind not in "mM":
        assert found.tolist() == given_  # q's own nulls, as the array has no other
        return
    assert np.isnat(found).tolist() == [item is None for item in expected]
    if kind in (QType.TIMESTAMP, QType.TIMESPAN, QType.DATETIME):
        raw = found.view(np.int64).tolist()
        assert [None if x == -(2**63) else x for x in raw] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a``b", ["a", None, "b"]), ("101b", [True, False, True]), ("0x0aff", [10, 255]),
        ('"ab"', ["a", "b"]), ('("ab";"")', ["ab", ""]), ("(1 2;3)", [[1, 2], [3]]),
    ],
)  # fmt: skip
def test_lists_of_other_types_come_as_what_they_are(
    db: Connection, text: str, expected: list[Any]
) -> None:
    if text == "(1 2;3)":
        text = "(1 2;enlist 3)"
    found = db.q(text)
    assert found.arrow().column("value").to_pylist() == expected
    assert found.polars()["value"].to_list() == expected
    series = found.pandas()["value"]
    shown = [None if lost else item for item, lost in zip(series, series.isna(), strict=True)]
    assert [list(x) if isinstance(x, np.ndarray) else x for x in shown] == expected


def test_whole_numbers_beside_nulls_keep_each_digit(db: Connection) -> None:
    frame = db.q("([]a:9007199254740993 0N;b:1 2)").pandas()
    assert frame["a"].tolist() == [9007199254740993, pd.NA]
    assert frame["b"].dtype == np.int64
    there_and_back = db.q("{x}", frame)
    assert repr(there_and_back) == repr(db.q("([]a:9007199254740993 0N;b:1 2)"))


EVIL = "<script>alert('x')</script>&\"<b>"


@pytest.mark.parametrize(
    "text",
    ["{([]a:enlist x;b:enlist string x)}", "{flip(enlist x)!enlist 1 2}", "{x}",
     "{enlist[x]!enlist 1}", "{([s:enlist x]v:enlist x)}", "{enlist x}", "{(x;1;string x)}"],
)  # fmt: skip
def test_nothing_in_an_answer_is_markup(db: Connection, text: str) -> None:
    html = db.q(text, EVIL)._repr_html_()
    assert "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;" in html


def test_a_chart_escapes_names_and_leaves_out_what_is_no_number(db: Connection) -> None:
    found = db.q("{flip(`time,x,`price)!(2024.01.02D00+0D00:01*til 4;1 0n 3 0w;4 0N 2 1)}", EVIL)
    svg = found.plot()._repr_html_()
    assert svg.count("<polyline") == 2 and "<script" not in svg and "nan" not in svg
    assert "2024-01-02T00:00:00" in svg and "2024-01-02T00:03:00" in svg
    assert db.q("([]time:0#0Np;price:0#0n)").plot().svg.count("<polyline") == 1
    keyed = db.q("([minute:09:30 09:31]price:1 2f)").plot(x="minute", y=["price"])
    assert keyed.svg.count("<polyline") == 1
