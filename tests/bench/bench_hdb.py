"""Writing a day of trades: rows a second, beside the machine's raw write rate of the same bytes.

Run as `python tests/bench/bench_hdb.py [rows]`. Into the page cache: syncs are left out, since
they measure the disk. The rows are seeded; symbols arrive at random, the hardest order to part.
"""

import ctypes
import mmap
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.bench.figures import Figure, figure
from tickloop.core.batch import Columns
from tickloop.core.clock import monotonic_ns
from tickloop.core.kernel import warm_up
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.file_door import OsFileDoor
from tickloop.tickerplant.hdb import write_partition
from tickloop.tickerplant.partition import Partition

ROWS = 10_000_000
SYMBOLS = 500
THREADS = 2
DAY = date(2024, 3, 5)


class UnsyncedDoor(OsFileDoor):
    """The system's files without waiting for the disk."""

    def sync(self, fd: int) -> None:
        """Leave the bytes in the page cache."""

    def sync_directory(self, path: Path) -> None:
        """Leave the names in the page cache."""


def trades(rows: int, *, first_seq: int = 0) -> Columns:
    """Make trades of SYMBOLS symbols in random order."""
    draw = np.random.default_rng(7)
    times = first_seq + np.arange(rows, dtype=np.int64)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "time": times,
        "sym": draw.integers(0, SYMBOLS, rows, dtype=np.int32),
        "price": draw.integers(100, 90_000, rows) / 100.0,
        "size": draw.integers(1, 1000, rows, dtype=np.int64),
        "side": draw.integers(66, 83, rows).astype(np.uint8),
        "cond": np.full(rows, -1, dtype=np.int32),
        "ex": np.zeros(rows, dtype=np.int32),
        "trade_id": times,
        "venue_time": times,
        "seq": times,
    }
    return columns


def raw_write_seconds(directory: Path, files: list[int]) -> float:
    """Time plain writes of files of the given sizes, as many at once as the writer uses."""
    block = np.random.default_rng(1).integers(0, 255, 1 << 21, dtype=np.uint8).tobytes()

    def write(numbered: tuple[int, int]) -> None:
        number, size = numbered
        with (directory / str(number)).open("wb", buffering=0) as file:
            for start in range(0, size, len(block)):
                file.write(block[: size - start])

    begun = monotonic_ns()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, enumerate(files)))
    return (monotonic_ns() - begun) / 1e9


def pages_read_by_opening(directory: Path) -> int:
    """Open a date whose pages are not in memory; count the pages of values that are there then.

    A column's first page holds its header, and is left out.
    """
    for path in directory.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    partition = Partition(directory)
    lengths = {len(partition.column(name)) for name in partition.names}
    assert lengths == {partition.rows} and partition.parted is not None
    return sum(sum(_resident(directory / name)[1:]) for name in partition.names)


def _resident(path: Path) -> list[int]:
    """Tell by page whether a file is in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        values = np.frombuffer(mapped, dtype=np.uint8)
        seen = np.zeros(-(-len(values) // mmap.PAGESIZE), dtype=np.uint8)
        address, size = ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(len(values))
        failed = libc.mincore(address, size, ctypes.c_void_p(seen.ctypes.data))
        assert not failed, os.strerror(ctypes.get_errno())
        del values
    return [int(page) & 1 for page in seen]


def write_once(rows: int) -> tuple[float, float, int]:
    """Write a day once; give rows/s, the machine's rate for the same bytes, pages read to open."""
    columns = trades(rows)
    symbols = Symbols(f"S{number}" for number in range(SYMBOLS))
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "db"
        begun = monotonic_ns()
        written = write_partition(
            root, DAY, TRADE, columns, symbols, door=UnsyncedDoor(), threads=THREADS
        )
        seconds = (monotonic_ns() - begun) / 1e9
        sizes = [path.stat().st_size for path in written.path.iterdir()]
        pages = pages_read_by_opening(written.path)
        shutil.rmtree(root)
        raw = raw_write_seconds(Path(home), sizes)
    return rows / seconds, written.bytes / 1e6 / raw, pages


def measure(rows: int = ROWS) -> list[Figure]:
    """Measure the write, and the machine's raw write of as many bytes beside it."""
    warm_up()
    runs = [write_once(rows) for _ in range(3)]
    return [
        figure("HDB write of 10M trades, page cache", "rows/s", [run[0] for run in runs],
               at_least=2e6),
        figure("  raw write of the same bytes", "MB/s", [run[1] for run in runs]),
        figure("  pages of values read by opening that date", "pages", [run[2] for run in runs],
               at_most=0),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(item)
