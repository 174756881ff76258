"""What is in a kdb+ database, and how one gets into a data directory."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import Kind
from tickloop.tickerplant.hdb_reader import HdbReader, PartitionedBy, PartitionKey
from tickloop.tickerplant.kdb_file import KdbFile

NO_TABLES = "no tables there; expected sym, DATE/TABLE/.d or TABLE/.d"
DATABASE = "db"
REFERENCE = "db.json"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column as the newest partition stores it."""

    name: str
    kind: Kind | None  # None: lists that are no text
    type: int  # kdb+'s number
    attribute: str
    domain: str  # of enumerated symbols
    compression: str  # empty where plain
    bytes: int


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table over all partitions; `first` and `last` name the partitions that have it."""

    name: str
    splayed: bool
    partitions: int
    first: str
    last: str
    rows: int
    bytes: int
    columns: tuple[ColumnInfo, ...]


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """A database: its partitions, tables, domains of symbols, and what is wrong with it."""

    root: Path
    partitioned_by: PartitionedBy
    partitions: tuple[str, ...]
    segments: int
    tables: tuple[TableInfo, ...]
    domains: dict[str, int]  # names in each
    damage: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Give the description as plain values."""
        return {
            **asdict(self),
            "root": str(self.root),
            "partitioned_by": self.partitioned_by.value,
            "tables": [_table_json(table) for table in self.tables],
        }


def _table_json(table: TableInfo) -> dict[str, object]:
    columns = [
        {**asdict(column), "kind": column.kind.value if column.kind else None}
        for column in table.columns
    ]
    return {**asdict(table), "columns": columns}


def describe(root: Path) -> DatabaseInfo:
    """Look at headers only; what cannot be read is told in `damage`, the rest is described."""
    reader = HdbReader(root)
    damage: list[str] = []
    tables = tuple(_table_info(reader, name, damage) for name in reader.tables)
    named = {column.domain for table in tables for column in table.columns if column.domain}
    domains = {}
    for domain in sorted(named):
        try:
            domains[domain] = len(reader.domain(domain))
        except StoreError as error:
            damage.append(str(error))
    return DatabaseInfo(
        root,
        reader.partitioned_by,
        tuple(key.name for key in reader.partitions),
        len(reader.segments),
        tables,
        domains,
        tuple(damage),
    )


def _table_info(reader: HdbReader, name: str, damage: list[str]) -> TableInfo:
    splayed = reader.is_splayed(name)
    keys: list[PartitionKey | None] = [None] if splayed else [*reader.partitions]
    rows = size = 0
    having: list[str] = []
    columns: tuple[ColumnInfo, ...] = ()
    for key in keys:
        try:
            partition = reader.partition(name, key)
            if partition is None:
                continue
            having.append(key.name if key else "")
            size += sum(path.stat().st_size for path in partition.directory.iterdir())
            rows += partition.rows
            columns = tuple(_column_info(partition.file(column)) for column in partition.names)
        except StoreError as error:
            damage.append(str(error))
    first, last = (having[0], having[-1]) if having else ("", "")
    return TableInfo(name, splayed, len(having), first, last, rows, size, columns)


def _column_info(file: KdbFile) -> ColumnInfo:
    layout = file.layout
    return ColumnInfo(
        file.name, file.kind, layout.type, layout.attribute, layout.domain, file.compression,
        file.file_bytes,
    )  # fmt: skip


def database_of(data_directory: Path) -> Path:
    """Find a data directory's database: its own, or the one that it refers to."""
    reference = data_directory / REFERENCE
    if not reference.exists():
        return data_directory / DATABASE
    try:
        told = json.loads(reference.read_text())
        return Path(told["database"])
    except (ValueError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise DataDirectoryError(
            f'{reference}: {{"database": "PATH"}} expected: {error}; import the database again'
        ) from error


def is_read_only(data_directory: Path) -> bool:
    """Tell whether the database lies elsewhere, so that nothing here may write to it."""
    return (data_directory / REFERENCE).exists()


def import_database(source: Path, data_directory: Path, *, copy: bool) -> DatabaseInfo:
    """Make a kdb+ database a data directory's history: copied, or mounted where it lies.

    DataDirectoryError if the data directory has history already; StoreError if the source is no
    database.
    """
    source = source.resolve()
    info = describe(source)
    if not info.tables:
        raise StoreError(f"{source}: {NO_TABLES}")
    own = data_directory / DATABASE
    if is_read_only(data_directory) or (own.exists() and any(own.iterdir())):
        raise DataDirectoryError(
            f"{data_directory} has history already; import into a new data directory"
        )
    data_directory.mkdir(parents=True, exist_ok=True)
    if copy and info.segments > 1:
        raise StoreError(f"{source}: segmented (par.txt); mount it instead of copying it")
    if copy:
        # Copied beside and renamed, so that half a copy is never taken for a database.
        aside = data_directory / f"{DATABASE}.copying"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(source, aside)
        aside.replace(own)
        return describe(own)
    (data_directory / REFERENCE).write_text(json.dumps({"database": str(source)}) + "\n")
    return info
