"""`tickloop q`: one question, a script, formats, and the console as a person types at it."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import COMMAND, good, tickloop
from tests.gateway_process import serving
from tickloop.app.console import is_complete, is_statement

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "3")


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("q") / "day"
    good("run", *FEED, "--data", root)
    return root


def test_a_question_prints_what_q_prints(captured: Path) -> None:
    assert good("q", "--data", captured, "1+2 3").out == "3 4\n"
    shown = good("q", "--data", captured, "([]a:1 2;b:`x`y)").out
    assert shown == "a b\n---\n1 x\n2 y\n"
    assert good("q", "--data", captured, "a:5").out == ""


def test_formats_are_for_programs(captured: Path, tmp_path: Path) -> None:
    text = "([]sym:`a`b;price:1.5 0n;time:2#2024.01.02D09:30)"
    csv = good("q", "--data", captured, "--format", "csv", text).rows
    assert csv[0] == {"sym": "a", "price": "1.5", "time": "2024-01-02T09:30:00.000000000Z"}
    lines = good("q", "--data", captured, "--format", "json", text).out.splitlines()
    assert json.loads(lines[0])["sym"] == "a"
    for form in ("arrow", "parquet"):
        path = tmp_path / f"out.{form}"
        good("q", "--data", captured, "--format", form, "--output", path, text)
        table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
        assert table.column("sym").to_pylist() == ["a", "b"]
    tickloop("q", "--data", captured, "--format", "parquet", text).refused("--output", code=2)


def test_a_script_runs_from_its_first_line_to_its_last(captured: Path, tmp_path: Path) -> None:
    script = tmp_path / "report.q"
    script.write_text('/ a comment\nf:{\n  x+\n  y}\na:f[1;2]\na*2\n"text"\n')
    assert good("q", "--data", captured, script).out == '6\n"text"\n'


def test_an_error_is_a_line_and_exit_code_1(captured: Path) -> None:
    tickloop("q", "--data", captured, "1+`a").refused("type")
    tickloop("q", "--data", captured, "nothing_here").refused("nothing_here")


def test_a_server_is_asked_the_same_way(captured: Path) -> None:
    with serving(captured, "[query]\nworkers = 2\n") as served:
        address = f"127.0.0.1:{served.port}"
        here = good("q", "--data", captured, "select count i by sym from trade").out
        assert good("q", "--connect", address, "select count i by sym from trade").out == here


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("1+1", True), ("{x+", False), ("f[1;", False), ('"abc', False), ('"a\\"b"', True),
        ('"(" ', True), ("(1;2)", True), ("", True),
    ],
)  # fmt: skip
def test_the_console_knows_when_text_goes_on(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_the_sql_console_sends_at_a_semicolon() -> None:
    assert not is_statement("select 1")
    assert is_statement("select 1\nfrom x;")


# What a prompt begins with: pasted text shall be told apart from typed text.
PROMPTED = "\x1b[?2004h"


class Terminal:
    """A command at a pseudo terminal."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self._seen = ""
        self._fd, slave = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "XDG_STATE_HOME": str(home), "TERM": "xterm", "COLUMNS": "80"},
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def ask(self, text: str) -> None:
        """Type at the next prompt; what is typed before it is the terminal's."""
        self.until(PROMPTED)
        self.type(text)

    def until(self, wanted: str, limit_s: float = 60.0) -> None:
        """Read until a text appears; what comes after it is kept for the next time."""
        end = time.monotonic() + limit_s
        while wanted not in self._seen:
            assert time.monotonic() < end, self._seen
            if select.select([self._fd], [], [], 0.2)[0]:
                try:
                    piece = os.read(self._fd, 65536).decode(errors="replace")
                except OSError as error:  # how a terminal says that its program is gone
                    raise AssertionError(self._seen) from error
                # The terminal is asked where its cursor is.
                if "\x1b[6n" in piece:
                    self.type("\x1b[1;1R")
                self._seen += piece
        self._seen = self._seen.partition(wanted)[2]

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def close(self) -> int:
        """Wait for the program's own end."""
        return self._process.wait(30)

    def end(self) -> None:
        """Let everything go, whatever happened."""
        self._process.kill()
        self._process.wait()
        os.close(self._fd)


@pytest.fixture
def terminal(request: pytest.FixtureRequest, captured: Path, tmp_path: Path) -> Iterator[Terminal]:
    command = getattr(request, "param", "q")
    found = Terminal(tmp_path, command, "--data", str(captured))
    yield found
    found.end()


def test_the_console_answers_keeps_variables_and_goes_on_after_errors(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.ask("mine:40\r")
    terminal.ask("mine+2\r")
    terminal.until("42")
    terminal.ask("1+`a\r")
    terminal.until("'type")
    terminal.ask("{x+\r1}[99]\r")
    terminal.until("100")
    terminal.ask("\\\\\r")
    assert terminal.close() == 0
    assert "mine:40" in (tmp_path / "tickloop" / "q_history").read_text()


def test_ctrl_c_stops_the_question_and_not_the_console(terminal: Terminal) -> None:
    terminal.ask("kept:7\r")
    terminal.ask("while[1b;1+1]\r")
    time.sleep(2.0)
    terminal.interrupt()
    terminal.until("stop")
    terminal.ask("kept+1\r")
    terminal.until("8")
    terminal.ask("\x04")
    assert terminal.close() == 0


@pytest.mark.parametrize("terminal", ["sql"], indirect=True)
def test_the_sql_console_answers(terminal: Terminal) -> None:
    terminal.ask("select 40+2\ras answer;\r")
    terminal.until("42")
    terminal.ask("\x04")
    assert terminal.close() == 0
