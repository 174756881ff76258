"""Rows in the order of a partition: by symbol id, and in log order within a symbol."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.errors import StoreError
from tickloop.core.kernel import kernel
from tickloop.tickerplant.parted import Parted

Longs = npt.NDArray[np.int64]
Order = npt.NDArray[np.uint32]
Array = npt.NDArray[np.generic]
_Column = npt.NDArray[Any]

ROWS_MAX = 2**32 - 1
KEEP_ALL = 2**63 - 1


def _seen(scalar: str) -> str:
    """Spell the type of a mapped column: read-only, so that no copy is needed to pass it."""
    return f"Array({scalar}, 1, 'C', readonly=True)"


_IDS = ("int32", "int64")
_WIDTHS = ("uint8", "uint16", "uint32", "uint64")


@kernel(*(f"int64({_seen(ids)}, {_seen('int64')}, int64, int64[::1])" for ids in _IDS))
def _count(ids: _Column, seqs: _Column, keep_to: int, starts: Longs) -> int:
    """Count the kept rows of symbol i in starts[i + 2], of null in starts[1].

    Gives the first row whose id has no name, or -1.
    """
    known = starts.shape[0] - 2
    for row in range(ids.shape[0]):
        if ids[row] >= known:
            return row
        if seqs[row] <= keep_to:
            starts[max(ids[row], -1) + 2] += 1
    return -1


@kernel(
    *(
        f"void({_seen(ids)}, {_seen('int64')}, int64, int64, int64[::1], uint32[::1])"
        for ids in _IDS
    )
)
def _place(
    ids: _Column, seqs: _Column, keep_to: int, first: int, starts: Longs, order: Order
) -> None:
    """Give every kept row, numbered from `first`, the next place of its symbol."""
    for row in range(ids.shape[0]):
        if seqs[row] <= keep_to:
            bucket = max(ids[row], -1) + 1
            order[starts[bucket]] = first + row
            starts[bucket] += 1


@kernel(*(f"void({_seen(w)}, {_seen(w)}, uint32[::1], {w}[::1])" for w in _WIDTHS))
def _gather(old: _Column, new: _Column, order: Order, out: _Column) -> None:
    """Copy rows in order; numbers past the old rows are rows of the new ones."""
    split = old.shape[0]
    for place in range(order.shape[0]):
        row = np.int64(order[place])
        out[place] = old[row] if row < split else new[row - split]


@kernel(f"void({_seen('int64')}, {_seen('int32')}, uint32[::1], int64[::1])")
def _gather_ids(old: _Column, new: _Column, order: Order, out: Longs) -> None:
    """Copy symbol ids as kdb+ indexes: 64 bits, with 0N for every negative id."""
    split = old.shape[0]
    for place in range(order.shape[0]):
        row = np.int64(order[place])
        symbol = old[row] if row < split else np.int64(new[row - split])
        out[place] = symbol if symbol >= 0 else NULL_LONG


@kernel(f"boolean({_seen('int64')}, {_seen('int64')}, uint32[::1])")
def _ascends(old: _Column, new: _Column, order: Order) -> bool:
    split = old.shape[0]
    last = NULL_LONG
    for place in range(order.shape[0]):
        row = np.int64(order[place])
        value = old[row] if row < split else new[row - split]
        if value < last:
            return False
        last = value
    return True


@dataclass(frozen=True, slots=True)
class PartOrder:
    """The order of a partition: `order` numbers old rows first, then new ones."""

    order: Order
    parted: Parted


def part_order(
    *, old_ids: Array, old_seqs: Array, keep_to: int, new_ids: Array, new_seqs: Array, known: int
) -> PartOrder:
    """Order old rows with seq up to `keep_to`, then new rows, by symbol id.

    The sort is stable, so where seq ascends in both inputs it ascends within each symbol.
    `known` is how many symbols have names; StoreError for an id past it.
    """
    rows = len(old_ids) + len(new_ids)
    if rows > ROWS_MAX:
        raise StoreError(f"{rows} rows in one partition, at most {ROWS_MAX} are possible")
    starts = np.zeros(known + 2, dtype=np.int64)
    inputs = ((old_ids, old_seqs, keep_to), (new_ids, new_seqs, KEEP_ALL))
    for ids, seqs, keep in inputs:
        bad = _count(seen(ids), seen(seqs), keep, starts)
        if bad >= 0:
            raise StoreError(
                f"row {bad} has symbol id {ids[bad]}, only {known} symbols have names; the rows"
                " and the symbol list are not of one database"
            )
    np.cumsum(starts, out=starts)
    parted = _parted(starts)
    order = np.empty(int(starts[-1]), dtype=np.uint32)
    first = 0
    for ids, seqs, keep in inputs:
        _place(seen(ids), seen(seqs), keep, first, starts, order)
        first += len(ids)
    return PartOrder(order, parted)


def _parted(starts: Longs) -> Parted:
    used = np.flatnonzero(starts[1:] > starts[:-1])
    ids = used.astype(np.int64) - 1
    ids[ids < 0] = NULL_LONG
    return Parted(ids, starts[used].copy(), starts[used + 1].copy())


def seen(values: Array) -> Array:
    """View an array as the kernels here take it: contiguous and read-only."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def ascends(old: Array, new: Array, order: Order) -> bool:
    """Tell whether int64 values never decrease in the given order."""
    return bool(_ascends(seen(old), seen(new), order))


def gather_ids(old: Array, new: Array, order: Order, out: Longs) -> None:
    """Copy symbol ids in order as kdb+ indexes."""
    _gather_ids(seen(old), seen(new), order, out)


def gather(old: Array, new: Array, order: Order, out: Array) -> None:
    """Copy fixed-width values of one dtype in order into `out`."""
    width = out.dtype.itemsize
    if width > 8:
        from_old = order < len(old)
        out[from_old] = old[order[from_old]]
        out[~from_old] = new[order[~from_old].astype(np.int64) - len(old)]
        return
    bits = f"u{width}"
    _gather(seen(old).view(bits), seen(new).view(bits), order, out.view(bits))
