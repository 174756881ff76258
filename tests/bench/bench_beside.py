"""Questions beside a capture: what they take from it, how soon the machine is free again.

A feed publishes batches of 1,000 trades at a fixed pace into a plant with journal, store and
port; one subscriber in another process reads them. Meanwhile a heavy query in q and one in SQL go
round through a gateway over the same directory. Idle and busy spans take turns, so that both see
the same growing data.

Run: python tests/bench/run.py --only beside
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from tests.bench.bench_plant import BATCH_ROWS, Workbench, workbench
from tests.bench.figures import Figure, calibration, figure, seconds, table
from tests.gateway_process import Serving, cpu_s, serving, wait_until
from tickloop.core.clock import monotonic_ns
from tickloop.core.kernel import warm_up
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import MessageKind

PACE = 1_000_000  # rows a second
SPAN_ROWS = 5_000_000
REPEATS = 3
HEAVY_Q = "select vwap:size wavg price,dev price,n:count i by sym,side from trade"
HEAVY_SQL = "SELECT sym, side, sum(price*size)/sum(size), median(price) FROM trade GROUP BY ALL"
DEAF = "s)select sum(a.range*b.range) from range(1000000) a, range(1000000) b"
ENDLESS = "while[1b;1+1]"


class Paced:
    """Publishes batches at a fixed pace, as a feed does that waits for its packets."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.late_ns: list[int] = []
        self.took_ns: list[int] = []

    def __call__(self, rows: int) -> None:
        """Publish rows, each batch when it is due or as soon afterwards as can be."""
        run, batch = self._bench.run, self._bench.feed._batch
        step_ns = BATCH_ROWS * 1_000_000_000 // PACE
        due = monotonic_ns()
        for _ in range(rows // BATCH_ROWS):
            while (rest := due - monotonic_ns()) > 0:
                run.poll(0.0)
                time.sleep(min(rest, 300_000) / 1e9)
            started = monotonic_ns()
            run.plant.publish(batch)
            ended = monotonic_ns()
            self.took_ns.append(ended - started)
            self.late_ns.append(ended - due)
            run.poll(0.0)
            due += step_ns


def _ask(port: int, text: str, asks: Event, pipe: Connection) -> None:
    """Ask one thing again and again while `asks` is set; say at the end how often."""
    with QClient("127.0.0.1", port, timeout_s=600.0) as client:
        client.call(text)
        pipe.send(0)
        answers = 0
        while not pipe.poll(0 if asks.is_set() else 0.05):
            if asks.is_set():
                client.call(text)
                answers += 1
        pipe.send(answers)


@contextmanager
def _asking(port: int, asks: Event, *texts: str) -> Iterator[list[int]]:
    """Ask each text from a process of its own; how often each was answered is there at the end."""
    context = multiprocessing.get_context("spawn")
    answers: list[int] = []
    pipes = []
    for text in texts:
        ours, theirs = context.Pipe()
        context.Process(target=_ask, args=(port, text, asks, theirs), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    yield answers
    for pipe in pipes:
        pipe.send(None)
    answers += [pipe.recv() for pipe in pipes]


def _p99_us(values: list[int]) -> float:
    return float(np.percentile(values, 99)) / 1e3


def _beside(bench: Workbench, served: Serving) -> list[Figure]:
    asks = multiprocessing.get_context("spawn").Event()
    bench.measure(Paced(bench), SPAN_ROWS)
    rates, spans = [], {False: list[Paced](), True: list[Paced]()}
    with _asking(served.port, asks, HEAVY_Q, f"s){HEAVY_SQL}") as answers:
        for _ in range(REPEATS):
            for is_busy in (False, True):
                (asks.set if is_busy else asks.clear)()
                # What was asked last is answered before an idle span begins.
                time.sleep(1.0)
                paced = Paced(bench)
                rate = bench.measure(paced, SPAN_ROWS)[0]
                spans[is_busy].append(paced)
                if is_busy:
                    rates.append(rate / PACE * 100)
        asks.clear()
    idle, busy = ([_p99_us(one.took_ns) for one in spans[is_busy]] for is_busy in (False, True))
    late, late_busy = ([_p99_us(one.late_ns) for one in spans[key]] for key in (False, True))
    ratios = [two / one for one, two in zip(idle, busy, strict=True)]
    per_second = [count / (REPEATS * (SPAN_ROWS / PACE + 1)) for count in answers]
    return [
        figure("rate over pace of 1M rows/s beside q and SQL", "%", rates, at_least=99),
        figure("publishing 1,000 rows, p99, idle", "us", idle),
        figure("publishing 1,000 rows, p99, beside queries", "us", busy),
        figure("publishing, p99, times the idle one", "×", ratios, at_most=2),
        figure("from due to published, p99, idle", "us", late),
        figure("from due to published, p99, beside queries", "us", late_busy),
        figure("heavy q queries answered meanwhile", "1/s", per_second[:1]),
        figure("heavy SQL queries answered meanwhile", "1/s", per_second[1:]),
    ]


def _cancelled(served: Serving, text: str) -> float:
    """Leave while a question runs; give the seconds until its worker rests."""
    before = {pid: cpu_s(pid) for pid in served.workers()}
    with served.client() as client:
        client._send(MessageKind.SYNC, text)
        busy: list[int] = []

        def is_running() -> bool:
            busy[:] = [pid for pid in before if cpu_s(pid) - before[pid] > 0.1]
            return bool(busy)

        wait_until(is_running, 30.0)
    started = monotonic_ns()
    used, rested = sum(map(cpu_s, busy)), monotonic_ns()
    while monotonic_ns() - rested < 200_000_000 and used != float("inf"):
        time.sleep(0.005)
        now = sum(map(cpu_s, busy))
        if now != used:
            used, rested = now, monotonic_ns()
    # The clock of processes ticks a hundred times a second.
    return max((rested - started) / 1e9, 0.01)


def _cancels(served: Serving) -> list[Figure]:
    return [
        figure(f"machine free after a client leaves, {name}", "s",
               [_cancelled(served, text) for _ in range(REPEATS)], at_most=0.5)
        for name, text in (("q", ENDLESS), ("SQL", DEAF))
    ]  # fmt: skip


def measure() -> list[Figure]:
    """Measure everything here."""
    warm_up()
    with workbench(Sync.INTERVAL) as bench:
        bench.measure(Paced(bench), BATCH_ROWS)
        root = Path(bench.run.directory.root)
        with serving(root, "[query]\nworkers = 2\n") as served:
            return [*_beside(bench, served), *_cancels(served)]


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    for row in table([calibration(), *measure()]):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:11} {row[4]:>11}  {row[5]}")


if __name__ == "__main__":
    print(f"{seconds(main):.1f} s")
