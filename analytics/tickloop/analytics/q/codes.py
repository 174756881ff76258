"""Columns as dense codes in the order of their values, so that groups come out sorted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.group_kernels import bounds, hash_codes, look_up, mark_firsts
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
    plain,
    type_of,
)

Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

_HASH_START = 1 << 12
_NULL_LONG = -(2**63)


@dataclass(frozen=True, slots=True)
class Coded:
    """A code for every row: rows have equal codes where they are equal, and codes sort as rows."""

    codes: Codes
    count: int


def coded(columns: Sequence[Value]) -> Coded:
    """Give codes of rows that are made of equally long columns."""
    parts = [_coded_column(column) for column in columns]
    if len(parts) == 1:
        return parts[0]
    joint, count = parts[0].codes.astype(np.int64), parts[0].count
    for part in parts[1:]:
        if count and part.count > 2**62 // count:
            dense = _coded_longs(joint)
            joint, count = dense.codes.astype(np.int64), dense.count
        joint = joint * part.count + part.codes
        count *= part.count
    return _coded_longs(joint)


def _coded_column(column: Value) -> Coded:
    if isinstance(column, Enumerated) and not column.domain.is_symbolic:
        column = plain(column)
    if isinstance(column, Enumerated):
        return _coded_symbols(column.data, column.domain.symbols())
    if isinstance(column, Table):
        return coded(column.columns)
    if not isinstance(column, Vector):
        return _coded_items(items_of(column))
    if column.type is QType.SYMBOL:
        return _coded_symbols(column.data, np.arange(len(INTERNED), dtype=np.int32))
    if column.type is QType.GUID:
        halves = np.ascontiguousarray(column.data).view(">u8").reshape(-1, 2)
        return coded([Vector(QType.LONG, ordered_longs(halves[:, side])) for side in (0, 1)])
    return _coded_longs(ordered_longs(column.data))


def ordered_longs(data: Array) -> Array:
    """Give integers that sort and equal as values do: floats by their bits, NaN lowest."""
    if data.dtype.kind == "f":
        bits = (data.astype(np.float64) + 0.0).view(np.int64)
        bits = bits ^ ((bits >> 63) & np.int64(2**63 - 1))
        bits[np.isnan(data)] = _NULL_LONG
        return bits
    if data.dtype.kind == "b":
        return data.view(np.uint8)
    if data.dtype.kind == "u" and data.dtype.itemsize == 8:
        return (data.astype(np.uint64) ^ np.uint64(2**63)).view(np.int64)
    return data


def _coded_symbols(positions: Array, symbols: Array) -> Coded:
    """Code positions in a list of symbols; a position outside it is the null symbol."""
    if not len(positions):
        return Coded(np.empty(0, dtype=np.int32), 0)
    # One place in front for null positions, however they are spelled.
    firsts = np.full(len(symbols), -1, dtype=np.int32)
    inside = positions
    outside = (positions < 0) | (positions >= len(symbols))
    has_null = bool(outside.any())
    if has_null:
        inside = np.where(outside, 0, positions)
        mark_firsts(look(inside[~outside]), 0, firsts)
    else:
        mark_firsts(look(inside), 0, firsts)
    used = np.flatnonzero(firsts >= 0)
    ranks = INTERNED.ranks()[symbols[used]]
    distinct, dense = np.unique(np.append(ranks, 0) if has_null else ranks, return_inverse=True)
    table = np.full(len(symbols), -1, dtype=np.int32)
    table[used] = dense[: len(used)]
    codes = np.empty(len(positions), dtype=np.int32)
    look_up(look(inside), 0, table, codes)
    if has_null:
        codes[outside] = dense[-1]
    return Coded(codes, len(distinct))


def _coded_longs(values: Array) -> Coded:
    """Code integers: by a table where their range is small, else by hashing and sorting."""
    if not len(values):
        return Coded(np.empty(0, dtype=np.int32), 0)
    ends = np.empty(2, dtype=np.int64)
    bounds(look(values), ends)
    low, high = int(ends[0]), int(ends[1])
    if high - low < max(4 * len(values), 1 << 16):
        return _by_table(values, low, high - low + 1)
    longs = values.astype(np.int64, copy=False)
    distinct, codes = _hashed(longs)
    order = np.argsort(distinct, kind="stable")
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return Coded(ranks[codes], len(order))


def _by_table(values: Array, low: int, size: int) -> Coded:
    firsts = np.full(size, -1, dtype=np.int32)
    mark_firsts(look(values), low, firsts)
    used = firsts >= 0
    table = np.cumsum(used, dtype=np.int32)
    count = int(table[-1])
    table -= 1
    codes = np.empty(len(values), dtype=np.int32)
    look_up(look(values), low, table, codes)
    return Coded(codes, count)


def _hashed(values: Longs) -> tuple[Longs, Codes]:
    codes = np.empty(len(values), dtype=np.int32)
    limit = _HASH_START
    while True:
        slots = np.full(4 * limit, -1, dtype=np.int32)
        distinct = np.empty(limit, dtype=np.int64)
        known = hash_codes(look(values), slots, distinct, codes, limit)
        if known >= 0:
            return distinct[:known].copy(), codes
        limit = min(limit * 16, 1 << (len(values) - 1).bit_length())


def _coded_items(items: Sequence[Value]) -> Coded:
    keys = [identity(item) for item in items]
    known: dict[Any, int] = {}
    found = np.fromiter(
        (known.setdefault(key, len(known)) for key in keys), dtype=np.int32, count=len(keys)
    )
    order = np.array(sorted(range(len(known)), key=list(known).__getitem__), dtype=np.int64)
    ranks = np.empty(len(known), dtype=np.int32)
    ranks[order] = np.arange(len(known), dtype=np.int32)
    return Coded(ranks[found], len(known))


def identity(value: Value) -> Any:
    """Give what is equal for values that match, and sorts within one type."""
    value = plain(value)
    if isinstance(value, Atom):
        item = value.value
        if isinstance(item, float) and math.isnan(item):
            return (-int(value.type), -1, 0.0)
        return (-int(value.type), 0, _comparable(item))
    if isinstance(value, Vector):
        if value.type in (QType.CHAR, QType.GUID, QType.BYTE, QType.BOOLEAN):
            return (int(value.type), 0, value.data.tobytes())
        if value.type is QType.SYMBOL:
            return (
                11,
                0,
                tuple(
                    name.encode("utf-8", "surrogateescape") for name in INTERNED.names(value.data)
                ),
            )
        return (int(value.type), 0, tuple(ordered_longs(value.data).tolist()))
    if isinstance(value, List):
        return (0, 0, tuple(identity(item) for item in value.items))
    return (type_of(value), 0, id(value))


def _comparable(item: Any) -> Any:
    return item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item


def is_null_item(kind: QType, item: Any) -> bool:
    """Tell whether an item of an array is its type's null."""
    null = NULLS[kind]
    return bool(item != item) if null != null else bool(item == null)
