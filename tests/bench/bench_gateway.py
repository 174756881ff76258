"""What a question costs on the way: point queries, large answers, beside a bare echo.

The client has one core and who answers it another: left to the scheduler, an echo takes 10 us on
one core or 90 us on two, and which it is changes from run to run.
"""

import asyncio
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.bench.figures import Figure, figure, seconds
from tests.command import good
from tests.gateway_process import Serving, serving
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import QType, Vector
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.core.clock import monotonic_ns
from tickloop.tickerplant.q_codec import MessageKind, encode, message
from tickloop.tickerplant.q_login import login_bytes
from tickloop.tickerplant.q_values import chars

CALLS = 3000
REPEATS = 5
ROWS = 10_000_000
CORES = sorted(os.sched_getaffinity(0))
POINT = "select last price from trade where sym=`TECHA"
COLUMN = f"column:til {ROWS}"


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


def _serve_echo(ports: "multiprocessing.Queue[int]") -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def _echo() -> Iterator[socket.socket]:
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=_serve_echo, args=(ports,), daemon=True)
    process.start()
    assert process.pid is not None
    _place([process.pid])
    with socket.create_connection(("127.0.0.1", ports.get(timeout=30))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock
    process.kill()
    process.join()


def _place(servers: list[int]) -> None:
    """Put servers on the last core."""
    for server in servers:
        os.sched_setaffinity(server, {CORES[-1]})


@contextmanager
def _logged_in(served: Serving) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(login_bytes("", ""))
        assert len(sock.recv(1)) == 1
        yield sock


def _p50_us(sock: socket.socket, request: bytes) -> float:
    spent = []
    for _ in range(CALLS):
        started = monotonic_ns()
        sock.sendall(request)
        sock.recv(1 << 16)
        spent.append(monotonic_ns() - started)
    return float(np.median(spent)) / 1e3


def _receive(sock: socket.socket, request: bytes, scratch: bytearray) -> int:
    """Ask, and read a whole answer without looking at it; give its bytes."""
    sock.sendall(request)
    got = sock.recv_into(scratch)
    size = int.from_bytes(scratch[4:8], "little")
    while got < size:
        got += sock.recv_into(scratch)
    return size


def _asked(text: str) -> bytes:
    return message(MessageKind.SYNC, encode(chars(text)))


def _points(served: Serving) -> list[Figure]:
    _place(served.workers())
    os.sched_setaffinity(0, {CORES[0]})
    try:
        return _point_figures(served)
    finally:
        os.sched_setaffinity(0, CORES)


def _point_figures(served: Serving) -> list[Figure]:
    with _echo() as echo, _logged_in(served) as asking:
        runs: dict[str, list[float]] = {"echo": [], "1+1": [], "point": []}
        for _ in range(REPEATS):
            runs["echo"].append(_p50_us(echo, _asked(POINT)))
            runs["1+1"].append(_p50_us(asking, _asked("1+1")))
            runs["point"].append(_p50_us(asking, _asked(POINT)))
    ratios = [a / b for a, b in zip(runs["point"], runs["echo"], strict=True)]
    return [
        figure("echo of the same bytes, asyncio, p50", "us", runs["echo"]),
        figure("1+1 over q IPC, p50", "us", runs["1+1"]),
        figure("point query over q IPC, p50", "us", runs["point"]),
        figure("point query, times the echo", "×", ratios, at_most=2.5),
    ]


def _columns(served: Serving) -> Figure:
    scratch = bytearray(1 << 20)
    with _logged_in(served) as asking:
        _receive(asking, _asked(f"{COLUMN};0"), scratch)
        rates = []
        for _ in range(REPEATS):
            started = monotonic_ns()
            size = _receive(asking, _asked("column"), scratch)
            rates.append(size / (monotonic_ns() - started) * 1e3)
    return figure("10M-row column to a client", "MB/s", rates, at_least=500)


def _symbols() -> list[Figure]:
    ids = INTERNED.ids(f"S{number}" for number in range(500))
    column = Vector(QType.SYMBOL, ids[np.random.default_rng(0).integers(0, 500, 2_000_000)])
    out = to_wire(column)

    def rate(run: Callable[[], object]) -> list[float]:
        return [len(column) / seconds(run) / 1e6 for _ in range(REPEATS)]

    return [
        figure("symbols to the wire", "M/s", rate(lambda: to_wire(column))),
        figure("symbols from the wire", "M/s", rate(lambda: from_wire(out))),
    ]


def measure() -> list[Figure]:
    """Measure everything here."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "day"
        good("run", "--feed", "synthetic:2024-01-02", "--messages", "200000", "--data", root)
        with serving(root, "[query]\nworkers = 2\n") as served:
            return [*_points(served), _columns(served), *_symbols()]


if __name__ == "__main__":
    for item in measure():
        print(item)
