"""Today's rows: appends a second, one row and a thousand rows at a time, and SQL over them.

Run as `python tests/bench/bench_rdb.py`. Trades; every append is published. The file system is
that of the temporary folder; nothing waits for the disk, since today's rows never do.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from tickloop.analytics.sql import SqlSession
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import monotonic_ns
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import TRADE
from tickloop.tickerplant import flush
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.rdb import Rdb

RUNS = 5
SIZES = {1: 200_000, 1000: 5000}  # rows an append, appends
QUERY = "SELECT sym, sum(price * size) / sum(size) AS vwap FROM trade GROUP BY sym"


def trades(rows: int) -> Batch:
    """Make trades of 500 symbols."""
    draw = np.random.default_rng(7)
    columns = {
        column.name: nulls(column.kind, rows, dtype=surface_dtype(column.kind))
        for column in TRADE.columns
    }
    columns["sym"] = draw.integers(0, 500, rows, dtype=np.int32)
    columns["price"] = draw.integers(100, 90_000, rows) / 100.0
    columns["size"] = draw.integers(1, 1000, rows)
    columns["time"] = columns["seq"] = np.arange(rows)
    return Batch(TRADE, columns)


def appends(rdb: Rdb, batch: Batch, times: int) -> float:
    """Append and publish a batch many times; return seconds."""
    start = monotonic_ns()
    for number in range(times):
        rdb.append(batch)
        rdb.publish(number)
    return (monotonic_ns() - start) / 1e9


def query(root: Path, rows: int) -> list[float]:
    """Time one query over rows that were never flushed; return milliseconds."""
    rdb = Rdb(root / "rdb" / "1", Catalog())
    flush.adopt(root, OS_DOOR, Manifest(rdb="rdb/1"))
    rdb.append(trades(rows))
    rdb.publish(rows)
    session = SqlSession(Database(root))
    taken = []
    for _ in range(RUNS):
        start = monotonic_ns()
        session.query(QUERY)
        taken.append((monotonic_ns() - start) / 1e6)
    session.close()
    return taken


def main() -> None:
    """Print medians and ranges of several runs."""
    root = Path(tempfile.mkdtemp(prefix="tickloop-bench-"))
    try:
        for rows, times in SIZES.items():
            rates = []
            for run in range(RUNS):
                rdb = Rdb(root / f"{rows}.{run}", Catalog())
                rates.append(rows * times / appends(rdb, trades(rows), times))
                shutil.rmtree(rdb.root)
            print(
                f"append {rows:>5} rows: {np.median(rates):>12,.0f} rows/s"
                f" ({min(rates):,.0f} to {max(rates):,.0f}),"
                f" {1e6 * rows / np.median(rates):.2f} us an append"
            )
        taken = query(root, 4_000_000)
        print(
            f"vwap by symbol of 4,000,000 rows of today: {np.median(taken):.1f} ms"
            f" ({min(taken):.1f} to {max(taken):.1f})"
        )
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
