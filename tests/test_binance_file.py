"""Recorded Binance files become the rows that a slow reader of the documents makes of them."""

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.binance_oracle import (
    DictBook,
    Frame,
    Tables,
    TopOfBook,
    Window,
    collect,
    context,
    frames,
    kinds,
    rows,
    write_lines,
)
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.ingest.binance import BinanceFile

NULL_LONG = -(2**63)
FILES = {
    "spot_btcusdt_20240808": {"diff": 3451, "ticker": 28040, "trade": 9757, "snapshot": 1},
    "spot_btcusdt_20240809": {"diff": 3044, "ticker": 45134, "trade": 10147},
    "spot_ethusdt_20240808": {"diff": 3434, "ticker": 24077, "trade": 6106, "snapshot": 1},
    "usdm_btcusdt_20240808": {"diff": 6551, "ticker": 66089, "trade": 21313, "snapshot": 1},
}
TRADE = (
    b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",'
    b'"q":"0.02000000","T":1723161255342,"m":true,"M":true}'
)


def decode(path: Path, *, depth_levels: int = 5) -> tuple[BinanceFile, Tables]:
    feed = BinanceFile(path, context(depth_levels=depth_levels))
    return feed, collect(feed.slices())


@cache
def read_whole(path: Path) -> list[Frame]:
    return list(frames(gzip.decompress(path.read_bytes()).split(b"\n")))


@pytest.fixture(params=FILES)
def recording(request: pytest.FixtureRequest, market_data: Callable[[str], Path]) -> Path:
    return market_data(f"binance-ws/{request.param}.gz")


def test_every_frame_of_a_recording_is_decoded_to_the_last_digit(recording: Path) -> None:
    feed, tables = decode(recording)
    read = read_whole(recording)
    assert kinds(read) == FILES[recording.stem]
    assert feed.messages == len(read)
    assert not feed.health.damage
    trades = [frame for frame in read if frame.kind == "trade"]
    seen = rows(tables["trade"], "price", "size", "side", "trade_id", "venue_time")
    assert seen == [
        (*frame.values[:2], ord(frame.values[2]), frame.values[3], frame.venue_time)
        for frame in trades
    ]
    tickers = [frame for frame in read if frame.kind == "ticker"]
    seen = rows(tables["quote"], "bid", "bsize", "ask", "asize", "venue_time")
    assert seen == [(*frame.values[:4], frame.venue_time) for frame in tickers]


def test_time_is_when_a_frame_was_received(recording: Path) -> None:
    _, tables = decode(recording)
    received = [frame.recv for frame in read_whole(recording) if frame.kind == "trade"]
    assert (tables["trade"]["time"].astype(np.int64) + EPOCH_UNIX_NS).tolist() == received


def test_rows_of_all_tables_stand_in_the_order_of_the_frames(recording: Path) -> None:
    _, tables = decode(recording)
    at = np.concatenate([table["at"] for table in tables.values()])
    time = np.concatenate([table["time"] for table in tables.values()])
    in_order = time[np.argsort(at)].astype(np.int64)
    assert np.all(np.diff(in_order) >= 0)


@pytest.mark.parametrize(
    "name", ["spot_btcusdt_20240808", "spot_ethusdt_20240808", "usdm_btcusdt_20240808"]
)
def test_depth_rows_keep_a_subscriber_at_the_top_of_a_dict_book(
    market_data: Callable[[str], Path], name: str
) -> None:
    path = market_data(f"binance-ws/{name}.gz")
    feed, tables = decode(path)
    assert feed.health.counts["depth_gap"] == 0
    book = DictBook()
    expected = {}
    for frame in read_whole(path):
        if frame.kind == "snapshot":
            ids, _, bids, asks = frame.values
            book.snapshot(ids[-1], bids, asks)
        elif frame.kind == "diff":
            book.diff(*frame.values)
        if book.last is not None and frame.kind in ("snapshot", "diff"):
            expected[frame.recv - EPOCH_UNIX_NS] = book.top(5)
    assert book.gaps == 0
    subscriber = TopOfBook()
    moved = {}
    for time, side, price, size in rows(tables["depth"], "time", "side", "price", "size"):
        subscriber.apply(side, price, size)
        moved[time] = subscriber.window()
    window: Window = ((), ())
    for time, wanted in expected.items():
        window = moved.pop(time, window)  # no row: the top stayed as it was
        assert window == wanted
    assert not moved


def test_the_synced_book_agrees_with_the_venues_own_best_prices_at_equal_update_ids(
    market_data: Callable[[str], Path],
) -> None:
    path = market_data("binance-ws/spot_btcusdt_20240808.gz")
    _, tables = decode(path, depth_levels=1)
    read = read_whole(path)
    quoted = {frame.values[4]: frame.values[:4] for frame in read if frame.kind == "ticker"}
    update_ids = {
        frame.recv - EPOCH_UNIX_NS: frame.values[0][1] for frame in read if frame.kind == "diff"
    }
    subscriber = TopOfBook()
    best = {}
    for time, side, price, size in rows(tables["depth"], "time", "side", "price", "size"):
        subscriber.apply(side, price, size)
        best[time] = subscriber.window()
    compared = 0
    for time, ((bid, *_), (ask, *_)) in best.items():
        ticker = quoted.get(update_ids.get(time, -1))
        if ticker is not None:
            assert (*bid, *ask) == ticker
            compared += 1
    assert compared > 50


def test_levels_are_numbered_from_the_best(market_data: Callable[[str], Path]) -> None:
    _, tables = decode(market_data("binance-ws/spot_btcusdt_20240808.gz"))
    first = tables["depth"]["time"] == tables["depth"]["time"][0]
    bids = first & (tables["depth"]["side"] == ord("B"))
    prices = tables["depth"]["price"][bids].astype(np.int64)
    assert tables["depth"]["level"][bids].tolist() == [0, 1, 2, 3, 4]
    assert np.all(np.diff(prices) < 0)
    assert set(tables["depth"]["level"].tolist()) == {0, 1, 2, 3, 4}


def test_a_recording_that_goes_on_without_a_snapshot_still_quotes(
    market_data: Callable[[str], Path],
) -> None:
    feed, tables = decode(market_data("binance-ws/spot_btcusdt_20240809.gz"))
    assert feed.health.counts["depth_without_snapshot"] == 3044
    assert "depth" not in tables
    assert len(tables["quote"]["bid"]) == 45134


def test_futures_are_told_from_spot(market_data: Callable[[str], Path]) -> None:
    spot, _ = decode(market_data("binance-ws/spot_btcusdt_20240808.gz"))
    futures, tables = decode(market_data("binance-ws/usdm_btcusdt_20240808.gz"))
    assert (spot.venue, futures.venue) == ("BINANCE", "BINANCE_UM")
    assert len(tables["instrument"]["sym"]) == 1
    assert rows(tables["instrument"], "price_unit", "size_unit") == [(-8, -8)]


@pytest.mark.parametrize(("name", "symbols"), [("BINANCE", 4), ("BINANCE_FUTURES", 4)])
def test_cryptofeed_captures_sync_by_the_replies_beside_them(
    market_data: Callable[[str], Path], name: str, symbols: int
) -> None:
    feed, tables = decode(market_data(f"cryptofeed-ws/{name}.ws.1.0.gz"))
    assert not feed.health.damage
    assert feed.health.counts["depth_gap"] == feed.health.counts["malformed_frame"] == 0
    assert len(tables["status"]["sym"]) == symbols
    assert feed.health.counts["other_kline"] > 0


def test_rows_do_not_depend_on_where_slices_are_cut(market_data: Callable[[str], Path]) -> None:
    path = market_data("binance-ws/spot_ethusdt_20240808.gz")
    whole = collect(BinanceFile(path, context()).slices())
    cut = collect(BinanceFile(path, context(messages=1000)).slices())
    for name, table in whole.items():
        for column, values in table.items():
            assert np.array_equal(values, cut[name][column]), (name, column)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    feed, tables = decode(write_lines(tmp_path / "day", []))
    assert tables == {}
    assert "the file is empty" in str(feed.health.damage[0])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    feed, _ = decode(tmp_path / "absent.gz")
    assert "cannot be read: No such file" in str(feed.health.damage[0])


def test_a_gz_file_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    feed, _ = decode(write_lines(tmp_path / "day.gz", [b"PK\x03\x04"]))
    assert "begins with 50 4b, a .gz file with 1f 8b expected" in str(feed.health.damage[0])


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    feed, tables = decode(write_lines(tmp_path / "day.csv", [b"time,price", b"1,2"]))
    assert tables == {}
    assert "no Binance frame among the first 2 lines; the first is b'time,price" in str(
        feed.health.damage[0]
    )
    assert feed.health.aside == [(0, b"time,price"), (11, b"1,2")]


def test_a_cut_last_line_is_named_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "day"
    path.write_bytes(b"1723161254087896568 " + TRADE + b"\n1723161254087896569 " + TRADE[:50])
    feed, tables = decode(path)
    assert len(tables["trade"]["price"]) == 1
    at = 21 + len(TRADE)
    assert f"the last line, at byte {at}, is cut after 70 bytes" in str(feed.health.damage[0])


def test_a_last_line_without_line_feed_counts(tmp_path: Path) -> None:
    path = tmp_path / "day"
    path.write_bytes(b"1723161254087896568 " + TRADE)
    feed, tables = decode(path)
    assert len(tables["trade"]["price"]) == 1
    assert not feed.health.damage


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_frames_before_damaged_gzip_are_kept(
    market_data: Callable[[str], Path], tmp_path: Path, damage: str
) -> None:
    content = bytearray(market_data("binance-ws/spot_btcusdt_20240808.gz").read_bytes()[:500_000])
    if damage == "flipped":
        content[400_000:400_100] = bytes(100)
    path = tmp_path / "day.gz"
    path.write_bytes(content)
    feed, tables = decode(path)
    assert len(tables["quote"]["bid"]) > 5000
    assert "the gzip stream is" in str(feed.health.damage[0])


def test_gzip_members_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "day.gz"
    line = b"1723161254087896568 " + TRADE + b"\n"
    path.write_bytes(gzip.compress(line) + gzip.compress(line * 2))
    feed, tables = decode(path)
    assert len(tables["trade"]["price"]) == 3
    assert not feed.health.damage


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "day.gz"
    line = b"1723161254087896568 " + TRADE + b"\n"
    path.write_bytes(gzip.compress(line + b"7" * 40_000_000 + b"\n" + line, 1))
    feed, tables = decode(path)
    assert len(tables["trade"]["price"]) == 2
    assert feed.health.counts["line_too_long"] == 1


def test_an_empty_side_of_the_book_is_null(tmp_path: Path) -> None:
    ticker = (
        b'1723161254087896568 {"u":1,"s":"X","b":"0.00000000","B":"0.00000000","a":"2.5","A":"3"}'
    )
    feed, tables = decode(write_lines(tmp_path / "day", [ticker]))
    assert rows(tables["quote"], "bid", "bsize", "ask", "asize", "venue_time") == [
        (NULL_LONG, NULL_LONG, 250_000_000, 300_000_000, NULL_LONG)
    ]
    assert feed.health.counts["crossed_book"] == 0


def test_crossed_and_locked_quotes_are_counted(tmp_path: Path) -> None:
    ticker = b'1723161254087896568 {"u":1,"s":"X","b":"%s","B":"1","a":"2","A":"3"}'
    feed, _ = decode(write_lines(tmp_path / "day", [ticker % b"2", ticker % b"3", ticker % b"1"]))
    assert feed.health.counts["locked_book"] == 1
    assert feed.health.counts["crossed_book"] == 1
