"""The operator contract: a left fold over the log that never depends on where batches are cut."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.parameters import Parameter, Settings
from tickloop.core.schema import Table


class Scope(Enum):
    """What one state belongs to, and so what a runtime may put on different machines.

    A shard of SYMBOL scope gets the rows of its own symbols, a shard of GROUP scope those of
    every symbol that one of its groups needs. Rows of `clock`, `symbol` and `control` go to all.
    """

    SYMBOL = "symbol"
    GROUP = "group"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class State:
    """Named arrays and their version; their bytes are the snapshot.

    `step` may write into the arrays of the state it is given, which is spent then: whoever wants
    to come back to it keeps its bytes. What is in the arrays, their lengths included, follows
    from the rows alone, never from where batches were cut.
    """

    version: int
    arrays: Mapping[str, npt.NDArray[np.generic]]


class Operator(Protocol):
    """A pure step over batches in seq order; the driver owns time, I/O, keys and checkpoints.

    Batches are in inside form: prices and sizes whole numbers of the instrument's units, symbols
    ids, int64 `seq` last; columns are contiguous and writable. In `symbol` and `control` rows the
    column `name` holds text as bytes (dtype S), because ids mean nothing to an operator.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def version(self) -> int:
        """Version of the state's layout; a snapshot of another one is migrated or refused."""
        ...

    @property
    def scope(self) -> Scope:
        """What one state belongs to."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables whose rows it wants."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Tables whose rows it makes."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be set."""
        ...

    def initial(self, params: Settings) -> State:
        """Make the state before the first row; `params` has a value for every parameter."""
        ...

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold rows of one table; give the state after them and the rows that follow from them.

        Rows carry `time` and `cause_time` (the cause's time), `cause` (its seq) and `ordinal`,
        and ascend by cause, then ordinal, within a table. The ordinal tells rows of one cause
        apart, alike in every sharding: it comes from the symbol's id or the group's position. A
        symbol column holds ids, or names as bytes (dtype S).
        """
        ...


@runtime_checkable
class Together(Protocol):
    """An operator that folds several tables at once faster than run by run."""

    def step_together(
        self, state: State, batches: Sequence[Batch]
    ) -> tuple[State, Sequence[Batch]]:
        """Fold batches of different tables whose seqs interleave, as `step` would run by run."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """An operator of GROUP scope: which symbols its groups need, and how they are shared out."""

    def groups(self, params: Settings) -> Sequence[tuple[str, ...]]:
        """Name the symbols of each group, by the group's position; () for a vacant position."""
        ...

    def restricted(self, params: Settings, kept: Collection[int]) -> Settings:
        """Give parameters with only some groups, each at its position."""
        ...


@runtime_checkable
class Migrating(Protocol):
    """An operator that reads states of older versions."""

    def migrate(self, state: State) -> State:
        """Bring a state at least one version forward; ValueError if this version cannot be read."""
        ...


@runtime_checkable
class Declaring(Protocol):
    """An operator that writes tables of its own, which go wherever it goes."""

    @property
    def own_tables(self) -> Sequence[Table]:
        """Those of its outputs that do not come with Tickloop, made by `own_tables.own_table`."""
        ...


class Evaluator(Protocol):
    """Answers text and calls from a wire; servers take one, and `app` chooses which."""

    def evaluate(self, request: object, user: str) -> object:
        """Answer a decoded request; QueryError becomes the peer's error."""
        ...
