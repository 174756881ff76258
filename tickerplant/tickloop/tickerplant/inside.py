"""Surface rows back to inside rows: whole numbers of units, names where operators want text."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE, NULL_INT, NULL_LONG
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.schema import CONTROL, INSTRUMENT, SYMBOL, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.core.units import UNIT_MIN, to_integers

Array = npt.NDArray[np.generic]
_LATELY_MAX = 16


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
        self._plans: dict[str, list[tuple[Column, np.dtype[Any], bool]]] = {}
        # Several streams take the same rows: they are converted once.
        self._lately: dict[int, tuple[Batch, Batch]] = {}

    def inside(self, rows: Batch) -> Batch:
        """Convert surface rows; the columns are contiguous, and only to be read."""
        known = self._lately.get(id(rows))
        if known is not None and known[0] is rows:
            return known[1]
        name = rows.table.name
        if name == INSTRUMENT.name:
            self._learn(rows)
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _plan(rows.table)
        columns = {
            column.name: self._column(rows, column, dtype, is_scaled=is_scaled)
            for column, dtype, is_scaled in plan
            if column.name in rows.columns
        }
        if name == SYMBOL.name:
            columns["name"] = self._names(rows.columns["sym"])
        elif name == CONTROL.name:
            columns["name"] = self._names(rows.columns["name"])
        found = Batch(rows.table, columns)
        if len(self._lately) >= _LATELY_MAX:
            self._lately.clear()
        self._lately[id(rows)] = (rows, found)
        return found

    def _column(
        self, rows: Batch, column: Column, dtype: np.dtype[Any], *, is_scaled: bool
    ) -> Array:
        values = rows.columns[column.name]
        if is_scaled and values.dtype.kind == "f":
            return self._integers(rows, column, values)
        if values.dtype == dtype and values.flags.c_contiguous and values.flags.writeable:
            return values
        # Kernels are compiled for arrays that could be written.
        return np.require(values, dtype, ["C", "W"])

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


def _plan(table: Table) -> list[tuple[Column, np.dtype[Any], bool]]:
    """Tell each column's inside type, and whether it is counted in units."""
    scaled = (Kind.PRICE, Kind.SIZE)
    return [
        (column, np.dtype("<i8" if column.kind in scaled else INSIDE[column.kind]),
         column.kind in scaled)
        for column in table.columns
        if column.kind is not Kind.TEXT
    ]  # fmt: skip
