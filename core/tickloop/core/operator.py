"""The operator contract: a left fold over the log that never depends on where batches are cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch


class Scope(Enum):
    """What one state belongs to, and so what a runtime may put on different machines."""

    SYMBOL = "symbol"
    GROUP = "group"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class State:
    """Named arrays and their version; their bytes are the snapshot."""

    version: int
    arrays: Mapping[str, npt.NDArray[np.generic]]


class Operator(Protocol):
    """A pure step over batches in seq order; the driver owns time, I/O, keys and checkpoints."""

    name: str
    scope: Scope
    tables: tuple[str, ...]

    def initial(self) -> State:
        """Make the state before the first row."""
        ...

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold one batch; derived rows carry `cause` and `ordinal`."""
        ...


class Evaluator(Protocol):
    """Answers text and calls from a wire; servers take one, and `app` chooses which."""

    def evaluate(self, request: object, user: str) -> object:
        """Answer a decoded request; QueryError becomes the peer's error."""
        ...
