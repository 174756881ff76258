"""Loops that give equal numbers equal codes, through a counting table or a hash table."""

import numpy as np

from tickloop.analytics.q.kinds import Positions
from tickloop.analytics.q.values import Array
from tickloop.core.hashing import mix
from tickloop.core.kernel import inline_kernel, kernel

_LONGS, _INTS = "int64[::1]", "int32[::1]"


@inline_kernel
def slot_of(number: np.int64, mask: int) -> int:
    """Scatter a number over a table of mask + 1 slots."""
    return np.int64(mix(np.uint64(number)) & np.uint64(mask))  # type: ignore[return-value]


@kernel(*(f"int64({n}, int64, {_LONGS}, {_LONGS}, {_LONGS})" for n in (_LONGS, _INTS)))
def code_by_table(
    numbers: Array, low: int, table: Positions, codes: Positions, firsts: Positions
) -> int:
    """Code numbers from `low` on; `table` holds -1s. Return how many differ."""
    distinct = 0
    for position in range(len(numbers)):
        cell = numbers[position] - low
        code = table[cell]
        if code < 0:
            code = distinct
            table[cell] = code
            firsts[code] = position
            distinct += 1
        codes[position] = code
    return distinct


@kernel(*(f"int64({n}, {_LONGS}, {_LONGS}, {_LONGS})" for n in (_LONGS, _INTS)))
def code_by_hash(numbers: Array, slots: Positions, codes: Positions, firsts: Positions) -> int:
    """Code numbers; `slots` holds -1s, a power of two of them. Return how many differ."""
    distinct = 0
    mask = len(slots) - 1
    for position in range(len(numbers)):
        number = numbers[position]
        slot = slot_of(np.int64(number), mask)
        while slots[slot] >= 0 and numbers[firsts[slots[slot]]] != number:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = distinct
            firsts[distinct] = position
            distinct += 1
        codes[position] = slots[slot]
    return distinct


@kernel(f"void({_LONGS}, {_LONGS}, {_LONGS})")
def scatter_by_code(codes: Positions, starts: Positions, order: Positions) -> None:
    """Write each position where its code's next one belongs; `starts` moves along."""
    for position in range(len(codes)):
        code = codes[position]
        order[starts[code]] = position
        starts[code] += 1


@kernel(*(f"void({n}, {n}, int64, {_LONGS}, {_LONGS})" for n in (_LONGS, _INTS)))
def find_by_table(
    haystack: Array, needles: Array, low: int, table: Positions, found: Positions
) -> None:
    """Write where each needle first stands; `found` keeps what it holds for the others."""
    for position in range(len(haystack) - 1, -1, -1):
        table[haystack[position] - low] = position
    high = low + (len(table) - 1)
    for place in range(len(needles)):
        number = np.int64(needles[place])
        if number < low or number > high:
            continue
        position = table[number - low]
        if position >= 0:
            found[place] = position


@kernel(*(f"void({n}, {n}, {_LONGS}, {_LONGS})" for n in (_LONGS, _INTS)))
def find_by_hash(haystack: Array, needles: Array, slots: Positions, found: Positions) -> None:
    """Write where each needle first stands; `slots` holds -1s, a power of two of them."""
    mask = len(slots) - 1
    for position in range(len(haystack)):
        number = haystack[position]
        slot = slot_of(np.int64(number), mask)
        while slots[slot] >= 0 and haystack[slots[slot]] != number:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = position
    for place in range(len(needles)):
        number = needles[place]
        slot = slot_of(np.int64(number), mask)
        while slots[slot] >= 0 and haystack[slots[slot]] != number:
            slot = (slot + 1) & mask
        if slots[slot] >= 0:
            found[place] = slots[slot]
