"""Conflation: of rows that state what is so now, only the last one of each key matters."""

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.schema import DEPTH, QUOTE

# Only tables of state; a fill, an order or a trade that is dropped is lost.
KEYS: dict[str, tuple[str, ...]] = {
    QUOTE.name: ("sym",),
    DEPTH.name: ("sym", "side", "price"),
}


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
