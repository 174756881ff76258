"""ITCH 5.0 files: length-prefixed messages, plain or gzip, in blocks of bounded memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.errors import FeedError
from tickloop.ingest.byte_source import ByteSource
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.file_date import date_in_name
from tickloop.ingest.itch import ItchDecoder
from tickloop.ingest.itch_frames import FRAME_MIN, MORE, WRONG, ZERO, walk_frames
from tickloop.ingest.itch_layout import LAYOUT, LENGTH

BLOCK = 1 << 22


class ItchFile:
    """A file of ITCH messages as a feed.

    The session date is the context's, else the one in the file's name; without either FeedError
    is raised here, before any row. Framing is by 2-byte big-endian lengths, or by the types'
    fixed lengths where every prefix is 0. A length of 0 ends the file. Damage ends the feed: it
    is put in `health.damage`, and every message before it is kept.
    """

    def __init__(self, path: Path, context: FeedContext, *, venue: str = "XNAS") -> None:
        if not path.is_file():
            raise FeedError(f"{path}: no such file; give the path of an ITCH file")
        session_date = context.session_date or date_in_name(path.name)
        if session_date is None:
            _refuse_other_files(path)
            raise FeedError(
                f"{path.name}: no date in the file's name (such as 12302019, 2019-12-30 or"
                " S123019-v50), and ITCH stamps name no day; give the"
                " session date (--date YYYY-MM-DD)"
            )
        self.name = f"itch:{path.name}"
        self.venue = venue
        self.health = Health()
        self.messages = 0
        self._path = path
        self._decoder = ItchDecoder(replace(context, session_date=session_date), self.health, venue)
        self._buffer = np.empty(0, dtype=np.uint8)
        self._filled = 0
        self._base = 0  # where the buffer begins in the unzipped file

    @property
    def decoder(self) -> ItchDecoder:
        """The decoder, with the books as they are now."""
        return self._decoder

    def slices(self) -> Iterator[Slice]:
        """Yield rows in file order; ends at the end of the file, at a length of 0 or at damage."""
        source = ByteSource(self._path)
        self._buffer = np.empty(BLOCK, dtype=np.uint8)
        offsets = np.empty(BLOCK // (FRAME_MIN + 2) + 1, dtype=np.int64)
        lengths = np.empty_like(offsets)
        result = np.zeros(2, dtype=np.int64)
        zero_prefixed = False
        final = False
        while not final:
            final = self._fill(source)
            if self._base == 0:
                zero_prefixed = _is_zero_prefixed(self._buffer[: self._filled])
            count = walk_frames(
                self._buffer, self._filled, final, zero_prefixed, LAYOUT[LENGTH],
                offsets, lengths, result,
            )  # fmt: skip
            yield from self._decode(offsets[:count], lengths[:count])
            stopped, reason = result.tolist()
            if reason != MORE or final:
                self._end(stopped, reason, source, zero_prefixed=zero_prefixed)
                return
            self._carry(stopped)

    def _decode(
        self, offsets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> Iterator[Slice]:
        for rows in self._decoder.decode(self._buffer, offsets, lengths, base_offset=self._base):
            self.messages = self._decoder.messages
            yield rows
        self.messages = self._decoder.messages

    def _fill(self, source: ByteSource) -> bool:
        """Fill the buffer up; tell whether that was the end of the file."""
        self._filled += source.fill(self._buffer[self._filled :].data)
        return self._filled < len(self._buffer)

    def _carry(self, stopped: int) -> None:
        rest = self._filled - stopped
        self._buffer[:rest] = self._buffer[stopped : self._filled].copy()
        self._base += stopped
        self._filled = rest

    def _end(self, stopped: int, reason: int, source: ByteSource, *, zero_prefixed: bool) -> None:
        """Say what ended the feed before the end of the file, if anything did."""
        rest = self._buffer[stopped : self._filled].copy()
        closed = reason == ZERO or (len(rest) == 2 and self.messages > 0)
        if closed and self._only_zeros(rest, source):
            return
        if source.damage is not None:
            self.health.damage.append(source.damage)
            return
        if len(rest) or not self.messages:
            saying = _damage(rest, reason, zero_prefixed=zero_prefixed)
            self.health.damage.append(
                FeedError(
                    f"{self._path.name} byte {self._base + stopped}: {saying};"
                    f" the {self.messages} messages before it were kept"
                )
            )

    def _only_zeros(self, rest: npt.NDArray[np.uint8], source: ByteSource) -> bool:
        """Tell whether the file holds nothing but padding from `rest` on."""
        while not rest.any():
            rest = self._buffer[: source.fill(self._buffer.data)]
            if not len(rest):
                return source.damage is None
        return False


def _refuse_other_files(path: Path) -> None:
    """Raise FeedError for a file that begins with no ITCH message: a date would not help it."""
    start = np.zeros(256, dtype=np.uint8)
    start = start[: ByteSource(path).fill(start.data)]
    length = int(start[0]) << 8 | int(start[1]) if len(start) > 2 else -1
    expected = int(LAYOUT[LENGTH, start[2]]) if len(start) > 2 else 0
    if expected and (length == expected or _is_zero_prefixed(start)):
        return
    if not len(start):
        raise FeedError(f"{path.name} byte 0: {_damage(start, WRONG, zero_prefixed=False)}")
    raise FeedError(
        f"{path.name} byte 0: {start[:16].tobytes().hex(' ')} seen, the length and type of an ITCH"
        " 5.0 message expected; is this an ITCH 5.0 file?"
    )


def _is_zero_prefixed(start: npt.NDArray[np.uint8]) -> bool:
    """Tell whether the file's first two messages have the prefix 0 and a known type."""
    at = 0
    for _ in range(2):
        head = start[at : at + 3].tolist()
        if len(head) < 3:
            return at > 0 and not len(head)
        if head[0] or head[1] or not LAYOUT[LENGTH, head[2]]:
            return False
        at += 2 + int(LAYOUT[LENGTH, head[2]])
    return True


def _damage(rest: npt.NDArray[np.uint8], reason: int, *, zero_prefixed: bool) -> str:
    """Say in words what was seen where the feed ended, what was expected, and what to do."""
    again = "get the file again for the rest"
    if not len(rest):
        return "an empty file seen, length-prefixed ITCH messages expected; check the path"
    if reason == ZERO:
        return (
            "length 0 (the end of a session) seen with more than zeros after it, the"
            " end of the file expected; split the file there to read the rest"
        )
    head = rest[:16].tobytes().hex(" ")
    if len(rest) < 3:
        return f"{len(rest)} bytes ({head}) seen, a length and a message expected; {again}"
    length = int(rest[0]) << 8 | int(rest[1])
    expected = int(LAYOUT[LENGTH, rest[2]])
    wanted = 0 if zero_prefixed else expected
    if reason == MORE:
        size = expected if zero_prefixed else length
        return f"{len(rest) - 2} bytes of a message of {size} seen, all of it expected; {again}"
    if not expected:
        return (
            f"length {length} and unknown message type 0x{int(rest[2]):02x} seen ({head}), an"
            f" ITCH 5.0 message expected; is this an ITCH 5.0 file? {again}"
        )
    return (
        f"length {length} before a message of type {chr(rest[2])!r} seen ({head}), length"
        f" {wanted} expected; {again}"
    )
