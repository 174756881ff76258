"""The plant: rows from a feed in its process to a subscriber in another one, journal and store on.

A feed publishes trades, as one message a row or as batches of 1,000, into a plant with the
journal, the mapped store of today's rows and the q port; one subscriber in another process reads
them over q IPC. Rates count from the first publication to the last row received. Added delay is
from publication to receipt, by one monotonic clock, at a fifth of the rate that is asked for.

Run: python tests/bench/run.py --only plant
"""

import multiprocessing
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from tests.bench.figures import Figure, calibration, figure, table, touch_memory
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
SINGLE_ROWS = 200_000
BATCHED_ROWS = 3_000_000
REPEATS = 5


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


def _with_interval() -> list[Figure]:
    with workbench(Sync.INTERVAL) as bench:
        bench.measure(bench.feed.single, 20_000)
        single = [bench.measure(bench.feed.single, SINGLE_ROWS)[0] for _ in range(REPEATS)]
        paced = [
            bench.measure(bench.feed.paced, PACED_ROWS, is_timed=True)[1] for _ in range(REPEATS)
        ]
        batches = [
            (touch_memory(2), bench.measure(bench.feed.batches, BATCHED_ROWS)[0])
            for _ in range(REPEATS)
        ]
    delays = {
        share: [float(np.percentile(delays, share)) / 1000 for delays in paced]
        for share in (50, 99)
    }
    return [
        figure("plant to a subscriber, one row a message", "messages/s", single, at_least=1e5),
        figure(
            "plant to a subscriber, 1,000-row batches",
            "rows/s",
            [rate for _, rate in batches],
            at_least=3e6,
        ),
        figure("  first touch of this machine's memory", "MB/s", [rate for rate, _ in batches]),
        figure(f"added delay at {PACED_ROWS:,} messages/s, median", "µs", delays[50]),
        figure(f"added delay at {PACED_ROWS:,} messages/s, p99", "µs", delays[99], at_most=1000),
    ]


def _with_batch() -> list[Figure]:
    with workbench(Sync.BATCH) as bench:
        single = [bench.measure(bench.feed.single, 200)[0] for _ in range(REPEATS)]
        batches = [bench.measure(bench.feed.batches, 50 * BATCH_ROWS)[0] for _ in range(REPEATS)]
    return [
        figure("one row a message, each synced to disk", "messages/s", single),
        figure("1,000-row batches, each synced to disk", "rows/s", batches),
    ]


def measure() -> list[Figure]:
    """Measure with sync=interval, and with sync=batch beside it."""
    warm_up()
    return [*_with_interval(), *_with_batch()]


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    for row in table([calibration(), *measure()]):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:11} {row[4]:>11}  {row[5]}")


if __name__ == "__main__":
    main()
