"""Kernels of grouping, aggregation and as-of search against plain Python."""

import bisect
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.analytics.q.asof_kernels import asof_codes, asof_spans, window_bounds
from tickloop.analytics.q.code_kernels import (
    code_extremes,
    code_float_extremes,
    code_float_sums,
    code_sums,
    code_weighted,
)
from tickloop.analytics.q.codes import coded
from tickloop.analytics.q.gather_kernels import gather, look
from tickloop.analytics.q.group_kernels import bucket_starts, run_starts
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.span_kernels import (
    span_extremes,
    span_float_extremes,
    span_float_sums,
    span_moments,
    span_sums,
    span_weighted,
)
from tickloop.analytics.q.values import NULLS, QType, symbols, vector

pytestmark = pytest.mark.kernel
settings.register_profile("few", parent=settings.get_profile("tickloop"), max_examples=30)
few = settings(settings.get_profile("few"))

NULL = NULLS[QType.LONG]
longs = st.lists(st.one_of(st.just(NULL), st.integers(-9, 9)), max_size=60)
wide = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60)
floats = st.lists(
    st.one_of(st.just(math.nan), st.integers(-9, 9).map(lambda n: n / 4)), max_size=60
)


def array(values: list[Any], dtype: Any = np.int64) -> npt.NDArray[Any]:
    return look(np.array(values, dtype=dtype))


@few
@given(values=longs)
def test_runs_begin_where_values_change(values: list[int]) -> None:
    expected = [k for k in range(len(values)) if k == 0 or values[k] != values[k - 1]]
    assert run_starts(array(values)).tolist() == expected


@few
@given(values=st.one_of(longs, wide))
def test_codes_are_ranks_of_distinct_values(values: list[int]) -> None:
    found = coded([vector(QType.LONG, values)])
    order = sorted(set(values))
    assert found.codes.tolist() == [order.index(value) for value in values]
    assert found.count == len(order)


@few
@given(values=floats)
def test_codes_of_floats_put_null_first_and_keep_one_zero(values: list[float]) -> None:
    found = coded([vector(QType.FLOAT, [v * -1.0 if v == 0 else v for v in values])])
    clean = [None if v != v else v for v in values]
    order = sorted(set(clean), key=lambda v: (v is not None, v or 0))
    assert found.codes.tolist() == [order.index(value) for value in clean]


@few
@given(rows=st.lists(st.tuples(st.sampled_from(["b", "", "a"]), st.integers(-3, 3))))
def test_codes_of_several_columns_sort_as_rows_do(rows: list[tuple[str, int]]) -> None:
    found = coded([symbols([s for s, _ in rows]), vector(QType.LONG, [n for _, n in rows])])
    order = sorted(set(rows))
    assert found.codes.tolist() == [order.index(row) for row in rows]


@few
@given(values=longs)
def test_groups_know_their_rows(values: list[int]) -> None:
    groups = Groups.of_codes(coded([vector(QType.LONG, values)]))
    rows = {key: [k for k, v in enumerate(values) if v == key] for key in sorted(set(values))}
    assert groups.order.tolist() == [row for found in rows.values() for row in found]
    assert groups.firsts.tolist() == [found[0] for found in rows.values()]
    assert groups.lasts.tolist() == [found[-1] for found in rows.values()]


def buckets(times: list[int], step: int, origin: int, room: int) -> list[int] | None:
    """Find where buckets begin in one span of times; None if there are none."""
    starts, runs = np.full(room + 1, -7), np.zeros(1, dtype=np.int64)
    bucket_starts(
        array(times), np.zeros(1, dtype=np.int64), np.array([len(times)]), 0, 1, step, origin,
        np.array([0, room]), starts, runs,
    )  # fmt: skip
    assert starts[room] == -7
    return starts[: runs[0]].tolist() if runs[0] >= 0 else None


@few
@given(times=st.lists(st.integers(-500, 500)), step=st.integers(1, 90), origin=st.integers(-9, 9))
def test_buckets_of_ascending_times(times: list[int], step: int, origin: int) -> None:
    times.sort()
    numbers = [(time - origin) // step for time in times]
    expected = [k for k in range(len(times)) if k == 0 or numbers[k] != numbers[k - 1]]
    assert buckets(times, step, origin, len(times)) == expected
    assert buckets(times, step, origin, len(expected)) == expected


def test_descending_times_and_nulls_have_no_buckets() -> None:
    assert buckets([5, 70, 3], 10, 0, 3) is None
    assert buckets([NULL, 5, 70], 10, 0, 3) is None
    assert buckets([*range(20), 3, *range(20, 40)], 10, 0, 41) is None


def test_buckets_that_have_no_room_are_not_written() -> None:
    assert buckets([5, 15, 25, 35], 10, 0, 3) is None


Spanned = tuple[list[int], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]


def spans(values: list[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut values into spans of 0 to 5 rows."""
    edges = [0]
    while edges[-1] < len(values):
        edges.append(min(edges[-1] + len(edges) % 6, len(values)))
    return np.array(edges[:-1], dtype=np.int64), np.array(edges[1:], dtype=np.int64)


def codes_of(starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    return look(np.repeat(np.arange(len(starts), dtype=np.int32), stops - starts))


@few
@given(values=longs)
def test_integer_aggregates_leave_nulls_out(values: list[int]) -> None:
    starts, stops = spans(values)
    known = [[v for v in values[a:b] if v != NULL] for a, b in zip(starts, stops, strict=True)]
    count = len(starts)
    for by_code in (False, True):
        sums, counts = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        lows, highs = np.full(count, 99, dtype=np.int64), np.full(count, -99, dtype=np.int64)
        if by_code:
            code_sums(array(values), codes_of(starts, stops), NULL, sums, counts)
            code_extremes(array(values), codes_of(starts, stops), NULL, lows, highs)
        else:
            span_sums(array(values), starts, stops, 0, count, NULL, sums, counts)
            span_extremes(array(values), starts, stops, 0, count, NULL, lows, highs)
        assert sums.tolist() == [sum(k) for k in known]
        assert counts.tolist() == [len(k) for k in known]
        assert lows.tolist() == [min(k, default=99) for k in known]
        assert highs.tolist() == [max(k, default=-99) for k in known]


@few
@given(values=floats)
def test_float_aggregates_leave_nulls_out(values: list[float]) -> None:
    starts, stops = spans(values)
    known = [[v for v in values[a:b] if v == v] for a, b in zip(starts, stops, strict=True)]
    count = len(starts)
    for by_code in (False, True):
        sums, counts = np.zeros(count), np.zeros(count, dtype=np.int64)
        lows, highs = np.full(count, np.inf), np.full(count, -np.inf)
        data = array(values, np.float64)
        if by_code:
            code_float_sums(data, codes_of(starts, stops), sums, counts)
            code_float_extremes(data, codes_of(starts, stops), lows, highs)
        else:
            span_float_sums(data, starts, stops, 0, count, sums, counts)
            span_float_extremes(data, starts, stops, 0, count, lows, highs)
        assert sums.tolist() == [sum(k) for k in known]
        assert counts.tolist() == [len(k) for k in known]
        assert lows.tolist() == [min(k, default=math.inf) for k in known]
        assert highs.tolist() == [max(k, default=-math.inf) for k in known]


@few
@given(rows=st.lists(st.tuples(st.one_of(st.just(NULL), st.integers(-9, 9)), st.one_of(
    st.just(math.nan), st.integers(-9, 9).map(float))), max_size=60))  # fmt: skip
def test_weights_and_moments_need_both_values(rows: list[tuple[int, float]]) -> None:
    starts, stops = spans(rows)
    count = len(starts)
    weights, values = array([w for w, _ in rows]), array([v for _, v in rows], np.float64)
    known = [
        [(w, v) for w, v in rows[a:b] if w != NULL and v == v]
        for a, b in zip(starts, stops, strict=True)
    ]
    for by_code in (False, True):
        totals, sums = np.zeros(count), np.zeros(count)
        if by_code:
            code_weighted(weights, values, codes_of(starts, stops), NULL, totals, sums)
        else:
            span_weighted(weights, values, starts, stops, 0, count, NULL, totals, sums)
        assert totals.tolist() == [sum(w * v for w, v in k) for k in known]
        assert sums.tolist() == [sum(w for w, _ in k) for k in known]
    both = array([math.nan if w == NULL else w for w, _ in rows], np.float64)
    counts, out = np.zeros(count, dtype=np.int64), [np.zeros(count) for _ in range(3)]
    span_moments(both, values, starts, stops, 0, count, counts, *out)
    for number, pairs in enumerate(known):
        assert counts[number] == len(pairs)
        if pairs:
            left, right = np.array(pairs, dtype=np.float64).T
            expected = ((left - left.mean()) * (right - right.mean())).sum()
            assert math.isclose(out[0][number], expected, abs_tol=1e-9)
            assert math.isclose(out[1][number], ((left - left.mean()) ** 2).sum(), abs_tol=1e-9)


@few
@given(times=st.lists(st.integers(0, 50), max_size=50), others=st.lists(st.integers(0, 50)))
def test_the_last_row_at_or_before_is_found(times: list[int], others: list[int]) -> None:
    others.sort()
    whole = [np.array([n], dtype=np.int64) for n in (0, len(times), 0, len(others))]
    found = np.empty(len(times), dtype=np.int32)
    asof_spans(array(times), whole[0], whole[1], 0, 1, array(others), whole[2], whole[3], found)
    expected = [bisect.bisect_right(others, time) - 1 for time in times]
    assert found.tolist() == expected
    zeros = look(np.zeros(len(times), dtype=np.int32))
    by_code = np.empty(len(times), dtype=np.int32)
    places = whole[2] - 1
    asof_codes(array(times), zeros, array(others), whole[2], whole[3], places, by_code)
    assert by_code.tolist() == expected


@few
@given(
    windows=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=40),
    others=st.lists(st.integers(0, 50), max_size=60),
    prevailing=st.booleans(),
)
def test_windows_know_their_first_and_last_row(
    windows: list[tuple[int, int]], others: list[int], prevailing: bool
) -> None:
    others.sort()
    lows, highs = array([a for a, _ in windows]), array([a + b for a, b in windows])
    begins, ends = (np.empty(len(windows), dtype=np.int64) for _ in range(2))
    codes = look(np.zeros(len(windows), dtype=np.int32))
    first, last = np.zeros(1, dtype=np.int64), np.array([len(others)], dtype=np.int64)
    window_bounds(
        lows, highs, codes, 0, len(windows), array(others), first, last, prevailing, begins, ends
    )
    for number, (low, span) in enumerate(windows):
        stop = bisect.bisect_right(others, low + span)
        start = bisect.bisect_left(others, low)
        if prevailing:
            start = max(bisect.bisect_right(others, low) - 1, 0)
        assert (begins[number], ends[number]) == (start, max(start, stop))


@pytest.mark.parametrize("dtype", [np.bool_, np.int16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("rows_dtype", [np.int32, np.int64])
def test_rows_are_gathered_and_missing_ones_are_null(dtype: Any, rows_dtype: Any) -> None:
    values = np.array([1, 0, 1, 1], dtype=dtype)
    found = gather(values, np.array([3, -1, 0], dtype=rows_dtype), 0)
    assert found.dtype == dtype
    assert found.tolist() == [1, 0, 1]
