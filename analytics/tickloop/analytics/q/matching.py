"""Equal keys of two tables: codes that both sides share, and rows found by their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.codes import coded, ordered_longs
from tickloop.analytics.q.column_index import Spans, known_spans
from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.group_kernels import count_codes, first_rows, look_up, order_by_code
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.rows import join
from tickloop.analytics.q.values import (
    Array,
    Enumerated,
    QType,
    Value,
    Vector,
    count_of,
    plain,
)
from tickloop.analytics.trace import note, traced

Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


def joint_codes(left: Sequence[Value], right: Sequence[Value]) -> tuple[Codes, Codes, int]:
    """Give codes of the rows of two tables that are equal where the rows are."""
    rows = count_of(left[0])
    found = coded([_together(one, other) for one, other in zip(left, right, strict=True)])
    return found.codes[:rows], found.codes[rows:], found.count


def _together(left: Value, right: Value) -> Value:
    left, right = plain(left), plain(right)
    if _is_whole(left) and _is_whole(right) and left.type is not right.type:  # type: ignore[union-attr]
        longs = [side.data.astype(np.int64) for side in (left, right)]  # type: ignore[union-attr]
        return join([Vector(QType.LONG, data) for data in longs])
    return join([left, right]) if count_of(left) and count_of(right) else _longer(left, right)


def _is_whole(column: Value) -> bool:
    """Tell whether a column holds whole numbers, temporal ones included."""
    is_symbol = isinstance(column, Vector) and column.type is QType.SYMBOL
    return isinstance(column, Vector) and not is_symbol and column.data.dtype.kind == "i"


def _longer(left: Value, right: Value) -> Value:
    return left if count_of(left) else right


@traced(
    "match",
    given=lambda left, right: count_of(left[0]) + count_of(right[0]),
    found=lambda rows: int(np.count_nonzero(rows >= 0)),
)
def rows_by_key(left: Sequence[Value], right: Sequence[Value]) -> Codes:
    """Find for each row of the left keys the first equal row of the right ones, or -1."""
    if not count_of(left[0]):
        return np.empty(0, dtype=np.int32)
    if not count_of(right[0]):
        return np.full(count_of(left[0]), -1, dtype=np.int32)
    ours, theirs, count = joint_codes(left, right)
    note("codes of both sides' keys, then a table of first rows")
    firsts = np.full(count, -1, dtype=np.int32)
    first_rows(look(theirs), firsts)
    found = np.empty(len(ours), dtype=np.int32)
    look_up(look(ours), 0, firsts, found)
    return found


@dataclass(frozen=True, slots=True)
class Matched:
    """The right rows of each key as spans, and the span of every left row (-1: none).

    Spans are of the right table's rows in the order of `order`, where that is given.
    """

    starts: Longs
    stops: Longs
    order: Longs | None
    codes: Codes


def matched(
    left: Sequence[Value], right: Sequence[Value], left_rows: int, right_rows: int
) -> Matched:
    """Match two tables by equal keys; without keys all rows match."""
    if not left:
        whole = np.array([right_rows], dtype=np.int64)
        codes = np.zeros(left_rows, dtype=np.int32)
        return Matched(np.zeros(1, dtype=np.int64), whole, None, codes)
    if len(left) == 1:
        column = right[0]
        spans = known_spans(column) if isinstance(column, Vector | Enumerated) else None
        if spans is not None:
            found = span_codes(left[0], right[0], spans)
            if found is not None:
                note("offsets of the right key")
                return Matched(spans.starts, spans.stops, spans.order, found)
    return _by_codes(left, right)


def _by_codes(left: Sequence[Value], right: Sequence[Value]) -> Matched:
    note("codes of both sides' keys")
    ours, theirs, count = joint_codes(left, right)
    counts = np.zeros(count, dtype=np.int64)
    count_codes(look(theirs), counts)
    stops = np.cumsum(counts)
    order = np.empty(len(theirs), dtype=np.int64)
    order_by_code(look(theirs), stops - counts, order)
    return Matched(stops - counts, stops, order, ours)


def span_codes(left: Value, right: Value, spans: Spans) -> Codes | None:
    """Give the span of the right column that each left item is equal to, or -1."""
    keys = symbol_ids(right, spans.items)
    if keys is None:
        return None
    table = np.full(len(INTERNED), -1, dtype=np.int32)
    table[keys] = np.arange(len(keys), dtype=np.int32)
    if isinstance(left, Enumerated) and left.domain.is_symbolic:
        symbols = left.domain.symbols()
        positions, missing = left.data, int(table[0])
        table = table[symbols]
    elif isinstance(left, Vector) and left.type is QType.SYMBOL:
        positions, missing = left.data, -1
    else:
        return None
    codes = np.empty(len(positions), dtype=np.int32)
    look_up(look(positions), 0, table, codes)
    if missing >= 0:
        codes[(positions < 0) | (positions >= len(table))] = missing
    return codes


def symbol_ids(column: Value, items: Array) -> Array | None:
    """Give the interned ids of items of a symbol column; None for other columns."""
    if isinstance(column, Enumerated):
        ids = plain(Enumerated(column.domain, items))
        assert isinstance(ids, Vector)
        return ids.data
    is_symbol = isinstance(column, Vector) and column.type is QType.SYMBOL
    return items if is_symbol else None


def moments(left: Value, right: Value) -> tuple[Array, Array] | None:
    """Give the times of two tables as integers that compare; None where their types differ."""
    left, right = plain(left), plain(right)
    if not isinstance(left, Vector) or not isinstance(right, Vector) or left.type is not right.type:
        return None
    return _ordinals(left), _ordinals(right)


def _ordinals(column: Vector) -> Any:
    if column.type is QType.SYMBOL:
        return INTERNED.ranks()[column.data]
    data = ordered_longs(column.data)
    return data if data.dtype in (np.int32, np.int64) else data.astype(np.int64)
