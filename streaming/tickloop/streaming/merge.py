"""Several shards in one order: rows in seq order, up to the lowest progress of all shards."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import CLOCK
from tickloop.core.seq_cuts import up_to
from tickloop.streaming.order import one_per_table, steps


class Merge:
    """Holds rows back until every shard has told that nothing before them is still to come.

    A clock row goes to every shard, after all rows of the shard that have lower seqs: that is
    its progress record. How shards are interleaved on their way, and how their batches are cut,
    changes nothing in what comes out.
    """

    def __init__(self, shards: int) -> None:
        self._held: list[list[Batch]] = [[] for _ in range(shards)]
        self._progress = [-1] * shards
        self._done = -1

    def add(self, shard: int, batch: Batch) -> Sequence[Batch]:
        """Take a shard's batch; give the group that is complete now, if there is one.

        Rows that come again, as after a restart of the sender, are left out.
        """
        if len(batch) and int(batch.columns["seq"][-1]) > self._done:
            self._held[shard].append(up_to(batch, self._done)[1])
            if batch.table == CLOCK:
                last = int(batch.columns["seq"][-1])
                self._progress[shard] = max(self._progress[shard], last)
        return self._release()

    def _release(self) -> Sequence[Batch]:
        low = min(self._progress)
        if low <= self._done:
            return ()
        self._done = low
        ready: list[Batch] = []
        for shard, held in enumerate(self._held):
            kept = []
            for batch in held:
                first, rest = up_to(batch, low)
                ready.append(first)
                if len(rest):
                    kept.append(rest)
            self._held[shard] = kept
        return [in_seq_order(batch) for batch in one_per_table(ready)]


def before_clocks(group: Sequence[Batch]) -> Iterator[Batch]:
    """Put a group's rows on their way: a clock row after all that have lower seqs."""
    others = frozenset(batch.table.name for batch in group) - {CLOCK.name}
    for step in steps(group, others):
        yield from step


def in_seq_order(batch: Batch) -> Batch:
    """Sort by seq; a row that went to every shard counts once."""
    seqs: npt.NDArray[np.int64] = batch.columns["seq"].astype(np.int64, copy=False)
    if (np.diff(seqs) > 0).all():
        return batch
    _, rows = np.unique(seqs, return_index=True)
    return Batch(batch.table, {name: values[rows] for name, values in batch.columns.items()})


def in_cause_order(batches: Sequence[Batch]) -> Batch:
    """Put derived rows of one table, from several shards, in the order that one shard makes."""
    joined = concatenate(batches)
    order = np.lexsort((joined.columns["ordinal"], joined.columns["cause"]))
    return Batch(joined.table, {name: values[order] for name, values in joined.columns.items()})
