"""Aggregates of spans of rows: one pass over memory, nulls left out, floats added in row order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import seen
from tickloop.core.kernel import inline_kernel, kernel

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
        # Four rows at once, for each comparison waits for the one before. One with NaN is false,
        # so nulls change nothing.
        low_a = low_b = low_c = low_d = np.inf
        high_a = high_b = high_c = high_d = -np.inf
        row = U(starts[span])
        end = U(stops[span])
        while row + U(3) < end:
            a = np.float64(values[row])
            b = np.float64(values[row + U(1)])
            c = np.float64(values[row + U(2)])
            d = np.float64(values[row + U(3)])
            low_a = a if a < low_a else low_a
            low_b = b if b < low_b else low_b
            low_c = c if c < low_c else low_c
            low_d = d if d < low_d else low_d
            high_a = a if a > high_a else high_a
            high_b = b if b > high_b else high_b
            high_c = c if c > high_c else high_c
            high_d = d if d > high_d else high_d
            row += U(4)
        while row < end:
            a = np.float64(values[row])
            low_a = a if a < low_a else low_a
            high_a = a if a > high_a else high_a
            row += U(1)
        lows[span] = min(low_a, low_b, low_c, low_d)
        highs[span] = max(high_a, high_b, high_c, high_d)


@inline_kernel
def _weigh(
    weights: Column, values: Floats, row: int, stop: int, null: int, total: float,
    weight_sum: float,
) -> tuple[float, float]:  # fmt: skip
    """Add some rows' weight*value, and weight, to what is there; nulls are left out."""
    for place in range(U(row), U(stop)):
        value = values[place]
        weight = np.float64(weights[place])
        if value == value and weight == weight and weights[place] != null:
            total += weight * value
            weight_sum += weight
    return total, weight_sum


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

    `null` is the null of integer weights. Two spans go side by side, for each sum waits for the
    one before; either one's rows are added in their order. They are added again, one by one, where
    a sum says that there was a null.
    """
    for one in range(first, stop, 2):
        other = min(one + 1, stop - 1)
        rows = min(stops[one] - starts[one], stops[other] - starts[other])
        a, b = U(starts[one]), U(starts[other])
        total_a = weight_a = total_b = weight_b = 0.0
        nulls = False
        for place in range(U(rows)):
            weight = np.float64(weights[a + place])
            total_a += weight * values[a + place]
            weight_a += weight
            nulls |= weights[a + place] == null
            weight = np.float64(weights[b + place])
            total_b += weight * values[b + place]
            weight_b += weight
            nulls |= weights[b + place] == null
        total = total_a + weight_a + total_b + weight_b
        if nulls or total != total:
            rows = 0
            total_a = weight_a = total_b = weight_b = 0.0
        totals[one], weight_sums[one] = _weigh(
            weights, values, starts[one] + rows, stops[one], null, total_a, weight_a
        )
        if other != one:
            totals[other], weight_sums[other] = _weigh(
                weights, values, starts[other] + rows, stops[other], null, total_b, weight_b
            )


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
