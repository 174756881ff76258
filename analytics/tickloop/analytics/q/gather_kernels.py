"""Rows of a column by their positions, in several cores; position -1 gives the null."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.blocks import BLOCKS
from tickloop.analytics.q.cores import cuts, together
from tickloop.core.kernel import kernel

Column = npt.NDArray[Any]


def seen(scalar: str) -> str:
    """Spell the type of a column that may be a mapped file: contiguous and read-only."""
    return f"Array({scalar}, 1, 'C', readonly=True)"


def look(values: Column) -> Column:
    """View an array as kernels take it: contiguous and read-only."""
    if not values.flags.c_contiguous:
        values = np.ascontiguousarray(values)
    view = values.view()
    view.flags.writeable = False
    return view


_WIDTHS = ("uint8", "uint16", "uint32", "uint64")
_ROWS = ("int32", "int64")


@kernel(*(f"void({seen(w)}, {seen(r)}, {w}, {w}[::1])" for w in _WIDTHS for r in _ROWS))
def _gather(values: Column, rows: Column, missing: int, out: Column) -> None:
    """Copy values[rows[k]] to out[k]; a negative row gives `missing`."""
    for place in range(rows.shape[0]):
        row = rows[place]
        out[place] = values[row] if row >= 0 else missing


def gather(values: Column, rows: Column, missing: Any = 0) -> Column:
    """Take rows of a column; -1 gives `missing`, which is a value of the column's type."""
    width = values.dtype.itemsize
    if width > 8 or rows.dtype not in (np.int32, np.int64):
        return _gather_any(values, rows, missing)
    bits = np.dtype(f"u{width}")
    out = BLOCKS.empty(len(rows), values.dtype)
    null = np.array([missing], dtype=values.dtype).view(bits)[0]
    source, places, target = look(values).view(bits), look(rows), out.view(bits)
    together([partial(_gather, source, places[a:b], null, target[a:b]) for a, b in cuts(len(rows))])
    return out


def picker(values: Column, rows: Column, out: Column) -> Callable[[int, int], None]:
    """Give what copies values[rows[k]] to out[k] for a stretch of k; a value has 1 to 8 bytes."""
    bits = np.dtype(f"u{values.dtype.itemsize}")
    source, places, target = look(values).view(bits), look(rows), out.view(bits)
    return lambda a, b: _gather(source, places[a:b], bits.type(0), target[a:b])


def _gather_any(values: Column, rows: Column, missing: Any) -> Column:
    absent = rows < 0
    if not len(values):
        return np.full(len(rows), missing, dtype=values.dtype)
    out = values[np.where(absent, 0, rows)]
    out[absent] = np.array([missing], dtype=values.dtype)[0]
    return out
