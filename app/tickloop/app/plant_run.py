"""One run of a plant on a data directory: open, recover, capture, flush, serve, close."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.app import known_units
from tickloop.app.beside import Beside, Wanted
from tickloop.app.catalogs import catalog_of
from tickloop.app.history import History
from tickloop.app.password_file import read_passwords
from tickloop.app.publish_rights import read_rights
from tickloop.app.streams import Streams, jobs_of
from tickloop.core.batch import Batch, Slice
from tickloop.core.catalog import Catalog
from tickloop.core.clock import WallClock, iso
from tickloop.core.config import Config
from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import Table
from tickloop.core.symbols import Symbols
from tickloop.streaming.ticks import at_ticks
from tickloop.tickerplant import flush, manifest
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.directory import DataDirectory, Run
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.hdb_info import is_read_only
from tickloop.tickerplant.journal import JournalSettings
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.kdb_names import extend_names, read_names
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.plant import Plant, PlantSettings
from tickloop.tickerplant.plant_service import PlantService, ServiceSettings
from tickloop.tickerplant.q_server import Server, ServerLimits
from tickloop.tickerplant.rdb import Rdb
from tickloop.tickerplant.segment import Text, Values
from tickloop.tickerplant.wire_subscriber import SlowPolicy

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run is for."""

    zone: str
    fractional: bool
    live: bool
    brought: tuple[Table, ...] = ()  # tables that the feed brings along


class Store:
    """Today's rows and the symbol file, as the plant writes them."""

    def __init__(self, rdb: Rdb, sym: Path, symbols: Symbols) -> None:
        self.rdb = rdb
        self._sym = sym
        self._symbols = symbols
        self.rows = 0
        self.append = self._append
        self.publish = rdb.publish

    def _append(self, rows: Batch) -> None:
        self.rows += len(rows)
        self.rdb.append(rows)

    def add_symbols(self) -> None:
        """Append new names to the database's symbol file."""
        extend_names(self._sym, self._symbols)


class PlantRun:
    """A plant with its store, and its port if it serves."""

    def __init__(self, root: Path, config: Config, settings: RunSettings) -> None:
        self.config = config
        self.directory = DataDirectory(root)
        self.directory.create()
        self.directory.hold()
        try:
            with self._writing("today's rows"):
                self._open(settings)
        except BaseException:
            self.directory.release()
            raise

    def _open(self, settings: RunSettings) -> None:
        root, config = self.directory.root, self.config
        found = manifest.read(root)
        if found is None and (is_read_only(root) or any(self.directory.db.iterdir())):
            raise DataDirectoryError(
                f"{root} holds an imported database, which captures do not write into;"
                " give another --data directory"
            )
        catalog = catalog_of(config, fractional=settings.fractional, brought=settings.brought)
        if found is not None:
            catalog = _agreed(found, catalog, root)
        self.manifest = found or Manifest(
            catalog=catalog, zone=config.plant.zone or settings.zone,
            roll_ns=config.plant.roll_minutes * 60_000_000_000,
        )  # fmt: skip
        sym = self.directory.sym
        self.symbols = Symbols(read_names(sym) if sym.exists() else ())
        rdb = f"rdb/{self.manifest.generation + 1}"
        folder = root / rdb
        if folder.exists():
            shutil.rmtree(folder)
        self.store = Store(Rdb(folder, catalog), self.directory.sym, self.symbols)
        self._settings = settings
        self.plant = Plant(
            self.directory, catalog, self.symbols, self.store, OS_DOOR, self._plant_settings()
        )
        self.recovered = self._rebuild_today()
        adopted = flush.adopt(root, OS_DOOR, replace(self.manifest, catalog=catalog, rdb=rdb))
        self.history = History(root, self.store.rdb, adopted)
        self._session: date | None = None
        self.database = Database(root)
        known_units.recall(self.database, self.symbols, self.plant.instruments)
        self.server: Server | None = None
        self.service: PlantService | None = None
        self._rights: Callable[[str, str], bool] = _everybody
        self.beside: Beside | None = None
        self.closed_tables: frozenset[str] = frozenset()  # that no peer may publish into
        self.on_guest: Callable[[], None] = _nothing  # told before a peer publishes
        self.on_answers: Callable[[dict[str, int]], None] = _no_ports  # told when they are open
        self._flushed_rows = 0
        self.streams = Streams(jobs_of(config), self.plant, config)

    def _plant_settings(self) -> PlantSettings:
        wanted = self.config.plant
        journal = JournalSettings(
            plant=wanted.name, sync=Sync(wanted.sync), interval_s=wanted.sync_interval_ms / 1000,
            span_bytes=wanted.span_mib * _MIB,
        )  # fmt: skip
        return PlantSettings(
            journal=journal, zone=self.manifest.zone, roll_ns=self.manifest.roll_ns,
            tick_ns=wanted.clock_ms * 1_000_000, live=self._settings.live,
        )  # fmt: skip

    def _rebuild_today(self) -> int:
        """Replay what the log holds past history's watermark.

        Names that a crash took from the symbol file are still in the log, in the order of ids.
        """
        reader = JournalReader(self.directory.journal, self.plant.catalog, self.symbols)
        rows = 0
        last = self.manifest.watermark
        for batch in reader.tables(self.manifest.watermark):
            self.store.append(batch)
            rows += len(batch)
            last = max(last, int(batch.columns["seq"][-1]))
        self.store.add_symbols()
        if rows:
            self.store.publish(last)
        return rows

    def publish(self, rows: Slice) -> None:
        """Publish a feed's rows, and what streams make of them.

        Of a replay's rows, what a tick of the clock causes is logged at that tick.
        """
        is_replay = self.streams.are_any and not self._settings.live
        tick_ns = self.plant.settings.tick_ns if is_replay else 0
        for tick, part in at_ticks(rows, tick_ns, self.plant.last_time):
            if tick is not None:
                self.plant.advance_to(tick)
                self.streams.pump()
            self.plant.publish(part)
            self.streams.pump()

    def advance_to(self, time: int) -> None:
        """Let a replay's time come to an instant without rows, as its own clock told."""
        self.plant.advance_to(time)
        self.streams.pump()

    # Serving

    def serve(self, port: int | None = None) -> int:
        """Open the plant's q port; return its number."""
        wanted = self.config.serve
        queue = wanted.queue_mib * _MIB
        self._rights = read_rights(wanted, self.plant.catalog.by_name)
        self.service = PlantService(
            self.plant, _Shown(self.database, self.plant),
            ServiceSettings(
                queue_bytes=queue, slow=SlowPolicy(wanted.slow), may_publish=self._may_publish
            ),
        )  # fmt: skip
        self.server = Server(
            self.service, port=wanted.port if port is None else port, host=wanted.host,
            limits=ServerLimits(
                message_bytes=256 * _MIB, message_values=100_000, queue_bytes=queue,
                connections=1000, login_s=10.0,
            ),
            authenticate=read_passwords(wanted.password_file) if wanted.password_file else None,
        )  # fmt: skip
        return self.server.port

    def _may_publish(self, user: str, table: str) -> bool:
        if table in self.closed_tables or not self._rights(user, table):
            return False
        self.on_guest()
        return True

    def answer_beside(self, wanted: Wanted) -> None:
        """Open the ports of q and SQL clients in a process of their own; `poll` hears of it."""
        self.beside = Beside(self.directory.root, wanted)

    def announce(self) -> None:
        """Tell other processes that this one writes here."""
        ports = {"plant": self.server.port} if self.server else {}
        ports.update(self.beside.ports if self.beside else {})
        self.directory.announce(Run(os.getpid(), iso(WallClock().now()), ports))

    def poll(self, timeout_s: float) -> None:
        """Let peers be served and time pass."""
        if self.server is not None and self.service is not None:
            self.server.poll(0.0 if self.service.has_work else timeout_s)
            self.service.pump()
            self.server.flush()
        if self.beside is not None and self.beside.poll():
            self.announce()
            self.on_answers(self.beside.ports)
        self.plant.tick()
        self.streams.pump()

    # History

    def flush_if_full(self) -> bool:
        """Move today's rows into history when there are many, or when a session ended."""
        session = self.plant.journal.session
        if self._session is not None and session != self._session:
            self._end_session(self._session)
        self._session = session
        waiting = self.store.rows - self._flushed_rows
        is_moving = self._is_moving
        if waiting < self.config.store.flush_rows:
            return False
        if not is_moving:
            self._flushed_rows = self.store.rows
            self.history.flush_beside()
            return True
        if waiting < 2 * self.config.store.flush_rows:
            return False
        # The disk is slower than the feed, which has to wait.
        self.flush()
        return True

    @property
    def _is_moving(self) -> bool:
        with self._writing("history"):
            return self.history.is_moving

    def _end_session(self, ended: date) -> None:
        """Merge what ended while the capture goes on."""
        self.flush()
        self.history.merge_beside(before=self.plant.journal.session or ended)

    def flush(self) -> None:
        """Move every row that readers see into chunks of history."""
        self._flushed_rows = self.store.rows
        with self._writing("history"):
            self.history.flush()

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Say where it was that the system refused to write."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.directory.root
            raise StoreError(
                f"{where}: {what} could not be written ({error.strerror or error}); every row is"
                " in the journal still: free some space, or mend the disk"
            ) from error

    def finish(self) -> Iterator[str]:
        """Merge every chunk into its date's partition; yields each date when it is done."""
        with self._writing("history"):
            for session in self.history.merge_all():
                yield session.isoformat()

    def close(self) -> None:
        """End the run in order: nothing is left to recover."""
        self._leave_beside()
        if self.server is not None:
            self.server.close()
        self.streams.close()
        self.plant.close()
        self.streams.keep()
        self.flush()
        for _ in self.finish():
            pass
        self.history.close()
        self.store.rdb.close()
        self.directory.release()

    def _leave_beside(self) -> None:
        if self.beside is not None:
            self.beside.close()
            self.beside = None

    def abandon(self) -> None:
        """Let go after a failure; the next run recovers from the log."""
        self._leave_beside()
        if self.server is not None:
            self.server.close()
        self.plant.journal.abandon()
        self.history.close()
        self.directory.release()


def _everybody(user: str, table: str) -> bool:
    """Let everybody who was let in publish."""
    return True


def _nothing() -> None:
    """Nobody wants to know."""


def _no_ports(ports: dict[str, int]) -> None:
    """Nobody wants to know."""


def _agreed(found: Manifest, asked: Catalog, root: Path) -> Catalog:
    """Give the directory's tables, with the ones that are new; sizes keep their kind.

    Tables that are there keep their columns; a stream that has others is refused when it begins.
    """
    if asked.fractional and not found.catalog.fractional:
        raise DataDirectoryError(
            f"{root} holds whole sizes, this feed has fractional ones; capture it into another"
            " --data directory"
        )
    new = [table for table in asked.tables if table.name not in found.catalog]
    return Catalog((*found.catalog.tables, *new), found.catalog.fractional)


class _Shown:
    """What the plant's own port shows: the database's snapshot."""

    def __init__(self, database: Database, plant: Plant) -> None:
        self._database = database
        self._plant = plant

    def count(self, table: str) -> int:
        """Count rows."""
        return sum(len(part) for part in self._database.snapshot().parts(table))

    def batches(self, table: str) -> Iterable[Batch]:
        """Read rows part by part."""
        for part in self._database.snapshot().parts(table):
            yield Batch(
                self._plant.catalog[table],
                {name: _as_array(values) for name, values in part.columns.items()},
            )


def _as_array(values: Values) -> npt.NDArray[np.generic]:
    if not isinstance(values, Text):
        return values
    texts = np.empty(len(values), dtype="|O")
    texts[:] = values.to_list()
    return texts
