"""`tickloop stream`, and streams beside a capture: rows arrive in tables, and a kill loses none."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command import COMMAND, tickloop
from tests.test_streams import MY_OPERATOR

CONFIG = """
[store]
snapshot_rows = 20000

[stream.bars]
interval = "1m"

[stream.fast]
operator = "signals"
interval = "10s"
only = "mid ofi"

[stream.blocks]
operator = "bars"
kind = "volume"
threshold = 5000
"""
FEED = ["--feed", "synthetic:2024-01-02", "--messages", "30000", "--symbols", "5"]
DAY = ["--over", "2024-01-02"]
# What the log adds, and a seq that shifts where a plant was opened twice, are left out.
ROWS = "SELECT * EXCLUDE (time, seq, cause, date) FROM {} ORDER BY stream, cause_time, ordinal, seq"


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture a day with three streams."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "streams.toml").write_text(CONFIG)
    done = tickloop("run", *FEED, "--config", "streams.toml", "--data", "day", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert done.json["rows"]["bar"] > 100
    assert done.json["rows"]["signal"] > 1000
    return folder


def asked(folder: Path, question: str, data: str = "day") -> list[dict[str, str]]:
    done = tickloop("sql", "--data", data, "--format", "csv", question, cwd=folder)
    assert done.code == 0, done.err
    return done.rows


def test_rows_of_streams_can_be_asked_for_in_sql_and_q(captured: Path) -> None:
    by_minute = (
        "SELECT sym, count(*) AS bars, sum(volume) AS volume FROM bar WHERE stream = 'bars'"
        " GROUP BY sym ORDER BY sym"
    )
    traded = "SELECT sym, sum(size) AS volume FROM trade GROUP BY sym ORDER BY sym"
    bars = asked(captured, by_minute)
    assert [row["sym"] for row in bars] == [row["sym"] for row in asked(captured, traded)]
    # All but the last minute, which no clock row has closed.
    volumes = zip(bars, asked(captured, traded), strict=True)
    assert all(0.95 <= int(a["volume"]) / int(b["volume"]) <= 1 for a, b in volumes)
    done = tickloop("q", "--data", "day", "count select from bar where stream=`bars", cwd=captured)
    assert int(done.out) == sum(int(row["bars"]) for row in bars)


def test_rows_enter_the_log_at_the_instant_of_the_tick_that_caused_them(captured: Path) -> None:
    late = "SELECT count(*) AS n FROM {} WHERE time - cause_time > to_milliseconds({})"
    assert asked(captured, late.format("signal", 0)) == [{"n": "0"}]
    # What trades cause, no later than the tick after them.
    assert asked(captured, late.format("bar", 1000)) == [{"n": "0"}]


@pytest.mark.parametrize(
    ("operator", "given", "table", "stream"),
    [
        ("bars", ["--set", "interval=1m"], "bar", "bars"),
        ("signals", ["--set", "interval=10s", "--set", "only=mid ofi"], "signal", "fast"),
        ("bars", ["--set", "kind=volume", "--set", "threshold=5000"], "bar", "blocks"),
    ],
)
def test_a_run_over_the_day_gives_the_rows_that_the_capture_recorded(
    captured: Path, operator: str, given: list[str], table: str, stream: str, tmp_path: Path
) -> None:
    assert _recomputed(captured, DAY[1], [operator, *given], table, stream, tmp_path) > 100


def _recomputed(
    folder: Path, day: str, command: list[str], table: str, stream: str, aside: Path
) -> int:
    """Assert that a run over the day gives what the capture recorded; count the rows."""
    file, recorded = aside / "rows.parquet", aside / "recorded.parquet"
    done = tickloop(
        "stream", "run", *command, "--over", day, "--data", "day", "--output", file, cwd=folder
    )
    assert done.code == 0, done.err
    again = pq.read_table(file).sort_by([("cause", "ascending"), ("ordinal", "ascending")])
    question = f"SELECT * FROM {table} WHERE stream = '{stream}' ORDER BY cause, ordinal"
    tickloop("sql", "--data", "day", "--format", "parquet", "--output", recorded, question,
             cwd=folder)  # fmt: skip
    kept = pq.read_table(recorded)
    assert len(kept) == len(again)
    for name in set(again.column_names) - {"time", "cause_time", "start", "interval"}:
        assert kept[name].to_pylist() == again[name].to_pylist(), name
    return len(again)


@pytest.mark.parametrize(
    ("feed", "file", "day"),
    [
        ("lobster", "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip", "2012-06-21"),
        ("binance", "binance-ws/spot_ethusdt_20240808.gz", "2024-08-08"),
    ],
)
def test_streams_beside_real_feeds_record_what_a_run_over_the_day_gives(
    feed: str, file: str, day: str, market_data: Callable[[str], Path], tmp_path: Path
) -> None:
    path = market_data(file)
    sections = ['[stream.bars]\ninterval = "10s"', '[stream.signals]\ninterval = "10s"']
    (tmp_path / "real.toml").write_text("\n".join(sections))
    done = tickloop(
        "run", "--feed", f"{feed}:{path}", "--config", "real.toml", "--data", "day", cwd=tmp_path
    )
    assert done.code == 0, done.err
    for operator, interval, table in (("bars", "10s", "bar"), ("signals", "10s", "signal")):
        command = [operator, "--set", f"interval={interval}"]
        assert _recomputed(tmp_path, day, command, table, operator, tmp_path) > 20


def test_history_gives_what_the_log_gives(captured: Path, tmp_path: Path) -> None:
    command = ["stream", "run", "bars", *DAY, "--data", "day", "--json"]
    before = tickloop(*command, cwd=captured).json
    (log,) = (captured / "day" / "journal").glob("*.log")
    aside = log.rename(tmp_path / log.name)
    after = tickloop(*command, cwd=captured).json
    aside.rename(log)
    assert (before["digest"], before["rows_out"]) == (after["digest"], after["rows_out"])
    assert before["rows_in"] == after["rows_in"]


def test_a_file_of_one_s_own_runs_over_a_day_and_beside_a_capture(
    captured: Path, tmp_path: Path
) -> None:
    path = tmp_path / "my_op.py"
    path.write_text(MY_OPERATOR)
    done = tickloop("stream", "run", path, *DAY, "--data", "day", "--json", cwd=captured)
    (trades,) = asked(captured, "SELECT count(*) AS n FROM trade")
    assert done.json["rows_out"] == {"signal": int(trades["n"])}
    config = tmp_path / "mine.toml"
    config.write_text(f'[stream.mine]\noperator = "{path}"\n')
    tickloop("run", *FEED, "--config", config, "--data", "mine", cwd=tmp_path)
    (last,) = asked(tmp_path, "SELECT max(value) AS n FROM signal WHERE stream = 'mine'", "mine")
    assert float(last["n"]) == float(trades["n"])


def test_a_killed_capture_goes_on_and_its_streams_lose_and_repeat_nothing(
    captured: Path, tmp_path: Path
) -> None:
    (tmp_path / "streams.toml").write_text(CONFIG)
    command = ["run", *FEED, "--config", "streams.toml", "--data", "day"]
    process = subprocess.Popen(
        [*COMMAND, *command, "--speed", "4000", "--port", "0"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _wait_for_rows(tmp_path / "day", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = tickloop(*command, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "resumed" in done.out
    for table in ("bar", "signal"):
        assert asked(tmp_path, ROWS.format(table)) == asked(captured, ROWS.format(table)), table


def _wait_for_rows(data: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        logs = list((data / "journal").glob("*.log")) if data.exists() else []
        if logs and logs[0].stat().st_size > 2_000_000:
            return
        assert process.poll() is None, "the capture ended before it was killed"
        time.sleep(0.1)
    raise AssertionError("no rows within a minute")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "barz", *DAY], "no operator 'barz'; there are bars, signals, pairs, quality"),
        (["run", "bars", "--over", "2023-01-01"], "no rows of 2023-01-01"),
        (["run", "bars", *DAY, "--set", "interval"], "NAME=VALUE expected"),
        (["run", "bars", *DAY, "--set", "intervall=1s"], "did you mean 'interval'"),
        (["run", "bars", *DAY, "--output", "x.xls"], "x.xls: a name that ends in .parquet"),
        (["run", "pairs", *DAY, "--set", "pairs=A"], "two symbols as A/B"),
    ],
)
def test_what_cannot_be_run_is_refused(captured: Path, arguments: list[str], said: str) -> None:
    done = tickloop("stream", *arguments, "--data", "day", cwd=captured)
    done.refused(said)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[stream.barz]", "no operator 'barz'"),
        ("[stream.bars]\ninterval = true", "True .bool. seen"),
        ("[stream.bars]\nintervall = 1", "stream.bars.intervall: unknown parameter"),
        ('[stream."../x"]\noperator = "bars"', "stream '../x' seen"),
    ],
)
def test_a_configuration_with_a_wrong_stream_leaves_no_directory(
    tmp_path: Path, section: str, said: str
) -> None:
    (tmp_path / "bad.toml").write_text(section)
    done = tickloop("run", *FEED, "--config", "bad.toml", "--data", "day", cwd=tmp_path)
    done.refused(said)
    assert not (tmp_path / "day").exists()


def test_operators_are_listed_with_what_can_be_set(captured: Path) -> None:
    listed: Any = tickloop("stream", "list", cwd=captured)
    for piece in ("bars", "interval = 60000000000 ns", "quote", "-> signal", "half_life"):
        assert piece in listed.out
    told = tickloop("stream", "list", "--operator", "pairs", cwd=captured).out
    assert "Gatev" in told and "State:" in told
