"""Batches in seq order, cut after a seq."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from tickloop.core.batch import Batch


def up_to(batch: Batch, seq: int) -> tuple[Batch, Batch]:
    """Divide a batch after a seq."""
    stop = int(np.searchsorted(batch.columns["seq"], seq, side="right"))
    first = {name: values[:stop] for name, values in batch.columns.items()}
    rest = {name: values[stop:] for name, values in batch.columns.items()}
    return Batch(batch.table, first), Batch(batch.table, rest)


def taken(held: deque[Batch], seq: int) -> Iterator[Batch]:
    """Take rows up to a seq from the front of batches that ascend."""
    while held and (not len(held[0]) or int(held[0].columns["seq"][0].item()) <= seq):
        first = held.popleft()
        if len(first) and int(first.columns["seq"][-1].item()) > seq:
            first, rest = up_to(first, seq)
            held.appendleft(rest)
        yield first
