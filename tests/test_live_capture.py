"""Live feeds end in the same tables as files do: real sockets, the real command."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from tickloop.core.clock import monotonic_ns
from tickloop.ingest.soupbintcp import Login, SoupServerSession
from tickloop.ingest.synthetic import SyntheticDay
from tickloop.tickerplant.database import Database

DAY = SyntheticDay(symbols=4, messages=12_000, session_date=date(2026, 1, 5))
DEADLINE_S = 120.0


def messages_of(day: SyntheticDay) -> list[bytes]:
    """Cut a day's bytes into ITCH messages."""
    raw = b"".join(block.tobytes() for block in day.blocks())
    found = []
    position = 0
    while position < len(raw):
        size = int.from_bytes(raw[position : position + 2], "big")
        found.append(raw[position + 2 : position + 2 + size])
        position += 2 + size
    return found


def free_port(kind: socket.SocketKind) -> int:
    """Find a port that nobody uses."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def capturing(data: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `tickloop capture` and make sure that it is gone afterwards."""
    command = [sys.executable, "-c", "from tickloop.app.cli import main; main()", "capture"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something holds; fails with the command's complaint if it ends before."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"ended early: {process.communicate()}")
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def rows(data: Path, table: str) -> int:
    """Count the rows that a reader sees."""
    if not (data / "manifest.json").exists():
        return 0
    return sum(len(part) for part in Database(data).snapshot().parts(table))


def converse(peer: socket.socket, sent: list[bytes], logins: list[Login]) -> None:
    """Serve one connection: what the login asks for, the end of the session, a goodbye."""
    peer.settimeout(DEADLINE_S)
    session = SoupServerSession(now_ns=monotonic_ns())
    asked: list[Login] = []
    while not asked:
        size = peer.recv_into(session.space())
        if size == 0:
            return
        session.filled(size, monotonic_ns())
        asked = [item for item in session.requests() if isinstance(item, Login)]
    logins.extend(asked)
    first = max(asked[0].sequence, 1)
    session.accept("DAY", first)
    for message in sent[first - 1 :]:
        session.send(message)
    session.end_session()
    peer.sendall(session.outgoing(monotonic_ns()))
    while peer.recv(4096):
        pass


def test_a_soupbintcp_session_is_captured_and_queried_live(tmp_path: Path) -> None:
    sent = messages_of(DAY)
    data = tmp_path / "data"
    password = tmp_path / "password"
    password.write_text("secret\n")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(DEADLINE_S)
    config = tmp_path / "tickloop.toml"
    config.write_text(f'[feed]\nsoup_user = "me"\nsoup_password_file = "{password}"\n')

    logins: list[Login] = []

    def serve() -> None:
        # A client that lost the connection comes again and says from where.
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                converse(peer, sent, logins)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    port = listener.getsockname()[1]
    with capturing(
        data, "--feed", f"soup:127.0.0.1:{port}", "--config", str(config), "--date", "2026-01-05"
    ) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    done = json.loads(out)
    assert done["messages"] == len(sent)
    assert (logins[0].user, logins[0].password) == ("me", "secret")
    assert "secret" not in out + err
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    server.join(timeout=5)


def test_a_live_capture_ends_in_order_when_it_is_asked_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    port = free_port(socket.SOCK_DGRAM)
    with capturing(
        data, "--feed", f"mold:127.0.0.1:{port}", "--date", "2026-01-05", "--port", "0"
    ) as process:
        wait_for((data / "run.json").exists, process)
        publish(port, messages_of(DAY)[:3000], process, data)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    done = json.loads(out)
    assert done["messages"] == 3000
    assert done["conditions"].get("gap_messages", 0) == 0
    assert rows(data, "book") == done["rows"]["book"] > 1000
    assert done["rows"]["clock"] > 0


def publish(port: int, sent: list[bytes], process: subprocess.Popen[str], data: Path) -> None:
    """Send MoldUDP64 packets of a few messages, no faster than the other side shows rows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for start in range(0, len(sent), 20):
            piece = sent[start : start + 20]
            head = b"DAY".ljust(10) + (1 + start).to_bytes(8, "big") + len(piece).to_bytes(2, "big")
            body = b"".join(len(message).to_bytes(2, "big") + message for message in piece)
            out.sendto(head + body, ("127.0.0.1", port))
            time.sleep(0.001)
    shown = rows(data, "book")
    wait_for(lambda: rows(data, "book") > 1000 and _settled(data), process)
    assert rows(data, "book") >= shown


def _settled(data: Path) -> bool:
    before = rows(data, "book")
    time.sleep(0.3)
    return rows(data, "book") == before
