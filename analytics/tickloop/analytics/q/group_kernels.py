"""Which rows are equal: runs of equal values, dense codes, and rows in the order of their codes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import look, seen
from tickloop.core.hashing import mix
from tickloop.core.kernel import inline_kernel, kernel

Column = npt.NDArray[Any]
Longs = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

U = np.uint64

_REACH = 2**62
_AHEAD = 4
_WIDTHS = ("uint8", "uint16", "uint32", "uint64")
_INTS = ("uint8", "int16", "int32", "int64")


@kernel(*(f"int64({seen(w)}, int64[::1])" for w in _WIDTHS))
def _run_starts(values: Column, starts: Longs) -> int:
    """Write where each run of equal values begins; give how many runs there are."""
    runs = 0
    for row in range(values.shape[0]):
        if row == 0 or values[row] != values[row - 1]:
            starts[runs] = row
            runs += 1
    return runs


def run_starts(values: Column) -> Longs:
    """Find where runs of equal values begin."""
    if values.dtype.itemsize > 8:
        changes = np.flatnonzero(values[1:] != values[:-1]) + 1
        return np.concatenate((np.zeros(min(len(values), 1), dtype=np.int64), changes))
    starts = np.empty(len(values), dtype=np.int64)
    runs = _run_starts(look(values).view(f"u{values.dtype.itemsize}"), starts)
    return starts[:runs].copy()


@inline_kernel
def _bucket_starts(
    times: Column, first: int, stop: int, step: int, origin: int, starts: Longs, room: int, end: int
) -> int:
    """Write where each bucket begins among some rows; -1 if there are more than there is room."""
    runs = 0
    low = np.int64(1)
    high = np.int64(0)
    row = U(first)
    last = U(stop)
    while row < last:
        # Most rows fall into the bucket of the one before: a few at once, whose distances from its
        # ends are then not negative. A distance that wraps is negative for the other end.
        while row + U(_AHEAD) <= last:
            outside = np.int64(0)
            for ahead in range(_AHEAD):
                outside |= np.int64(times[row + U(ahead)]) - low
            for ahead in range(_AHEAD):
                outside |= high - 1 - np.int64(times[row + U(ahead)])
            if outside < 0:
                break
            row += U(_AHEAD)
        while row < last and low <= times[row] < high:
            row += U(1)
        if row == last:
            break
        time = np.int64(times[row])
        if (runs > 0 and time < low) or time < -_REACH or time > _REACH or room + runs == end:
            return -1
        is_next = runs > 0 and time < high + step
        low = high if is_next else (time - origin) // step * step + origin
        high = low + step
        starts[room + runs] = row
        runs += 1
        row += U(1)
    return runs


@kernel(
    *(
        f"void({seen(t)}, int64[::1], int64[::1], int64, int64, int64, int64, int64[::1],"
        " int64[::1], int64[::1])"
        for t in ("int32", "int64")
    )
)
def bucket_starts(
    times: Column, firsts: Longs, stops: Longs, first: int, stop: int, step: int, origin: int,
    rooms: Longs, starts: Longs, runs: Longs,
) -> None:  # fmt: skip
    """Write where each bucket of `step` begins within spans of ascending times, and how many.

    Bucket k covers origin + k*step up to the next; only a jump over buckets costs a division.
    Span k has `starts` from rooms[k] to rooms[k+1]; it gets -1 buckets if its times descend.
    Nulls and what is near them count as descending, for their buckets would overflow.
    """
    for span in range(first, stop):
        runs[span] = _bucket_starts(
            times, firsts[span], stops[span], step, origin, starts, rooms[span], rooms[span + 1]
        )


@kernel(*(f"void({seen(t)}, int64[::1])" for t in _INTS))
def bounds(values: Column, out: Longs) -> None:
    """Write the least and the greatest value; there must be one."""
    low = np.int64(values[0])
    high = low
    for row in range(values.shape[0]):
        value = np.int64(values[row])
        low = min(low, value)
        high = max(high, value)
    out[0] = low
    out[1] = high


@kernel(*(f"void({seen(t)}, int64, int32[::1])" for t in _INTS))
def mark_firsts(values: Column, low: int, firsts: Codes) -> None:
    """Write the first row of every value into firsts[value - low], which holds -1 before."""
    for row in range(values.shape[0] - 1, -1, -1):
        firsts[np.int64(values[row]) - low] = row


@kernel(*(f"void({seen(t)}, int64, int32[::1], int32[::1])" for t in _INTS))
def look_up(values: Column, low: int, table: Codes, codes: Codes) -> None:
    """Write table[value - low] for every row; -1 for a value outside the table."""
    size = table.shape[0]
    for row in range(values.shape[0]):
        place = np.int64(values[row]) - low
        codes[row] = table[place] if 0 <= place < size else -1


@kernel(f"int64({seen('int64')}, int32[::1], int64[::1], int32[::1], int64)")
def hash_codes(values: Longs, slots: Codes, distinct: Longs, codes: Codes, limit: int) -> int:
    """Number distinct values as they come; give how many, or -1 if there are over `limit`.

    `slots` holds -1 before and has a power of two of places, more than `limit` of them.
    """
    mask = np.uint64(slots.shape[0] - 1)
    known = 0
    for row in range(values.shape[0]):
        value = values[row]
        place = mix(np.uint64(value)) & mask
        while True:
            code = slots[place]
            if code < 0:
                if known == limit:
                    return -1
                slots[place] = known
                distinct[known] = value
                code = np.int32(known)
                known += 1
                break
            if distinct[code] == value:
                break
            place = (place + np.uint64(1)) & mask
        codes[row] = code
    return known


@kernel(f"void({seen('int32')}, int64[::1])")
def count_codes(codes: Codes, counts: Longs) -> None:
    """Count the rows of every code; negative codes are left out."""
    for row in range(codes.shape[0]):
        if codes[row] >= 0:
            counts[codes[row]] += 1


@kernel(f"void({seen('int32')}, int64[::1], int64[::1])")
def order_by_code(codes: Codes, places: Longs, order: Longs) -> None:
    """Write row numbers by code, each code's rows in row order; `places` are where codes begin."""
    for row in range(codes.shape[0]):
        code = codes[row]
        if code >= 0:
            order[places[code]] = row
            places[code] += 1


@kernel("void(int64[::1], int64[::1], int32[::1])")
def codes_of_spans(starts: Longs, stops: Longs, codes: Codes) -> None:
    """Write k into the rows of span k."""
    for span in range(starts.shape[0]):
        for row in range(starts[span], stops[span]):
            codes[row] = span


@kernel(f"void({seen('int32')}, int32[::1])")
def first_rows(codes: Codes, firsts: Codes) -> None:
    """Write the first row of every code; negative codes are left out."""
    for row in range(codes.shape[0] - 1, -1, -1):
        if codes[row] >= 0:
            firsts[codes[row]] = row
