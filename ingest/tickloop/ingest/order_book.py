"""Limit order books, order by order: events of any feed in, rows of four tables out."""

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.ingest.book_fold import (
    BEST,
    CONDITIONS,
    FIRST_CONDITION,
    LIVE,
    TALLIES,
    USED,
    fold,
)
from tickloop.ingest.book_rows import Rows, batches, new_rows
from tickloop.ingest.events import EVENT
from tickloop.ingest.feed import Health
from tickloop.ingest.order_table import move_orders, new_table
from tickloop.ingest.price_levels import CAPACITY_MIN, LEVEL, SIDE, pack_levels

SYMBOLS_MIN = 64
LEVELS_MIN = 4096


class OrderBooks:
    """The books of all symbols of one venue, as a fold over events.

    `depth_levels` is how many best levels a side make depth rows; 0 makes none. `venue_id` goes
    into `ex` and `broken_id` into the `cond` of trades that never happened; both are symbol ids.
    Where the events are cut into arrays changes no row.

    Conditions that are counted in `health`: `unknown_order` (the row is kept without price and
    side unless the event says them, and the book stays; not counted for a BOOK_EXECUTE, which
    touches no book), `duplicate_order` (an id that rests already: the newer order takes its
    place), `negative_size` (more taken away than rests, or less than nothing: clamped),
    `order_without_size`, `order_without_price`, `order_without_side` and `no_symbol` (such an
    order cannot rest), `unknown_action`, `crossed_book` and `locked_book` (per quote row).
    """

    def __init__(self, *, depth_levels: int, venue_id: int, broken_id: int, health: Health) -> None:
        assert depth_levels >= 0, f"depth_levels {depth_levels}, at least 0 expected"
        self._depth_levels = depth_levels
        self._venue_id = venue_id
        self._broken_id = broken_id
        self._health = health
        self._orders = new_table(0)
        self._sides = np.zeros(0, dtype=SIDE)
        self._quotes = np.zeros(0, dtype=BEST)
        self._levels = np.zeros(LEVELS_MIN, dtype=LEVEL)
        self._pool = np.zeros(2, dtype=np.int64)
        self._tally = np.zeros(TALLIES, dtype=np.int64)

    def apply(self, events: npt.NDArray[np.void]) -> list[Batch]:
        """Fold `EVENT` records; give BOOK, TRADE, DEPTH and QUOTE batches, maybe empty.

        Their `ordinal` is message * 64 + rank, ascending within a batch: ready for `interleave`.
        """
        assert events.dtype == EVENT, f"events of {events.dtype}, EVENT records expected"
        events = np.ascontiguousarray(events)
        if len(events):
            self._know_symbols(int(events["sym"].max()) + 1)
            self._make_room_for_orders(len(events))
        parts = []
        done = 0
        while True:
            rows = new_rows(self._row_capacity(len(events) - done))
            done = self._fold(events, done, rows)
            parts.append(batches(rows, self._venue_id))
            if done == len(events):
                break
        self._count_conditions()
        return [concatenate(part) for part in zip(*parts, strict=True)]

    def _row_capacity(self, events: int) -> int:
        if not self._depth_levels:
            return events + 3
        return 2 * events + 2 * self._depth_levels + 3

    def _fold(self, events: npt.NDArray[np.void], done: int, rows: Rows) -> int:
        """Fold until all is done or the depth rows are full; grow the pool on the way."""
        while True:
            stopped = fold(
                events, done, self._depth_levels, self._broken_id,
                self._orders, self._sides, self._levels, self._quotes, self._pool, self._tally,
                *rows,
            )  # fmt: skip
            if stopped == len(events) or not self._pool_is_full():
                return stopped
            done = stopped
            self._grow_pool()

    def _know_symbols(self, symbols: int) -> None:
        known = len(self._quotes)
        if symbols <= known:
            return
        extra = max(symbols, 2 * known, SYMBOLS_MIN) - known
        self._sides = np.append(self._sides, np.zeros(2 * extra, dtype=SIDE))
        self._quotes = np.append(self._quotes, np.full(extra, NULL_LONG, dtype=BEST))

    def _make_room_for_orders(self, added: int) -> None:
        if 2 * (int(self._tally[USED]) + added) <= len(self._orders):
            return
        # Some growth ahead, so that a book that fills steadily does not move at every call.
        table = new_table(2 * int(self._tally[LIVE]) + added)
        self._tally[USED] = move_orders(self._orders, table, self._sides)
        self._orders = table

    def _pool_is_full(self) -> bool:
        used, run = self._pool.tolist()
        return used + max(CAPACITY_MIN, 2 * run) > len(self._levels)

    def _grow_pool(self) -> None:
        used, run = self._pool.tolist()
        pool = np.zeros(2 * (used + 2 * run), dtype=LEVEL)
        self._pool[0] = pack_levels(self._sides, self._levels, pool)
        self._levels = pool

    def _count_conditions(self) -> None:
        for index, condition in enumerate(CONDITIONS, FIRST_CONDITION):
            self._health.count(condition, int(self._tally[index]))
            self._tally[index] = 0

    def best(self, symbol_id: int) -> tuple[int, int, int, int]:
        """Give best bid, its size, best ask, its size, in inside integers; null where empty."""
        bids = self.levels(symbol_id, sells=False, count=1) or [(NULL_LONG, NULL_LONG, 0)]
        asks = self.levels(symbol_id, sells=True, count=1) or [(NULL_LONG, NULL_LONG, 0)]
        return (*bids[0][:2], *asks[0][:2])

    def levels(self, symbol_id: int, *, sells: bool, count: int) -> list[tuple[int, int, int]]:
        """List (price, size, orders) of the `count` best levels of a side, best first."""
        if not 0 <= symbol_id < len(self._quotes):
            return []
        side = self._sides[2 * symbol_id + sells]
        end = int(side["start"]) + int(side["count"])
        run = self._levels[max(int(side["start"]), end - count) : end][::-1]
        return [
            (-key if sells else key, size, orders)
            for key, size, orders in zip(
                run["key"].tolist(), run["size"].tolist(), run["orders"].tolist(), strict=True
            )
        ]

    @property
    def resting_orders(self) -> int:
        """Orders that rest over all symbols."""
        return int(self._tally[LIVE])
