"""As-of joins: each row with the last row of another table at or before its time."""

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.asof_kernels import asof_codes, asof_spans
from tickloop.analytics.q.blocks import BLOCKS
from tickloop.analytics.q.column_index import Spans, known_spans, spans_of
from tickloop.analytics.q.cores import ROWS_MIN, cores, together
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.gather_kernels import gather, look
from tickloop.analytics.q.join_columns import keyed_like, merged, unkeyed
from tickloop.analytics.q.matching import matched, moments, span_codes
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.rows import take, take_or_null
from tickloop.analytics.q.values import (
    Array,
    Dictionary,
    Enumerated,
    Table,
    Value,
    Vector,
    collect,
    is_keyed_table,
    item_at,
    items_of,
    names_of,
)
from tickloop.analytics.trace import note, traced

Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


@register("aj", rank=3)
def aj(names: Value, left: Value, right: Value) -> Value:
    """Join each row with the last one at or before it; time is the left table's."""
    return _joined(names, left, right, own_time=True, fill=False)


@register("aj0", rank=3)
def aj0(names: Value, left: Value, right: Value) -> Value:
    """Join as aj does; time is that of the row that was found."""
    return _joined(names, left, right, own_time=False, fill=False)


@register("ajf", rank=3)
def ajf(names: Value, left: Value, right: Value) -> Value:
    """Join as aj does; where the right value is null, a column of both keeps the left one."""
    return _joined(names, left, right, own_time=True, fill=True)


@register("ajf0", rank=3)
def ajf0(names: Value, left: Value, right: Value) -> Value:
    """Join as aj0 does, filling as ajf does."""
    return _joined(names, left, right, own_time=False, fill=True)


@register("asof", rank=2, operator=True)
def asof(table: Value, keys: Value) -> Value:
    """Give the last row of a table at or before keys, without them: a row for a dictionary."""
    rows = unkeyed(table, "asof")
    is_row = isinstance(keys, Dictionary) and not is_keyed_table(keys)
    wanted = _one_row(keys) if is_row and isinstance(keys, Dictionary) else unkeyed(keys, "asof")
    found = asof_rows(wanted.names, wanted, rows)
    kept = {n: c for n, c in zip(rows.names, rows.columns, strict=True) if n not in wanted.names}
    given = take_or_null(Table.of(kept), found)
    return item_at(given, 0) if is_row else given


def _one_row(keys: Dictionary) -> Table:
    names = names_of(keys.keys)
    if names is None:
        raise type_error("asof: names of columns have to be symbols")
    columns = [collect([item]) for item in items_of(keys.values)]
    return Table(tuple(names), tuple(columns))


def _joined(names: Value, left: Value, right: Value, *, own_time: bool, fill: bool) -> Value:
    columns = names_of(names)
    if not columns:
        raise type_error("names of columns are needed, the last of them that of the time")
    ours, theirs = unkeyed(left, "left"), unkeyed(right, "right")
    rows = asof_rows(columns, ours, theirs)
    dropped = columns if own_time else columns[:-1]
    added = {
        name: column
        for name, column in zip(theirs.names, theirs.columns, strict=True)
        if name not in dropped
    }
    return keyed_like(left, merged(ours, added, rows, fill=fill))


def columns_named(table: Table, names: Sequence[str]) -> list[Value]:
    """Give columns by name; the error is the name of one that is missing."""
    for name in names:
        if name not in table.names:
            raise QError(name, f"no such column; there are {', '.join(table.names)}")
    return [table.column(name) for name in names]


@traced(
    "as-of",
    about=lambda names, left, right: ", ".join(names),
    given=lambda names, left, right: len(left) + len(right),
    found=lambda rows: int(np.count_nonzero(rows >= 0)),
)
def asof_rows(names: Sequence[str], left: Table, right: Table) -> Codes:
    """Find the right table's row for each row of the left one, or -1."""
    *ours, time = columns_named(left, names)
    *theirs, other_time = columns_named(right, names)
    if not len(right):
        return np.full(len(left), -1, dtype=np.int32)
    if len(right) > 2**31 - 1:
        raise QError("limit", f"{len(right)} rows on the right, at most {2**31 - 1} can be joined")
    times = moments(time, other_time)
    if times is None:
        raise type_error(f"the columns {names[-1]} of both tables have to be of one type")
    found = _by_spans(ours, theirs, times)
    return _by_rows(ours, theirs, times, len(left), len(right)) if found is None else found


def _by_spans(ours: list[Value], theirs: list[Value], times: tuple[Array, Array]) -> Codes | None:
    """Merge the spans of two parted tables; None if they are not parted by the one key."""
    if len(ours) != 1:
        return None
    left, right = ours[0], theirs[0]
    if not isinstance(left, Vector | Enumerated) or not isinstance(right, Vector | Enumerated):
        return None
    spans, others = spans_of(left), known_spans(right)
    if spans is None or others is None or len(spans) > len(left) // 4 + 8:
        return None
    firsts = take(left, spans.starts)
    codes = span_codes(firsts, right, others)
    if codes is None:
        return None
    note("linear merge of spans" if others.order is None else "linear merge of spans of g#")
    starts = np.where(codes >= 0, others.starts[codes], 0)
    stops = np.where(codes >= 0, others.stops[codes], 0)
    mine, other = look(times[0]), look(_ordered(times[1], others.order))
    found = BLOCKS.empty(len(left), np.int32)
    work = partial(asof_spans, mine, spans.starts, spans.stops)
    edges = shares(spans)
    together(
        [partial(work, a, b, other, starts, stops, found) for a, b in itertools.pairwise(edges)]
    )
    return _numbered(found, others.order)


def shares(spans: Spans) -> list[int]:
    """Cut spans into one share for each core, of about equal rows."""
    rows = int((spans.stops - spans.starts).sum())
    workers = cores() if rows >= ROWS_MIN else 1
    ends = np.cumsum(spans.stops - spans.starts)
    marks = [rows * worker // workers for worker in range(1, workers)]
    return [0, *np.searchsorted(ends, marks).tolist(), len(spans)]


def _ordered(times: Array, order: Longs | None) -> Array:
    return times if order is None else gather(times, order)


def _numbered(found: Codes, order: Longs | None) -> Codes:
    """Turn places in an order into rows."""
    if order is None:
        return found
    return np.where(found >= 0, order[found], -1).astype(np.int32)


def _by_rows(
    ours: list[Value], theirs: list[Value], times: tuple[Array, Array], left: int, right: int
) -> Codes:
    note("merge, with a place for each key")
    keys = matched(ours, theirs, left, right)
    others = _ordered(times[1], keys.order)
    found = BLOCKS.empty(left, np.int32)
    places = keys.starts - 1
    asof_codes(
        look(times[0]), look(keys.codes), look(others), keys.starts, keys.stops, places, found
    )
    return _numbered(found, keys.order)
