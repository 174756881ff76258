"""What verbs need to know of types: nulls, infinities, and an order that arrays compare by."""

import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Enumerated,
    List,
    QType,
    Value,
    Vector,
    collect,
    plain,
    vector,
)

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WHOLE = frozenset({QType.SHORT, QType.INT, QType.LONG})
FLOATING = frozenset({QType.REAL, QType.FLOAT, QType.DATETIME})
UNRANKED = frozenset({QType.SYMBOL, QType.GUID})  # neither added nor averaged
NULLLESS = frozenset({QType.BOOLEAN, QType.BYTE})

# NumPy crashes where it repeats something more often than memory holds, so this is asked first.
_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def null_mask(values: Vector) -> Mask:
    """Tell which items are null."""
    kind, data = values.type, values.data
    if kind in NULLLESS:
        return np.zeros(len(data), dtype=np.bool_)
    if kind in FLOATING:
        return np.isnan(data)
    if kind is QType.GUID:
        return np.asarray(data.view(np.uint64).reshape(-1, 2).max(axis=1, initial=0) == 0)
    return np.asarray(data == NULLS[kind])


def greatest(kind: QType) -> Any:
    """Give what stands above every value of a type: its infinity, or the last value."""
    dtype = _dtype(kind)
    if dtype.kind == "f":
        return np.inf
    return True if dtype.kind == "b" else int(np.iinfo(dtype).max)


def least(kind: QType) -> Any:
    """Give what stands below every value of a type but null."""
    dtype = _dtype(kind)
    if dtype.kind == "f":
        return -np.inf
    if dtype.kind == "b":
        return False
    return int(np.iinfo(dtype).min) + (dtype.kind == "i")


def _dtype(kind: QType) -> np.dtype[Any]:
    if kind in UNRANKED:
        raise type_error(f"{kind.name.lower()} seen, numbers, chars or times needed")
    return vector(kind, []).data.dtype


def as_floats(values: Vector) -> Floats:
    """Give numbers as floats, nulls as NaN; 'type for symbols and guids."""
    kind, data = values.type, values.data
    if kind in UNRANKED:
        raise type_error(f"{kind.name.lower()} seen, numbers, chars or times needed")
    floats = data.astype(np.float64)
    if kind not in FLOATING and kind not in NULLLESS and kind is not QType.CHAR:
        floats[null_mask(values)] = np.nan
    return floats


def order_keys(values: Vector) -> Array:
    """Give integers (guids: big-endian pairs) in the order of the values, nulls first."""
    kind, data = values.type, values.data
    if kind is QType.SYMBOL:
        return INTERNED.ranks()[data]
    if kind in FLOATING:
        return _float_keys(data)
    if kind is QType.GUID:
        halves = data.view(">u8").reshape(-1, 2).astype(np.uint64)
        pairs = np.empty(len(data), dtype=[("high", "u8"), ("low", "u8")])
        pairs["high"], pairs["low"] = halves[:, 0], halves[:, 1]
        return pairs
    return data.view(np.uint8) if kind is QType.BOOLEAN else data


def _float_keys(data: Array) -> Array:
    """Order floats as integers: NaN, -infinity, ..., -0 and 0 alike, ..., infinity."""
    bits = exact_bits(data)
    limits = np.iinfo(bits.dtype)
    keys = np.where(bits < 0, bits ^ bits.dtype.type(limits.max), bits)
    keys[np.isnan(data)] = limits.min
    return keys


def exact_bits(data: Array) -> Array:
    """Give floats as integers that are equal where q finds them the same: one NaN, one zero."""
    same = data + data.dtype.type(0)  # turns -0 into 0
    same[np.isnan(same)] = np.nan
    bits: Array = same.view(np.int64 if same.dtype.itemsize == 8 else np.int32)
    return bits


def whole_atom(value: Value) -> int | None:
    """Give the number in a short, int, long, byte or boolean atom, None for anything else."""
    if isinstance(value, Atom) and (value.type in WHOLE or value.type in NULLLESS):
        return int(value.value)
    return None


def is_null_whole(value: Value) -> bool:
    """Tell whether an atom is 0Nh, 0Ni or 0N."""
    return isinstance(value, Atom) and value.type in WHOLE and value.value == NULLS[value.type]


def whole_vector(value: Value) -> Positions | None:
    """Give the numbers in a vector of whole numbers, its nulls as the least long."""
    if not isinstance(value, Vector) or (value.type not in WHOLE and value.type not in NULLLESS):
        return None
    numbers = value.data.astype(np.int64)
    if value.type in WHOLE:
        numbers[null_mask(value)] = NULLS[QType.LONG]
    return numbers


def longs(values: npt.ArrayLike) -> Vector:
    """Make a long vector."""
    return Vector(QType.LONG, np.ascontiguousarray(values, dtype=np.int64))


def booleans(values: npt.ArrayLike) -> Vector:
    """Make a boolean vector."""
    return Vector(QType.BOOLEAN, np.ascontiguousarray(values, dtype=np.bool_))


def floats(values: npt.ArrayLike) -> Vector:
    """Make a float vector."""
    return Vector(QType.FLOAT, np.ascontiguousarray(values, dtype=np.float64))


def as_list(value: Value) -> Value:
    """Give a list as it is, and the one-item list of anything else."""
    return value if isinstance(value, Vector | Enumerated | List) else collect([value])


def simple(value: Value) -> Value:
    """Make a vector of an enumeration, or of a general list that is one in fact."""
    if isinstance(value, List) and value.items:
        return collect(value.items)
    return plain(value)


def limited(count: int) -> int:
    """Refuse counts that could never be held: 'limit, or 'wsfull on this machine."""
    if not 0 <= count <= sys.maxsize // 64:
        raise QError("limit", f"a list of {count} items asked for")
    if count > _MEMORY_BYTES:
        raise QError("wsfull", f"a list of {count} items asked for, more than memory has bytes")
    return count
