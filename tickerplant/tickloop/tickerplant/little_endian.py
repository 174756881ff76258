"""Bytes in kernels: little-endian integers out of a buffer, and copies between buffers.

Unsigned positions need no check for negative ones: each read compiles to one load, and copies to
the widest moves that the machine has.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

U = np.uint64
LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)


@inline_kernel
def read_u48(buffer: npt.NDArray[np.uint8], at: int) -> int:
    """Read 6 bytes."""
    p = U(at)
    return int(
        np.int64(buffer[p])
        | (np.int64(buffer[p + U(1)]) << 8)
        | (np.int64(buffer[p + U(2)]) << 16)
        | (np.int64(buffer[p + U(3)]) << 24)
        | (np.int64(buffer[p + U(4)]) << 32)
        | (np.int64(buffer[p + U(5)]) << 40)
    )


@inline_kernel
def read_u64(buffer: npt.NDArray[np.uint8], at: int) -> np.uint64:
    """Read 8 bytes."""
    p = U(at)
    return np.uint64(
        U(buffer[p])
        | (U(buffer[p + U(1)]) << U(8))
        | (U(buffer[p + U(2)]) << U(16))
        | (U(buffer[p + U(3)]) << U(24))
        | (U(buffer[p + U(4)]) << U(32))
        | (U(buffer[p + U(5)]) << U(40))
        | (U(buffer[p + U(6)]) << U(48))
        | (U(buffer[p + U(7)]) << U(56))
    )


@inline_kernel
def zero_bytes(word: np.uint64) -> np.uint64:
    """Mark the zero bytes of a word by their high bits."""
    # No sum goes past its byte: the high bits are those of bytes with any other bit set.
    return np.uint64(~(((word & LOW_SEVEN) + LOW_SEVEN) | word | LOW_SEVEN))


@inline_kernel
def write_u64(buffer: npt.NDArray[np.uint8], at: int, word: np.uint64) -> None:
    """Write 8 bytes."""
    p = U(at)
    buffer[p] = word & U(255)
    buffer[p + U(1)] = (word >> U(8)) & U(255)
    buffer[p + U(2)] = (word >> U(16)) & U(255)
    buffer[p + U(3)] = (word >> U(24)) & U(255)
    buffer[p + U(4)] = (word >> U(32)) & U(255)
    buffer[p + U(5)] = (word >> U(40)) & U(255)
    buffer[p + U(6)] = (word >> U(48)) & U(255)
    buffer[p + U(7)] = word >> U(56)


@inline_kernel
def same_bytes(
    one: npt.NDArray[np.uint8], first: int, other: npt.NDArray[np.uint8], start: int, count: int
) -> bool:
    """Compare stretches of at least 8 bytes."""
    index = 0
    last = count - 8
    while index < last and read_u64(one, first + index) == read_u64(other, start + index):
        index += 8
    return index >= last and read_u64(one, first + last) == read_u64(other, start + last)


@inline_kernel
def copy_bytes(
    source: npt.NDArray[np.uint8], first: int, count: int, out: npt.NDArray[np.uint8], at: int
) -> None:
    """Copy source[first : first + count] to `at` and after; the buffers must not overlap."""
    if count == 8:
        write_u64(out, at, read_u64(source, first))
        return
    start, to = U(first), U(at)
    for index in range(U(count)):
        out[to + U(index)] = source[start + U(index)]
