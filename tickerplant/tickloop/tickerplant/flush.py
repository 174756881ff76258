"""Moves rows from today into history; a crash between any two steps loses and duplicates nothing.

A flush copies rows up to a seq into chunks, unsorted, so that memory stays bounded during the
day. `finish` merges a date's chunks into its partition, sorted by symbol. Each ends with a new
manifest; what a manifest does not name does not count, and `recover` removes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from tickloop.tickerplant import manifest as manifests
from tickloop.tickerplant.file_door import FileDoor, remove_tree
from tickloop.tickerplant.manifest import Chunk, Manifest, chunk_folder
from tickloop.tickerplant.rdb import RdbPart, RdbReader
from tickloop.tickerplant.segment import write_segment
from tickloop.tickerplant.session import SessionCalendar

STAGING = "staging"


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


def recover(root: Path, door: FileDoor) -> Manifest | None:
    """Remove what no manifest names: half-written chunks, staged partitions, old rdb folders."""
    manifest = manifests.read(root)
    if manifest is None:
        return None
    _remove_unnamed_chunks(root, door, manifest)
    if (root / STAGING).exists():
        remove_tree(door, root / STAGING)
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
