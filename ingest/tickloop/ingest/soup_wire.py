"""SoupBinTCP 3.0 packets: bytes in, framed messages and session packets out; no socket.

A packet is a 2-byte big-endian length (of type and payload), a 1-byte type and the payload.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import WireError
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.frames import Bytes, byte_at, u16_be
from tickloop.ingest.pcap_walk import Integers

DEBUG = ord("+")
LOGIN_ACCEPTED = ord("A")
LOGIN_REJECTED = ord("J")
SEQUENCED = ord("S")
UNSEQUENCED = ord("U")
SERVER_HEARTBEAT = ord("H")
CLIENT_HEARTBEAT = ord("R")
END_OF_SESSION = ord("Z")
LOGIN_REQUEST = ord("L")
LOGOUT = ord("O")

BUFFER_BYTES = 1 << 20
FRAMES_MAX = 1 << 16
PACKET_MAX = 2 + 65_535

# Cells of the walk's state.
CONTROL = 0  # type of the session packet the walk stopped at; 0 if there is none
FRAMES = 1
HEARTBEATS = 2
DEBUGS = 3
STATE_CELLS = 4


@inline_kernel
def _is_known(kind: int) -> bool:
    return (
        kind in (SEQUENCED, UNSEQUENCED, SERVER_HEARTBEAT, CLIENT_HEARTBEAT, DEBUG, LOGIN_REQUEST)
        or kind in (LOGIN_ACCEPTED, LOGIN_REJECTED, END_OF_SESSION, LOGOUT)
    )  # fmt: skip


@kernel("int64(uint8[::1], int64, int64, int64, int64[::1], int64[:, ::1])")
def walk_soup(
    buffer: Bytes, at: int, end: int, data: int, state: Integers, frames: Integers
) -> int:
    """Frame packets of type `data` from `at`; return where the first one begins not taken.

    `frames` gets (offset, length) by column. Heartbeats and debug packets are counted; the walk
    stops at any other type, which it leaves in `state[CONTROL]` (-1: a packet without a type).
    """
    state[CONTROL] = 0
    state[FRAMES] = 0
    while at + 3 <= end and state[FRAMES] < frames.shape[1]:
        length = u16_be(buffer, at)
        kind = byte_at(buffer, at + 2)
        if length == 0 or not _is_known(kind):
            # Another protocol: its first bytes tell, there is no point in waiting for the rest.
            state[CONTROL] = kind if length else -1
            break
        if at + 2 + length > end:
            break
        if kind == data:
            column = state[FRAMES]
            frames[0, column] = at + 3
            frames[1, column] = length - 1
            state[FRAMES] = column + 1
        elif kind in (SERVER_HEARTBEAT, CLIENT_HEARTBEAT):
            state[HEARTBEATS] += 1
        elif kind == DEBUG:
            state[DEBUGS] += 1
        else:
            state[CONTROL] = kind
            break
        at += 2 + length
    return at


@dataclass(frozen=True, slots=True)
class SoupFrames:
    """Data packets in order: where each payload lies in `buffer`, until the next step."""

    buffer: Bytes
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    def after(self, dropped: int) -> "SoupFrames":
        """Leave the first `dropped` messages out."""
        return SoupFrames(self.buffer, self.offsets[dropped:], self.lengths[dropped:])

    def bodies(self) -> list[bytes]:
        """Copy the payloads out."""
        return [
            self.buffer[offset : offset + length].tobytes()
            for offset, length in zip(self.offsets.tolist(), self.lengths.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class SoupControl:
    """A packet about the session: login, reply, logout, end."""

    kind: int
    payload: bytes


class SoupReceiver:
    """Collects a peer's bytes and frames them; `data` is the type that carries messages."""

    def __init__(self, *, data: int) -> None:
        self._data = data
        self._buffer: Bytes = np.empty(BUFFER_BYTES, dtype=np.uint8)
        self._frames = np.empty((2, FRAMES_MAX), dtype=np.int64)
        self._state = np.zeros(STATE_CELLS, dtype=np.int64)
        self._start = 0
        self._end = 0
        self._taken_bytes = 0

    @property
    def heartbeats(self) -> int:
        """Heartbeats seen so far."""
        return int(self._state[HEARTBEATS])

    def space(self) -> memoryview:
        """Give room for the peer's next bytes; fill it and call `filled`."""
        rest = self._end - self._start
        if self._start:
            self._buffer[:rest] = self._buffer[self._start : self._end].copy()
            self._taken_bytes += self._start
            self._start, self._end = 0, rest
        return memoryview(self._buffer)[self._end :]  # type: ignore[arg-type]

    def filled(self, size: int) -> None:
        """Tell how many bytes were put into `space`."""
        self._end += size

    def packets(self) -> Iterator[SoupFrames | SoupControl]:
        """Yield what arrived, in order; take every one before asking for `space` again.

        WireError if the bytes cannot be packets of this protocol.
        """
        while True:
            before = self._start
            self._start = walk_soup(
                self._buffer, self._start, self._end, self._data, self._state, self._frames
            )
            count = int(self._state[FRAMES])
            control = int(self._state[CONTROL])
            if count:
                yield SoupFrames(self._buffer, self._frames[0, :count], self._frames[1, :count])
            if control:
                yield self._control(control)
            elif self._start == before:
                return

    def _control(self, kind: int) -> SoupControl:
        at = self._start
        where = self._taken_bytes + at
        if kind < 0 or chr(kind) not in "AJZLOSU":
            seen = "a length of 0" if kind < 0 else f"type {chr(kind)!r}"
            raise WireError(
                f"byte {where} of the connection: {seen}, a SoupBinTCP packet expected; check"
                " that the port is the venue's SoupBinTCP port"
            )
        size = 2 + int.from_bytes(self._buffer[at : at + 2].tobytes(), "big")
        self._start += size
        return SoupControl(kind, self._buffer[at + 3 : at + size].tobytes())


def packet(kind: int, payload: bytes = b"") -> bytes:
    """Frame one packet."""
    return (len(payload) + 1).to_bytes(2, "big") + bytes([kind]) + payload


def number(field: bytes) -> int:
    """Read an ASCII number field, padded with spaces on either side; WireError if it is none."""
    text = field.strip()
    if not text.isdigit():
        raise WireError(f"{field!r} seen, an ASCII sequence number expected; check the port")
    return int(text)
