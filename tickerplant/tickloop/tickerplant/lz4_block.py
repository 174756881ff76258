"""Raw LZ4 blocks: literals and copies of what was produced before.

Arrow's codec for them does not say how much it produced, so a block that ends early would read as
whatever memory held.

Source: the LZ4 block format description.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel
from tickloop.tickerplant.little_endian import copy_bytes

Bytes = npt.NDArray[np.uint8]

_COPY_MIN = 4
_NIBBLE_MAX = 15


@inline_kernel
def _length(packed: Bytes, at: int, nibble: np.int64) -> tuple[int, int]:
    """Read a length that may go on in bytes of 255; give (length, next byte), -1 past the end."""
    length = int(nibble)
    if nibble == _NIBBLE_MAX:
        more = 255
        while more == 255:
            if at >= packed.shape[0]:
                return -1, at
            more = int(np.int64(packed[at]))
            length += more
            at += 1
    return length, at


@kernel("int64(uint8[::1], uint8[::1])")
def _decode(packed: Bytes, plain: Bytes) -> int:
    """Fill `plain`; give how many bytes were produced, or -1 if the block is damaged."""
    at = 0
    out = 0
    while at < packed.shape[0]:
        token = np.int64(packed[at])
        literals, at = _length(packed, at + 1, token >> 4)
        if literals < 0 or at + literals > packed.shape[0] or out + literals > plain.shape[0]:
            return -1
        copy_bytes(packed, at, literals, plain, out)
        at += literals
        out += literals
        if at == packed.shape[0]:  # the last sequence has no copy
            return out
        if at + 2 > packed.shape[0]:
            return -1
        back = np.int64(packed[at]) | np.int64(packed[at + 1]) << 8
        copied, at = _length(packed, at + 2, token & 15)
        copied += _COPY_MIN
        if copied < _COPY_MIN or back == 0 or back > out or out + copied > plain.shape[0]:
            return -1
        for _ in range(copied):
            plain[out] = plain[out - back]
            out += 1
    return -1


def decode(packed: Bytes, plain_bytes: int) -> Bytes | None:
    """Unpack a block of exactly `plain_bytes`; None if it is damaged or of another length."""
    plain = np.zeros(plain_bytes, dtype=np.uint8)
    return plain if _decode(np.array(packed), plain) == plain_bytes else None
