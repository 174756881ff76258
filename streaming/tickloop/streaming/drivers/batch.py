"""In a batch: an operator over rows that are there already, from the first to the last."""

from collections.abc import Container, Iterable, Iterator, Sequence

from tickloop.core.batch import Batch
from tickloop.core.operator import Scope
from tickloop.core.symbols import Symbols
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import Job
from tickloop.streaming.merge import Merge, before_clocks, in_cause_order
from tickloop.streaming.order import Pending
from tickloop.streaming.routing import divided, shares
from tickloop.tickerplant.sinks.shards import Shards

Groups = Iterable[Sequence[Batch]]


class Driver:
    """Runs a job over groups of inside batches; each group's seqs are complete."""

    def __init__(self, job: Job, groups: Groups) -> None:
        self.job = job
        self._groups = groups
        self._fold = Fold(job)

    def rows(self) -> Iterator[Batch]:
        """Yield derived rows, group by group, ascending by cause and ordinal within a table."""
        for group in self._groups:
            yield from self._fold.take(group)

    def snapshot(self) -> bytes:
        """Spell the state after the rows so far."""
        return self._fold.snapshot()


def groups_of(
    batches: Iterable[Batch], tables: Container[str] | None = None
) -> Iterator[Sequence[Batch]]:
    """Group all batches of a log as they came out of it: those whose seqs interleave are together.

    Groups hold the wanted `tables` alone; None: all.
    """
    pending = Pending()
    for batch in batches:
        is_wanted = tables is None or batch.table.name in tables
        if group := pending.add(batch, is_wanted=is_wanted):
            yield group
    if group := pending.rest():
        yield group


class ParallelDriver:
    """Runs a job's shares one after the other, as a cluster does at once: for comparing both.

    The rows of every input shard go, through a merge where the operator needs several, to the
    share that needs them; what the shares make is put in the order of causes at the end.
    """

    def __init__(self, job: Job, groups: Groups, symbols: Symbols, shards: int) -> None:
        self.job = job
        self._groups = groups
        self._shards = Shards(symbols, shards)
        self._folds = [Fold(share) for share in shares(job, shards)]
        # Where an operator needs several shards, each share reads all of them.
        merged = job.operator.scope is not Scope.SYMBOL
        self._merges = [Merge(shards) for _ in self._folds] if merged else []

    def rows(self) -> Iterator[Batch]:
        """Yield all derived rows, a table at a time."""
        made = [row for group in self._groups for row in self._take(group)]
        tables: dict[str, list[Batch]] = {}
        for batch in made:
            tables.setdefault(batch.table.name, []).append(batch)
        for found in tables.values():
            yield in_cause_order(found)

    def _take(self, group: Sequence[Batch]) -> Iterator[Batch]:
        by_shard = [divided(batch, self._shards) for batch in group]
        for shard in range(self._shards.count):
            mine = [parts[shard] for parts in by_shard if len(parts[shard])]
            if not self._merges:
                yield from self._folds[shard].take(mine)
                continue
            for fold, merge in zip(self._folds, self._merges, strict=True):
                for batch in before_clocks(mine):
                    yield from fold.take(merge.add(shard, batch))
