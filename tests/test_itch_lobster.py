"""A real day of order flow, written as ITCH and read again, is still that day.

LOBSTER's level-1 files leave out what happens behind the best price, so a book made from their
messages alone drifts away from their quotes. The rewriting here adds what must have happened out
of sight: orders that turn out to be gone are deleted, and shares that turn out to rest are added.
Then the best prices must be those of the order book file at every instant.
"""

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tickloop.core.batch import concatenate
from tickloop.core.clock import midnight_ns
from tickloop.core.instruments import Instruments
from tickloop.core.schema import QUOTE, TRADE, Table
from tickloop.core.symbols import Symbols
from tickloop.ingest.events import EVENT
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.itch_encode import encode, from_events, stock_directory
from tickloop.ingest.itch_file import ItchFile

DAY = date(2012, 6, 21)
MIDNIGHT = midnight_ns(DAY, "America/New_York")
FILLER_IDS = 10**9


def _nanoseconds(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * 10**9 + int(part.ljust(9, "0"))


def _read(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read (time, type, id, size, price, direction) and (ask, size, bid, size) rows."""
    with zipfile.ZipFile(path) as files:
        texts = {
            kind: files.read(name).decode().splitlines()
            for name in files.namelist()
            for kind in ("message", "orderbook")
            if f"_{kind}_" in name
        }
    messages = [line.split(",") for line in texts["message"]]
    rows = [[_nanoseconds(line[0]), *map(int, line[1:6])] for line in messages]
    book = [list(map(int, line.split(","))) for line in texts["orderbook"]]
    return np.array(rows, dtype=np.int64), np.array(book, dtype=np.int64)


@dataclass
class Rewriter:
    """Turns LOBSTER rows into the events of a complete book."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    # By side, price: order ids in order of arrival, with what rests of each.
    levels: dict[str, dict[int, dict[int, int]]] = field(default_factory=lambda: {"B": {}, "S": {}})
    time: int = 0
    fillers: int = FILLER_IDS
    matches: int = 0

    def emit(self, action: str, order_id: int, side: str, price: int, size: int) -> None:
        """Append one event, and apply it to the levels."""
        self.matches += action in "EP"
        match = self.matches if action in "EP" else 0
        stamp = MIDNIGHT + self.time
        flags = (ord(action), ord(side), 1)
        self.events.append(
            (stamp, stamp, order_id, 0, match, price, size, len(self.events), 0, -1, -1, *flags)
        )
        level = self.levels[side].setdefault(price, {})
        if action == "A":
            level[order_id] = size
        elif action in "XDE":
            level[order_id] -= size
            if not level[order_id]:
                del level[order_id]
        if not level:
            del self.levels[side][price]

    def row(self, message: list[int], book: list[int]) -> None:
        """Apply one LOBSTER message, then make the best prices those of its book row."""
        self.time, kind, order_id, size, price, direction = message
        side = "B" if direction == 1 else "S"
        if kind == 1:
            self.emit("A", order_id, side, price, size)
        elif kind == 5:
            self.emit("P", 0, side, price, size)
        else:
            rests = self._uncover(order_id, side, price, size)
            if kind == 4:
                self.emit("E", order_id, side, price, size)
            else:
                self._take_away(side, price, order_id, rests if kind == 3 else size)
        quotes = (("S", book[0], book[1]), ("B", book[2], book[3]))
        for wanted_side, wanted_price, wanted_size in quotes:
            self._remove_ghosts(wanted_side, wanted_price, wanted_size)
        for wanted_side, wanted_price, wanted_size in quotes:
            missing = wanted_size - self._total(wanted_side, wanted_price)
            if missing:
                self._fill(wanted_side, wanted_price, missing)

    def _total(self, side: str, price: int) -> int:
        return sum(self.levels[side].get(price, {}).values())

    def _fill(self, side: str, price: int, size: int) -> None:
        self.fillers += 1
        self.emit("A", self.fillers, side, price, size)

    def _take_away(self, side: str, price: int, order_id: int, size: int) -> None:
        whole = self.levels[side][price][order_id] == size
        self.emit("D" if whole else "X", order_id, side, price, size)

    def _uncover(self, order_id: int, side: str, price: int, size: int) -> int:
        """Let an order that came out of sight rest under its own id instead of a filler's."""
        level = self.levels[side].get(price, {})
        missing = size - level.get(order_id, 0)
        if missing <= 0:
            return level[order_id]
        if order_id in level:
            self._take_away(side, price, order_id, level[order_id])
        hidden = missing
        for filler, rests in list(self.levels[side].get(price, {}).items()):
            if filler > FILLER_IDS and hidden:
                taken = min(rests, hidden)
                self._take_away(side, price, filler, taken)
                hidden -= taken
        self.emit("A", order_id, side, price, size)
        return size

    def _remove_ghosts(self, side: str, price: int, size: int) -> None:
        """Delete what the book row says is not there any more."""
        sign = 1 if side == "B" else -1
        for better in [seen for seen in self.levels[side] if sign * (seen - price) > 0]:
            for order_id, rests in list(self.levels[side][better].items()):
                self._take_away(side, better, order_id, rests)
        surplus = self._total(side, price) - size
        for order_id, rests in reversed(list(self.levels[side].get(price, {}).items())):
            if surplus > 0:
                self._take_away(side, price, order_id, min(rests, surplus))
                surplus -= min(rests, surplus)


@dataclass(frozen=True)
class Again:
    """A day that went through ITCH: LOBSTER's rows, and what came out."""

    messages: npt.NDArray[np.int64]
    book: npt.NDArray[np.int64]
    trades: dict[str, npt.NDArray[np.generic]]
    quotes: dict[str, npt.NDArray[np.generic]]
    health: Health
    actions: Counter[str]


@pytest.fixture(scope="module")
def again(market_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Again:
    messages, book = _read(market_data("lobster/LOBSTER_SampleFile_AAPL_2012-06-21_1.zip"))
    rewriter = Rewriter()
    for message, row in zip(messages.tolist(), book.tolist(), strict=True):
        rewriter.row(message, row)
    events = np.array(rewriter.events, dtype=EVENT)
    written = encode(
        from_events(events, midnight_ns=MIDNIGHT, symbols=Symbols(["AAPL"]), locates={0: 13})
    )
    path = tmp_path_factory.mktemp("itch") / "aapl.itch"
    path.write_bytes(stock_directory("AAPL", locate=13, timestamp=0) + written.tobytes())
    context = FeedContext(Symbols(), Instruments(), session_date=DAY, depth_levels=0)
    feed = ItchFile(path, context)
    slices = list(feed.slices())

    def rows(table: Table) -> dict[str, npt.NDArray[np.generic]]:
        found = [batch for one in slices for batch in one.batches if batch.table is table]
        return dict(concatenate(found).columns)

    actions = Counter(chr(event) for event in events["action"].tolist())
    return Again(messages, book, rows(TRADE), rows(QUOTE), feed.health, actions)


def test_nothing_is_wrong_with_the_rewritten_day(again: Again) -> None:
    assert not again.health.damage
    # A quote may cross an order that is seen to be gone only in the next row.
    assert set(again.health.counts) <= {"crossed_book", "locked_book"}, again.health.counts


def test_every_trade_comes_back_with_price_size_side_and_time(again: Again) -> None:
    kinds = again.messages[:, 1]
    traded = again.messages[(kinds == 4) | (kinds == 5)]
    # The aggressor is on the other side of the order that rested.
    sides = np.where(traded[:, 5] == 1, ord("S"), ord("B"))
    assert again.trades["venue_time"].tolist() == (traded[:, 0] + MIDNIGHT).tolist()
    assert again.trades["price"].tolist() == traded[:, 4].tolist()
    assert again.trades["size"].tolist() == traded[:, 3].tolist()
    assert again.trades["side"].tolist() == sides.tolist()
    assert again.trades["trade_id"].tolist() == list(range(1, len(traded) + 1))


def test_the_days_volume_is_what_the_vendor_says(again: Again) -> None:
    assert int(again.trades["size"].sum()) == 2_850_140


def test_the_best_prices_are_the_order_book_files_at_every_instant(again: Again) -> None:
    times = again.messages[:, 0] + MIDNIGHT
    last = np.flatnonzero(np.append(times[1:] != times[:-1], True))
    standing = np.searchsorted(again.quotes["venue_time"], times[last], side="right") - 1
    for column, name in enumerate(("ask", "asize", "bid", "bsize")):
        seen = again.quotes[name][standing]
        assert np.array_equal(seen, again.book[last, column]), name


def test_most_of_the_rewritten_day_is_the_real_one(again: Again) -> None:
    # 118,497 real rows; what was added out of sight must not drown them.
    assert sum(again.actions.values()) < 2 * len(again.messages)
