"""A progress line that overwrites itself on a terminal and stays quiet elsewhere."""

import os
import sys

from tickloop.app.capture import Progress
from tickloop.core.clock import iso, monotonic_ns

_EVERY_NS = 100_000_000
# Loading compiled kernels takes less; compiling them takes longer.
_COMPILING_NS = 1_500_000_000
_COMPILED_EVERY = 20
_COLUMNS = 80  # where the terminal does not say


class ProgressLine:
    """Prints to stderr, so that results on stdout can be piped."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.is_live = sys.stderr.isatty() and not quiet
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
        if not self.is_live or now - self._last < _EVERY_NS:
            return
        self._last = now
        # A line that wraps cannot be overwritten.
        text = text[: _columns() - 1]
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def capture(self, progress: Progress) -> None:
        """Say how far a capture is."""
        seconds = (monotonic_ns() - self._started) / 1e9
        rate = progress.rows / seconds if seconds else 0.0
        at = f"  at {iso(progress.time)[11:19]} UTC" if progress.time is not None else ""
        self.step(
            f"{progress.messages:>11,} messages {progress.rows:>13,} rows {rate:>11,.0f} rows/s{at}"
        )

    def restart(self) -> None:
        """Begin counting time anew."""
        self._started = monotonic_ns()

    def clear(self) -> None:
        """Wipe the overwritten line."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS


class Compiling:
    """Says that kernels are being compiled, once it takes longer than loading them would."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._started = monotonic_ns()
        self._told: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Say that `done` of `total` kernels are ready."""
        if monotonic_ns() - self._started < _COMPILING_NS:
            return
        if self._told is None:
            self._told = done
            self._line.phase("compiling kernels, first run only; this may take a minute or two")
        self._line.step(f"  {done} of {total} compiled")
        if not self._line.is_live and done >= self._told + _COMPILED_EVERY:
            self._told = done
            self._line.phase(f"  {done} of {total} compiled")
