"""Captured packets: pcap and pcapng, plain or gzipped, streamed in bounded memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tickloop.core.clock import NULL_TIME
from tickloop.core.errors import FeedError
from tickloop.ingest import pcap_walk as walk
from tickloop.ingest.capture_stamp import MICRO, NANO
from tickloop.ingest.feed import Health
from tickloop.ingest.frames import UDP, Bytes
from tickloop.ingest.pcap_walk import Integers, walk_pcap, walk_pcapng

CHUNK_BYTES = 4 << 20
PACKETS_MAX = 65_536
GZIP_MAGIC = b"\x1f\x8b"
PCAP_HEADER = 24
# Magic as read little-endian: (big-endian file, resolution).
PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": (0, MICRO),
    b"\xa1\xb2\xc3\xd4": (1, MICRO),
    b"\x4d\x3c\xb2\xa1": (0, NANO),
    b"\xa1\xb2\x3c\x4d": (1, NANO),
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

_DAMAGE = {
    walk.TOO_LONG: "claims {need} bytes, at most {limit} are accepted",
    walk.BAD_BLOCK_SIZE: "has a block size of {need}, which no block of its type can have",
    walk.BAD_TRAILER: "has a block size of {need} that its trailing size contradicts",
    walk.BAD_SECTION: "opens a section without the byte-order magic 1A2B3C4D",
    walk.TOO_MANY_INTERFACES: "declares interface number {interfaces}, more than are accepted",
}


@dataclass(frozen=True, slots=True)
class PacketChunk:
    """UDP packets of one piece of a capture; the arrays are overwritten by the next piece.

    `packets` has the rows TIME (ns since 2000), OFFSET and LENGTH (of the payload in `buffer`),
    DESTINATION (address << 16 | port) and AT (byte of the capture), one column a packet.
    `base` is the byte of the capture, unzipped, that buffer[0] stands for.
    """

    buffer: Bytes
    packets: Integers
    base: int

    def __len__(self) -> int:
        return int(self.packets.shape[1])


class PcapReader:
    """Reads one capture; the magic number decides its format, not its name.

    Frames without a UDP payload are counted in `health` by the reason. Damage ends the capture:
    it is appended to `health.damage` and everything before it is kept. FeedError if the file
    cannot be opened. The first `headroom` bytes of every chunk's buffer are left to the caller.
    """

    def __init__(
        self, path: Path, *, health: Health, headroom: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self.path = path
        self.health = health
        self._headroom = headroom
        self._buffer = np.empty(headroom + max(chunk_bytes, 2 * walk.RECORD_MAX), dtype=np.uint8)
        self._state = np.zeros(walk.STATE_CELLS, dtype=np.int64)
        self._state[walk.LAST_TIME] = NULL_TIME
        self._interfaces = np.zeros((walk.INTERFACES_MAX, 4), dtype=np.int64)
        self._counts = np.zeros(len(walk.COUNTS), dtype=np.int64)
        self._reported = self._counts.copy()
        self._cut = False
        self._stream: io.BufferedIOBase = io.BytesIO()
        # A missing file is the caller's mistake to hear of now, not a feed's damage later.
        self._opened().close()

    def _opened(self) -> io.BufferedReader:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise FeedError(
                f"{self.path}: {error.strerror}; name a readable capture file"
            ) from error

    @property
    def packets(self) -> int:
        """Packets of any kind so far."""
        return int(self._counts[walk.PACKETS])

    @property
    def udp_packets(self) -> int:
        """Packets that carried a whole UDP payload so far."""
        return int(self._counts[UDP])

    def chunks(self) -> Iterator[PacketChunk]:
        """Yield the capture's UDP packets in file order; a reader goes through its file once."""
        with self._opened() as file:
            gzipped = file.peek(2)[:2] == GZIP_MAGIC
            self._stream = gzip.GzipFile(fileobj=file) if gzipped else file
            yield from self._chunks()

    def _chunks(self) -> Iterator[PacketChunk]:
        start = self._headroom
        end = self._fill(start)
        at = self._open(start, end)
        whole = end == len(self._buffer)
        table = np.empty((walk.PACKET_ROWS, PACKETS_MAX), dtype=np.int64)
        walker = walk_pcapng if self._is_pcapng(start, end) else walk_pcap
        while at >= 0:
            at = walker(self._buffer, at, end, self._state, self._interfaces, table, self._counts)
            yield from self._chunk(table)
            if self._state[walk.STOP] == walk.FULL:
                continue
            if self._state[walk.STOP] != walk.MORE or not whole:
                self._close(at, end)
                return
            rest = end - at
            self._buffer[start : start + rest] = self._buffer[at:end].copy()
            self._state[walk.BASE] += at - start
            at, end = start, self._fill(start + rest)
            whole = end == len(self._buffer)

    def _chunk(self, table: Integers) -> Iterator[PacketChunk]:
        rows = int(self._state[walk.WRITTEN])
        self._state[walk.WRITTEN] = 0
        for index, name in enumerate(walk.COUNTS):
            if index not in (UDP, walk.PACKETS):
                self.health.count(name, int(self._counts[index] - self._reported[index]))
        self._reported[:] = self._counts
        if rows:
            base = int(self._state[walk.BASE])
            yield PacketChunk(self._buffer, np.ascontiguousarray(table[:, :rows]), base)

    def _fill(self, start: int) -> int:
        """Read on into the buffer from `start`; return where the bytes end."""
        view = memoryview(self._buffer)  # type: ignore[arg-type]
        end = start
        while end < len(view):
            try:
                got = self._stream.readinto1(view[end:])
            except (OSError, EOFError, zlib.error) as error:
                self._cut = True
                self._damage(
                    f"uncompressed byte {self._stream_byte(end)}: {error}; the file is cut or"
                    " damaged: fetch it again; what came before was kept"
                )
                break
            if not got:
                break
            end += got
        return end

    def _stream_byte(self, position: int) -> int:
        return int(self._state[walk.BASE]) + position

    def _damage(self, text: str) -> None:
        self.health.damage.append(FeedError(f"{self.path}: {text}"))

    def _is_pcapng(self, start: int, end: int) -> bool:
        return self._head(start, end, 4) == PCAPNG_MAGIC

    def _head(self, start: int, end: int, size: int) -> bytes:
        return self._buffer[start : min(end, start + size)].tobytes()

    def _open(self, start: int, end: int) -> int:
        """Read the file's header; return where the records begin, or -1 if it is no capture."""
        self._state[walk.BASE] = -start
        magic = self._head(start, end, 4)
        if magic == PCAPNG_MAGIC:
            return start
        if end == start:
            if not self._cut:
                self._damage("empty, a pcap or pcapng capture expected; capture or fetch it again")
            return -1
        if magic not in PCAP_MAGICS:
            self._damage(
                f"byte 0: magic {magic.hex()} is neither pcap (d4c3b2a1, 4d3cb2a1 or their"
                " reverse) nor pcapng (0a0d0d0a); convert it with `editcap -F pcap`, or name the"
                " feed that it is"
            )
            return -1
        if end - start < PCAP_HEADER:
            self._damage(
                f"byte {end - start}: cut in the middle of the {PCAP_HEADER}-byte file header;"
                " capture or fetch it again"
            )
            return -1
        big, resolution = PCAP_MAGICS[magic]
        link = self._head(start + 20, end, 4)
        self._state[walk.BIG_ENDIAN] = big
        self._state[walk.RESOLUTION] = resolution
        # The upper half holds flags about frame check sequences, which IP lengths make moot.
        self._state[walk.LINK] = int.from_bytes(link, "big" if big else "little") & 0xFFFF
        return start + PCAP_HEADER

    def _close(self, at: int, end: int) -> None:
        """Say what is wrong where the walk ended, if anything is."""
        state = self._state
        record, where = "record", self._stream_byte(at)
        if state[walk.STOP] != walk.MORE:
            text = _DAMAGE[int(state[walk.STOP])].format(
                need=state[walk.NEED], limit=walk.RECORD_MAX, interfaces=state[walk.INTERFACES]
            )
            self._damage(
                f"byte {where}: the {record} here {text}; the packets before it were kept: cut the"
                " file there, or capture it again"
            )
        elif not self._cut and (end > at or state[walk.SKIP] > 0):
            missing = int(state[walk.SKIP]) or int(state[walk.NEED]) - (end - at)
            self._damage(
                f"byte {self._stream_byte(end)}: the file ends in the middle of the {record} that"
                f" begins at byte {where}, {missing} bytes short; the packets before it were kept:"
                " fetch the rest"
            )
