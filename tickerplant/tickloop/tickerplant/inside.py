"""Surface rows back to inside rows: whole numbers of units, names where operators want text."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE, NULL_INT, NULL_LONG
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.schema import CONTROL, INSTRUMENT, SYMBOL, Column, Kind
from tickloop.core.symbols import Symbols
from tickloop.core.units import UNIT_MIN, to_integers

Array = npt.NDArray[np.generic]


class Insider:
    """Converts batches in the order of the log; learns units from `instrument` rows on the way.

    A symbol's first `instrument` row counts: units never change. Values that are no whole number
    of units become null and are counted.
    """

    def __init__(self, symbols: Symbols, instruments: Instruments) -> None:
        """`instruments` are the units known before the first row; it is added to."""
        self._symbols = symbols
        self.instruments = instruments
        self.refused: Counter[str] = Counter()

    def inside(self, rows: Batch) -> Batch:
        """Convert surface rows; the columns are contiguous and nobody else's to write into."""
        if rows.table == INSTRUMENT:
            self._learn(rows)
        columns = {
            column.name: self._column(rows, column)
            for column in rows.table.columns
            if column.name in rows.columns and column.kind is not Kind.TEXT
        }
        if rows.table == SYMBOL:
            columns["name"] = self._names(rows.columns["sym"])
        elif rows.table == CONTROL:
            columns["name"] = self._names(rows.columns["name"])
        return Batch(rows.table, columns)

    def _column(self, rows: Batch, column: Column) -> Array:
        values = rows.columns[column.name]
        if column.kind in (Kind.PRICE, Kind.SIZE):
            if values.dtype.kind == "f":
                return self._integers(rows, column, values)
            return np.require(values, dtype="<i8", requirements=["C", "W"])
        return np.require(values, dtype=INSIDE[column.kind], requirements=["C", "W"])

    def _integers(self, rows: Batch, column: Column, values: Array) -> npt.NDArray[np.int64]:
        is_price = column.kind is Kind.PRICE
        known = self.instruments
        units = known.price_units if is_price else known.size_units
        integers, refused = to_integers(
            values.astype(np.float64, copy=False),
            rows.columns["sym"].astype(np.int32, copy=False), units,
            DEFAULT_PRICE_UNIT if is_price else DEFAULT_SIZE_UNIT,
        )  # fmt: skip
        if refused:
            self.refused[f"{rows.table.name}.{column.name}"] += refused
        return integers

    def _names(self, ids: Array) -> npt.NDArray[np.bytes_]:
        names = [
            self._symbols.name(symbol).encode(errors="surrogateescape") for symbol in ids.tolist()
        ]
        return np.array(names or [b""], dtype=np.bytes_)[: len(names)]

    def _learn(self, rows: Batch) -> None:
        columns = [rows.columns[name].tolist() for name in ("sym", "price_unit", "size_unit")]
        for symbol, price_unit, size_unit in zip(*columns, strict=True):
            size_unit = 0 if size_unit in (NULL_INT, NULL_LONG) else size_unit
            is_sound = symbol >= 0 and all(
                UNIT_MIN <= each <= 0 for each in (price_unit, size_unit)
            )
            if is_sound and self.instruments.declared(symbol) is None:
                self.instruments.declare(symbol, price_unit=price_unit, size_unit=size_unit)
