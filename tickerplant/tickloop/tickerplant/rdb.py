"""Today's rows: append-only mapped files that any process reads while the plant writes them.

A folder of segments (`TABLE.NNNNNN`) and one file `published`, whose words say up to which seq
rows are visible. Readers take no lock: they read the published seq first, then the row counts,
then cut every table at the seq. On machines that keep stores in order (x86-64) the aligned
store of the seq after the rows is all that this needs.
"""

import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import StoreError
from tickloop.core.schema import Table
from tickloop.tickerplant.segment import Field, Segment, Values
from tickloop.tickerplant.segment_ahead import SegmentsAhead
from tickloop.tickerplant.segment_writer import LARGE_ROWS, SegmentWriter

NO_SEQ = -1
SEGMENT_ROWS = 2**20
FIRST_SEGMENT_ROWS = 2**12
_HEADER = "published"
_HEADER_BYTES = 4096
_MAGIC = 0x31_42_44_52_4B_43_49_54  # "TICKRDB1"
_MAGIC_WORD, _PUBLISHED, _RELEASED, _CLOSED, _BOOT, _BOOT_REST = range(6)


def _boot_id() -> npt.NDArray[np.int64]:
    """Name this boot of the machine: after another one, unsynced pages may be missing."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return np.zeros(2, dtype=np.int64)
    return np.frombuffer(bytes.fromhex(text.strip().replace("-", "")), dtype=np.int64)


class Rdb:
    """The writer. `append` rows in seq order, then `publish` the seq up to which they count."""

    def __init__(self, root: Path, catalog: Catalog, *, segment_rows: int = SEGMENT_ROWS) -> None:
        root.mkdir(parents=True)
        self.root = root
        self._catalog = catalog
        self._segment_rows = segment_rows
        self._open: dict[str, SegmentWriter] = {}
        self._next_rows: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        # Full segments that are still in the folder: last seq and files, oldest first.
        self._full: list[tuple[int, list[Path]]] = []
        self._words = _create_header(root / _HEADER)
        self._ahead = SegmentsAhead()

    def append(self, rows: Batch) -> None:
        """Copy rows in surface form; nobody sees them before `publish`."""
        count = len(rows)
        segment = self._open.get(rows.table.name)
        if segment is not None and segment.rows + count <= segment.capacity:
            segment.append(rows.columns, count)
        else:
            segment = self._append_over(rows, count)
        if segment.rows > segment.half:
            self._begin_next(rows.table, segment)

    def _append_over(self, rows: Batch, count: int) -> SegmentWriter:
        start = 0
        segment = self._open.get(rows.table.name)
        while start < count:
            if segment is None or segment.rows == segment.capacity:
                segment = self._with_room(rows.table, min(count - start, self._segment_rows))
            stop = min(count, start + segment.capacity - segment.rows)
            piece = {name: values[start:stop] for name, values in rows.columns.items()}
            segment.append(piece, stop - start)
            start = stop
        assert segment is not None, "rows to append"
        return segment

    def reserve(self, table: Table, rows: int) -> Mapping[str, npt.NDArray[np.generic]]:
        """Give writable columns for the next `rows` rows, to be filled in place.

        `commit` tells how many were filled. Tables with text columns have none: append them.
        """
        segment = self._with_room(table, rows)
        if not segment.is_plain:
            raise StoreError(f"table {table.name} has text columns; append its rows instead")
        start = segment.rows
        return {name: block[start : start + rows] for name, block in segment.plain}

    def commit(self, table: Table, rows: int) -> None:
        """Count rows that were filled in place; nobody sees them before `publish`."""
        segment = self._open[table.name]
        assert segment.rows + rows <= segment.capacity, f"{table.name}: {rows} rows not reserved"
        segment.commit(segment.rows + rows)
        if segment.rows > segment.half:
            self._begin_next(table, segment)

    def publish(self, seq: int) -> None:
        """Make every row with a seq up to `seq` visible, at once over all tables."""
        self._words[_PUBLISHED] = seq

    @property
    def published(self) -> int:
        """The seq up to which rows are visible; NO_SEQ before the first."""
        return int(self._words[_PUBLISHED])

    def release(self, watermark: int) -> None:
        """Remove segments wholly at or below `watermark`: history has their rows.

        Readers that map them keep them until they let go.
        """
        for name, segment in list(self._open.items()):
            if segment.rows and segment.last_seq <= watermark:
                self._retire(name)
        self._words[_RELEASED] = watermark
        kept = []
        for last_seq, files in self._full:
            if last_seq > watermark:
                kept.append((last_seq, files))
                continue
            for path in files:
                path.unlink(missing_ok=True)
        self._full = kept

    def close(self) -> None:
        """Put everything on disk and mark the folder complete."""
        self._ahead.close()
        for name in list(self._open):
            self._retire(name)
        for _, files in self._full:
            for path in files:
                _sync(path)
        _sync(self.root)
        self._words[_CLOSED] = 1
        _sync(self.root / _HEADER)

    def _with_room(self, table: Table, rows: int) -> SegmentWriter:
        segment = self._open.get(table.name)
        if segment is not None and segment.rows + rows <= segment.capacity:
            return segment
        if segment is not None:
            self._retire(table.name)
        return self._start(table, rows)

    def _start(self, table: Table, rows: int) -> SegmentWriter:
        name = table.name
        capacity = max(self._planned(name), rows)
        segment = self._ahead.take(name)
        if segment is not None and segment.capacity < rows:
            segment.discard()
            segment = None
        if segment is None:
            segment = self._make(table, capacity)
        segment.show()
        self._next_rows[name] = min(2 * self._planned(name), self._segment_rows)
        self._numbers[name] = self._numbers.get(name, 0) + 1
        self._open[name] = segment
        return segment

    def _planned(self, table: str) -> int:
        return self._next_rows.get(table, min(FIRST_SEGMENT_ROWS, self._segment_rows))

    def _make(self, table: Table, capacity: int) -> SegmentWriter:
        path = self.root / f"{table.name}.{self._numbers.get(table.name, 0):06d}"
        return SegmentWriter(path, table, capacity=capacity, fractional=self._catalog.fractional)

    def _begin_next(self, table: Table, segment: SegmentWriter) -> None:
        """Have the segment after this one made, where that is worth a thread's time."""
        segment.half = segment.capacity
        capacity = self._planned(table.name)
        if capacity >= LARGE_ROWS and segment.is_plain:
            self._ahead.begin(table.name, partial(self._make, table, capacity))

    def _retire(self, name: str) -> None:
        segment = self._open.pop(name)
        segment.close()
        if segment.rows:
            self._full.append((segment.last_seq, segment.files()))
            return
        for path in segment.files():
            path.unlink()


def _create_header(path: Path) -> npt.NDArray[np.int64]:
    unnamed = path.with_name("." + path.name)
    with unnamed.open("xb+") as file:
        os.posix_fallocate(file.fileno(), 0, _HEADER_BYTES)
        words = np.frombuffer(mmap.mmap(file.fileno(), _HEADER_BYTES), dtype=np.int64)
    words[_PUBLISHED] = words[_RELEASED] = NO_SEQ
    words[_BOOT : _BOOT_REST + 1] = _boot_id()
    words[_MAGIC_WORD] = _MAGIC
    unnamed.rename(path)
    return words


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class RdbPart:
    """Rows of one table in one segment, cut at a seq."""

    table: str
    segment: Segment
    first: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def fields(self) -> Sequence[Field]:
        """Names and dtypes of the columns."""
        return self.segment.fields

    def columns(self) -> Mapping[str, Values]:
        """Give the rows' columns without copying."""
        return self.segment.columns(self.first, self.stop)


class RdbReader:
    """Reads a folder of segments from any process; keeps maps of the segments it has seen."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._segments: dict[str, Segment] = {}
        self._words = self._header()

    def _header(self) -> npt.NDArray[np.int64]:
        path = self.root / _HEADER
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        if len(data) < _HEADER_BYTES:
            raise StoreError(f"{path}: {len(data)} bytes seen, {_HEADER_BYTES} expected")
        words = np.frombuffer(data, dtype=np.int64)
        if words[_MAGIC_WORD] != _MAGIC:
            raise StoreError(f"{path}: this is no header of mapped rows")
        if not words[_CLOSED] and not np.array_equal(words[_BOOT : _BOOT_REST + 1], _boot_id()):
            raise StoreError(
                f"{self.root}: the machine was started again before these rows were on disk;"
                " start the plant on this data directory, which rebuilds them from the journal"
            )
        return words

    @property
    def published(self) -> int:
        """The seq up to which rows are visible; NO_SEQ before the first."""
        return int(self._words[_PUBLISHED])

    @property
    def released(self) -> int:
        """The seq up to which segments may have been removed; history has their rows."""
        return int(self._words[_RELEASED])

    def segments(self) -> dict[str, list[Segment]]:
        """Map every segment in the folder, by table and oldest first.

        Read `published` before this call: every row up to it is in what this call finds, but for
        rows that were released meanwhile, which history has.
        """
        names = sorted(_segment_names(self.root))
        maps: dict[str, Segment] = {}
        found: dict[str, list[Segment]] = {}
        for name in names:
            segment = self._segments.get(name) or _map_segment(self.root / name)
            if segment is None:
                continue
            maps[name] = segment
            found.setdefault(name.rsplit(".", 1)[0], []).append(segment)
        self._segments = maps
        return found

    def parts(self, table: str, *, up_to_seq: int, after_seq: int = NO_SEQ) -> list[RdbPart]:
        """List a table's rows with `after_seq` < seq <= `up_to_seq`, oldest first."""
        return cut(table, self.segments().get(table, []), up_to_seq=up_to_seq, after_seq=after_seq)


def cut(table: str, segments: list[Segment], *, up_to_seq: int, after_seq: int) -> list[RdbPart]:
    """Take the rows with `after_seq` < seq <= `up_to_seq` from each segment."""
    parts = []
    for segment in segments:
        rows = segment.rows
        first = segment.first_after(after_seq, rows)
        stop = segment.first_after(up_to_seq, rows)
        if stop > first:
            segment.pin(stop)
            parts.append(RdbPart(table, segment, first, stop))
    return parts


def _segment_names(root: Path) -> list[str]:
    """List finished segments; a hidden one is being made."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries]
    return [name for name in names if name[0] != "." and name.rpartition(".")[2].isdigit()]


def _map_segment(path: Path) -> Segment | None:
    """Map a segment; None if it was released since it was listed."""
    try:
        return Segment(path)
    except FileNotFoundError:
        return None
