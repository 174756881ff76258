"""Tolerant comparison of floats: what differs by a 2^-43rd part is equal, nulls come first."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.integer_kernels import sealed
from tickloop.core.kernel import kernel

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TOLERANCE = 2.0**-43
_SEEN = "Array(float64, 1, 'C', readonly=True)"


@kernel(f"void({_SEEN}, {_SEEN}, boolean, boolean[::1])")
def _equal(left: Floats, right: Floats, expected: bool, out: Flags) -> None:
    for row in range(left.shape[0]):
        one, other = left[row], right[row]
        size = max(abs(one), abs(other))
        near = (abs(one - other) <= TOLERANCE * size) & (size < np.inf)
        same = (one == other) | near | ((one != one) & (other != other))
        out[row] = same == expected


@kernel(f"void({_SEEN}, float64, boolean, boolean[::1])")
def _equal_one(left: Floats, other: float, expected: bool, out: Flags) -> None:
    null = other != other
    for row in range(left.shape[0]):
        one = left[row]
        size = max(abs(one), abs(other))
        near = (abs(one - other) <= TOLERANCE * size) & (size < np.inf)
        same = (one == other) | near | ((one != one) & null)
        out[row] = same == expected


@kernel(f"void({_SEEN}, {_SEEN}, boolean, boolean[::1])")
def _less(left: Floats, right: Floats, expected: bool, out: Flags) -> None:
    for row in range(left.shape[0]):
        one, other = left[row], right[row]
        size = max(abs(one), abs(other))
        near = (abs(one - other) <= TOLERANCE * size) & (size < np.inf)
        less = ((one < other) & (not near)) | ((one != one) & (other == other))
        out[row] = less == expected


@kernel(f"void({_SEEN}, float64, boolean, boolean[::1])")
def _less_one(left: Floats, other: float, expected: bool, out: Flags) -> None:
    known = other == other
    for row in range(left.shape[0]):
        one = left[row]
        size = max(abs(one), abs(other))
        near = (abs(one - other) <= TOLERANCE * size) & (size < np.inf)
        less = ((one < other) & (not near)) | ((one != one) & known)
        out[row] = less == expected


@kernel(f"void({_SEEN}, float64, boolean, boolean[::1])")
def _greater_one(left: Floats, other: float, expected: bool, out: Flags) -> None:
    null = other != other
    for row in range(left.shape[0]):
        one = left[row]
        size = max(abs(one), abs(other))
        near = (abs(one - other) <= TOLERANCE * size) & (size < np.inf)
        greater = ((one > other) & (not near)) | ((one == one) & null)
        out[row] = greater == expected


def _ordered(verb: str, left: Any, right: Any) -> tuple[str, Any, Any]:
    """Spell a comparison of which at least one side is an array with the array on the left."""
    if isinstance(left, np.ndarray):
        return verb, left, right
    return {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(verb, verb), right, left


def compare(verb: str, left: Any, right: Any) -> Flags:
    """Compare two arrays of floats, or an array and a number, by = <> < > <= or >=."""
    verb, left, right = _ordered(verb, left, right)
    left = sealed(left)
    out = np.empty(left.shape, dtype=np.bool_)
    expected = verb in ("=", "<", ">")
    with np.errstate(invalid="ignore"):
        if not isinstance(right, np.ndarray):
            step = {"=": _equal_one, "<>": _equal_one, "<": _less_one, ">=": _less_one}
            step.get(verb, _greater_one)(left, float(right), expected, out)
            return out
        right = sealed(right)
        if verb in ("=", "<>"):
            _equal(left, right, expected, out)
        elif verb in ("<", ">="):
            _less(left, right, expected, out)
        else:
            _less(right, left, expected, out)
    return out


def equal_one(one: float, other: float) -> bool:
    """Tell whether two numbers are tolerantly equal; a null equals a null."""
    if one == other:
        return True
    if one != one or other != other:
        return one != one and other != other
    size = max(abs(one), abs(other))
    return size < np.inf and abs(one - other) <= TOLERANCE * size
