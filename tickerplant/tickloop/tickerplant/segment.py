"""One mapped file of rows: columns side by side, and a row count that is stored after the rows.

A file is a header, then every column as a block of `capacity` values; the file is sparse, so
rows that were never written take no room. Eight int64 words lead the header: magic, header
bytes, capacity, rows, descriptor bytes, then three that are zero. The descriptor behind them is
JSON and names the columns, so that a reader needs no schema. The block of a text column holds
each row's end offset (int64) into a file beside it, `FILE.COLUMN`, which holds the bytes.

One process writes; any process may map the file at any time. The writer stores the row count
after the rows, as one aligned int64: what a reader sees below the count it read is complete.
"""

import itertools
import json
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Columns
from tickloop.core.dialects.numpy import surface_dtype
from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.file_door import FileDoor, Piece

MAGIC = 0x31_47_45_53_4B_43_49_54  # "TICKSEG1"
ALIGNMENT = 64
HEAP_START = 1 << 16
_MAGIC, _HEADER, _CAPACITY, _ROWS, _DESCRIPTOR = range(5)
_WORDS_BYTES = 64

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Text:
    """A text column: row i is `heap[ends[i-1]:ends[i]]`, and row 0 starts at `start`."""

    ends: npt.NDArray[np.int64]
    heap: npt.NDArray[np.uint8]
    start: int = 0

    def __len__(self) -> int:
        return len(self.ends)

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "Text":
        """Make a column by copying texts."""
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        return cls(ends, np.frombuffer(b"".join(texts), dtype=np.uint8))

    def rows(self, first: int, stop: int) -> "Text":
        """Take rows without copying."""
        start = int(self.ends[first - 1]) if first else self.start
        return Text(self.ends[first:stop], self.heap, start)

    def to_list(self) -> list[bytes]:
        """Copy the rows out as bytes."""
        bounds = [self.start, *self.ends.tolist()]
        heap = self.heap[: bounds[-1]].tobytes()
        return [heap[a:b] for a, b in itertools.pairwise(bounds)]


Values = Array | Text


@dataclass(frozen=True, slots=True)
class Field:
    """Where a column lies in the file."""

    name: str
    dtype: str  # "|O" for text
    offset: int

    @property
    def stored(self) -> np.dtype[np.generic]:
        """What the block holds."""
        return np.dtype("<i8" if self.dtype == "|O" else self.dtype)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _lay_out(columns: Sequence[tuple[str, str]], capacity: int) -> tuple[list[Field], int, int]:
    """Place columns behind the header; return fields, header bytes and file bytes."""
    widest = json.dumps([[name, dtype, 2**62] for name, dtype in columns])
    header = _aligned(_WORDS_BYTES + len(widest.encode()))
    fields = []
    offset = header
    for name, dtype in columns:
        field = Field(name, dtype, offset)
        fields.append(field)
        offset += _aligned(field.stored.itemsize * capacity)
    return fields, header, offset


def _header(fields: Sequence[Field], size: int, capacity: int, *, rows: int) -> bytes:
    descriptor = json.dumps([[f.name, f.dtype, f.offset] for f in fields]).encode()
    words = np.array([MAGIC, size, capacity, rows, len(descriptor), 0, 0, 0], dtype=np.int64)
    return (words.tobytes() + descriptor).ljust(size, b"\0")


def _blocks(data: mmap.mmap, fields: Sequence[Field], capacity: int) -> dict[str, Array]:
    return {
        field.name: np.frombuffer(data, dtype=field.stored, count=capacity, offset=field.offset)
        for field in fields
    }


class _Heap:
    """A text column's bytes: a file that doubles."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.used = 0
        self._capacity = 0
        self._grow(HEAP_START)

    def _grow(self, needed: int) -> None:
        self._capacity = max(needed, 2 * self._capacity)
        os.ftruncate(self._descriptor, self._capacity)
        self._map = mmap.mmap(self._descriptor, self._capacity)

    def append(self, texts: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Store texts one after another; return their end offsets."""
        joined = b"".join(texts)
        ends = self.used + np.cumsum([len(text) for text in texts], dtype=np.int64)
        end = self.used + len(joined)
        if end > self._capacity:
            self._grow(end)
        self._map[self.used : end] = joined
        self.used = end
        return ends

    def close(self) -> None:
        os.close(self._descriptor)


class SegmentWriter:
    """A new file of up to `capacity` rows of one table."""

    def __init__(self, path: Path, table: Table, *, capacity: int, fractional: bool) -> None:
        columns = [
            (column.name, surface_dtype(column.kind, fractional=fractional))
            for column in table.columns
        ]
        fields, header, size = _lay_out(columns, capacity)
        self.path = path
        self.capacity = capacity
        self.rows = 0
        self._heaps = {
            column.name: _Heap(heap_path(path, column.name))
            for column in table.columns
            if column.kind is Kind.TEXT
        }
        # Readers find the file only when its header is whole.
        unnamed = path.with_name("." + path.name)
        data = _create(unnamed, size)
        self.blocks = _blocks(data, fields, capacity)
        # What `append` walks on every message: name and block of each fixed-width column.
        self.plain = [item for item in self.blocks.items() if item[0] not in self._heaps]
        self._words = np.frombuffer(data, dtype=np.int64, count=8)
        data[:header] = _header(fields, header, capacity, rows=0)
        unnamed.rename(path)

    def append(self, columns: Columns, rows: int) -> None:
        """Copy a batch of `rows` rows; they must fit."""
        first = self.rows
        last = first + rows
        for name, block in self.plain:
            block[first:last] = columns[name]
        for name, heap in self._heaps.items():
            self.blocks[name][first:last] = heap.append(columns[name].tolist())
        self.rows = last
        self._words[_ROWS] = last

    def commit(self, rows: int) -> None:
        """Store the row count, after the rows."""
        self.rows = rows
        self._words[_ROWS] = rows

    @property
    def last_seq(self) -> int:
        """The seq of the last row; there must be one."""
        return int(self.blocks["seq"][self.rows - 1])

    def files(self) -> list[Path]:
        """List the segment's file and its text files."""
        return [self.path, *(heap_path(self.path, name) for name in self._heaps)]

    def close(self) -> None:
        """Give back descriptors; the mapping goes with the last array that uses it."""
        for heap in self._heaps.values():
            heap.close()


def _create(path: Path, size: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def write_segment(door: FileDoor, path: Path, parts: Sequence["Rows"]) -> None:
    """Write parts of one table, one after another, as one durable file with no room to grow.

    The caller syncs the directory. Parts have the same columns.
    """
    fields = [(field.name, field.dtype) for field in parts[0].fields]
    rows = sum(len(part) for part in parts)
    laid, header, _ = _lay_out(fields, rows)
    columns = [part.columns() for part in parts]
    pieces: list[Piece] = [_header(laid, header, rows, rows=rows)]
    for field in laid:
        if field.dtype == "|O":
            texts = [values[field.name] for values in columns]
            ends = _write_heap(door, heap_path(path, field.name), texts)
            pieces.extend(ends)
        else:
            pieces.extend(_plain(values[field.name]) for values in columns)
        size = rows * field.stored.itemsize
        pieces.append(bytes(_aligned(size) - size))
    _write(door, path, pieces)


class Rows(Protocol):
    """Rows with named columns, as `write_segment` takes them."""

    @property
    def fields(self) -> Sequence[Field]:
        """Names and dtypes, in order."""
        ...

    def __len__(self) -> int: ...

    def columns(self) -> Mapping[str, "Values"]:
        """Give the columns without copying."""
        ...


def _plain(values: "Values") -> Array:
    assert not isinstance(values, Text), "a text column where values were expected"
    return values


def _write_heap(door: FileDoor, path: Path, texts: Sequence["Values"]) -> list[Array]:
    pieces: list[Piece] = []
    ends: list[Array] = []
    used = 0
    for text in texts:
        assert isinstance(text, Text), "a text column expected"
        last = int(text.ends[-1]) if len(text) else text.start
        pieces.append(text.heap[text.start : last])
        ends.append(text.ends - (text.start - used))
        used += last - text.start
    # An empty file cannot be mapped.
    _write(door, path, pieces if used else [b"\0"])
    return ends


def _write(door: FileDoor, path: Path, pieces: Sequence[Piece]) -> None:
    descriptor = door.create(path)
    try:
        door.write(descriptor, pieces)
        door.sync(descriptor)
    finally:
        door.close(descriptor)


def heap_path(path: Path, column: str) -> Path:
    """Name the file of a text column's bytes."""
    return path.with_name(f"{path.name}.{column}")


class Segment:
    """A mapped file of rows, read-only; the writer may still be adding to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _map(path)
        self._words = np.frombuffer(self._data, dtype=np.int64, count=8)
        self.capacity = int(self._words[_CAPACITY])
        self.fields = self._descriptor()
        self._blocks = _blocks(self._data, self.fields, self.capacity)
        self._heaps: dict[str, npt.NDArray[np.uint8]] = {}
        self.pin(0)

    def _descriptor(self) -> list[Field]:
        if self._words[_MAGIC] != MAGIC:
            raise StoreError(
                f"{self.path}: byte 0: {int(self._words[_MAGIC]):#x} seen where a file of rows has"
                f" {MAGIC:#x}; remove the file, its rows are in the journal"
            )
        length = int(self._words[_DESCRIPTOR])
        if len(self._data) < _WORDS_BYTES + length:
            raise self._was_cut(_WORDS_BYTES + length)
        text = self._data[_WORDS_BYTES : _WORDS_BYTES + length]
        fields = [Field(*entry) for entry in json.loads(text)]
        needed = fields[-1].offset + fields[-1].stored.itemsize * self.capacity
        if needed > len(self._data):
            raise self._was_cut(needed)
        return fields

    def _was_cut(self, needed: int) -> StoreError:
        return StoreError(
            f"{self.path}: {len(self._data)} bytes seen, {needed} expected; the file was cut:"
            " remove it, its rows are in the journal"
        )

    @property
    def rows(self) -> int:
        """Rows that the writer has completed so far."""
        return int(self._words[_ROWS])

    def first_after(self, seq: int, rows: int) -> int:
        """Find the first of the leading `rows` whose seq is above `seq`."""
        return int(np.searchsorted(self._blocks["seq"][:rows], np.int64(seq), side="right"))

    def first_at(self, time: int, first: int, stop: int) -> int:
        """Find the first row from `first` to `stop` whose time is `time` or later."""
        times = self._blocks["time"][first:stop]
        return first + int(np.searchsorted(times, np.int64(time), side="left"))

    def time(self, row: int) -> int:
        """Give a row's time."""
        return int(self._blocks["time"][row])

    def last_seq(self) -> int:
        """Give the seq of the last row; there must be one."""
        return int(self._blocks["seq"][self.rows - 1])

    def columns(self, first: int, stop: int) -> Mapping[str, Values]:
        """Give rows without copying; they must lie below a row count that was read."""
        return {field.name: self._values(field, first, stop) for field in self.fields}

    def _values(self, field: Field, first: int, stop: int) -> Values:
        block = self._blocks[field.name]
        if field.dtype != "|O":
            return block[first:stop]
        self._pin_text(field.name, stop)
        return Text(block.view(np.int64)[:stop], self._heaps[field.name]).rows(first, stop)

    def pin(self, rows: int) -> None:
        """Map the text of the leading rows, which stays when the files are removed."""
        for field in self.fields:
            if field.dtype == "|O":
                self._pin_text(field.name, rows)

    def _pin_text(self, name: str, rows: int) -> None:
        needed = int(self._blocks[name][rows - 1]) if rows else 0
        known = self._heaps.get(name)
        if known is not None and len(known) >= needed:
            return
        path = heap_path(self.path, name)
        heap = np.frombuffer(_map(path, least=1), dtype=np.uint8)
        if len(heap) < needed:
            raise StoreError(f"{path}: {len(heap)} bytes seen, {needed} expected; the file was cut")
        self._heaps[name] = heap


def _map(path: Path, *, least: int = _WORDS_BYTES) -> mmap.mmap:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < least:
            raise StoreError(f"{path}: {size} bytes seen, {least} expected; the file was cut")
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
