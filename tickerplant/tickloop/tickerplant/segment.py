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

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.tickerplant.mapped_file import Bytes, map_fd

MAGIC = 0x31_47_45_53_4B_43_49_54  # "TICKSEG1"
ALIGNMENT = 64
_MAGIC, _HEADER, _CAPACITY, ROWS_WORD, _DESCRIPTOR = range(5)
_WORDS_BYTES = 64

Array = npt.NDArray[np.generic]
Buffer = mmap.mmap | Bytes


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
        heap = self.heap[self.start : bounds[-1]].tobytes()
        return [heap[a - self.start : b - self.start] for a, b in itertools.pairwise(bounds)]


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


def aligned(size: int) -> int:
    """Round a size up to where the next block begins."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def lay_out(columns: Sequence[tuple[str, str]], capacity: int) -> tuple[list[Field], int, int]:
    """Place columns behind the header; return fields, header bytes and file bytes."""
    widest = json.dumps([[name, dtype, 2**62] for name, dtype in columns])
    header = aligned(_WORDS_BYTES + len(widest.encode()))
    fields = []
    offset = header
    for name, dtype in columns:
        field = Field(name, dtype, offset)
        fields.append(field)
        offset += aligned(field.stored.itemsize * capacity)
    return fields, header, offset


def header_bytes(fields: Sequence[Field], size: int, capacity: int, *, rows: int) -> bytes:
    """Spell a header of `size` bytes."""
    descriptor = json.dumps([[f.name, f.dtype, f.offset] for f in fields]).encode()
    words = np.array([MAGIC, size, capacity, rows, len(descriptor), 0, 0, 0], dtype=np.int64)
    return (words.tobytes() + descriptor).ljust(size, b"\0")


def blocks_of(data: Buffer, fields: Sequence[Field], capacity: int) -> dict[str, Array]:
    """View a file's bytes as its columns, each of `capacity` values."""
    return {
        field.name: np.frombuffer(data, dtype=field.stored, count=capacity, offset=field.offset)
        for field in fields
    }


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
        self._blocks = blocks_of(self._data, self.fields, self.capacity)
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
        text = self._data[_WORDS_BYTES : _WORDS_BYTES + length].tobytes()
        try:
            fields = [Field(*entry) for entry in json.loads(text)]
            needed = max(field.offset + field.stored.itemsize * self.capacity for field in fields)
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self.path}: byte {_WORDS_BYTES}: the list of columns is damaged ({error});"
                " remove the file, its rows are in the journal"
            ) from error
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
        return min(int(self._words[ROWS_WORD]), self.capacity)

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
        heap = _map(path, least=1)
        if len(heap) < needed:
            raise StoreError(f"{path}: {len(heap)} bytes seen, {needed} expected; the file was cut")
        self._heaps[name] = heap


def _map(path: Path, *, least: int = _WORDS_BYTES) -> Bytes:
    """Map a whole file without holding its descriptor."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < least:
            raise StoreError(f"{path}: {size} bytes seen, {least} expected; the file was cut")
        return map_fd(file.fileno(), size)
