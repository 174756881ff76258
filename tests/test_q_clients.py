"""PyKX, a client written by KX, in a process of its own against the q server.

Its connect call holds the interpreter's lock, so a server in the same process would never answer.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import QueryError
from tickloop.tickerplant.q_codec import MessageKind, encode, message
from tickloop.tickerplant.q_connection import Connection
from tickloop.tickerplant.q_probes import answer_probe
from tickloop.tickerplant.q_requests import Cols, Count, Name, Sub, Tables, Upd, recognise
from tickloop.tickerplant.q_server import Server, ServerLimits
from tickloop.tickerplant.q_values import (
    IDENTITY,
    QType,
    Value,
    count_of,
    items,
    long,
    symbol,
    symbols,
    table,
    vector,
)

pytestmark = pytest.mark.usefixtures("kx")

LIMITS = ServerLimits(
    message_bytes=1 << 24, message_values=100_000, queue_bytes=1 << 22, connections=8, login_s=5.0
)
TRADE = table(
    {
        "time": vector(QType.TIMESTAMP, [1, 2]),
        "sym": symbols(["AAPL", "MSFT"]),
        "price": vector(QType.FLOAT, [100.1, 200.2]),
        "size": vector(QType.LONG, [5, 7]),
    }
)


class OneTable:
    """A tickerplant of one table, as small as the contract allows."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.published: list[Upd] = []
        self.subscribed: list[Sub] = []
        self.unserved: list[Connection] = []

    def opened(self, connection: Connection) -> None:
        self.users.append(connection.user)

    def closed(self, connection: Connection) -> None: ...
    def overflow(self, connection: Connection) -> None: ...
    def drained(self, connection: Connection) -> None: ...

    def sync(self, connection: Connection, value: Value) -> Value:
        probe = answer_probe(value)
        if probe is not None:
            return probe
        request = recognise(value)
        if isinstance(request, Sub):
            self.subscribed.append(request)
            self.unserved.append(connection)
            return items(symbol("trade"), TRADE)
        if isinstance(request, Upd):
            self.published.append(request)
            return IDENTITY
        return self._about(request)

    def publish(self) -> None:
        """Push two updates to each new subscriber, after the answer that it waits for."""
        whole = message(MessageKind.ASYNC, encode(items(symbol("upd"), symbol("trade"), TRADE)))
        while self.unserved:
            connection = self.unserved.pop()
            connection.post(whole)
            connection.post(whole)

    def _about(self, request: object) -> Value:
        match request:
            case Tables():
                return symbols(["trade"])
            case Cols("trade"):
                return TRADE.names
            case Count("trade"):
                return long(len(TRADE))
            case Name("trade"):
                return TRADE
        raise QueryError("nyi: this port evaluates no q; use the query port")

    def asynchronous(self, connection: Connection, value: Value) -> None:
        request = recognise(value)
        assert isinstance(request, Upd)
        self.published.append(request)


@contextmanager
def plant() -> Iterator[tuple[Server, OneTable]]:
    handler = OneTable()
    with closing(Server(handler, port=0, limits=LIMITS)) as server:
        yield server, handler


PREAMBLE = """
import json, os, sys
os.environ["PYKX_UNLICENSED"] = "1"
import pykx as kx
port = int(sys.argv[1])
def say(value):
    print(json.dumps(value), flush=True)
"""


def run_client(server: Server, handler: OneTable, body: str, timeout_s: float = 20.0) -> list[Any]:
    """Run a client script in a process of its own while polling; give what it said."""
    client = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + body, str(server.port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    deadline = monotonic_ns() + int(timeout_s * 1e9)
    try:
        while client.poll() is None and monotonic_ns() < deadline:
            server.poll(0.01)
            handler.publish()
        client.kill()
        said, complaint = client.communicate()
    finally:
        client.kill()
    assert client.returncode == 0, f"{said}\n{complaint}\nserver: {server.last_error}"
    return [json.loads(line) for line in said.splitlines()]


QUERIES = """
    say(q("tables[]").py())
    say(q("cols trade").py())
    say(q("count trade").py())
    rows = q("trade").pd()
    say([rows.sym.tolist(), rows.price.tolist(), rows["size"].tolist()])
    try:
        q("select from trade")
    except kx.QError as error:
        say(str(error))
"""
ANSWERS = [
    ["trade"],
    ["time", "sym", "price", "size"],
    2,
    [["AAPL", "MSFT"], [100.1, 200.2], [5, 7]],
    "nyi: this port evaluates no q; use the query port",
]


@pytest.mark.parametrize("options", ["no_ctx=True", "", "large_messages=False"])
def test_pykx_connects_and_queries(options: str) -> None:
    opening = f'with kx.SyncQConnection("127.0.0.1", port, username="joe", {options}) as q:'
    with plant() as (server, handler):
        assert run_client(server, handler, opening + QUERIES) == ANSWERS
        assert set(handler.users) == {"joe"}
        assert not server.counts


def test_pykx_publishes_rows_and_tables() -> None:
    body = """
with kx.SyncQConnection("127.0.0.1", port) as q:
    q.upd("trade", ["AAPL", 100.5, 3])
    q(".u.upd", "trade", [["AAPL", "MSFT"], [1.5, 2.5], [1, 2]])
    q(".u.upd", "trade", {"sym": ["A"], "size": [1]}, wait=False)
    say("done")
"""
    with plant() as (server, handler):
        assert run_client(server, handler, body) == ["done"]
        while server.poll(0.01):
            pass
        assert [upd.table for upd in handler.published] == ["trade"] * 3
        assert count_of(handler.published[0].data) == 3
        assert count_of(handler.published[1].data) == 3


def test_pykx_subscribes_and_receives_what_is_pushed() -> None:
    body = """
import asyncio
async def main():
    async with kx.RawQConnection("127.0.0.1", port, no_ctx=True) as q:
        answer = await q(".u.sub", "trade", ["AAPL", "MSFT"])
        say(answer.py()[0])
        received = 0
        while received < 2:
            pushed = q.poll_recv()
            if pushed is not None:
                function, name, rows = pushed.py()
                say([function, name, rows["size"]])
                received += 1
asyncio.run(main())
"""
    with plant() as (server, handler):
        said = run_client(server, handler, body)
        assert said == ["trade", ["upd", "trade", [5, 7]], ["upd", "trade", [5, 7]]]
        assert handler.subscribed == [Sub(("trade",), ("AAPL", "MSFT"))]
