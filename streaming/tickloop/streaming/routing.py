"""Which shard gets which rows: symbols by the hash of their names, the log's own rows to all."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.hashing import shard_of
from tickloop.core.operator import Grouped, Scope
from tickloop.core.schema import CLOCK, CONTROL, SYMBOL
from tickloop.streaming.job import Job
from tickloop.tickerplant.sinks.shards import Shards

# Time, names and parameters concern everybody.
TO_ALL = frozenset({CLOCK.name, SYMBOL.name, CONTROL.name})


def divided(batch: Batch, shards: Shards) -> Sequence[Batch]:
    """Give every shard its rows, in their order."""
    if shards.count == 1 or batch.table.name in TO_ALL:
        return [batch] * shards.count
    owners = shards.of(batch.columns["sym"])
    return [_where(batch, owners == shard) for shard in range(shards.count)]


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
