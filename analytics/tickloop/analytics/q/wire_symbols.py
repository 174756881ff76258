"""Symbol vectors to and from the wire, without a Python object for each row."""

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.interned import INTERNED, Ids
from tickloop.core.kernel import kernel
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.q_values import Attribute, SymbolVector, symbol_text

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

_NAMES = Names(INTERNED)
# Below this many names a Python dictionary is faster than setting up the search.
_FEW = 64


@kernel("int64(Array(uint8, 1, 'C', readonly=True), int32[::1], int64[::1], int32[::1])")
def _number_names(text: Bytes, numbers: Ids, starts: Offsets, slots: Ids) -> int:
    """Number the distinct NUL-ended names of a text in order of appearance; count them.

    `numbers` gets each name's number, `starts` where the first of each number begins. `slots`
    is room for the search: a power of two, all -1. Gives -1 once half of it is taken.
    """
    mask = slots.shape[0] - 1
    found = 0
    start = 0
    for row in range(numbers.shape[0]):
        end = start
        digest = np.uint64(14695981039346656037)
        while text[end] != 0:
            digest = (digest ^ np.uint64(text[end])) * np.uint64(1099511628211)
            end += 1
        slot = np.int64((digest ^ (digest >> np.uint64(32))) & np.uint64(mask))
        while True:
            number = slots[slot]
            if number < 0:
                if 2 * found > mask:
                    return -1
                slots[slot] = found
                starts[found] = start
                number = np.int32(found)
                found += 1
                break
            first = starts[number]
            length = 0
            while start + length <= end and text[first + length] == text[start + length]:
                length += 1
            if start + length > end:
                break
            slot = (slot + 1) & mask
        numbers[row] = number
        start = end + 1
    return found


def to_symbols(ids: Ids, attribute: Attribute = Attribute.NONE) -> SymbolVector:
    """Spell interned ids as symbols travel."""
    return SymbolVector(_NAMES.encode(ids).tobytes(), len(ids), attribute)


def from_symbols(found: SymbolVector) -> Ids:
    """Intern the names of a vector from the wire."""
    if found.count <= _FEW:
        return INTERNED.ids(found.names)
    text = np.frombuffer(found.text, dtype=np.uint8)
    room = 1 << 12
    while True:
        numbers = np.empty(found.count, dtype=np.int32)
        starts = np.empty(room, dtype=np.int64)
        with np.errstate(over="ignore"):  # the hash wraps where the kernel runs as Python
            count = _number_names(text, numbers, starts, np.full(room, -1, dtype=np.int32))
        if count >= 0:
            break
        room <<= 2
    names = [_name_at(found.text, start) for start in starts[:count].tolist()]
    return INTERNED.ids(names)[numbers]


def _name_at(text: bytes, start: int) -> str:
    return symbol_text(text[start : text.index(b"\0", start)])
