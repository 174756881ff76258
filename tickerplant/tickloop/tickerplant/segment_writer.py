"""Writes segments: one that grows row by row, or one from finished parts."""

import contextlib
import ctypes
import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Columns
from tickloop.core.dialects.numpy import surface_dtype
from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.file_door import FileDoor, Piece
from tickloop.tickerplant.segment import (
    ROWS_WORD,
    Array,
    Field,
    Text,
    Values,
    aligned,
    blocks_of,
    header_bytes,
    heap_path,
    lay_out,
)

HEAP_START = 1 << 16
# Columns of at least as many rows are written by the system: it makes room for many pages at a
# time, where a store into a mapped hole traps once a page.
BULK_ROWS = 2048
# From here on a column is 2 MB: large enough for the system to map it a large page at a time.
LARGE_ROWS = 1 << 18
_POPULATE_WRITE = 23  # Linux 5.14, madvise(2): older ones refuse, and pages come as they are met


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
        _reserve(self._path, self._descriptor, self._capacity)
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
    """A new file of up to `capacity` rows of one table; readers find it once it is shown."""

    def __init__(self, path: Path, table: Table, *, capacity: int, fractional: bool) -> None:
        columns = [
            (column.name, surface_dtype(column.kind, fractional=fractional))
            for column in table.columns
        ]
        fields, header, size = lay_out(columns, capacity)
        self.path = path
        self.capacity = capacity
        # Beyond it the next segment is begun.
        self.half = capacity // 2
        self.rows = 0
        self._heaps = {
            column.name: _Heap(heap_path(path, column.name))
            for column in table.columns
            if column.kind is Kind.TEXT
        }
        self._descriptor = _create(_hidden(path), size)
        _write_at(self._descriptor, header_bytes(fields, header, capacity, rows=0), 0)
        data = mmap.mmap(self._descriptor, size)
        if capacity >= LARGE_ROWS:
            _trap_less(data)
        self.blocks = blocks_of(data, fields, capacity)
        self._offsets = {field.name: field.offset for field in fields}
        # What `append` walks on every message: name and block of each fixed-width column.
        self.plain = [item for item in self.blocks.items() if item[0] not in self._heaps]
        self.is_plain = not self._heaps
        self._words = np.frombuffer(data, dtype=np.int64, count=8)

    def show(self) -> None:
        """Let readers find the file: its header is whole."""
        _hidden(self.path).rename(self.path)

    def touch(self) -> None:
        """Have the system bring every page into memory now; nothing where it cannot."""
        address, size = self._words.ctypes.data, _size_of(self._descriptor)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _POPULATE_WRITE)

    def discard(self) -> None:
        """Remove a file that was never shown."""
        self.close()
        for path in (_hidden(self.path), *self.files()[1:]):
            path.unlink()

    def append(self, columns: Columns, rows: int) -> None:
        """Copy a batch of `rows` rows; they must fit."""
        first = self.rows
        last = first + rows
        if rows < BULK_ROWS:
            for name, block in self.plain:
                block[first:last] = columns[name]
        else:
            self._append_bulk(columns, rows)
        for name, heap in self._heaps.items():
            self.blocks[name][first:last] = heap.append(columns[name].tolist())
        self.rows = last
        self._words[ROWS_WORD] = last

    def _append_bulk(self, columns: Columns, rows: int) -> None:
        for name, block in self.plain:
            values = np.ascontiguousarray(columns[name], dtype=block.dtype)
            assert len(values) == rows, f"{name}: {len(values)} values in a batch of {rows} rows"
            offset = self._offsets[name] + self.rows * block.itemsize
            _write_at(self._descriptor, values.view(np.uint8).data, offset)

    def commit(self, rows: int) -> None:
        """Store the row count, after the rows."""
        self.rows = rows
        self._words[ROWS_WORD] = rows

    @property
    def last_seq(self) -> int:
        """The seq of the last row; there must be one."""
        return int(self.blocks["seq"][self.rows - 1])

    def files(self) -> list[Path]:
        """List the segment's file and its text files."""
        return [self.path, *(heap_path(self.path, name) for name in self._heaps)]

    def close(self) -> None:
        """Give back descriptors; the mapping goes with the last array that uses it."""
        os.close(self._descriptor)
        for heap in self._heaps.values():
            heap.close()


def _hidden(path: Path) -> Path:
    """Name a file while it is being made."""
    return path.with_name("." + path.name)


def _size_of(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


def _write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all bytes; OSError, as the system gives it, when the disk is full."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _trap_less(data: mmap.mmap) -> None:
    """Ask for large pages: a store then traps once in 2 MB, not once in 4 KB, where there are."""
    # A kernel without them refuses the advice, and small pages serve as well.
    with contextlib.suppress(AttributeError, OSError):
        data.madvise(mmap.MADV_HUGEPAGE)


def _create(path: Path, size: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _reserve(path, descriptor, size)
    except BaseException:
        os.close(descriptor)
        path.unlink()
        raise
    return descriptor


def _reserve(path: Path, descriptor: int, size: int) -> None:
    """Give a file its disk blocks now: a store into a mapped hole of a full disk kills."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        table = path.name.strip(".").partition(".")[0]
        raise StoreError(
            f"{path.parent}: {size} bytes for rows of {table} could not be had"
            f" ({error.strerror}); what was acknowledged is in the journal: free some space and"
            " run again"
        ) from error


def write_segment(door: FileDoor, path: Path, parts: Sequence["Rows"]) -> None:
    """Write parts of one table, one after another, as one durable file with no room to grow.

    The caller syncs the directory. Parts have the same columns.
    """
    fields = [(field.name, field.dtype) for field in parts[0].fields]
    rows = sum(len(part) for part in parts)
    laid, header, _ = lay_out(fields, rows)
    columns = [part.columns() for part in parts]
    pieces: list[Piece] = [header_bytes(laid, header, rows, rows=rows)]
    for field in laid:
        if field.dtype == "|O":
            texts = [values[field.name] for values in columns]
            ends = _write_heap(door, heap_path(path, field.name), texts)
            pieces.extend(ends)
        else:
            pieces.extend(_plain(values[field.name]) for values in columns)
        size = rows * field.stored.itemsize
        pieces.append(bytes(aligned(size) - size))
    _write(door, path, pieces)


class Rows(Protocol):
    """Rows with named columns, as `write_segment` takes them."""

    @property
    def fields(self) -> Sequence[Field]:
        """Names and dtypes, in order."""
        ...

    def __len__(self) -> int: ...

    def columns(self) -> Mapping[str, Values]:
        """Give the columns without copying."""
        ...


def _plain(values: Values) -> Array:
    assert not isinstance(values, Text), "a text column where values were expected"
    return values


def _write_heap(door: FileDoor, path: Path, texts: Sequence[Values]) -> list[Array]:
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
