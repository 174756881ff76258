"""A batch: a table's columns as NumPy arrays of equal length, in the order of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.schema import Table

Columns = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table in inside form: prices and sizes are integers, symbols are ids."""

    table: Table
    columns: Columns

    def __post_init__(self) -> None:
        assert len(set(map(len, self.columns.values()))) <= 1, self._unequal()

    def _unequal(self) -> str:
        lengths = {name: len(values) for name, values in self.columns.items()}
        return f"{self.table.name}: unequal columns {lengths}"

    def __len__(self) -> int:
        for values in self.columns.values():
            return len(values)
        return 0


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step of a feed produced: batches of several tables and how their rows interleave.

    Every batch has a column `_place` (int64): the row's position among all rows of the slice. No
    table's column can have that name. The plant turns it into `seq`, so the log has one order
    over all tables. Rows that a feed
    emits carry `time` (the feed's clock, never decreasing in ordinal) unless the plant stamps.
    Columns that a batch leaves out are null.
    """

    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """Rows over all batches."""
        return sum(len(batch) for batch in self.batches)


def slice_of(*batches: Batch) -> Slice:
    """Make a slice of batches that follow one another."""
    numbered = []
    start = 0
    for batch in batches:
        place = np.arange(start, start + len(batch), dtype=np.int64)
        numbered.append(Batch(batch.table, {**batch.columns, "_place": place}))
        start += len(batch)
    return Slice(tuple(numbered))


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Join batches of one table with equal column names."""
    assert batches, "nothing to join"
    first = batches[0]
    if len(batches) == 1:
        return first
    for batch in batches:
        assert batch.columns.keys() == first.columns.keys(), f"{first.table.name}: unlike columns"
    columns = {
        name: np.concatenate([batch.columns[name] for batch in batches]) for name in first.columns
    }
    return Batch(first.table, columns)
