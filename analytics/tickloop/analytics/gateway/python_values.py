"""Python's values as q values: the arguments of a call from Python."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from tickloop.analytics.gateway.arrow_values import table_of_arrow
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    NIL,
    Array,
    Atom,
    Dictionary,
    QType,
    Value,
    Vector,
    boolean,
    chars,
    collect,
    float_,
    long,
    symbol,
    vector,
)
from tickloop.core.clock import EPOCH_DATE, EPOCH_UNIX_NS

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NUMBERS = {
    "|b1": QType.BOOLEAN, "|u1": QType.BYTE, "<i2": QType.SHORT, "<i4": QType.INT,
    "<i8": QType.LONG, "<f4": QType.REAL, "<f8": QType.FLOAT,
}  # fmt: skip
_WHOLE_LIMIT = 1 << 63
_NOT_A_TIME = -(2**63)


def q_value(given: object) -> Value:
    """Turn a Python value into a q value.

    As in PyKX, str becomes a symbol and bytes a string; int is long, datetime a timestamp (a
    naive one is UTC), timedelta and time are timespans. Frames and Arrow tables become tables,
    mappings dictionaries. QError for what has no counterpart.
    """
    if isinstance(given, np.ndarray):
        return _array(given)
    if isinstance(given, np.generic):
        return _array(np.array([given]), as_atom=True)
    for kind, convert in _SCALARS.items():
        if isinstance(given, kind):
            found: Value = convert(given)
            return found
    if isinstance(given, Mapping):
        return Dictionary(_list(list(given)), _list(list(given.values())))
    if isinstance(given, Sequence):
        return _list(given)
    return _frame(given)


def _list(given: Sequence[Any]) -> Value:
    return collect([q_value(item) for item in given])


def _frame(given: object) -> Value:
    """Turn what can give an Arrow table into a table: Polars, pandas and Arrow itself."""
    if type_of_module(given, "pandas") and hasattr(given, "to_frame"):
        return _array(given.to_numpy())  # type: ignore[attr-defined]
    if hasattr(given, "__arrow_c_stream__"):
        import pyarrow as pa

        found = pa.table(given)
        names = [name for name in found.column_names if not name.startswith("__index_level_")]
        return table_of_arrow(found.select(names))
    raise QError("type", f"{type(given).__name__} seen, which has no counterpart in q")


def type_of_module(given: object, package: str) -> bool:
    """Tell whether a value's class is of a package, without importing it."""
    return type(given).__module__.partition(".")[0] == package


def _whole(given: int) -> Value:
    if not -_WHOLE_LIMIT <= given < _WHOLE_LIMIT:
        raise QError("type", f"{given} seen, whole numbers of 64 bits expected")
    return long(given)


def _instant(given: datetime) -> Value:
    aware = given if given.tzinfo else given.replace(tzinfo=UTC)
    return Atom(QType.TIMESTAMP, _micros(aware - _EPOCH) * 1000)


def _micros(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _of_day(given: time) -> Value:
    seconds = (given.hour * 60 + given.minute) * 60 + given.second
    return Atom(QType.TIMESPAN, (seconds * 1_000_000 + given.microsecond) * 1000)


# In this order: a bool is an int, a datetime is a date.
_SCALARS: dict[type, Any] = {
    type(None): lambda given: NIL,
    bool: boolean,
    int: _whole,
    float: float_,
    str: symbol,
    bytes: chars,
    datetime: _instant,
    date: lambda given: Atom(QType.DATE, (given - EPOCH_DATE).days),
    timedelta: lambda given: Atom(QType.TIMESPAN, _micros(given) * 1000),
    time: _of_day,
    uuid.UUID: lambda given: Atom(QType.GUID, given.bytes),
}


def _array(given: Array, *, as_atom: bool = False) -> Value:
    if given.ndim != 1:
        raise QError("type", f"an array of {given.ndim} dimensions seen, one expected")
    found = _vector(given)
    if not as_atom:
        return found
    from tickloop.analytics.q.values import item_at

    return item_at(found, 0)


def _vector(given: Array) -> Value:
    kind = given.dtype.kind
    if kind == "M":
        return _instants(given)
    if kind == "m":
        spans = given.astype("timedelta64[ns]").astype(np.int64)
        return vector(QType.TIMESPAN, spans)
    if kind in "US":
        return Vector(QType.SYMBOL, INTERNED.ids(map(str, given.astype(str).tolist())))
    if kind == "O":
        return _list(given.tolist())
    plain = given.astype(given.dtype.newbyteorder("<"))
    number = _NUMBERS.get(plain.dtype.str)
    if number is not None:
        return vector(number, plain)
    if kind in "iu":
        return vector(QType.LONG, plain.astype(np.int64))
    raise QError("type", f"an array of {given.dtype} seen, which has no counterpart in q")


def _instants(given: Array) -> Value:
    unit = np.datetime_data(given.dtype)[0]
    if unit == "D":
        days = given.astype(np.int64)
        shifted = days - (EPOCH_DATE - date(1970, 1, 1)).days
        null = -(2**31)
        return vector(QType.DATE, np.where(days == _NOT_A_TIME, null, shifted).astype(np.int32))
    nanoseconds = given.astype("datetime64[ns]").astype(np.int64)
    missing = nanoseconds == _NOT_A_TIME
    return vector(QType.TIMESTAMP, np.where(missing, _NOT_A_TIME, nanoseconds - EPOCH_UNIX_NS))
