"""When partitions without rows are told how far the log goes, and of its clock rows up to there."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import monotonic_ns
from tickloop.tickerplant.sinks.kafka_pieces import Stretch

_Longs = npt.NDArray[np.int64]
_NO_LONGS = np.empty(0, dtype=np.int64)
_HELD_MAX = 16  # chunks, of those that may be under way


class Progress:
    """What not every partition has been told of.

    Each clock row is for every partition of every table. A sink beside a capture passes it on at
    once; one that catches up meets many of them a second, and would send little else if each had
    messages of its own. A chunk whose clock rows wait is not done: its end is no place to go on
    from.
    """

    def __init__(self, every_ms: float) -> None:
        """`every_ms` is how long a partition is left untold, and clock rows wait, at most."""
        self._every_ns = int(every_ms * 1e6)
        self._told_ns = monotonic_ns()
        self._clocked_ns = self._told_ns - self._every_ns
        self._clocks: list[tuple[_Longs, _Longs]] = []
        self._held: list[Callable[[], None]] = []

    @property
    def is_due(self) -> bool:
        """Tell whether every partition has to be told now."""
        now = monotonic_ns()
        is_clock_due = bool(self._clocks) and now - self._clocked_ns >= self._every_ns
        return is_clock_due or now - self._told_ns >= self._every_ns or len(self._held) >= _HELD_MAX

    @property
    def is_holding(self) -> bool:
        """Tell whether clock rows wait."""
        return bool(self._clocks)

    def learn(self, clock: Batch | None) -> None:
        """Note the clock rows of the next chunk."""
        if clock is not None:
            self._clocks.append((
                clock.columns["time"].astype(np.int64), clock.columns["seq"].astype(np.int64)
            ))  # fmt: skip

    def stretch(self, previous: int, through: int) -> Stretch:
        """Give a stretch of the log with every clock row that may have to be told."""
        times, seqs = (
            np.concatenate(each) for each in zip((_NO_LONGS, _NO_LONGS), *self._clocks, strict=True)
        )
        return Stretch(previous, through, times, seqs)

    def hold(self, done: Callable[[], None]) -> None:
        """Call this when every partition has been told of the clock rows so far."""
        self._held.append(done)

    def told(self) -> None:
        """Note that every partition has been told of everything so far."""
        self._told_ns = monotonic_ns()
        if self._clocks:
            self._clocked_ns = self._told_ns
        self._clocks.clear()
        for done in self._held:
            done()
        self._held.clear()
