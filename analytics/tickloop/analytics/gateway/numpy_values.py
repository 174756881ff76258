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
        whole = np.rint(np.nan_to_num(data) * _DAY_NS).astype(np.int64)
        made = _EPOCHS[QType.TIMESTAMP] + whole.astype("timedelta64[ns]")
        return np.where(np.isnan(data), np.datetime64("NaT", "ns"), made)
    if kind not in _UNITS:
        return data
    unit = _UNITS[kind]
    wide = np.where(data == NULLS[kind], np.int64(-(2**63)), data.astype(np.int64))
    if kind not in _EPOCHS:
        return wide.astype(unit)
    # NaT plus anything is NaT.
    moved: Array = _EPOCHS[kind] + wide.astype(unit.replace("datetime", "timedelta"))
    return moved
