"""q values to and from Arrow: nulls become nulls, instants UTC nanoseconds, symbols strings."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Dictionary,
    List,
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
    symbols,
    text_of,
    vector,
)
from tickloop.core.clock import EPOCH_DATE, EPOCH_UNIX_NS

if TYPE_CHECKING:
    import pyarrow as pa

_UNIX_DAYS = (EPOCH_DATE - date(1970, 1, 1)).days
_DAY_NS = 86_400_000_000_000
_PER_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NULL_NS = -(2**63)
_INFINITE = 2**63 - 1


def table_of_arrow(found: "pa.Table") -> Table:
    """Turn an Arrow table into a q table; strings become symbols."""
    columns = [_column_in(column.combine_chunks()) for column in found.columns]
    return Table(tuple(found.column_names), tuple(columns))


def _column_in(column: "pa.ChunkedArray | pa.Array") -> Value:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    for matches, convert in _CONVERTERS(pa.types):
        if matches(kind):
            return convert(column)
    texts = [None if item is None else str(item) for item in column.to_pylist()]
    return symbols(text or "" for text in texts)


def _CONVERTERS(types: Any) -> list[tuple[Callable[[Any], bool], Callable[[Any], Value]]]:  # noqa: N802
    return [
        (types.is_boolean, lambda c: Vector(QType.BOOLEAN, _filled(c, False).astype(bool))),
        (types.is_int64, lambda c: _integers(c, QType.LONG)),
        (types.is_int32, lambda c: _integers(c, QType.INT)),
        (types.is_int16, lambda c: _integers(c, QType.SHORT)),
        (types.is_integer, _wide),
        (types.is_float32, lambda c: vector(QType.REAL, _filled(c, float("nan")))),
        (types.is_floating, lambda c: vector(QType.FLOAT, _filled(c, float("nan")))),
        (types.is_decimal, _decimals),
        (types.is_timestamp, _instants),
        (types.is_date32, _dates),
        (types.is_time, lambda c: _spans(c, c.type.unit)),
        (types.is_duration, lambda c: _spans(c, c.type.unit)),
        (types.is_dictionary, _coded),
        (_is_text(types), _strings),
        (_is_list(types), lambda c: collect_list([_cell(item) for item in c])),
    ]


def _is_text(types: Any) -> Callable[[Any], bool]:
    return lambda kind: bool(types.is_string(kind) or types.is_large_string(kind))


def _is_list(types: Any) -> Callable[[Any], bool]:
    return lambda kind: bool(types.is_list(kind) or types.is_large_list(kind))


def collect_list(items: list[Value]) -> Value:
    """Make a general list, also of items that would make a vector."""
    return List(tuple(items))


def _cell(item: Any) -> Value:
    return _column_in(item.values) if item.is_valid else List(())


def _filled(column: Any, null: Any) -> Array:
    filled = column.fill_null(null) if column.null_count else column
    found: Array = filled.to_numpy(zero_copy_only=False)
    return found


def _integers(column: Any, kind: QType) -> Value:
    return vector(kind, _filled(column, NULLS[kind]))


def _wide(column: Any) -> Value:
    """Widen what q has no type for; what does not fit a long becomes a float."""
    import pyarrow as pa

    if column.type == pa.uint64():
        return vector(QType.FLOAT, _filled(column.cast(pa.float64(), safe=False), float("nan")))
    return _integers(column.cast(pa.int64()), QType.LONG)


def _decimals(column: Any) -> Value:
    import pyarrow as pa

    # SQL sums of longs are DECIMAL(38, 0): they stay whole numbers where they fit.
    if column.type.scale == 0:
        try:
            return _integers(column.cast(pa.int64()), QType.LONG)
        except pa.ArrowInvalid:
            pass
    return vector(QType.FLOAT, _filled(column.cast(pa.float64(), safe=False), float("nan")))


def _instants(column: Any) -> Value:
    import pyarrow as pa

    scale = _PER_UNIT_NS[column.type.unit]
    units = column.cast(pa.int64())
    found = _filled(units, 0) * scale - EPOCH_UNIX_NS
    found[np.asarray(column.is_null())] = _NULL_NS
    return vector(QType.TIMESTAMP, found)


def _dates(column: Any) -> Value:
    import pyarrow as pa

    found = _filled(column.cast(pa.int32()), 0) - np.int32(_UNIX_DAYS)
    found[np.asarray(column.is_null())] = NULLS[QType.DATE]
    return vector(QType.DATE, found)


def _spans(column: Any, unit: str) -> Value:
    import pyarrow as pa

    whole = pa.int32() if column.type.bit_width == 32 else pa.int64()
    units = column.cast(whole).cast(pa.int64())
    found = _filled(units, 0) * _PER_UNIT_NS[unit]
    found[np.asarray(column.is_null())] = _NULL_NS
    return vector(QType.TIMESPAN, found)


def _strings(column: Any) -> Value:
    return _coded(column.dictionary_encode())


def _coded(column: Any) -> Value:
    names = INTERNED.ids(text or "" for text in column.dictionary.to_pylist())
    codes = _filled(column.indices, len(names)).astype(np.int64)
    return Vector(QType.SYMBOL, np.append(names, np.int32(0))[codes])


# To Arrow


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
        is_infinite = np.abs(data) == _INFINITE
        return np.where(is_infinite, data, data + EPOCH_UNIX_NS), pa.timestamp("ns", tz="UTC")
    if kind is QType.DATE:
        return data + np.int32(_UNIX_DAYS), pa.date32()
    if kind is QType.MONTH:
        first = (data.astype("datetime64[M]").astype(np.int64) + 360).astype("datetime64[M]")
        return first.astype("datetime64[D]").astype(np.int32), pa.date32()
    if kind is QType.DATETIME:
        whole = np.rint(np.nan_to_num(data) * _DAY_NS).astype(np.int64)
        return whole + EPOCH_UNIX_NS, pa.timestamp("ns", tz="UTC")
    if kind in _SPAN_NS:
        return data.astype(np.int64) * _SPAN_NS[kind], pa.duration("ns")
    return data, None


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
