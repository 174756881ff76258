"""The plant with everything on: journal, today's rows, one subscriber in another process."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.bench.figures import Figure, figure
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.core.batch import Batch, Slice, slice_of
from tickloop.core.clock import monotonic_ns
from tickloop.core.config import Config, PlantConfig
from tickloop.core.kernel import warm_up
from tickloop.core.schema import TRADE
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.q_client import QClient

SINGLE = 100_000
BATCHES = 2_000
BATCH_ROWS = 1_000
REPEATS = 3
SYMBOLS = 100


def subscribe(port: int, rows: int, a_message: int, pipe: Connection) -> None:
    """Receive `rows` rows in a process of its own; note when each message came.

    Messages are taken whole and not decoded: the figure is the plant's, not a client's.
    """
    call = q.items(q.symbol(".u.sub"), q.symbol("trade"), q.symbol(""))
    with QClient("127.0.0.1", port, timeout_s=120) as client:
        client.call(call)
        pipe.send("ready")
        arrivals: list[tuple[int, int]] = []
        seen = 0
        while seen < rows:
            assert client.receive_raw(60) is not None, f"{seen} of {rows} rows came"
            seen += a_message
            arrivals.append((seen, monotonic_ns()))
        pipe.send(arrivals)


@contextmanager
def plant(sync: str, rows: int, a_message: int) -> Iterator[tuple[PlantRun, Connection]]:
    """Open a plant that serves one subscriber, who waits for so many rows."""
    root = Path(tempfile.mkdtemp())
    config = Config(plant=PlantConfig(sync=sync))  # type: ignore[arg-type]
    run = PlantRun(root / "data", config, RunSettings("UTC", fractional=False, live=False))
    port = run.serve(0)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    peer = context.Process(target=subscribe, args=(port, rows, a_message, theirs), daemon=True)
    peer.start()
    try:
        while not ours.poll():
            run.poll(0.01)
        ours.recv()
        yield run, ours
    finally:
        peer.join(timeout=10)
        peer.kill()
        run.abandon()
        shutil.rmtree(root)


def _finish(run: PlantRun, pipe: Connection) -> list[tuple[int, int]]:
    while not pipe.poll():
        run.poll(0.001)
    found: list[tuple[int, int]] = pipe.recv()
    return found


def single_rows(sync: str, rows: int, *, gap_ns: int = 0) -> tuple[float, float]:
    """Publish one message a row, one call a row; give messages/s and the 99th percentile delay.

    With `gap_ns` rows are published that far apart, which shows the delay that grouping adds;
    without, the subscriber's queue is what one measures.
    """
    with plant(sync, rows, 1) as (run, pipe):
        ids = run.symbols.ids([f"SYM{n}" for n in range(SYMBOLS)])
        records = np.zeros(rows, dtype=Layout(TRADE).record_dtype)
        records["time"] = 10**17 + np.arange(rows)
        records["sym"] = ids[np.arange(rows) % SYMBOLS]
        records["price"], records["size"], records["side"] = 100.25, 300, ord("B")
        records["cond"] = records["ex"] = -(2**31)
        sent = np.zeros(rows, dtype=np.int64)
        started = monotonic_ns()
        for row in range(rows):
            run.plant.publish_rows(TRADE, records[row : row + 1])
            sent[row] = monotonic_ns()
            if gap_ns or row % 64 == 63:
                run.poll(0.0)
            while gap_ns and monotonic_ns() < started + (row + 1) * gap_ns:
                run.poll(0.0)
        run.poll(0.0)
        arrivals = _finish(run, pipe)
        seconds = (arrivals[-1][1] - started) / 1e9
        counts = np.array([count for count, _ in arrivals])
        times = np.array([time for _, time in arrivals])
        delays = times[np.searchsorted(counts, np.arange(rows), side="right")] - sent
        return rows / seconds, float(np.percentile(delays, 99)) / 1e6


def batches(sync: str, count: int) -> float:
    """Publish batches of BATCH_ROWS rows; give rows/s until the subscriber has the last."""
    with plant(sync, count * BATCH_ROWS, BATCH_ROWS) as (run, pipe):
        ids = run.symbols.ids([f"SYM{n}" for n in range(SYMBOLS)])
        slices = [_slice(ids[np.arange(BATCH_ROWS) % SYMBOLS], number) for number in range(count)]
        started = monotonic_ns()
        for rows in slices:
            run.plant.publish(rows)
            run.poll(0.0)
        arrivals = _finish(run, pipe)
        return count * BATCH_ROWS / ((arrivals[-1][1] - started) / 1e9)


def _slice(ids: np.ndarray[tuple[int], np.dtype[np.int32]], number: int) -> Slice:
    count = np.arange(BATCH_ROWS, dtype=np.int64) + number * BATCH_ROWS
    return slice_of(
        Batch(
            TRADE,
            {
                "time": 10**17 + count, "sym": ids, "price": 1_000_000 + count % 1000,
                "size": 1 + count % 500, "side": np.full(BATCH_ROWS, ord("S"), dtype=np.uint8),
                "trade_id": count, "venue_time": 10**17 + count,
            },
        )
    )  # fmt: skip


def measure() -> list[Figure]:
    """Measure both ways of publishing, with the interval and with a sync for every batch."""
    warm_up()
    single_rows("interval", 2_000)
    single = [single_rows("interval", SINGLE) for _ in range(REPEATS)]
    return [
        figure("plant, one message a row, sync=interval", "messages/s", [r for r, _ in single],
               at_least=1e5),
        figure("  publish to received at 10,000/s, 99th percentile", "ms",
               [single_rows("interval", 20_000, gap_ns=100_000)[1] for _ in range(REPEATS)]),
        figure("plant, 1,000-row batches, sync=interval", "rows/s",
               [batches("interval", BATCHES) for _ in range(REPEATS)], at_least=3e6),
        figure("plant, one message a row, sync=batch", "messages/s",
               [single_rows("batch", 2_000)[0] for _ in range(REPEATS)]),
        figure("plant, 1,000-row batches, sync=batch", "rows/s",
               [batches("batch", 200) for _ in range(REPEATS)]),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in measure():
        print(item)
