"""The columns of a message, unpacked in one pass over its bytes."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects.numpy import INSIDE
from tickloop.core.errors import WireError
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.sinks.packing import Packing

_Array = npt.NDArray[Any]
_PLAIN, _SAME = int(Packing.PLAIN), int(Packing.SAME)
_OFFSETS_8, _OFFSETS_16 = int(Packing.OFFSETS_8), int(Packing.OFFSETS_16)
_PACKING_MAX = int(max(Packing))
_CUT_SHORT, _UNKNOWN = -1, -2
# Widths of columns that the kernel passes over.
_TEXT, _GUID = 0, 16


@dataclass(frozen=True, slots=True)
class _Layout:
    """A table's columns: for each its name, width, row among those of its width, and dtype."""

    places: tuple[tuple[str, int, int, str], ...]
    widths: npt.NDArray[np.uint8]
    longs: int
    ints: int
    shorts: int
    chars: int


@cache
def _layout(table: Table, floats: int) -> _Layout:
    seen = dict.fromkeys((_TEXT, 1, 2, 4, 8, _GUID), 0)
    places = []
    for index, column in enumerate(table.columns):
        dtype = np.dtype("<f8" if floats >> index & 1 else INSIDE[column.kind])
        width = _TEXT if column.kind is Kind.TEXT else dtype.itemsize
        places.append((column.name, width, seen[width], "" if dtype.kind in "iu" else dtype.str))
        seen[width] += 1
    widths = np.array([width for _, width, _, _ in places], dtype=np.uint8)
    return _Layout(tuple(places), widths, seen[8], seen[4], seen[2], seen[1])


def columns_at(raw: bytes, at: int, table: Table, rows: int, floats: int) -> dict[str, _Array]:
    """Read the columns that begin at byte `at`; WireError if the bytes do not hold them.

    What is given views the message nowhere, so it may be written. Bit i of `floats` says that
    column i holds float64.
    """
    if rows > len(raw):  # one column at least tells rows apart, in a byte each
        raise WireError(
            f"bus message of {len(raw)} bytes: {rows} rows seen, a byte a row expected at least;"
            " its header is damaged"
        )
    layout = _layout(table, floats)
    longs = np.empty((layout.longs, rows), dtype=np.int64)
    ints = np.empty((layout.ints, rows), dtype=np.int32)
    shorts = np.empty((layout.shorts, rows), dtype=np.int16)
    chars = np.empty((layout.chars, rows), dtype=np.uint8)
    starts = np.empty(len(layout.places) + 2, dtype=np.int64)
    outcome = unpack(
        np.frombuffer(raw, dtype=np.uint8), at, layout.widths, rows, longs, ints, shorts, chars,
        starts,
    )  # fmt: skip
    if outcome < 0:
        raise _refusal(raw, outcome, *starts[-2:].tolist())
    by_width: dict[int, _Array] = {8: longs, 4: ints, 2: shorts, 1: chars}
    found: dict[str, _Array] = {}
    for index, (name, width, row, dtype) in enumerate(layout.places):
        if width in by_width:
            values = by_width[width][row]
            found[name] = values.view(dtype) if dtype else values
        elif width == _GUID:
            found[name] = np.frombuffer(raw, dtype, rows, int(starts[index])).copy()
        else:
            found[name] = _texts(raw, int(starts[index]), rows)
    return found


def _refusal(raw: bytes, outcome: int, at: int, seen: int) -> WireError:
    if outcome == _UNKNOWN:
        return WireError(
            f"bus message: packing {seen} seen, 0 to {_PACKING_MAX} expected; it was written by a"
            " newer program"
        )
    return WireError(
        f"bus message of {len(raw)} bytes: column of {seen} bytes at byte {at} expected; it is cut"
        " short"
    )


def _texts(raw: bytes, at: int, rows: int) -> _Array:
    texts = np.empty(rows, dtype="|O")
    lengths = np.frombuffer(raw, "<i4", rows, at).tolist()
    at += 4 * rows
    for row, length in enumerate(lengths):
        texts[row] = raw[at : at + max(length, 0)]
        at += max(length, 0)
    return texts


@inline_kernel
def _column(
    raw: npt.NDArray[np.uint8], raw_2: npt.NDArray[np.uint16], raw_4: npt.NDArray[np.int32],
    raw_8: npt.NDArray[np.int64], own: _Array, at: int, width: int, code: int, out: _Array,
) -> None:  # fmt: skip
    """Unpack one column; `own` are the message's bytes in the column's own type."""
    rows = out.shape[0]
    if code == _PLAIN:
        first = at // width
        for row in range(rows):
            out[row] = own[first + row]
        return
    if code == _SAME:
        value = own[at // width]
        for row in range(rows):
            out[row] = value
        return
    base = raw_8[at // 8]
    at += 8
    if code == _OFFSETS_8:
        for row in range(rows):
            out[row] = base + np.int64(raw[at + row])
    elif code == _OFFSETS_16:
        at //= 2
        for row in range(rows):
            out[row] = base + np.int64(raw_2[at + row])
    else:
        at //= 4
        for row in range(rows):
            out[row] = base + (np.int64(raw_4[at + row]) & 0xFFFFFFFF)


@inline_kernel
def _size(raw_4: npt.NDArray[np.int32], at: int, width: int, code: int, rows: int) -> int:
    """Give the bytes of a column; of text without the text, where its lengths are cut short."""
    if code == _SAME:
        return width
    if code != _PLAIN:
        return 8 + (rows << code - _OFFSETS_8)
    if width != _TEXT:
        return width * rows
    size = 4 * rows
    first = at // 4
    if first + rows <= len(raw_4):
        for row in range(rows):
            size += max(raw_4[first + row], 0)
    return size


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), int64, uint8[::1], int64, int64[:,::1],"
    " int32[:,::1], int16[:,::1], uint8[:,::1], int64[::1])"
)
def unpack(
    raw: npt.NDArray[np.uint8], at: int, widths: npt.NDArray[np.uint8], rows: int,
    longs: npt.NDArray[np.int64], ints: npt.NDArray[np.int32], shorts: npt.NDArray[np.int16],
    chars: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64],
) -> int:  # fmt: skip
    """Unpack columns by width; text and what is wider stays, and `starts` tells where it is.

    Gives where the columns end; or _CUT_SHORT or _UNKNOWN, and in the last two of `starts` the
    byte and what was expected there in bytes, or the unknown packing.
    """
    raw_8 = raw[: len(raw) // 8 * 8].view(np.int64)
    raw_4 = raw[: len(raw) // 4 * 4].view(np.int32)
    raw_2 = raw[: len(raw) // 2 * 2].view(np.uint16)
    count = len(widths)
    codes = at
    starts[count], starts[count + 1] = at, count
    if at + count > len(raw):
        return _CUT_SHORT
    at += count
    long, int_, short, char = 0, 0, 0, 0
    for column in range(count):
        at += -at % 8
        width, code = int(widths[column]), int(raw[codes + column])
        starts[column], starts[count], starts[count + 1] = at, at, code
        if code > _PACKING_MAX or (width in (_TEXT, _GUID) and code != _PLAIN):
            return _UNKNOWN
        size = _size(raw_4, at, width, code, rows)
        starts[count + 1] = size
        if at + size > len(raw):
            return _CUT_SHORT
        if width == 8:
            _column(raw, raw_2, raw_4, raw_8, raw_8, at, 8, code, longs[long])
            long += 1
        elif width == 4:
            _column(raw, raw_2, raw_4, raw_8, raw_4, at, 4, code, ints[int_])
            int_ += 1
        elif width == 2:
            _column(raw, raw_2, raw_4, raw_8, raw_2.view(np.int16), at, 2, code, shorts[short])
            short += 1
        elif width == 1:
            _column(raw, raw_2, raw_4, raw_8, raw, at, 1, code, chars[char])
            char += 1
        at += size
    return at
