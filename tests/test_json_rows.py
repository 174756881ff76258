"""Rows as JSON hold what the rows hold, whatever the column's kind."""

import json
import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.batch import Batch
from tickloop.core.clock import iso
from tickloop.core.dialects.numpy import NULL_INT, NULL_LONG, SURFACE
from tickloop.core.schema import Column, Kind, Table
from tickloop.tickerplant.sinks.json_rows import json_rows

NAMES = ["A", 'quoted "name"', "é %s", ""]
ALL = Table("all%s", tuple(Column(kind.value, kind) for kind in Kind))
LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.just(NULL_LONG), st.just(0))
INTS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.just(NULL_INT))
FLOATS = st.floats(width=64)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.SYMBOL: st.sampled_from([0, 1, 2, 3, -1, NULL_INT]),
    Kind.GUID: st.binary(min_size=16, max_size=16),
    **dict.fromkeys((Kind.INSTANT, Kind.SPAN, Kind.SIZE, Kind.LONG), LONGS),
    **dict.fromkeys((Kind.PRICE, Kind.FLOAT, Kind.DATETIME), FLOATS),
    Kind.REAL: st.floats(width=32), Kind.SHORT: st.integers(-(2**15), 2**15 - 1),
    **dict.fromkeys((Kind.BYTE, Kind.CHAR), st.integers(0, 255)), Kind.FLAG: st.integers(0, 1),
    **dict.fromkeys(
        (Kind.INT, Kind.DATE, Kind.MONTH, Kind.MINUTE, Kind.SECOND, Kind.MILLI), INTS
    ),
    Kind.TEXT: st.binary(max_size=6),
}  # fmt: skip


def test_every_kind_is_drawn() -> None:
    assert set(VALUES) == set(Kind)


def meant(kind: Kind, value: Any) -> Any:
    """Say what a cell has to hold, from the table of kinds alone."""
    if kind is Kind.SYMBOL:
        return NAMES[value] if value >= 0 else None
    if kind is Kind.GUID:
        return bytes(value).hex()
    if kind is Kind.TEXT:
        return value.decode(errors="replace")
    if kind is Kind.CHAR:
        return None if value == ord(" ") else chr(value)
    if kind is Kind.FLAG:
        return value == 1
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    lowest = {"<i8": -(2**63), "<i4": -(2**31), "<i2": -(2**15)}.get(SURFACE[kind])
    if value == lowest:
        return None
    return iso(value) if kind is Kind.INSTANT else value


@given(st.lists(st.fixed_dictionaries({kind: VALUES[kind] for kind in Kind}), max_size=4))
def test_rows_of_every_kind_are_read_back_as_they_were(drawn: list[dict[Kind, Any]]) -> None:
    columns = {}
    for kind in Kind:
        column = np.empty(len(drawn), dtype=SURFACE[kind])
        for row, values in enumerate(drawn):
            column[row] = values[kind]
        columns[kind.value] = column
    found = [json.loads(line) for line in json_rows(Batch(ALL, columns), NAMES)]
    expected = [
        {kind.value: meant(kind, columns[kind.value].tolist()[row]) for kind in Kind}
        for row in range(len(drawn))
    ]
    assert found == expected
    assert [list(each) for each in found] == [[kind.value for kind in Kind]] * len(drawn)
