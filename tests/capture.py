"""A small data directory for tests: rows that follow from their seq, and an oracle of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import date_of, midnight_ns
from tickloop.core.dialects.numpy import NULL_SYMBOL, nulls, surface_dtype
from tickloop.core.schema import CLOCK, QUOTE, TRADE, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import flush
from tickloop.tickerplant.database import Snapshot
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.file_door import OsFileDoor
from tickloop.tickerplant.kdb_names import extend_names
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.rdb import Rdb
from tickloop.tickerplant.segment import Text

NOTE = Table(
    "note",
    (
        Column("time", Kind.INSTANT),
        Column("sym", Kind.SYMBOL),
        Column("body", Kind.TEXT),
        Column("seq", Kind.LONG),
    ),
)
CATALOG = Catalog((TRADE, QUOTE, CLOCK, NOTE))
NAMES = ("AAA", "BBB", "CCC")
START = midnight_ns(date(2024, 1, 2))
STEP_NS = 60_000_000_000  # a row a minute: 1,440 rows a day


@dataclass(frozen=True)
class Told:
    """One row as the oracle knows it."""

    table: str
    session: date
    time: int
    sym: str
    seq: int
    detail: object


class UnsyncedDoor(OsFileDoor):
    """The system's files without waiting for the disk, which these tests never lose."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


DOOR = UnsyncedDoor()


def table_of(seq: int) -> Table:
    return (TRADE, QUOTE, TRADE, NOTE)[seq % 4]


def told(seq: int, *, zone: str = "UTC", roll_ns: int = 0) -> Told:
    table = table_of(seq)
    time = START + seq * STEP_NS
    sym = ("", *NAMES)[(seq // 4) % 4]
    detail: object = b"note %d" % seq if table is NOTE else None if seq % 8 == 0 else seq / 4
    return Told(table.name, date_of(time, zone=zone, roll_ns=roll_ns), time, sym, seq, detail)


def batches(seqs: Sequence[int]) -> Iterable[Batch]:
    """Make surface rows of all tables from seqs."""
    for table in (TRADE, QUOTE, NOTE):
        rows = [told(seq) for seq in seqs if table_of(seq) is table]
        if not rows:
            continue
        columns = {
            column.name: nulls(column.kind, len(rows), dtype=surface_dtype(column.kind))
            for column in table.columns
        }
        columns["seq"] = np.array([row.seq for row in rows])
        columns["time"] = np.array([row.time for row in rows])
        ids = [NAMES.index(row.sym) if row.sym else NULL_SYMBOL for row in rows]
        columns["sym"] = np.array(ids, dtype=np.int32)
        name = {"trade": "price", "quote": "bid", "note": "body"}[table.name]
        details = [np.nan if row.detail is None else row.detail for row in rows]
        columns[name] = np.array(details, dtype=object if table is NOTE else np.float64)
        yield Batch(table, columns)


class Capture:
    """A data directory with a writer of today's rows."""

    def __init__(self, root: Path, *, zone: str = "UTC", roll_ns: int = 0) -> None:
        self.root = root
        DataDirectory(root).create()
        extend_names(root / "db" / "sym", Symbols(NAMES), door=DOOR)
        self.rdb = Rdb(root / "rdb" / "1", CATALOG, segment_rows=64)
        first = Manifest(CATALOG, rdb="rdb/1", zone=zone, roll_ns=roll_ns)
        flush.adopt(root, DOOR, first)
        self.next_seq = 0

    def add(self, rows: int, *, publish: bool = True) -> None:
        for batch in batches(range(self.next_seq, self.next_seq + rows)):
            self.rdb.append(batch)
        self.next_seq += rows
        if publish:
            self.rdb.publish(self.next_seq - 1)


def rows_of(part: Part) -> Iterable[Told]:
    name = {"trade": "price", "quote": "bid", "note": "body"}[part.table.name]
    values = part.columns[name]
    if isinstance(values, Text):
        details: list[object] = list(values.to_list())
    else:
        numbers = np.asarray(values, dtype=np.float64)
        details = [None if np.isnan(number) else float(number) for number in numbers]
    names = part.names_of("sym")
    ids = np.asarray(part.columns["sym"]).tolist()
    times = np.asarray(part.columns["time"]).tolist()
    seqs = np.asarray(part.columns["seq"]).tolist()
    for time, symbol_id, seq, detail in zip(times, ids, seqs, details, strict=True):
        sym = names[symbol_id] if symbol_id >= 0 else ""
        assert part.session is not None
        yield Told(part.table.name, part.session, time, sym, seq, detail)


def all_rows(snapshot: Snapshot) -> list[Told]:
    """Read every row of the three tables, ordered by seq."""
    found = [
        row
        for table in ("trade", "quote", "note")
        for part in snapshot.parts(table)
        for row in rows_of(part)
    ]
    return sorted(found, key=lambda row: row.seq)
