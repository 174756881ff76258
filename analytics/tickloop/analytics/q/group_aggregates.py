"""Aggregates of groups by kernels: sums, extremes, means, moments, first, last and count."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q import code_kernels as by_code
from tickloop.analytics.q import span_kernels as by_span
from tickloop.analytics.q.codes import coded
from tickloop.analytics.q.cores import ROWS_MIN, cores, together
from tickloop.analytics.q.gather_kernels import look, picker
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.rows import take
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Enumerated,
    List,
    QType,
    Value,
    Vector,
)
from tickloop.analytics.trace import note

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# Spans of about this many rows go through all aggregates before the next ones are touched, so
# that a column which several aggregates read comes from memory once.
_BLOCK_ROWS = 1 << 17
_ROWS_OF_FEW = 2000
_WIDE = 8
_UNTYPED = (QType.GUID, QType.SYMBOL)
_NO_NULL = -(2**63)


@dataclass(frozen=True, slots=True)
class Job:
    """One aggregate's work over all groups, cut into blocks, and its result."""

    by_spans: Callable[[int, int], None]
    by_codes: Callable[[], None]
    result: Callable[[], Value]
    # Reads few rows of what others read whole: goes last over a block, which is near by then.
    is_sparse: bool = False


def _nothing(*_: object) -> None:
    return None


def run(groups: Groups, jobs: Sequence[Job]) -> list[Value]:
    """Run aggregates together and give their results in order."""
    if not jobs:
        return []
    if groups.together:
        note("kernels over spans of rows")
        whole_first = sorted(jobs, key=lambda each: each.is_sparse)
        together([partial(_run_spans, whole_first, share) for share in _shares(groups)])
    else:
        note("kernels over codes of rows")
        workers = cores() if groups.rows >= ROWS_MIN else 1
        shares = [jobs[worker::workers] for worker in range(workers)]
        together([partial(_run_codes, share) for share in shares])
    return [job.result() for job in jobs]


def _run_codes(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.by_codes()


def _shares(groups: Groups) -> list[list[int]]:
    """Cut groups into blocks of about equal rows, and these into one share for each core."""
    ends = np.cumsum(groups.counts)
    rows = int(ends[-1]) if len(ends) else 0
    marks = np.arange(_BLOCK_ROWS, rows, _BLOCK_ROWS)
    edges = np.unique(np.concatenate(([0], np.searchsorted(ends, marks), [groups.count])))
    blocks: list[int] = edges.astype(np.int64).tolist()
    if rows < ROWS_MIN:
        return [blocks]
    middle = [len(blocks) * share // cores() for share in range(cores() + 1)]
    return [blocks[a : b + 1] for a, b in itertools.pairwise(middle)]


def _run_spans(jobs: Sequence[Job], edges: list[int]) -> None:
    for first, stop in itertools.pairwise(edges):
        for job in jobs:
            job.by_spans(first, stop)


def job(name: str, arguments: Sequence[Value], groups: Groups, kind: QType | None) -> Job | None:
    """Plan an aggregate over row-level columns; None if no kernel does it.

    `kind` is the type of the result for one group, None if that is no simple atom.
    """
    if name == "count":
        return Job(_nothing, _nothing, lambda: Vector(QType.LONG, groups.counts))
    if name in ("first", "last") and isinstance(arguments[0], Vector | Enumerated | List):
        return _end(name, arguments[0], groups)
    numbers = [_numbers(argument) for argument in arguments]
    planned = _PLANS.get((name, len(arguments)))
    if planned is None or kind is None or any(number is None for number in numbers):
        return None
    return planned(name, [n for n in numbers if n is not None], groups, kind)


def _end(name: str, argument: Value, groups: Groups) -> Job:
    rows = groups.firsts if name == "first" else groups.lasts
    if not (groups.together and isinstance(argument, Vector) and argument.data.itemsize <= _WIDE):
        return Job(_nothing, _nothing, lambda: take(argument, rows))
    kind, out = argument.type, np.empty(groups.count, dtype=argument.data.dtype)
    pick = picker(argument.data, rows, out)
    return Job(pick, _nothing, lambda: Vector(kind, out), is_sparse=True)


def _numbers(argument: Value) -> Vector | None:
    if not isinstance(argument, Vector) or argument.type in _UNTYPED:
        return None
    return argument


def _looked(vector: Vector) -> Array:
    data = vector.data.view(np.uint8) if vector.data.dtype.kind == "b" else vector.data
    return look(data)


def _integer_null(vector: Vector) -> int:
    null = NULLS[vector.type]
    has_null = isinstance(null, int) and not isinstance(null, bool) and vector.data.itemsize > 1
    return int(null) if has_null else _NO_NULL


def _sums(vector: Vector, groups: Groups) -> tuple[Job, Array, Longs]:
    values = _looked(vector)
    counts = np.zeros(groups.count, dtype=np.int64)
    spans = groups.starts, groups.stops
    if values.dtype.kind == "f":
        totals: Array = np.zeros(groups.count, dtype=np.float64)
        plan = Job(
            lambda a, b: by_span.span_float_sums(values, *spans, a, b, totals, counts),
            lambda: by_code.code_float_sums(values, look(groups.codes), totals, counts),
            lambda: List(()),
        )
        return plan, totals, counts
    null = _integer_null(vector)
    totals = np.zeros(groups.count, dtype=np.int64)
    plan = Job(
        lambda a, b: by_span.span_sums(values, *spans, a, b, null, totals, counts),
        lambda: by_code.code_sums(values, look(groups.codes), null, totals, counts),
        lambda: List(()),
    )
    return plan, totals, counts


def _sum(_: str, columns: list[Vector], groups: Groups, kind: QType) -> Job:
    plan, totals, _counts = _sums(columns[0], groups)
    return Job(
        plan.by_spans, plan.by_codes, lambda: Vector(kind, totals.astype(DTYPES[kind], copy=False))
    )


def _avg(_: str, columns: list[Vector], groups: Groups, kind: QType) -> Job:
    vector = columns[0]
    if vector.data.dtype.kind != "f":
        # Sums of long integers may wrap; those of floats lose what a mean loses anyway.
        vector = Vector(QType.FLOAT, floats(vector)) if vector.data.itemsize == 8 else vector
    plan, totals, counts = _sums(vector, groups)

    def result() -> Value:
        with np.errstate(invalid="ignore", divide="ignore"):
            return Vector(kind, (totals / counts).astype(DTYPES[kind], copy=False))

    return Job(plan.by_spans, plan.by_codes, result)


def _extreme(name: str, columns: list[Vector], groups: Groups, kind: QType) -> Job:
    vector = columns[0]
    values = _looked(vector)
    spans = groups.starts, groups.stops
    is_float = values.dtype.kind == "f"
    lows, highs, is_new = _ends(vector, groups)

    def result() -> Value:
        return Vector(kind, (lows if name == "min" else highs).astype(DTYPES[kind], copy=False))

    if not is_new:
        return Job(_nothing, _nothing, result)
    if is_float:
        return Job(
            lambda a, b: by_span.span_float_extremes(values, *spans, a, b, lows, highs),
            lambda: by_code.code_float_extremes(values, look(groups.codes), lows, highs),
            result,
        )
    null = _integer_null(vector)
    return Job(
        lambda a, b: by_span.span_extremes(values, *spans, a, b, null, lows, highs),
        lambda: by_code.code_extremes(values, look(groups.codes), null, lows, highs),
        result,
    )


def _flagged(name: str, columns: list[Vector], groups: Groups, kind: QType) -> Job | None:
    """Of booleans, any is the greatest and all the least."""
    if columns[0].type is not QType.BOOLEAN:
        return None
    return _extreme("min" if name == "all" else "max", columns, groups, kind)


def _ends(vector: Vector, groups: Groups) -> tuple[Array, Array, bool]:
    """Give the arrays of least and greatest values, and whether they still have to be filled."""
    key = ("extremes", id(vector.data))
    known = groups.shared.get(key)
    if known is None:
        is_float = vector.data.dtype.kind == "f"
        dtype = np.float64 if is_float else np.int64
        ends = (np.inf, -np.inf) if is_float else _limits(vector)
        made = [np.full(groups.count, end, dtype=dtype) for end in ends]
        # The array is kept, so that its id stays its own.
        groups.shared[key] = (made[0], made[1], vector.data)
        return made[0], made[1], True
    lows, highs, _ = known
    assert isinstance(lows, np.ndarray)
    assert isinstance(highs, np.ndarray)
    return lows, highs, False


def _limits(vector: Vector) -> tuple[int, int]:
    """Give what the least and the greatest start from: q's infinities."""
    if vector.data.dtype.kind == "b":
        return 1, 0
    if vector.data.itemsize == 1:
        return 255, 0
    infinity = int(np.iinfo(vector.data.dtype).max)
    return infinity, -infinity


def floats(vector: Vector) -> Floats:
    """Give values as floats, nulls as NaN; of floats a view."""
    data = vector.data
    if data.dtype == np.float64:
        return data
    made = data.astype(np.float64)
    if data.dtype.kind == "i":
        made[data == NULLS[vector.type]] = np.nan
    return made


def _weighted(name: str, columns: list[Vector], groups: Groups, kind: QType) -> Job | None:
    weights, vector = columns
    values = look(floats(vector))
    data = _looked(weights)
    if data.dtype not in (np.int32, np.int64, np.float64):
        data = look(floats(weights))
    null = _integer_null(weights) if data.dtype.kind == "i" else _NO_NULL
    totals = np.zeros(groups.count, dtype=np.float64)
    weight_sums = np.zeros(groups.count, dtype=np.float64)
    if name == "wsum" and kind is not QType.FLOAT:
        return None

    def result() -> Value:
        if name == "wsum":
            return Vector(kind, totals)
        with np.errstate(invalid="ignore", divide="ignore"):
            return Vector(kind, (totals / weight_sums).astype(DTYPES[kind], copy=False))

    spans = groups.starts, groups.stops
    return Job(
        lambda a, b: by_span.span_weighted(data, values, *spans, a, b, null, totals, weight_sums),
        lambda: by_code.code_weighted(data, values, look(groups.codes), null, totals, weight_sums),
        result,
    )


def _moment(name: str, columns: list[Vector], groups: Groups, kind: QType) -> Job:
    left = floats(columns[0])
    right = left if len(columns) == 1 else floats(columns[1])
    if not groups.together:
        left, right = left[groups.order], (left if right is left else right)[groups.order]
    out = [np.zeros(groups.count) for _ in range(3)]
    counts = np.zeros(groups.count, dtype=np.int64)

    def work(first: int, stop: int) -> None:
        spans = groups.starts, groups.stops
        by_span.span_moments(look(left), look(right), *spans, first, stop, counts, *out)

    def result() -> Value:
        with np.errstate(invalid="ignore", divide="ignore"):
            return Vector(
                kind, np.asarray(_MOMENTS[name](counts, *out)).astype(DTYPES[kind], copy=False)
            )

    return Job(work, lambda: work(0, groups.count), result)


def distinct_count(column: Value, groups: Groups) -> Job:
    """Count the distinct values of each group."""

    def result() -> Value:
        if not groups.count:
            return Vector(QType.LONG, np.empty(0, dtype=np.int64))
        pairs = Groups.of_codes(coded([Vector(QType.INT, groups.codes), column]))
        counts = np.bincount(groups.codes[pairs.firsts], minlength=groups.count)
        return Vector(QType.LONG, counts.astype(np.int64))

    return Job(_nothing, _nothing, result)


def _median(_: str, columns: list[Vector], groups: Groups, kind: QType) -> Job | None:
    """Sort all values at once where groups are many; few groups are sorted one by one."""
    if groups.count * _ROWS_OF_FEW < groups.rows:
        return None
    values = floats(columns[0])

    def result() -> Value:
        order = np.lexsort((values, groups.codes))
        known = np.bincount(groups.codes, weights=~np.isnan(values), minlength=groups.count)
        counts = known.astype(np.int64)
        # Nulls sort last within a group, so they never stand in the middle.
        begins = np.cumsum(groups.counts) - groups.counts
        last = max(len(order) - 1, 0)
        low = values[order[np.minimum(begins + np.maximum(counts - 1, 0) // 2, last)]]
        high = values[order[np.minimum(begins + counts // 2, last)]]
        middle = np.where(counts > 0, (low + high) / 2, np.nan)
        return Vector(kind, middle.astype(DTYPES[kind], copy=False))

    return Job(_nothing, _nothing, result)


_MOMENTS: dict[str, Callable[[Longs, Floats, Floats, Floats], Any]] = {
    "var": lambda n, xy, xx, yy: xy / n,
    "dev": lambda n, xy, xx, yy: np.sqrt(xy / n),
    "svar": lambda n, xy, xx, yy: xy / (n - 1),
    "sdev": lambda n, xy, xx, yy: np.sqrt(xy / (n - 1)),
    "cov": lambda n, xy, xx, yy: xy / n,
    "scov": lambda n, xy, xx, yy: xy / (n - 1),
    "cor": lambda n, xy, xx, yy: xy / np.sqrt(xx * yy),
}
_Plan = Callable[[str, list[Vector], Groups, QType], Job | None]
_PLANS: dict[tuple[str, int], _Plan] = {
    ("sum", 1): _sum,
    ("avg", 1): _avg,
    ("min", 1): _extreme,
    ("any", 1): _flagged,
    ("all", 1): _flagged,
    ("max", 1): _extreme,
    ("med", 1): _median,
    ("wavg", 2): _weighted,
    ("wsum", 2): _weighted,
    **{(name, 1): _moment for name in ("var", "dev", "svar", "sdev")},
    **{(name, 2): _moment for name in ("cov", "scov", "cor")},
}
NAMES = frozenset({"count", "first", "last", *(name for name, _ in _PLANS)})
