"""Loops over moving windows: every item enters once and leaves once."""

import numpy as np

from tickloop.analytics.q.kinds import Floats, Positions
from tickloop.core.kernel import inline_kernel, kernel

_FLOATS, _LONGS = "float64[::1]", "int64[::1]"


@kernel(f"void({_FLOATS}, int64, {_FLOATS}, {_LONGS})")
def moving_sums(values: Floats, window: int, sums: Floats, counts: Positions) -> None:
    """Sum the known items of each window, and count them.

    Compensated, so that what left a window leaves no trace; infinities are counted instead.
    """
    total = 0.0
    lost = 0.0
    ups = 0
    downs = 0
    count = 0
    for i in range(len(values)):
        for step in range(2):
            place = i if step == 0 else i - window
            if place < 0:
                continue
            sign = 1 if step == 0 else -1
            value = values[place]
            if value != value:
                continue
            count += sign
            if np.isinf(value):
                ups += sign if value > 0 else 0
                downs += sign if value < 0 else 0
                continue
            value = sign * value
            moved = total + value
            if abs(total) >= abs(value):
                lost += (total - moved) + value
            else:
                lost += (value - moved) + total
            total = moved
        counts[i] = count
        if ups > 0 or downs > 0:
            sums[i] = np.nan if ups > 0 and downs > 0 else (np.inf if ups > 0 else -np.inf)
        else:
            sums[i] = total + lost


@inline_kernel
def window_deviation(values: Floats, first: int, last: int) -> float:
    """Give the deviation of the known items from `first` to `last`, in two passes."""
    count = 0
    total = 0.0
    for j in range(first, last + 1):
        if values[j] == values[j]:
            count += 1
            total += values[j]
    mean = total / count
    squares = 0.0
    for j in range(first, last + 1):
        if values[j] == values[j]:
            squares += (values[j] - mean) ** 2
    return float(np.sqrt(squares / count))


@kernel(f"void({_FLOATS}, int64, {_FLOATS}, {_FLOATS}, {_LONGS}, {_FLOATS})")
def moving_deviations(
    values: Floats,
    window: int,
    sums: Floats,
    squares: Floats,
    counts: Positions,
    deviations: Floats,
) -> None:
    """Give each window's deviation from its sums, and sums of squares, of values near zero.

    Where squares cancel to less than they are exact to, the window itself is gone through; one
    of equal items is told by the length of their run.
    """
    run = 0
    for i in range(len(values)):
        run = run + 1 if i > 0 and values[i] == values[i - 1] else 1
        count = counts[i]
        if count == 0 or not np.isfinite(squares[i]):
            deviations[i] = np.nan
        elif run >= min(window, i + 1):
            deviations[i] = 0.0
        else:
            mean = sums[i] / count
            level = squares[i] / count
            variance = level - mean * mean
            if variance > 1e-7 * level:
                deviations[i] = np.sqrt(variance)
            else:
                deviations[i] = window_deviation(values, max(0, i - window + 1), i)


@kernel(f"void({_LONGS}, int64, {_LONGS}, {_LONGS})")
def moving_greatest(keys: Positions, window: int, queue: Positions, places: Positions) -> None:
    """Write where the greatest key of each window stands; `queue` is as long as `keys`."""
    head = 0
    tail = 0
    for i in range(len(keys)):
        while tail > head and keys[queue[tail - 1]] <= keys[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        while queue[head] <= i - window:
            head += 1
        places[i] = queue[head]


@kernel(f"void({_FLOATS}, {_FLOATS}, {_FLOATS})")
def moving_exponential(values: Floats, alphas: Floats, means: Floats) -> None:
    """Move each mean towards its item by its alpha; the first item starts it."""
    if len(values) == 0:
        return
    mean = values[0]
    means[0] = mean
    for i in range(1, len(values)):
        alpha = alphas[i] if len(alphas) > 1 else alphas[0]
        mean = mean * (1.0 - alpha) + values[i] * alpha
        means[i] = mean
