"""Aggregates, running and moving ones, against Python's statistics and plain loops."""

import itertools
import math
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, close, python
from tickloop.analytics.q import aggregates, moving, running
from tickloop.analytics.q import statistics as q_statistics
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.values import QType, Vector, float_, long, vector

NULL = -(2**63)
LONGS = st.lists(st.one_of(st.integers(-1000, 1000), st.none()), max_size=25)
FLOATS = st.lists(st.one_of(st.floats(-1e3, 1e3, width=32), st.none()), max_size=25)
WINDOWS = st.integers(1, 8)
Numbers = list[float | None]


def column(items: Numbers) -> Vector:
    return longs([NULL if item is None else int(item) for item in items])


def floats(items: Numbers) -> Vector:
    return vector(QType.FLOAT, [math.nan if item is None else item for item in items])


def known(items: Numbers) -> list[float]:
    return [item for item in items if item is not None]


def windows(items: Numbers, size: int) -> list[list[float]]:
    return [known(items[max(0, i + 1 - size) : i + 1]) for i in range(len(items))]


def all_close(left: list[float | None], right: list[float | None]) -> bool:
    return len(left) == len(right) and all(map(close, left, right))


@given(LONGS)
def test_nulls_add_nothing_to_aggregates_of_whole_numbers(items: Numbers) -> None:
    values, rest = column(items), known(items)
    assert python(aggregates.sum_vector(values)) == sum(rest)
    assert aggregates.max_vector(values).value == max(rest, default=-(2**63) + 1)
    assert aggregates.min_vector(values).value == min(rest, default=2**63 - 1)
    assert python(aggregates.med_vector(values)) == (statistics.median(rest) if rest else None)
    mean = statistics.fmean(rest) if rest else None
    assert close(python(aggregates.avg_vector(values)), mean)


@given(st.lists(st.integers(-9, 9), max_size=8))
def test_products_wrap_as_64_bit_numbers_do(items: list[int]) -> None:
    exact = math.prod(item * 2**30 for item in items)
    scaled = longs([item * 2**30 for item in items])
    assert aggregates.prd_vector(scaled).value == (exact + 2**63) % 2**64 - 2**63


@given(FLOATS)
def test_a_sum_of_floats_adds_from_left_to_right(items: Numbers) -> None:
    total = 0.0
    for item in known(items):
        total += item
    assert aggregates.sum_vector(floats(items)).value == total


@given(FLOATS)
def test_spreads_are_those_of_populations_and_samples(items: Numbers) -> None:
    values, rest = floats(items), [Fraction(item) for item in known(items)]
    one, two = len(rest) > 0, len(rest) > 1
    assert close(
        python(q_statistics.var_vector(values)),
        float(statistics.pvariance(rest)) if one else None,
    )
    assert close(
        python(q_statistics.svar_vector(values)),
        float(statistics.variance(rest)) if two else None,
    )
    assert close(
        python(q_statistics.sdev_vector(values)),
        math.sqrt(statistics.variance(rest)) if two else None,
    )


@given(st.lists(st.tuples(st.floats(-99, 99, width=32), st.floats(-99, 99, width=32)), min_size=3))
def test_covariance_and_correlation_are_those_of_numpy(pairs: list[tuple[float, float]]) -> None:
    left, right = (list(side) for side in zip(*pairs, strict=True))
    expected = np.cov(left, right, bias=True)
    ours = [floats(list(left)), floats(list(right))]
    assert math.isclose(python(q_statistics.cov(*ours)), expected[0, 1], abs_tol=1e-8)
    if expected[0, 0] > 1e-6 and expected[1, 1] > 1e-6:
        correlation = expected[0, 1] / math.sqrt(expected[0, 0] * expected[1, 1])
        assert math.isclose(python(q_statistics.cor(*ours)), correlation, abs_tol=1e-6)


@given(st.lists(st.tuples(st.integers(1, 9), st.one_of(st.integers(-9, 9), st.none()))))
def test_a_weighted_mean_leaves_out_pairs_with_a_null(pairs: list[tuple[int, int | None]]) -> None:
    full = [(weight, value) for weight, value in pairs if value is not None]
    answer = asked("w wavg v", w=longs([w for w, _ in pairs]), v=column([v for _, v in pairs]))
    total = sum(weight for weight, _ in full)
    expected = sum(weight * value for weight, value in full) / total if full else None
    assert close(answer, expected)


def scanned(items: Numbers, step: Callable[[Any, Any], Any], start: Any) -> list[Any]:
    return list(itertools.accumulate((start if i is None else i for i in items), step))


@given(LONGS)
def test_running_aggregates_are_the_aggregates_of_what_came_before(items: Numbers) -> None:
    values = column(items)
    assert python(running.sums_vector(values)) == scanned(items, lambda a, b: a + b, 0)
    maxima = running.maxs_vector(values).data.tolist()
    minima = running.mins_vector(values).data.tolist()
    assert maxima == scanned(items, max, -(2**63) + 1)
    assert minima == scanned(items, min, 2**63 - 1)
    before = [known(items[: i + 1]) for i in range(len(items))]
    means = [statistics.fmean(part) if part else None for part in before]
    assert all_close(python(running.avgs_vector(values)), means)


@pytest.mark.kernel
@given(WINDOWS, LONGS)
def test_moving_aggregates_are_the_aggregates_of_each_window(size: int, items: Numbers) -> None:
    values, parts = column(items), windows(items, size)
    assert python(moving.msum(long(size), values)) == [sum(part) for part in parts]
    assert python(moving.mcount(long(size), values)) == [len(part) for part in parts]
    means = [statistics.fmean(part) if part else None for part in parts]
    assert all_close(python(moving.mavg(long(size), values)), means)
    spreads = [statistics.pstdev(part) if part else None for part in parts]
    assert all_close(python(moving.mdev(long(size), values)), spreads)


@pytest.mark.kernel
@given(WINDOWS, st.lists(st.integers(-9, 9), max_size=25))
def test_moving_extremes_are_those_of_each_window(size: int, items: list[int]) -> None:
    parts = windows(list(items), size)
    assert python(moving.mmax(long(size), longs(items))) == [max(part) for part in parts]
    assert python(moving.mmin(long(size), longs(items))) == [min(part) for part in parts]


@pytest.mark.kernel
@given(st.floats(0.01, 0.99), st.lists(st.floats(-99, 99), min_size=1, max_size=20))
def test_smoothing_moves_each_mean_towards_its_item(alpha: float, items: list[float]) -> None:
    means = [items[0]]
    for item in items[1:]:
        means.append(means[-1] * (1 - alpha) + item * alpha)
    assert python(moving.ema(float_(alpha), vector(QType.FLOAT, items))) == means
    each = vector(QType.FLOAT, [alpha] * len(items))
    assert python(moving.ema(each, vector(QType.FLOAT, items))) == means


@pytest.mark.kernel
def test_a_large_number_that_left_a_window_leaves_no_trace() -> None:
    values = vector(QType.FLOAT, [1e17, 1.0, 2.0, 3.0, 4.0])
    assert python(moving.msum(long(2), values))[2:] == [3.0, 5.0, 7.0]


@pytest.mark.kernel
def test_an_infinity_leaves_a_window_with_its_item() -> None:
    values = vector(QType.FLOAT, [1.0, math.inf, 2.0, 3.0])
    assert python(moving.msum(long(2), values)) == [1.0, math.inf, math.inf, 5.0]
    spreads = moving.mdev(long(2), values)
    assert isinstance(spreads, Vector)
    assert spreads.data[3] == 0.5


@pytest.mark.kernel
def test_prices_far_from_zero_keep_the_digits_of_their_deviation() -> None:
    prices = [1e6 + 0.01 * (place % 3) for place in range(200)]
    spreads = python(moving.mdev(long(3), vector(QType.FLOAT, prices)))
    expected = [statistics.pstdev(map(Fraction, prices[i - 2 : i + 1])) for i in range(2, 200)]
    assert np.allclose(spreads[2:], [float(spread) for spread in expected], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum (1 2;3 0N)", [4, None]),
        ("avg ([]a:1 2;b:3 0N)", [("a", 1.5), ("b", 3.0)]),
        ("max `a`b!(1 5;3 2)", [3, 5]),
        ("type each (sum 0101b;sum 1 2h;sum 1 2e;sum 09:30 10:00)", [-6, -6, -8, -17]),
        ("sums ([]a:1 2;b:3 4)", {"a": [1, 3], "b": [3, 7]}),
        ("2 msum `a`b!(1 2;3 4)", [("a", [1, 2]), ("b", [4, 6])]),
        ("type each (1 2 wsum 3 4;2 wsum 3 4)", [-9, -7]),
        ("deltas 5 7 4", [5, 2, -3]),
        ("deltas[1;5 7 4]", [4, 2, -3]),
        ("ratios 2 4 2", [2.0, 2.0, 0.5]),
        ("differ 1 1 2 2 1", [True, False, True, False, True]),
        ('differ ("ab";"ab";"c")', [True, False, True]),
        ("differ 1 1.00000000000000001 2", [True, False, True]),
        ("fills 0N 1 0N 2", [None, 1, 1, 2]),
        ("(first;last)@\\:0#0", [None, None]),
        ("first ([]a:1 2;b:`x`y)", [("a", 1), ("b", "x")]),
    ],
)
def test_lists_of_lists_dictionaries_and_tables_have_their_own_forms(
    text: str, expected: Any
) -> None:
    assert asked(text) == expected


def test_the_seed_repeats_what_was_drawn() -> None:
    first, second = (asked("(5?100;3?`4;-5?10;0N?5;2?0Ng)") for _ in range(2))
    assert first == second


@given(st.integers(0, 20))
def test_a_deal_gives_different_items_and_a_roll_any(count: int) -> None:
    dealt = asked(f"-{count}?20" if count else "-0?20")
    assert len(set(dealt)) == count
    assert set(dealt) <= set(range(20))
    assert set(asked("100?`a`b`c")) == {"a", "b", "c"}
