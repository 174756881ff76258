"""A live Binance feed ends with the exchange's book, whatever the connection does on the way."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.binance_oracle import Tables, TopOfBook, Window, collect, context, rows
from tests.exchange_book import ExchangeBook
from tests.fake_binance import FakeBinance, Script
from tickloop.core.batch import Slice
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import ConfigError
from tickloop.core.kernel import warm_up
from tickloop.ingest.binance import BinanceFile
from tickloop.ingest.binance_live import (
    BinanceLive,
    BinanceLiveConfig,
    futures_config,
    spot_config,
)
from tickloop.ingest.line_queue import LineQueue

PATIENCE_S = 20.0
LEVELS = 5
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT",'
    b'"t":1,"p":"100.5","q":"0.02","T":1723161255342,"m":false}}'
)


def fast(config: BinanceLiveConfig) -> BinanceLiveConfig:
    """Try again at once: the venue is on this machine."""
    return replace(config, snapshot_retry_s=0.02, backoff_s=0.01, backoff_max_s=0.02, timeout_s=2.0)


def no_snapshot(symbol: str) -> dict[str, Any]:
    """Answer as a venue that does not know the symbol."""
    return {"code": -1121, "msg": f"Invalid symbol {symbol}."}


class Exchange:
    """A market whose REST side knows what its stream side has sent."""

    def __init__(self, changes: int, *, futures: bool = False) -> None:
        self.book = ExchangeBook(7, futures=futures)
        self.book.trade_on(changes)
        self.sent = 0

    def diffs(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        for at in range(start, stop, 5):
            self.sent = at + 5
            yield {"stream": "btcusdt@depth@100ms", "data": self.book.diff(at, at + 5)}

    def snapshot(self, symbol: str) -> dict[str, Any]:
        return self.book.snapshot(self.sent)


class Watch:
    """Collects a feed's slices until the rows are enough, within PATIENCE_S."""

    def __init__(self) -> None:
        self._slices: list[Slice] = []
        self.tables: Tables = {}

    def synced(self, times: int) -> Callable[[], bool]:
        """Give a condition: the book came into step so many times."""
        return lambda: len(rows(self.tables.get("status", {}), "state")) >= 2 * times - 1

    def window(self) -> Window:
        """Give the top of the book that a subscriber holds."""
        top = TopOfBook()
        for row in rows(self.tables.get("depth", {}), "side", "price", "size"):
            top.apply(*row)
        return top.window()

    def run(self, feed: BinanceLive, until: Callable[[], bool]) -> Tables:
        """Poll until the condition is true or the feed ends, then stop it."""
        deadline_ns = monotonic_ns() + int(PATIENCE_S * 1e9)
        while not feed.finished and not until():
            assert monotonic_ns() < deadline_ns, (feed.health, len(self._slices))
            self._take(feed.poll(0.02))
        feed.stop()
        for step in feed.slices():
            self._take(step)
        return self.tables

    def _take(self, step: Slice | None) -> None:
        if step is not None:
            self._slices.append(step)
            self.tables = collect(self._slices)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile before a clock runs."""
    warm_up()


def test_a_dropped_connection_and_a_gap_end_with_the_exchanges_book(tmp_path: Path) -> None:
    exchange = Exchange(600)
    watch = Watch()
    scripts: list[Script] = [
        chain([TRADE], exchange.diffs(0, 100), [watch.synced(1)], exchange.diffs(100, 200), [None]),
        # What traded while nobody listened is only in the snapshot; what is left out is a gap.
        chain(
            exchange.diffs(250, 300), [watch.synced(2)],
            exchange.diffs(300, 400), exchange.diffs(405, 500), [watch.synced(3)],
            exchange.diffs(500, 600), [TRADE],
        ),
    ]  # fmt: skip
    final = exchange.book.top(600, LEVELS)
    with FakeBinance(scripts, exchange.snapshot, refusals=1) as venue:
        config = fast(spot_config("btcusdt", stream_url=venue.stream_url, rest_url=venue.rest_url))
        record = tmp_path / "day.gz"
        feed = BinanceLive(replace(config, record=record), context(depth_levels=LEVELS))
        tables = watch.run(feed, lambda: watch.window() == final)
    assert watch.window() == final
    streams = "btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms"
    assert venue.paths == [f"/stream?streams={streams}"] * 2
    assert set(venue.requests) == {"/api/v3/depth?symbol=BTCUSDT&limit=1000"}
    counts = feed.health.counts
    assert (counts["connected"], counts["snapshot_refused_429"]) == (2, 1)
    assert counts["disconnected"] == counts["depth_gap"] == 1
    assert counts["malformed_frame"] == counts["refused_value"] == 0
    assert not feed.health.damage

    replay = BinanceFile(record, context(depth_levels=LEVELS))
    again = collect(replay.slices())
    assert not replay.health.damage
    assert replay.messages == feed.messages
    for name, table in tables.items():
        for column, values in table.items():
            assert np.array_equal(values, again[name][column]), (name, column)


def test_futures_chain_by_their_previous_ids() -> None:
    exchange = Exchange(100, futures=True)
    watch = Watch()
    final = exchange.book.top(100, LEVELS)
    with FakeBinance([exchange.diffs(0, 100)], exchange.snapshot) as venue:
        config = futures_config("btcusdt", stream_url=venue.stream_url, rest_url=venue.rest_url)
        feed = BinanceLive(fast(config), context(depth_levels=LEVELS))
        watch.run(feed, lambda: watch.window() == final)
    assert watch.window() == final
    assert venue.requests[0].startswith("/fapi/v1/depth?symbol=BTCUSDT")
    assert feed.venue == "BINANCE_UM"


def test_a_frame_that_is_no_frame_is_counted_and_the_feed_goes_on() -> None:
    watch = Watch()
    with FakeBinance([[b"hello", b"{\n}", TRADE]], no_snapshot) as venue:
        config = spot_config("btcusdt", stream_url=venue.stream_url, rest_url=venue.rest_url)
        feed = BinanceLive(fast(config), context())
        tables = watch.run(feed, lambda: "trade" in watch.tables)
    assert feed.health.counts["malformed_frame"] == 2
    assert tables["trade"]["price"].tolist() == [10050000000]


def test_a_venue_that_is_not_there_ends_the_feed_after_the_attempts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = spot_config("btcusdt", stream_url=f"ws://127.0.0.1:{port}", rest_url="http://x")
    feed = BinanceLive(replace(fast(config), attempts=3), context())
    assert list(feed.slices()) == []
    assert feed.health.counts["connection_failed"] == 3
    assert "3 connections in a row brought no frame" in str(feed.health.damage[0])


def test_stopping_before_the_first_poll_ends_at_once() -> None:
    config = spot_config("btcusdt", stream_url="ws://127.0.0.1:1", rest_url="http://x")
    feed = BinanceLive(fast(config), context())
    feed.close()
    assert feed.finished
    assert feed.poll(0.0) is None


def test_a_recording_never_overwrites_a_file(tmp_path: Path) -> None:
    path = tmp_path / "day.gz"
    path.write_bytes(b"kept")
    config = spot_config("btcusdt", stream_url="ws://x", rest_url="http://x", record=path)
    with pytest.raises(ConfigError, match="the file exists"):
        BinanceLive(config, context())
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("symbols", ["", "btc usdt", "btcusdt,", "btc/usdt", ",".join(["a"] * 400)])
def test_symbols_that_make_no_streams_are_refused(symbols: str) -> None:
    with pytest.raises(ConfigError):
        spot_config(symbols, stream_url="ws://x", rest_url="http://x")


def test_the_queue_holds_a_bounded_number_of_bytes() -> None:
    queue = LineQueue(bytes_max=10)
    assert queue.put(b"12345678901")
    assert not queue.put(b"1")
    assert queue.take(0.0, bytes_max=100) == b"12345678901"
    assert [queue.put(b"1234") for _ in range(3)] == [True, True, False]
    assert queue.take(0.0, bytes_max=4) == b"1234"
    assert len(queue) == 1
    assert queue.take(0.0, bytes_max=4) == b"1234"
    assert queue.take(0.0, bytes_max=4) == b""


def test_a_slow_reader_holds_the_connection_not_memory() -> None:
    watch = Watch()
    with FakeBinance([[TRADE] * 3000], no_snapshot) as venue:
        config = spot_config("btcusdt", stream_url=venue.stream_url, rest_url=venue.rest_url)
        feed = BinanceLive(replace(fast(config), queue_bytes=2000), context())
        tables = watch.run(feed, lambda: feed.messages == 3000)
    assert feed.health.counts["queue_full"] > 0
    assert len(tables["trade"]["price"]) == 3000
