"""Small plants and rows for tests."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice, slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.schema import QUOTE, TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor
from tickloop.tickerplant.journal import JournalSettings
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.plant import Plant, PlantSettings

NOON = 820_540_800_000_000_000 - 43_200_000_000_000  # some instant of 2025-12-31, UTC


class Memory:
    """Today's rows in memory: what a store is given, in order."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.published = -1

    def append(self, rows: Batch) -> None:
        """Keep rows."""
        self.batches.append(rows)

    def publish(self, seq: int) -> None:
        """Remember what readers may see."""
        self.published = seq

    def add_symbols(self) -> None:
        """Symbols need no file here."""

    def rows(self, table: str) -> dict[str, npt.NDArray[np.generic]]:
        """Join a table's rows."""
        found = [batch for batch in self.batches if batch.table.name == table]
        return (
            {
                name: np.concatenate([batch.columns[name] for batch in found])
                for name in found[0].columns
            }
            if found
            else {}
        )


def small_journal(sync: Sync = Sync.BATCH) -> JournalSettings:
    """Bounds so small that spans and reservations happen in a short test."""
    return JournalSettings(sync=sync, interval_s=0.001, span_bytes=2000, reserve=64)


def plant_at(
    root: Path,
    *,
    door: FileDoor = OS_DOOR,
    journal: JournalSettings | None = None,
    symbols: Symbols | None = None,
    live: bool = False,
) -> tuple[Plant, Memory]:
    """Open a plant on a directory, with today's rows in memory."""
    directory = DataDirectory(root)
    for folder in (root, directory.journal, directory.rdb, directory.db):
        if not folder.exists():
            door.make_directory(folder)
            door.sync_directory(folder.parent)
    memory = Memory()
    settings = PlantSettings(journal=journal or small_journal(), tick_ns=1_000_000_000, live=live)
    plant = Plant(
        directory, Catalog(), Symbols() if symbols is None else symbols, memory, door, settings
    )
    return plant, memory


def trades(
    symbols: Symbols, count: int, *, start: int = 0, step_ns: int = 1000, time: int = NOON
) -> Batch:
    """Make trades whose values say which they are: trade_id counts on from `start`."""
    number = np.arange(start, start + count, dtype=np.int64)
    names = symbols.ids(f"S{n % 5}" for n in number.tolist())
    return Batch(
        TRADE,
        {
            "time": time + number * step_ns,
            "sym": names,
            "price": 1_000_000 + number,
            "size": 1 + number % 7,
            "side": np.where(number % 2, ord("B"), ord("S")).astype(np.uint8),
            "ex": np.full(count, symbols.id("XTST"), dtype=np.int32),
            "trade_id": number,
            "venue_time": time + number * step_ns - 500,
        },
    )


def quotes(symbols: Symbols, count: int, *, start: int = 0, time: int = NOON) -> Batch:
    """Make quotes around the trades' prices."""
    number = np.arange(start, start + count, dtype=np.int64)
    return Batch(
        QUOTE,
        {
            "time": time + number * 1000,
            "sym": symbols.ids(f"S{n % 5}" for n in number.tolist()),
            "bid": 999_900 + number,
            "ask": 1_000_100 + number,
            "bsize": 100 + number,
            "asize": 200 + number,
        },
    )


def mixed(symbols: Symbols, count: int, *, start: int = 0) -> Slice:
    """Interleave as many trades as quotes, trade first."""
    both = [trades(symbols, count, start=start), quotes(symbols, count, start=start)]
    return Slice(
        tuple(
            Batch(batch.table, {**batch.columns, "_place": np.arange(count) * 2 + rank})
            for rank, batch in enumerate(both)
        )
    )


def logged(root: Path, table: str = "trade", *, after: int = -1) -> list[tuple[int, int]]:
    """List (seq, trade_id) of the rows of a log, or (seq, seq) of another table's."""
    reader = JournalReader(root / "journal", Catalog(), Symbols())
    key = "trade_id" if table == "trade" else "seq"
    return [
        (int(seq), int(value))
        for rows in reader.messages(after)
        if rows.table.name == table
        for seq, value in zip(rows.columns["seq"], rows.columns[key], strict=True)
    ]


def publish_trades(plant: Plant, count: int, *, start: int = 0) -> int:
    """Publish trades as one slice."""
    return plant.publish(slice_of(trades(plant.symbols, count, start=start)))
