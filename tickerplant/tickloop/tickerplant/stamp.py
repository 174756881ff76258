"""One pass over a slice's rows: time that never decreases, and where the clock's rows go."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.kernel import kernel

NULL_TIME = -(2**63)


@kernel("int64(int64[::1], int64, int64, int64, int64[::1], int64[::1], int64[::1])")
def _stamp(
    times: npt.NDArray[np.int64],
    last_time: int,
    last_tick: int,
    tick_ns: int,
    shifts: npt.NDArray[np.int64],
    tick_ordinals: npt.NDArray[np.int64],
    tick_times: npt.NDArray[np.int64],
) -> int:
    """Raise times to the running maximum; note a clock row before each row in a new tick."""
    ticks = 0
    for row in range(times.shape[0]):
        if times[row] < last_time:
            times[row] = last_time
        last_time = times[row]
        if tick_ns > 0:
            tick = last_time // tick_ns
            if tick > last_tick:
                tick_ordinals[ticks] = row + ticks
                tick_times[ticks] = tick * tick_ns
                ticks += 1
                last_tick = tick
        shifts[row] = row + ticks
    return ticks


@dataclass(frozen=True, slots=True)
class Stamps:
    """Times and final ordinals by a row's ordinal in its slice, and the clock rows between."""

    times: npt.NDArray[np.int64]
    ordinals: npt.NDArray[np.int64]
    tick_ordinals: npt.NDArray[np.int64]
    tick_times: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Rows in all, the clock's included."""
        return len(self.times) + len(self.tick_times)


class Stamper:
    """Stamps slices: keeps the last time and tick, so that cutting changes nothing."""

    def __init__(self, *, tick_ns: int, last_time: int = NULL_TIME) -> None:
        self._tick_ns = tick_ns
        self.last_time = last_time
        self.raised = 0  # rows whose own time was before the last one
        self._last_tick = last_time // tick_ns if tick_ns > 0 else 0

    def stamp(self, rows: Slice, *, now: int | None) -> Stamps:
        """Give every row its time: `now` if the plant stamps, else the row's own.

        A row's own time is raised to the latest time before it; a slice whose rows carry none
        gets the latest time.
        """
        total = rows.rows
        if now is None:
            times = np.full(total, NULL_TIME, dtype=np.int64)
            for batch in rows.batches:
                own = batch.columns.get("time")
                if own is not None:
                    times[batch.columns["_place"]] = own
        else:
            times = np.full(total, now, dtype=np.int64)
        if total and times[0] < self.last_time:
            self.raised += int(np.count_nonzero((times < self.last_time) & (times != NULL_TIME)))
        ordinals = np.empty(total, dtype=np.int64)
        tick_ordinals = np.empty(total, dtype=np.int64)
        tick_times = np.empty(total, dtype=np.int64)
        ticks = _stamp(
            times, self.last_time, self._last_tick, self._tick_ns, ordinals, tick_ordinals,
            tick_times,
        )  # fmt: skip
        if total:
            self.last_time = int(times[-1])
        if ticks:
            self._last_tick = int(tick_times[ticks - 1]) // self._tick_ns
        return Stamps(times, ordinals, tick_ordinals[:ticks], tick_times[:ticks])

    @property
    def next_tick(self) -> int:
        """The instant from which the next clock row is due."""
        return (self._last_tick + 1) * self._tick_ns if self._tick_ns > 0 else 2**63 - 1

    def tick(self, now: int) -> int | None:
        """Give the instant of a clock row if `now` is in a new tick, for times of silence."""
        if self._tick_ns <= 0 or now // self._tick_ns <= self._last_tick:
            return None
        self._last_tick = now // self._tick_ns
        self.last_time = max(self.last_time, self._last_tick * self._tick_ns)
        return self.last_time
