"""How one table's rows look as q bytes: the same columns in a log message and in a publication."""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects import numpy as numpy_dialect
from tickloop.core.dialects import q as q_dialect
from tickloop.core.schema import Kind, Table

GENERAL, SYMBOL, TABLE, DICTIONARY = 0, 11, 98, 99
SYMBOL_ATOM = 256 - SYMBOL
HEADER_BYTES = 8
# A log begins like a serialised empty general list whose count is never updated.
LOG_HEADER = bytes.fromhex("ff01000000000000")


def _symbol(name: str) -> bytes:
    return bytes([SYMBOL_ATOM]) + name.encode() + b"\0"


def _vector_head(q_type: int, count: int) -> bytes:
    return struct.pack("<BBi", q_type, 0, count)


@dataclass(frozen=True)
class Layout:
    """A table's q bytes: prefixes, column types and widths."""

    table: Table
    fractional: bool = False

    @cached_property
    def types(self) -> tuple[int, ...]:
        """q type numbers by column."""
        return tuple(
            q_dialect.type_number(column.kind, fractional=self.fractional)
            for column in self.table.columns
        )

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """Surface dtypes by column."""
        return tuple(
            numpy_dialect.surface_dtype(column.kind, fractional=self.fractional)
            for column in self.table.columns
        )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Bytes a value by column as surface columns hold it; 0 for text."""
        return tuple(
            0 if column.kind is Kind.TEXT else np.dtype(dtype).itemsize
            for column, dtype in zip(self.table.columns, self.dtypes, strict=True)
        )

    @cached_property
    def log_prefix(self) -> bytes:
        """What stands before the columns in a log message: (`upd;`table; and the list's head."""
        columns = _vector_head(GENERAL, len(self.types))
        return _vector_head(GENERAL, 3) + _symbol("upd") + _symbol(self.table.name) + columns

    @cached_property
    def wire_prefix(self) -> bytes:
        """What stands before the columns in an asynchronous publication of a q table."""
        names = b"".join(name.encode() + b"\0" for name in self.table.names)
        return (
            bytes([1, 0, 0, 0, 0, 0, 0, 0])
            + _vector_head(GENERAL, 3)
            + _symbol("upd")
            + _symbol(self.table.name)
            + bytes([TABLE, 0, DICTIONARY])
            + _vector_head(SYMBOL, len(self.types))
            + names
            + _vector_head(GENERAL, len(self.types))
        )

    @cached_property
    def record_dtype(self) -> np.dtype[np.void]:
        """Packed surface records, as row-by-row publishers fill them."""
        return numpy_dialect.record_dtype(self.table, fractional=self.fractional)

    @cached_property
    def record_columns(self) -> npt.NDArray[np.int64]:
        """Offset, width and q type of every column of a record, for kernels: shape (columns, 3)."""
        fields = self.record_dtype.fields
        assert fields is not None
        rows = [
            (fields[name][1], width, q_type)
            for name, width, q_type in zip(self.table.names, self.widths, self.types, strict=True)
        ]
        return np.array(rows, dtype=np.int64)
