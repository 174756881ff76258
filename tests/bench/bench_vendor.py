"""Reading vendors' files to rows: nanoseconds a message, unpacking, decoding and books included.

Run as `python tests/bench/bench_vendor.py [repeats]`. Each line is the best and the median of the
repeats, kernels warm. `mbp-1 x 200` is a real four minutes 200 times over, so that the start of
a file does not count; the others are whole real files.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tickloop.core.clock import monotonic_ns
from tickloop.core.instruments import Instruments
from tickloop.core.kernel import warm_up
from tickloop.core.symbols import Symbols
from tickloop.ingest.dbn import DbnFile
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.lobster import LobsterFile

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
LOBSTER = "lobster/LOBSTER_SampleFile_{}.zip"
MBO = "dbn/nautilus/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
MBP_1 = "dbn/nautilus/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
COPIES = 200

NewFeed = Callable[[], LobsterFile | DbnFile]


def new_context() -> FeedContext:
    """Make a context with nothing in it yet."""
    return FeedContext(Symbols(), Instruments())


def nanoseconds_a_message(new_feed: NewFeed) -> tuple[float, int, int]:
    """Read a feed to its end: nanoseconds a message, messages, rows."""
    start = monotonic_ns()
    feed = new_feed()
    rows = sum(piece.rows for piece in feed.slices())
    return (monotonic_ns() - start) / feed.messages, feed.messages, rows


def lobster(name: str, *, book: bool) -> NewFeed:
    """Make what opens a LOBSTER sample."""
    return lambda: LobsterFile(DATA / LOBSTER.format(name), new_context(), book=book)


def copied(folder: Path) -> Path:
    """Write the mbp-1 sample's records many times over."""
    packed = pa.CompressedInputStream(pa.BufferReader((DATA / MBP_1).read_bytes()), "zstd")
    content = bytes(packed.read())
    head = 8 + int.from_bytes(content[4:8], "little")
    path = folder / "mbp-1.dbn"
    path.write_bytes(content[:head] + content[head:] * COPIES)
    return path


def main(repeats: int) -> None:
    """Print a line a workload."""
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        tiled = copied(Path(folder))
        workloads: list[tuple[str, NewFeed]] = [
            (f"lobster {name}{'' if book else ', messages only'}", lobster(name, book=book))
            for name in ("AAPL_2012-06-21_1", "AMZN_2012-06-21_5")
            for book in (True, False)
        ]
        workloads.append(("dbn mbo ESH4", lambda: DbnFile(DATA / MBO, new_context())))
        workloads.append((f"dbn mbp-1 x {COPIES}", lambda: DbnFile(tiled, new_context())))
        for name, new_feed in workloads:
            runs = [nanoseconds_a_message(new_feed) for _ in range(repeats)]
            best, middle = min(run[0] for run in runs), statistics.median(run[0] for run in runs)
            print(
                f"{name:42} {best:7.0f} ns best {middle:7.0f} ns median a message"
                f" ({runs[0][1]:,} messages, {runs[0][2]:,} rows)"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
