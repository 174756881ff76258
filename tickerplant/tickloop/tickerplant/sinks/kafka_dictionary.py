"""The symbols that the bus knows: an id, a name, a shard and units, told before their first use.

Units are fixed when a symbol is first sent, so that a reader never has to know when they changed.
What the topic holds counts, also after a crash: it is read back before anything is sent.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_INT
from tickloop.core.errors import SinkError
from tickloop.core.hashing import shard_of
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.kernel import kernel
from tickloop.core.schema import INSTRUMENT, Kind
from tickloop.core.symbols import Symbols
from tickloop.core.units import UNIT_MIN
from tickloop.tickerplant.sinks.json_rows import json_rows
from tickloop.tickerplant.sinks.kafka_names import SentSymbol


@kernel(
    "int64(int32[::1], boolean[::1])",
    "int64(Array(int32, 1, 'C', readonly=True), boolean[::1])",
)
def _note_used(ids: npt.NDArray[np.int32], is_used: npt.NDArray[np.bool_]) -> int:
    """Mark ids that stand in a column; give the highest one past the end, or -1."""
    unknown = -1
    for row in range(len(ids)):
        if 0 <= ids[row] < len(is_used):
            is_used[ids[row]] = True
        else:
            unknown = max(unknown, ids[row])
    return unknown


class Dictionary:
    """What was told of symbols, and what has to be told before a chunk is sent."""

    def __init__(self, symbols: Symbols, shards: int) -> None:
        self.instruments = Instruments()
        self._symbols = symbols
        self._shards = shards
        self._is_told = np.zeros(0, dtype=np.bool_)
        self._units: dict[int, tuple[int, int]] = {}

    def recall(self, known: Iterable[SentSymbol]) -> None:
        """Take over what the topic holds; SinkError if its ids are not this database's."""
        for symbol in known:
            have = self._symbols.find(symbol.name)
            if have != symbol.id or symbol.shard != shard_of(symbol.name, self._shards):
                raise SinkError(
                    f"the bus knows symbol {symbol.name!r} as {symbol.id} in shard {symbol.shard},"
                    f" this database as {have} in shard"
                    f" {shard_of(symbol.name, self._shards)}: another data directory wrote these"
                    " topics; give [sinks.kafka] another prefix"
                )
            self._mark(symbol.id)
            self.instruments.declare(
                symbol.id, price_unit=symbol.price_unit, size_unit=symbol.size_unit
            )

    def _mark(self, symbol_id: int) -> None:
        if symbol_id >= len(self._is_told):
            more = max(symbol_id + 1, 2 * len(self._is_told)) - len(self._is_told)
            self._is_told = np.append(self._is_told, np.zeros(more, dtype=np.bool_))
        self._is_told[symbol_id] = True

    def learn(self, batches: Sequence[Batch]) -> Iterator[SentSymbol]:
        """Yield the symbols that these rows use first, with units that hold from now on."""
        for rows in batches:
            if rows.table.name == INSTRUMENT.name:
                self._note_units(rows)
        for symbol_id in self._new(batches):
            price, size = self._units.pop(symbol_id, (DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT))
            self._mark(symbol_id)
            self.instruments.declare(symbol_id, price_unit=price, size_unit=size)
            name = self._symbols.name(symbol_id)
            yield SentSymbol(symbol_id, name, shard_of(name, self._shards), price, size)

    def _note_units(self, rows: Batch) -> None:
        columns = (rows.columns[name].tolist() for name in ("sym", "price_unit", "size_unit"))
        for symbol_id, price, size in zip(*columns, strict=True):
            size = 0 if size == NULL_INT else size
            if UNIT_MIN <= price <= 0 and UNIT_MIN <= size <= 0:
                self._units.setdefault(symbol_id, (price, size))

    def _new(self, batches: Sequence[Batch]) -> list[int]:
        is_used = np.zeros(len(self._symbols), dtype=np.bool_)
        for rows in batches:
            for column in rows.table.columns:
                if column.kind is Kind.SYMBOL:
                    ids = rows.columns[column.name].astype(np.int32, copy=False)
                    unknown = _note_used(np.ascontiguousarray(ids), is_used)
                    if unknown >= 0:
                        raise SinkError(
                            f"symbol {unknown} seen in {rows.table.name}.{column.name}, less than"
                            f" {len(is_used)} expected, as the database knows no more symbols;"
                            " `tickloop verify` says what is damaged"
                        )
        told = self._is_told[: len(is_used)]
        is_used[: len(told)] &= ~told
        return [int(symbol_id) for symbol_id in np.flatnonzero(is_used)]


def instrument_records(rows: Batch, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield each instrument's name and its row as JSON."""
    for value in json_rows(rows, names):
        yield json.loads(value)["sym"] or "", value
