"""Surface rows back to inside rows: whole units of each symbol where that loses nothing."""

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.schema import Kind
from tickloop.core.units import to_floats, to_integers


def inside(rows: Batch, instruments: Instruments) -> tuple[Batch, int]:
    """Give rows with prices and sizes as integers, and a bit a column that has to stay float64.

    A column stays as it is if one of its values is no whole number of its symbol's units, so
    that nothing is lost on the way to another machine.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {}
    floats = 0
    symbols = rows.columns["sym"].astype(np.int32, copy=False)
    for index, column in enumerate(rows.table.columns):
        values = rows.columns[column.name]
        if column.kind in (Kind.PRICE, Kind.SIZE) and values.dtype == np.float64:
            units, default = _units(instruments, column.kind)
            whole, refused = to_integers(values.astype(np.float64), symbols, units, default)
            floats |= bool(refused) << index
            values = values if refused else whole
        columns[column.name] = values
    return Batch(rows.table, columns), floats


def surface(rows: Batch, floats: int, instruments: Instruments, *, fractional: bool) -> Batch:
    """Give inside rows as they were in the log: the inverse of `inside`."""
    columns: dict[str, npt.NDArray[np.generic]] = {}
    symbols = rows.columns["sym"].astype(np.int32, copy=False)
    for index, column in enumerate(rows.table.columns):
        values = rows.columns[column.name]
        is_float = column.kind is Kind.PRICE or (column.kind is Kind.SIZE and fractional)
        if is_float and not floats >> index & 1:
            units, default = _units(instruments, column.kind)
            values, refused = to_floats(values.astype(np.int64), symbols, units, default)
            assert not refused, (
                f"{rows.table.name}.{column.name}: {refused} values do not come back"
            )
        columns[column.name] = values
    return Batch(rows.table, columns)


def _units(instruments: Instruments, kind: Kind) -> tuple[npt.NDArray[np.int8], int]:
    if kind is Kind.PRICE:
        return instruments.price_units, DEFAULT_PRICE_UNIT
    return instruments.size_units, DEFAULT_SIZE_UNIT
