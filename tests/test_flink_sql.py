"""SQL jobs on a real cluster: what they make of bars and signals, against plain Python."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.command import good, sql, tickloop
from tests.servers import Server, beside_others
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer

Row = dict[str, Any]
SHARDS = 2
MINUTES = 5
CONFIG = """
[sinks.kafka]
bootstrap = "{kafka}"
prefix = "{prefix}"
shards = 2
tables = "trade"
json = "bar signal"
[stream.bars]
interval = "1m"
[stream.signals]
interval = "10s"
only = "mid"
"""


@dataclass(frozen=True)
class Captured:
    """A day whose derived rows are on the bus."""

    bus: Bus
    prefix: str
    data: Path
    options: tuple[str, ...]

    def bars(self) -> list[Row]:
        return self._asked("bar", "bars")

    def mids(self) -> list[Row]:
        return self._asked("signal", "signals")

    def _asked(self, table: str, stream: str) -> list[Row]:
        rows = sql(self.data, f"SELECT * FROM {table} WHERE stream = '{stream}' ORDER BY seq")
        return [{**row, "ms": millis(row["cause_time"])} for row in rows]


def millis(text: str) -> int:
    """Read an instant, of whatever spelling, to whole milliseconds since 1970."""
    head, _, fraction = text.replace(" ", "T").rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1000 + int((fraction + "000")[:3])


@pytest.fixture(scope="module")
def day(kafka_server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, str, Path]:
    """Capture a day with two streams; give its broker, the topics' prefix, and its folder."""
    folder = tmp_path_factory.mktemp("sql")
    prefix = f"sql.{os.urandom(3).hex()}."
    feed = ("--feed", "synthetic:2024-01-02", "--messages", "40000", "--symbols", "6")
    with beside_others(kafka_server) as kafka:
        (folder / "c.toml").write_text(CONFIG.format(kafka=kafka.address, prefix=prefix))
        good("run", *feed, "--config", folder / "c.toml", "--data", folder / "day")
    return kafka, prefix, folder


@pytest.fixture
def captured(day: tuple[Server, str, Path], kafka: Server, flink: Server) -> Iterator[Captured]:
    """Give the day; its jobs are ended afterwards."""
    broker, prefix, folder = day
    assert broker is kafka
    options = ("--config", str(folder / "c.toml"), "--flink", flink.address)
    yield Captured(Bus(kafka.address), prefix, folder / "day", options)
    for job in good("stream", "status", "--json", *options).json["jobs"]:
        tickloop("stream", "cancel", "--job", job["job"], *options)


def made(captured: Captured, name: str, *given: str, least: int) -> list[Row]:
    """Run a file until so many rows and then none have come; give what it wrote, by partition."""
    good("stream", "deploy", f"{name}.sql", *given, *captured.options)
    consumer = BusConsumer(captured.bus)
    topic = f"{captured.prefix}sql.{name}"
    consumer.assign({(topic, shard): 0 for shard in range(SHARDS)})
    rows: list[Row] = []
    quiet = time.monotonic()
    while time.monotonic() - quiet < (3 if len(rows) >= least else 90):
        found = consumer.poll(0.5)
        rows += [json.loads(each.value or b"{}") for each in found]
        quiet = time.monotonic() if found else quiet
    consumer.close()
    assert len(rows) >= least, f"of {name}.sql came {len(rows)} rows, {least} expected"
    return rows


def test_windows_of_event_time_are_the_bars_of_longer_intervals(captured: Captured) -> None:
    wanted: dict[tuple[str, int], list[Row]] = {}
    for bar in captured.bars():
        if int(bar["volume"]) > 0:
            window = millis(bar["start"]) // (MINUTES * 60_000)
            wanted.setdefault((bar["sym"], window), []).append(bar)
    # Windows that no later bar has closed are still open.
    last = min(max(window for sym, window in wanted if sym == name) for name, _ in wanted)
    closed = {key for key in wanted if key[1] < last - 1}
    rows = made(captured, "ohlc", "--set", f"minutes={MINUTES}", least=len(closed))
    seen = {(row["sym"], millis(row["start"]) // (MINUTES * 60_000)): row for row in rows}
    assert len(seen) == len(rows)
    assert closed <= set(seen) <= set(wanted)
    for key, row in seen.items():
        bars = wanted[key]
        volume = sum(int(bar["volume"]) for bar in bars)
        assert (row["open"], row["close"]) == (float(bars[0]["open"]), float(bars[-1]["close"]))
        assert row["high"] == max(float(bar["high"]) for bar in bars)
        assert row["low"] == min(float(bar["low"]) for bar in bars)
        assert (row["volume"], row["count"]) == (volume, sum(int(bar["count"]) for bar in bars))
        money = sum(float(bar["vwap"]) * int(bar["volume"]) for bar in bars)
        assert row["vwap"] == pytest.approx(money / volume, rel=1e-12)


def test_an_as_of_join_gives_every_bar_the_last_signal_of_its_symbol(captured: Captured) -> None:
    mids, bars = captured.mids(), {int(bar["seq"]): bar for bar in captured.bars()}
    rows = made(captured, "asof", least=int(0.9 * len(bars)))
    assert len({row["seq"] for row in rows}) == len(rows)
    for row in rows:
        bar = bars[row["seq"]]
        before = [mid for mid in mids if mid["sym"] == bar["sym"] and mid["ms"] <= bar["ms"]]
        values = {float(mid["value"]) for mid in before if mid["ms"] == before[-1]["ms"]}
        assert (row["sym"], row["close"]) == (bar["sym"], float(bar["close"]))
        assert row["value"] in values if before else row["value"] is None


def test_a_pattern_of_bars_is_found_wherever_it_is(captured: Captured) -> None:
    bars = sorted(captured.bars(), key=lambda bar: (bar["sym"], int(bar["seq"])))
    wanted = {
        found
        for _, own in groupby(bars, key=lambda bar: bar["sym"])
        for found in reversals([(float(bar["close"]), int(bar["seq"])) for bar in own])
    }
    rows = made(captured, "reversal", least=int(0.9 * len(wanted)))
    seen = {(row["seq"], row["falls"], row["high"], row["low"]) for row in rows}
    assert len(seen) == len(rows)
    assert seen <= wanted


def reversals(closes: list[tuple[float, int]]) -> Iterator[tuple[int, int, float, float]]:
    """Find falls of three or more in a row that a rise ends: seq, falls, high, low."""
    at = 0
    while at < len(closes):
        end = at
        while end + 1 < len(closes) and closes[end + 1][0] < closes[end][0]:
            end += 1
        rises = end + 1 < len(closes) and closes[end + 1][0] > closes[end][0]
        if end - at >= 3 and rises:
            yield closes[end + 1][1], end - at, closes[at][0], closes[end][0]
        at = end + 1
