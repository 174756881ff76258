"""One running operator: its state, how far it has come, and the rows that follow from it."""

from collections.abc import Mapping, Sequence

import numpy as np

from tickloop.core.batch import Batch, concatenate
from tickloop.core.operator import State, Together
from tickloop.core.schema import CONTROL
from tickloop.core.snapshot import Snapshot, as_bytes, from_bytes, restored
from tickloop.streaming.job import Job
from tickloop.streaming.order import steps

BEFORE_ALL = -1


class Fold:
    """Folds groups of inside batches; every runtime holds one of these a shard."""

    def __init__(self, job: Job, snapshot: bytes | None = None) -> None:
        """Begin, or go on from a snapshot; SnapshotError if it is not this operator's."""
        self.job = job
        self._wanted = frozenset(job.operator.tables)
        self._together: frozenset[str] = getattr(job.operator, "together", frozenset())
        self.seq = BEFORE_ALL
        self._state: State
        if snapshot is None:
            self._state = job.operator.initial(job.params)
        else:
            found = from_bytes(snapshot)
            self._state = restored(job.operator, found)
            self.seq = found.seq

    def take(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Fold a complete group; rows that were folded before must not come again.

        Gives derived rows by table, ascending by cause, then ordinal.
        """
        made: list[Batch] = []
        wanted = [batch for batch in batches if batch.table.name in self._wanted]
        for step in steps(wanted, self._together):
            made += self._step(step)
        for batch in batches:
            if len(batch):
                self.seq = max(self.seq, int(batch.columns["seq"][-1].item()))
        return by_table(made)

    def _step(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        operator = self.job.operator
        if batches[0].table == CONTROL:
            batches = _addressed(batches[0], self.job.name)
        if not batches:
            return ()
        if len(batches) == 1:
            self._state, rows = operator.step(self._state, batches[0])
        else:
            assert isinstance(operator, Together), f"{operator.name} declares `together`"
            self._state, rows = operator.step_together(self._state, batches)
        return rows

    def change(self, changed: Mapping[str, float]) -> None:
        """Give live parameters other values from the next row on, as `control` rows would."""
        count = len(changed)
        columns = {name: np.zeros(count, dtype=np.int64) for name in CONTROL.names}
        columns["name"] = np.array([name.encode() for name in changed], dtype=np.bytes_)
        columns["value"] = np.array([*changed.values()], dtype=np.float64)
        columns["seq"] = np.full(count, self.seq, dtype=np.int64)
        self._state, _ = self.job.operator.step(self._state, Batch(CONTROL, columns))

    def snapshot(self) -> bytes:
        """Spell the state and how far it has come."""
        return as_bytes(Snapshot(self.job.operator.name, self.seq, self._state))


def _addressed(control: Batch, stream: str) -> Sequence[Batch]:
    """Keep rows named STREAM.PARAMETER, under the parameter's name."""
    prefix = f"{stream}.".encode()
    names = control.columns["name"].tolist()
    kept = [index for index, name in enumerate(names) if name.startswith(prefix)]
    if not kept:
        return ()
    columns = {name: values[kept] for name, values in control.columns.items()}
    columns["name"] = np.array([names[index][len(prefix) :] for index in kept], dtype=np.bytes_)
    return (Batch(control.table, columns),)


def by_table(made: Sequence[Batch]) -> Sequence[Batch]:
    """Join derived rows of one table."""
    tables: dict[str, list[Batch]] = {}
    for batch in made:
        if len(batch):
            tables.setdefault(batch.table.name, []).append(batch)
    return [concatenate(found) for found in tables.values()]
