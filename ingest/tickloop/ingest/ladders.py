"""Depth and quote rows from feeds that send whole ladders: only what changed becomes a row."""

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.dialects.numpy import NULL_INT, NULL_LONG
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.core.schema import DEPTH, QUOTE
from tickloop.ingest.book_rows import DEPTH_RANK, QUOTE_RANK
from tickloop.ingest.events import BUY, SELL
from tickloop.ingest.feed import Health
from tickloop.ingest.messages import RANK_QUOTE_BEFORE, Messages

# A ladder is a row of int64: for each level, best first, these six. Of a level
# that is absent, all are null.
BID, ASK, BID_SIZE, ASK_SIZE, BID_ORDERS, ASK_ORDERS = range(6)
WIDTH = 6
# Whether a message's ladder may become a quote: in the middle of a venue's event it may not.
NO_QUOTE = 0
QUOTE_AFTER = 1
QUOTE_BEFORE = 2

_DEPTH_ROWS = 1 << 16
_CROSSED, _LOCKED = 2, 3


@inline_kernel
def _better(price: int, other: int, side: int) -> bool:
    """Tell whether a price is nearer to the market; an absent price never is."""
    if price == NULL_LONG or other == NULL_LONG:
        return price != NULL_LONG
    return price > other if side == BID else price < other


@inline_kernel
def _is_gone(price: int, ladder: npt.NDArray[np.int64], start: int, levels: int, side: int) -> bool:
    """Tell whether a price that left the best levels left the book, as far as the ladder shows."""
    for level in range(start, levels):
        if ladder[WIDTH * level + side] == price:
            return False
    worst = ladder[WIDTH * (levels - 1) + side]
    return worst == NULL_LONG or _better(price, worst, side)


@inline_kernel
def _put(
    depth: npt.NDArray[np.int64],
    at: int,
    row: int,
    side: int,
    level: int,
    ladder: npt.NDArray[np.int64],
    removed: bool,
) -> int:
    base = WIDTH * level
    depth[at, 0] = row
    depth[at, 1] = BUY if side == BID else SELL
    depth[at, 2] = level
    depth[at, 3] = ladder[base + side]
    depth[at, 4] = 0 if removed else ladder[base + BID_SIZE + side]
    depth[at, 5] = 0 if removed else ladder[base + BID_ORDERS + side]
    return at + 1


@inline_kernel
def _side_changes(
    before: npt.NDArray[np.int64],
    now: npt.NDArray[np.int64],
    side: int,
    levels: int,
    shown: int,
    row: int,
    depth: npt.NDArray[np.int64],
    at: int,
) -> int:
    """Write the rows that turn one side's best `shown` levels into the new ones."""
    old = new = 0
    while old < shown or new < shown:
        was = before[WIDTH * old + side] if old < shown else NULL_LONG
        price = now[WIDTH * new + side] if new < shown else NULL_LONG
        if was == NULL_LONG and price == NULL_LONG:
            break
        if was == price:
            base, other = WIDTH * new + side, WIDTH * old + side
            if (
                now[base + BID_SIZE] != before[other + BID_SIZE]
                or now[base + BID_ORDERS] != before[other + BID_ORDERS]
            ):
                at = _put(depth, at, row, side, new, now, False)
            old += 1
            new += 1
        elif _better(price, was, side):
            at = _put(depth, at, row, side, new, now, False)
            new += 1
        else:
            if price != NULL_LONG or _is_gone(was, now, new, levels, side):
                at = _put(depth, at, row, side, old, before, True)
            old += 1
    return at


@inline_kernel
def _quote_changes(
    ladder: npt.NDArray[np.int64],
    quoted: npt.NDArray[np.int64],
    row: int,
    quotes: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    changed = False
    for index in range(4):
        changed |= quoted[index] != ladder[index]
    if not changed:
        return
    at = counts[1]
    quotes[at, 0] = row
    for index in range(4):
        quoted[index] = ladder[index]
        quotes[at, 1 + index] = ladder[index]
    counts[1] += 1
    if ladder[BID] != NULL_LONG and ladder[ASK] != NULL_LONG:
        counts[_CROSSED] += ladder[BID] > ladder[ASK]
        counts[_LOCKED] += ladder[BID] == ladder[ASK]


@kernel(
    "int64(int64[:, ::1], int64[::1], uint8[::1], int64, int64, int64[:, ::1], int64[:, ::1],"
    " int64[:, ::1], int64[:, ::1], int64[::1])",
    allocates=True,
)
def _changes(
    ladders: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    quotable: npt.NDArray[np.uint8],
    shown: int,
    start: int,
    state: npt.NDArray[np.int64],
    quoted: npt.NDArray[np.int64],
    depth: npt.NDArray[np.int64],
    quotes: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> int:
    levels = ladders.shape[1] // WIDTH
    room = depth.shape[0] - 4 * levels
    row = start
    while row < ladders.shape[0] and counts[0] <= room and counts[1] < quotes.shape[0]:
        ladder = ladders[row]
        slot = slots[row]
        if shown > 0:
            for side in range(2):
                counts[0] = _side_changes(
                    state[slot], ladder, side, levels, shown, row, depth, counts[0]
                )
            state[slot, :] = ladder
        if quotable[row] != NO_QUOTE:
            _quote_changes(ladder, quoted[slot], row, quotes, counts)
        row += 1
    return row


def _absent(slots: int, width: int) -> npt.NDArray[np.int64]:
    return np.full((slots, width), NULL_LONG, dtype=np.int64)


class Ladders:
    """The latest ladder of every (instrument, venue), and the rows that changes to it make."""

    def __init__(self, *, levels: int, depth_levels: int, health: Health) -> None:
        self._levels = levels
        self._shown = min(levels, depth_levels)
        self._health = health
        self._state = _absent(1, WIDTH * levels)
        self._quoted = _absent(1, 4)

    def _grow(self, slots: int) -> None:
        extra = slots - len(self._state)
        if extra > 0:
            extra = max(extra, len(self._state))
            self._state = np.vstack([self._state, _absent(extra, WIDTH * self._levels)])
            self._quoted = np.vstack([self._quoted, _absent(extra, 4)])

    def apply(
        self,
        ladders: npt.NDArray[np.int64],
        messages: Messages,
        *,
        slots: npt.NDArray[np.int64],
        quotable: npt.NDArray[np.uint8],
    ) -> list[Batch]:
        """Compare each message's ladder with the one before it in its slot.

        `ladders` is (messages, 6 × levels); `slots` numbers (instrument, venue) pairs from 0.
        Returns depth rows for the best `depth_levels` and quote rows where the BBO is another
        than the last one quoted: null on an empty side.
        """
        if not len(messages):
            return []
        self._grow(int(slots.max()) + 1)
        depth = np.empty((_DEPTH_ROWS + 4 * self._levels, 6), dtype=np.int64)
        quotes = np.empty((len(messages), 5), dtype=np.int64)
        counts = np.zeros(4, dtype=np.int64)
        batches: list[Batch] = []
        row = 0
        while row < len(messages):
            counts[0] = 0
            row = _changes(
                ladders, slots, quotable, self._shown, row, self._state, self._quoted,
                depth, quotes, counts,
            )  # fmt: skip
            if counts[0]:
                batches.append(_depth_rows(messages, depth[: counts[0]].copy()))
        if len(batches) > 1:
            batches = [concatenate(batches)]
        self._health.count("crossed_book", int(counts[_CROSSED]))
        self._health.count("locked_book", int(counts[_LOCKED]))
        if counts[1]:
            batches.append(_quote_rows(messages, quotes[: counts[1]], quotable))
        return batches


def _depth_rows(messages: Messages, depth: npt.NDArray[np.int64]) -> Batch:
    orders = np.where(depth[:, 5] == NULL_LONG, NULL_INT, depth[:, 5])
    return messages.take(depth[:, 0]).rows(
        DEPTH,
        DEPTH_RANK,
        side=depth[:, 1].astype(np.uint8),
        level=depth[:, 2].astype(np.int32),
        price=np.ascontiguousarray(depth[:, 3]),
        size=np.ascontiguousarray(depth[:, 4]),
        orders=np.clip(orders, NULL_INT, 2**31 - 1).astype(np.int32),
    )


def _quote_rows(
    messages: Messages, quotes: npt.NDArray[np.int64], quotable: npt.NDArray[np.uint8]
) -> Batch:
    picked = quotes[:, 0]
    rank = np.where(quotable[picked] == QUOTE_BEFORE, RANK_QUOTE_BEFORE, QUOTE_RANK)
    bid, ask, bsize, asize = (np.ascontiguousarray(quotes[:, 1 + index]) for index in range(4))
    return messages.take(picked).rows(
        QUOTE, rank.astype(np.int64), bid=bid, ask=ask, bsize=bsize, asize=asize
    )
