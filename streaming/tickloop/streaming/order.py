"""Batches of several tables whose seqs interleave: when they are complete, and in which steps."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import JOURNAL


class Pending:
    """Gathers batches as a log gives them, table by table; a group is complete when no seq is out.

    What entered the log at once has the seqs of one span, interleaved over its tables in any way:
    that a batch begins past another one's end says nothing of a third one. So every row of the log
    is counted, whether or not it is wanted.
    """

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._tables: set[str] = set()
        self._rows = 0
        self._next: int | None = None  # the seq that comes first; unknown before the first batch
        self._last = -1

    def begin(self, next_seq: int) -> None:
        """Say which seq the first row has."""
        self._next = next_seq

    def add(self, rows: Batch, *, is_wanted: bool = True) -> Sequence[Batch]:
        """Take the next batch of the log; give the group that is complete with it, if one is."""
        if not len(rows):
            return ()
        seqs = rows.columns["seq"]
        first, last = int(seqs[0].item()), int(seqs[-1].item())
        done: Sequence[Batch] = ()
        is_repeated = rows.table.name in self._tables and first > self._last
        if is_repeated or rows.table == JOURNAL:
            # At once, a table's rows come as one: what is out was cut from the log by a repair.
            # And a `journal` row stands between what was written at once, never within.
            done = self.rest()
            self._next = None
        self._next = first if self._next is None else self._next
        self._tables.add(rows.table.name)
        self._rows += len(rows)
        self._last = max(self._last, last)
        if is_wanted:
            self._batches.append(rows)
        if self._rows == self._last - self._next + 1:
            done = [*done, *self.rest()]
        return done

    def rest(self) -> Sequence[Batch]:
        """Give what is left, which whoever writes the log knows to be complete."""
        batches, self._batches = self._batches, []
        if self._rows:
            self._next, self._rows = self._last + 1, 0
            self._tables.clear()
        return batches


def one_per_table(batches: Sequence[Batch]) -> list[Batch]:
    """Join batches of one table; each table's come in the order of their seqs."""
    by_table: dict[str, list[Batch]] = {}
    for batch in batches:
        if len(batch):
            by_table.setdefault(batch.table.name, []).append(batch)
    return [concatenate(found) for found in by_table.values()]


def steps(batches: Sequence[Batch], together: frozenset[str]) -> Iterator[Sequence[Batch]]:
    """Cut a group into steps in seq order: runs of one table, or of tables that go together."""
    joined = one_per_table(batches)
    if len(joined) <= 1 or all(batch.table.name in together for batch in joined):
        if joined:
            yield joined
        return
    classes = _classes(joined, together)
    seqs = np.concatenate([batch.columns["seq"] for batch in joined])
    owners = np.repeat(classes, [len(batch) for batch in joined])
    order = np.argsort(seqs, kind="stable")
    changes = np.flatnonzero(np.diff(owners[order]))
    heads = [0] * len(joined)
    for last in [*changes.tolist(), len(order) - 1]:
        members = np.flatnonzero(classes == owners[order[last]])
        yield list(_run(joined, members, heads, int(seqs[order[last]])))


def _classes(joined: Sequence[Batch], together: frozenset[str]) -> npt.NDArray[np.int64]:
    """Number what a step may hold: the tables that go together are 0, each other its own."""
    return np.array(
        [0 if batch.table.name in together else index + 1 for index, batch in enumerate(joined)]
    )


def _run(
    joined: Sequence[Batch], members: npt.NDArray[np.int64], heads: list[int], last_seq: int
) -> Iterator[Batch]:
    """Take the members' rows up to a seq."""
    for index in members.tolist():
        batch, first = joined[index], heads[index]
        stop = int(np.searchsorted(batch.columns["seq"], last_seq, side="right"))
        if stop > first:
            heads[index] = stop
            columns = {name: values[first:stop] for name, values in batch.columns.items()}
            yield Batch(batch.table, columns)
