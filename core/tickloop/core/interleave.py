"""One order over the rows of several tables: merge ascending keys into dense places."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice
from tickloop.core.kernel import kernel


@kernel("void(int64[::1], int64[::1], int64[::1])", allocates=True)
def _merge(
    keys: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> None:
    lists = bounds.shape[0] - 1
    heads = bounds[:-1].copy()
    for position in range(keys.shape[0]):
        best = -1
        for index in range(lists):
            head = heads[index]
            if head < bounds[index + 1] and (best < 0 or keys[head] < keys[heads[best]]):
                best = index
        places[heads[best]] = position
        heads[best] += 1


def interleave(batches: Sequence[Batch]) -> Slice:
    """Make a slice of batches whose `_place` column holds any ascending int64 keys.

    Rows are ordered by key; where keys are equal, the earlier batch comes first. The result's
    places are 0 to rows-1 without a hole. Empty batches are dropped.
    """
    kept = [batch for batch in batches if len(batch)]
    if not kept:
        return Slice(())
    keys = np.concatenate([batch.columns["_place"] for batch in kept]).astype(np.int64, copy=False)
    bounds = np.cumsum([0, *(len(batch) for batch in kept)], dtype=np.int64)
    places = np.empty(len(keys), dtype=np.int64)
    _merge(keys, bounds, places)
    return Slice(
        tuple(
            Batch(batch.table, {**batch.columns, "_place": places[bounds[i] : bounds[i + 1]]})
            for i, batch in enumerate(kept)
        )
    )
