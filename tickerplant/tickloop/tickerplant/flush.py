"""Moves rows from today into history; a crash between any two steps loses and duplicates nothing.

A flush copies rows up to a seq into chunks, unsorted, so that memory stays bounded during the
day. `finish` merges a date's chunks into its partition, sorted by symbol. Each ends with a new
manifest; what a manifest does not name does not count, and `recover` removes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.schema import Table
from tickloop.tickerplant import manifest as manifests
from tickloop.tickerplant.file_door import FileDoor, remove_tree
from tickloop.tickerplant.hdb import recover as recover_partitions
from tickloop.tickerplant.hdb import write_partition
from tickloop.tickerplant.manifest import NO_SEQ, Chunk, Manifest, Partition, chunk_folder
from tickloop.tickerplant.part import complete
from tickloop.tickerplant.rdb import RdbPart, RdbReader
from tickloop.tickerplant.segment import Segment, Text, Values
from tickloop.tickerplant.segment_writer import write_segment
from tickloop.tickerplant.session import SessionCalendar


@dataclass(frozen=True, slots=True)
class Dated:
    """Rows of one table that belong to one session date."""

    session: date
    part: RdbPart


def by_session(part: RdbPart, calendar: SessionCalendar) -> Iterator[Dated]:
    """Cut a part where the session changes; `time` never decreases within it."""
    first = part.first
    while first < part.stop:
        session = calendar.date_at(part.segment.time(first))
        _, end = calendar.bounds(session)
        stop = part.segment.first_at(end, first, part.stop)
        # A time that stepped back stays with the session it came in.
        stop = max(stop, first + 1)
        yield Dated(session, replace(part, first=first, stop=stop))
        first = stop


def flush(root: Path, door: FileDoor, *, watermark: int) -> Manifest:
    """Move today's rows with seq up to `watermark` into chunks; return the new manifest.

    Only the process that holds the data directory may call this; any of its threads may, one at
    a time, while rows are appended. Afterwards the writer may `release(watermark)`.
    """
    old = _manifest(root)
    if watermark <= old.watermark:
        return old
    reader = RdbReader(root / old.rdb)
    assert reader.published >= watermark, f"{watermark} is not published ({reader.published} is)"
    calendar = SessionCalendar(zone=old.zone, roll_ns=old.roll_ns)
    found: dict[date, dict[str, list[RdbPart]]] = {}
    for table in reader.segments():
        for part in reader.parts(table, up_to_seq=watermark, after_seq=old.watermark):
            for dated in by_session(part, calendar):
                found.setdefault(dated.session, {}).setdefault(table, []).append(dated.part)
    chunks = tuple(
        _write_chunk(root, door, session, watermark, found[session]) for session in sorted(found)
    )
    new = replace(old, watermark=watermark, chunks=old.chunks + chunks)
    return manifests.write(root, new, door)


def _write_chunk(
    root: Path, door: FileDoor, session: date, watermark: int, tables: Mapping[str, list[RdbPart]]
) -> Chunk:
    rows = {table: sum(len(part) for part in parts) for table, parts in tables.items()}
    chunk = Chunk(session, watermark, rows)
    folder = chunk_folder(root, chunk)
    if folder.exists():
        remove_tree(door, folder)
    _make_directories(door, root, folder)
    for table, parts in tables.items():
        write_segment(door, folder / table, parts)
    door.sync_directory(folder)
    return chunk


def _make_directories(door: FileDoor, root: Path, folder: Path) -> None:
    """Make a folder below `root`, with each new name synced."""
    path = root
    for name in folder.relative_to(root).parts:
        parent, path = path, path / name
        if not path.exists():
            door.make_directory(path)
            door.sync_directory(parent)


def finish(root: Path, door: FileDoor, session: date) -> Manifest:
    """Merge a date's chunks into its partition, sorted by symbol; return the new manifest.

    Only the process that holds the data directory may call this; any of its threads may, one at
    a time with `flush`. The chunks' symbols are in the symbol file already.
    """
    old = _manifest(root)
    chunks = old.chunks_of(session)
    if not chunks:
        return old
    known = old.partition(session)
    merged = NO_SEQ if known is None else known.merged
    rows = {} if known is None else dict(known.rows)
    for name in sorted({name for chunk in chunks for name in chunk.rows}):
        table = old.catalog[name]
        written = write_partition(
            root / "db",
            session,
            table,
            _pieces(root, chunks, table, fractional=old.catalog.fractional),
            None,
            watermark=merged,
            fractional=old.catalog.fractional,
            also=old.catalog.tables,
            door=door,
        )
        rows[name] = written.rows
    new = manifests.write(root, old.with_partition(Partition(session, old.watermark, rows)), door)
    _remove_unnamed_chunks(root, door, new)
    return new


def _pieces(
    root: Path, chunks: Sequence[Chunk], table: Table, *, fractional: bool
) -> list[dict[str, npt.NDArray[np.generic]]]:
    """Map a table's chunks one after the other, which is seq order."""
    segments = [
        Segment(chunk_folder(root, chunk) / table.name)
        for chunk in chunks
        if table.name in chunk.rows
    ]
    found = [
        complete(table, segment.columns(0, segment.rows), segment.rows, fractional=fractional)
        for segment in segments
    ]
    return [{name: _as_array(values) for name, values in piece.items()} for piece in found]


def _as_array(values: Values) -> npt.NDArray[np.generic]:
    if not isinstance(values, Text):
        return values
    texts = np.empty(len(values), dtype=object)
    texts[:] = values.to_list()
    return texts


def recover(root: Path, door: FileDoor) -> Manifest | None:
    """Remove what no manifest names: half-written chunks, staged partitions, old rdb folders."""
    manifest = manifests.read(root)
    if manifest is None:
        return None
    _remove_unnamed_chunks(root, door, manifest)
    recover_partitions(root / "db", door=door)
    rdb = root / "rdb"
    for folder in rdb.iterdir() if rdb.exists() else ():
        if folder.is_dir() and folder != root / manifest.rdb:
            remove_tree(door, folder)
    return manifest


def _remove_unnamed_chunks(root: Path, door: FileDoor, manifest: Manifest) -> None:
    intraday = root / "intraday"
    named = {chunk_folder(root, chunk) for chunk in manifest.chunks}
    for session in intraday.iterdir() if intraday.exists() else ():
        for folder in session.iterdir():
            if folder not in named:
                remove_tree(door, folder)
        if not any(session.iterdir()):
            door.remove_directory(session)


def _manifest(root: Path) -> Manifest:
    found = manifests.read(root)
    assert found is not None, f"{root} has no manifest; adopt() writes the first one"
    return found


def adopt(root: Path, door: FileDoor, manifest: Manifest) -> Manifest:
    """Put a manifest for a new run in place: its rdb folder holds the rows above the watermark."""
    written = manifests.write(root, manifest, door)
    recover(root, door)
    return written
