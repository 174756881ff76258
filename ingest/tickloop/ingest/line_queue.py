"""Lines from one thread to another: a bounded number of bytes waits, never more."""

import threading
from collections import deque


class LineQueue:
    """First in, first out; the writer is told when it is full, the reader takes many at once."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, line: bytes) -> bool:
        """Add a line; False if it does not fit now. An empty queue takes any line."""
        with self._changed:
            if self._lines and self._bytes + len(line) > self._bytes_max:
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify()
            return True

    def take(self, timeout_s: float, *, bytes_max: int) -> bytes:
        """Take waiting lines, about `bytes_max` at most; nothing if none comes within the time."""
        with self._changed:
            if not self._lines:
                self._changed.wait(timeout_s)
            taken: list[bytes] = []
            size = 0
            while self._lines and size < bytes_max:
                taken.append(self._lines.popleft())
                size += len(taken[-1])
            self._bytes -= size
            return b"".join(taken)

    def wake(self) -> None:
        """Let a waiting reader look again."""
        with self._changed:
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._lines)
