"""One view over today's rows and history, from any process, without a lock and without copying.

A snapshot pins one manifest and one published seq. It maps today's rows and the chunks at once,
because a flush or a merge may remove their files; partitions are opened when they are asked for,
because rows of a partition beyond the manifest's `merged` do not count anyway.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import Table
from tickloop.tickerplant import manifest as manifests
from tickloop.tickerplant.flush import by_session
from tickloop.tickerplant.manifest import Chunk, Manifest, chunk_folder
from tickloop.tickerplant.part import Part, complete
from tickloop.tickerplant.rdb import RdbPart, RdbReader, cut
from tickloop.tickerplant.segment import Segment
from tickloop.tickerplant.session import SessionCalendar

_TRIES = 100
_Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Snapshot:
    """What a database held at one moment: every table's rows with seq up to `seq`."""

    manifest: Manifest
    seq: int
    names: Sequence[str]
    chunks: Mapping[Chunk, Mapping[str, Segment]]
    today: Mapping[str, Sequence[RdbPart]]

    @property
    def tables(self) -> Mapping[str, Table]:
        """Tables by name."""
        return self.manifest.catalog.by_name

    def parts(
        self,
        table: str,
        *,
        dates: Collection[date] | None = None,
        columns: Collection[str] | None = None,
    ) -> list[Part]:
        """List a table's rows: history first, then chunks, then today's; by date where asked."""
        known = self.tables[table]
        if columns is not None:
            known = Table(table, tuple(c for c in known.columns if c.name in columns))
        parts = [*self._flushed(known, dates), *self._todays(known, dates)]
        return [part for part in parts if part.rows]

    def _flushed(self, table: Table, dates: Collection[date] | None) -> Iterable[Part]:
        for chunk, segments in self.chunks.items():
            if table.name in segments and (dates is None or chunk.session in dates):
                segment = segments[table.name]
                yield self._part(
                    table, chunk.session, RdbPart(table.name, segment, 0, segment.rows)
                )

    def _todays(self, table: Table, dates: Collection[date] | None) -> Iterable[Part]:
        calendar = SessionCalendar(zone=self.manifest.zone, roll_ns=self.manifest.roll_ns)
        for part in self.today.get(table.name, ()):
            for dated in by_session(part, calendar):
                if dates is None or dated.session in dates:
                    yield self._part(table, dated.session, dated.part)

    def _part(self, table: Table, session: date, rows: RdbPart) -> Part:
        columns = complete(table, rows.columns(), len(rows), self.manifest.catalog)
        return Part(table, session, len(rows), columns, self.names)


class Database:
    """A data directory, live or at rest; or any kdb+ database directory."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataDirectoryError(
                f"{root}: no such directory; give --data the directory of a capture or of a"
                " kdb+ database"
            )
        self.root = root
        self._manifest = Manifest()
        self._signature: _Signature | None = None
        self._rdb: RdbReader | None = None
        self._chunks: dict[Chunk, dict[str, Segment]] = {}

    @property
    def tables(self) -> Mapping[str, Table]:
        """Tables by name, as they are now."""
        return self._read_manifest().catalog.by_name

    @property
    def symbols(self) -> Sequence[str]:
        """Names by symbol id, as they are now."""
        return _read_names(self.root / "db" / "sym")

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

    def _pin(self, manifest: Manifest) -> Snapshot:
        today: dict[str, list[RdbPart]] = {}
        seq = manifest.watermark
        if manifest.rdb:
            reader = self._reader(self.root / manifest.rdb)
            seq = max(seq, reader.published)
            for table, segments in reader.segments().items():
                today[table] = cut(table, segments, up_to_seq=seq, after_seq=manifest.watermark)
        chunks = {chunk: self._chunk(chunk) for chunk in manifest.chunks}
        self._chunks = chunks
        return Snapshot(manifest, seq, self.symbols, chunks, today)

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

    def _read_manifest(self) -> Manifest:
        """Read the manifest; the same object as before while its file is the same."""
        path = self.root / manifests.NAME
        for _ in range(_TRIES):
            signature = _signature(path)
            if signature is None or signature == self._signature:
                break
            manifest = manifests.read(self.root) or Manifest()
            if _signature(path) == signature:
                self._manifest, self._signature = manifest, signature
                break
        return self._manifest


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read_names(path: Path) -> list[str]:
    """Read a symbol file: the names of ids, in order."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    return [name.decode(errors="replace") for name in raw[8:].split(b"\0")[:-1]]
