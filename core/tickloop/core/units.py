"""Exact round trips between integers in a power-of-ten unit and correctly rounded floats.

Inside, a price of 100.1 with unit -4 is 1_001_000. The quotient of two integers below 2**53 and
10**22 that are exact as doubles is correctly rounded by IEEE 754 division, so 1_001_000 / 10**4
is the double nearest to 100.1 and `price = 100.1` holds.

The way back is the nearest integer to float × 10**k. Both roundings together stay below half a
unit for every integer up to 2**51; beyond, in units finer than 1, two neighbours may share one
double, so each value is tried and what does not come back is refused.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import RangeError
from tickloop.core.kernel import kernel

NULL_LONG = -(2**63)
# The largest integer magnitude up to which every integer is a double.
EXACT_MAX = 2**53
UNIT_MIN = -18
POWERS = np.array([10.0**k for k in range(19)])


@kernel(
    "int64(int64[::1], int32[::1], int8[::1], int64, float64[::1], float64[::1])",
)
def _to_floats(
    values: npt.NDArray[np.int64],
    symbols: npt.NDArray[np.int32],
    units: npt.NDArray[np.int8],
    default_unit: int,
    powers: npt.NDArray[np.float64],
    floats: npt.NDArray[np.float64],
) -> int:
    refused = 0
    for row in range(values.shape[0]):
        value = values[row]
        if value == NULL_LONG:
            floats[row] = np.nan
            continue
        symbol = symbols[row]
        unit = default_unit
        if symbol >= 0 and symbol < units.shape[0]:
            unit = int(units[symbol])
        number = value / powers[-unit]
        exact = -EXACT_MAX <= value <= EXACT_MAX and np.rint(number * powers[-unit]) == value
        floats[row] = number if exact else np.nan
        refused += not exact
    return refused


@kernel(
    "int64(float64[::1], int32[::1], int8[::1], int64, float64[::1], int64[::1])",
)
def _to_integers(
    floats: npt.NDArray[np.float64],
    symbols: npt.NDArray[np.int32],
    units: npt.NDArray[np.int8],
    default_unit: int,
    powers: npt.NDArray[np.float64],
    values: npt.NDArray[np.int64],
) -> int:
    refused = 0
    for row in range(floats.shape[0]):
        number = floats[row]
        if np.isnan(number):
            values[row] = NULL_LONG
            continue
        symbol = symbols[row]
        unit = default_unit
        if symbol >= 0 and symbol < units.shape[0]:
            unit = int(units[symbol])
        power = powers[-unit]
        values[row] = NULL_LONG
        # Compared before it is multiplied, so that nothing overflows.
        if abs(number) <= EXACT_MAX / power:
            scaled = np.rint(number * power)
            if scaled / power == number:
                values[row] = np.int64(scaled)
        refused += values[row] == NULL_LONG
    return refused


def to_floats(
    values: npt.NDArray[np.int64],
    symbols: npt.NDArray[np.int32],
    units: npt.NDArray[np.int8],
    default_unit: int,
) -> tuple[npt.NDArray[np.float64], int]:
    """Convert inside integers to surface floats.

    `units[id]` is the symbol's power of ten (0 to -18); ids past its end and null symbols use
    `default_unit`. Returns the floats and how many values were refused: those that do not
    survive the round trip become null (all beyond ±2**53, some beyond ±2**51, none within).
    """
    floats = np.empty(values.shape[0], dtype=np.float64)
    refused = _to_floats(
        np.ascontiguousarray(values), np.ascontiguousarray(symbols), units, default_unit, POWERS,
        floats,
    )  # fmt: skip
    return floats, refused


def to_integers(
    floats: npt.NDArray[np.float64],
    symbols: npt.NDArray[np.int32],
    units: npt.NDArray[np.int8],
    default_unit: int,
) -> tuple[npt.NDArray[np.int64], int]:
    """Convert surface floats to inside integers, the inverse of `to_floats`.

    Returns the integers and how many values were refused: those that are no whole number of
    units, or too large, become null.
    """
    values = np.empty(floats.shape[0], dtype=np.int64)
    refused = _to_integers(
        np.ascontiguousarray(floats), np.ascontiguousarray(symbols), units, default_unit, POWERS,
        values,
    )  # fmt: skip
    return values, refused


def to_float(value: int, unit: int) -> float:
    """Convert one inside integer; RangeError if it does not survive the round trip."""
    power = 10.0**-unit
    if abs(value) > EXACT_MAX or round(value / power * power) != value:
        raise RangeError(
            f"{value} × 10^{unit} does not fit a float64 exactly (±2^51 units always do);"
            " choose a coarser unit for this instrument"
        )
    return value / power


def to_integer(number: float, unit: int) -> int:
    """Convert one surface float; RangeError if it is no whole number of units."""
    power = 10.0**-unit
    # A NaN compares false with everything and so is refused too.
    scaled = round(number * power) if abs(number) <= EXACT_MAX / power else None
    if scaled is None or scaled / power != number:
        raise RangeError(
            f"{number!r} is not a whole number of 10^{unit} units;"
            " choose a finer unit for this instrument"
        )
    return scaled
