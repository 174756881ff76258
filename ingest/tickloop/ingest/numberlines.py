"""Lines of comma-separated integers, parsed from a byte stream in bounded memory."""

import zlib
from dataclasses import dataclass
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import FeedError
from tickloop.core.kernel import inline_kernel, kernel

BUFFER_BYTES = 1 << 20
DIGITS_MAX = 18
REFUSED_MAX = 16
# What a decompressor raises when its bytes are cut short or changed.
STREAM_ERRORS = (OSError, EOFError, zlib.error, BadZipFile)

_COMMA, _NEWLINE, _RETURN, _MINUS, _POINT, _SPACE = 0x2C, 0x0A, 0x0D, 0x2D, 0x2E, 0x20
_ZERO = 0x30
_NO_NUMBER = -(2**63)
_NANOS = 1_000_000_000


class ByteStream(Protocol):
    """A binary stream that gives what it has, so that nothing good is lost before damage."""

    def read1(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes; empty at the end."""
        ...


@inline_kernel
def _is_digit(byte: np.integer[Any]) -> bool:
    return bool(_ZERO <= byte <= _ZERO + 9)


@inline_kernel
def _ends_field(byte: np.integer[Any]) -> bool:
    return byte in (_COMMA, _NEWLINE, _RETURN)


@inline_kernel
def _integer(text: npt.NDArray[np.uint8], at: int) -> tuple[np.int64, int]:
    """Parse an integer; gives (value, position after it), _NO_NUMBER if there is none."""
    negative = text[at] == _MINUS
    if negative:
        at += 1
    first = at
    value = np.int64(0)
    while _is_digit(text[at]) and at - first <= DIGITS_MAX:
        value = value * 10 + (np.int64(text[at]) - _ZERO)
        at += 1
    if at == first or at - first > DIGITS_MAX or not _ends_field(text[at]):
        return np.int64(_NO_NUMBER), at
    return -value if negative else value, at


@inline_kernel
def _nanoseconds(text: npt.NDArray[np.uint8], at: int) -> tuple[np.int64, int]:
    """Parse decimal seconds to the nearest nanosecond, in integers."""
    first = at
    value = np.int64(0)
    while _is_digit(text[at]) and at - first <= 6:
        value = value * 10 + (np.int64(text[at]) - _ZERO)
        at += 1
    if at == first or at - first > 6:
        return np.int64(_NO_NUMBER), at
    value *= _NANOS
    if text[at] == _POINT:
        at += 1
        point, step = at, _NANOS
        while _is_digit(text[at]):
            if at - point < 9:
                step //= 10
                value += (np.int64(text[at]) - _ZERO) * step
            elif at - point == 9 and text[at] >= _ZERO + 5:
                value += 1
            at += 1
    return (value, at) if _ends_field(text[at]) else (np.int64(_NO_NUMBER), at)


@inline_kernel
def _tag(text: npt.NDArray[np.uint8], at: int) -> np.int64:
    """Pack up to 7 bytes of a text field into an integer, first byte lowest."""
    value = np.int64(0)
    for index in range(7):
        byte = np.int64(text[at + index])
        if _ends_field(byte):
            break
        value |= byte << (8 * index)
    return value


@inline_kernel
def _line(text: npt.NDArray[np.uint8], at: int, row: npt.NDArray[np.int64], timed: bool) -> bool:
    width = row.shape[0] - 1
    row[width] = 0
    for field in range(width):
        if field == 0 and timed:
            row[field], at = _nanoseconds(text, at)
        else:
            row[field], at = _integer(text, at)
        last = field == width - 1
        if row[field] == _NO_NUMBER or (text[at] != _COMMA and not last):
            return False
        at += 1
    if text[at - 1] == _COMMA:
        row[width] = _tag(text, at)
    return True


@kernel("int64(uint8[::1], int64, boolean, int64[:, ::1], uint8[::1], int64[::1], int64)")
def _parse(
    text: npt.NDArray[np.uint8],
    end: int,
    timed: bool,
    values: npt.NDArray[np.int64],
    valid: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    row: int,
) -> int:
    """Parse whole lines below `end` into rows from `row` on; offsets[-1] is where it stopped."""
    at = 0
    while at < end and row < values.shape[0]:
        start = at
        while text[at] != _NEWLINE:
            at += 1
        at += 1
        if text[start] == _NEWLINE or text[start] == _RETURN:
            continue
        offsets[row] = start
        valid[row] = _line(text, start, values[row], timed)
        row += 1
    offsets[-1] = at
    return row


@dataclass(frozen=True, slots=True)
class Parsed:
    """Lines in file order: `values` is (lines, width + 1), the last column a packed extra field."""

    values: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]  # the line was `width` numbers
    refused: list[tuple[int, bytes]]  # the first few that were not: (offset in the stream, text)


class NumberLines:
    """Reads a csv of `width` integers a line; the first may be decimal seconds, kept as ns."""

    def __init__(self, stream: ByteStream, *, width: int, timed: bool, name: str) -> None:
        self._stream = stream
        self._width = width
        self._timed = timed
        self.name = name
        # Room past the data, so that a field can be looked at without asking for the end.
        self._text = np.zeros(BUFFER_BYTES + 64, dtype=np.uint8)
        self._held = 0  # bytes in _text
        self._whole = 0  # bytes in _text up to and with the last line end
        self._offset = 0  # of _text[0] in the stream
        self._ended = False
        self.damage: FeedError | None = None

    def take(self, lines: int) -> Parsed:
        """Parse up to `lines` more lines; fewer only at the end or at damage."""
        values = np.empty((lines, self._width + 1), dtype=np.int64)
        valid = np.zeros(lines, dtype=np.uint8)
        offsets = np.zeros(lines + 1, dtype=np.int64)
        refused: list[tuple[int, bytes]] = []
        rows = 0
        while rows < lines and self._fill():
            parsed = _parse(self._text, self._whole, self._timed, values, valid, offsets, rows)
            for row in np.flatnonzero(valid[rows:parsed] == 0)[: REFUSED_MAX - len(refused)]:
                at = int(offsets[rows + row])
                refused.append((self._offset + at, self._text[at : at + 80].tobytes()))
            self._drop(int(offsets[-1]))
            rows = parsed
        return Parsed(values[:rows], valid[:rows].astype(np.bool_), refused)

    def _fill(self) -> bool:
        """Read until there is a whole line or nothing more; tell whether there is a line."""
        while not self._ended and not self._whole:
            if self._held == BUFFER_BYTES:
                self._held = 0
                self._stop(f"no line end within {BUFFER_BYTES} bytes; is this a csv file?")
            else:
                self._read()
        return self._whole > 0

    def _read(self) -> None:
        try:
            chunk = self._stream.read1(BUFFER_BYTES - self._held)
        except STREAM_ERRORS as error:
            self._held = self._whole  # what follows is cut somewhere inside a line
            self._stop(f"the bytes cannot be unpacked further ({error}); fetch the file again")
            return
        self._ended = not chunk
        if self._ended and self._held > self._whole:
            chunk = b"\n"
        self._text[self._held : self._held + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        if (end := chunk.rfind(b"\n")) >= 0:
            self._whole = self._held + end + 1
        self._held += len(chunk)

    def _drop(self, size: int) -> None:
        kept = self._held - size
        self._text[:kept] = self._text[size : self._held].copy()
        self._held = kept
        self._whole -= size
        self._offset += size

    def _stop(self, reason: str) -> None:
        self._ended = True
        self.damage = FeedError(f"{self.name}: byte {self._offset + self._held}: {reason}")
