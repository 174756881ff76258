"""Aggregates of rows by their codes: one pass, each row added to its group's running result."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import seen
from tickloop.core.kernel import kernel

Column = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_INTS = ("uint8", "int16", "int32", "int64")
_FLOATS = ("float32", "float64")
_CODES = seen("int32")


@kernel(*(f"void({seen(t)}, {_CODES}, int64, int64[::1], int64[::1])" for t in _INTS))
def code_sums(values: Column, codes: Codes, null: int, sums: Longs, counts: Longs) -> None:
    """Add the values that are not `null` to their groups' sums, and count them."""
    for row in range(values.shape[0]):
        value = np.int64(values[row])
        if value != null:
            sums[codes[row]] += value
            counts[codes[row]] += 1


@kernel(*(f"void({seen(t)}, {_CODES}, float64[::1], int64[::1])" for t in _FLOATS))
def code_float_sums(values: Column, codes: Codes, sums: Floats, counts: Longs) -> None:
    """Add the values that are numbers to their groups' sums, and count them."""
    for row in range(values.shape[0]):
        value = np.float64(values[row])
        if value == value:
            sums[codes[row]] += value
            counts[codes[row]] += 1


@kernel(*(f"void({seen(t)}, {_CODES}, int64, int64[::1], int64[::1])" for t in _INTS))
def code_extremes(values: Column, codes: Codes, null: int, lows: Longs, highs: Longs) -> None:
    """Lower `lows` and raise `highs` to the least and the greatest value of each group."""
    for row in range(values.shape[0]):
        value = np.int64(values[row])
        if value != null:
            code = codes[row]
            lows[code] = min(lows[code], value)
            highs[code] = max(highs[code], value)


@kernel(*(f"void({seen(t)}, {_CODES}, float64[::1], float64[::1])" for t in _FLOATS))
def code_float_extremes(values: Column, codes: Codes, lows: Floats, highs: Floats) -> None:
    """Lower `lows` and raise `highs` to the least and the greatest number of each group."""
    for row in range(values.shape[0]):
        value = np.float64(values[row])
        code = codes[row]
        if value < lows[code]:
            lows[code] = value
        if value > highs[code]:
            highs[code] = value


@kernel(
    *(
        f"void({seen(t)}, {seen('float64')}, {_CODES}, int64, float64[::1], float64[::1])"
        for t in ("int32", "int64", "float64")
    )
)
def code_weighted(
    weights: Column, values: Floats, codes: Codes, null: int, totals: Floats, weight_sums: Floats
) -> None:
    """Add weight*value and weight to their groups' sums where neither is null."""
    for row in range(values.shape[0]):
        value = values[row]
        weight = np.float64(weights[row])
        if value == value and weight == weight and weight != null:
            totals[codes[row]] += weight * value
            weight_sums[codes[row]] += weight
