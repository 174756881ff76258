"""Slices cut where the clock ticks, so that what a tick causes enters the log at its instant."""

from collections.abc import Iterator

import numpy as np

from tickloop.core.batch import Batch, Slice
from tickloop.core.interleave import interleave


def at_ticks(rows: Slice, tick_ns: int, last_time: int) -> Iterator[tuple[int | None, Slice]]:
    """Yield parts of a slice, and before each the instant of the tick that it begins with.

    The first part has none if it goes on in the tick of `last_time`. Rows carry `time`, never
    decreasing from place to place; without it, and without ticks, the slice stays whole.
    """
    times = [batch.columns["time"] for batch in rows.batches if "time" in batch.columns]
    if tick_ns <= 0 or len(times) < len(rows.batches) or not rows.rows:
        yield None, rows
        return
    ticks = np.unique(np.concatenate([each // tick_ns for each in times]))
    new = ticks[ticks > last_time // tick_ns]
    if not len(new):
        yield None, rows
        return
    bounds = (new * tick_ns).tolist()
    if int(ticks[0]) < int(new[0]):
        yield None, _between(rows, None, bounds[0])
    for start, stop in zip(bounds, [*bounds[1:], None], strict=True):
        yield start, _between(rows, start, stop)


def _between(rows: Slice, start: int | None, stop: int | None) -> Slice:
    """Give the rows with start <= time < stop."""
    parts = []
    for batch in rows.batches:
        time = batch.columns["time"]
        first = 0 if start is None else int(np.searchsorted(time, start, side="left"))
        last = len(time) if stop is None else int(np.searchsorted(time, stop, side="left"))
        if last > first:
            columns = {name: values[first:last] for name, values in batch.columns.items()}
            parts.append(Batch(batch.table, columns))
    return interleave(parts)
