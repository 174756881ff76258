"""Numbers of one type as those of another: nulls stay null, what is too big is infinite."""

from typing import Any, TypeAlias

import numpy as np

from tickloop.analytics.q.integer_kernels import widen
from tickloop.analytics.q.promotion import FLOATING
from tickloop.analytics.q.values import DTYPES, NULLS, Array, QType, Simple

# Types whose smallest integer is a null.
HOLDS_NULL = frozenset(DTYPES) - FLOATING - {
    QType.BOOLEAN, QType.GUID, QType.BYTE, QType.CHAR, QType.SYMBOL,
}  # fmt: skip
Number: TypeAlias = bool | int | float


def infinity_of(kind: QType) -> int:
    """Give the integer infinity of a type."""
    return int(np.iinfo(DTYPES[kind]).max)


def is_null(data: Array, kind: QType) -> Array:
    """Flag the nulls of an array."""
    if kind in FLOATING:
        return np.isnan(data)
    if kind is QType.GUID:
        return ~np.asarray(np.ascontiguousarray(data).view("<u8").reshape(-1, 2).any(axis=1))
    if kind in (QType.BOOLEAN, QType.BYTE):
        return np.zeros(len(data), dtype=np.bool_)
    return np.asarray(data == NULLS[kind])


def with_nulls(result: Array, where: Array, kind: QType) -> Array:
    """Write nulls of a type into a fresh array."""
    np.copyto(result, DTYPES[kind].type(NULLS[kind]), where=where)
    return result


def as_underlying(data: Array, source: QType, target: QType) -> Array:
    """Give the numbers of one type as those of another, without a thought for their units."""
    from_float, to_float = source in FLOATING, target in FLOATING
    if from_float and to_float:
        with np.errstate(over="ignore"):
            return data.astype(DTYPES[target], copy=False)
    if target is QType.BOOLEAN:
        return data.astype(np.bool_)
    if from_float:
        return _from_float(data, target)
    if not to_float:
        return _between_integers(data, source, target)
    if source not in HOLDS_NULL:
        return data.astype(DTYPES[target])
    return widen(data, DTYPES[QType.FLOAT]).astype(DTYPES[target], copy=False)


def _between_integers(data: Array, source: QType, target: QType) -> Array:
    if target not in HOLDS_NULL:
        return _to_byte(data, source)
    if source not in HOLDS_NULL:
        return data.astype(DTYPES[target])
    if data.dtype == DTYPES[target]:
        return data
    if data.dtype.itemsize < DTYPES[target].itemsize:
        return widen(data, DTYPES[target])
    limit = infinity_of(target)
    narrow = np.clip(data, -limit, limit).astype(DTYPES[target])
    return with_nulls(narrow, data == NULLS[source], target)


def _to_byte(data: Array, source: QType) -> Array:
    """Keep the low byte of what first had to fit an int."""
    if data.dtype.itemsize == 8:
        data = _between_integers(data, source, QType.INT)
    return data.astype(np.uint8)


def _from_float(data: Array, target: QType) -> Array:
    """Round to the nearest whole number, halves up."""
    wide = data.astype(np.float64)
    down = np.floor(wide)
    with np.errstate(invalid="ignore"):
        rounded = np.where(wide - down >= 0.5, down + 1, down)
    if target not in HOLDS_NULL:
        return _to_byte(whole(rounded, QType.INT), QType.INT)
    return whole(rounded, target)


def whole(data: Array, target: QType) -> Array:
    """Give whole floats as integers: NaN as null, what does not fit as an infinity."""
    limit = infinity_of(target)
    with np.errstate(invalid="ignore"):
        fits = np.abs(data) < float(limit)
        result = np.where(fits, data, 0.0).astype(DTYPES[target])
    if not fits.all():
        np.copyto(result, limit, where=data >= float(limit))
        np.copyto(result, -limit, where=data <= -float(limit))
        with_nulls(result, np.isnan(data), target)
    return result


def one_as_underlying(value: Simple, source: QType, target: QType) -> Any:
    """Give one number of a type as that of another."""
    if source is target:
        return value
    if source is QType.LONG and target is QType.FLOAT:
        return float("nan") if value == NULLS[source] else float(value)
    return as_underlying(np.array([value], dtype=DTYPES[source]), source, target)[0].item()
