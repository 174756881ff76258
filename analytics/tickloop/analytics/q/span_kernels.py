"""Aggregates of spans of rows: one pass over memory, nulls left out, floats added in row order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import seen
from tickloop.core.kernel import kernel

Column = npt.NDArray[Any]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
U = np.uint64

_INTS = ("uint8", "int16", "int32", "int64")
_FLOATS = ("float32", "float64")
_SPANS = "int64[::1], int64[::1], int64, int64"
# Rows that are looked through for nulls, eight at once, before they are added one by one without
# a test for each; they stay in the first cache meanwhile.
_CHUNK = 1024


@kernel(*(f"void({seen(t)}, {_SPANS}, int64, int64[::1], int64[::1])" for t in _INTS))
def span_sums(
    values: Column, starts: Longs, stops: Longs, first: int, stop: int, null: int,
    sums: Longs, counts: Longs,
) -> None:  # fmt: skip
    """Write wrapping sums and counts of the values that are not `null`."""
    for span in range(first, stop):
        total = np.int64(0)
        count = 0
        for row in range(starts[span], stops[span]):
            value = np.int64(values[row])
            if value != null:
                total += value
                count += 1
        sums[span] = total
        counts[span] = count


@kernel(*(f"void({seen(t)}, {_SPANS}, float64[::1], int64[::1])" for t in _FLOATS))
def span_float_sums(
    values: Column, starts: Longs, stops: Longs, first: int, stop: int,
    sums: Floats, counts: Longs,
) -> None:  # fmt: skip
    """Write sums and counts of the values that are numbers."""
    for span in range(first, stop):
        total = 0.0
        count = 0
        row = starts[span]
        while row < stops[span]:
            end = min(row + _CHUNK, stops[span])
            nulls = 0
            for place in range(U(row), U(end)):
                nulls += values[place] != values[place]
            if nulls == 0:
                for place in range(U(row), U(end)):
                    total += np.float64(values[place])
            else:
                for place in range(U(row), U(end)):
                    if values[place] == values[place]:
                        total += np.float64(values[place])
            count += end - row - nulls
            row = end
        sums[span] = total
        counts[span] = count


@kernel(*(f"void({seen(t)}, {_SPANS}, int64, int64[::1], int64[::1])" for t in _INTS))
def span_extremes(
    values: Column, starts: Longs, stops: Longs, first: int, stop: int, null: int,
    lows: Longs, highs: Longs,
) -> None:  # fmt: skip
    """Lower `lows` and raise `highs`, which hold the infinities, to the least and the greatest."""
    for span in range(first, stop):
        low = lows[span]
        high = highs[span]
        for row in range(starts[span], stops[span]):
            value = np.int64(values[row])
            if value != null:
                low = min(low, value)
                high = max(high, value)
        lows[span] = low
        highs[span] = high


@kernel(*(f"void({seen(t)}, {_SPANS}, float64[::1], float64[::1])" for t in _FLOATS))
def span_float_extremes(
    values: Column, starts: Longs, stops: Longs, first: int, stop: int,
    lows: Floats, highs: Floats,
) -> None:  # fmt: skip
    """Write the least and the greatest number; infinities where there is none."""
    for span in range(first, stop):
        low = np.inf
        high = -np.inf
        odd_low = np.inf
        odd_high = -np.inf
        row = starts[span]
        stop_row = stops[span]
        # Two rows at once, for each comparison waits for the one before. One with NaN is false,
        # so nulls change nothing.
        while row + 1 < stop_row:
            value = np.float64(values[row])
            other = np.float64(values[row + 1])
            low = value if value < low else low
            high = value if value > high else high
            odd_low = other if other < odd_low else odd_low
            odd_high = other if other > odd_high else odd_high
            row += 2
        if row < stop_row:
            value = np.float64(values[row])
            low = value if value < low else low
            high = value if value > high else high
        lows[span] = min(low, odd_low)
        highs[span] = max(high, odd_high)


@kernel(
    *(
        f"void({seen(t)}, {seen('float64')}, {_SPANS}, int64, float64[::1], float64[::1])"
        for t in ("int32", "int64", "float64")
    )
)
def span_weighted(
    weights: Column, values: Floats, starts: Longs, stops: Longs, first: int, stop: int,
    null: int, totals: Floats, weight_sums: Floats,
) -> None:  # fmt: skip
    """Write sums of weight*value and of weight over the rows where neither is null.

    `null` is the null of integer weights.
    """
    for span in range(first, stop):
        total = 0.0
        weight_sum = 0.0
        row = starts[span]
        while row < stops[span]:
            end = min(row + _CHUNK, stops[span])
            nulls = 0
            for place in range(U(row), U(end)):
                value = values[place]
                weight = weights[place]
                nulls += (value != value) | (weight != weight) | (weight == null)
            if nulls == 0:
                for place in range(U(row), U(end)):
                    weight = np.float64(weights[place])
                    total += weight * values[place]
                    weight_sum += weight
            else:
                for place in range(U(row), U(end)):
                    value = values[place]
                    weight = np.float64(weights[place])
                    if value == value and weight == weight and weight != null:
                        total += weight * value
                        weight_sum += weight
            row = end
        totals[span] = total
        weight_sums[span] = weight_sum


@kernel(
    f"void({seen('float64')}, {seen('float64')}, {_SPANS}, int64[::1], float64[::1], float64[::1],"
    " float64[::1])"
)
def span_moments(
    left: Floats, right: Floats, starts: Longs, stops: Longs, first: int, stop: int,
    counts: Longs, products: Floats, left_squares: Floats, right_squares: Floats,
) -> None:  # fmt: skip
    """Write counts and sums of products of deviations, over the rows where both are numbers."""
    for span in range(first, stop):
        count = 0
        left_sum = 0.0
        right_sum = 0.0
        for row in range(starts[span], stops[span]):
            if left[row] == left[row] and right[row] == right[row]:
                left_sum += left[row]
                right_sum += right[row]
                count += 1
        left_mean = left_sum / max(count, 1)
        right_mean = right_sum / max(count, 1)
        product = 0.0
        left_square = 0.0
        right_square = 0.0
        for row in range(starts[span], stops[span]):
            if left[row] == left[row] and right[row] == right[row]:
                a = left[row] - left_mean
                b = right[row] - right_mean
                product += a * b
                left_square += a * a
                right_square += b * b
        counts[span] = count
        products[span] = product
        left_squares[span] = left_square
        right_squares[span] = right_square


@kernel(f"void({seen('float64')}, int64[::1], int64[::1], float64[::1])")
def span_running_sums(values: Floats, starts: Longs, stops: Longs, sums: Floats) -> None:
    """Write the sum of each row and those before it in its span; nulls add nothing."""
    for span in range(starts.shape[0]):
        total = 0.0
        for row in range(starts[span], stops[span]):
            if values[row] == values[row]:
                total += values[row]
            sums[row] = total
