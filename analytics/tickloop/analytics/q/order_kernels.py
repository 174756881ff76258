"""A stable sort of 64-bit numbers by their digits: linear, whatever the order they come in."""

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.kinds import Positions
from tickloop.core.kernel import kernel

Words = npt.NDArray[np.uint64]

DIGIT_BITS = 11
DIGITS = 6  # that many digits hold 64 bits
_VALUES = 1 << DIGIT_BITS
_WORDS, _LONGS = "uint64[::1]", "int64[::1]"


@kernel(f"void({_WORDS}, int64[:, ::1])")
def count_digits(keys: Words, counts: npt.NDArray[np.int64]) -> None:
    """Count how often each digit has each value; `counts` holds zeros."""
    mask = np.uint64(_VALUES - 1)
    step = np.uint64(DIGIT_BITS)
    for i in range(len(keys)):
        key = keys[i]
        for digit in range(DIGITS):
            counts[digit, np.int64(key & mask)] += 1
            key >>= step


@kernel(f"void({_WORDS}, {_LONGS}, int64, {_LONGS}, {_WORDS}, {_LONGS})")
def scatter_by_digit(
    keys: Words,
    order: Positions,
    digit: int,
    starts: Positions,
    keys_after: Words,
    order_after: Positions,
) -> None:
    """Move keys and their positions to where one digit sorts them; `starts` moves along."""
    mask = np.uint64(_VALUES - 1)
    shift = np.uint64(digit * DIGIT_BITS)
    for i in range(len(keys)):
        value = np.int64((keys[i] >> shift) & mask)
        place = starts[value]
        starts[value] = place + 1
        keys_after[place] = keys[i]
        order_after[place] = order[i]
