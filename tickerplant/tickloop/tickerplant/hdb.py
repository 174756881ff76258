"""History by date: partitions in kdb+'s splayed layout, written whole and swapped in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tickloop.core.batch import Columns
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.errors import SchemaError, StoreError
from tickloop.core.schema import Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor, remove_tree
from tickloop.tickerplant.kdb_names import extend_names, read_names
from tickloop.tickerplant.part_order import KEEP_ALL, Ordered, PartOrder, part_order
from tickloop.tickerplant.partition import Partition
from tickloop.tickerplant.partition_writer import ColumnSource, column_source, write_files

SYM_FILE = "sym"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left: where, how many rows in all, how many of them were there before."""

    path: Path
    rows: int
    kept_rows: int
    bytes: int
    new_symbols: int


def partition_name(session_date: date) -> str:
    """Spell a date as kdb+ names its partition: 2015.01.07."""
    return session_date.strftime("%Y.%m.%d")


def staging_of(root: Path) -> Path:
    """Name the directory beside the database in which partitions are made ready."""
    return root.with_name(root.name + ".staging")


def open_partition(root: Path, session_date: date, table: str) -> Partition:
    """Open a table's partition by name; StoreError if there is none."""
    return Partition(root / partition_name(session_date) / table)


def write_partition(
    root: Path,
    session_date: date,
    table: Table,
    columns: Columns | Sequence[Columns],
    symbols: Symbols | None,
    *,
    watermark: int | None = None,
    fractional: bool = False,
    also: Sequence[Table] = (),
    door: FileDoor = OS_DOOR,
    threads: int = 4,
    for_kdb: bool = False,
) -> Written:
    """Add rows to a table's partition: parted by symbol, in seq order within each symbol.

    `columns` are surface columns in seq order, or those of several batches one after the other,
    `sym` and other symbols as int32 ids of `symbols`; names that the symbol file lacks are added
    to it (None: it has them all). Rows that the partition has with seq up to `watermark` stay
    (None: all), later ones make way, so a flush that a crash interrupted may be repeated. All
    new rows must come after the rows that stay. A new date gets empty tables for `also` in the
    same step. `for_kdb` adds kdb+'s own index of `sym`, of which no symbol may be null then.

    The new partition is written and synced beside the database, then swapped in by one rename:
    a reader or a crash sees the old one or the new one. StoreError if the disk refuses, if rows
    overlap, or if the partition's columns are of other types.
    """
    target = root / partition_name(session_date) / table.name
    existing = Partition(target) if target.exists() else None
    batches = [columns] if isinstance(columns, Mapping) else columns
    with _disk_errors(target):
        _prepare(root, door)
        new_symbols, known = _symbols(root, symbols, door)
        sources = _sources(table, batches, existing, fractional=fractional)
        order = _order(table, batches, existing, watermark, known=known)
        staged = _staged(root, target, door)
        written = write_files(
            staged, table, sources, order, door=door, threads=threads, for_kdb=for_kdb
        )
        if target.parent.exists():
            _publish(staged, target, door)
        else:
            empty = [each for each in also if each.name != table.name]
            _publish_date(staged, target, empty, fractional=fractional, door=door, for_kdb=for_kdb)
    kept = len(order.order) - sum(len(batch["seq"]) for batch in batches)
    return Written(target, len(order.order), kept, written, new_symbols)


def _symbols(root: Path, symbols: Symbols | None, door: FileDoor) -> tuple[int, int]:
    """Give how many names were added to the symbol file, and how many there are."""
    if symbols is None:
        return 0, len(read_names(root / SYM_FILE))
    return extend_names(root / SYM_FILE, symbols, door=door), len(symbols)


def fill_partitions(
    root: Path, tables: Sequence[Table], *, fractional: bool = False, door: FileDoor = OS_DOOR
) -> list[Path]:
    """Give every date an empty table where it lacks one, as .Q.chk does; list what was added."""
    added = []
    for directory in sorted(root.iterdir()) if root.exists() else []:
        if not is_date_name(directory.name):
            continue
        for table in tables:
            target = directory / table.name
            if not target.exists():
                with _disk_errors(target):
                    _prepare(root, door)
                    staged = _staged(root, target, door)
                    _write_empty(staged, table, fractional=fractional, door=door)
                    _publish(staged, target, door)
                added.append(target)
    return added


def recover(root: Path, *, door: FileDoor = OS_DOOR) -> None:
    """Clear what an interrupted write left beside and, without an atomic swap, in the database."""
    staging = staging_of(root)
    if staging.exists():
        remove_tree(door, staging)
    for aside in sorted(root.glob("*/*.swap")):
        target = aside.with_suffix("")
        if target.exists():
            remove_tree(door, aside)
        else:
            door.rename(aside, target)
        door.sync_directory(target.parent)


def is_date_name(name: str) -> bool:
    """Tell whether a directory's name is a date as kdb+ spells it."""
    digits = name.replace(".", "")
    if len(name) != 10 or name[4] != "." or name[7] != "." or not digits.isdecimal():
        return False
    try:
        date(int(name[:4]), int(name[5:7]), int(name[8:]))
    except ValueError:
        return False
    return True


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{target}: writing stopped: {error}; what is there is whole, the old partition or the"
            " new one, and the journal has the rows: make room or mend the disk, then flush again"
        ) from error


def _prepare(root: Path, door: FileDoor) -> None:
    if (root / "par.txt").exists():
        raise StoreError(f"{root}: a segmented kdb+ database (par.txt) is only read here")
    for directory in (root, staging_of(root)):
        if not directory.exists():
            door.make_directory(directory)
            door.sync_directory(directory.parent)


def _staged(root: Path, target: Path, door: FileDoor) -> Path:
    staged = staging_of(root) / f"{target.parent.name}.{target.name}"
    if staged.exists():
        remove_tree(door, staged)
    return staged


def _sources(
    table: Table, batches: Sequence[Columns], existing: Partition | None, *, fractional: bool
) -> list[ColumnSource]:
    missing = [name for batch in batches for name in table.names if name not in batch]
    if missing:
        raise SchemaError(f"{table.name}: rows lack the columns {', '.join(missing)}")
    unknown = sorted(set(existing.names if existing else ()) - set(table.names))
    if existing is not None and unknown:
        raise StoreError(
            f"{existing.directory}: columns {', '.join(unknown)} are not in the schema; this"
            " partition was written by a newer version or by hand"
        )
    return [
        column_source(
            column, [batch[column.name] for batch in batches], existing, fractional=fractional
        )
        for column in table.columns
    ]


def _order(
    table: Table,
    batches: Sequence[Columns],
    existing: Partition | None,
    watermark: int | None,
    *,
    known: int,
) -> PartOrder:
    keep_to = KEEP_ALL if watermark is None else watermark
    old_ids = old_seqs = np.empty(0, dtype=np.int64)
    if existing is not None:
        old_ids, old_seqs = _longs(existing, "sym"), _longs(existing, "seq")
    kept = old_seqs if watermark is None else old_seqs[old_seqs <= keep_to]
    last_kept = int(kept.max()) if len(kept) else -1
    for batch in batches:
        seqs = np.asarray(batch["seq"])
        if len(seqs) and int(seqs.min()) <= last_kept:
            raise StoreError(
                f"{table.name}: rows from seq {seqs.min()} on, but the partition keeps rows up to"
                f" {last_kept}; flush only rows past the watermark"
            )
    new = [Ordered(batch["sym"], batch["seq"]) for batch in batches]
    return part_order([Ordered(old_ids, old_seqs, keep_to), *new], known=known)


def _longs(existing: Partition, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if name not in existing.names:
        raise StoreError(f"{existing.directory}: no column {name}; rows cannot be merged into it")
    values = existing.column(name)
    assert isinstance(values, np.ndarray)
    return values.astype(np.int64, copy=False)


def _write_empty(
    directory: Path, table: Table, *, fractional: bool, door: FileDoor, for_kdb: bool = False
) -> None:
    columns = {
        column.name: nulls(column.kind, 0, dtype=surface_dtype(column.kind, fractional=fractional))
        for column in table.columns
    }
    sources = _sources(table, [columns], None, fractional=fractional)
    order = _order(table, [columns], None, None, known=0)
    write_files(directory, table, sources, order, door=door, threads=1, for_kdb=for_kdb)


def _publish(staged: Path, target: Path, door: FileDoor) -> None:
    """Put a finished directory under its name; what had the name goes.

    The name is synced in the database before it is in staging: a crash between leaves the
    directory under both names rather than under none.
    """
    replaces = target.exists()
    if replaces:
        door.exchange(staged, target)
    else:
        door.rename(staged, target)
    door.sync_directory(target.parent)
    door.sync_directory(staged.parent)
    if replaces:
        remove_tree(door, staged)


def _publish_date(
    staged: Path, target: Path, empty: Iterable[Table], *, fractional: bool, door: FileDoor,
    for_kdb: bool,
) -> None:  # fmt: skip
    """Put a new date under its name with all its tables at once, as kdb+ expects."""
    whole = staged.with_name(target.parent.name)
    if whole.exists():
        remove_tree(door, whole)
    door.make_directory(whole)
    door.rename(staged, whole / target.name)
    for table in empty:
        place = whole / table.name
        _write_empty(place, table, fractional=fractional, door=door, for_kdb=for_kdb)
    door.sync_directory(whole)
    _publish(whole, target.parent, door)
