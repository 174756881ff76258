"""Surface columns in the types that a kdb+ tickerplant's tables have; what does not fit is null."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import DAY_NS, EPOCH_UNIX_NS
from tickloop.core.dialects import q as q_dialect
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_INT, NULL_LONG, nulls, surface_dtype
from tickloop.core.schema import Column, Kind
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.names import Names

_Array = npt.NDArray[np.generic]
_Longs = npt.NDArray[np.int64]
TEXT = "C"
_INTEGERS = "bxhij"
_FLOATS = "ef"
_NULL_OF = {"h": -(2**15), "i": NULL_INT, "j": NULL_LONG}
# Nanoseconds of a unit of what counts from midnight.
_OF_DAY = {"n": 1, "t": 1_000_000, "v": 1_000_000_000, "u": 60_000_000_000}
_MONTHS_0 = (2000 - 1970) * 12


@dataclass(frozen=True, slots=True)
class Sent:
    """A column of the tickerplant's table: its name and type there, and ours that fills it."""

    name: str
    letter: str  # as `meta` shows it, C for strings
    source: Column | None  # None: nulls


def can_send(kind: Kind, letter: str, *, fractional: bool) -> bool:
    """Tell whether a column of ours can be spelled as the tickerplant's type."""
    ours = q_dialect.type_character(kind, fractional=fractional)
    return ours == letter or _conversion(ours, letter) is not None


def spelled(rows: Batch, sent: Sent, names: Names, *, fractional: bool) -> tuple[q.Value, int]:
    """Spell a column; also give how many values the tickerplant's type has no spelling for."""
    column = sent.source
    if column is None:
        return _nulls(sent.letter, len(rows)), 0
    ours = q_dialect.type_character(column.kind, fractional=fractional)
    values = rows.columns[column.name]
    if ours == "s":
        return _symbols(values.astype(np.int32, copy=False), sent.letter, names)
    if ours == TEXT:
        return q.List(tuple(q.chars(text) for text in values.tolist())), 0
    if ours == sent.letter:
        return _vector(sent.letter, values), 0
    convert = _conversion(ours, sent.letter)
    assert convert is not None, f"{sent.name}: {ours} to {sent.letter} was not refused"
    return convert(values, ours, sent.letter)


Convert = Callable[[_Array, str, str], tuple[q.Value, int]]


def _conversion(ours: str, letter: str) -> Convert | None:
    if ours == "s":
        return _never if letter in ("c", TEXT) else None
    if ours == "c":
        return {"s": _char_symbols, TEXT: _char_texts}.get(letter)
    if ours in _INTEGERS + _FLOATS:
        return _numbers if letter in _INTEGERS + _FLOATS else None
    if ours == "p":
        return _instants if letter in ("d", "m", "z", *_OF_DAY) else None
    if ours in _OF_DAY:
        return _of_day if letter in _OF_DAY else None
    return None


def _never(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    raise AssertionError("symbols are spelled by their names")


def _type(letter: str) -> q.QType:
    names = {character: name for name, character in q_dialect.CHARACTERS.items()}
    return q.QType(q_dialect.NUMBERS[names[letter]])


def _vector(letter: str, values: _Array) -> q.Vector:
    return q.vector(_type(letter), values)


def _nulls(letter: str, rows: int) -> q.Value:
    if letter == "s":
        return q.SymbolVector(bytes(rows), rows)
    if letter == TEXT:
        return q.List((q.chars(b""),) * rows)
    kind = next(kind for kind in Kind if q_dialect.type_character(kind) == letter)
    return _vector(letter, nulls(kind, rows, dtype=surface_dtype(kind)))


def _symbols(ids: npt.NDArray[np.int32], letter: str, names: Names) -> tuple[q.Value, int]:
    text = names.encode(ids).tobytes()
    if letter == "s":
        return q.SymbolVector(text, len(ids)), 0
    spelled_names = text.split(b"\0")[:-1]
    if letter == TEXT:
        return q.List(tuple(q.chars(name) for name in spelled_names)), 0
    long = [len(name) > 1 for name in spelled_names]
    chars = b"".join(
        b" " if is_long or not name else name
        for name, is_long in zip(spelled_names, long, strict=True)
    )
    return q.chars(chars), sum(long)


def _char_symbols(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    raw = values.astype(np.uint8).tobytes()
    names = [b"" if code in (NULL_CHAR, 0) else bytes([code]) for code in raw]
    return q.SymbolVector(b"".join(name + b"\0" for name in names), len(names)), 0


def _char_texts(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    return q.List(tuple(q.chars(bytes([code])) for code in values.astype(np.uint8).tobytes())), 0


def _numbers(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    """Convert numbers: nulls stay nulls, what is out of range or no whole number becomes one."""
    is_null = np.isnan(values.astype(np.float64)) if ours in _FLOATS else _is_null(values, ours)
    if letter in _FLOATS:
        floats = np.where(is_null, np.nan, values.astype(np.float64))
        return _vector(letter, floats.astype(q.DTYPES[_type(letter)])), 0
    limits = np.iinfo(q.DTYPES[_type(letter)])
    null = _NULL_OF.get(letter, 0)
    low, high = (0, 1) if letter == "b" else (limits.min + (null != 0), limits.max)
    fits = ~is_null & _within(values, low, high)
    kept = np.where(fits, values, 0).astype(np.int64)
    found = np.where(fits, kept, null).astype(limits.dtype)
    return _vector(letter, found), int(np.count_nonzero(~fits & ~is_null))


def _is_null(values: _Array, ours: str) -> npt.NDArray[np.bool_]:
    null = _NULL_OF.get(ours)
    found: npt.NDArray[np.bool_] = (
        np.zeros(len(values), np.bool_) if null is None else values.astype(np.int64) == null
    )
    return found


def _within(values: _Array, low: int, high: int) -> npt.NDArray[np.bool_]:
    if values.dtype.kind != "f":
        whole = values.astype(np.int64)
        return (whole >= low) & (whole <= high)
    floats = values.astype(np.float64)
    # 2**63 - 1 is no float: the next one is out of range.
    found: npt.NDArray[np.bool_] = (
        (floats > float(low) - 1) & (floats < float(high) + 1) & (floats == np.floor(floats))
    )
    return found


def _instants(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    """Give the time of day, the date, the month or the float days of instants, in UTC."""
    longs = values.astype(np.int64)
    is_null = longs == NULL_LONG
    if letter == "z":
        return _vector(letter, np.where(is_null, np.nan, longs / DAY_NS)), 0
    if letter in _OF_DAY:
        return _of_day(np.where(is_null, NULL_LONG, longs % DAY_NS), "n", letter)
    days = longs // DAY_NS
    if letter == "m":
        unix_days = days + EPOCH_UNIX_NS // DAY_NS
        months = unix_days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        days = months - _MONTHS_0
    return _vector(letter, np.where(is_null, NULL_INT, days).astype(np.int32)), 0


def _of_day(values: _Array, ours: str, letter: str) -> tuple[q.Value, int]:
    whole = values.astype(np.int64)
    is_null = whole == _NULL_OF["j" if ours == "n" else "i"]
    units = np.where(is_null, 0, whole) * _OF_DAY[ours] // _OF_DAY[letter]
    if letter == "n":
        return _vector(letter, np.where(is_null, NULL_LONG, units)), 0
    fits = ~is_null & _within(units, NULL_INT + 1, -(NULL_INT + 1))
    found = np.where(fits, units, NULL_INT).astype(np.int32)
    return _vector(letter, found), int(np.count_nonzero(~fits & ~is_null))
