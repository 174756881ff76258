"""MoldUDP64: packets of several lines into one gap-free sequence of messages, or a named gap."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import NULL_TIME
from tickloop.ingest import mold_walk as walk
from tickloop.ingest.feed import ASIDE_MAX, Health
from tickloop.ingest.frames import Bytes
from tickloop.ingest.mold_walk import pass_over, refresh_store, tally_sessions, walk_packets
from tickloop.ingest.pcap_walk import AT, LENGTH, OFFSET, Integers

HEADROOM = walk.HEADROOM
NO_WINDOW = -1
SESSION_BYTES = 10


@dataclass(frozen=True, slots=True)
class MessageFrames:
    """Messages in sequence: where each lies in `buffer` and in the feed, and when it came.

    The arrays and the buffer are overwritten by the next step of the arbiter.
    """

    buffer: Bytes
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    origins: npt.NDArray[np.int64]  # bytes of the feed

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that never came: `first` to `first + count - 1`, given up at `time`."""

    first: int
    count: int
    time: int


class MoldArbiter:
    """Merges the lines of one MoldUDP64 session by sequence number; the first arrival wins.

    A packet that is ahead is held until the missing ones come, for `window_ns` of the feed's
    clock at most (NO_WINDOW: until `give_up`) and within bounds of packets and bytes; then the
    hole is counted in `health` and passed over. Packets whose message lengths do not add up are
    refused whole, counted and kept aside, so another line's sound copy can still fill the hole.
    Without a `session` the one with the most messages in the first packets is followed; packets
    of others are counted. The first HEADROOM bytes of the buffer belong to the arbiter, and
    every call must pass the same buffer.
    """

    def __init__(
        self,
        *,
        health: Health,
        window_ns: int,
        session: bytes | None = None,
        first_sequence: int | None = None,
    ) -> None:
        self.health = health
        self.session: bytes | None = None
        self.messages = 0
        self._state = np.zeros(walk.STATE_CELLS, dtype=np.int64)
        self._state[walk.EXPECTED] = -1 if first_sequence is None else first_sequence
        self._state[walk.FIRST] = 0 if first_sequence is None else first_sequence
        self._state[walk.HOLE_SINCE] = NULL_TIME
        self._state[walk.LAST_TIME] = NULL_TIME
        self._state[walk.WINDOW_NS] = window_ns
        self._pending = np.zeros((walk.PENDING_ROWS, walk.PENDING_MAX), dtype=np.int64)
        self._gaps = np.zeros((3, walk.GAPS_MAX), dtype=np.int64)
        self._frames = np.zeros((walk.FRAME_ROWS, walk.FRAMES_MAX), dtype=np.int64)
        self._refused = np.zeros(ASIDE_MAX, dtype=np.int64)
        self._counts = np.zeros(len(walk.COUNTS), dtype=np.int64)
        if session is not None:
            self._follow(session)

    @property
    def expected(self) -> int | None:
        """The next sequence number; None before the first packet."""
        value = int(self._state[walk.EXPECTED])
        return None if value < 0 else value

    @property
    def ended(self) -> bool:
        """Whether the venue ended the session and no hole is left before its end."""
        return bool(self._state[walk.ENDED]) and self.missing() is None

    @property
    def gaps(self) -> list[Gap]:
        """The latest gaps, at most `GAPS_MAX`, oldest first."""
        total = int(self._state[walk.GAPS])
        kept = range(max(0, total - walk.GAPS_MAX), total)
        rows = [index % walk.GAPS_MAX for index in kept]
        return [Gap(*(int(value) for value in self._gaps[:, row])) for row in rows]

    def missing(self) -> tuple[int, int] | None:
        """Give the hole that holds the sequence up as (first, count), or None."""
        first = int(self._state[walk.EXPECTED])
        held = int(self._state[walk.PENDING])
        if held:
            return first, int(self._pending[walk.P_SEQUENCE, :held].min()) - first
        count = int(self._state[walk.KNOWN_NEXT]) - first
        return (first, count) if first >= 0 and count > 0 else None

    def arrange(
        self, buffer: Bytes, packets: Integers, *, base: int = 0
    ) -> Iterator[MessageFrames]:
        """Yield the messages that `packets` (a packet matrix, see PacketChunk) release.

        `base` is the byte of the feed that buffer[0] stands for, for reports.
        """
        self._state[walk.BASE] = base
        if not self.choose(buffer, packets):
            self.health.count("not_mold_packets", packets.shape[1])
            return
        column = 0
        while column < packets.shape[1]:
            refresh_store(buffer, self._state, self._pending)
            column = walk_packets(
                buffer, packets, column, self._state, self._pending, self._gaps, self._frames,
                self._refused, self._counts,
            )  # fmt: skip
            self._keep_aside(buffer, packets)
            yield from self._taken(buffer)

    def give_up(self, buffer: Bytes) -> Iterator[MessageFrames]:
        """Pass over the hole that is open, if one is, and yield what waited behind it."""
        refresh_store(buffer, self._state, self._pending)
        pass_over(buffer, self._state, self._pending, self._gaps, self._frames, self._counts)
        yield from self._taken(buffer)

    def finish(self, buffer: Bytes) -> Iterator[MessageFrames]:
        """Pass over every hole: nothing more will come."""
        while self.missing() is not None:
            yield from self.give_up(buffer)

    def choose(self, buffer: Bytes, packets: Integers) -> bool:
        """Choose the session to follow, unless it is; False if no packet here is of any."""
        if self.session is not None:
            return True
        sessions = np.zeros((3, walk.SESSIONS_MAX), dtype=np.int64)
        known = tally_sessions(buffer, packets, sessions)
        if not known:
            return False
        best = int(np.argmax(sessions[2, :known]))
        head, tail = int(sessions[0, best]), int(sessions[1, best])
        self._follow(head.to_bytes(6, "big") + tail.to_bytes(4, "big"))
        return True

    def _follow(self, session: bytes) -> None:
        assert len(session) == SESSION_BYTES, f"session {session!r} is not 10 bytes long"
        self.session = session
        self._state[walk.SESSION_HEAD] = int.from_bytes(session[:6], "big")
        self._state[walk.SESSION_TAIL] = int.from_bytes(session[6:], "big")

    def _keep_aside(self, buffer: Bytes, packets: Integers) -> None:
        for column in self._refused[: self._state[walk.REFUSED]]:
            offset, length = packets[OFFSET, column], packets[LENGTH, column]
            body = buffer[offset : offset + length].tobytes()
            self.health.keep_aside(int(packets[AT, column]), body)
        self._state[walk.REFUSED] = 0

    def _taken(self, buffer: Bytes) -> Iterator[MessageFrames]:
        for index, name in enumerate(walk.COUNTS):
            if index != walk.MESSAGES:
                self.health.count(name, int(self._counts[index]))
        self.messages += int(self._counts[walk.MESSAGES])
        self._counts[:] = 0
        rows = int(self._state[walk.FRAMES])
        self._state[walk.FRAMES] = 0
        if rows:
            offsets, lengths, times, sequences, origins = self._frames[:, :rows]
            yield MessageFrames(buffer, offsets, lengths, times, sequences, origins)
