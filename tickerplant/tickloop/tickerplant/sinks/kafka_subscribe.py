"""Subscribe to a plant through Kafka: its rows in batches, in its one order, each exactly once."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from tickloop.core.clock import sleep
from tickloop.core.errors import SinkAwayError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_merge import Merge
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.kafka_start import Start

_NAP_S = 0.2
_ROWS = 65_536
# Rows held for a slow partition before what is there is looked through again.
_AGAIN = 2


class Subscription:
    """A plant's chunks, as `JournalTail` gives them on its own machine.

    A chunk holds every row of the wanted tables with `after` < seq <= `through`: a batch a table,
    in surface form, `time` and `seq` the plant's, `sym` ids of `symbols`. Rows of the plant's
    clock are in the table `clock`. Whoever keeps `through` goes on there with `Start(seq=...)`.
    """

    def __init__(self, reader: KafkaReader, start: Start, *, rows: int = _ROWS) -> None:
        self.reader = reader
        self._rows = rows
        reader.begin(start)
        self._merge = Merge(reader)

    @property
    def symbols(self) -> Symbols:
        """Names of the ids in `sym` and other symbol columns."""
        return self.reader.symbols

    @property
    def through(self) -> int:
        """The plant's seq up to which everything was given."""
        return self._merge.through

    def poll(self, timeout_s: float = 0.1) -> Chunk | None:
        """Give what is complete by now, or within a time-out; None if nothing is.

        SinkAwayError while the brokers are away: nothing is lost, call it again.
        """
        enough = self._merge.rows_held + self._rows
        for delivery in self.reader.poll(timeout_s):
            self._merge.add(delivery)
        while self._merge.rows_held < enough and (more := self.reader.poll(0.0)):
            for delivery in more:
                self._merge.add(delivery)
        return self._merge.ready()

    def until_now(self) -> Iterator[Chunk]:
        """Give everything up to the topics' present ends."""
        enough = self._rows
        for delivery in self.reader.until(self.reader.ends()):
            self._merge.add(delivery)
            if self._merge.rows_held < enough:
                continue
            chunk = self._merge.ready()
            # What a slow partition holds back is not sorted again and again.
            enough = max(self._rows, _AGAIN * self._merge.rows_held)
            if chunk is not None:
                yield chunk
        chunk = self._merge.ready()
        if chunk is not None:
            yield chunk

    def __iter__(self) -> Iterator[Chunk]:
        """Give chunks for ever; brokers that are away are waited for."""
        while True:
            try:
                chunk = self.poll()
            except SinkAwayError:
                sleep(_NAP_S)
                continue
            if chunk is not None:
                yield chunk

    def close(self) -> None:
        """Let go."""
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


def subscribe(
    brokers: str, prefix: str = "tickloop.", *, start: Start | None = None, tables: str = "",
    symbols: Symbols | None = None, properties: Mapping[str, str] | None = None,
) -> Subscription:  # fmt: skip
    """Subscribe to the tables (names divided by spaces; empty: all) of the plant behind a prefix.

    `start` is the first row unless it says otherwise; `properties` are librdkafka's. SinkError
    tells what is wrong with an address, a prefix or a table; SinkAwayError that nobody answers.
    """
    bus = Bus(brokers, properties or {})
    reader = KafkaReader(bus, prefix, tables=tables, symbols=symbols or Symbols())
    return Subscription(reader, start or Start())
