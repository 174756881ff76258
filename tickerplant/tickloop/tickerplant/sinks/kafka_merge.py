"""Rows of many topics and partitions, merged back into the plant's one order.

A row may go out when every partition has told of its seq: what is silent holds nothing back,
because progress records reach every partition.
"""

import numpy as np

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import CLOCK
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.envelope import NO_SEQ
from tickloop.tickerplant.sinks.kafka_client import Partition
from tickloop.tickerplant.sinks.kafka_reader import Delivery, KafkaReader


class Merge:
    """Holds deliveries until their turn."""

    def __init__(self, reader: KafkaReader) -> None:
        """The reader has begun; what it was told of before is not waited for."""
        self._reader = reader
        self._held: dict[str, list[Batch]] = {}
        # What was added here; the reader may be ahead.
        self._told: dict[Partition, int] = {
            where: reader.through(where) for where in reader.partitions
        }
        self.rows_held = 0
        self.through = NO_SEQ  # everything up to here went out

    def add(self, delivery: Delivery) -> None:
        """Take what arrived, as it was in the log."""
        header = delivery.message.header
        self._told[self._reader.topic(delivery.table), header.shard] = header.through
        if len(delivery.message.rows):
            rows = self._reader.surface(delivery)
            self._held.setdefault(delivery.table, []).append(rows)
            self.rows_held += len(rows)
        if len(delivery.message.clocks):
            self._held.setdefault(CLOCK.name, []).append(delivery.message.clocks)

    def ready(self) -> Chunk | None:
        """Give what every partition has told of, a batch a table in seq order; None if nothing."""
        after, self.through = self.through, min(self._told.values(), default=NO_SEQ)
        if self.through <= after:
            self.through = after
            return None
        found = []
        for table in list(self._held):
            joined = _sorted(concatenate(self._held.pop(table)))
            if table == CLOCK.name:  # every partition tells of the clock
                joined = _once(joined)
            cut = int(np.searchsorted(joined.columns["seq"], self.through, side="right"))
            if cut:
                found.append(_rows(joined, 0, cut))
            if cut < len(joined):
                self._held[table] = [_rows(joined, cut, len(joined))]
            if table != CLOCK.name:
                self.rows_held -= cut
        return Chunk(after, self.through, tuple(found))


def _sorted(rows: Batch) -> Batch:
    order = np.argsort(rows.columns["seq"], kind="stable")
    return Batch(rows.table, {name: values[order] for name, values in rows.columns.items()})


def _once(rows: Batch) -> Batch:
    _, first = np.unique(rows.columns["seq"], return_index=True)
    return Batch(rows.table, {name: values[first] for name, values in rows.columns.items()})


def _rows(rows: Batch, first: int, last: int) -> Batch:
    return Batch(rows.table, {name: values[first:last] for name, values in rows.columns.items()})
