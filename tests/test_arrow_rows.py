"""Rows in Arrow hold what the rows hold, whatever the column's kind."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tickloop.core.batch import Batch
from tickloop.core.dialects import arrow
from tickloop.core.dialects.arrow_rows import record_batch
from tickloop.core.dialects.numpy import SURFACE, null_of
from tickloop.core.schema import Column, Kind, Table

NAMES = ["A", "long name", "", b"not \xff utf-8".decode(errors="surrogateescape")]
START = datetime(2000, 1, 1, tzinfo=UTC)
# What a cell of each kind holds, and what that means.
CELLS: dict[Kind, list[tuple[Any, Any]]] = {
    Kind.INSTANT: [(0, START), (-1_000_000_000, START - timedelta(seconds=1)), (2**63 - 1, None)],
    Kind.SPAN: [(5_000, timedelta(microseconds=5)), (-2_000, timedelta(microseconds=-2))],
    Kind.SYMBOL: [(0, "A"), (1, "long name"), (-7, None), (2, None), (3, "not ? utf-8")],
    Kind.PRICE: [(1.25, 1.25), (float("inf"), float("inf"))],
    Kind.SIZE: [(7, 7), (2**63 - 1, 2**63 - 1)], Kind.FLOAT: [(-0.5, -0.5)],
    Kind.REAL: [(0.25, 0.25)], Kind.LONG: [(-9, -9)], Kind.INT: [(2**31 - 1, 2**31 - 1)],
    Kind.SHORT: [(-5, -5)], Kind.BYTE: [(255, 255), (0, 0)], Kind.FLAG: [(1, True), (0, False)],
    Kind.CHAR: [(ord("B"), "B")], Kind.GUID: [(b"0123456789abcdef", b"0123456789abcdef")],
    Kind.DATE: [(0, date(2000, 1, 1)), (8767, date(2024, 1, 2)), (2**31 - 1, None)],
    Kind.MONTH: [(0, date(2000, 1, 1)), (-1, date(1999, 12, 1)), (2**31 - 1, None)],
    Kind.DATETIME: [(0.5, START + timedelta(hours=12)), (float("inf"), None), (1e300, None)],
    Kind.MINUTE: [(61, time(1, 1))], Kind.SECOND: [(3_601, time(1, 0, 1))],
    Kind.MILLI: [(1_500, time(0, 0, 1, 500_000))], Kind.TEXT: [(b"news", "news"), (b"", "")],
}  # fmt: skip
WITHOUT_NULL = {Kind.BYTE, Kind.FLAG, Kind.TEXT}


def column(kind: Kind, values: list[Any]) -> pa.Array:
    table = Table("all", (Column("x", kind),))
    made = np.empty(len(values), dtype=SURFACE[kind])
    for row, value in enumerate(values):
        made[row] = value
    found = record_batch(Batch(table, {"x": made}), NAMES, fractional=False)
    assert found.schema == arrow.schema(table)
    return found.column(0)


@pytest.mark.parametrize("kind", list(Kind))
def test_cells_of_every_kind_mean_in_arrow_what_they_are(kind: Kind) -> None:
    found = column(kind, [value for value, _ in CELLS[kind]])
    found.validate(full=True)
    assert found.to_pylist() == [meant for _, meant in CELLS[kind]]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in WITHOUT_NULL])
def test_nulls_of_every_kind_are_null(kind: Kind) -> None:
    assert column(kind, [null_of(kind, SURFACE[kind])] * 2).null_count == 2


def test_no_rows_are_no_rows() -> None:
    for kind in Kind:
        assert len(column(kind, [])) == 0


def test_sizes_with_parts_are_doubles() -> None:
    table = Table("all", (Column("x", Kind.SIZE),))
    rows = Batch(table, {"x": np.array([0.5, np.nan])})
    assert record_batch(rows, NAMES, fractional=True).column(0).to_pylist() == [0.5, None]
