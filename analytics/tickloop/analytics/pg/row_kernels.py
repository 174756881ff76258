"""Loops that put rows together from columns of bytes, and spell instants as text."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel

Bytes = npt.NDArray[np.uint8]
Starts = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int32]

TIMESTAMP_WIDTH = 36
DECIMAL_WIDTH = 20
# Stands for a length where a number has another spelling than one with a few decimal places.
ODD = -2
_PLACES = 7
_DAY_US = 86_400_000_000
# 0001-01-01 in days since 1970: what is before it is BC.
_FIRST_DAY = -719_162


@kernel("void(int64, uint8[::1], int64[:, ::1], int32[:, ::1], uint8[::1])")
def framed_rows(kind: int, heap: Bytes, starts: Starts, lengths: Lengths, out: Bytes) -> None:
    """Write for each row: kind, length, how many fields, and each field after its length."""
    at = 0
    for row in range(starts.shape[0]):
        first = at
        out[at] = kind
        at += 5
        out[at] = (starts.shape[1] >> 8) & 0xFF
        out[at + 1] = starts.shape[1] & 0xFF
        at += 2
        for column in range(starts.shape[1]):
            size = lengths[row, column]
            for byte in range(4):
                out[at + byte] = (size >> (24 - 8 * byte)) & 0xFF
            at += 4
            start = starts[row, column]
            for byte in range(size):
                out[at + byte] = heap[start + byte]
            at += max(size, 0)
        for byte in range(4):
            out[first + 1 + byte] = ((at - first - 1) >> (24 - 8 * byte)) & 0xFF


@kernel("void(int64, uint8[::1], uint8[::1], int64[:, ::1], int32[:, ::1], uint8[::1])")
def separated_rows(
    delimiter: int, null: Bytes, heap: Bytes, starts: Starts, lengths: Lengths, out: Bytes
) -> None:
    """Write for each row a CopyData message: fields with a delimiter between, a line's end."""
    at = 0
    for row in range(starts.shape[0]):
        first = at
        out[at] = 0x64
        at += 5
        for column in range(starts.shape[1]):
            if column > 0:
                out[at] = delimiter
                at += 1
            size = lengths[row, column]
            if size < 0:
                for byte in range(len(null)):
                    out[at + byte] = null[byte]
                at += len(null)
            start = starts[row, column]
            for byte in range(size):
                out[at + byte] = heap[start + byte]
            at += max(size, 0)
        out[at] = 0x0A
        at += 1
        for byte in range(4):
            out[first + 1 + byte] = ((at - first - 1) >> (24 - 8 * byte)) & 0xFF


@inline_kernel
def put_digits(out: Bytes, at: int, number: int, width: int) -> int:
    """Write a number with leading zeros; give where it ends."""
    for place in range(width):
        out[at + width - 1 - place] = 0x30 + number % 10
        number //= 10
    return at + width


@inline_kernel
def put_day(out: Bytes, at: int, days: int) -> int:
    """Write the date that is `days` after 1970-01-01, a year before 1 as its BC number."""
    # Days from 0000-03-01, in eras of 400 years: leap days then come last in a year.
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    years = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = years + era * 400 + (1 if month <= 2 else 0)
    if year <= 0:
        year = 1 - year
    at = put_digits(out, at, year, 4 if year < 10_000 else 6)
    out[at] = 0x2D
    at = put_digits(out, at + 1, month, 2)
    out[at] = 0x2D
    return put_digits(out, at + 1, day, 2)


@inline_kernel
def put_time(out: Bytes, at: int, micros: int) -> int:
    """Write a time of day; what a second has after its last digit that counts is left out."""
    seconds = micros // 1_000_000
    at = put_digits(out, at, seconds // 3600, 2)
    out[at] = 0x3A
    at = put_digits(out, at + 1, seconds // 60 % 60, 2)
    out[at] = 0x3A
    at = put_digits(out, at + 1, seconds % 60, 2)
    fraction = micros % 1_000_000
    if fraction > 0:
        out[at] = 0x2E
        at = put_digits(out, at + 1, fraction, 6)
        while out[at - 1] == 0x30:
            at -= 1
    return at


@kernel("void(int64[::1], boolean, uint8[::1], int32[::1])")
def timestamps(micros: Starts, zoned: bool, out: Bytes, lengths: Lengths) -> None:
    """Write instants in microseconds since 1970 as text, each in TIMESTAMP_WIDTH bytes."""
    for row in range(len(micros)):
        start = at = row * TIMESTAMP_WIDTH
        days = micros[row] // _DAY_US
        at = put_day(out, at, days)
        out[at] = 0x20
        at = put_time(out, at + 1, micros[row] - days * _DAY_US)
        if zoned:
            out[at] = 0x2B
            out[at + 1] = 0x30
            out[at + 2] = 0x30
            at += 3
        if days < _FIRST_DAY:
            out[at] = 0x20
            out[at + 1] = 0x42
            out[at + 2] = 0x43
            at += 3
        lengths[row] = at - start


@kernel("void(float64[::1], uint8[::1], int32[::1])")
def decimals(values: npt.NDArray[np.float64], out: Bytes, lengths: Lengths) -> None:
    """Write numbers of few decimal places as the shortest text that reads back, others as ODD.

    Two numbers of at most 15 digits are never the same double: the first count of places whose
    number reads back is the shortest.
    """
    for row in range(len(values)):
        size = abs(values[row])
        lengths[row] = ODD
        if not (1e-4 <= size < 1e8):
            continue
        scale = 1.0
        for places in range(_PLACES):
            scaled = np.floor(size * scale + 0.5)
            if scaled / scale == size:
                start = at = row * DECIMAL_WIDTH
                if values[row] < 0:
                    out[at] = 0x2D
                    at += 1
                number = int(scaled)
                unit = int(scale)
                whole = number // unit
                width = 1
                while width < 9 and whole >= 10**width:
                    width += 1
                at = put_digits(out, at, whole, width)
                if places > 0:
                    out[at] = 0x2E
                    at = put_digits(out, at + 1, number - whole * unit, places)
                lengths[row] = at - start
                break
            scale *= 10.0
