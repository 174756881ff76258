"""Big-endian integers out of a byte buffer, in kernels.

Unsigned positions need no check for negative ones, so each read compiles to one swapped load.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

U = np.uint64


@inline_kernel
def read_u16(buffer: npt.NDArray[np.uint8], at: int, offset: int) -> int:
    """Read 2 bytes at `at + offset`."""
    p = U(at) + U(offset)
    return int((np.int64(buffer[p]) << 8) | np.int64(buffer[p + U(1)]))


@inline_kernel
def read_u32(buffer: npt.NDArray[np.uint8], at: int, offset: int) -> int:
    """Read 4 bytes at `at + offset`."""
    p = U(at) + U(offset)
    return int(
        (np.int64(buffer[p]) << 24)
        | (np.int64(buffer[p + U(1)]) << 16)
        | (np.int64(buffer[p + U(2)]) << 8)
        | np.int64(buffer[p + U(3)])
    )


@inline_kernel
def read_i64(buffer: npt.NDArray[np.uint8], at: int, offset: int) -> int:
    """Read 8 bytes at `at + offset`; numbers past 2**63 - 1 come out negative."""
    p = U(at) + U(offset)
    return int(
        (np.int64(buffer[p]) << 56)
        | (np.int64(buffer[p + U(1)]) << 48)
        | (np.int64(buffer[p + U(2)]) << 40)
        | (np.int64(buffer[p + U(3)]) << 32)
        | (np.int64(buffer[p + U(4)]) << 24)
        | (np.int64(buffer[p + U(5)]) << 16)
        | (np.int64(buffer[p + U(6)]) << 8)
        | np.int64(buffer[p + U(7)])
    )
