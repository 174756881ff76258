"""What a worker is doing, in a page that its process and the gateway both map.

The worker writes and the gateway reads, but for why a request has to end; neither asks the
other: a worker that hangs or died still says what it was at.
"""

import mmap
import os
from enum import IntEnum

from tickloop.core.clock import monotonic_ns

SLOT_BYTES = 4096
_TEXT_AT = 512
_TEXT_MAX = SLOT_BYTES - _TEXT_AT
_REASON_AT = 128
_REASON_MAX = _TEXT_AT - _REASON_AT
_PHASE, _SINCE, _KIND, _TEXT_LENGTH, _REASON_LENGTH = range(5)


class Phase(IntEnum):
    """What a worker does with the connection that it was lent."""

    IDLE = 0  # no request
    READING = 1  # part of a request came
    RUNNING = 2  # a request is evaluated, nothing of the answer was sent
    SENDING = 3  # part of the answer may have been sent


class Slot:
    """One worker's page."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, SLOT_BYTES)
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def make(cls) -> "Slot":
        """Make a page that another process can map by its descriptor."""
        fd = os.memfd_create("tickloop-worker", os.MFD_CLOEXEC)
        os.ftruncate(fd, SLOT_BYTES)
        return cls(fd)

    @property
    def phase(self) -> Phase:
        """What the worker is at."""
        return Phase(self._words[_PHASE])

    @property
    def kind(self) -> int:
        """The kind of message that is answered: 1 where the peer waits."""
        return self._words[_KIND]

    @property
    def age_ns(self) -> int:
        """How long the phase has lasted."""
        return monotonic_ns() - self._words[_SINCE]

    @property
    def request(self) -> bytes:
        """The first bytes of the request's payload."""
        length = self._words[_TEXT_LENGTH]
        return self._map[_TEXT_AT : _TEXT_AT + min(length, _TEXT_MAX)]

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self._words[_SINCE] = monotonic_ns()
        self._words[_PHASE] = phase

    def run(self, kind: int, payload: memoryview) -> None:
        """Begin to evaluate a request."""
        piece = payload[:_TEXT_MAX]
        self._map[_TEXT_AT : _TEXT_AT + len(piece)] = piece
        self._words[_TEXT_LENGTH] = len(payload)
        self._words[_KIND] = kind
        self._words[_REASON_LENGTH] = 0
        self.enter(Phase.RUNNING)

    @property
    def reason(self) -> str:
        """Why the gateway wants the request to end; empty while it does not."""
        length = self._words[_REASON_LENGTH]
        return self._map[_REASON_AT : _REASON_AT + length].decode()

    def end(self, reason: str) -> None:
        """Say why the request has to end, before its worker is told to."""
        raw = reason.encode()[:_REASON_MAX]
        self._map[_REASON_AT : _REASON_AT + len(raw)] = raw
        self._words[_REASON_LENGTH] = len(raw)

    def close(self) -> None:
        """Unmap the page."""
        self._words.release()
        self._map.close()
        os.close(self.fd)
