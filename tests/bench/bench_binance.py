"""Decoding recorded Binance frames: ns a message, beside json.loads of the same lines.

Run as `python tests/bench/bench_binance.py [path.gz ...]`; without paths, the recordings in the
directory that TICKLOOP_DATA names (by default `../shared/data`). `scan` is bytes to integer
records; `feed` is the whole way from the gzip file to slices, depth books included. json.loads
makes objects and converts no decimal, so it does less than `scan`. CPU time, best of five.
"""

import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time_ns

import numpy as np

from tickloop.core.instruments import Instruments
from tickloop.core.kernel import warm_up
from tickloop.core.symbols import Symbols
from tickloop.ingest.binance import BinanceFile
from tickloop.ingest.binance_frame import FRAME_COLUMNS, LEVEL_BYTES_MIN
from tickloop.ingest.binance_json import scan_lines
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.name_table import NameTable

DATA = Path(os.environ.get("TICKLOOP_DATA", Path(__file__).parents[3] / "shared" / "data"))
ROUNDS = 5


def best_ns(work: Callable[[], object]) -> int:
    """Give the shortest of some runs, in this process's own time."""
    spans = []
    for _ in range(ROUNDS):
        begun = process_time_ns()
        work()
        spans.append(process_time_ns() - begun)
    return min(spans)


def measure(path: Path) -> str:
    """Measure one recording and spell the result."""
    content = gzip.decompress(path.read_bytes())
    lines = [line.partition(b" ")[2] for line in content.splitlines()]
    text = np.frombuffer(bytearray(content), dtype=np.uint8)
    frames = np.empty((len(lines) + 1, FRAME_COLUMNS), dtype=np.int64)
    levels = np.empty((len(content) // LEVEL_BYTES_MIN + 2, 2), dtype=np.int64)
    places = np.array([8, 8], dtype=np.int64)
    names = NameTable()

    def scan() -> None:
        assert scan_lines(text, frames, levels, places, names.names, names.slots) == len(lines)

    def feed() -> None:
        opened = BinanceFile(path, FeedContext(Symbols(), Instruments()))
        rows = sum(step.rows for step in opened.slices())
        assert opened.messages == len(lines) and rows > 0

    spans = [best_ns(work) / len(lines) for work in (scan, feed, lambda: [*map(json.loads, lines)])]
    scanned, fed, loaded = spans
    return (
        f"{path.name:28} {len(lines):7} messages, {len(content) / len(lines):5.0f} bytes each:"
        f" scan {scanned:6.0f} ns, feed {fed:6.0f} ns, json.loads {loaded:6.0f} ns"
        f" ({loaded / scanned:.1f} × scan)"
    )


def main(paths: list[Path]) -> None:
    """Measure all recordings."""
    warm_up()
    for path in paths:
        print(measure(path))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or sorted(DATA.glob("binance-ws/*.gz")))
