"""Longs divided by one positive width at the speed of a sum: a float guess and one correction."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.integer_kernels import sealed
from tickloop.core.kernel import kernel

Longs = npt.NDArray[np.int64]
_NULL = -(2**63)
# Below it, two roundings to 2^-53 and one of the reciprocal leave the guess off by one at most.
_GUESSES = 2.0**51
_SIGNATURE = "boolean(Array(int64, 1, 'C', readonly=True), int64, int64[::1])"


@kernel(_SIGNATURE)
def _bars(values: Longs, width: int, out: Longs) -> bool:
    """Round down to multiples of a width; False if a quotient is too large to guess."""
    inverse = 1.0 / width
    is_exact = True
    for row in range(values.shape[0]):
        value = values[row]
        guess = np.floor(value * inverse)
        is_exact &= (abs(guess) < _GUESSES) | (value == _NULL)
        rest = value - np.int64(guess) * width
        rest = rest + width if rest < 0 else rest
        rest = rest - width if rest >= width else rest
        out[row] = value if value == _NULL else value - rest
    return is_exact


@kernel(_SIGNATURE)
def _quotients(values: Longs, width: int, out: Longs) -> bool:
    """Divide and round down; False if a quotient is too large to guess."""
    inverse = 1.0 / width
    is_exact = True
    for row in range(values.shape[0]):
        value = values[row]
        guess = np.floor(value * inverse)
        is_exact &= (abs(guess) < _GUESSES) | (value == _NULL)
        quotient = np.int64(guess)
        rest = value - quotient * width
        quotient = quotient - 1 if rest < 0 else quotient
        quotient = quotient + 1 if rest >= width else quotient
        out[row] = value if value == _NULL else quotient
    return is_exact


def _applied(step: Any, values: Longs, width: int) -> Longs | None:
    out = np.empty(values.shape, dtype=np.int64)
    with np.errstate(all="ignore"):
        return out if step(sealed(values), width, out) else None


def bars(values: Longs, width: int) -> Longs | None:
    """Round down to multiples of a positive width, nulls kept; None if it takes a slower way."""
    return _applied(_bars, values, width)


def quotients(values: Longs, width: int) -> Longs | None:
    """Divide by a positive width and round down, nulls kept; None if it takes a slower way."""
    return _applied(_quotients, values, width)
