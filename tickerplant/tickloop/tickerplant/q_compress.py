"""q IPC's compression: LZ over the last place where each pair of bytes was seen."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import kernel

Bytes = npt.NDArray[np.uint8]


@kernel("int64(uint8[::1], int64, uint8[::1])")
def _decompress(  # noqa: C901 - one loop over one bit stream
    packed: Bytes, start: int, plain: Bytes
) -> int:
    """Fill `plain` from byte 8 on; give the packed bytes used, or -1 if the stream is damaged."""
    places = np.zeros(256, dtype=np.int64)
    flags = 0
    bit = 256
    read = start
    out = 8
    seen = 8
    while out < plain.shape[0]:
        if bit == 256:
            if read >= packed.shape[0]:
                return -1
            flags = int(packed[read])
            read += 1
            bit = 1
        extra = 0
        if flags & bit:
            if read + 2 > packed.shape[0]:
                return -1
            place = places[packed[read]]
            extra = int(packed[read + 1])
            read += 2
            if place + 2 > out or out + 2 + extra > plain.shape[0]:
                return -1
            for step in range(2 + extra):
                plain[out + step] = plain[place + step]
            out += 2
        else:
            if read >= packed.shape[0]:
                return -1
            plain[out] = packed[read]
            read += 1
            out += 1
        while seen < out - 1:
            places[plain[seen] ^ plain[seen + 1]] = seen
            seen += 1
        if flags & bit:
            out += extra
            seen = out
        bit *= 2
    return read


def decompress(message: bytes | Bytes, plain_bytes: int) -> Bytes | None:
    """Restore a compressed message of `plain_bytes` (header included); None if damaged."""
    packed = np.array(np.frombuffer(message, dtype=np.uint8))
    plain = np.zeros(plain_bytes, dtype=np.uint8)
    return plain if _decompress(packed, 12, plain) >= 0 else None
