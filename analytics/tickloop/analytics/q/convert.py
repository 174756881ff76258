"""Values of Python, NumPy, Arrow, pandas, Polars and PyKX as values of q."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    DTYPES,
    NIL,
    NULLS,
    Array,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    atom_at,
    boolean,
    chars,
    collect,
    count_of,
    float_,
    is_list,
    long,
    symbol,
    symbols,
    vector,
)
from tickloop.core.clock import DAY_NS, EPOCH_UNIX_NS

NULL_LONG = -(2**63)
DAYS = EPOCH_UNIX_NS // DAY_NS
MONTHS = 30 * 12
# NumPy's types that q has, in the same bytes or in more of them.
_PLAIN: dict[str, QType] = {
    "b1": QType.BOOLEAN, "u1": QType.BYTE, "i1": QType.SHORT, "i2": QType.SHORT,
    "u2": QType.INT, "i4": QType.INT, "u4": QType.LONG, "i8": QType.LONG, "f2": QType.REAL,
    "f4": QType.REAL, "f8": QType.FLOAT,
}  # fmt: skip
# Each unit's type, the nanoseconds of a tick there, and those of a tick in q.
_SPANS: dict[str, QType] = {
    "h": QType.MINUTE, "m": QType.MINUTE, "s": QType.SECOND, "ms": QType.TIME,
}  # fmt: skip
_UNIT_NS = {
    "W": 7 * DAY_NS, "D": DAY_NS, "h": 3_600_000_000_000, "m": 60_000_000_000,
    "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1,
}  # fmt: skip


def to_value(value: Any) -> Value:
    """Turn a Python value into a q value; text is a symbol, bytes are a string.

    NumPy arrays of q's own types are viewed, not copied: do not write to them afterwards.
    """
    if isinstance(value, Value):
        return value
    if isinstance(value, np.ndarray):
        return array_value(value)
    if type(value).__module__.partition(".")[0] == "pykx":
        from tickloop.analytics.q.wire import from_wire
        from tickloop.tickerplant.pykx_link import from_pykx

        return from_wire(from_pykx(value))
    if isinstance(value, np.generic):
        found = array_value(np.asarray(value).reshape(1))
        return atom_at(found, 0) if isinstance(found, Vector) else found
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        from tickloop.analytics.q.convert_arrow import arrow_value

        return arrow_value(value)
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return collect([to_value(item) for item in value])
    return _scalar(value)


def _scalar(value: Any) -> Value:
    if value is None or type(value).__name__ == "NAType":
        return NIL
    if isinstance(value, bool):
        return boolean(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise QError("type", f"{value} does not fit into a long")
        return long(value)
    if isinstance(value, float):
        return float_(value)
    if isinstance(value, str):
        return symbol(value)
    if isinstance(value, bytes | bytearray):
        return chars(bytes(value))
    if isinstance(value, uuid.UUID):
        return Atom(QType.GUID, value.bytes)
    return _temporal(value)


def _temporal(value: Any) -> Value:
    instant = getattr(value, "asm8", None)  # pandas' instants and spans, to the nanosecond
    if isinstance(instant, np.generic):
        return _first(np.array([instant]))
    if isinstance(value, Decimal):
        return float_(float(value))
    if isinstance(value, dt.datetime):
        naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return _first(np.array([naive], dtype="datetime64[us]"))
    if isinstance(value, dt.date):
        return _first(np.array([value], dtype="datetime64[D]"))
    if isinstance(value, dt.timedelta):
        return _first(np.array([value], dtype="timedelta64[us]"))
    if isinstance(value, dt.time):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return Atom(QType.TIMESPAN, seconds * 10**9 + value.microsecond * 1000)
    raise QError("type", f"a Python {type(value).__name__} has no counterpart in q")


def _first(array: Array) -> Value:
    found = array_value(array)
    assert isinstance(found, Vector)
    return atom_at(found, 0)


def _mapping(value: Mapping[Any, Any]) -> Value:
    """Make a table of names to columns of one count, else a dictionary."""
    values = [to_value(item) for item in value.values()]
    named = all(isinstance(key, str) for key in value)
    columns = [item for item in value.values() if not isinstance(item, list | tuple)]
    counts = {count_of(item) for item in values}
    if named and columns and all(is_list(item) for item in values) and len(counts) == 1:
        return Table(tuple(value), tuple(values))
    keys = symbols(value) if named else collect([to_value(key) for key in value])
    return Dictionary(keys, collect(values))


# -- NumPy --------------------------------------------------------------------------------------


def array_value(array: Array) -> Value:
    """Turn a NumPy array into a vector, a list of rows, or (records) a table."""
    if array.dtype.names is not None:
        columns = tuple(array_value(np.ascontiguousarray(array[n])) for n in array.dtype.names)
        return Table(array.dtype.names, columns)
    if array.ndim == 0:
        return to_value(array.item())
    if array.ndim > 1:
        return List(tuple(array_value(row) for row in array))
    if array.dtype.kind in "mM":
        return _instants(array)
    if array.dtype.kind in "OUST":
        return _objects(array)
    return _numbers(array)


def _numbers(array: Array) -> Value:
    spelled = array.dtype.str[1:]
    if spelled == "V16":
        return Vector(QType.GUID, np.ascontiguousarray(array))
    if spelled == "u8":
        if len(array) and array.max() >= 2**63:
            raise QError("type", "an unsigned number does not fit into a long")
        return vector(QType.LONG, array.astype(np.int64))
    kind = _PLAIN.get(spelled)
    if kind is None:
        raise QError("type", f"NumPy's {array.dtype} has no counterpart in q")
    return vector(kind, array)


def _objects(array: Array) -> Value:
    items = array.tolist()
    if all(isinstance(item, str) for item in items):
        return Vector(QType.SYMBOL, INTERNED.ids(items))
    return collect([to_value(item) for item in items])


def _instants(array: Array) -> Value:
    unit, count = np.datetime_data(array.dtype)
    raw = array.astype(array.dtype.newbyteorder("="), copy=False).view(np.int64)
    if array.dtype.kind == "M":
        if unit in ("Y", "M"):
            return calendar(raw, count * (12 if unit == "Y" else 1), MONTHS, QType.MONTH)
        if unit == "D":
            return calendar(raw, count, DAYS, QType.DATE)
        return clock(raw, count * _ns_of(unit), EPOCH_UNIX_NS, QType.TIMESTAMP)
    if unit in _SPANS:
        kind = _SPANS[unit]
        return calendar(raw, count * (60 if unit == "h" else 1), 0, kind)
    return clock(raw, count * _ns_of(unit), 0, QType.TIMESPAN)


def _ns_of(unit: str) -> int:
    if unit not in _UNIT_NS:
        raise QError("type", f"instants in units of {unit} have no counterpart in q")
    return _UNIT_NS[unit]


def calendar(raw: Array, scale: int, epoch: int, kind: QType) -> Vector:
    """Shift whole units to 2000 and narrow them; NaT stays null."""
    missing = raw == NULL_LONG
    shifted = np.where(missing, 0, raw) * scale - epoch
    limits = np.iinfo(DTYPES[kind])
    if len(shifted) and not (limits.min < shifted.min() and shifted.max() <= limits.max):
        raise QError("type", f"a {kind.name.lower()} holds none that far away")
    shifted[missing] = NULLS[kind]
    return Vector(kind, shifted.astype(DTYPES[kind]))


def clock(raw: Array, scale: int, epoch: int, kind: QType) -> Vector:
    """Scale to nanoseconds since 2000; NaT stays null, what does not fit is refused."""
    if scale == 1 and epoch == 0:
        return Vector(kind, np.ascontiguousarray(raw))
    missing = raw == NULL_LONG
    known = raw[~missing] if missing.any() else raw
    if len(known):
        low, high = int(known.min()) * scale - epoch, int(known.max()) * scale - epoch
        if low <= NULL_LONG or high >= 2**63:
            raise QError("type", f"a {kind.name.lower()} holds none that far away")
    shifted = np.where(missing, 0, raw) * scale - epoch
    shifted[missing] = NULL_LONG
    return Vector(kind, shifted)
