"""q values as Arrow: nulls become nulls, instants UTC nanoseconds, symbols dictionaries."""

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloop.analytics.gateway.numpy_values import datetimes, since_1970
from tickloop.analytics.q.errors import QError
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
from tickloop.core.clock import EPOCH_DATE

if TYPE_CHECKING:
    import pyarrow as pa

_UNIX_DAYS = (EPOCH_DATE - date(1970, 1, 1)).days
_UNIX_MONTHS = 360
_INFINITE_INT = 2**31 - 1
_MONTHS_MAX = 12 * 5_000_000
_INFINITE = 2**63 - 1


def whole_sums(found: "pa.Table") -> "pa.Table":
    """Make longs of the wide whole numbers that SQL's sums and counts are, where they fit."""
    import pyarrow as pa

    for position, field in enumerate(found.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            try:
                longs = found.column(position).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            found = found.set_column(position, field.name, longs)
    return found


def arrow_of(value: Value) -> "pa.Table":
    """Turn any value into an Arrow table: keyed tables lose their keys' place, not their columns.

    A list or an atom becomes one column `value`, a dictionary the columns `key` and `value`.
    """
    import pyarrow as pa

    columns = _columns(value)
    return pa.Table.from_pydict({name: _array(column) for name, column in columns.items()})


def _columns(value: Value) -> dict[str, Value]:
    if isinstance(value, Table):
        return dict(zip(value.names, value.columns, strict=True))
    if isinstance(value, Dictionary) and is_keyed_table(value):
        return {**_columns(value.keys), **_columns(value.values)}
    if isinstance(value, Dictionary):
        return {"key": value.keys, "value": value.values}
    if is_list(value):
        return {"value": value}
    if is_atom(value):
        return {"value": collect([plain(value)])}
    raise QError("type", "a function has no rows; ask for data")


def _array(value: Value) -> "pa.Array":
    import pyarrow as pa

    value = plain(value)
    if isinstance(value, Vector):
        return _vector_out(value)
    texts = [text_of(item) for item in items_of(value)]
    if all(text is not None for text in texts):
        return pa.array([(text or "").encode(errors="replace").decode() for text in texts])
    return pa.array([_plain_item(item) for item in items_of(value)])


def _plain_item(item: Value) -> Any:
    item = plain(item)
    if isinstance(item, Atom):
        return _vector_out(collect_vector(item)).to_pylist()[0]
    text = text_of(item)
    if text is not None:
        return text
    if isinstance(item, Vector):
        return _vector_out(item).to_pylist()
    return [_plain_item(part) for part in items_of(item)] if is_list(item) else str(item)


def collect_vector(atom: Atom) -> Vector:
    """Make a vector of one item."""
    found = collect([atom])
    assert isinstance(found, Vector)
    return found


def _vector_out(value: Vector) -> "pa.Array":
    import pyarrow as pa

    kind, data = value.type, value.data
    if kind is QType.SYMBOL:
        return _symbols_out(data)
    if kind is QType.GUID:
        return pa.array([item.tobytes() for item in data], type=pa.binary(16))
    if kind is QType.CHAR:
        return pa.array([chr(code) for code in data.tolist()])
    if kind in (QType.BOOLEAN, QType.BYTE):
        return pa.array(data)
    is_null = np.isnan(data) if data.dtype.kind == "f" else data == NULLS[kind]
    mask = is_null if is_null.any() else None
    if kind in (QType.REAL, QType.FLOAT):
        # NaN is q's null, and pandas' and Polars' as well: it stays what it is.
        return pa.array(data)
    converted, dtype = _temporal(kind, data)
    return pa.array(converted, mask=mask, type=dtype)


def _temporal(kind: QType, data: Array) -> tuple[Array, "pa.DataType | None"]:
    import pyarrow as pa

    if kind is QType.TIMESTAMP:
        return since_1970(data), pa.timestamp("ns", tz="UTC")
    if kind is QType.DATE:
        return _days(data.astype(np.int64) + _UNIX_DAYS, data), pa.date32()
    if kind is QType.MONTH:
        # Months beyond the calendar of 32-bit days are as far as it goes.
        near = np.clip(data.astype(np.int64) + _UNIX_MONTHS, -_MONTHS_MAX, _MONTHS_MAX)
        days = near.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return _days(days, data), pa.date32()
    if kind is QType.DATETIME:
        return datetimes(data), pa.timestamp("ns", tz="UTC")
    if kind in _SPAN_NS:
        scaled = data.astype(np.int64)
        if kind is not QType.TIMESPAN:
            # What nanoseconds cannot count is infinite, as q's infinities are.
            count_max = min(_INFINITE // _SPAN_NS[kind], _INFINITE_INT - 1)
            infinite = np.abs(scaled) > count_max
            scaled = np.where(infinite, np.sign(scaled) * _INFINITE, scaled * _SPAN_NS[kind])
        return scaled, pa.duration("ns")
    return data, None


def _days(days: Array, given: Array) -> Array:
    """Narrow days to 32 bits: what does not fit is infinite, as q's infinities are."""
    infinite = np.abs(given.astype(np.int64)) == _INFINITE_INT
    far = np.where(infinite, np.sign(given.astype(np.int64)) * _INFINITE_INT, days)
    return np.clip(far, -_INFINITE_INT, _INFINITE_INT).astype(np.int32)


_SPAN_NS = {
    QType.TIMESPAN: 1,
    QType.MINUTE: 60 * 10**9,
    QType.SECOND: 10**9,
    QType.TIME: 10**6,
}


def _symbols_out(ids: Array) -> "pa.Array":
    import pyarrow as pa

    used, codes = np.unique(ids, return_inverse=True)
    names = [name.encode(errors="replace").decode() for name in INTERNED.names(used)]
    indices = pa.array(codes.astype(np.int32), mask=(ids == 0) if (ids == 0).any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, type=pa.string()))
