"""What kdb+ keeps behind a parted column of symbols: each group's symbol, a hash of it, its start.

KX does not publish the form. It is that of files which kdb+ 3.6 and newer wrote, of 0 to 45 groups,
whose bytes this module gives again: a word of zero, the groups' symbols in the order of their rows
as a unique vector with its hash table, and the groups' first rows with the count of rows.
"""

import struct

import numpy as np

from tickloop.tickerplant.kdb_layout import ENUM
from tickloop.tickerplant.parted import Parted

# The hash of an index: 32 bits of its product with this prime next to the golden ratio's part of
# 2^32, less the lowest eleven (Knuth, TAOCP 6.4).
_FACTOR = 0x9E3779B1
_SHIFT = 11
_LONG, _UNIQUE = 7, 2
# Past this many, slots would have numbers that no file was seen to spell.
GROUPS_MAX = 1 << 19


def parted_index(parted: Parted) -> bytes:
    """Spell the index of a column whose groups these are; nothing for more than GROUPS_MAX."""
    groups = len(parted.ids)
    if groups > GROUPS_MAX:
        return b""
    order = np.argsort(parted.starts, kind="stable")
    symbols: list[int] = parted.ids[order].tolist()
    slots = _slots(symbols)
    room = len(slots) // 2
    first = [*parted.starts[order].tolist(), parted.rows]
    return b"".join(
        (
            bytes(8), _head(ENUM, _UNIQUE, groups, 8 * (room + 1 + len(slots))),
            struct.pack(f"<{groups}q", *symbols), bytes(8 * (room - groups + 1)),
            struct.pack(f"<{len(slots)}q", *slots),
            _head(_LONG, 0, len(first), 8 * len(first)), struct.pack(f"<{len(first)}q", *first),
        )
    )  # fmt: skip


def _slots(symbols: list[int]) -> list[int]:
    """Put each group's number into the first free slot from its hash on; -1 is free."""
    count = 2 << max(len(symbols) - 1, 0).bit_length()
    slots = [-1] * count
    for group, symbol in enumerate(symbols):
        at = (symbol * _FACTOR & 0xFFFFFFFF) >> _SHIFT & count - 1
        while slots[at] >= 0:
            at = (at + 1) % count
        slots[at] = group
    return slots


def _head(type_number: int, attribute: int, count: int, size: int) -> bytes:
    """Spell the head of a vector as it is in memory: its block is the next power of two bytes."""
    block = max((size + 16 - 1).bit_length() - 4, 0)
    return struct.pack("<BBBBIq", block, 0, type_number, attribute, 0, count)
