"""Rows in the order of a partition: by symbol id, and in log order within a symbol."""

from collections.abc import Sequence
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
_BLOCK_ROWS = 1 << 16


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


@kernel(*(f"void({_seen(w)}, int64, uint32[::1], {w}[::1])" for w in _WIDTHS))
def _gather(piece: _Column, first: int, order: Order, out: _Column) -> None:
    """Copy, in order, the rows that are the piece's: those numbered from `first` on."""
    rows = np.uint64(piece.shape[0])
    for place in range(order.shape[0]):
        row = np.uint64(np.int64(order[place]) - first)  # past the end if it is before the piece
        if row < rows:
            out[place] = piece[row]


@kernel(*(f"void({_seen(ids)}, int64, uint32[::1], int64[::1])" for ids in _IDS))
def _gather_ids(piece: _Column, first: int, order: Order, out: Longs) -> None:
    """Copy symbol ids as kdb+ indexes: 64 bits, with 0N for every negative id."""
    rows = np.uint64(piece.shape[0])
    for place in range(order.shape[0]):
        row = np.uint64(np.int64(order[place]) - first)
        if row < rows:
            symbol = np.int64(piece[row])
            out[place] = symbol if symbol >= 0 else NULL_LONG


@dataclass(frozen=True, slots=True)
class PartOrder:
    """The order of a partition: `order` numbers the rows of all its pieces, one after the other."""

    order: Order
    parted: Parted


@dataclass(frozen=True, slots=True)
class Ordered:
    """Symbol ids and seqs of a piece, of which rows with seq up to `keep_to` stay."""

    ids: Array
    seqs: Array
    keep_to: int = KEEP_ALL


def part_order(pieces: Sequence[Ordered], *, known: int) -> PartOrder:
    """Order the rows of pieces by symbol id.

    The sort is stable, so where seq ascends over all pieces it ascends within each symbol.
    `known` is how many symbols have names; StoreError for an id past it.
    """
    rows = sum(len(piece.ids) for piece in pieces)
    if rows > ROWS_MAX:
        raise StoreError(f"{rows} rows in one partition, at most {ROWS_MAX} are possible")
    starts = np.zeros(known + 2, dtype=np.int64)
    for piece in pieces:
        bad = _count(seen(piece.ids), seen(piece.seqs), piece.keep_to, starts)
        if bad >= 0:
            raise StoreError(
                f"row {bad} has symbol id {piece.ids[bad]}, only {known} symbols have names; the"
                " rows and the symbol list are not of one database"
            )
    np.cumsum(starts, out=starts)
    parted = _parted(starts)
    order = np.empty(int(starts[-1]), dtype=np.uint32)
    first = 0
    for piece in pieces:
        _place(seen(piece.ids), seen(piece.seqs), piece.keep_to, first, starts, order)
        first += len(piece.ids)
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


def ascends(pieces: Sequence[Array], order: Order) -> bool:
    """Tell whether int64 values never decrease in the given order."""
    last = NULL_LONG
    for start in range(0, len(order), _BLOCK_ROWS):
        values = np.empty(len(order[start : start + _BLOCK_ROWS]), dtype=np.int64)
        gather(pieces, order[start : start + _BLOCK_ROWS], values)
        if values[0] < last or (values[1:] < values[:-1]).any():
            return False
        last = int(values[-1])
    return True


def gather_ids(pieces: Sequence[Array], order: Order, out: Longs) -> None:
    """Copy symbol ids in order as kdb+ indexes."""
    first = 0
    for piece in pieces:
        _gather_ids(seen(piece), first, order, out)
        first += len(piece)


def gather(pieces: Sequence[Array], order: Order, out: Array) -> None:
    """Copy fixed-width values of one dtype in order into `out`."""
    width = out.dtype.itemsize
    first = 0
    for piece in pieces:
        if width > 8:
            here = (order >= first) & (order < first + len(piece))
            out[here] = piece[order[here].astype(np.int64) - first]
        else:
            bits = f"u{width}"
            _gather(seen(piece).view(bits), first, order, out.view(bits))
        first += len(piece)
