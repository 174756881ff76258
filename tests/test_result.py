"""Results as text: aligned, exact, and safe for a terminal."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickloop.analytics import result

UTC = pa.timestamp("ns", tz="UTC")
UNIX_EPOCH = "1970-01-01T00:00:00.000000000Z"
TABLE = pa.table(
    {
        "time": pa.array([1_704_153_600_000_000_001, None], UTC),
        "sym": pa.array(["AAA", None]),
        "price": pa.array([100.1, float("inf")]),
        "total": pa.array([Decimal(10) ** 30, None], pa.decimal128(38, 0)),
        "ok": pa.array([True, None]),
    }
)


def test_a_table_is_aligned_and_counted() -> None:
    assert result.text(TABLE, "table").splitlines() == [
        "time                            sym  price                            total  ok",
        "------------------------------  ---  -----  -------------------------------  ----",
        "2024-01-02T00:00:00.000000001Z  AAA  100.1  1000000000000000000000000000000  true",
        "                                       inf",
        "(2 rows)",
    ]


def test_wide_and_control_characters_keep_the_columns_straight() -> None:
    table = pa.table({"a": ["日本", "x\x1b[2Jy\n"], "b": ["1", "2"]})
    lines = result.text(table, "table").splitlines()
    assert lines[2] == "日本         1"
    assert lines[3] == r"x\x1b[2Jy\n  2"


def test_csv_is_exact_and_null_is_empty() -> None:
    found = list(csv.reader(io.StringIO(result.text(TABLE, "csv"))))
    assert found[0] == TABLE.column_names
    assert found[1] == [
        "2024-01-02T00:00:00.000000001Z", "AAA", "100.1", "1" + "0" * 30, "true",
    ]  # fmt: skip
    assert found[2] == ["", "", "inf", "", ""]


def test_json_is_one_object_a_line() -> None:
    first, second = map(json.loads, result.text(TABLE, "json").splitlines())
    assert first["time"] == "2024-01-02T00:00:00.000000001Z"
    assert first["total"] == 10**30
    assert second == {"time": None, "sym": None, "price": "inf", "total": None, "ok": None}


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[1, None], None], pa.list_(pa.int64()), [[1, None], None]),
        ([{"t": 0}, None], pa.struct([("t", UTC)]), [{"t": UNIX_EPOCH}, None]),
        ([[0]], pa.list_(UTC), [[UNIX_EPOCH]]),
        ([5], pa.duration("ns"), [5]),
        ([1], pa.time64("ns"), ["00:00:00.000000001"]),
        ([b"\x01\xff"], pa.binary(), ["01ff"]),
        ([(1, 2, 3_500_000_000)], pa.month_day_nano_interval(), ["P1M2DT3.5S"]),
        ([2**63 - 1, -(2**63 - 1)], UTC, ["infinity", "-infinity"]),
        ([1], pa.timestamp("us"), ["1970-01-01T00:00:00.000001000Z"]),
    ],
)  # fmt: skip
def test_every_shape_has_a_plain_form(
    values: list[object], kind: pa.DataType, expected: list[object]
) -> None:
    table = pa.table({"x": pa.array(values, kind)})
    found = [json.loads(line)["x"] for line in result.text(table, "json").splitlines()]
    assert found == expected


def test_a_slice_of_lists_shows_its_own_rows() -> None:
    table = pa.table({"x": [[1], [2, 3], [4]]}).slice(1, 1)
    assert result.text(table, "json") == '{"x": [2, 3]}\n'


def test_a_long_table_says_that_it_was_cut() -> None:
    table = pa.table({"x": list(range(result.TABLE_ROWS_MAX + 5))})
    assert result.text(table, "table").splitlines()[-1] == "(10,005 rows, the first 10,000 shown)"


def test_an_empty_result_has_its_names() -> None:
    table = TABLE.slice(0, 0)
    assert result.text(table, "csv") == "time,sym,price,total,ok\n"
    assert result.text(table, "json") == ""
    assert result.text(table, "table").endswith("(0 rows)\n")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    result.write_parquet(TABLE, tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").equals(TABLE)
