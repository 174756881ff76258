"""Surface columns as QuestDB takes them: instants since 1970, nulls as its own nulls."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import DAY_NS, EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_INT, NULL_LONG, NULL_SHORT
from tickloop.core.schema import Column, Kind

_Array = npt.NDArray[np.generic]
_DAYS_MAX = (2**63 - 1 - EPOCH_UNIX_NS) // DAY_NS
_ASCII = 128
# An empty list of names has no type.
_NO_NAMES = ("",)
_MONTHS_0 = (2000 - 1970) * 12


@dataclass(frozen=True, slots=True)
class Coded:
    """Texts as positions in a list; -1 is null."""

    codes: npt.NDArray[np.int32]
    names: Sequence[str]


Spelled = _Array | Coded | Sequence[str | None]


def columns_of(rows: Batch, names: Sequence[str]) -> tuple[dict[str, Spelled], int]:
    """Spell every column; also give how many values QuestDB has no spelling for (sent as null)."""
    found: dict[str, Spelled] = {}
    refused = 0
    for column in rows.table.columns:
        values = rows.columns[column.name]
        if column.kind is Kind.CHAR:
            found[column.name], unspelled = _chars(values)
            refused += unspelled
        else:
            found[column.name] = _column(column, values, names)
    return found, refused


def _column(column: Column, values: _Array, names: Sequence[str]) -> Spelled:
    kind = column.kind
    if kind is Kind.SYMBOL:
        return _symbols(values.astype(np.int32, copy=False), names)
    if kind in (Kind.INSTANT, Kind.DATE, Kind.MONTH, Kind.DATETIME):
        return _instants(kind, values)
    if kind is Kind.TEXT:
        return [text.decode(errors="backslashreplace") for text in values.tolist()]
    if kind is Kind.GUID:
        return [_guid(raw) for raw in values.tolist()]
    if kind is Kind.FLAG:
        return values.astype(np.bool_)
    if kind is Kind.SHORT:
        return np.where(values == NULL_SHORT, NULL_INT, values.astype(np.int32))
    return values.astype(np.int32) if kind is Kind.BYTE else values


def _symbols(ids: npt.NDArray[np.int32], names: Sequence[str]) -> Coded:
    """Number the names that occur: a database has many more than a request."""
    is_used = np.zeros(len(names) + 1, dtype=np.bool_)
    is_used[np.maximum(ids, -1)] = True
    is_used[-1] = False
    used = np.flatnonzero(is_used)
    codes = np.full(len(names) + 1, -1, dtype=np.int32)
    codes[used] = np.arange(len(used), dtype=np.int32)
    spelled = [_utf8(names[index]) for index in used.tolist()]
    return Coded(codes[np.maximum(ids, -1)], spelled or _NO_NAMES)


def _utf8(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _chars(values: _Array) -> tuple[Coded, int]:
    codes = values.astype(np.int32)
    unspelled = codes >= _ASCII
    codes[(codes == NULL_CHAR) | (codes == 0) | unspelled] = -1
    return Coded(codes, _CHARS), int(np.count_nonzero(unspelled))


_CHARS = [chr(code) for code in range(_ASCII)]


def _instants(kind: Kind, values: _Array) -> _Array:
    if kind is Kind.INSTANT:
        longs = values.astype(np.int64, copy=False)
    elif kind is Kind.DATETIME:
        days = values.astype(np.float64, copy=False)
        good = np.abs(days) < _DAYS_MAX
        longs = np.where(good, np.where(good, days, 0) * DAY_NS, NULL_LONG).astype(np.int64)
    else:
        longs = _days(kind, values.astype(np.int64))
    unix = np.where(longs == NULL_LONG, NULL_LONG, longs + EPOCH_UNIX_NS * (longs != NULL_LONG))
    return unix.astype(np.int64).view("datetime64[ns]")


def _days(kind: Kind, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    good = (values != NULL_INT) & (np.abs(values) < _DAYS_MAX)
    held = np.where(good, values, 0)
    if kind is Kind.MONTH:
        months = (held + _MONTHS_0).astype("datetime64[M]")
        held = months.astype("datetime64[D]").astype(np.int64) - EPOCH_UNIX_NS // DAY_NS
        good &= np.abs(held) < _DAYS_MAX
    return np.where(good, held * DAY_NS, NULL_LONG)


def _guid(raw: bytes) -> str | None:
    return None if raw == bytes(16) else str(uuid.UUID(bytes=raw))
