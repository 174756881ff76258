"""Another machine's plant as a feed, from Kafka alone."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from tickloop.core.batch import Batch, Slice
from tickloop.core.catalog import Catalog
from tickloop.core.clock import sleep
from tickloop.core.errors import FeedError, SinkAwayError
from tickloop.core.instruments import Instruments
from tickloop.core.interleave import interleave
from tickloop.core.schema import CLOCK, INSTRUMENT
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import Health
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.envelope import NO_SEQ
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.kafka_start import Start
from tickloop.tickerplant.sinks.kafka_subscribe import Subscription


@dataclass(frozen=True, slots=True)
class Following:
    """What is wanted of a plant, and from where on."""

    start: Start = field(default_factory=Start)
    tables: str = ""  # names divided by spaces; empty: all but `without`
    without: Collection[str] = ()
    rows: int = 16_384  # about so many a slice
    follows: bool = False  # goes on as the topics grow


class KafkaFeed:
    """Plays a plant's topics from a start to where they end now, or for ever.

    `time` and symbols are the plant's own, and rows come in its order. FeedError if the bus has a
    table that this directory has otherwise, or not at all.
    """

    venue = ""

    def __init__(
        self, bus: Bus, prefix: str, catalog: Catalog, symbols: Symbols, instruments: Instruments,
        wanted: Following,
    ) -> None:  # fmt: skip
        self.name = f"kafka:{bus.bootstrap}/{prefix}"
        self.prefix = prefix
        self.health = Health()
        self.messages = 0
        self.follows = wanted.follows
        self.through = NO_SEQ  # the plant's seq up to which everything was given
        self.clock: int | None = None  # the latest instant that the plant's clock told
        self._wanted = wanted
        self._instruments = instruments
        self._symbols = symbols
        self._readings = 0
        self._subscription: Subscription | None = None
        self._reader = KafkaReader(
            bus, prefix, tables=wanted.tables, without=wanted.without, symbols=symbols
        )
        for name, sent in self._reader.tables.items():
            own = catalog.by_name.get(name)
            have = " ".join(own.names) if own is not None else "no such table"
            if own is None or own.kinds != sent.table.kinds or own.names != sent.table.names:
                raise FeedError(
                    f"{self.name}: table {name} ({' '.join(sent.table.names)}) seen,"
                    f" {have} here: configure the same tables on both machines,"
                    " or name those that are wanted in [feed] kafka_tables"
                )
            if sent.fractional and not catalog.fractional:
                raise FeedError(
                    f"{self.name}: fractional sizes seen, whole ones expected: set [store]"
                    " fractional = true, and a new --data directory"
                )

    @property
    def plant(self) -> int:
        """Whose rows these are."""
        return self._reader.plant

    @property
    def tables(self) -> frozenset[str]:
        """The tables that come from the bus."""
        return frozenset(self._reader.tables)

    def begin(self, start: Start) -> None:
        """Begin elsewhere than was wanted: where an earlier run stopped."""
        self._subscription = Subscription(self._reader, start, rows=self._wanted.rows)

    @property
    def _open(self) -> Subscription:
        if self._subscription is None:
            self.begin(self._wanted.start)
        assert self._subscription is not None, "begun"
        return self._subscription

    def slices(self) -> Iterator[Slice]:
        """Yield rows in the order of the plant that sent them, up to the topics' present ends."""
        for chunk in self._open.until_now():
            yield self._slice(chunk)

    def poll(self, timeout_s: float) -> Slice | None:
        """Give rows that are complete within a time-out; None if none are.

        Brokers that are away are waited for.
        """
        try:
            chunk = self._open.poll(timeout_s)
        except SinkAwayError:
            self.health.count("broker_away")
            sleep(timeout_s)
            return None
        return None if chunk is None else self._slice(chunk)

    def _slice(self, chunk: Chunk) -> Slice:
        self._declare()
        self.messages += 1
        self.through = chunk.through
        clock = chunk.table(CLOCK.name)
        if clock is not None:
            self.clock = int(clock.columns["time"][-1])
        return interleave([_placed(rows) for rows in chunk.batches if rows.table is not CLOCK])

    def _declare(self) -> None:
        """Take over the units that the bus tells; they never change."""
        if self._readings == self._reader.readings:
            return
        self._readings = self._reader.readings
        for symbol_id in range(len(self._symbols)):
            units = self._reader.instruments.declared(symbol_id)
            if units is not None and self._instruments.declared(symbol_id) is None:
                self._instruments.declare(symbol_id, price_unit=units[0], size_unit=units[1])

    def close(self) -> None:
        """Let go."""
        self._reader.close()


def _placed(rows: Batch) -> Batch:
    """Give rows as a plant takes them: their rank instead of the other plant's seq."""
    columns = dict(rows.columns)
    columns["_place"] = columns.pop("seq")
    if rows.table.name != INSTRUMENT.name:
        return Batch(rows.table, columns)
    columns["size_unit"] = columns["size_unit"].astype(np.int64)
    return Batch(INSTRUMENT, columns)
