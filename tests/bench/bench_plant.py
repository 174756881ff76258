"""The plant: rows from a feed in its process to a subscriber in another one, journal and store on.

A feed publishes trades, as one message a row or as batches of 1,000, into a plant with the
journal, the mapped store of today's rows and the q port; one subscriber in another process reads
them over q IPC. Rates count from the first publication to the last row received. Added delay is
from publication to receipt, by one monotonic clock, at a fifth of the rate that is asked for.

Run: python tests/bench/bench_plant.py [--seconds=2]
"""

import argparse
import multiprocessing
import os
import platform
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.core.batch import Batch, slice_of
from tickloop.core.clock import monotonic_ns
from tickloop.core.config import Config, PlantConfig
from tickloop.core.kernel import warm_up
from tickloop.core.schema import TRADE
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.q_client import QClient

SYMBOLS = 500
BATCH_ROWS = 1000
POLL_NS = 250_000
PACED_ROWS = 20_000  # a second
TARGETS = {"single_rows_per_s": 100_000.0, "batch_rows_per_s": 3_000_000.0, "delay_p99_us": 1000.0}


def subscriber(port: int, pipe: Connection) -> None:
    """Receive as many rows as the pipe says, each time; answer with the times they took to come."""
    with QClient("127.0.0.1", port) as client:
        client.call(q.items(q.symbol(".u.sub"), q.symbol("trade"), q.symbol("")))
        pipe.send("ready")
        while (wanted := pipe.recv()) is not None:
            rows, is_timed = wanted
            pipe.send(_receive(client, rows, is_timed=is_timed))


def _receive(client: QClient, rows: int, *, is_timed: bool) -> tuple[int, list[int]]:
    """Cut messages by their headers alone, as fast as Python can; (when the last came, delays)."""
    client._sock.settimeout(60.0)
    buffer = bytearray(4 << 20)
    view = memoryview(buffer)
    filled = at = 0
    delays: list[int] = []
    while rows > 0:
        size = client._sock.recv_into(view[filled:])
        now = monotonic_ns()
        assert size, "the plant closed the connection"
        filled += size
        while filled - at >= 8:
            (length,) = struct.unpack_from("<i", buffer, at + 4)
            if filled - at < length:
                break
            rows -= _rows_of(buffer, at)
            at += length
            if is_timed:
                # The last two vectors of one row: venue_time, when it was published, and seq.
                delays.append(now - struct.unpack_from("<q", buffer, at - 22)[0])
        if filled > len(buffer) // 2:
            view[: filled - at] = view[at:filled]
            filled, at = filled - at, 0
    return now, delays


def _rows_of(message: bytearray, start: int) -> int:
    """Count a message's rows: the vector of times comes right after the columns' names."""
    found = message.index(b"seq\0\0\0", start) + 10
    return int(struct.unpack_from("<i", message, found + 2)[0])


class Feed:
    """Publishes made-up trades."""

    def __init__(self, run: PlantRun) -> None:
        self._run = run
        generator = np.random.default_rng(1)
        ids = run.symbols.ids(f"SYM{n}" for n in range(SYMBOLS))
        self._records = np.zeros(4096, dtype=Layout(TRADE).record_dtype)
        self._records["time"] = 820_000_000_000_000_000
        self._records["sym"] = generator.choice(ids, 4096)
        self._records["price"] = generator.integers(10_000, 20_000, 4096) / 100
        self._records["size"] = generator.integers(1, 1000, 4096)
        self._records["side"] = generator.choice([66, 83], 4096)
        self._records["ex"] = run.symbols.id("XTST")
        self._records["cond"] = -(2**31)
        self._ones = [self._records[row : row + 1] for row in range(4096)]
        self._stamps: npt.NDArray[np.int64] = self._records["venue_time"]
        rows = generator.integers(0, 4096, BATCH_ROWS)
        columns = {
            name: np.ascontiguousarray(self._records[name][rows])
            for name in TRADE.names
            if name != "seq"
        }
        columns["price"] = (columns["price"] * 10_000).round().astype(np.int64)
        self._batch = slice_of(Batch(TRADE, columns))
        self._polled = 0

    def _poll_if_due(self) -> None:
        now = monotonic_ns()
        if now - self._polled >= POLL_NS:
            self._run.poll(0.0)
            self._polled = now

    def single(self, rows: int) -> None:
        """Publish rows one by one as fast as possible."""
        publish = self._run.plant.publish_rows
        ones = self._ones
        for row in range(rows):
            publish(TRADE, ones[row & 4095])
            if not row & 15:
                self._poll_if_due()

    def paced(self, rows: int) -> None:
        """Publish stamped rows one by one at a fixed rate."""
        started = monotonic_ns()
        for row in range(rows):
            due = started + row * 1_000_000_000 // PACED_ROWS
            while (now := monotonic_ns()) < due:
                self._poll_if_due()
            self._stamps[row & 4095] = now
            self._run.plant.publish_rows(TRADE, self._ones[row & 4095])
            self._poll_if_due()

    def batches(self, rows: int) -> None:
        """Publish batches as fast as possible."""
        for _ in range(rows // BATCH_ROWS):
            self._run.plant.publish(self._batch)
            self._poll_if_due()


class Workbench:
    """A plant, a feed and a subscriber."""

    def __init__(self, run: PlantRun, pipe: Connection) -> None:
        self.run = run
        self.feed = Feed(run)
        self._pipe = pipe

    def measure(
        self, publish: Callable[[int], None], rows: int, *, is_timed: bool = False
    ) -> tuple[float, list[int]]:
        """Give rows a second from the first publication to the last receipt, and delays."""
        self._pipe.send((rows, is_timed))
        started = monotonic_ns()
        publish(rows)
        while not self._pipe.poll():
            self.run.poll(0.0002)
        ended, delays = self._pipe.recv()
        return rows * 1e9 / (ended - started), delays


@contextmanager
def workbench(sync: Sync) -> Iterator[Workbench]:
    """Open a plant in a temporary directory and a subscriber in another process."""
    config = replace(Config(), plant=PlantConfig(sync=sync.value))
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        run = PlantRun(Path(folder) / "data", config, RunSettings("UTC", False, False))
        ours, theirs = context.Pipe()
        process = context.Process(target=subscriber, args=(run.serve(0), theirs), daemon=True)
        process.start()
        while not ours.poll():
            run.poll(0.01)
        ours.recv()
        try:
            yield Workbench(run, ours)
        finally:
            ours.send(None)
            process.join(10)
            run.abandon()


def calibration() -> float:
    """Count a plain Python loop's turns in a second: what the machine gives at the moment."""
    started = monotonic_ns()
    total = 0
    for number in range(1_000_000):
        total += number
    return 1e15 / (monotonic_ns() - started)


def measure(seconds: float = 2.0) -> dict[str, float]:
    """Measure everything; rates in rows a second, delays in microseconds, median of three."""
    warm_up()
    found = {"calibration_loops_per_s": calibration()}
    with workbench(Sync.INTERVAL) as bench:
        bench.measure(bench.feed.single, 20_000)
        rows = int(150_000 * seconds)
        rates = [bench.measure(bench.feed.single, rows)[0] for _ in range(3)]
        found["single_rows_per_s"] = float(np.median(rates))
        rows = int(PACED_ROWS * seconds)
        _, delays = bench.measure(bench.feed.paced, rows, is_timed=True)
        found["delay_p50_us"] = float(np.percentile(delays, 50) / 1000)
        found["delay_p99_us"] = float(np.percentile(delays, 99) / 1000)
        rows = int(2_000 * seconds) * BATCH_ROWS
        rates = [bench.measure(bench.feed.batches, rows)[0] for _ in range(3)]
        found["batch_rows_per_s"] = float(np.median(rates))
    with workbench(Sync.BATCH) as bench:
        found["single_rows_per_s_sync_batch"] = bench.measure(bench.feed.single, 500)[0]
        rows = 100 * BATCH_ROWS
        found["batch_rows_per_s_sync_batch"] = bench.measure(bench.feed.batches, rows)[0]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds = parser.parse_args().seconds
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name, value in measure(seconds).items():
        target = f"  target {TARGETS[name]:,.0f}" if name in TARGETS else ""
        print(f"{name:32} {value:>14,.0f}{target}")


if __name__ == "__main__":
    main()
