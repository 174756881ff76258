"""Where a symbol's state lies: ids to slots of record arrays that grow by what was seen alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

NO_SLOT = -1
_FIRST_CAPACITY = 16

# Columns and arrays of any type: a kernel's signature says which it takes.
Array = npt.NDArray[Any]
Records = npt.NDArray[np.void]
Ids = npt.NDArray[np.int32]


@inline_kernel
def slot_of(symbol: int, slots: Ids, used: npt.NDArray[np.int64], capacity: int) -> int:
    """Give a symbol's slot, taking the next one for a new symbol; NO_SLOT if arrays must grow."""
    if symbol >= slots.shape[0]:
        return NO_SLOT
    slot = int(slots[symbol])
    if slot == NO_SLOT and used[0] < capacity:
        slot = int(used[0])
        slots[symbol] = slot
        used[0] += 1
    return slot


@inline_kernel
def known_slot(
    symbol: int, slots: Ids, used: npt.NDArray[np.int64], capacity: int,
    wanted: npt.NDArray[np.int64],
) -> int:  # fmt: skip
    """Give a symbol's slot, 0 for the null symbol; NO_SLOT, and whom to grow for in `wanted`."""
    if symbol < 0:
        return 0
    slot = slot_of(symbol, slots, used, capacity)
    if slot == NO_SLOT:
        wanted[0] = symbol
    return slot


def none_yet() -> dict[str, Array]:
    """Make `slots` (by id) and `used` (how many slots are taken) for no symbol."""
    return {"slots": np.full(0, NO_SLOT, dtype=np.int32), "used": np.zeros(1, dtype=np.int64)}


def with_room(
    arrays: Mapping[str, Array], symbol: int, blanks: Mapping[str, Array]
) -> dict[str, Array]:
    """Give arrays with room for one more symbol; `blanks` has one fresh entry an array to grow.

    Capacities are powers of two, so that they follow from the symbols seen and not from when.
    """
    grown = dict(arrays)
    slots = arrays["slots"]
    if symbol >= len(slots):
        size = max(_FIRST_CAPACITY, 1 << symbol.bit_length())
        grown["slots"] = np.concatenate([slots, np.full(size - len(slots), NO_SLOT, np.int32)])
    for name, blank in blanks.items():
        known = arrays[name]
        if int(arrays["used"][0].item()) == len(known):
            more = max(_FIRST_CAPACITY, len(known))
            grown[name] = np.concatenate([known, np.repeat(blank, more, axis=0)])
    return grown


def take_slot(
    arrays: Mapping[str, Array], symbol: int, blanks: Mapping[str, Array]
) -> tuple[dict[str, Array], int]:
    """Give a symbol's slot outside of kernels, growing where needed."""
    slots = arrays["slots"]
    if symbol < len(slots) and slots[symbol] != NO_SLOT:
        return dict(arrays), int(slots[symbol].item())
    grown = with_room(arrays, symbol, blanks)
    slot = int(grown["used"][0].item())
    grown["slots"][symbol] = slot
    grown["used"][0] = slot + 1
    return grown, slot
