"""Rows that a depth stream makes: a book's state, its changed levels, its best prices."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel
from tickloop.core.units import NULL_LONG
from tickloop.ingest.level_book import (
    ASK_SIDE,
    BID_SIDE,
    LEVEL,
    LEVEL_PRICE,
    LEVEL_SIZE,
    best_level,
    changed_levels,
    copy_top,
)

Ints = npt.NDArray[np.int64]

# Columns of a symbol's state. FRESH: no difference was applied since the snapshot.
LIVE, LAST, FRESH, HAS_TICKER, SEEN, WAITS, WAITING_LEVELS = 0, 1, 2, 3, 4, 5, 6
SHOWN_BID, SHOWN_BID_SIZE, SHOWN_ASK, SHOWN_ASK_SIZE = 7, 8, 9, 10
STATE_COLUMNS = 11

# Columns of an output row, in the order of the frames.
R_FRAME, R_TABLE, R_SYM, R_A, R_B, R_C, R_D = 0, 1, 2, 3, 4, 5, 6
ROW_COLUMNS = 7
# Its tables: (state, reason), (side, level, price, size), (bid, bid size, ask, ask size).
STATUS_ROW, DEPTH_ROW, QUOTE_ROW = 0, 1, 2
SYNCED, STALE = 0, 1
BY_SNAPSHOT, BY_GAP, BY_LOSS = 0, 1, 2

# Meters that the caller reads and resets.
ROWS, WAITING, LEVELS_WAITING, NEEDS_BOOK, NEEDS_ROOM = 0, 1, 2, 3, 4
GAPS, OLD_DIFFS, EARLY_SNAPSHOTS, OLD_SNAPSHOTS, NAMELESS_SNAPSHOTS = 5, 6, 7, 8, 9
UNSYNCED, CROSSED, LEVELS_GIVEN_UP = 10, 11, 12
METERS = 13
COUNTED = {
    GAPS: "depth_gap",
    OLD_DIFFS: "depth_older_than_book",
    EARLY_SNAPSHOTS: "snapshot_too_old",
    OLD_SNAPSHOTS: "snapshot_older_than_book",
    NAMELESS_SNAPSHOTS: "snapshot_without_symbol",
    UNSYNCED: "depth_without_snapshot",
    CROSSED: "crossed_depth",
    LEVELS_GIVEN_UP: "book_full",
}


class Desk(NamedTuple):
    """The arrays that the steps of a sync work on; it never leaves the kernel."""

    levels: Ints
    states: Ints
    books: Ints
    pool: Ints
    waiting: Ints
    waiting_levels: Ints
    tops: Ints
    rows: Ints
    meters: Ints


@inline_kernel
def _row(desk: Desk, frame: int, table: int, symbol: int) -> int:
    at = int(desk.meters[ROWS])
    desk.meters[ROWS] += 1
    desk.rows[at, R_FRAME] = frame
    desk.rows[at, R_TABLE] = table
    desk.rows[at, R_SYM] = symbol
    return at


@inline_kernel
def put_status(desk: Desk, frame: int, symbol: int, state: int, reason: int) -> None:
    """Say that a symbol's book became right or stale."""
    row = desk.rows[_row(desk, frame, STATUS_ROW, symbol)]
    row[R_A], row[R_B] = state, reason


@inline_kernel
def _put_depth(desk: Desk, frame: int, symbol: int, side: int, changes: Ints, count: int) -> None:
    for index in range(count):
        row = desk.rows[_row(desk, frame, DEPTH_ROW, symbol)]
        row[R_A] = side
        row[R_B] = changes[index, LEVEL]
        row[R_C] = changes[index, LEVEL_PRICE]
        row[R_D] = changes[index, LEVEL_SIZE]


@inline_kernel
def copy_tops(desk: Desk, symbol: int, tops: Ints) -> tuple[int, int]:
    """Copy the best levels of both sides; return how many each has."""
    bids, asks = desk.books[2 * symbol + BID_SIDE], desk.books[2 * symbol + ASK_SIDE]
    count = copy_top(desk.pool, bids, tops.shape[1], tops[BID_SIDE])
    return count, copy_top(desk.pool, asks, tops.shape[1], tops[ASK_SIDE])


@inline_kernel
def _put_quote(desk: Desk, frame: int, symbol: int) -> None:
    # The book's own best prices, if they moved and the venue does not publish them itself.
    state = desk.states[symbol]
    bid, bid_size = best_level(desk.pool, desk.books[2 * symbol + BID_SIDE], BID_SIDE)
    ask, ask_size = best_level(desk.pool, desk.books[2 * symbol + ASK_SIDE], ASK_SIDE)
    if bid != NULL_LONG and ask != NULL_LONG and bid >= ask:
        desk.meters[CROSSED] += 1
    same = state[SHOWN_BID] == bid and state[SHOWN_BID_SIZE] == bid_size
    same = same and state[SHOWN_ASK] == ask and state[SHOWN_ASK_SIZE] == ask_size
    state[SHOWN_BID], state[SHOWN_BID_SIZE] = bid, bid_size
    state[SHOWN_ASK], state[SHOWN_ASK_SIZE] = ask, ask_size
    if same or state[HAS_TICKER]:
        return
    row = desk.rows[_row(desk, frame, QUOTE_ROW, symbol)]
    row[R_A], row[R_B], row[R_C], row[R_D] = bid, bid_size, ask, ask_size


@inline_kernel(allocates=True)
def put_changes(desk: Desk, frame: int, symbol: int, counts: tuple[int, int]) -> None:
    """Tell how the top of the book differs from `desk.tops`, which holds `counts` levels a side."""
    after = np.empty_like(desk.tops)
    bids, asks = copy_tops(desk, symbol, after)
    changes = np.empty((2 * after.shape[1], 3), dtype=np.int64)
    before = desk.tops
    count = changed_levels(before[0], counts[0], after[0], bids, BID_SIDE, changes)
    _put_depth(desk, frame, symbol, BID_SIDE, changes, count)
    count = changed_levels(before[1], counts[1], after[1], asks, ASK_SIDE, changes)
    _put_depth(desk, frame, symbol, ASK_SIDE, changes, count)
    _put_quote(desk, frame, symbol)
