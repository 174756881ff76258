"""Many symbols' depth books behind one door: frames go in, rows come out, room is made between."""

import numpy as np
import numpy.typing as npt

from tickloop.ingest.binance_frame import DIFF_FRAME, KIND, SNAPSHOT_FRAME
from tickloop.ingest.depth_rows import (
    COUNTED,
    LEVELS_WAITING,
    LIVE,
    METERS,
    NEEDS_BOOK,
    NEEDS_ROOM,
    ROW_COLUMNS,
    ROWS,
    STATE_COLUMNS,
    UNSYNCED,
    WAITING,
    WAITING_LEVELS,
    WAITS,
)
from tickloop.ingest.depth_sync import (
    W_ASKS,
    W_BIDS,
    W_START,
    W_SYM,
    WAITING_COLUMNS,
    sync_depth,
)
from tickloop.ingest.feed import Health
from tickloop.ingest.level_book import ROOM_MAX, LevelBooks

Ints = npt.NDArray[np.int64]

# What may wait for snapshots; past it the oldest differences are given up.
WAITING_MAX = 1 << 16
LEVELS_WAITING_MAX = 1 << 20


def _grown(array: Ints, rows: int) -> Ints:
    if rows <= len(array):
        return array
    bigger = np.zeros((max(rows, 2 * len(array)), array.shape[1]), dtype=np.int64)
    bigger[: len(array)] = array
    return bigger


class DepthBooks:
    """Books by symbol number, the differences that wait for a snapshot, and what went wrong."""

    def __init__(self, *, depth_levels: int, health: Health) -> None:
        self.books = LevelBooks()
        self._health = health
        self._depth_levels = min(max(depth_levels, 0), ROOM_MAX)
        self._tops = np.zeros((2, self._depth_levels, 2), dtype=np.int64)
        self._states: Ints = np.zeros((0, STATE_COLUMNS), dtype=np.int64)
        self._waiting: Ints = np.zeros((256, WAITING_COLUMNS), dtype=np.int64)
        self._waiting_levels: Ints = np.zeros((4096, 2), dtype=np.int64)
        self._meters: Ints = np.zeros(METERS, dtype=np.int64)

    def fold(self, frames: Ints, levels: Ints, *, symbols: int, sole: int) -> Ints:
        """Fold frames into the books; return rows of ROW_COLUMNS in the order of the frames.

        Symbols are numbered below `symbols`. `sole` is whose a snapshot without a name is, or -1.
        """
        self._admit(symbols)
        rows = self._make_room(frames, levels)
        at = 0
        while True:
            at = sync_depth(
                frames, levels, at, symbols, sole, self._states, self.books.books, self.books.pool,
                self._waiting, self._waiting_levels, self._tops, rows, self._meters,
            )  # fmt: skip
            if at == len(frames):
                break
            self.books.make_room(int(self._meters[NEEDS_BOOK]), int(self._meters[NEEDS_ROOM]))
        made = int(self._meters[ROWS])
        self._forget_oldest()
        self._account()
        return rows[:made]

    def unsynced(self) -> list[int]:
        """List the symbols whose differences wait for a snapshot."""
        waits = (self._states[:, WAITS] > 0) & (self._states[:, LIVE] == 0)
        return [int(symbol) for symbol in np.flatnonzero(waits)]

    def is_live(self, symbol: int) -> bool:
        """Tell whether a symbol's book is in step with the venue's."""
        return symbol < len(self._states) and bool(self._states[symbol, LIVE])

    def finish(self) -> None:
        """Count what still waits when the feed ends."""
        self._meters[UNSYNCED] += self._meters[WAITING]
        self._meters[WAITING] = self._meters[LEVELS_WAITING] = 0
        self._account()

    def _admit(self, symbols: int) -> None:
        self.books.admit(symbols)
        missing = symbols - len(self._states)
        if missing > 0:
            fresh = np.zeros((missing, STATE_COLUMNS), dtype=np.int64)
            self._states = np.concatenate([self._states, fresh])

    def _make_room(self, frames: Ints, levels: Ints) -> Ints:
        diffs = int(np.count_nonzero(frames[:, KIND] == DIFF_FRAME))
        snapshots = int(np.count_nonzero(frames[:, KIND] == SNAPSHOT_FRAME))
        self._waiting = _grown(self._waiting, int(self._meters[WAITING]) + diffs)
        self._waiting_levels = _grown(
            self._waiting_levels, int(self._meters[LEVELS_WAITING]) + len(levels)
        )
        # A changed level moves at most two rows of the top; a snapshot may replace all of it.
        # Besides, each frame makes at most a status and a quote, and a loss one status a book.
        rows = 2 * len(levels) + 2 * diffs + len(self._states)
        rows += snapshots * (4 * self._depth_levels + 3)
        return np.zeros((rows, ROW_COLUMNS), dtype=np.int64)

    def _forget_oldest(self) -> None:
        count, levels = int(self._meters[WAITING]), int(self._meters[LEVELS_WAITING])
        if count <= WAITING_MAX and levels <= LEVELS_WAITING_MAX:
            return
        gone = (count + 1) // 2
        first = int(self._waiting[gone, W_START]) if gone < count else levels
        oldest = self._waiting[:gone]
        np.subtract.at(self._states[:, WAITS], oldest[:, W_SYM], 1)
        held = oldest[:, W_BIDS] + oldest[:, W_ASKS]
        np.subtract.at(self._states[:, WAITING_LEVELS], oldest[:, W_SYM], held)
        self._waiting[: count - gone] = self._waiting[gone:count].copy()
        self._waiting[: count - gone, W_START] -= first
        self._waiting_levels[: levels - first] = self._waiting_levels[first:levels].copy()
        self._meters[WAITING], self._meters[LEVELS_WAITING] = count - gone, levels - first
        self._meters[UNSYNCED] += gone

    def _account(self) -> None:
        for meter, condition in COUNTED.items():
            self._health.count(condition, int(self._meters[meter]))
            self._meters[meter] = 0
        self._meters[ROWS] = 0
