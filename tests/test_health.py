"""A live run under everything that clients do wrong at once on both ports: no row is the worse."""

import json
import signal
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.command import ended, good, running, sql, wait_for
from tests.gateway_process import seconds
from tickloop.core.errors import QueryError
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import MessageKind

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "4")
COUNTS = "SELECT count(*) AS n, sum(seq) AS seqs, max(time) AS last FROM {}"
RUNAWAY_SQL = "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)"
CLIENTS = 100


@dataclass(frozen=True)
class Live:
    """The ports of a run that goes on."""

    q: int
    pg: int

    def ask(self) -> QClient:
        """Connect in q."""
        return QClient("127.0.0.1", self.q, timeout_s=120.0)

    def sql(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect in SQL."""
        return psycopg.connect(f"host=127.0.0.1 port={self.pg} dbname=day", autocommit=True)


@pytest.fixture
def captured_alone(tmp_path: Path) -> Path:
    """Capture the same feed with nobody beside it."""
    data = tmp_path / "alone"
    good("run", *FEED, "--data", data)
    return data


def _ports(data: Path) -> Live | None:
    with suppress(FileNotFoundError, ValueError):
        ports = json.loads((data / "run.json").read_text())["ports"]
        return Live(ports["q"], ports["pg"]) if "q" in ports else None
    return None


def _q_runaway(live: Live) -> None:
    with live.ask() as one:
        with pytest.raises(QueryError, match="timeout"):
            one.call("while[1b;1+1]")
        assert one.call("1+1") == q.long(2)


def _sql_runaway(live: Live) -> None:
    with live.sql() as one:
        with pytest.raises(psycopg.errors.QueryCanceled):
            one.execute(RUNAWAY_SQL)
        assert one.execute("SELECT 1").fetchone() == (1,)


def _wrong_questions(live: Live) -> None:
    with live.ask() as one, live.sql() as other:
        for text in ("(1+", "nothing_has_this_name", "`a+1", "s)selec 1", "select nope from trade"):
            with pytest.raises(QueryError):
                one.call(text)
        for text in ("SELEC 1", "SELECT nope FROM trade", "DROP TABLE trade", "SELECT 1/'a'"):
            with pytest.raises(psycopg.Error):
                other.execute(text)
        assert one.call("1+1") == q.long(2)
        assert other.execute("SELECT 1").fetchone() == (1,)


def _leavers(live: Live) -> None:
    """Go away while a question runs and in the middle of an answer."""
    for text, wanted in (("while[1b;1+1]", 0), ("til 5000000", 100_000)):
        with live.ask() as one:
            one._send(MessageKind.SYNC, text)
            if wanted:
                one._fill(wanted, one._deadline(30.0))
    start = struct.pack("!i", 196608) + b"user\0x\0database\0day\0\0"
    asked = b"SELECT * FROM range(5000000)\0"
    with socket.create_connection(("127.0.0.1", live.pg)) as stranger:
        stranger.sendall(struct.pack("!i", len(start) + 4) + start)
        stranger.settimeout(30)
        assert stranger.recv(1 << 16)
        stranger.sendall(b"Q" + struct.pack("!i", len(asked) + 4) + asked)
        assert stranger.recv(1 << 10)


def _strangers(live: Live) -> None:
    for port in (live.q, live.pg):
        for wrong in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 40, b"x" * 5000, b"\x16\x03\x01\0\5"):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.settimeout(30)
                with suppress(ConnectionError, OSError):
                    stranger.sendall(wrong)
                    stranger.shutdown(socket.SHUT_WR)
                    while stranger.recv(65536):
                        pass


def _crowd(live: Live) -> None:
    """Ask with a hundred clients at once, half of them on each port."""

    def ask(number: int) -> None:
        if number % 2:
            with live.ask() as one:
                for _ in range(3):
                    assert one.call(f"{number}+1") == q.long(number + 1)
        else:
            with live.sql() as other:
                for _ in range(3):
                    assert other.execute(f"SELECT {number} + 1").fetchone() == (number + 1,)

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(ask, range(CLIENTS))) == [None] * CLIENTS


def _all_at_once(live: Live) -> Iterator[None]:
    acts = (_q_runaway, _sql_runaway, _wrong_questions, _leavers, _strangers, _crowd)
    with ThreadPoolExecutor(len(acts)) as pool:
        yield from pool.map(lambda act: act(live), acts)


def test_a_live_run_captures_the_same_rows_whatever_its_clients_do(
    tmp_path: Path, captured_alone: Path
) -> None:
    data = tmp_path / "beside"
    rights = tmp_path / "rights.toml"
    rights.write_text("[default]\ntimeout_s = 12.0\nmemory_mib = 1024\n")
    config = tmp_path / "run.toml"
    config.write_text(f'[query]\nrights = "{rights}"\nworkers = 3\nprocesses = 32\n')
    pace = ("--speed", "1600", "--cut-ms", "60000", "--port", "0", "--config", config)
    with running("run", *FEED, "--data", data, *pace, "--stay") as process:
        live = wait_for(lambda: _ports(data), process)
        with live.ask() as asking:
            before = asking.call("count trade")
        assert len(list(_all_at_once(live))) == 6
        with live.ask() as asking, live.sql() as other:
            assert seconds(lambda: asking.call("1+1")) < 2.0
            assert seconds(lambda: other.execute("SELECT 1").fetchone()) < 2.0
            rows = int(sql(captured_alone, COUNTS.format("trade"))[0]["n"])
            wait_for(lambda: asking.call("count trade") == q.long(rows), process)
            assert before != q.long(rows), "the feed ended before the clients came"
        done = ended(process, signal.SIGINT)
        assert done.code == 0, (done.out, done.err)
        assert "Traceback" not in done.err, done.err
    for table in ("trade", "quote"):
        text = COUNTS.format(table)
        assert sql(data, text) == sql(captured_alone, text)
