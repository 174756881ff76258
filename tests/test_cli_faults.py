"""What a capture survives: damage, a full disk, signals, kill -9, readers that go away."""

import gzip
import json
import signal
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.command import (
    COMMAND,
    DEADLINE_S,
    Done,
    ended,
    good,
    journal_bytes,
    running,
    tickloop,
    wait_for,
)
from tickloop.analytics.sql import SqlSession
from tickloop.ingest.synthetic import SyntheticDay
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_values import QType, chars, items, symbol, symbols, vector

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "5")
SLOWLY = ("--speed", "6000", "--cut-ms", "60000", "--port", "0")
INSTANT = vector(QType.TIMESTAMP, [0])
COLUMNS = {
    "trade": ("price*size", "size"),
    "quote": ("bid*bsize", "asize"),
    "depth": ("price*level", "size"),
    "book": ("price*size", "order_id % 1000007"),
}
SUMS = " UNION ALL ".join(
    f"SELECT '{table}' AS t, count(*) AS n, sum({one})::DECIMAL(38,4) AS a, sum({other}) AS b,"
    f" count(DISTINCT venue_time) AS c FROM {table}"
    for table, (one, other) in COLUMNS.items()
)


def ask(data: Path, statement: str) -> list[dict[str, Any]]:
    """Ask as `tickloop sql` does, without starting a process."""
    session = SqlSession(Database(data))
    try:
        return list(session.query(statement).to_pylist())
    finally:
        session.close()


def sums(data: Path) -> dict[str, dict[str, Any]]:
    """Sum tables up in ways that notice a row that is missing, twice or changed."""
    return {row["t"]: row for row in ask(data, SUMS)}


def total(data: Path) -> int:
    return sum(int(row["n"]) for row in sums(data).values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture a day that nothing interrupts."""
    data = tmp_path_factory.mktemp("whole") / "day"
    good("run", *FEED, "--data", data)
    return data


def interrupted(data: Path, number: signal.Signals, more: int = 250_000) -> Done:
    """Capture slowly, and send a signal when so many bytes more are in the journal."""
    before = journal_bytes(data)
    with running("run", *FEED, *SLOWLY, "--data", data) as process:
        wait_for(lambda: journal_bytes(data) > before + more, process)
        return ended(process, number)


def test_a_capture_goes_on_where_signals_ended_it_until_it_is_whole(
    tmp_path: Path, whole: Path
) -> None:
    data = tmp_path / "day"
    kept = 0
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        done = interrupted(data, number)
        assert kept < total(data) < total(whole)
        kept = total(data)
        assert "Traceback" not in done.err
        if number is signal.SIGKILL:
            assert done.code == -number
            continue
        assert done.code == 0, done.err
        assert "captured  synthetic:2024-01-02" in done.out
        assert "stopped as asked; everything captured so far is kept" in done.err
        assert "the same command goes on from here" in done.err
    rest = good("run", *FEED, "--data", data)
    assert "rows from the journal of an earlier run" in rest.out
    assert "rows of this feed that were there already" in rest.out
    assert sums(data) == sums(whole)
    good("journal", "verify", "--data", data)
    tickloop("run", *FEED, "--data", data).refused("already holds")


def test_a_limit_of_time_ends_a_capture_in_order(tmp_path: Path, whole: Path) -> None:
    data = tmp_path / "day"
    good("capture", *FEED, *SLOWLY, "--seconds", "0.5", "--data", data)
    assert total(data) < total(whole)
    good("capture", *FEED, "--data", data)
    assert sums(data) == sums(whole)


@pytest.mark.parametrize(("size", "where"), [("5m", "capturing"), ("11m", "writing history")])
def test_a_full_disk_ends_a_capture_and_freed_space_lets_it_go_on(
    mounted: Callable[[str], Path], whole: Path, size: str, where: str
) -> None:
    disk = mounted(f"size={size}")
    data = disk / "day"
    done = tickloop("run", *FEED, "--data", data)
    done.refused(
        where, "disk is full|No space left on device", "free some space",
        f"what was captured is kept in {data}: .* run the same command again",
    )  # fmt: skip
    assert ("writing history" in done.err) == (where == "writing history")
    good("journal", "verify", "--data", data)
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    good("run", *FEED, "--data", data)
    assert sums(data) == sums(whole)


def itch_file(path: Path) -> list[int]:
    """Write a small ITCH file; give where each message begins."""
    day = SyntheticDay(symbols=5, messages=10_000, session_date=date(2024, 1, 2))
    raw = b"".join(block.tobytes() for block in day.blocks())
    starts = [0]
    while starts[-1] < len(raw):
        starts.append(starts[-1] + 2 + int.from_bytes(raw[starts[-1] : starts[-1] + 2], "big"))
    path.write_bytes(raw)
    return starts


def test_everything_before_damage_is_kept_and_can_be_asked(tmp_path: Path) -> None:
    file = tmp_path / "20240102.itch"
    starts = itch_file(file)
    content = bytearray(file.read_bytes())
    content[starts[7000]] = 0xFF
    file.write_bytes(content)
    data = tmp_path / "day"
    done = tickloop("run", "--feed", f"itch:{file}", "--data", data)
    done.refused(f"damaged: .*byte {starts[7000]}: length 65299", "--fresh")
    assert "7,000 messages" in done.out
    orders = sum(content[start + 2] in b"AFDXUEC" for start in starts[:7000])
    assert sums(data)["book"]["n"] == orders
    good("journal", "verify", "--data", data)


def test_everything_before_the_end_of_a_cut_gzip_file_is_kept(tmp_path: Path) -> None:
    plain, file = tmp_path / "plain", tmp_path / "20240102.itch.gz"
    starts = itch_file(plain)
    packed = gzip.compress(plain.read_bytes(), mtime=0)
    file.write_bytes(packed[: len(packed) // 2])
    done = tickloop("run", "--feed", f"itch:{file}", "--data", tmp_path / "day", "--json")
    done.refused("gzip data without its end at compressed byte", "get the file again")
    found = done.json
    assert found["good"] is False
    assert 0 < found["messages"] < len(starts) - 1
    kept = plain.read_bytes()[: starts[found["messages"]]]
    orders = sum(kept[start + 2] in b"AFDXUEC" for start in starts if start < len(kept))
    assert sums(tmp_path / "day")["book"]["n"] == orders


def test_a_killed_capture_that_peers_published_into_is_not_guessed_at(tmp_path: Path) -> None:
    data = tmp_path / "day"
    row = items(*[symbols([name]) for name in ("A", "halted", "test", "XTST")], INSTANT)
    with running("run", *FEED, *SLOWLY, "--data", data) as process:
        wait_for(lambda: journal_bytes(data) > 100_000, process)
        port = json.loads((data / "run.json").read_text())["ports"]["plant"]
        with QClient("127.0.0.1", port) as peer:
            peer.call(items(chars(".u.upd"), symbol("status"), row))
        ended(process, signal.SIGKILL)
    assert ask(data, "SELECT count(*) AS n FROM status WHERE ex = 'XTST'") == [{"n": 1}]
    done = tickloop("run", *FEED, "--data", data)
    done.refused("was killed, and peers had published", "--append", "--fresh", "another --data")


def piped(*arguments: str | Path) -> tuple[int, str]:
    """Read one line of what a command prints, then go away; give its code and its errors."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    with process.stderr as stream:
        errors = stream.read().decode()
    return process.wait(timeout=DEADLINE_S), errors


def test_a_reader_that_goes_away_ends_a_query_without_a_word(whole: Path) -> None:
    code, errors = piped("sql", "--data", whole, "--format", "csv", "SELECT * FROM book")
    assert (code, errors) == (1, "")


def test_a_reader_that_goes_away_does_not_end_a_capture(tmp_path: Path, whole: Path) -> None:
    data = tmp_path / "day"
    process = subprocess.Popen(
        [*COMMAND, "run", *FEED, "--data", str(data)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert b"Traceback" not in errors
    assert sums(data) == sums(whole)
    tickloop("run", *FEED, "--data", data).refused("already holds")
