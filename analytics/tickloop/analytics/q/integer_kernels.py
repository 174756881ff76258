"""Sums, differences and products of integers that wrap around and keep nulls, in one pass."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import kernel

Integers = npt.NDArray[Any]
_NULLS: dict[int, Any] = {2: np.int16(-(2**15)), 4: np.int32(-(2**31)), 8: np.int64(-(2**63))}
_WIDE_NULLS: dict[str, Any] = {
    "<i4": np.int32(-(2**31)), "<i8": np.int64(-(2**63)), "<f8": np.float64("nan"),
}  # fmt: skip
_WIDTHS = ("int32", "int64")


def _seen(scalar: str) -> str:
    """Spell the type of an argument: read-only, as mapped columns are."""
    return f"Array({scalar}, 1, 'C', readonly=True)"


def _of_two() -> tuple[str, ...]:
    return tuple(f"void({_seen(w)}, {_seen(w)}, {w}, {w}[::1])" for w in _WIDTHS)


def _of_one() -> tuple[str, ...]:
    return tuple(f"void({_seen(w)}, {w}, {w}, {w}[::1])" for w in _WIDTHS)


@kernel(*_of_two())
def _sum(left: Integers, right: Integers, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one, other = left[row], right[row]
        out[row] = null if (one == null) | (other == null) else one + other


@kernel(*_of_two())
def _difference(left: Integers, right: Integers, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one, other = left[row], right[row]
        out[row] = null if (one == null) | (other == null) else one - other


@kernel(*_of_two())
def _product(left: Integers, right: Integers, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one, other = left[row], right[row]
        out[row] = null if (one == null) | (other == null) else one * other


@kernel(*_of_one())
def _sum_with(left: Integers, right: int, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one = left[row]
        out[row] = null if one == null else one + right


@kernel(*_of_one())
def _difference_from(left: Integers, right: int, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one = left[row]
        out[row] = null if one == null else right - one


@kernel(*_of_one())
def _product_with(left: Integers, right: int, null: int, out: Integers) -> None:
    for row in range(left.shape[0]):
        one = left[row]
        out[row] = null if one == null else one * right


_WIDENED = tuple(
    f"void({_seen(source)}, {source}, {target}, {target}[::1])"
    for source, target in (
        ("int16", "int32"), ("int16", "int64"), ("int16", "float64"),
        ("int32", "int64"), ("int32", "float64"), ("int64", "float64"),
    )
)  # fmt: skip


@kernel(*_WIDENED)
def _widened(source: Integers, null: int, target_null: float, out: Integers) -> None:
    for row in range(source.shape[0]):
        one = source[row]
        out[row] = target_null if one == null else one


def widen(data: Integers, target: np.dtype[Any]) -> Integers:
    """Give integers in a wider type, nulls as its nulls."""
    out = np.empty(data.shape, dtype=target)
    _widened(sealed(data), _NULLS[data.dtype.itemsize], _WIDE_NULLS[target.str], out)
    return out


def sealed(data: Integers) -> Integers:
    """Give a contiguous, aligned, read-only view, copying only what is not."""
    view = np.require(data, requirements=("C", "A")).view()
    view.flags.writeable = False
    return view


_PAIRED = {"+": _sum, "-": _difference, "*": _product}
_WITH_ONE = {"+": _sum_with, "*": _product_with}


def combine(verb: str, left: Any, right: Any) -> Integers:
    """Apply + - or * to two arrays of one integer type, or to an array and a number."""
    vector = left if isinstance(left, np.ndarray) else right
    out = np.empty(vector.shape, dtype=vector.dtype)
    null = _NULLS[vector.dtype.itemsize]
    with np.errstate(over="ignore"):
        if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
            _PAIRED[verb](sealed(left), sealed(right), null, out)
            return out
        number = vector.dtype.type(right if vector is left else left)
        if number == null:
            out.fill(null)
        elif verb != "-":
            _WITH_ONE[verb](sealed(vector), number, null, out)
        elif vector is left:
            _sum_with(sealed(vector), -number, null, out)
        else:
            _difference_from(sealed(vector), number, null, out)
    return out
