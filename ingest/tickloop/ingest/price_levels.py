"""Price levels of every book side: sorted runs in one pool, the best price at the end.

Most changes are near the best price, so most of them move few entries. A side that outgrows its
run moves to the end of the pool; the pool is packed when it grows.
"""

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.kernel import inline_kernel, kernel, records

# `key` is the price for bids and minus the price for asks: a better price has a larger key.
LEVEL = np.dtype([("key", "<i8"), ("size", "<i8"), ("orders", "<i8")], align=True)
# Where a side's run lies. `generation` counts how often the book was cleared.
SIDE = np.dtype(
    [("start", "<i4"), ("count", "<i4"), ("capacity", "<i4"), ("generation", "<i4")], align=True
)
CAPACITY_MIN = 8
LINEAR_STEPS = 8


@inline_kernel
def find_level(levels: npt.NDArray[np.void], start: int, count: int, key: int) -> int:
    """Find the last position in the run whose key is at most `key`; start - 1 if none is."""
    position = start + count - 1
    stop = max(start, position - LINEAR_STEPS)
    while position >= stop and levels[position]["key"] > key:
        position -= 1
    if position >= stop or position < start:
        return position
    low = start
    high = position + 1
    while low < high:
        middle = (low + high) >> 1
        if levels[middle]["key"] > key:
            high = middle
        else:
            low = middle + 1
    return low - 1


@inline_kernel
def open_level(
    side: np.void, levels: npt.NDArray[np.void], pool: npt.NDArray[np.int64], position: int
) -> int:
    """Make room for one level after `position`; return where it is now.

    `pool` is (used entries, largest run); the caller has checked that a run of twice the
    largest fits.
    """
    if side["count"] == side["capacity"]:
        position += move_run(side, levels, pool)
    end = int(side["start"]) + int(side["count"])
    for target in range(end, position + 1, -1):
        copy_level(levels, target - 1, target)
    side["count"] += 1
    return position + 1


@inline_kernel
def move_run(side: np.void, levels: npt.NDArray[np.void], pool: npt.NDArray[np.int64]) -> int:
    """Move a full run to the end of the pool with twice the room; return by how far."""
    start = int(side["start"])
    distance = int(pool[0]) - start
    for position in range(start, start + int(side["count"])):
        copy_level(levels, position, position + distance)
    side["start"] = pool[0]
    side["capacity"] = max(CAPACITY_MIN, 2 * int(side["capacity"]))
    pool[0] += side["capacity"]
    pool[1] = max(int(pool[1]), int(side["capacity"]))
    return distance


@inline_kernel
def close_level(side: np.void, levels: npt.NDArray[np.void], position: int) -> None:
    """Take one level out of its run."""
    side["count"] -= 1
    for target in range(position, int(side["start"]) + int(side["count"])):
        copy_level(levels, target + 1, target)


@inline_kernel
def copy_level(levels: npt.NDArray[np.void], source: int, target: int) -> None:
    """Copy one entry of the pool to another."""
    levels[target]["key"] = levels[source]["key"]
    levels[target]["size"] = levels[source]["size"]
    levels[target]["orders"] = levels[source]["orders"]


@kernel(types.int64(records(SIDE), records(LEVEL), records(LEVEL)))
def pack_levels(
    sides: npt.NDArray[np.void], old: npt.NDArray[np.void], new: npt.NDArray[np.void]
) -> int:
    """Copy all runs into another pool without holes between them; return the entries used."""
    used = 0
    for book in range(sides.shape[0]):
        side = sides[book]
        start = side["start"]
        for index in range(side["count"]):
            new[used + index]["key"] = old[start + index]["key"]
            new[used + index]["size"] = old[start + index]["size"]
            new[used + index]["orders"] = old[start + index]["orders"]
        side["start"] = used
        used += side["capacity"]
    return used
