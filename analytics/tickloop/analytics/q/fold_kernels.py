"""Folds over floats from left to right, so that a sum has one value whatever the machine."""

import numpy as np

from tickloop.analytics.q.kinds import Floats
from tickloop.core.kernel import kernel

_FLOATS = "float64[::1]"


@kernel(f"float64({_FLOATS})")
def fold_sum(values: Floats) -> float:
    """Add up from left to right, leaving out NaN."""
    total = 0.0
    for value in values:
        if value == value:
            total += value
    return total


@kernel(f"float64({_FLOATS})")
def fold_product(values: Floats) -> float:
    """Multiply from left to right, leaving out NaN."""
    total = 1.0
    for value in values:
        if value == value:
            total *= value
    return total


@kernel(f"float64({_FLOATS}, {_FLOATS}, float64)")
def fold_deviations(left: Floats, right: Floats, power: float) -> float:
    """Add up products of deviations from the means over pairs without NaN.

    The sum is divided by the count less `power`: 0 for a population, 1 for a sample.
    """
    count = 0
    left_sum = 0.0
    right_sum = 0.0
    for i in range(len(left)):
        if left[i] == left[i] and right[i] == right[i]:
            count += 1
            left_sum += left[i]
            right_sum += right[i]
    if count <= power:
        return np.nan
    left_mean = left_sum / count
    right_mean = right_sum / count
    total = 0.0
    for i in range(len(left)):
        if left[i] == left[i] and right[i] == right[i]:
            total += (left[i] - left_mean) * (right[i] - right_mean)
    return total / (count - power)


@kernel(f"float64({_FLOATS}, {_FLOATS}, {_FLOATS})")
def fold_weighted(weights: Floats, values: Floats, weight: Floats) -> float:
    """Add up weighted values over pairs without NaN; `weight[0]` becomes the sum of weights."""
    total = 0.0
    heavy = 0.0
    for i in range(len(values)):
        if weights[i] == weights[i] and values[i] == values[i]:
            total += weights[i] * values[i]
            heavy += weights[i]
    weight[0] = heavy
    return total
