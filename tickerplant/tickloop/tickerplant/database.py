"""One view over today's rows and history, from any process, without a lock and without copying.

A snapshot pins one manifest and one published seq. It maps today's rows and the chunks at once,
because a flush or a merge may remove their files; partitions are opened when they are asked for,
because rows of a partition beyond the manifest's `merged` do not count anyway.
"""

import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from tickloop.core.catalog import Catalog
from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import Table
from tickloop.tickerplant import manifest as manifests
from tickloop.tickerplant.flush import by_session
from tickloop.tickerplant.hdb_info import database_of, is_read_only
from tickloop.tickerplant.history import KdbHistory, OwnHistory, narrowed
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.manifest import Chunk, Manifest, chunk_folder
from tickloop.tickerplant.part import Part, complete
from tickloop.tickerplant.rdb import RdbPart, RdbReader, cut
from tickloop.tickerplant.segment import Segment
from tickloop.tickerplant.session import SessionCalendar
from tickloop.tickerplant.usage import USAGE, UsageReader

_TRIES = 100
_Signature = tuple[int, int, int]
_EMPTY = Manifest()
_FOREIGN = Manifest(catalog=Catalog(()))


@dataclass(frozen=True)
class Snapshot:
    """What a database held at one moment: every table's rows with seq up to `seq`."""

    manifest: Manifest
    seq: int
    names: Sequence[str]
    history: OwnHistory
    chunks: Mapping[Chunk, Mapping[str, Segment]]
    today: Mapping[str, Sequence[RdbPart]]
    mounts: Sequence[KdbHistory]
    usage: Sequence[RdbPart] | None = None
    only: frozenset[str] | None = None

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Tables by name."""
        found = dict(self.manifest.catalog.by_name)
        for mount in self.mounts:
            found.update(mount.tables)
        if self.usage is not None:
            found.setdefault(USAGE.name, USAGE)
        if self.only is not None:
            return {name: table for name, table in found.items() if name in self.only}
        return found

    @property
    def fractional(self) -> bool:
        """Whether sizes are floats."""
        return self.manifest.catalog.fractional

    def parts(
        self,
        table: str,
        *,
        dates: Container[date] | None = None,
        columns: Collection[str] | None = None,
    ) -> list[Part]:
        """List a table's rows: history, then chunks, then today's; KeyError for no such table.

        `dates` leaves out parts of other session dates, `columns` other columns. Parts of
        history are sorted by symbol, the others by seq.
        """
        known = narrowed(self.tables[table], columns)
        if self.tables[table] is USAGE:
            return list(self._sessions_of(known, self.usage or (), dates))
        mount = next((mount for mount in self.mounts if table in mount.tables), None)
        if mount is not None:
            return [part for part in mount.parts(known, dates) if part.rows]
        return [
            *self.history.parts(known, dates, self.names),
            *self._flushed(known, dates),
            *self._todays(known, dates),
        ]

    def _flushed(self, table: Table, dates: Container[date] | None) -> Iterable[Part]:
        for chunk, segments in self.chunks.items():
            if table.name in segments and (dates is None or chunk.session in dates):
                segment = segments[table.name]
                rows = RdbPart(table.name, segment, 0, segment.rows)
                yield self._part(table, chunk.session, rows)

    def _todays(self, table: Table, dates: Container[date] | None) -> Iterable[Part]:
        return self._sessions_of(table, self.today.get(table.name, ()), dates)

    def _sessions_of(
        self, table: Table, parts: Iterable[RdbPart], dates: Container[date] | None
    ) -> Iterable[Part]:
        calendar = SessionCalendar(zone=self.manifest.zone, roll_ns=self.manifest.roll_ns)
        for part in parts:
            for dated in by_session(part, calendar):
                if dates is None or dated.session in dates:
                    yield self._part(table, dated.session, dated.part)

    def _part(self, table: Table, session: date, rows: RdbPart) -> Part:
        columns = complete(table, rows.columns(), len(rows), fractional=self.fractional)
        return Part(table, session, len(rows), columns, self.names)


class Database:
    """A data directory, live or at rest; or any kdb+ database directory. One thread at a time.

    With `only`, the other tables do not exist.
    """

    def __init__(self, root: Path, *, only: frozenset[str] | None = None) -> None:
        if not root.is_dir():
            raise DataDirectoryError(
                f"{root}: no such directory; give --data the directory of a capture or of a"
                " kdb+ database"
            )
        self.root = root
        self._manifest = _EMPTY
        self._signature: _Signature | None = None
        self._history = OwnHistory(root / "db", _EMPTY)
        self._rdb: RdbReader | None = None
        self._chunks: dict[Chunk, dict[str, Segment]] = {}
        self._mounts: dict[tuple[Path, str], KdbHistory] = {}
        self._names: list[str] = []
        self._names_bytes = 0
        self._usage = UsageReader(root)
        self._manifest_path = str(root / manifests.NAME)
        self._only = only

    @property
    def tables(self) -> Mapping[str, Table]:
        """Tables by name, as they are now."""
        return self.snapshot().tables

    @property
    def is_empty(self) -> bool:
        """Tell whether there is neither a capture nor a kdb+ database to ask."""
        return self.snapshot().manifest is _EMPTY

    @property
    def symbols(self) -> Sequence[str]:
        """Names by symbol id, as they are now."""
        path = self.root / "db" / "sym"
        size = path.stat().st_size if path.exists() else 0
        if size != self._names_bytes:
            # A new list: snapshots keep theirs.
            self._names, self._names_bytes = read_names(path), size
        return self._names

    def snapshot(self) -> Snapshot:
        """Pin what the database holds now."""
        for _ in range(_TRIES):
            manifest = self._read_manifest()
            try:
                snapshot = self._pin(manifest)
            except (StoreError, FileNotFoundError):
                # A merge or a new run removes files only after it has put a new manifest in place.
                if self._read_manifest() is manifest:
                    raise
                continue
            if self._read_manifest() is manifest:
                return snapshot
        raise StoreError(f"{self.root}: the manifest changed {_TRIES} times while it was read")

    def moment(self) -> tuple[object, ...]:
        """Give what changes whenever a new snapshot would differ from the last; microseconds."""
        published = 0 if self._rdb is None else self._rdb.published
        return _signature(self._manifest_path), published, self._usage.moment()

    def _pin(self, manifest: Manifest) -> Snapshot:
        today: dict[str, list[RdbPart]] = {}
        seq = manifest.watermark
        if manifest.rdb:
            reader = self._reader(self.root / manifest.rdb)
            # Read before the segments: rows up to it are complete in what is found after.
            seq = max(seq, reader.published)
            for table, segments in reader.segments().items():
                today[table] = cut(table, segments, up_to_seq=seq, after_seq=manifest.watermark)
        chunks = {chunk: self._chunk(chunk) for chunk in manifest.chunks}
        self._chunks = chunks
        mounts = self._mounted(manifest)
        if manifest is _EMPTY and not mounts[0].is_empty:
            manifest = _FOREIGN
        usage = list(self._usage.parts()) if self._usage.exists else None
        return Snapshot(
            manifest, seq, self.symbols, self._history, chunks, today, mounts, usage, self._only
        )

    def _reader(self, folder: Path) -> RdbReader:
        if self._rdb is None or self._rdb.root != folder:
            self._rdb = RdbReader(folder)
        return self._rdb

    def _chunk(self, chunk: Chunk) -> dict[str, Segment]:
        known = self._chunks.get(chunk)
        if known is not None:
            return known
        folder = chunk_folder(self.root, chunk)
        return {table: Segment(folder / table) for table in chunk.rows}

    def _mounted(self, manifest: Manifest) -> list[KdbHistory]:
        if manifest is _EMPTY:
            imported = is_read_only(self.root) or (self.root / "db").is_dir()
            return [self._mount(database_of(self.root) if imported else self.root, "")]
        if not manifest.mounts:
            return []
        return [self._mount(self.root / mount.path, f"{mount.name}_") for mount in manifest.mounts]

    def _mount(self, root: Path, prefix: str) -> KdbHistory:
        known = self._mounts.get((root, prefix))
        if known is None or known.is_stale:
            known = self._mounts[root, prefix] = KdbHistory(root, prefix)
        return known

    def _read_manifest(self) -> Manifest:
        """Read the manifest; the same object as before while its file is the same."""
        path = self.root / manifests.NAME
        for _ in range(_TRIES):
            signature = _signature(path)
            if signature is None or signature == self._signature:
                break
            manifest = manifests.read(self.root)
            if manifest is not None and _signature(path) == signature:
                self._manifest, self._signature = manifest, signature
                self._history = OwnHistory(self.root / "db", manifest)
                break
        return self._manifest


def _signature(path: Path | str) -> _Signature | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - asked before every query
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
