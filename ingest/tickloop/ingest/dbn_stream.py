"""DBN bytes, plain or zstd in any number of frames, walked record by record in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import FeedError
from tickloop.core.kernel import kernel

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK_BYTES = 1 << 22
# A read that fails loses what it had unpacked, which is then read again byte by byte.
READ_BYTES = 1 << 18
RECORDS_MAX = 1 << 16
# Every record starts with these: the length counts words of four bytes.
HEADER = np.dtype(
    [("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"),
     ("ts_event", "<u8")]
)  # fmt: skip
_WALKED, _BAD_HEADER = 0, 1


class DbnBytes:
    """Reads a file's bytes, unpacked if they are zstd; remembers the damage that ended them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.damage: FeedError | None = None
        with path.open("rb") as stream:
            self._packed = stream.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC
        self._stream = self._open()

    def _open(self) -> Any:
        if not self._packed:
            return self.path.open("rb")
        import pyarrow as pa

        return pa.input_stream(str(self.path), compression="zstd")

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; empty at the end or at damage."""
        if self.damage is not None:
            return b""
        try:
            chunk = bytes(self._stream.read(min(size, READ_BYTES)))
        except OSError as error:
            chunk = self._salvage()
            self.damage = FeedError(
                f"{self.path}: byte {self.position + len(chunk)} unpacked: {error};"
                " what came before is kept: fetch the file again for the rest"
            )
        self.position += len(chunk)
        return chunk

    def _salvage(self) -> bytes:
        """Read again up to the damage."""
        self._stream.close()
        self._stream = self._open()
        kept: list[bytes] = []
        try:
            done = 0
            while done < self.position:
                done += len(self._stream.read(min(READ_BYTES, self.position - done)))
            while piece := self._stream.read(1):
                kept.append(bytes(piece))
        except OSError:
            pass
        return b"".join(kept)

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes, fewer at the end: what is not there is never allocated."""
        pieces: list[bytes] = []
        while size and (piece := self.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stream.close()


@kernel("int64(uint8[::1], int64, int64[::1], int64[::1])")
def _walk(
    data: npt.NDArray[np.uint8],
    end: int,
    offsets: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
) -> int:
    """Find whole records below `end`; stop is (where it stopped, why)."""
    at = np.int64(0)
    records = 0
    stop[1] = 0
    while at + 16 <= end and records < offsets.shape[0]:
        size = np.int64(data[at]) * 4
        if size < 16:
            stop[1] = 1
            break
        if at + size > end:
            break
        offsets[records] = at
        records += 1
        at += size
    stop[0] = at
    return records


@kernel("void(uint8[::1], int64[::1], uint8[:, ::1])")
def _gather(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.uint8]
) -> None:
    for row in range(offsets.shape[0]):
        at = offsets[row]
        for byte in range(rows.shape[1]):
            rows[row, byte] = data[at + byte]


@dataclass(frozen=True, slots=True)
class Records:
    """Some thousand records one after another: their bytes, and where each begins."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    first: int  # how many records of the file came before

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, start: int, end: int) -> "Records":
        """Give the records from `start` to `end`."""
        return Records(self.data, self.offsets[start:end], self.first + start)

    def view(self, positions: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> npt.NDArray[np.void]:
        """Give the records at `positions` as an array of `dtype`, which may be shorter."""
        rows = np.empty((len(positions), dtype.itemsize), dtype=np.uint8)
        _gather(self.data, self.offsets[positions], rows)
        return rows.view(dtype)[:, 0]

    def headers(self) -> npt.NDArray[np.void]:
        """Give the head that all records share."""
        return self.view(np.arange(len(self), dtype=np.int64), HEADER)


class RecordStream:
    """Cuts unpacked bytes into records."""

    def __init__(self, stream: DbnBytes) -> None:
        self._stream = stream
        self._data = np.zeros(BLOCK_BYTES, dtype=np.uint8)
        self._held = 0
        self._offset = stream.position  # of _data[0] in the unpacked bytes
        self.damage: FeedError | None = None

    def __iter__(self) -> Iterator[Records]:
        """Yield blocks of records until the end or damage; a block lives until the next one."""
        offsets = np.empty(RECORDS_MAX, dtype=np.int64)
        stop = np.zeros(2, dtype=np.int64)
        seen = 0
        while self._fill():
            found = _walk(self._data, self._held, offsets, stop)
            if found:
                yield Records(self._data, offsets[:found].copy(), seen)
            seen += found
            self._drop(int(stop[0]))
            if stop[1] == _BAD_HEADER:
                self._stop(f"record length {int(self._data[0])} words, at least 4 expected")
                return
            if not found and not self._more():
                break
        if self._held and self.damage is None:
            self._stop(f"the file ends {self._held} bytes into a record")
        self.damage = self._stream.damage or self.damage

    def _fill(self) -> bool:
        """Fill half of the buffer or more; tell whether anything is in it."""
        while self._held < BLOCK_BYTES // 2 and self._more():
            pass
        return self._held > 0

    def _more(self) -> bool:
        chunk = self._stream.read(BLOCK_BYTES - self._held)
        self._data[self._held : self._held + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        self._held += len(chunk)
        return bool(chunk)

    def _drop(self, size: int) -> None:
        kept = self._held - size
        self._data[:kept] = self._data[size : self._held].copy()
        self._held = kept
        self._offset += size

    def _stop(self, reason: str) -> None:
        self.damage = FeedError(
            f"{self._stream.path}: byte {self._offset} unpacked: {reason}; everything before is"
            " kept: fetch the file again for the rest"
        )
