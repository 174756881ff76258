"""Conflation: of rows that state what is so now, only the last one of each key matters."""

from collections.abc import Iterator

import numpy as np

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import DEPTH, QUOTE

# Only tables of state; a fill, an order or a trade that is dropped is lost.
KEYS: dict[str, tuple[str, ...]] = {
    QUOTE.name: ("sym",),
    DEPTH.name: ("sym", "side", "price"),
}
_ROWS = 20_000
_PIECE_ROWS = 4096
KEYS_MAX = 1_000_000


def conflate(rows: Batch) -> Batch:
    """Keep the last row of each key, in seq order."""
    keys = [rows.columns[name] for name in KEYS[rows.table.name]]
    order = np.lexsort([np.arange(len(rows)), *reversed(keys)])
    changes = np.zeros(len(rows), dtype=bool)
    changes[-1] = True
    for key in keys:
        ordered = key[order]
        changes[:-1] |= ordered[1:] != ordered[:-1]
    kept = np.sort(order[changes])
    return Batch(rows.table, {name: values[kept] for name, values in rows.columns.items()})


class Latest:
    """The latest rows of one table by key, while nobody takes them."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._rows = 0
        self._limit = _ROWS

    @property
    def is_too_large(self) -> bool:
        """Tell whether there are more keys than may be kept."""
        return self._limit > 2 * KEYS_MAX

    def add(self, rows: Batch) -> None:
        """Take newer rows; rows are never more than twice the keys, or some thousands."""
        self._batches.append(rows)
        self._rows += len(rows)
        if self._rows > self._limit:
            kept = conflate(concatenate(self._batches))
            self._batches, self._rows = [kept], len(kept)
            self._limit = max(_ROWS, 2 * len(kept))

    def pieces(self) -> Iterator[Batch]:
        """Give everything in seq order, some thousands of rows at a time."""
        rows = conflate(concatenate(self._batches))
        for first in range(0, len(rows), _PIECE_ROWS):
            piece = {
                name: values[first : first + _PIECE_ROWS] for name, values in rows.columns.items()
            }
            yield Batch(rows.table, piece)
