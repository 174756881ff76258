"""The manifest says where history ends and today's rows begin; it changes by one rename.

Rows with seq up to the watermark are in history (partitions of `db`, and chunks that were not
merged yet), rows above it in the mapped files of `rdb`. Of a partition only rows with seq up to
its `merged` count: what a merge added before a crash is still in the chunks that the manifest
names. So a crash between any two steps loses and duplicates nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

from tickloop.core.catalog import Catalog
from tickloop.core.errors import DataDirectoryError
from tickloop.core.schema import TABLES, Column, Kind, Table
from tickloop.tickerplant.file_door import FileDoor

VERSION = 1
NAME = "manifest.json"
NO_SEQ = -1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that a flush moved out of today's rows: `intraday/DATE/WATERMARK/TABLE`."""

    session: date
    watermark: int
    rows: Mapping[str, int] = field(hash=False)  # by table


@dataclass(frozen=True, slots=True)
class Partition:
    """A date of history: `db/DATE/TABLE`, of which rows with seq up to `merged` count."""

    session: date
    merged: int
    rows: Mapping[str, int]  # by table


@dataclass(frozen=True, slots=True)
class Mount:
    """Another kdb+ database that queries see; its tables are called `NAME_TABLE`."""

    name: str
    path: str


@dataclass(frozen=True)
class Manifest:
    """What a data directory holds, at one moment."""

    catalog: Catalog = field(default_factory=Catalog)
    watermark: int = NO_SEQ
    rdb: str = ""  # the folder of today's rows, relative to the data directory
    zone: str = "UTC"
    roll_ns: int = 0
    chunks: tuple[Chunk, ...] = ()
    partitions: tuple[Partition, ...] = ()
    mounts: tuple[Mount, ...] = ()
    journals: tuple[str, ...] = ()
    generation: int = 0  # how often the manifest was written

    def partition(self, session: date) -> Partition | None:
        """Find a date's partition."""
        return next((p for p in self.partitions if p.session == session), None)

    def chunks_of(self, session: date) -> tuple[Chunk, ...]:
        """List a date's chunks, oldest first."""
        return tuple(chunk for chunk in self.chunks if chunk.session == session)

    def with_partition(self, partition: Partition) -> "Manifest":
        """Put a merged partition in place of the date's old one and its chunks."""
        others = [p for p in self.partitions if p.session != partition.session]
        chunks = tuple(chunk for chunk in self.chunks if chunk.session != partition.session)
        partitions = tuple(sorted([*others, partition], key=lambda p: p.session))
        return replace(self, partitions=partitions, chunks=chunks)


def chunk_folder(root: Path, chunk: Chunk) -> Path:
    """Name the folder of a chunk's tables."""
    return root / "intraday" / chunk.session.isoformat() / str(chunk.watermark)


def to_json(manifest: Manifest) -> str:
    """Spell a manifest."""
    fields = {
        "version": VERSION,
        "generation": manifest.generation,
        "watermark": manifest.watermark,
        "rdb": manifest.rdb,
        "zone": manifest.zone,
        "roll_ns": manifest.roll_ns,
        "fractional": manifest.catalog.fractional,
        "tables": {
            table.name: [[column.name, column.kind.value] for column in table.columns]
            for table in manifest.catalog
        },
        "chunks": [
            [chunk.session.isoformat(), chunk.watermark, dict(chunk.rows)]
            for chunk in manifest.chunks
        ],
        "partitions": [
            [part.session.isoformat(), part.merged, dict(part.rows)] for part in manifest.partitions
        ],
        "mounts": [asdict(mount) for mount in manifest.mounts],
        "journals": list(manifest.journals),
    }
    return json.dumps(fields, indent=1) + "\n"


def from_json(text: str) -> Manifest:
    """Read a manifest's text; DataDirectoryError if it is damaged or of another version."""
    try:
        fields = json.loads(text)
        version = fields["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataDirectoryError(f"{NAME} is damaged: {error!r}") from error
    if version != VERSION:
        raise DataDirectoryError(
            f"{NAME} has version {version!r}, this program knows version {VERSION};"
            " use the program that wrote it, or a newer one"
        )
    try:
        return _manifest(fields)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataDirectoryError(f"{NAME} is damaged: {error!r}") from error


def _manifest(fields: Mapping[str, object]) -> Manifest:
    raw: Mapping[str, list] = fields  # type: ignore[type-arg,assignment]
    tables = tuple(_table(name, columns) for name, columns in dict(raw["tables"]).items())
    return Manifest(
        catalog=Catalog(tables, fractional=bool(raw["fractional"])),
        watermark=int(str(raw["watermark"])),
        rdb=str(raw["rdb"]),
        zone=str(raw["zone"]),
        roll_ns=int(str(raw["roll_ns"])),
        chunks=tuple(
            Chunk(date.fromisoformat(session), watermark, rows)
            for session, watermark, rows in raw["chunks"]
        ),
        partitions=tuple(
            Partition(date.fromisoformat(session), merged, rows)
            for session, merged, rows in raw["partitions"]
        ),
        mounts=tuple(Mount(**mount) for mount in raw["mounts"]),
        journals=tuple(raw["journals"]),
        generation=int(str(raw["generation"])),
    )


def _table(name: str, columns: list[tuple[str, str]]) -> Table:
    read = Table(name, tuple(Column(column, Kind(kind)) for column, kind in columns))
    for table in TABLES:
        if (table.name, table.names, table.kinds) == (name, read.names, read.kinds):
            return table  # the same, with what its columns mean
    return read


def read(root: Path) -> Manifest | None:
    """Read a data directory's manifest; None if it has none."""
    try:
        text = (root / NAME).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return from_json(text)
    except DataDirectoryError as error:
        raise DataDirectoryError(f"{root}: {error}") from error


def write(root: Path, manifest: Manifest, door: FileDoor) -> Manifest:
    """Put a manifest in place, durably; return it with its new generation."""
    written = replace(manifest, generation=manifest.generation + 1)
    fresh = root / f"{NAME}.new"
    descriptor = door.create(fresh)
    try:
        door.write(descriptor, [to_json(written).encode()])
        door.sync(descriptor)
    finally:
        door.close(descriptor)
    door.rename(fresh, root / NAME)
    door.sync_directory(root)
    return written
