"""A progress line that overwrites itself on a terminal and stays quiet elsewhere."""

import sys

from tickloop.app.capture import Progress
from tickloop.core.clock import iso, monotonic_ns

_EVERY_NS = 100_000_000


class ProgressLine:
    """Prints to stderr, so that results on stdout can be piped."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._is_live = sys.stderr.isatty() and not quiet
        self._is_quiet = quiet
        self._started = monotonic_ns()
        self._last = 0
        self._width = 0

    def phase(self, text: str) -> None:
        """Say what begins; a line of its own."""
        self.clear()
        if not self._is_quiet:
            print(text, file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """Say how far something is; overwritten by the next line."""
        now = monotonic_ns()
        if not self._is_live or now - self._last < _EVERY_NS:
            return
        self._last = now
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def capture(self, progress: Progress) -> None:
        """Say how far a capture is."""
        seconds = (monotonic_ns() - self._started) / 1e9
        rate = progress.rows / seconds if seconds else 0.0
        at = iso(progress.time)[11:19] if progress.time is not None else ""
        self.step(
            f"  {progress.messages:>12,} messages  {progress.rows:>12,} rows"
            f"  {rate:>11,.0f} rows/s  feed clock {at}Z"
        )

    def restart(self) -> None:
        """Begin counting time anew."""
        self._started = monotonic_ns()

    def clear(self) -> None:
        """Wipe the overwritten line."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0
