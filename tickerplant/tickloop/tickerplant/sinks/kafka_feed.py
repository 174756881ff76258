"""Another machine's plant as a feed, from Kafka alone."""

from collections.abc import Iterator

import numpy as np

from tickloop.core.batch import Batch, Slice
from tickloop.core.catalog import Catalog
from tickloop.core.errors import FeedError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import INSTRUMENT
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, Health
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_merge import merged
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader


class KafkaFeed:
    """Plays a plant's topics from their first row to where they end now.

    FeedError if the bus has a table that this directory has otherwise, or not at all.
    """

    venue = ""

    def __init__(
        self, bus: Bus, prefix: str, catalog: Catalog, symbols: Symbols, instruments: Instruments,
        rule: CutRule,
    ) -> None:  # fmt: skip
        self.name = f"kafka:{bus.bootstrap}/{prefix}"
        self.health = Health()
        self.messages = 0
        self._rule = rule
        self._instruments = instruments
        self._symbols = symbols
        self._reader = KafkaReader(bus, prefix, symbols=symbols)
        for name, sent in self._reader.tables.items():
            own = catalog.by_name.get(name)
            have = " ".join(own.names) if own is not None else "no such table"
            if own is None or own.kinds != sent.table.kinds or own.names != sent.table.names:
                raise FeedError(
                    f"{self.name}: table {name} ({' '.join(sent.table.names)}) seen,"
                    f" {have} here: configure the same tables on both machines"
                )
            if sent.fractional and not catalog.fractional:
                raise FeedError(
                    f"{self.name}: fractional sizes seen, whole ones expected: set [store]"
                    " fractional = true, and a new --data directory"
                )

    def slices(self) -> Iterator[Slice]:
        """Yield rows in the order of the plant that sent them."""
        self._reader.begin()
        for rows in merged(self._reader, rows_at_a_time=self._rule.messages):
            self.messages += rows.rows
            self._declare()
            yield Slice(tuple(_typed(batch) for batch in rows.batches))

    def _declare(self) -> None:
        """Take over the units that the bus tells; they never change."""
        for symbol_id in range(len(self._symbols)):
            units = self._reader.instruments.declared(symbol_id)
            if units is not None and self._instruments.declared(symbol_id) is None:
                self._instruments.declare(symbol_id, price_unit=units[0], size_unit=units[1])


def _typed(batch: Batch) -> Batch:
    if batch.table is not INSTRUMENT and batch.table.name != INSTRUMENT.name:
        return batch
    sizes = batch.columns["size_unit"].astype(np.int64)
    return Batch(INSTRUMENT, {**batch.columns, "size_unit": sizes})
