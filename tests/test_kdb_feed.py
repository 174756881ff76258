"""A kdb+ tickerplant as a feed: its log, then what it pushes, each row once, whatever breaks."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.command import ended, running, sql, tickloop, wait_for
from tests.fake_tickerplant import Schema, Tickerplant, tickerplant
from tests.plant_process import plant_process
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import DAY_NS, midnight_ns
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.foreign_log import messages
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.tick_feed import TickConfig, TickFeed
from tickloop.tickerplant.tick_rows import TickRows

SCHEMA: Schema = {
    "trade": {"time": "n", "sym": "s", "price": "f", "size": "i", "cond": "c"},
    "quote": {"time": "n", "sym": "s", "bid": "f", "ask": "f", "bsize": "i", "asize": "i"},
    "weather": {"time": "n", "sym": "s", "rain": "f"},
}


@pytest.fixture(params=[0, 20], ids=["at_once", "in_turns"])
def tick(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tickerplant]:
    with tickerplant(tmp_path / "tick", SCHEMA, batch_ms=request.param) as found:
        yield found


class Publisher:
    """Publishes trades and quotes whose prices count up."""

    def __init__(self, tick: Tickerplant) -> None:
        self.tick = tick
        self.sent = 0
        self.client = QClient("127.0.0.1", tick.port)

    def send(self, messages: int, *, rows: int = 3) -> None:
        for _ in range(messages):
            prices = np.arange(self.sent, self.sent + rows, dtype=float)
            count = np.full(rows, 7, dtype=np.int32)
            times = q.vector(q.QType.TIMESPAN, np.arange(rows) + self.sent)
            names = q.symbols(["A", "B", "C"][:rows])
            sizes = q.vector(q.QType.INT, count)
            bids = q.vector(q.QType.FLOAT, prices)
            trade: list[q.Value] = [times, names, bids, sizes, q.chars(" Tx"[:rows])]
            quote: list[q.Value] = [times, names, bids, bids, sizes, sizes]
            self._upd("trade", trade)
            self._upd("quote", quote)
            rain = q.vector(q.QType.FLOAT, prices)
            self._upd("weather", [times, names, rain])
            self.sent += rows

    def _upd(self, table: str, columns: list[q.Value]) -> None:
        self.client.call(q.items(q.symbol(".u.upd"), q.symbol(table), q.List(tuple(columns))))

    def again(self) -> None:
        """Connect to a tickerplant that was started again."""
        self.client.close()
        self.client = QClient("127.0.0.1", self.tick.port)

    def roll(self) -> None:
        self.client.call(".u.end[]")


@pytest.fixture
def publisher(tick: Tickerplant) -> Iterator[Publisher]:
    found = Publisher(tick)
    yield found
    found.client.close()


def feed_of(
    tick: Tickerplant, *, tables: tuple[str, ...] = (), names: dict[str, str] | None = None,
    folder: str = "", attempts: int = 50, catalog: Catalog | None = None,
) -> TickFeed:  # fmt: skip
    config = TickConfig("127.0.0.1", tick.port, "", "", 10.0, attempts, folder)
    rows = TickRows(catalog or Catalog(), Symbols(), names or {}, tables)
    return TickFeed(config, rows)


class Seen:
    """What a feed gave, by table, and what was done on the way."""

    def __init__(self, feed: TickFeed) -> None:
        self.feed = feed
        self.rows: dict[str, list[Batch]] = {}
        self.order: list[tuple[int, str]] = []
        self.chapters: list[str] = []

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, (self.counts, self.feed.health)
            found = self.feed.poll(0.02)
            if self.feed.chapter not in self.chapters:
                self.chapters.append(self.feed.chapter)
            for batch in found.batches if found else ():
                self.rows.setdefault(batch.table.name, []).append(batch)

    def prices(self, table: str = "trade") -> list[float]:
        column = "price" if table == "trade" else "bid"
        found = self.rows.get(table, [])
        return [value for rows in found for value in rows.columns[column].tolist()]

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.prices()), len(self.prices("quote"))

    def has(self, rows: int) -> Callable[[], bool]:
        return lambda: self.counts >= (rows, rows)

    def assert_each_once(self, rows: int) -> None:
        assert self.prices() == self.prices("quote") == list(range(rows))


def test_the_log_comes_first_and_then_what_is_pushed(
    tick: Tickerplant, publisher: Publisher
) -> None:
    publisher.send(100)
    time.sleep(0.05)
    feed = feed_of(tick, names={"trade.cond": "cond"})
    seen = Seen(feed)
    seen.until(seen.has(300))
    publisher.send(100)
    seen.until(seen.has(600))
    seen.assert_each_once(600)
    assert feed.health.counts == {"kdb_table_left_out_weather": 1}
    feed.stop()


def test_values_types_and_times_of_day_become_those_of_our_tables(
    tick: Tickerplant, publisher: Publisher
) -> None:
    publisher.send(1)
    feed = feed_of(tick)
    seen = Seen(feed)
    seen.until(seen.has(3))
    (rows,) = seen.rows["trade"]
    names = feed._rows._symbols
    assert [names.name(i) for i in rows.columns["sym"].tolist()] == ["A", "B", "C"]
    assert [names.name(i) for i in rows.columns["cond"].tolist()] == ["", "T", "x"]
    assert rows.columns["size"].tolist() == [7, 7, 7]
    start = midnight_ns(date(2024, 1, 1))
    assert rows.columns["venue_time"].tolist() == [start, start + 1, start + 2]
    assert "time" not in rows.columns
    feed.stop()


def test_a_feed_whose_connection_breaks_at_any_moment_loses_and_repeats_nothing(
    tick: Tickerplant, publisher: Publisher
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    feed = feed_of(tick)
    seen = Seen(feed)
    for _ in range(8):
        publisher.send(moments.randrange(40))
        wanted = publisher.sent
        some = moments.randrange(wanted + 1)
        seen.until(seen.has(some))
        if feed._client is not None and moments.random() < 0.5:
            feed._client._sock.shutdown(socket.SHUT_RDWR)
        elif feed._client is not None:
            feed._drop("as a test")
    publisher.send(1)
    seen.until(seen.has(publisher.sent))
    seen.assert_each_once(publisher.sent)
    feed.stop()


def test_a_tickerplant_that_is_killed_and_started_again_loses_and_repeats_nothing(
    tick: Tickerplant, publisher: Publisher
) -> None:
    feed = feed_of(tick)
    seen = Seen(feed)
    for _ in range(3):
        publisher.send(20)
        seen.until(seen.has(publisher.sent - 30))
        tick.kill()
        tick.start()
        publisher.again()
    publisher.send(20)
    seen.until(seen.has(publisher.sent))
    seen.assert_each_once(publisher.sent)
    assert feed.health.counts["kdb_reconnects"] >= 3
    feed.stop()


@pytest.mark.parametrize("is_back_first", [True, False], ids=["back_first", "others_first"])
def test_rows_that_a_killed_tickerplant_had_not_logged_hide_no_later_ones_or_are_told(
    tmp_path: Path, *, is_back_first: bool
) -> None:
    """kdb+tick publishes first and logs then; what it published last may be in no log."""
    with tickerplant(tmp_path / "tick", SCHEMA) as tick:
        publisher = Publisher(tick)
        feed = feed_of(tick)
        seen = Seen(feed)
        seen.until(lambda: feed._client is not None)
        publisher.send(10)
        seen.until(seen.has(30))
        tick.kill()
        offsets = [each.offset for each in messages(tick.logs[0])]
        os.truncate(tick.logs[0], offsets[-9])  # the last three of each table
        tick.start()
        if is_back_first:
            seen.until(lambda: feed.health.counts["kdb_rows_unlogged"] > 0)
        publisher.again()
        publisher.send(5)
        seen.until(seen.has(45 if is_back_first else 36))
        if is_back_first:
            seen.assert_each_once(45)
            assert feed.health.counts["kdb_rows_unlogged"] == 18
        else:
            assert feed.health.counts["kdb_log_differs"] == 2
            assert "has other rows of trade than were published" in str(feed.health.damage[0])
        publisher.client.close()
        feed.stop()


def test_a_day_that_ends_while_the_feed_listens_or_is_away_is_whole(
    tick: Tickerplant, publisher: Publisher
) -> None:
    feed = feed_of(tick)
    seen = Seen(feed)
    publisher.send(10)
    seen.until(seen.has(30))
    publisher.roll()
    publisher.send(10)
    seen.until(seen.has(60))
    feed._drop("as a test")
    publisher.send(10)
    publisher.roll()
    publisher.send(10)
    seen.until(seen.has(120))
    feed._drop("as a test")
    publisher.send(1)
    seen.until(seen.has(123))
    seen.assert_each_once(123)
    assert [Path(chapter).name for chapter in seen.chapters if chapter] == [
        "tick2024.01.01", "tick2024.01.02", "tick2024.01.03",
    ]  # fmt: skip
    days = np.concatenate([rows.columns["venue_time"] for rows in seen.rows["trade"]]) // DAY_NS
    assert np.unique(days).tolist() == [8766, 8767, 8768]
    feed.stop()


def test_without_a_log_that_can_be_read_gaps_are_counted(
    tick: Tickerplant, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.send(10)
    time.sleep(0.05)
    feed = feed_of(tick, folder=str(tmp_path / "elsewhere"))
    seen = Seen(feed)
    seen.until(lambda: feed._client is not None)
    publisher.send(10)
    seen.until(seen.has(30))
    feed._drop("as a test")
    publisher.send(10)
    time.sleep(0.05)
    seen.until(lambda: feed._client is not None)
    publisher.send(10)
    seen.until(seen.has(60))
    assert seen.prices() == [*range(30, 60), *range(90, 120)]
    assert feed.health.counts["kdb_gaps"] == 1
    assert feed.health.counts["kdb_messages_before"] == 30
    feed.stop()


@pytest.mark.parametrize(
    ("schema", "tables", "names", "sentence"),
    [
        ({"weather": {"time": "n", "sym": "s"}}, (), {}, "none of its tables .weather. is known"),
        ({"trade": {"time": "n", "sym": "s"}}, ("quote",), {}, "no table quote; it has trade"),
        ({"trade": {"time": "n", "sym": "s", "px": "f"}}, (), {}, "trade.px has no counterpart"),
        ({"trade": {"time": "n", "sym": "s", "price": "s"}}, (), {}, "does not fit: type: trade.p"),
        ({"weather": {"time": "n", "sym": "s"}}, ("weather",), {}, "weather has no counterpart"),
        ({"trade": {"time": "n", "id": "s"}}, (), {"trade.id": ""}, "no column for sym"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(
    tmp_path: Path, schema: Schema, tables: tuple[str, ...], names: dict[str, str], sentence: str
) -> None:
    with tickerplant(tmp_path / "tick", schema) as found:
        feed = feed_of(found, tables=tables, names=names)
        assert feed.poll(0.1) is None
        assert feed.finished
        (error,) = feed.health.damage
        with pytest.raises(type(error), match=sentence):
            raise error


def test_names_that_differ_are_mapped(tmp_path: Path) -> None:
    schema: Schema = {"ticks": {"time": "n", "id": "s", "px": "f", "junk": "j"}}
    names = {"ticks": "trade", "ticks.id": "sym", "ticks.px": "price", "ticks.junk": ""}
    with tickerplant(tmp_path / "tick", schema) as found:
        feed = feed_of(found, names=names)
        seen = Seen(feed)
        client = QClient("127.0.0.1", found.port)
        row: list[q.Value] = [q.symbol("A"), q.float_atom(2.5), q.long(1)]
        client.call(q.items(q.symbol(".u.upd"), q.symbol("ticks"), q.List(tuple(row))))
        seen.until(lambda: seen.prices() == [2.5])
        client.close()
        feed.stop()


def test_nobody_there_is_told_after_the_attempts() -> None:
    config = TickConfig("127.0.0.1", 9, "", "", 1.0, 1, "")
    feed = TickFeed(config, TickRows(Catalog(), Symbols(), {}, ()))
    while not feed.finished:
        feed.poll(0.1)
    assert "given up after 2 attempts in a row" in str(feed.health.damage[0])


# The command


def kept(data: Path) -> list[float]:
    """Read the prices that a directory shows, in order."""
    snapshot = Database(data).snapshot()
    found = [
        (seq, price)
        for part in snapshot.parts("trade")
        for seq, price in zip(
            np.asarray(part.columns["seq"]).tolist(),
            np.asarray(part.columns["price"]).tolist(), strict=True,
        )
    ]  # fmt: skip
    return [price for _, price in sorted(found)]


def test_a_capture_that_is_killed_goes_on_without_a_loss_or_a_repeat(
    tick: Tickerplant, publisher: Publisher, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    command = ("run", "--feed", f"kdb:{tick.address}", "--data", data, "--port", "0")
    publisher.send(50)
    for _ in range(2):
        wanted = publisher.sent
        with running(*command) as process:
            wait_for(lambda: data.exists() and len(kept(data)) >= wanted, process)  # noqa: B023
            publisher.send(25)
            process.send_signal(signal.SIGKILL)
            process.wait()
        publisher.send(25)
    with running(*command) as process:
        wait_for(lambda: len(kept(data)) >= publisher.sent, process)
        done = ended(process, signal.SIGTERM)
    assert done.code == 0, done.err
    assert kept(data) == list(range(publisher.sent))
    again = ("run", "--feed", f"kdb:{tick.address}", "--data", data, "--port", "0")
    publisher.send(1)
    with running(*again) as process:
        wait_for(lambda: len(kept(data)) >= publisher.sent, process)
        ended(process, signal.SIGTERM)
    assert kept(data) == list(range(publisher.sent))


def test_another_plant_is_a_tickerplant_too(tmp_path: Path) -> None:
    with plant_process(tmp_path / "first", live=True) as first:
        data = tmp_path / "second"
        command = ("run", "--feed", f"kdb:127.0.0.1:{first.port}", "--data", data, "--port", "0")
        client = QClient("127.0.0.1", first.port)
        with running(*command) as process:
            wait_for((data / "run.json").exists, process)
            for price in range(200):
                row: list[q.Value] = [
                    q.symbol("A"), q.float_atom(price), q.long(price), q.chars("B"), q.symbol(""),
                    q.symbol("X"), q.long(price), q.timestamp(5),
                ]  # fmt: skip
                call = q.items(q.symbol(".u.upd"), q.symbol("trade"), q.List(tuple(row)))
                client.call(call)
            wait_for(lambda: len(kept(data)) >= 200, process)
            assert ended(process, signal.SIGTERM).code == 0
        client.close()
        first.stop()
    assert kept(data) == list(range(200))
    asked = "SELECT sym, price, size, side, ex, trade_id, venue_time FROM trade ORDER BY seq"
    assert sql(data, asked) == sql(tmp_path / "first", asked)


def test_the_command_refuses_with_the_feed_s_sentence(tmp_path: Path) -> None:
    with tickerplant(tmp_path / "tick", {"weather": {"time": "n", "sym": "s"}}) as found:
        done = tickloop("run", "--feed", f"kdb:{found.address}", "--data", tmp_path / "data")
        done.refused("none of its tables .weather. is known here")
