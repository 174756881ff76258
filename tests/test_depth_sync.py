"""A depth book is what the exchange has, or is known to be stale; it is never wrong in silence."""

import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binance_oracle import TopOfBook, collect, context, rows
from tests.exchange_book import ExchangeBook, stamped
from tickloop.ingest import depth_books
from tickloop.ingest.binance import BinanceDecoder

LEVELS = 3
SYNCED, STALE = "depth_synced", "depth_stale"
LOST = {"stream": "!connection", "data": {"e": "disconnected"}}


class Subscriber:
    """Follows a decoder's status, depth and quote rows, one line at a time."""

    def __init__(self, symbol: str = "", *, depth_levels: int = LEVELS) -> None:
        self.context = context(symbol, depth_levels=depth_levels)
        self.decoder = BinanceDecoder(self.context)
        self.top = TopOfBook()
        self.states: list[str] = []
        self.reasons: list[str] = []
        self.quotes: list[tuple[int, ...]] = []
        self._lines = 0

    @property
    def live(self) -> bool:
        return bool(self.states) and self.states[-1] == SYNCED

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.decoder.health.counts)

    def hear(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            tables = collect(self.decoder.decode(stamped(frame, self._lines)))
            self._lines += 1
            name = self.context.symbols.name
            for state, reason in rows(tables.get("status", {}), "state", "reason"):
                self.states.append(name(state))
                self.reasons.append(name(reason))
            for row in rows(tables.get("depth", {}), "side", "price", "size"):
                self.top.apply(*row)
            self.quotes += rows(tables.get("quote", {}), "bid", "bsize", "ask", "asize")


def book(changes: int = 60, *, futures: bool = False, seed: int = 1) -> ExchangeBook:
    made = ExchangeBook(seed, futures=futures)
    made.trade_on(changes)
    return made


both_markets = pytest.mark.parametrize("futures", [False, True], ids=["spot", "futures"])


@pytest.mark.kernel
@both_markets
@given(
    seed=st.integers(0, 2**32),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    plan=st.data(),
)
def test_while_a_book_is_live_its_top_is_the_exchanges(
    futures: bool, seed: int, widths: list[int], plan: st.DataObject
) -> None:
    market = book(sum(widths), futures=futures, seed=seed)
    bounds = [0, *(sum(widths[: k + 1]) for k in range(len(widths)))]
    subscriber = Subscriber()
    known = 0
    for start, stop in pairwise(bounds):
        fate = plan.draw(st.sampled_from(["heard", "heard", "heard", "lost", "twice", "snapshot"]))
        if fate == "lost":
            continue
        subscriber.hear(market.diff(start, stop))
        known = max(known, stop)
        if fate == "twice":
            subscriber.hear(market.diff(start, stop))
        if fate == "snapshot":
            at = plan.draw(st.integers(0, len(market.changes)))
            subscriber.hear(market.snapshot(at))
            known = max(known, at) if subscriber.live else known
        if subscriber.live:
            assert subscriber.top.window() == market.top(known, LEVELS)


@pytest.mark.kernel
@both_markets
@pytest.mark.parametrize("at", range(0, 31, 2))
def test_a_snapshot_anywhere_in_the_stream_syncs_without_a_gap(futures: bool, at: int) -> None:
    market = book(30, futures=futures)
    subscriber = Subscriber()
    diffs = [market.diff(start, start + 5) for start in range(0, 30, 5)]
    subscriber.hear(*diffs[:3], market.snapshot(at), *diffs[3:])
    assert subscriber.states == [SYNCED]
    assert subscriber.top.window() == market.top(30, LEVELS)
    assert "depth_gap" not in subscriber.counts


@both_markets
def test_a_gap_makes_the_book_stale_until_a_fresh_snapshot(futures: bool) -> None:
    market = book(futures=futures)
    subscriber = Subscriber()
    subscriber.hear(market.diff(0, 10), market.snapshot(5), market.diff(10, 20))
    before = subscriber.top.window()
    subscriber.hear(market.diff(30, 40), market.diff(40, 50))
    assert subscriber.states == [SYNCED, STALE]
    assert subscriber.reasons == ["snapshot", "gap"]
    assert subscriber.top.window() == before
    assert subscriber.decoder.unsynced() == ["BTCUSDT"]
    subscriber.hear(market.snapshot(45))
    assert subscriber.states == [SYNCED, STALE, SYNCED]
    assert subscriber.top.window() == market.top(50, LEVELS)
    assert subscriber.counts["depth_gap"] == 1
    assert subscriber.decoder.unsynced() == []


def test_a_snapshot_older_than_what_waits_is_refused() -> None:
    market = book()
    subscriber = Subscriber()
    subscriber.hear(market.diff(20, 30), market.snapshot(10))
    assert subscriber.states == []
    assert subscriber.counts == {"snapshot_too_old": 1}
    subscriber.hear(market.snapshot(20))
    assert subscriber.top.window() == market.top(30, LEVELS)


def test_a_snapshot_older_than_the_book_changes_nothing() -> None:
    market = book()
    subscriber = Subscriber()
    subscriber.hear(market.diff(0, 10), market.snapshot(10), market.diff(10, 20))
    subscriber.hear(market.snapshot(5))
    assert subscriber.top.window() == market.top(20, LEVELS)
    assert subscriber.counts["snapshot_older_than_book"] == 1


def test_a_lost_connection_makes_all_books_stale() -> None:
    market = book()
    subscriber = Subscriber()
    subscriber.hear(market.diff(0, 10), market.snapshot(10), LOST, market.diff(10, 20))
    assert subscriber.states == [SYNCED, STALE]
    assert subscriber.reasons[-1] == "disconnected"
    subscriber.hear(market.snapshot(15))
    assert subscriber.top.window() == market.top(20, LEVELS)


def test_differences_that_never_met_a_snapshot_are_counted_at_the_end() -> None:
    market = book()
    subscriber = Subscriber()
    subscriber.hear(market.diff(0, 10), market.diff(10, 20))
    subscriber.decoder.finish()
    assert subscriber.counts == {"depth_without_snapshot": 2}


def test_a_nameless_snapshot_is_the_one_waiting_symbols() -> None:
    first, second = book(), ExchangeBook(2, symbol="ETHUSDT")
    second.trade_on(30)
    subscriber = Subscriber()
    subscriber.hear(first.diff(0, 10), second.diff(0, 10), first.snapshot(10))
    assert subscriber.counts["snapshot_without_symbol"] == 1
    named = {"stream": "btcusdt@depthSnapshot", "data": first.snapshot(10)}
    subscriber.hear(named, second.snapshot(10))
    assert subscriber.states == [SYNCED, SYNCED]


def test_a_nameless_snapshot_is_the_symbols_that_was_told() -> None:
    market = book()
    subscriber = Subscriber("BTCUSDT")
    subscriber.hear(market.snapshot(10), market.diff(10, 20))
    assert subscriber.top.window() == market.top(20, LEVELS)


def test_quotes_come_from_the_book_until_the_venue_quotes_itself() -> None:
    market = book(200)
    subscriber = Subscriber(depth_levels=0)
    subscriber.hear(market.diff(0, 150), market.snapshot(150))
    (bid, *_), (ask, *_) = market.top(150, 1)
    assert subscriber.quotes == [(*bid, *ask)]
    ticker = {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}
    subscriber.hear(ticker, *(market.diff(at, at + 10) for at in range(150, 200, 10)))
    assert len(subscriber.quotes) == 2


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_books, "WAITING_MAX", 8)
    market = book(40)
    subscriber = Subscriber()
    subscriber.hear(*(market.diff(at, at + 1) for at in range(30)))
    given_up = subscriber.counts["depth_without_snapshot"]
    assert 22 <= given_up < 30
    subscriber.hear(market.snapshot(28))
    assert subscriber.top.window() == market.top(30, LEVELS)
    subscriber.decoder.finish()
    assert subscriber.counts["depth_without_snapshot"] == given_up


def levels(prices: Iterable[int]) -> list[list[str]]:
    return [[str(price), "1"] for price in prices]


@pytest.mark.parametrize("order", ["best_first", "worst_first", "shuffled"])
def test_books_grow_with_their_levels_in_whatever_order_they_come(order: str) -> None:
    prices = list(range(3000, 0, -1))
    if order == "worst_first":
        prices.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(prices)
    snapshot = {"lastUpdateId": 1, "bids": levels(prices), "asks": levels([4000])}
    subscriber = Subscriber("X", depth_levels=3000)
    subscriber.hear(snapshot)
    bids, _ = subscriber.top.window()
    assert [price for price, _ in bids] == [price * 10**8 for price in range(3000, 0, -1)]


def test_a_full_book_gives_up_its_worst_levels() -> None:
    prices = range(70_000, 0, -1)
    snapshot = {"lastUpdateId": 1, "bids": levels(prices), "asks": []}
    subscriber = Subscriber("X", depth_levels=1)
    subscriber.hear(snapshot)
    assert subscriber.top.window() == (((70_000 * 10**8, 10**8),), ())
    assert subscriber.counts["book_full"] == 70_000 - 65_536
