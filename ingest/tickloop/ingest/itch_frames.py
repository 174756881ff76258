"""Where messages lie in an ITCH file: 2-byte lengths, or the fixed lengths of the types."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.big_endian import read_u16

# How a walk ended: more bytes are needed; a frame cannot be right; a length of zero.
MORE, WRONG, ZERO = range(3)
# No message of the protocol is shorter; a longer one than FRAME_MAX is not believed.
FRAME_MIN = 12
FRAME_MAX = 255


@kernel(
    "int64(uint8[::1], int64, boolean, boolean, int64[::1], int64[::1], int64[::1], int64[::1])",
)
def walk_frames(
    buffer: npt.NDArray[np.uint8],
    end: int,
    final: bool,
    zero_prefixed: bool,
    expected: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    result: npt.NDArray[np.int64],
) -> int:
    """List the messages in `buffer[:end]`; return how many.

    `expected` are lengths by type. `final` says that nothing follows `end`. With `zero_prefixed`
    every prefix is 0 and the type says the length. `result` gets where the walk stopped and why.
    A message of a length that its type does not have is listed if what follows it looks like a
    message: then the prefix is right and the message is not.
    """
    at = 0
    count = 0
    reason = MORE
    while at + 2 < end and count < offsets.shape[0]:
        length = read_u16(buffer, at, 0)
        kind = buffer[at + 2]
        if zero_prefixed:
            if length != 0 or expected[kind] == 0:
                reason = WRONG
                break
            length = expected[kind]
        elif length == 0:
            reason = ZERO
            break
        elif length != expected[kind]:
            if length < FRAME_MIN or length > FRAME_MAX:
                reason = WRONG
                break
            following = at + 2 + length
            if following + 3 > end and not final:
                break
            if following <= end and not follows(buffer, following, end, expected):
                reason = WRONG
                break
        if at + 2 + length > end:
            break
        offsets[count] = at + 2
        lengths[count] = length
        count += 1
        at += 2 + length
    result[0] = at
    result[1] = reason
    return count


@inline_kernel
def follows(
    buffer: npt.NDArray[np.uint8], at: int, end: int, expected: npt.NDArray[np.int64]
) -> bool:
    """Tell whether a message may begin here, or the file end."""
    if at + 3 > end:
        return True
    length = read_u16(buffer, at, 0)
    kind = buffer[at + 2]
    if expected[kind] > 0:
        return bool(length == expected[kind])
    is_letter = 65 <= (kind & 0xDF) <= 90
    return length == 0 or (is_letter and FRAME_MIN <= length <= FRAME_MAX)
