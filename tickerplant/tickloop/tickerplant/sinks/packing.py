"""Integer columns in fewer bytes: one value that repeats, or small offsets from the least one.

The seqs, times, ids and prices of a few thousand rows lie close together, so most columns shrink
to a half or a quarter before any compressor sees them, and unpack in one addition.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import kernel

_Column = npt.NDArray[Any]


class Packing(IntEnum):
    """How a column is written."""

    PLAIN = 0
    SAME = 1  # one value, for all rows
    OFFSETS_8 = 2  # the least value as int64, then unsigned offsets of 8, 16 or 32 bits
    OFFSETS_16 = 3
    OFFSETS_32 = 4


_BY_WIDTH = {1: Packing.OFFSETS_8, 2: Packing.OFFSETS_16, 4: Packing.OFFSETS_32}
_VIEWS = {8: "<i8", 4: "<i4", 2: "<i2", 1: "|u1"}


def pack(values: _Column) -> tuple[Packing, list[memoryview]]:
    """Choose the shortest form; give it and its bytes."""
    values = np.ascontiguousarray(values)
    if values.dtype.kind not in "iu" or not len(values):
        return Packing.PLAIN, [values.data]
    # The least value, then offsets of half a value's bytes at most.
    packed = np.empty(8 + len(values) * (values.dtype.itemsize // 2), dtype=np.uint8)
    size = _pack(values.view(_VIEWS[values.dtype.itemsize]), packed)
    if size <= 0:
        return (Packing.PLAIN, [values.data]) if size else (Packing.SAME, [values[:1].data])
    width = (size - 8) // len(values)
    return _BY_WIDTH[width], [packed[:size].data]


@kernel(
    *(
        f"int64(Array({scalar}, 1, 'C', readonly={readonly}), uint8[::1])"
        for scalar in ("int64", "int32", "int16", "uint8")
        for readonly in (False, True)
    )
)
def _pack(values: _Column, packed: npt.NDArray[np.uint8]) -> int:
    """Write offsets from the least value; give the bytes used, 0 for one value, -1 if too far."""
    least, most = values[0], values[0]
    for row in range(len(values)):
        least = min(least, values[row])
        most = max(most, values[row])
    if least == most:
        return 0
    base = int(least)
    span = int(most) - base
    width = values.itemsize
    if span < 0:  # of more than 63 bits
        return -1
    if width > 1 and span < 1 << 8:
        narrow = packed[8:]
        for row in range(len(values)):
            narrow[row] = int(values[row]) - base
        used = 1
    elif width > 2 and span < 1 << 16:
        middle = packed[8 : 8 + 2 * len(values)].view(np.uint16)
        for row in range(len(values)):
            middle[row] = int(values[row]) - base
        used = 2
    elif width > 4 and span < 1 << 32:
        wide = packed[8 : 8 + 4 * len(values)].view(np.uint32)
        for row in range(len(values)):
            wide[row] = int(values[row]) - base
        used = 4
    else:
        return -1
    packed[:8].view(np.int64)[0] = base
    return 8 + used * len(values)
