"""NumPy's spelling: `INSIDE` for kernels and batches, `SURFACE` for the log, tables and queries."""

import numpy as np
import numpy.typing as npt

from tickloop.core.schema import Kind, Table

SURFACE: dict[Kind, str] = {
    Kind.INSTANT: "<i8",
    Kind.SPAN: "<i8",
    Kind.SYMBOL: "<i4",
    Kind.PRICE: "<f8",
    Kind.SIZE: "<i8",
    Kind.FLOAT: "<f8",
    Kind.REAL: "<f4",
    Kind.LONG: "<i8",
    Kind.INT: "<i4",
    Kind.SHORT: "<i2",
    Kind.BYTE: "|u1",
    Kind.FLAG: "|u1",
    Kind.CHAR: "|u1",
    Kind.GUID: "|V16",
    Kind.DATE: "<i4",
    Kind.MONTH: "<i4",
    Kind.DATETIME: "<f8",
    Kind.MINUTE: "<i4",
    Kind.SECOND: "<i4",
    Kind.MILLI: "<i4",
    Kind.TEXT: "|O",
}
INSIDE: dict[Kind, str] = {**SURFACE, Kind.PRICE: "<i8"}

NULL_SHORT = -(2**15)
NULL_INT = -(2**31)
NULL_LONG = -(2**63)
# A null symbol inside is kdb+'s null enumeration index; every negative id reads as null.
NULL_SYMBOL = NULL_INT
NULL_CHAR = 0x20

_NULL_BY_DTYPE: dict[str, int | float] = {
    "<i8": NULL_LONG,
    "<i4": NULL_INT,
    "<i2": NULL_SHORT,
    "<f8": float("nan"),
    "<f4": float("nan"),
}


def surface_dtype(kind: Kind, *, fractional: bool = False) -> str:
    """Give the dtype of a surface column; sizes are float64 where quantities are fractional."""
    return "<f8" if kind is Kind.SIZE and fractional else SURFACE[kind]


def null_of(kind: Kind, dtype: str) -> int | float | bytes:
    """Give the value that stands for null in a column of `kind` stored as `dtype`."""
    if kind is Kind.CHAR:
        return NULL_CHAR
    if kind is Kind.GUID:
        return bytes(16)
    return _NULL_BY_DTYPE.get(dtype, 0)


def nulls(kind: Kind, rows: int, *, dtype: str) -> npt.NDArray[np.generic]:
    """Make a column of `rows` nulls."""
    if kind is Kind.TEXT:
        return np.full(rows, b"", dtype="|O")
    return np.full(rows, null_of(kind, dtype), dtype=dtype)


def record_dtype(table: Table, *, fractional: bool = False) -> np.dtype[np.void]:
    """Lay a table's surface columns out as packed records, as row-by-row publishers fill them."""
    fields = [
        (column.name, surface_dtype(column.kind, fractional=fractional)) for column in table.columns
    ]
    return np.dtype(fields)
