"""Rows in groups by the keys of a query: by runs where rows of a group lie together, else by codes.

A parted or sorted first key, alone or with buckets of ascending times, needs no hashing and no
sorting: one pass finds where groups begin.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.clause import Scope, constant, evaluate
from tickloop.analytics.q.codes import coded
from tickloop.analytics.q.column_index import Spans, runs_of, spans_of
from tickloop.analytics.q.cores import ROWS_MIN, cores, together
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.group_kernels import bucket_starts
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.rows import repeat, take
from tickloop.analytics.q.tree_text import tree_text
from tickloop.analytics.q.values import (
    Array,
    Atom,
    Attribute,
    Builtin,
    Enumerated,
    List,
    QType,
    Value,
    Vector,
    count_of,
    is_list,
    name_of,
)
from tickloop.analytics.trace import note, traced

Longs = npt.NDArray[np.int64]

# How many units of a type a second has; 0 where a part of a day is no part of the value.
_PER_SECOND = {
    QType.TIMESTAMP: 10**9, QType.TIMESPAN: 10**9, QType.TIME: 1000, QType.SECOND: 1,
}  # fmt: skip
_PART_SECONDS = {"second": 1, "minute": 60, "hh": 3600}
_DAY_SECONDS = 86400
_PLAIN_UNITS = frozenset(
    {QType.INT, QType.LONG, QType.DATE, QType.MONTH, QType.MINUTE, QType.SECOND}
    | {QType.TIME, QType.TIMESTAMP, QType.TIMESPAN}
)


@traced(
    "group",
    about=lambda scope, trees: ", ".join(map(tree_text, trees)),
    given=lambda scope, trees: scope.count,
    found=lambda made: made[0].count,
)
def group(scope: Scope, trees: Sequence[Value]) -> tuple[Groups, list[Value]]:
    """Group a scope's rows by expressions; give the groups, sorted by key, and their keys."""
    groups = _by_runs(scope, trees)
    if groups is not None:
        firsts = _numbered(scope, groups.firsts)
        return groups, [evaluate(tree, scope.narrowed(firsts)) for tree in trees]
    note("codes of the keys' values")
    columns = [_key_column(tree, scope) for tree in trees]
    groups = Groups.of_codes(coded(columns))
    return groups, [take(column, groups.firsts) for column in columns]


def _key_column(tree: Value, scope: Scope) -> Value:
    found = evaluate(tree, scope)
    if not is_list(found):
        return repeat(found, scope.count)
    if count_of(found) != scope.count:
        raise QError("length", f"a key of {count_of(found)} items seen for {scope.count} rows")
    return found


def _numbered(scope: Scope, places: Longs) -> Longs:
    """Turn places among a scope's rows into rows of its table."""
    if scope.rows is None:
        return places
    if isinstance(scope.rows, slice):
        return places + np.int64(scope.rows.start)
    return scope.rows[places].astype(np.int64, copy=False)


def _by_runs(scope: Scope, trees: Sequence[Value]) -> Groups | None:
    spans = _first_spans(scope, trees[0])
    if spans is None or len(trees) > 2:
        return None
    note("offsets of p# or s#" if len(trees) == 1 else "offsets of p# or s#, cut into buckets")
    by_key = np.argsort(coded([_keys(scope, trees[0], spans)]).codes, kind="stable")
    if len(trees) == 1:
        return Groups.of_spans(scope.count, spans.starts[by_key], spans.stops[by_key])
    bucket = _bucket(scope, trees[1])
    if bucket is None:
        return None
    return _bucketed(scope.count, spans, by_key, bucket)


def _keys(scope: Scope, tree: Value, spans: Spans) -> Value:
    column = scope.column(str(name_of(tree)))
    assert column is not None
    return take(column, spans.starts)


def _first_spans(scope: Scope, tree: Value) -> Spans | None:
    """Give the runs of a key that is a parted or sorted column."""
    name = None if constant(tree) is not None else name_of(tree)
    if name is None or name not in scope.table.names or not scope.ascending:
        return None
    whole = scope.table.column(name)
    if not isinstance(whole, Vector | Enumerated):
        return None
    if whole.attribute not in (Attribute.PARTED, Attribute.SORTED):
        return None
    column = scope.column(name)
    assert isinstance(column, Vector | Enumerated)
    if column is whole:
        return spans_of(whole)
    # Some rows of a parted column, in its order, are parted too.
    return runs_of(column.data)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Rows fall together where floor((times - origin) / step) is the same."""

    times: Array
    step: int
    origin: int
    per_day: int  # the values of a day, where buckets start anew every day; else 0


def _bucket(scope: Scope, tree: Value) -> _Bucket | None:
    """Read `n xbar time`, `time.minute`, `n xbar time.minute` and the like; None for others."""
    if isinstance(tree, Atom):
        return _part_of(scope, tree)
    if not isinstance(tree, List) or len(tree.items) != 3:
        return None
    head, left, right = tree.items
    if not isinstance(head, Builtin) or head.name != "xbar" or not isinstance(left, Atom):
        return None
    width = left.value
    inner = _bucket(scope, right)
    if inner is None or not isinstance(width, int) or width <= 0:
        return None
    if left.type not in (QType.INT, QType.LONG) and not _same_unit(scope, left, right):
        return None
    return _Bucket(inner.times, inner.step * width, inner.origin, inner.per_day)


def _same_unit(scope: Scope, width: Atom, tree: Value) -> bool:
    column = scope.column(name_of(tree) or "")
    if not isinstance(column, Vector):
        return False
    kinds = (width.type, column.type)
    return kinds == (QType.TIMESPAN, QType.TIMESTAMP) or width.type is column.type


def _part_of(scope: Scope, tree: Atom) -> _Bucket | None:
    base, dot, part = str(tree.value).partition(".")
    column = scope.column(base) if base in scope.table.names else None
    if not isinstance(column, Vector) or column.type not in _PLAIN_UNITS:
        return None
    if not dot:
        return _Bucket(column.data, 1, 0, 0)
    per_second = _PER_SECOND.get(column.type, 0)
    if not per_second or not len(column):
        return None
    per_day = per_second * _DAY_SECONDS
    if part == "date" and column.type is QType.TIMESTAMP:
        return _Bucket(column.data, per_day, 0, 0)
    if part not in _PART_SECONDS or (part == "second" and column.type is QType.SECOND):
        return None
    origin = int(column.data[0]) // per_day * per_day
    return _Bucket(column.data, per_second * _PART_SECONDS[part], origin, per_day)


def _bucketed(rows: int, spans: Spans, by_key: Longs, bucket: _Bucket) -> Groups | None:
    """Cut the spans of a first key into buckets; None where times descend or the day changes."""
    times = look(bucket.times)
    firsts, lasts = times[spans.starts], times[spans.stops - 1]
    if bucket.per_day and len(firsts):
        day_end = bucket.origin + bucket.per_day
        if firsts.min() < bucket.origin or lasts.max() >= day_end or lasts.min() < bucket.origin:
            return None
    # A span has no more buckets than rows, nor than steps from its first time to its last.
    steps = (lasts.astype(np.int64) - firsts) // bucket.step + 2
    most = np.clip(steps, 1, spans.stops - spans.starts)
    rooms = np.append(0, np.cumsum(most))
    starts = np.empty(int(rooms[-1]), dtype=np.int64)
    runs = np.empty(len(spans), dtype=np.int64)

    def find(first: int, stop: int) -> None:
        bucket_starts(
            times, spans.starts, spans.stops, first, stop, bucket.step, bucket.origin, rooms,
            starts, runs,
        )  # fmt: skip

    workers = cores() if rows >= ROWS_MIN else 1
    marks = np.searchsorted(spans.stops, [rows * worker // workers for worker in range(1, workers)])
    edges = [0, *marks.tolist(), len(spans)]
    together([partial(find, a, b) for a, b in itertools.pairwise(edges)])
    if (runs < 0).any():
        return None
    return _in_key_order(rows, spans, by_key, runs, [starts[a:] for a in rooms[by_key].tolist()])


def _in_key_order(
    rows: int, spans: Spans, by_key: Longs, runs: Longs, found: Sequence[Longs]
) -> Groups:
    lengths = runs[by_key]
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return Groups.of_spans(rows, empty, empty)
    starts = np.concatenate(
        [piece[:length] for piece, length in zip(found, lengths.tolist(), strict=True)]
    )
    stops = np.empty_like(starts)
    stops[:-1] = starts[1:]
    stops[np.cumsum(lengths) - 1] = spans.stops[by_key]
    return Groups.of_spans(rows, starts, stops)
