"""Rows to q bytes: whole batches as one message, or one message a row from a single kernel."""

import struct

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.layout import HEADER_BYTES, SYMBOL, Layout
from tickloop.tickerplant.little_endian import U, copy_bytes
from tickloop.tickerplant.names import Names

_CHAR_VECTOR = 10


@inline_kernel
def write_value(
    record: npt.NDArray[np.uint8],
    column: npt.NDArray[np.int64],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    position: int,
) -> int:
    """Write one value as a vector of length 1; `column` is its offset, width and q type."""
    offset, width, q_type = column[0], column[1], column[2]
    out[position] = q_type
    out[position + 1 : position + 6] = 0
    out[position + 2] = 1
    position += 6
    if q_type != SYMBOL:
        copy_bytes(record, offset, width, out, position)
        return position + int(width)
    symbol = 0
    for index in range(4):
        symbol |= int(record[offset + index]) << (8 * index)
    if symbol < 0x80000000:
        size = ends[U(symbol + 1)] - ends[U(symbol)]
        copy_bytes(blob, ends[U(symbol)], size, out, position)
        position += size
    out[U(position)] = 0
    return position + 1


@kernel(
    "int64(uint8[:, ::1], int64[:, ::1], uint8[::1], boolean, uint8[::1], int64[::1],"
    " uint8[::1], int64[::1])",
)
def _encode_rows(
    records: npt.NDArray[np.uint8],
    columns: npt.NDArray[np.int64],
    prefix: npt.NDArray[np.uint8],
    framed: bool,
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    message_ends: npt.NDArray[np.int64],
) -> int:
    position = 0
    for row in range(records.shape[0]):
        start = position
        copy_bytes(prefix, 0, prefix.shape[0], out, position)
        position += prefix.shape[0]
        for column in range(columns.shape[0]):
            position = write_value(records[row], columns[column], blob, ends, out, position)
        if framed:
            size = position - start
            for index in range(4):
                out[start + 4 + index] = (size >> (8 * index)) & 0xFF
        message_ends[row] = position
    return position


class Encoder:
    """Encodes surface rows of any table; keeps one layout a table."""

    def __init__(self, names: Names, *, fractional: bool) -> None:
        self._names = names
        self._fractional = fractional
        self._layouts: dict[Table, Layout] = {}

    def layout(self, table: Table) -> Layout:
        """Give a table's layout; a table with fewer columns has one of its own."""
        found = self._layouts.get(table)
        if found is None:
            found = self._layouts[table] = Layout(table, self._fractional)
        return found

    def empty(self, table: Table) -> Batch:
        """Make a batch without rows, of the right types."""
        dtypes = self.layout(table).dtypes
        columns = zip(table.names, dtypes, strict=True)
        return Batch(table, {name: np.empty(0, dtype=dtype) for name, dtype in columns})

    def columns(self, rows: Batch) -> bytes:
        """Encode the columns of surface rows, in schema order, without any prefix."""
        layout = self.layout(rows.table)
        count = len(rows)
        parts: list[bytes | memoryview] = []
        for column, q_type in zip(rows.table.columns, layout.types, strict=True):
            values = rows.columns[column.name]
            parts.append(struct.pack("<BBi", q_type, 0, count))
            if column.kind is Kind.SYMBOL:
                parts.append(self._names.encode(values.astype(np.int32, copy=False)).data)
            elif column.kind is Kind.TEXT:
                parts.extend(_text_items(values))
            else:
                parts.append(values.data)
        return b"".join(parts)

    def log_message(self, rows: Batch, columns: bytes | None = None) -> bytes:
        """Encode rows as one log message; `columns` saves encoding them again."""
        body = self.columns(rows) if columns is None else columns
        return self.layout(rows.table).log_prefix + body

    def publication(self, rows: Batch, columns: bytes | None = None) -> bytes:
        """Encode rows as one asynchronous wire message ``(`upd;`table;+columns)``."""
        body = self.columns(rows) if columns is None else columns
        return _wire(self.layout(rows.table), body)

    def publish_rows(self, table: Table, records: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
        """Encode each packed record as a wire message of its own, back to back."""
        layout = self.layout(table)
        assert len(layout.wire_prefix) >= HEADER_BYTES
        return self._rows(layout, records, layout.wire_prefix, framed=True)

    def _rows(
        self, layout: Layout, records: npt.NDArray[np.void], prefix: bytes, *, framed: bool
    ) -> npt.NDArray[np.uint8]:
        assert Kind.TEXT not in layout.table.kinds, f"{layout.table.name} holds text: use batches"
        names = self._names
        names.refresh()
        count = len(records)
        row_bytes = layout.record_dtype.itemsize
        symbols = layout.types.count(SYMBOL)
        bound = len(prefix) + 6 * len(layout.types) + row_bytes + symbols * (names.longest + 1)
        out = np.empty(count * bound, dtype=np.uint8)
        ends = np.empty(count, dtype=np.int64)
        raw = records.view(np.uint8).reshape(count, row_bytes)
        prefix_array = np.frombuffer(bytearray(prefix), dtype=np.uint8)
        size = _encode_rows(
            raw, layout.record_columns, prefix_array, framed, names.blob, names.ends, out, ends
        )
        return out[:size]


def wire_of_logged(layout: Layout, logged: bytes) -> bytes:
    """Turn a log message that has all columns into a wire message, without decoding it."""
    return _wire(layout, logged[len(layout.log_prefix) :])


def _wire(layout: Layout, columns: bytes) -> bytes:
    prefix = bytearray(layout.wire_prefix)
    struct.pack_into("<I", prefix, 4, len(prefix) + len(columns))
    return bytes(prefix) + columns


def _text_items(values: npt.NDArray[np.generic]) -> list[bytes]:
    return [struct.pack("<BBi", _CHAR_VECTOR, 0, len(text)) + text for text in values.tolist()]
