"""Binance's buffer-then-snapshot procedure: books that are right, or known to be stale.

A stream of differences makes no book until a snapshot by REST says where it began. Differences
wait; the snapshot with `lastUpdateId` L comes; those that end at or before L are dropped; the
first one applied must reach back to L, and each later one must follow the one before without a
hole, else the book is stale until a fresh snapshot. Source: "How to manage a local order book
correctly" of the spot and the USD-M futures documentation.

- Spot: a difference covers update ids U to u. The first has U <= L + 1 <= u, the next ones
  U = u before + 1.
- Futures: ids have holes, so each difference names the last id before it, `pu`. The first has
  pu <= L <= u, which U <= L <= u implies, and the next ones pu = u before.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.binance_frame import (
    ASKS,
    ASKS_SIZE,
    BIDS,
    BIDS_SIZE,
    DIFF_FRAME,
    FIRST_ID,
    KIND,
    LAST_ID,
    LOST_FRAME,
    PREVIOUS_ID,
    SNAPSHOT_FRAME,
    SYM,
    TICKER_FRAME,
    TRADE_FRAME,
)
from tickloop.ingest.depth_rows import (
    BY_GAP,
    BY_LOSS,
    BY_SNAPSHOT,
    EARLY_SNAPSHOTS,
    FRESH,
    GAPS,
    HAS_TICKER,
    LAST,
    LEVELS_GIVEN_UP,
    LEVELS_WAITING,
    LIVE,
    NAMELESS_SNAPSHOTS,
    NEEDS_BOOK,
    NEEDS_ROOM,
    OLD_DIFFS,
    OLD_SNAPSHOTS,
    SEEN,
    STALE,
    SYNCED,
    UNSYNCED,
    WAITING,
    WAITING_LEVELS,
    WAITS,
    Desk,
    copy_tops,
    put_changes,
    put_status,
)
from tickloop.ingest.level_book import (
    ASK_SIDE,
    BID_SIDE,
    COUNT,
    ROOM,
    ROOM_MAX,
    key_of,
    set_level,
)

Ints = npt.NDArray[np.int64]

# Columns of a waiting difference; its levels, bids first, lie together.
W_SYM, W_FIRST, W_LAST, W_PREVIOUS, W_START, W_BIDS, W_ASKS = 0, 1, 2, 3, 4, 5, 6
WAITING_COLUMNS = 7

APPLY, TOO_OLD, GAP = 0, 1, 2


@inline_kernel
def _verdict(state: Ints, first: int, last: int, previous: int) -> int:
    # What a difference is to a live book.
    known = state[LAST]
    if previous >= 0:
        if last < known or (last == known and not state[FRESH]):
            return TOO_OLD
        follows = previous <= known if state[FRESH] else previous == known
        return APPLY if follows else GAP
    if last <= known:
        return TOO_OLD
    return APPLY if first <= known + 1 else GAP


@inline_kernel
def _apply(desk: Desk, book: int, levels: Ints, start: int, count: int) -> None:
    side = book & 1
    for at in range(start, start + count):
        key = key_of(side, int(levels[at, 0]))
        if not set_level(desk.pool, desk.books[book], key, int(levels[at, 1])):
            desk.meters[LEVELS_GIVEN_UP] += 1


@inline_kernel
def _load(desk: Desk, book: int, start: int, count: int) -> None:
    # A snapshot lists the best first: from its end on, every level is put on top of the others.
    desk.books[book, COUNT] = 0
    for at in range(start + count - 1, start - 1, -1):
        _apply(desk, book, desk.levels, at, 1)


@inline_kernel
def _has_room(desk: Desk, book: int, levels: int) -> bool:
    needed = min(levels, ROOM_MAX)
    if desk.books[book, ROOM] >= needed:
        return True
    desk.meters[NEEDS_BOOK] = book
    desk.meters[NEEDS_ROOM] = needed
    return False


@inline_kernel
def _wait(desk: Desk, frame: Ints) -> None:
    entry = desk.waiting[desk.meters[WAITING]]
    at = desk.meters[LEVELS_WAITING]
    entry[W_SYM], entry[W_START] = frame[SYM], at
    entry[W_FIRST], entry[W_LAST] = frame[FIRST_ID], frame[LAST_ID]
    entry[W_PREVIOUS] = frame[PREVIOUS_ID]
    entry[W_BIDS], entry[W_ASKS] = frame[BIDS_SIZE], frame[ASKS_SIZE]
    for start, count in ((frame[BIDS], frame[BIDS_SIZE]), (frame[ASKS], frame[ASKS_SIZE])):
        for level in range(start, start + count):
            for part in range(desk.levels.shape[1]):
                desk.waiting_levels[at, part] = desk.levels[level, part]
            at += 1
    desk.meters[WAITING] += 1
    desk.meters[LEVELS_WAITING] = at
    state = desk.states[frame[SYM]]
    state[WAITS] += 1
    state[WAITING_LEVELS] += frame[BIDS_SIZE] + frame[ASKS_SIZE]


@inline_kernel
def _reaches_back(desk: Desk, symbol: int, known: int) -> bool:
    # Whether the first waiting difference past a snapshot's last id follows on it.
    for at in range(desk.meters[WAITING]):
        entry = desk.waiting[at]
        if entry[W_SYM] == symbol and entry[W_LAST] > known:
            if entry[W_PREVIOUS] >= 0:
                return bool(entry[W_PREVIOUS] <= known)
            return bool(entry[W_FIRST] <= known + 1)
    return True


@inline_kernel
def _catch_up(desk: Desk, symbol: int) -> None:
    # Apply what waited for the snapshot; after a hole the rest goes on waiting.
    state = desk.states[symbol]
    for at in range(desk.meters[WAITING]):
        entry = desk.waiting[at]
        if entry[W_SYM] != symbol or not state[LIVE]:
            continue
        verdict = _verdict(state, entry[W_FIRST], entry[W_LAST], entry[W_PREVIOUS])
        if verdict == GAP:
            state[LIVE] = 0
            desk.meters[GAPS] += 1
            continue
        if verdict == APPLY:
            start, bids, asks = entry[W_START], entry[W_BIDS], entry[W_ASKS]
            _apply(desk, 2 * symbol + BID_SIDE, desk.waiting_levels, start, bids)
            _apply(desk, 2 * symbol + ASK_SIDE, desk.waiting_levels, start + bids, asks)
            state[LAST], state[FRESH] = entry[W_LAST], 0
        else:
            desk.meters[OLD_DIFFS] += 1
        state[WAITS] -= 1
        state[WAITING_LEVELS] -= entry[W_BIDS] + entry[W_ASKS]
        entry[W_SYM] = -1


@inline_kernel
def _close_ranks(desk: Desk) -> None:
    # Forget the waiting differences that were consumed.
    kept = 0
    filled = 0
    waiting = desk.waiting
    for at in range(desk.meters[WAITING]):
        if waiting[at, W_SYM] < 0:
            continue
        start = waiting[at, W_START]
        stop = start + waiting[at, W_BIDS] + waiting[at, W_ASKS]
        for part in range(waiting.shape[1]):
            waiting[kept, part] = waiting[at, part]
        waiting[kept, W_START] = filled
        for level in range(start, stop):
            for part in range(desk.waiting_levels.shape[1]):
                desk.waiting_levels[filled, part] = desk.waiting_levels[level, part]
            filled += 1
        kept += 1
    desk.meters[WAITING] = kept
    desk.meters[LEVELS_WAITING] = filled


@inline_kernel
def _take_diff(desk: Desk, frame: Ints, index: int) -> bool:
    # False: a book needs room first.
    symbol = int(frame[SYM])
    state = desk.states[symbol]
    if not state[LIVE]:
        _wait(desk, frame)
        return True
    verdict = _verdict(state, frame[FIRST_ID], frame[LAST_ID], frame[PREVIOUS_ID])
    if verdict == TOO_OLD:
        desk.meters[OLD_DIFFS] += 1
        return True
    if verdict == GAP:
        desk.meters[GAPS] += 1
        state[LIVE] = 0
        put_status(desk, index, symbol, STALE, BY_GAP)
        _wait(desk, frame)
        return True
    return _follow(desk, frame, index, symbol)


@inline_kernel
def _follow(desk: Desk, frame: Ints, index: int, symbol: int) -> bool:
    # A difference that continues a live book.
    bids, asks = 2 * symbol + BID_SIDE, 2 * symbol + ASK_SIDE
    room = _has_room(desk, bids, desk.books[bids, COUNT] + frame[BIDS_SIZE])
    if not room or not _has_room(desk, asks, desk.books[asks, COUNT] + frame[ASKS_SIZE]):
        return False
    counts = copy_tops(desk, symbol, desk.tops)
    _apply(desk, bids, desk.levels, frame[BIDS], frame[BIDS_SIZE])
    _apply(desk, asks, desk.levels, frame[ASKS], frame[ASKS_SIZE])
    desk.states[symbol, LAST] = frame[LAST_ID]
    desk.states[symbol, FRESH] = 0
    put_changes(desk, index, symbol, counts)
    return True


@inline_kernel
def _take_snapshot(desk: Desk, frame: Ints, index: int, symbol: int) -> bool:
    # False: a book needs room first.
    state = desk.states[symbol]
    if state[LIVE] and frame[LAST_ID] < state[LAST]:
        desk.meters[OLD_SNAPSHOTS] += 1
        return True
    if not _reaches_back(desk, symbol, frame[LAST_ID]):
        desk.meters[EARLY_SNAPSHOTS] += 1
        return True
    return _start(desk, frame, index, symbol)


@inline_kernel
def _start(desk: Desk, frame: Ints, index: int, symbol: int) -> bool:
    # A snapshot that the waiting differences continue.
    state = desk.states[symbol]
    bids, asks = 2 * symbol + BID_SIDE, 2 * symbol + ASK_SIDE
    room = _has_room(desk, bids, frame[BIDS_SIZE] + state[WAITING_LEVELS])
    if not room or not _has_room(desk, asks, frame[ASKS_SIZE] + state[WAITING_LEVELS]):
        return False
    counts = copy_tops(desk, symbol, desk.tops)
    _load(desk, bids, frame[BIDS], frame[BIDS_SIZE])
    _load(desk, asks, frame[ASKS], frame[ASKS_SIZE])
    was_live = state[LIVE]
    state[LIVE], state[LAST], state[FRESH] = 1, frame[LAST_ID], 1
    _catch_up(desk, symbol)
    _close_ranks(desk)
    if not was_live:
        put_status(desk, index, symbol, SYNCED, BY_SNAPSHOT)
    put_changes(desk, index, symbol, counts)
    if not state[LIVE]:
        put_status(desk, index, symbol, STALE, BY_GAP)
    return True


@inline_kernel
def _only(states: Ints, known: int, column: int) -> int:
    # The one symbol whose column is set; -1 for none or several.
    found = -1
    for symbol in range(known):
        if states[symbol, column]:
            if found >= 0:
                return -1
            found = symbol
    return found


@inline_kernel
def _whose(desk: Desk, frame: Ints, known: int, sole: int) -> int:
    # A REST reply does not name its symbol: the one that was told, else the only one that waits,
    # else the only one there is.
    if frame[SYM] >= 0:
        return int(frame[SYM])
    if sole >= 0:
        return sole
    waits = _only(desk.states, known, WAITS)
    return waits if waits >= 0 else _only(desk.states, known, SEEN)


@inline_kernel
def _lose(desk: Desk, index: int, known: int) -> None:
    # The connection ended: whatever came next was missed, so no book is right any more.
    for symbol in range(known):
        state = desk.states[symbol]
        if state[LIVE]:
            put_status(desk, index, symbol, STALE, BY_LOSS)
        state[LIVE] = state[WAITS] = state[WAITING_LEVELS] = 0
    desk.meters[UNSYNCED] += desk.meters[WAITING]
    desk.meters[WAITING] = 0
    desk.meters[LEVELS_WAITING] = 0


@inline_kernel
def _take(desk: Desk, frame: Ints, index: int, known: int, sole: int) -> bool:
    # False: a book needs room first.
    kind = frame[KIND]
    if kind in (TRADE_FRAME, TICKER_FRAME, DIFF_FRAME):
        desk.states[frame[SYM], SEEN] = 1
    if kind == TICKER_FRAME:
        desk.states[frame[SYM], HAS_TICKER] = 1
    elif kind == DIFF_FRAME:
        return _take_diff(desk, frame, index)
    elif kind == SNAPSHOT_FRAME:
        symbol = _whose(desk, frame, known, sole)
        if symbol >= 0:
            frame[SYM] = symbol
            return _take_snapshot(desk, frame, index, symbol)
        desk.meters[NAMELESS_SNAPSHOTS] += 1
    elif kind == LOST_FRAME:
        _lose(desk, index, known)
    return True


@kernel(
    "int64(int64[:, ::1], int64[:, ::1], int64, int64, int64, int64[:, ::1], int64[:, ::1],"
    " int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[:, :, ::1], int64[:, ::1], int64[::1])",
)
def sync_depth(
    frames: Ints,
    levels: Ints,
    start: int,
    known: int,
    sole: int,
    states: Ints,
    books: Ints,
    pool: Ints,
    waiting: Ints,
    waiting_levels: Ints,
    tops: Ints,
    rows: Ints,
    meters: Ints,
) -> int:
    """Fold frames from `start` on into the books; return the frame at which it stopped.

    It stops before the end only where a book needs room (NEEDS_BOOK, NEEDS_ROOM): the caller makes
    it and calls again. `known` symbols have a state; `sole` is whose a nameless snapshot is, or
    -1. `tops` is scratch of (2, depth levels, 2). The caller provides enough `waiting` for all
    differences, and enough `rows`.
    """
    desk = Desk(levels, states, books, pool, waiting, waiting_levels, tops, rows, meters)
    for index in range(start, frames.shape[0]):
        if not _take(desk, frames[index], index, known, sole):
            return index
    return int(frames.shape[0])
