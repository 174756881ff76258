"""The last row at or before a time, within spans of ascending times: linear merges."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import seen
from tickloop.core.kernel import inline_kernel, kernel

Column = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

_TIMES = ("int32", "int64")
_NEAR = 8
_LEAST = -(2**63)


@inline_kernel
def last_at_most(times: Column, low: int, stop: int, time: int) -> int:
    """Find the last row before `stop` whose time is `time` or less, from `low` on; or low - 1.

    Steps double until they pass the time, so a near row costs little and a far one the logarithm
    of its distance.
    """
    step = 1
    high = low
    while high < stop and times[high] <= time:
        low = high + 1
        high += step
        step *= 2
    high = min(high, stop)
    while low < high:
        middle = (low + high) >> 1
        if times[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low - 1


@inline_kernel
def first_later(times: Column, low: int, stop: int, time: int) -> int:
    """Find the first row from `low` on whose time is after `time`; or `stop`.

    Mostly it is near: a few times are compared at once, without a branch for each.
    """
    if low + _NEAR <= stop:
        steps = 0
        for ahead in range(_NEAR):
            steps += times[low + ahead] <= time
        if steps < _NEAR:
            return low + steps
        low += _NEAR
    return last_at_most(times, low, stop, time) + 1


@inline_kernel
def first_at_least(times: Column, low: int, stop: int, time: int) -> int:
    """Find the first row from `low` on whose time is `time` or more; or `stop`."""
    step = 1
    high = low
    while high < stop and times[high] < time:
        low = high + 1
        high += step
        step *= 2
    high = min(high, stop)
    while low < high:
        middle = (low + high) >> 1
        if times[middle] < time:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(
    *(
        f"void({seen(t)}, int64[::1], int64[::1], int64, int64, {seen(t)}, int64[::1], int64[::1],"
        " int32[::1])"
        for t in _TIMES
    )
)
def asof_spans(
    times: Column, starts: Longs, stops: Longs, first: int, stop: int,
    others: Column, other_starts: Longs, other_stops: Longs, found: Codes,
) -> None:  # fmt: skip
    """Match the rows of spans with the rows of the spans beside them; -1 where none is earlier."""
    for span in range(first, stop):
        begin = other_starts[span]
        end = other_stops[span]
        next_row = begin
        before = np.int64(_LEAST)
        for row in range(starts[span], stops[span]):
            time = times[row]
            if time < before:
                next_row = begin
            before = np.int64(time)
            next_row = first_later(others, next_row, end, time)
            found[row] = next_row - 1 if next_row > begin else -1


@kernel(
    *(
        f"void({seen(t)}, {seen('int32')}, {seen(t)}, int64[::1], int64[::1], int64[::1],"
        " int32[::1])"
        for t in _TIMES
    )
)
def asof_codes(
    times: Column, codes: Codes, others: Column, starts: Longs, stops: Longs, places: Longs,
    found: Codes,
) -> None:  # fmt: skip
    """Match rows that name their span by a code; `places` starts as starts - 1."""
    for row in range(times.shape[0]):
        span = codes[row]
        if span < 0:
            found[row] = -1
            continue
        time = times[row]
        begin = starts[span]
        at = places[span]
        if at >= begin and others[at] > time:
            at = begin - 1
        at = last_at_most(others, at + 1, stops[span], time)
        places[span] = at
        found[row] = at if at >= begin else -1


@kernel(
    *(
        f"void({seen(t)}, {seen(t)}, {seen('int32')}, int64, int64, {seen(t)}, int64[::1],"
        " int64[::1], boolean, int64[::1], int64[::1])"
        for t in _TIMES
    )
)
def window_bounds(
    lows: Column, highs: Column, codes: Codes, first: int, stop: int, others: Column,
    starts: Longs, stops: Longs, prevailing: bool, begins: Longs, ends: Longs,
) -> None:  # fmt: skip
    """Write the rows of each window from `lows` to `highs`, both ends included.

    With `prevailing` a window begins at the last row at or before its start. Searches go on from
    the window before, as windows of one span mostly ascend.
    """
    span = np.int32(-1)
    begin = 0
    end = 0
    for row in range(first, stop):
        code = codes[row]
        if code < 0:
            begins[row] = 0
            ends[row] = 0
            continue
        start = int(starts[code])
        if code != span:
            span = code
            begin = start
            end = start
        limit = int(stops[code])
        low = lows[row]
        high = highs[row]
        if begin > start and others[begin - 1] >= low:
            begin = start
        begin = first_at_least(others, begin, limit, low)
        if end > start and others[end - 1] > high:
            end = start
        end = last_at_most(others, end, limit, high) + 1
        opens = begin
        if prevailing:
            opens = last_at_most(others, begin, limit, low)
            opens = max(opens, start)
        begins[row] = opens
        ends[row] = max(end, opens)
