"""The journal read back: replay into today's rows, a start on a large log, verification."""

import shutil
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from tests.bench.figures import Figure, figure, seconds, touch_memory
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.kernel import warm_up
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.journal import Journal, JournalSettings, logs
from tickloop.tickerplant.journal_check import verify
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.rdb import Rdb

ROWS = 2_000_000
REPEATS = 5
SYMBOLS = 100
SPARSE_BYTES = 10 << 30


def trades(symbols: Symbols, rows: int, first_seq: int) -> Batch:
    """Make surface trades with seqs from `first_seq` on."""
    draw = np.random.default_rng(first_seq)
    seq = np.arange(first_seq, first_seq + rows, dtype=np.int64)
    return Batch(
        TRADE,
        {
            "time": 10**17 + seq * 1000,
            "sym": draw.integers(0, SYMBOLS, rows).astype(np.int32),
            "price": draw.integers(100, 90_000, rows) / 100.0,
            "size": draw.integers(1, 1000, rows, dtype=np.int64),
            "side": np.full(rows, ord("B"), dtype=np.uint8),
            "cond": np.full(rows, -(2**31), dtype=np.int32),
            "ex": np.full(rows, SYMBOLS, dtype=np.int32),
            "trade_id": seq,
            "venue_time": 10**17 + seq * 1000,
            "seq": seq,
        },
    )


def write_log(root: Path, symbols: Symbols, *, rows: int, a_message: int) -> None:
    """Write trades into a fresh journal, so many a message."""
    encoder = Encoder(Names(symbols), fractional=False)
    (root / "journal").mkdir(parents=True)
    journal = Journal(
        root / "journal", Catalog(), encoder, OS_DOOR, JournalSettings(), lambda row: None
    )
    journal.open(date(2024, 1, 2), 10**17)
    group = 10_000
    for _ in range(rows // group):
        first = journal.begin(group, journal.last_time)
        batch = trades(symbols, group, first)
        data = b"".join(
            encoder.log_message(
                Batch(TRADE, {name: values[at : at + a_message] for name, values in
                              batch.columns.items()})
            )
            for at in range(0, group, a_message)
        )  # fmt: skip
        time = int(batch.columns["time"][-1])
        journal.append(data, messages=group // a_message, rows=group, time=time)
    journal.close()


def replay(root: Path, symbols: Symbols, number: int) -> int:
    """Read a journal into today's rows, as a start after a crash does."""
    rdb = Rdb(root / f"rdb{number}", Catalog())
    rows = 0
    for batch in JournalReader(root / "journal", Catalog(), symbols).tables(-1):
        rdb.append(batch)
        rows += len(batch)
    rdb.publish(rows)
    return rows


def _replay_rates(a_message: int) -> list[float]:
    symbols = Symbols([*(f"SYM{n}" for n in range(SYMBOLS)), "XNAS"])
    root = Path(tempfile.mkdtemp())
    try:
        write_log(root, symbols, rows=ROWS, a_message=a_message)
        return [ROWS / _replay_seconds(root, symbols, number) for number in range(REPEATS + 1)][1:]
    finally:
        shutil.rmtree(root)


def _replay_seconds(root: Path, symbols: Symbols, number: int) -> float:
    """Time one replay; its files go at once, so that the next one is given the same pages."""
    touch_memory(1)
    spent = seconds(lambda: replay(root, symbols, number))
    shutil.rmtree(root / f"rdb{number}")
    return spent


def sparse_log(root: Path, symbols: Symbols) -> None:
    """Make a log of SPARSE_BYTES whose middle is a hole that the sidecar vouches for."""
    write_log(root, symbols, rows=200_000, a_message=1000)
    log = logs(root / "journal")[0]
    raw = log.read_bytes()
    entries = np.frombuffer(
        sidecar.path_of(log).read_bytes(), dtype=sidecar.ENTRY, offset=sidecar.ENTRY.itemsize
    )
    # The real groups move behind a hole; the hole gets entries of 256 KiB, which no start reads.
    hole = SPARSE_BYTES - len(raw)
    block = 256 << 10
    with log.open("r+b") as file:
        file.truncate(8)
        file.seek(8 + hole // block * block)
        file.write(raw[8:])
    shift = hole // block * block
    with sidecar.path_of(log).open("wb") as index:
        index.write(sidecar.header())
        for start in range(8, 8 + shift, block):
            index.write(
                sidecar.entry(
                    offset=start, length=block, last_seq=0, last_time=0, messages=1, flags=0, crc=0
                )
            )
        for row in entries:
            index.write(
                sidecar.entry(
                    offset=int(row["offset"]) + shift, length=int(row["length"]),
                    last_seq=int(row["last_seq"]), last_time=int(row["last_time"]),
                    messages=int(row["messages"]), flags=int(row["flags"]), crc=int(row["crc"]),
                )
            )  # fmt: skip


def _start_seconds() -> list[float]:
    symbols = Symbols([*(f"SYM{n}" for n in range(SYMBOLS)), "XNAS"])
    root = Path(tempfile.mkdtemp())
    try:
        sparse_log(root, symbols)
        encoder = Encoder(Names(symbols), fractional=False)

        def start() -> None:
            journal = Journal(
                root / "journal", Catalog(), encoder, OS_DOOR, JournalSettings(), lambda row: None
            )
            assert not journal.cut_tails, journal.cut_tails
            assert journal.next_seq > 200_000

        return [seconds(start) for _ in range(REPEATS)]
    finally:
        shutil.rmtree(root)


def _verify_rate() -> list[float]:
    symbols = Symbols([*(f"SYM{n}" for n in range(SYMBOLS)), "XNAS"])
    root = Path(tempfile.mkdtemp())
    try:
        write_log(root, symbols, rows=ROWS, a_message=1000)
        log = logs(root / "journal")[0]
        size = log.stat().st_size / 1e6

        def check() -> None:
            assert verify(log, Catalog()).is_good

        return [size / seconds(check) for _ in range(REPEATS)]
    finally:
        shutil.rmtree(root)


def measure() -> list[Figure]:
    """Measure everything here."""
    warm_up()
    return [
        figure("journal replay into the RDB, 1,000-row messages", "rows/s", _replay_rates(1000),
               at_least=8e6),
        figure("journal replay into the RDB, single-row messages", "rows/s", _replay_rates(1),
               at_least=5e6),
        figure("start on a 10 GiB log with its sidecar", "s", _start_seconds(), at_most=1.0),
        figure("journal verify", "MB/s", _verify_rate()),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in measure():
        print(item)
