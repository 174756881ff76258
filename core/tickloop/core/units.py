"""Exact round trips between integers in a power-of-ten unit and correctly rounded floats.

Inside, a price of 100.1 with unit -4 is 1_001_000. The quotient of two integers below 2**53 and
10**22 that are exact as doubles is correctly rounded by IEEE 754 division, so 1_001_000 / 10**4
is the double nearest to 100.1 and `price = 100.1` holds.
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
        if value > EXACT_MAX or value < -EXACT_MAX:
            floats[row] = np.nan
            refused += 1
            continue
        symbol = symbols[row]
        unit = default_unit
        if symbol >= 0 and symbol < units.shape[0]:
            unit = int(units[symbol])
        floats[row] = value / powers[-unit]
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
        scaled = np.rint(number * powers[-unit])
        if abs(scaled) > EXACT_MAX or scaled / powers[-unit] != number:
            values[row] = NULL_LONG
            refused += 1
            continue
        values[row] = np.int64(scaled)
    return refused


def to_floats(
    values: npt.NDArray[np.int64],
    symbols: npt.NDArray[np.int32],
    units: npt.NDArray[np.int8],
    default_unit: int,
) -> tuple[npt.NDArray[np.float64], int]:
    """Convert inside integers to surface floats.

    `units[id]` is the symbol's power of ten (0 to -18); ids past its end and null symbols use
    `default_unit`. Returns the floats and how many values were refused: those beyond ±2**53 do
    not survive the round trip and become null.
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
    if abs(value) > EXACT_MAX:
        raise RangeError(
            f"{value} × 10^{unit} does not fit a float64 exactly (limit ±2^53 units);"
            " choose a coarser unit for this instrument"
        )
    return value / 10.0**-unit


def to_integer(number: float, unit: int) -> int:
    """Convert one surface float; RangeError if it is no whole number of units."""
    scaled = round(number * 10.0**-unit)
    if abs(scaled) > EXACT_MAX or scaled / 10.0**-unit != number:
        raise RangeError(
            f"{number!r} is not a whole number of 10^{unit} units;"
            " choose a finer unit for this instrument"
        )
    return scaled
