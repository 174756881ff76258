"""Runtimes of operators as tests call them: the same rows in, derived rows out as plain bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.market_log import PRICE_UNITS
from tests.plants import plant_at, small_journal
from tickloop.core.batch import Batch, Slice, concatenate
from tickloop.core.catalog import Catalog
from tickloop.core.instruments import Instruments
from tickloop.core.own_tables import declared
from tickloop.core.schema import JOURNAL, SYMBOL, Kind
from tickloop.core.symbols import Symbols
from tickloop.streaming.drivers import batch as in_batch
from tickloop.streaming.drivers import embedded as in_plant
from tickloop.streaming.job import Job
from tickloop.streaming.snapshots import SnapshotFile
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.inside import Insider
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.surface import Surfacer

Runtime = Callable[[Job, Sequence[Slice], Symbols, Path], dict[str, bytes]]
NEVER_AGAIN = in_plant.Cadence(snapshot_rows=1 << 60)
ALWAYS = in_plant.Cadence(snapshot_rows=1)

_OWN = {JOURNAL.name, SYMBOL.name}


def batch(job: Job, slices: Sequence[Slice], symbols: Symbols, root: Path) -> dict[str, bytes]:
    """Log the rows first, then run over the log."""
    plant = opened(root, symbols)
    for rows in slices:
        plant.publish(rows)
    plant.close()
    return recomputed(job, root)


def embedded(job: Job, slices: Sequence[Slice], symbols: Symbols, root: Path) -> dict[str, bytes]:
    """Run while the rows enter the log."""
    plant = opened(root, symbols)
    driver = attached(job, plant)
    for rows in slices:
        plant.publish(rows)
        driver.pump()
    finish(driver, plant)
    return recorded(job, root)


def crashing(job: Job, slices: Sequence[Slice], symbols: Symbols, root: Path) -> dict[str, bytes]:
    """Kill the plant after every publication, by turns before and after the driver took it in."""
    for number, rows in enumerate(slices):
        plant = opened(root, symbols)
        driver = attached(job, plant, ALWAYS if number % 3 else NEVER_AGAIN)
        plant.publish(rows)
        if number % 2:
            driver.pump()
        plant.journal.abandon()
    plant = opened(root, symbols)
    finish(attached(job, plant), plant)
    return recorded(job, root)


def opened(root: Path, symbols: Symbols) -> Plant:
    """Open a plant; it knows the units of the market's symbols, as a feed or a run tells it."""
    plant, _ = plant_at(root, symbols=symbols, journal=small_journal(Sync.NONE))
    for symbol, unit in enumerate(PRICE_UNITS):
        plant.instruments.declare(symbol, price_unit=unit, size_unit=0)
    return plant


def attached(job: Job, plant: Plant, cadence: in_plant.Cadence = NEVER_AGAIN) -> in_plant.Driver:
    """Attach a driver to a plant."""
    kept = SnapshotFile(plant.directory.root, job.name, OS_DOOR)
    return in_plant.Driver(job, plant, kept, cadence)


def finish(driver: in_plant.Driver, plant: Plant) -> None:
    """End in order."""
    driver.close()
    plant.close()
    driver.keep()
    assert driver.failure is None, driver.failure


def logged(root: Path, symbols: Symbols, catalog: Catalog | None = None) -> list[Batch]:
    """Read a log."""
    return list(JournalReader(root / "journal", catalog or Catalog(), symbols).messages(-1))


def catalog_of(*jobs: Job) -> Catalog:
    """Give the tables that there are where these jobs run."""
    own = {name: each for job in jobs for name, each in declared(job.operator).items()}
    return Catalog().with_user_tables(own.values())


def recorded(job: Job, root: Path, *beside: Job) -> dict[str, bytes]:
    """Give the derived rows that a log has, of one job of several."""
    symbols = Symbols()
    rows = logged(root, symbols, catalog_of(job, *beside))
    made = [row for row in rows if row.table.name in job.operator.outputs]
    return plain(made, causes(job, rows), symbols)


def recomputed(job: Job, root: Path, *, at_once: bool = False) -> dict[str, bytes]:
    """Give the derived rows that a batch run makes of a log's inputs, or a fold of all at once."""
    symbols = Symbols()
    rows = logged(root, symbols, catalog_of(job))
    insider = Insider(symbols, Instruments())
    inputs = [row for row in rows if not row.table.is_derived]
    tables = {row.table.name for row in inputs}
    groups = [inputs] if at_once else in_batch.groups_of(rows, tables)
    inside = ([insider.inside(each) for each in _units_first(group)] for group in groups)
    made = list(in_batch.Driver(job, inside).rows())
    return plain([surfaced(job, each, insider, symbols) for each in made], inputs, symbols)


def _units_first(group: Sequence[Batch]) -> Sequence[Batch]:
    return sorted(group, key=lambda each: each.table.name != "instrument")


def surfaced(job: Job, made: Batch, insider: Insider, symbols: Symbols) -> Batch:
    """Spell derived rows as the log does."""
    columns = dict(made.columns)
    for column in made.table.columns:
        values = columns.get(column.name)
        if column.kind is Kind.SYMBOL and values is not None and values.dtype.kind == "S":
            columns[column.name] = symbols.ids(name.decode() for name in values.tolist())
    columns["stream"] = np.full(len(made), symbols.id(job.name), dtype=np.int32)
    blank = np.zeros(len(made), dtype=np.int64)
    surfacer = Surfacer(insider.instruments, fractional=False)
    return surfacer.surface(Batch(made.table, columns), blank, blank)


def causes(job: Job, log: Sequence[Batch]) -> list[Batch]:
    """Give the rows that can cause a job's: what feeds wrote, or what it reads of other jobs."""
    chained = {row.table.name for row in log if row.table.is_derived} & {*job.operator.tables}
    return [
        row for row in log if (row.table.name in chained if chained else not row.table.is_derived)
    ]


def plain(made: Sequence[Batch], inputs: Sequence[Batch], symbols: Symbols) -> dict[str, bytes]:
    """Spell rows by table, free of what differs from log to log: ids, seqs, and the log's times.

    A cause is the number of inputs before it.
    """
    found = [row.columns["seq"] for row in inputs if row.table.name not in _OWN]
    seqs = np.sort(np.concatenate(found))
    by_table: dict[str, list[Batch]] = {}
    for each in made:
        by_table.setdefault(each.table.name, []).append(each)
    return {name: _spelled(concatenate(found), seqs, symbols) for name, found in by_table.items()}


def _spelled(rows: Batch, seqs: npt.NDArray[np.generic], symbols: Symbols) -> bytes:
    parts = []
    for column in rows.table.columns:
        values = rows.columns[column.name]
        if column.name in ("time", "seq"):
            continue
        if column.name == "cause":
            assert np.isin(values, seqs).all(), "a cause that is no input"
            values = np.searchsorted(seqs, values)
        if column.kind is Kind.SYMBOL:
            values = np.array([symbols.name(each) for each in values.tolist()], dtype="U32")
        parts.append(f"{column.name} {values.dtype} {len(values)}\n".encode() + values.tobytes())
    return b"".join(parts)
