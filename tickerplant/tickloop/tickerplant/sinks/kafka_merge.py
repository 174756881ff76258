"""Rows of many topics and partitions, merged back into the plant's one order.

A row may go out when every partition has told of its seq: what is silent holds nothing back,
because progress records reach every partition.
"""

from collections.abc import Iterator

import numpy as np

from tickloop.core.batch import Batch, Slice, concatenate
from tickloop.core.interleave import interleave
from tickloop.tickerplant.sinks.envelope import NO_SEQ
from tickloop.tickerplant.sinks.kafka_reader import Delivery, KafkaReader


class Merge:
    """Holds deliveries until their turn."""

    def __init__(self, reader: KafkaReader) -> None:
        self._reader = reader
        self._held: dict[str, list[Batch]] = {}
        # What was added here; the reader may be ahead.
        self._told = {
            (name, shard): NO_SEQ
            for name, sent in reader.tables.items()
            for shard in range(sent.shards)
        }
        self.rows_held = 0
        self.through = NO_SEQ  # everything up to here went out

    def add(self, delivery: Delivery) -> None:
        """Take what arrived, as it was in the log."""
        header = delivery.message.header
        self._told[delivery.table, header.shard] = header.through
        if len(delivery.message.rows):
            rows = self._reader.surface(delivery)
            self._held.setdefault(delivery.table, []).append(rows)
            self.rows_held += len(rows)

    def ready(self) -> dict[str, Batch]:
        """Give each table's rows that every partition has told of, in seq order."""
        self.through = min(self._told.values(), default=NO_SEQ)
        found = {}
        for table, batches in list(self._held.items()):
            joined = _sorted(concatenate(batches))
            cut = int(np.searchsorted(joined.columns["seq"], self.through, side="right"))
            if cut:
                found[table] = _rows(joined, 0, cut)
                self.rows_held -= cut
            rest = _rows(joined, cut, len(joined))
            self._held[table] = [rest]
            if not len(rest):
                del self._held[table]
        return found

    def slice(self) -> Slice:
        """Give what is ready as one slice; `_place` is the rank in the plant's order."""
        batches = []
        for rows in self.ready().values():
            columns = dict(rows.columns)
            columns["_place"] = columns.pop("seq")
            batches.append(Batch(rows.table, columns))
        return interleave(batches) if batches else Slice(())


def _sorted(rows: Batch) -> Batch:
    order = np.argsort(rows.columns["seq"], kind="stable")
    return Batch(rows.table, {name: values[order] for name, values in rows.columns.items()})


def _rows(rows: Batch, first: int, last: int) -> Batch:
    return Batch(rows.table, {name: values[first:last] for name, values in rows.columns.items()})


def merged(reader: KafkaReader, *, rows_at_a_time: int) -> Iterator[Slice]:
    """Yield everything up to the topics' present ends as slices in the plant's order."""
    merge = Merge(reader)
    enough = rows_at_a_time
    for delivery in reader.until(reader.ends()):
        merge.add(delivery)
        if merge.rows_held >= enough:
            found = merge.slice()
            # What a slow partition holds back is not sorted again and again.
            enough = merge.rows_held + max(rows_at_a_time, merge.rows_held)
            if found.rows:
                yield found
    found = merge.slice()
    if found.rows:
        yield found
