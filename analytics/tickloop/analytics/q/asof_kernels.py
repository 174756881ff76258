"""The last row at or before a time, within spans of ascending times: linear merges."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import seen
from tickloop.core.kernel import inline_kernel, kernel

Column = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

U = np.uint64

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
        near = U(low)
        for ahead in range(_NEAR):
            steps += times[near + U(ahead)] <= time
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


@inline_kernel
def _match(
    times: Column, row: int, others: Column, begin: int, end: int, place: int, before: int,
    found: Codes,
) -> int:  # fmt: skip
    """Match a row; go on from the place of the row before, whose time was `before`."""
    time = int(times[U(row)])
    place = first_later(others, begin if time < before else place, end, time)
    found[U(row)] = place - 1 if place > begin else -1
    return place


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
    """Match the rows of spans with the rows of the spans beside them; -1 where none is earlier.

    Two spans go side by side, for each search begins where the one before ended.
    """
    for one in range(first, stop, 2):
        two = min(one + 1, stop - 1)
        begin, end = other_starts[one], other_stops[one]
        second_begin, second_end = other_starts[two], other_stops[two]
        place, second = begin, second_begin
        before = second_before = _LEAST
        row, second_row = starts[one], starts[two]
        rows = min(stops[one] - row, stops[two] - second_row)
        for _ in range(rows if two > one else 0):
            place = _match(times, row, others, begin, end, place, before, found)
            before = int(times[row])
            row += 1
            second = _match(
                times, second_row, others, second_begin, second_end, second, second_before, found
            )
            second_before = int(times[second_row])
            second_row += 1
        while row < stops[one]:
            place = _match(times, row, others, begin, end, place, before, found)
            before = int(times[row])
            row += 1
        while second_row < stops[two] and two > one:
            second = _match(
                times, second_row, others, second_begin, second_end, second, second_before, found
            )
            second_before = int(times[second_row])
            second_row += 1


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
