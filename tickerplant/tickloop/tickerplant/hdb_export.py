"""A data directory as a kdb+ database of its own: what kdb+ reads, and nothing else.

The partitions of a capture have kdb+'s layout already; an export gathers them with the rows that
no merge has reached yet, puts kdb+'s own index of `sym` in the place of ours, and spells the null
symbol as kdb+ does: as the empty name in `sym`. It is made under another name and renamed when it
is whole.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.core.schema import LOG_NAMES, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.database import Database, Snapshot
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor, remove_tree
from tickloop.tickerplant.hdb import SYM_FILE, staging_of, write_partition
from tickloop.tickerplant.kdb_names import names_file
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.parted import FILE_NAME
from tickloop.tickerplant.partition_writer import write_file
from tickloop.tickerplant.segment import Text, Values

_Columns = dict[str, npt.NDArray[np.generic]]
Tell = Callable[[int, int, str], None]  # partitions written, partitions in all, what comes


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: rows by table, session dates, names in `sym`, bytes of columns."""

    root: Path
    dates: tuple[date, ...]
    rows: Mapping[str, int]
    symbols: int
    bytes: int

    def as_json(self) -> dict[str, object]:
        """Give the account as plain values."""
        return {
            "to": str(self.root), "dates": [session.isoformat() for session in self.dates],
            "tables": dict(self.rows), "symbols": self.symbols, "bytes": self.bytes,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a directory is exported; empty tables mean all but the log's own."""

    tables: Sequence[str] = ()
    first: date = date.min
    last: date = date.max

    def __contains__(self, session: object) -> bool:
        return isinstance(session, date) and self.first <= session <= self.last


def export_database(
    root: Path, target: Path, wanted: Wanted, *, tell: Tell | None = None, door: FileDoor = OS_DOOR
) -> Exported:
    """Write the rows that a data directory shows now to a new kdb+ database.

    StoreError if the target exists, if nothing is wanted, or if the disk refuses.
    """
    if target.exists():
        raise StoreError(
            f"{target} exists, an export makes a new directory; name another one, or remove it"
        )
    snapshot = Database(root).snapshot()
    tables = _tables(root, snapshot, wanted)
    making = target.with_name(target.name + ".exporting")
    for left in (making, staging_of(making)):
        if left.exists():
            remove_tree(door, left)
    try:
        written = _Writer(making, snapshot, door).write(tables, wanted, tell)
    except OSError as error:
        raise StoreError(
            f"{making}: writing stopped: {error}; make room or mend the disk, then export again"
        ) from error
    if not written:
        raise StoreError(f"{root}: no rows of these tables and dates; nothing was written")
    remove_tree(door, staging_of(making))
    door.rename(making, target)
    door.sync_directory(target.parent)
    rows = Counter[str]()
    for _, table, count, _ in written:
        rows[table] += count
    dates = tuple(sorted({session for session, *_ in written}))
    names = len(snapshot.names) + ("" not in snapshot.names)
    return Exported(target, dates, rows, names, sum(size for *_, size in written))


def _tables(root: Path, snapshot: Snapshot, wanted: Wanted) -> list[Table]:
    own = snapshot.manifest.catalog.by_name
    if not own:
        raise StoreError(
            f"{root}: an imported kdb+ database seen, a capture expected; it is in kdb+'s format"
            " already: copy the directory it came from"
        )
    unknown = [name for name in wanted.tables if name not in own]
    if unknown:
        raise StoreError(f"{root}: no table {unknown[0]}; there are {', '.join(sorted(own))}")
    names = wanted.tables or [name for name in own if name not in LOG_NAMES]
    return [own[name] for name in names]


class _Writer:
    """Writes partitions one after the other, each from all parts of a date and table."""

    def __init__(self, making: Path, snapshot: Snapshot, door: FileDoor) -> None:
        self._making = making
        self._snapshot = snapshot
        self._door = door
        # kdb+ enumerates the null symbol as any other name.
        self._null = snapshot.names.index("") if "" in snapshot.names else len(snapshot.names)
        names = list(snapshot.names)
        self._names = names if "" in names else [*names, ""]
        self._symbols = Symbols(self._names)

    def write(
        self, tables: Sequence[Table], wanted: Wanted, tell: Tell | None
    ) -> list[tuple[date, str, int, int]]:
        """Write what is wanted; list session, table, rows and bytes of each partition."""
        found: dict[tuple[date, str], list[Part]] = {}
        for table in tables:
            for part in self._snapshot.parts(table.name, dates=wanted):
                if part.session is not None and part.rows:
                    found.setdefault((part.session, table.name), []).append(part)
        filled = [table for table in tables if any(name == table.name for _, name in found)]
        written = []
        if found:
            # With a true count, unlike a file that names are appended to.
            self._door.make_directory(self._making)
            write_file(self._making / SYM_FILE, [names_file(self._names)], door=self._door)
        for number, (session, name) in enumerate(sorted(found)):
            if tell is not None:
                tell(number, len(found), f"{session} {name}")
            parts = found.pop((session, name))
            rows, size = self._partition(session, parts, filled)
            written.append((session, name, rows, size))
        return written

    def _partition(
        self, session: date, parts: Sequence[Part], tables: Sequence[Table]
    ) -> tuple[int, int]:
        table = parts[0].table
        done = write_partition(
            self._making, session, table, [self._columns(part) for part in parts], self._symbols,
            fractional=self._snapshot.fractional, also=tables, door=self._door, threads=2,
            for_kdb=True,
        )  # fmt: skip
        for path in self._making.glob(f"*/*/{FILE_NAME}"):
            self._door.unlink(path)
        return done.rows, done.bytes

    def _columns(self, part: Part) -> _Columns:
        return {column.name: self._values(part, column.kind, part.columns[column.name])
                for column in part.table.columns}  # fmt: skip

    def _values(self, part: Part, kind: Kind, values: Values) -> npt.NDArray[np.generic]:
        if isinstance(values, Text):
            texts = np.empty(len(values), dtype=object)
            texts[:] = values.to_list()
            return texts
        if kind is not Kind.SYMBOL:
            return values
        ids = values.astype(np.int64, copy=False)
        named = (ids >= 0) & (ids < len(part.names))
        return np.where(named, ids, self._null).astype(np.int32)
