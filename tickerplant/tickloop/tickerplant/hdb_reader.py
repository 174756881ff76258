"""A kdb+ database, ours or foreign, mounted read-only: partitions, tables, schema, columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

import numpy as np

from tickloop.core.catalog import Catalog
from tickloop.core.dialects.numpy import SURFACE, nulls, surface_dtype
from tickloop.core.errors import StoreError
from tickloop.core.schema import Column, Kind, Table
from tickloop.tickerplant.hdb import SYM_FILE, is_date_name
from tickloop.tickerplant.kdb_anymap import AnyMap
from tickloop.tickerplant.kdb_file import Rows
from tickloop.tickerplant.kdb_layout import is_leaf
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.partition import Partition, PartitionReplacedError

PAR_FILE = "par.txt"


class PartitionedBy(Enum):
    """What names a database's partitions; the value is kdb+'s virtual column."""

    DATE = "date"
    MONTH = "month"
    YEAR = "year"
    INT = "int"
    NOTHING = ""


@dataclass(frozen=True, slots=True, order=True)
class PartitionKey:
    """One partition: its number in kdb+'s terms, and its directory's name.

    Numbers are days or months since 2000, years, or what the directory says.
    """

    number: int
    name: str

    @property
    def date(self) -> date:
        """The session date of a partition by date."""
        return date(int(self.name[:4]), int(self.name[5:7]), int(self.name[8:]))


class HdbReader:
    """Reads a kdb+ database. Directory listings are taken once; `refresh` takes them anew.

    `catalog` tells which columns of known tables are prices and sizes; files cannot.
    """

    def __init__(self, root: Path, *, catalog: Catalog | None = None) -> None:
        self.root = root
        self._catalog = catalog
        self._domains: dict[str, tuple[int, list[str]]] = {}
        self.refresh()

    def refresh(self) -> None:
        """List partitions and tables anew; StoreError if there is no database."""
        if not self.root.is_dir():
            raise StoreError(f"{self.root}: no such directory; expected a kdb+ database")
        self.segments = _segments(self.root)
        found = [(_key(path.name), path) for home in self.segments for path in _directories(home)]
        kinds = {keyed[0] for keyed, _ in found if keyed}
        if len(kinds) > 1:
            spelled = ", ".join(sorted(kind.value for kind in kinds))
            raise StoreError(f"{self.root}: partitions by {spelled} side by side; kdb+ has one")
        self.partitioned_by = kinds.pop() if kinds else PartitionedBy.NOTHING
        self._places: dict[PartitionKey, list[Path]] = {}
        for keyed, path in found:
            if keyed:
                self._places.setdefault(keyed[1], []).append(path)
        self.partitions = tuple(sorted(self._places))
        self._splayed = {path.name for path in _directories(self.root) if _is_table(path)}
        self._schemas: dict[str, Table] = {}
        self._table_names: list[str] | None = None

    @property
    def dates(self) -> list[date]:
        """Session dates, ascending; empty unless the database is partitioned by date."""
        by_date = self.partitioned_by is PartitionedBy.DATE
        return [key.date for key in self.partitions] if by_date else []

    @property
    def tables(self) -> list[str]:
        """Names of the tables that any partition has, and of the splayed ones."""
        if self._table_names is None:
            self._table_names = sorted({*self._partitioned_tables(), *self._splayed})
        return self._table_names

    def is_splayed(self, table: str) -> bool:
        """Tell whether a table lies at the root, outside partitions."""
        return table in self._splayed

    def _partitioned_tables(self) -> Iterator[str]:
        for key in self.partitions:
            for place in self._places[key]:
                yield from (path.name for path in _directories(place) if _is_table(path))

    def key(self, session_date: date) -> PartitionKey:
        """Give the partition of a date; StoreError if there is none."""
        for key in self.partitions:
            if self.partitioned_by is PartitionedBy.DATE and key.date == session_date:
                return key
        raise StoreError(f"{self.root}: no partition of {session_date}")

    def partition(self, table: str, key: PartitionKey | date | None = None) -> Partition | None:
        """Open a table's partition (no key: a splayed table); None if it lacks the table."""
        if key is None:
            return Partition(self.root / table)
        if isinstance(key, date):
            key = self.key(key)
        for place in self._places.get(key, []):
            if _is_table(place / table):
                return Partition(place / table)
        return None

    def table(self, name: str) -> Table:
        """Give a table's schema as the newest partition has it; lists without a kind are left out.

        StoreError if the database has no such table.
        """
        if name not in self._schemas:
            self._schemas[name] = self._schema(name)
        return self._schemas[name]

    def _schema(self, name: str) -> Table:
        return Table(name, tuple(self._schema_columns(name, self._newest(name))))

    def _newest(self, name: str) -> Partition:
        if not is_leaf(name):
            raise StoreError(f"{self.root}: {name!r} is no name of a table")
        keys: Iterable[PartitionKey | None] = reversed(self.partitions)
        for key in [None] if self.is_splayed(name) else keys:
            partition = self.partition(name, key)
            if partition is not None:
                return partition
        raise StoreError(f"{self.root}: no table {name!r}; there are {', '.join(self.tables)}")

    def _schema_columns(self, table: str, partition: Partition) -> Iterator[Column]:
        known: Mapping[str, Column] = {}
        if self._catalog is not None and table in self._catalog:
            known = {column.name: column for column in self._catalog[table].columns}
        for name in partition.names:
            kind = partition.kind(name)
            if kind is None:
                continue
            column = known.get(name)
            same = column is not None and self._dtype(column.kind) == SURFACE[kind]
            yield column if column is not None and same else Column(name, kind)

    def _dtype(self, kind: Kind) -> str:
        fractional = self._catalog is not None and self._catalog.fractional
        return surface_dtype(kind, fractional=fractional)

    @property
    def symbols(self) -> list[str]:
        """Names of the default domain, `sym`; an index of a symbol column is a place here."""
        return self.domain(SYM_FILE)

    def domain(self, name: str) -> list[str]:
        """Give a domain's names; they are read again when the file has grown."""
        path = self.root / name
        if not is_leaf(name):
            raise StoreError(f"{self.root}: {name!r} is no name of a domain")
        size = path.stat().st_size if path.is_file() else -1
        if name not in self._domains or self._domains[name][0] != size:
            self._domains[name] = (size, read_names(path) if size >= 0 else [])
        return self._domains[name][1]

    def domain_of(self, table: str, column: str) -> str:
        """Name the domain of a symbol column, as the newest partition has it."""
        newest = self._newest(table)
        return newest.file(column).layout.domain if column in newest.names else ""

    def rows(self, table: str, key: PartitionKey | date | None = None) -> int:
        """Count a table's rows in a partition; 0 where the partition lacks the table."""
        partition = self.partition(table, key)
        return 0 if partition is None else partition.rows

    def columns(
        self, table: str, key: PartitionKey | date | None, names: Iterable[str]
    ) -> dict[str, Rows]:
        """Give columns of one partition, all of one version of it.

        Fixed-width columns are views of the files; symbols are int64 (before kdb+ 3.6 int32)
        indexes, negative for null; text is a Nested or AnyMap. A column that an older partition
        lacks is all null. StoreError for a column that is not in the schema, or whose type in
        this partition differs from the schema's.
        """
        wanted = [self.table(table).column(name) for name in names]
        for _ in range(2):
            try:
                return self._columns(table, key, wanted)
            except PartitionReplacedError:
                continue
        return self._columns(table, key, wanted)

    def _columns(
        self, table: str, key: PartitionKey | date | None, wanted: list[Column]
    ) -> dict[str, Rows]:
        partition = self.partition(table, key)
        rows = 0 if partition is None else partition.rows
        given: dict[str, Rows] = {}
        for column in wanted:
            if partition is None or column.name not in partition.names:
                given[column.name] = self._nulls(column, rows)
            else:
                given[column.name] = self._checked(partition, column)
        return given

    def _nulls(self, column: Column, rows: int) -> Rows:
        dtype = "<i8" if column.kind is Kind.SYMBOL else self._dtype(column.kind)
        return nulls(column.kind, rows, dtype=dtype)

    def _checked(self, partition: Partition, column: Column) -> Rows:
        kind = partition.kind(column.name)
        values = partition.column(column.name)
        symbols = (kind is Kind.SYMBOL) == (column.kind is Kind.SYMBOL)
        dtype = object if isinstance(values, Nested | AnyMap) else values.dtype
        fits = column.kind is Kind.SYMBOL or dtype == np.dtype(self._dtype(column.kind))
        if not symbols or not fits:
            raise StoreError(
                f"{partition.directory}: column {column.name} is"
                f" {kind.value if kind else 'a list'} here and {column.kind.value} in the newest"
                " partition; write the older ones again with one type"
            )
        return values


def _segments(root: Path) -> list[Path]:
    """Read par.txt: where partitions lie, one directory a line; else the root itself."""
    listing = root / PAR_FILE
    if not listing.is_file():
        return [root]
    lines = [line.strip().removeprefix(":") for line in listing.read_text().splitlines()]
    segments = [root / line for line in lines if line]
    absent = [str(path) for path in segments if not path.is_dir()]
    if absent:
        raise StoreError(f"{listing}: no directory {absent[0]}; mount or correct the segment")
    return segments


def _directories(home: Path) -> list[Path]:
    """List visible directories; names with a dot inside are partitions or work in progress."""
    return sorted(path for path in home.iterdir() if path.name[0] != "." and path.is_dir())


def _is_table(directory: Path) -> bool:
    return "." not in directory.name and (directory / ".d").is_file()


def _key(name: str) -> tuple[PartitionedBy, PartitionKey] | None:
    if is_date_name(name):
        day = date(int(name[:4]), int(name[5:7]), int(name[8:]))
        return PartitionedBy.DATE, PartitionKey((day - date(2000, 1, 1)).days, name)
    year, dot, month = name.partition(".")
    if not (name.isascii() and year.isdecimal() and len(name) <= 10):
        return None
    if dot and len(year) == 4 and month.isdecimal() and 1 <= int(month) <= 12 and len(month) == 2:
        number = (int(year) - 2000) * 12 + int(month) - 1
        return PartitionedBy.MONTH, PartitionKey(number, name)
    if dot:
        return None
    # kdb+ tells years from other whole numbers by their four digits.
    kind = PartitionedBy.YEAR if len(name) == 4 else PartitionedBy.INT
    return kind, PartitionKey(int(name), name)
