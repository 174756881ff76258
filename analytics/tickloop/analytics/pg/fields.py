"""A column's values as bytes, all in one heap, and rows made of several columns at once."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.pg.row_kernels import framed_rows, separated_rows

Bytes = npt.NDArray[np.uint8]
NULL = -1
_FRAME_BYTES = 5  # a kind and a length
_COUNT_BYTES = 2
_LENGTH_BYTES = 4
_FEW_ROWS = 8
_COUNT = struct.Struct(">H")
_LENGTH = struct.Struct(">i")
_NO_VALUE = _LENGTH.pack(NULL)


@dataclass(frozen=True, slots=True)
class Fields:
    """One column: where each value starts in the heap, and its length, -1 for NULL."""

    heap: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)

    def to_list(self) -> list[bytes | None]:
        """Give the values one by one."""
        raw = self.heap.tobytes()
        pairs = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        return [None if size < 0 else raw[at : at + size] for at, size in pairs]


def of_fixed(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> Fields:
    """Take values of one width as they lie in memory."""
    width = values.dtype.itemsize
    heap = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
    starts = np.arange(len(values), dtype=np.int64) * width
    lengths = np.full(len(values), width, dtype=np.int32)
    return Fields(heap, starts, _null_out(lengths, valid))


def of_list(values: Sequence[bytes | None]) -> Fields:
    """Take values one by one."""
    lengths = np.array([NULL if value is None else len(value) for value in values], dtype=np.int32)
    heap = np.frombuffer(b"".join(value for value in values if value), dtype=np.uint8)
    ends = np.cumsum(np.maximum(lengths, 0), dtype=np.int64)
    return Fields(heap, ends - np.maximum(lengths, 0), lengths)


def of_strings(array: Any) -> Fields:
    """Take an Arrow array of strings or bytes without touching the values."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    if not (is_large or pa.types.is_string(array.type) or pa.types.is_binary(array.type)):
        array = array.cast(pa.string())
        is_large = False
    if len(array) == 0:
        return of_list([])
    _, offsets, heap = array.buffers()
    kind: type[np.signedinteger[Any]] = np.int64 if is_large else np.int32
    bounds = np.frombuffer(offsets, dtype=kind)[array.offset : array.offset + len(array) + 1]
    lengths = np.diff(bounds).astype(np.int32)
    raw = np.zeros(0, np.uint8) if heap is None else np.frombuffer(heap, dtype=np.uint8)
    starts = (bounds[:-1] - bounds[0]).astype(np.int64)
    return Fields(raw[bounds[0] : bounds[-1]], starts, _null_out(lengths, valid_of(array)))


def valid_of(array: Any) -> npt.NDArray[np.bool_] | None:
    """Tell which values are not NULL; None where all are."""
    if array.null_count == 0:
        return None
    found: npt.NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return found


def patched(fields: Fields, places: npt.NDArray[np.intp], values: Sequence[bytes]) -> Fields:
    """Put other values at some places."""
    if not len(places):
        return fields
    added = of_list(list(values))
    starts, lengths = fields.starts.copy(), fields.lengths.copy()
    starts[places] = added.starts + len(fields.heap)
    lengths[places] = added.lengths
    return Fields(np.concatenate([fields.heap, added.heap]), starts, lengths)


def _null_out(
    lengths: npt.NDArray[np.int32], valid: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.int32]:
    if valid is not None:
        lengths[~valid] = NULL
    return lengths


def _together(
    columns: Sequence[Fields], rows: int
) -> tuple[Bytes, npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    starts = np.empty((rows, len(columns)), dtype=np.int64)
    lengths = np.empty((rows, len(columns)), dtype=np.int32)
    base = 0
    for number, column in enumerate(columns):
        starts[:, number] = column.starts + base
        lengths[:, number] = column.lengths
        base += len(column.heap)
    heap = np.concatenate([column.heap for column in columns]) if columns else np.zeros(0, np.uint8)
    return heap, starts, lengths


def framed(kind: bytes, columns: Sequence[Fields], rows: int) -> memoryview:
    """Spell a message for each row: how many fields, then each with its length before it."""
    if rows <= _FEW_ROWS and columns:
        return _framed_few(kind, columns)
    heap, starts, lengths = _together(columns, rows)
    row_bytes = _FRAME_BYTES + _COUNT_BYTES + _LENGTH_BYTES * len(columns)
    out = np.empty(int(np.maximum(lengths, 0).sum(dtype=np.int64)) + rows * row_bytes, np.uint8)
    framed_rows(kind[0], heap, starts, lengths, out)
    return out.data


def _framed_few(kind: bytes, columns: Sequence[Fields]) -> memoryview:
    """Spell rows one by one, which for a few takes less than a kernel's call."""
    made = bytearray()
    count = _COUNT.pack(len(columns))
    for row in zip(*(column.to_list() for column in columns), strict=True):
        fields = b"".join(
            _NO_VALUE if value is None else _LENGTH.pack(len(value)) + value for value in row
        )
        made += kind + _LENGTH.pack(_LENGTH_BYTES + _COUNT_BYTES + len(fields)) + count + fields
    return memoryview(made)


def separated(columns: Sequence[Fields], rows: int, *, delimiter: bytes, null: bytes) -> memoryview:
    """Spell a CopyData message for each row: a line of fields."""
    heap, starts, lengths = _together(columns, rows)
    sizes = np.where(lengths < 0, len(null), lengths)
    row_bytes = _FRAME_BYTES + max(len(columns), 1)
    out = np.empty(int(sizes.sum(dtype=np.int64)) + rows * row_bytes, np.uint8)
    spelled = np.array(bytearray(null), dtype=np.uint8)
    separated_rows(delimiter[0], spelled, heap, starts, lengths, out)
    return out.data
