"""Whole division of arrays: floors, remainders and bars, with nulls, zeros and infinities."""

from typing import Any

import numpy as np

from tickloop.analytics.q.division_kernels import bars, quotients
from tickloop.analytics.q.values import Array


def _null_of(dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.iinfo(dtype).min)


def _nulls(left: Array, right: Array) -> Array:
    """Flag where either side is null."""
    null = _null_of(left.dtype)
    if right.ndim == 0:
        flags: Array = left == null
        return flags if right != null else np.ones_like(flags)
    if left.ndim == 0:
        flags = right == null
        return flags if left != null else np.ones_like(flags)
    return np.asarray((left == null) | (right == null))


def _is_by_one_width(values: Array, width: Array) -> bool:
    return values.ndim == 1 and width.ndim == 0 and values.dtype == np.int64 and bool(width > 0)


def _float_ratio(left: Array, right: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.floor(np.divide(left, right)))


def div_arrays(left: Array, right: Array) -> Array:
    """Give the greatest whole number that does not exceed left%right; by zero it is infinite."""
    if left.dtype.kind == "f":
        return _float_ratio(left, right)
    if _is_by_one_width(left, right) and (fast := quotients(left, int(right))) is not None:
        return fast
    with np.errstate(all="ignore"):
        result = np.asarray(np.floor_divide(left, right))
    zeros = right == 0
    if zeros.any():
        infinity = np.iinfo(left.dtype).max
        limits = np.where(left > 0, infinity, np.where(left < 0, -infinity, _null_of(left.dtype)))
        result = np.where(zeros, limits, result).astype(left.dtype)
    np.copyto(result, _null_of(left.dtype), where=_nulls(left, right))
    return result


def mod_arrays(left: Array, right: Array) -> Array:
    """Give left-right*left div right: the remainder has the divisor's sign; by zero it is left."""
    with np.errstate(all="ignore"):
        if left.dtype.kind == "f":
            return np.asarray(left - right * _float_ratio(left, right))
        result = np.asarray(np.mod(left, right))
    zeros = right == 0
    if zeros.any():
        result = np.where(zeros, left, result)
    np.copyto(result, _null_of(left.dtype), where=_nulls(left, right))
    return result


def bar_arrays(width: Array, values: Array) -> Array:
    """Give width*values div width: each value rounded down to a multiple of its width."""
    with np.errstate(all="ignore"):
        if values.dtype.kind == "f":
            return np.asarray(width * _float_ratio(values, width))
        if _is_by_one_width(values, width) and (fast := bars(values, int(width))) is not None:
            return fast
        result = np.asarray(np.floor_divide(values, width))
        result = np.asarray(np.multiply(result, width))
    np.copyto(result, _null_of(values.dtype), where=_nulls(width, values))
    return result
