"""`tickloop top`: what is shown of a plant is what the plant's own files say."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ended, good, running, sql, tickloop, wait_for
from tickloop.app.status_screen import size, span
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "4")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("top")
    config = root / "bars.toml"
    config.write_text('[stream.bars]\ninterval = "1m"\n')
    good("run", *FEED, "--data", root / "day", "--config", config)
    yield root / "day"


def test_rows_and_states_are_those_on_disk(day: Path) -> None:
    found = good("top", "--data", day, "--once", "--json").json
    for name in ("trade", "quote", "bar"):
        (row,) = sql(day, f"SELECT count(*) AS n FROM {name}")
        assert found["rows"][name] == int(row["n"]) > 0
    assert not found["is_live"]
    assert found["rates"] is None
    (stream,) = found["streams"]
    assert stream["name"] == "bars"
    assert stream["state_bytes"] == (day / "cursors" / "bars.state").stat().st_size


def test_a_sink_is_behind_by_the_rows_that_it_did_not_acknowledge(day: Path) -> None:
    synced = good("top", "--data", day, "--once", "--json").json["synced"]
    file = CursorFile(day, "kafka")
    file.write(Cursor("kafka", "here:9092/md", 7, seq=synced - 1234, rows=55, state="away"))
    shown = good("top", "--data", day, "--once").out
    file.path.unlink()
    (line,) = [line for line in shown.splitlines() if line.startswith("kafka")]
    assert line.split() == ["kafka", "55", "1,234", "away", "here:9092/md"]


def test_a_cluster_that_does_not_answer_is_said_to_and_the_rest_is_shown(day: Path) -> None:
    shown = good("top", "--data", day, "--once", "--flink", "http://127.0.0.1:9").out
    assert "Flink: Flink at http://127.0.0.1:9 does not answer" in shown
    assert "trade" in shown


def test_a_live_plant_is_watched_until_it_is_enough(tmp_path: Path) -> None:
    data = tmp_path / "day"
    pace = ("--speed", "2000", "--cut-ms", "60000", "--port", "0")
    with running("run", *FEED, "--data", data, *pace) as plant:
        wait_for((data / "run.json").exists, plant)
        with running("top", "--data", data, "--every", "0.2", "--json") as watcher:
            assert watcher.stdout is not None
            looks = [json.loads(watcher.stdout.readline()) for _ in range(40)]
            done = ended(watcher, signal.SIGINT)
    assert done.code == 0, done.err
    assert all(look["pid"] == plant.pid and look["is_live"] for look in looks)
    assert looks[-1]["rows"]["quote"] > looks[0]["rows"].get("quote", 0)
    assert max(look["rates"]["quote"] for look in looks[1:] if "quote" in look["rates"]) > 0


def test_a_directory_without_a_capture_is_refused(tmp_path: Path) -> None:
    tickloop("top", "--data", tmp_path, "--once").refused("holds no capture")


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_sizes_are_spelled_in_units(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (119.0, "119.0 s"), (150.0, "2 min 30 s"),
                           (7380.0, "2 h 3 min")]
)  # fmt: skip
def test_spans_are_spelled_in_units(seconds: float, shown: str) -> None:
    assert span(seconds) == shown
