"""Symbols as the bus tells them: which ids are known, what they are called, and their units."""

import json

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.schema import INSTRUMENT, SYMBOL, Kind
from tickloop.core.units import to_integers

_Array = npt.NDArray[np.generic]


class Known:
    """Grows by records of the dictionary; ids are the plant's own."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self._names: dict[int, bytes] = {}
        self._is_known = np.zeros(1, dtype=np.bool_)
        self._gapless = 0  # every id below is known
        self._instruments = Instruments()

    def learn(self, record: bytes) -> list[Batch]:
        """Take a record; give it as rows of `symbol` and `instrument`, none if it came before.

        They stand before all other rows: the sender tells a symbol before its first use.
        """
        told = json.loads(record)
        symbol, name = int(told["id"]), str(told["name"]).encode(errors="surrogateescape")
        if symbol in self._names:
            return []
        self.records.append(record)
        self._names[symbol] = name
        units = int(told["price_unit"]), int(told["size_unit"])
        self._instruments.declare(symbol, price_unit=units[0], size_unit=units[1])
        # The entry past the last id stands for the null symbol.
        if symbol >= len(self._is_known) - 1:
            more = np.zeros(max(symbol + 2, 2 * len(self._is_known)), dtype=np.bool_)
            more[: len(self._is_known) - 1] = self._is_known[:-1]
            more[-1] = True
            self._is_known = more
        self._is_known[symbol] = True
        while self._gapless < len(self._is_known) - 1 and self._is_known[self._gapless]:
            self._gapless += 1
        return [_symbol(symbol, name), _instrument(symbol, *units)]

    def has_all(self, rows: Batch) -> bool:
        """Tell whether every symbol of these rows is known."""
        if not len(rows):
            return True
        ids = rows.columns["sym"].astype(np.int32, copy=False)
        most = int(ids.max())
        if most < self._gapless:
            return True
        if most >= len(self._is_known) - 1:
            return False
        return bool(self._is_known[np.maximum(ids, -1)].all())

    def whole(self, rows: Batch, floats: int) -> Batch:
        """Count prices and sizes in units; a value that is no whole number of them becomes null."""
        if not floats:
            return rows
        columns = dict(rows.columns)
        symbols = columns["sym"].astype(np.int32, copy=False)
        for index, column in enumerate(rows.table.columns):
            if floats >> index & 1:
                is_price = column.kind is Kind.PRICE
                units = self._instruments
                columns[column.name], _ = to_integers(
                    columns[column.name].astype(np.float64, copy=False), symbols,
                    units.price_units if is_price else units.size_units,
                    DEFAULT_PRICE_UNIT if is_price else DEFAULT_SIZE_UNIT,
                )  # fmt: skip
        return Batch(rows.table, columns)

    def named(self, rows: Batch) -> Batch:
        """Give rows of `control` with names as bytes."""
        ids = rows.columns["name"].tolist()
        names = [self._names.get(each, b"") for each in ids]
        return Batch(rows.table, {**rows.columns, "name": np.array(names, dtype=np.bytes_)})


def _symbol(symbol: int, name: bytes) -> Batch:
    return Batch(SYMBOL, {
        **_at_start(symbol), "id": np.full(1, symbol, dtype=np.int32),
        "name": np.array([name], dtype=np.bytes_),
    })  # fmt: skip


def _instrument(symbol: int, price_unit: int, size_unit: int) -> Batch:
    return Batch(INSTRUMENT, {
        **_at_start(symbol), "price_unit": np.full(1, price_unit, dtype=np.int32),
        "size_unit": np.full(1, size_unit, dtype=np.int32),
    })  # fmt: skip


def _at_start(symbol: int) -> dict[str, _Array]:
    return {
        "time": np.zeros(1, dtype=np.int64), "sym": np.full(1, symbol, dtype=np.int32),
        "seq": np.zeros(1, dtype=np.int64),
    }  # fmt: skip
