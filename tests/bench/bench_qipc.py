"""q IPC: how fast tables are written and read, and one-row messages reach another process.

Run: python tests/bench/bench_qipc.py [--seconds=1]
"""

import argparse
import multiprocessing
import os
import platform
import statistics
from collections.abc import Callable
from contextlib import closing

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import monotonic_ns
from tickloop.core.kernel import warm_up
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import (
    MessageKind,
    compress_message,
    decode,
    decompress_message,
    encode,
    message,
)
from tickloop.tickerplant.q_connection import Connection
from tickloop.tickerplant.q_server import Server, ServerLimits
from tickloop.tickerplant.q_values import (
    IDENTITY,
    QType,
    SymbolVector,
    Table,
    Value,
    items,
    symbol,
    table,
    vector,
)

ROWS = 1000
ONE_ROW_MESSAGES = 200_000
LIMITS = ServerLimits(
    message_bytes=1 << 26, message_values=100_000, queue_bytes=1 << 24, connections=4, login_s=5.0
)
GENERATOR = np.random.default_rng(1)
SYMBOLS = Symbols(f"SYM{i}" for i in range(500))
NAMES = Names(SYMBOLS)


def symbol_column(ids: npt.NDArray[np.int32]) -> SymbolVector:
    """Spell ids as a column of symbols."""
    return SymbolVector(NAMES.encode(ids).tobytes(), len(ids))


def trades(rows: int) -> Table:
    """Make trades in the shape of the schema's trade table."""
    stamps = np.cumsum(GENERATOR.integers(0, 1_000_000, rows))
    ids = GENERATOR.integers(0, 500, rows, dtype=np.int32)
    return table(
        {
            "time": vector(QType.TIMESTAMP, stamps),
            "sym": symbol_column(ids),
            "price": vector(QType.FLOAT, GENERATOR.integers(10_000, 20_000, rows) / 100),
            "size": vector(QType.LONG, GENERATOR.integers(1, 1000, rows)),
            "side": vector(QType.CHAR, GENERATOR.choice([66, 83], rows).astype(np.uint8)),
            "cond": symbol_column(np.full(rows, -1, dtype=np.int32)),
            "ex": symbol_column(np.zeros(rows, dtype=np.int32)),
            "trade_id": vector(QType.LONG, np.arange(rows)),
            "venue_time": vector(QType.TIMESTAMP, stamps),
            "seq": vector(QType.LONG, np.arange(rows)),
        }
    )


def per_second(work: Callable[[], object], seconds: float) -> float:
    """Give the median rate of calls over five spans."""
    rates = []
    for _ in range(5):
        start, calls = monotonic_ns(), 0
        while monotonic_ns() - start < seconds * 2e8:
            work()
            calls += 1
        rates.append(calls * 1e9 / (monotonic_ns() - start))
    return statistics.median(rates)


def update(rows: int) -> Value:
    """Make what a subscriber is sent."""
    return items(symbol("upd"), symbol("trade"), trades(rows))


class Nothing:
    """A handler that only notes who came."""

    def __init__(self) -> None:
        self.peers: list[Connection] = []

    def opened(self, connection: Connection) -> None:
        self.peers.append(connection)

    def closed(self, connection: Connection) -> None: ...
    def overflow(self, connection: Connection) -> None: ...
    def drained(self, connection: Connection) -> None: ...
    def asynchronous(self, connection: Connection, value: Value) -> None: ...

    def sync(self, connection: Connection, value: Value) -> Value:
        return IDENTITY


def subscriber(port: int, messages: int) -> None:
    """Read whole messages without decoding them, then say so."""
    with QClient("127.0.0.1", port) as client:
        for _ in range(messages):
            client.receive_raw(30.0)
        client.call("done")


def push(server: Server, handler: Nothing, whole: bytes, *, at_once: int) -> float:
    """Send one-row messages to a subscriber in another process; give messages a second."""
    process = multiprocessing.get_context("spawn").Process(
        target=subscriber, args=(server.port, ONE_ROW_MESSAGES)
    )
    process.start()
    while not handler.peers:
        server.poll(0.01)
    peer = handler.peers.pop()
    start = monotonic_ns()
    sent = 0
    while sent < ONE_ROW_MESSAGES:
        give = peer.send if at_once == 1 else peer.post
        for _ in range(at_once):
            sent += give(whole)
        server.poll(0)
    while server.poll(0.05) == 0:
        pass
    rate = ONE_ROW_MESSAGES * 1e9 / (monotonic_ns() - start)
    process.join()
    return rate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0)
    seconds = parser.parse_args().seconds
    warm_up()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    value = update(ROWS)
    payload = encode(value)
    flat = message(MessageKind.ASYNC, encode(vector(QType.LONG, np.arange(10_000))))
    packed = compress_message(flat)
    assert packed is not None, "counting numbers compress to less than half"
    ids = GENERATOR.integers(0, 500, ROWS, dtype=np.int32)
    single = update(1)
    lines: dict[str, tuple[Callable[[], object], float]] = {
        f"encode {ROWS}-row trade tables, rows/s": (lambda: encode(value), ROWS),
        f"decode {ROWS}-row trade tables, rows/s": (lambda: decode(payload), ROWS),
        "encode one-row trade tables, messages/s": (lambda: encode(single), 1),
        "symbol ids to symbols, rows/s": (lambda: symbol_column(ids), ROWS),
        "compress 10,000 longs, MB/s": (lambda: compress_message(flat), len(flat) / 1e6),
        "expand 10,000 longs, MB/s": (lambda: decompress_message(packed), len(flat) / 1e6),
    }
    for name, (work, each) in lines.items():
        print(f"{name:44} {per_second(work, seconds) * each:>14,.1f}")
    handler = Nothing()
    one = message(MessageKind.ASYNC, encode(update(1)))
    with closing(Server(handler, port=0, limits=LIMITS)) as server:
        print(f"{'idle poll(0), us':44} {1e6 / per_second(server.poll, seconds):>14,.2f}")
        for at_once in (1, 16):
            rate = push(server, handler, one, at_once=at_once)
            print(f"{f'one-row messages to a peer, {at_once} at once, /s':44} {rate:>14,.1f}")


if __name__ == "__main__":
    main()
