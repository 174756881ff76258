"""Which shard gets which rows: symbols by the hash of their names, the log's own rows to all."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.hashing import shard_of
from tickloop.core.operator import Grouped, Scope
from tickloop.core.schema import CLOCK, CONTROL, SYMBOL
from tickloop.core.symbols import Symbols
from tickloop.streaming.job import Job

# Time, names and parameters concern everybody.
TO_ALL = frozenset({CLOCK.name, SYMBOL.name, CONTROL.name})


class Shards:
    """Divides batches by symbol."""

    def __init__(self, symbols: Symbols, count: int) -> None:
        self._symbols = symbols
        self.count = count
        # By symbol id; rows without a symbol belong to shard 0.
        self._shard = np.zeros(0, dtype=np.int32)

    def divide(self, batch: Batch) -> Sequence[Batch]:
        """Give every shard its rows, in their order."""
        if self.count == 1 or batch.table.name in TO_ALL:
            return [batch] * self.count
        shards = self._of(batch.columns["sym"].astype(np.int32, copy=False))
        return [_where(batch, shards == shard) for shard in range(self.count)]

    def _of(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        if len(self._symbols) > len(self._shard):
            names = self._symbols.names_from(len(self._shard))
            added = np.array([shard_of(name, self.count) for name in names], dtype=np.int32)
            self._shard = np.concatenate([self._shard, added])
        found = np.zeros(len(ids), dtype=np.int32)
        found[ids >= 0] = self._shard[ids[ids >= 0]]
        return found


def _where(batch: Batch, wanted: npt.NDArray[np.bool_]) -> Batch:
    return Batch(batch.table, {name: values[wanted] for name, values in batch.columns.items()})


def shares(job: Job, count: int) -> list[Job]:
    """Divide a job's work: its groups by the hash of their symbols, else everybody does it all.

    An operator of ALL scope cannot be divided, so it has one share.
    """
    operator = job.operator
    if operator.scope is Scope.ALL:
        return [job]
    if operator.scope is Scope.SYMBOL or not isinstance(operator, Grouped):
        return [job] * count
    owners = [shard_of("/".join(names), count) for names in operator.groups(job.params)]
    kept = [[at for at, owner in enumerate(owners) if owner == mine] for mine in range(count)]
    return [Job(job.name, operator, operator.restricted(job.params, mine)) for mine in kept]
