"""Runs of the command: equal journals, bounded memory, what a terminal and a pipe get to see."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.command import COMMAND, DEADLINE_S, good, running, tickloop

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "3")
DAY = "2024-01-02"
MARKET = {"trade", "quote", "depth", "book", "status", "imbalance", "instrument"}


def log_of(data: Path) -> bytes:
    (log,) = (data / "journal").glob("*.log")
    return log.read_bytes()


def test_two_captures_of_a_feed_are_equal_byte_for_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        good("run", *FEED, "--data", tmp_path / name)
    assert log_of(tmp_path / "one") == log_of(tmp_path / "two")


def test_the_pace_changes_no_byte_of_the_journal(tmp_path: Path) -> None:
    cut = ("--cut-ms", "60000", "--port", "0")
    for name, speed in (("paced", "60000"), ("unpaced", "0")):
        good("run", *FEED, *cut, "--speed", speed, "--data", tmp_path / name)
    assert log_of(tmp_path / "paced") == log_of(tmp_path / "unpaced")


def test_kernels_that_are_not_compiled_write_the_same_journal(tmp_path: Path) -> None:
    file = tmp_path / f"{DAY}.itch"
    program = (
        "import sys; from datetime import date; from tickloop.ingest.synthetic import SyntheticDay;"
        "day = SyntheticDay(symbols=2, messages=10_000, session_date=date(2024, 1, 2));"
        "raw = b''.join(block.tobytes() for block in day.blocks());"
        "sys.stdout.buffer.write(raw[:30_000])"
    )
    file.write_bytes(
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    )
    command = ("run", "--feed", f"itch:{file}", "--data")
    compiled = tickloop(*command, tmp_path / "compiled")
    plain = tickloop(*command, tmp_path / "plain", env={"NUMBA_DISABLE_JIT": "1"})
    # The cut file ends within a message: both say so, and keep what comes before.
    assert compiled.code == plain.code == 1
    assert re.findall("damaged: .*", compiled.err) == re.findall("damaged: .*", plain.err) != []
    assert log_of(tmp_path / "compiled") == log_of(tmp_path / "plain")


def peak_kib(data: Path, messages: int, config: Path) -> int:
    """Capture; give the most memory that the process held of its own.

    Pages of files do not count: the system takes them back when it needs them.
    """
    size = ("--symbols", "20", "--messages", str(messages))
    peak = 0
    with running("run", *FEED[:2], *size, "--data", data, "--config", config) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
            peak = max(peak, int(found[1]) if found else 0)
            time.sleep(0.003)
        assert process.returncode == 0
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_day(tmp_path: Path) -> None:
    config = tmp_path / "tickloop.toml"
    config.write_text("[store]\nflush_rows = 200_000\n")
    peak_kib(tmp_path / "first", 10_000, config)  # compiles, where nothing did before
    small = peak_kib(tmp_path / "small", 100_000, config)
    large = peak_kib(tmp_path / "large", 1_000_000, config)
    assert 0 < large <= 1.2 * small


def on_a_terminal(*arguments: str | Path, columns: int) -> str:
    """Run with stderr on a terminal of that width; give what it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        sent += piece
    os.close(ours)
    assert process.wait(timeout=DEADLINE_S) == 0
    return sent.decode()


@pytest.mark.parametrize("columns", [60, 100])
def test_a_terminal_gets_one_line_of_progress_that_overwrites_itself(
    tmp_path: Path, columns: int
) -> None:
    pace = ("--speed", "30000", "--cut-ms", "60000", "--port", "0")
    sent = on_a_terminal("run", *FEED, *pace, "--data", tmp_path / "day", columns=columns)
    lines = sent.replace("\r\n", "\n").split("\n")
    (moving,) = [line for line in lines if "messages " in line and "\r" in line]
    # On a machine that is slow or new to these kernels, the line tells of compiling first.
    steps = [s for s in moving.split("\r") if s.strip() and not s.strip().endswith(" compiled")]
    assert len(steps) > 3
    assert all(len(step) < columns for step in steps)
    assert all(re.match(r" *[\d,]+ messages +[\d,]+ rows +[\d,]+ rows/s", s) for s in steps[:-1])
    if columns == 100:
        assert all(re.search(r"rows/s  at \d\d:\d\d:\d\d UTC$", s.rstrip()) for s in steps[:-1])
    counts = [int(step.split()[0].replace(",", "")) for step in steps[:-1]]
    assert counts == sorted(counts)
    # The line is wiped before the next phase is told.
    assert steps[-1].startswith("read 10,000 messages; writing history")


def test_without_a_terminal_only_phases_are_told(tmp_path: Path) -> None:
    data = tmp_path / "day"
    pace = ("--speed", "60000", "--cut-ms", "60000", "--port", "0")
    done = good("run", *FEED, *pace, "--data", data)
    assert "\r" not in done.err
    told = [line for line in done.err.splitlines() if "ompil" not in line]
    assert told == [
        f"capturing synthetic:{DAY} into {data}",
        "read 10,000 messages; writing history",
        f"history of {DAY} written",
    ]


def test_the_summary_says_what_to_try_and_it_works(tmp_path: Path) -> None:
    done = good("run", *FEED, "--data", tmp_path / "a day")
    commands = [line.strip() for line in done.out.partition("try next")[2].splitlines()]
    commands = [line for line in commands if "sql" in line or "journal" in line]
    assert len(commands) == 3
    for command in commands:
        assert "--data '" in command  # the folder's name has a space
        replaced = command.replace("tickloop", " ".join(COMMAND), 1)
        subprocess.run(replaced, shell=True, capture_output=True, check=True, cwd=tmp_path)


def test_json_is_all_that_programs_get_on_stdout(tmp_path: Path) -> None:
    found = good("run", *FEED, "--data", tmp_path / "day", "--json")
    assert found.json["messages"] == 10_000
    assert found.json["dates"] == [DAY]
    assert found.err == ""
    captured = good("capture", *FEED, "--append", "--data", tmp_path / "day", "--json")
    assert captured.json["rows"]["trade"] == 2 * found.json["rows"]["trade"]
    own = sum(n for table, n in found.json["rows"].items() if table in MARKET)
    # The same day once more is all before the end of the first, but for that instant's rows.
    assert 0.9 * own < captured.json["raised_times"] <= own
    assert found.json["raised_times"] == 0
    assert captured.json["new_rows"] < sum(captured.json["rows"].values())


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}]
)
def test_a_terminal_without_unicode_gets_escapes_and_no_errors(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data = tmp_path / "день µ"
    done = good("run", *FEED, "--data", data, env=env)
    assert "captured  synthetic" in done.out
    shown = tickloop("sql", "--data", data, "SELECT 'µ→' AS a", env=env)
    assert shown.code == 0, shown.err
    tickloop("run", *FEED, "--data", data, env=env).refused("already holds")
