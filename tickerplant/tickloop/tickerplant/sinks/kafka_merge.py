"""Rows of many topics and partitions, merged back into the plant's one order.

A row may go out when every partition has told of its seq: what is silent holds nothing back,
because progress records reach every partition.
"""

from collections import deque

import numpy as np

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import CLOCK
from tickloop.core.seq_cuts import taken
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.envelope import NO_SEQ
from tickloop.tickerplant.sinks.kafka_client import Partition
from tickloop.tickerplant.sinks.kafka_reader import Delivery, KafkaReader


class Merge:
    """Holds deliveries until their turn."""

    def __init__(self, reader: KafkaReader) -> None:
        """The reader has begun; what it was told of before is not waited for."""
        self._reader = reader
        # By table and partition, in order: so each row is looked at twice, however far one
        # partition is ahead of another.
        self._held: dict[tuple[str, Partition], deque[Batch]] = {}
        # What was added here; the reader may be ahead.
        self._told: dict[Partition, int] = {
            where: reader.through(where) for where in reader.partitions
        }
        self.rows_held = 0
        self.through = NO_SEQ  # everything up to here went out

    def add(self, delivery: Delivery) -> None:
        """Take what arrived, as it was in the log."""
        header = delivery.message.header
        where = self._reader.topic(delivery.table), header.shard
        self._told[where] = header.through
        if len(delivery.message.rows):
            rows = self._reader.surface(delivery)
            self._hold(delivery.table, where, rows)
            self.rows_held += len(rows)
        if len(delivery.message.clocks):
            self._hold(CLOCK.name, where, delivery.message.clocks)

    def _hold(self, table: str, where: Partition, rows: Batch) -> None:
        self._held.setdefault((table, where), deque()).append(rows)

    def ready(self) -> Chunk | None:
        """Give what every partition has told of, a batch a table in seq order; None if nothing."""
        after, self.through = self.through, min(self._told.values(), default=NO_SEQ)
        if self.through <= after:
            self.through = after
            return None
        ready: dict[str, list[Batch]] = {}
        for (table, _), held in self._held.items():
            if rows := list(taken(held, self.through)):
                ready.setdefault(table, []).extend(rows)
        found = []
        for table, batches in ready.items():
            # Every partition tells of the clock.
            put = _once if table == CLOCK.name else _sorted
            found.append(put(concatenate(batches)))
            if table != CLOCK.name:
                self.rows_held -= len(found[-1])
        return Chunk(after, self.through, tuple(found))


def _sorted(rows: Batch) -> Batch:
    order = np.argsort(rows.columns["seq"], kind="stable")
    return Batch(rows.table, {name: values[order] for name, values in rows.columns.items()})


def _once(rows: Batch) -> Batch:
    _, first = np.unique(rows.columns["seq"], return_index=True)
    return Batch(rows.table, {name: values[first] for name, values in rows.columns.items()})
