"""Integer columns in fewer bytes: one value that repeats, or small offsets from the least one.

The seqs, times, ids and prices of a few thousand rows lie close together, so most columns shrink
to a half or a quarter before any compressor sees them, and unpack in one addition.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

_Column = npt.NDArray[Any]


class Packing(IntEnum):
    """How a column is written."""

    PLAIN = 0
    SAME = 1  # one value, for all rows
    OFFSETS_8 = 2  # the least value as int64, then unsigned offsets of 8, 16 or 32 bits
    OFFSETS_16 = 3
    OFFSETS_32 = 4


_OFFSETS = {
    Packing.OFFSETS_8: "|u1", Packing.OFFSETS_16: "<u2", Packing.OFFSETS_32: "<u4",
}  # fmt: skip


def pack(values: _Column) -> tuple[Packing, list[memoryview]]:
    """Choose the shortest form; give it and its bytes."""
    if values.dtype.kind not in "iu" or not len(values):
        return Packing.PLAIN, [np.ascontiguousarray(values).data]
    least, most = int(values.min()), int(values.max())
    if least == most:
        return Packing.SAME, [np.ascontiguousarray(values[:1]).data]
    for packing, dtype in _OFFSETS.items():
        width = np.dtype(dtype).itemsize
        if width < values.dtype.itemsize and most - least < 1 << 8 * width:
            base = np.array([least], dtype="<i8")
            return packing, [base.data, (values - values.dtype.type(least)).astype(dtype).data]
    return Packing.PLAIN, [np.ascontiguousarray(values).data]
