"""q values as NumPy has them: datetime64, timedelta64, strings; nulls as NaT and NaN."""

from typing import Any

import numpy as np

from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Dictionary,
    QType,
    Table,
    Value,
    Vector,
    collect,
    is_atom,
    is_keyed_table,
    is_list,
    items_of,
    plain,
    text_of,
)
from tickloop.core.clock import EPOCH_UNIX_NS

_UNITS = {
    QType.TIMESTAMP: "datetime64[ns]", QType.DATE: "datetime64[D]", QType.MONTH: "datetime64[M]",
    QType.TIMESPAN: "timedelta64[ns]", QType.TIME: "timedelta64[ms]",
    QType.SECOND: "timedelta64[s]", QType.MINUTE: "timedelta64[m]",
}  # fmt: skip
_EPOCHS = {
    QType.TIMESTAMP: np.datetime64("2000-01-01", "ns"),
    QType.DATE: np.datetime64("2000-01-01", "D"),
    QType.MONTH: np.datetime64("2000-01", "M"),
}
_DAY_NS = 86_400_000_000_000
_INFINITE = 2**63 - 1


def numpy_of(value: Value) -> Any:
    """Give arrays of a list, a dictionary of arrays of a table, a scalar of an atom."""
    value = plain(value)
    if isinstance(value, Table) or is_keyed_table(value):
        return columns_of(value)
    if isinstance(value, Dictionary):
        return {"key": numpy_of(value.keys), "value": numpy_of(value.values)}
    if isinstance(value, Vector):
        return array_of(value)
    if is_atom(value):
        return _scalar(value)
    text = text_of(value)
    if text is not None or not is_list(value):
        return text
    made = np.empty(len(items_of(value)), dtype=object)
    made[:] = [_item(item) for item in items_of(value)]
    return made


def columns_of(value: Value) -> dict[str, Any]:
    """Give a table's columns, keys first; nothing for what is no table."""
    if isinstance(value, Table):
        columns = zip(value.names, value.columns, strict=True)
        return {name: numpy_of(column) for name, column in columns}
    if isinstance(value, Dictionary) and is_keyed_table(value):
        return {**columns_of(value.keys), **columns_of(value.values)}
    return {}


def _item(item: Value) -> Any:
    text = text_of(item)
    return numpy_of(item) if text is None else text


def _scalar(value: Value) -> Any:
    assert isinstance(value, Atom)
    if value.type in (QType.SYMBOL, QType.BOOLEAN, QType.GUID):
        return value.value
    if value.type is QType.CHAR:
        return text_of(value)
    made = collect([value])
    assert isinstance(made, Vector)
    found = array_of(made)[0]
    return found if value.type in _UNITS or value.type is QType.DATETIME else value.value


def array_of(value: Vector) -> Array:
    """Give a vector as an array; numbers are not copied."""
    kind, data = value.type, value.data
    if kind is QType.SYMBOL:
        used, codes = np.unique(data, return_inverse=True)
        return np.array(INTERNED.names(used), dtype=object)[codes]
    if kind is QType.CHAR:
        return data.view("S1")
    if kind is QType.DATETIME:
        return datetimes(data).view("datetime64[ns]")
    if kind not in _UNITS:
        return data
    unit = _UNITS[kind]
    wide = np.where(data == NULLS[kind], np.int64(-(2**63)), data.astype(np.int64))
    if kind not in _EPOCHS:
        return wide.astype(unit)
    if kind is QType.TIMESTAMP:
        return since_1970(data).view(unit)
    # NaT plus anything is NaT.
    moved: Array = _EPOCHS[kind] + wide.astype(unit.replace("datetime", "timedelta"))
    return moved


def since_1970(data: Array) -> Array:
    """Give instants since 2000 as instants since 1970; what is beyond 64 bits is infinite."""
    moved: Array = data + EPOCH_UNIX_NS
    moved[data > _INFINITE - EPOCH_UNIX_NS] = _INFINITE
    is_least = data <= -_INFINITE  # the null, which is NaT's number, and minus infinity
    moved[is_least] = data[is_least]
    return moved


def datetimes(data: Array) -> Array:
    """Give days and fractions since 2000 as nanoseconds since 1970; NaT for the null.

    What is beyond the nanoseconds of 64 bits is as far as they go.
    """
    days = data.astype(np.float64)
    scaled = np.where(np.isnan(days), 0.0, days) * _DAY_NS + EPOCH_UNIX_NS
    is_far = np.abs(scaled) >= float(_INFINITE)
    whole = _exact(days, is_far)
    whole[is_far] = np.where(scaled[is_far] > 0, _INFINITE, -_INFINITE)
    whole[np.isnan(days)] = -(2**63)
    return whole


def _exact(days: Array, is_far: Array) -> Array:
    known = np.where(np.isnan(days) | is_far, 0.0, days)
    moved: Array = np.rint(known * _DAY_NS).astype(np.int64) + EPOCH_UNIX_NS
    return moved
