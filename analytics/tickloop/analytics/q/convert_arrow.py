"""Arrow arrays and tables, and through them pandas and Polars, as values of q."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tickloop.analytics.q.convert import DAYS, array_value, calendar, clock
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    vector,
)
from tickloop.core.clock import EPOCH_UNIX_NS

if TYPE_CHECKING:
    import pyarrow as pa

_UNIT_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_NUMBERS: dict[str, QType] = {
    "uint8": QType.BYTE, "int8": QType.SHORT, "int16": QType.SHORT, "uint16": QType.INT,
    "int32": QType.INT, "uint32": QType.LONG, "int64": QType.LONG, "uint64": QType.LONG,
    "halffloat": QType.REAL, "float": QType.REAL, "double": QType.FLOAT,
}  # fmt: skip


def arrow_value(value: Any) -> Value:
    """Turn what speaks Arrow's C interface into a table or a vector."""
    import pyarrow as pa

    if type(value).__module__.startswith("pandas") and hasattr(value, "columns"):
        return _frame(value)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return column_value(value)
    if hasattr(value, "columns") or isinstance(value, pa.Table | pa.RecordBatch):
        return _table(pa.table(value))
    if hasattr(value, "__arrow_c_stream__"):
        return column_value(pa.chunked_array(value))
    return column_value(pa.array(value))


def _frame(frame: Any) -> Value:
    """Turn a pandas frame into a table; columns that NumPy holds are not copied.

    An index with a name becomes the key.
    """
    columns = {str(name): _series(frame[name]) for name in frame.columns}
    table = Table.of(columns)
    names = frame.index.names
    if None in names:
        return table
    keys = {str(n): _series(frame.index.get_level_values(n).to_series()) for n in names}
    return Dictionary(Table.of(keys), table)


def _series(series: Any) -> Value:
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return array_value(series.to_numpy())
    import pyarrow as pa

    try:
        return column_value(pa.array(series, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return array_value(series.to_numpy())


def _table(table: "pa.Table") -> Table:
    columns = [column_value(column) for column in table.columns]
    return Table(tuple(table.column_names), tuple(columns))


def column_value(column: Any) -> Value:
    """Turn an Arrow array into a vector; nulls become q's."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # text beyond 2 GB stays in chunks
        column = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _encoded(column)
    if pa.types.is_boolean(kind):
        return vector(QType.BOOLEAN, column.fill_null(False).to_numpy(zero_copy_only=False))
    if str(kind) in _NUMBERS:
        return _numbers(column)
    if pa.types.is_temporal(kind):
        return _temporal(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return _encoded(column.dictionary_encode())
    return _nested(column)


def _nested(column: Any) -> Value:
    import pyarrow as pa

    kind = column.type
    if kind == pa.binary(16):
        zero = bytes(16)
        raw = b"".join(item if item is not None else zero for item in column.to_pylist())
        return Vector(QType.GUID, np.frombuffer(bytearray(raw), dtype="|V16"))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view":
        return List(tuple(chars(item or b"") for item in column.to_pylist()))
    if pa.types.is_decimal(kind):
        return _numbers(column.cast(pa.float64()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        empty = pa.array([], type=kind.value_type)
        return List(tuple(column_value(empty if x.values is None else x.values) for x in column))
    if pa.types.is_null(kind):
        return List((List(()),) * len(column))
    raise QError("type", f"Arrow's {kind} has no counterpart in q")


def _encoded(column: Any) -> Value:
    """Turn a dictionary array of text into symbols: each name is interned once."""
    names = column.dictionary.to_pylist()
    if any(name is not None and not isinstance(name, str) for name in names):
        return column_value(column.dictionary_decode())
    ids = np.append(INTERNED.ids(name or "" for name in names), np.int32(0))
    codes = column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return Vector(QType.SYMBOL, ids[codes.astype(np.int64)])


def _raw(column: Any, dtype: str) -> tuple[Array, Array | None]:
    """View a fixed-width column's memory, and where it is null."""
    import pyarrow as pa

    missing = None
    if column.null_count:
        missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    width = pa.int64() if dtype == "i8" else pa.int32()
    viewed = column.view(width)
    if missing is not None:
        viewed = viewed.fill_null(0)
    return viewed.to_numpy(zero_copy_only=False), missing


def _numbers(column: Any) -> Value:
    kind = _NUMBERS[str(column.type)]
    if not column.null_count:
        data = column.to_numpy(zero_copy_only=False)
        if str(column.type) == "uint64" and len(data) and data.max() >= 2**63:
            raise QError("type", "an unsigned number does not fit into a long")
        return vector(kind, data)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    data = column.fill_null(0).to_numpy(zero_copy_only=False).astype(DTYPES[kind])
    data[missing] = NULLS[kind]
    return Vector(kind, data)


def _temporal(column: Any) -> Value:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_date(kind):
        raw, missing = _raw(column.cast(pa.date32()), "i4")
        return calendar(_with_nulls(raw, missing), 1, DAYS, QType.DATE)
    if pa.types.is_time32(kind):
        raw, missing = _raw(column, "i4")
        one = QType.SECOND if kind.unit == "s" else QType.TIME
        return calendar(_with_nulls(raw, missing), 1, 0, one)
    if not (pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind)):
        raise QError("type", f"Arrow's {kind} has no counterpart in q")
    raw, missing = _raw(column, "i8")
    if missing is not None:
        raw = _with_nulls(raw, missing)
    scale = _UNIT_NS[kind.unit]
    if pa.types.is_timestamp(kind):
        return clock(raw, scale, EPOCH_UNIX_NS, QType.TIMESTAMP)
    return clock(raw, scale, 0, QType.TIMESPAN)


def _with_nulls(raw: Array, missing: Array | None) -> Array:
    wide = raw.astype(np.int64)
    if missing is not None:
        wide[missing] = -(2**63)
    return wide
