"""Symbol names as flat bytes for kernels: ids to names when writing, names to ids when reading."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel
from tickloop.tickerplant.little_endian import U, copy_bytes, zero_bytes

EMPTY = -1
NULL_ID = -(2**31)
UNKNOWN = -(2**31) + 1
FNV_OFFSET = 0x811C9DC5
FNV_PRIME = 0x01000193
MASK_32 = 0xFFFFFFFF
# Of eight bytes that begin with a short name, those up to its NUL are a number that says which
# name it is; no such number is this one.
NO_WORD = np.uint64(0xFFFFFFFFFFFFFFFF)
WORD_SLOTS = 1 << 11


@inline_kernel
def _hash(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    # FNV-1a in 32 bits: products stay below 2**57, so no arithmetic wraps.
    value = FNV_OFFSET
    for index in range(start, end):
        value = ((value ^ int(text[index])) * FNV_PRIME) & MASK_32
    return value


@inline_kernel
def find_name(
    text: npt.NDArray[np.uint8],
    start: int,
    end: int,
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
) -> int:
    """Give the id of text[start:end]; NULL_ID if it is empty, UNKNOWN if it was never seen."""
    if start == end:
        return NULL_ID
    mask = slots.shape[0] - 1
    slot = _hash(text, start, end) & mask
    while slots[slot] != EMPTY:
        found = int(slots[slot])
        first = ends[found]
        if ends[found + 1] - first == end - start:
            index = 0
            while index < end - start and blob[first + index] == text[start + index]:
                index += 1
            if index == end - start:
                return found
        slot = (slot + 1) & mask
    return UNKNOWN


@inline_kernel
def first_name(word: np.uint64) -> np.uint64:
    """Keep a word's bytes up to the NUL that ends a name; NO_WORD if no byte is zero."""
    zeros = zero_bytes(word)
    return word & (zeros ^ (zeros - U(1))) if zeros != 0 else NO_WORD


@inline_kernel
def read_name(
    log: npt.NDArray[np.uint8],
    position: int,
    word: np.uint64,
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    words: npt.NDArray[np.uint64],
    word_ids: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Give the id of the NUL-terminated name at `position`, or UNKNOWN, and where it ends.

    `word` is what `first_name` says of it; names that have one are remembered in `words`.
    """
    slot = word ^ (word >> U(33))
    slot ^= slot >> U(17)
    slot = (slot ^ (slot >> U(9))) & U(words.shape[0] - 1)
    stop = position
    if word != NO_WORD and words[slot] == word:
        found = int(word_ids[slot])
        if found >= 0:
            stop += ends[U(found + 1)] - ends[U(found)]
        return found, stop
    while log[U(stop)] != 0:
        stop += 1
    found = find_name(log, position, stop, blob, ends, slots)
    if found != UNKNOWN:
        words[slot], word_ids[slot] = word, found
    return found, stop


@kernel("void(uint8[::1], int64[::1], int32[::1], int64, int64)")
def _insert(
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    mask = slots.shape[0] - 1
    for symbol in range(first, last):
        start, end = ends[symbol], ends[symbol + 1]
        if start == end or find_name(blob, start, end, blob, ends, slots) != UNKNOWN:
            continue
        slot = _hash(blob, start, end) & mask
        while slots[slot] != EMPTY:
            slot = (slot + 1) & mask
        slots[slot] = symbol


@kernel("int64(int32[::1], int64[::1], int64)")
def _text_size(ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64], count: int) -> int:
    """Give the bytes that ids take as NUL-terminated names; -1 if one is not of `count`."""
    size = ids.shape[0]
    for row in range(ids.shape[0]):
        symbol = ids[row]
        if symbol >= count:
            return -1
        if symbol >= 0:
            size += ends[U(symbol + 1)] - ends[U(symbol)]
    return int(size)


@kernel("int64(int32[::1], uint8[::1], int64[::1], uint8[::1], int64)")
def _write_names(
    ids: npt.NDArray[np.int32],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    position: int,
) -> int:
    for row in range(ids.shape[0]):
        symbol = ids[row]
        if symbol >= 0:
            size = ends[U(symbol + 1)] - ends[U(symbol)]
            copy_bytes(blob, ends[U(symbol)], size, out, position)
            position += size
        out[U(position)] = 0
        position += 1
    return position


class Growing(Protocol):
    """A list of names that only grows; a name's position is its id."""

    def __len__(self) -> int:
        """Count the names."""
        ...

    def names_from(self, start: int) -> Sequence[str]:
        """Give the names from a position on."""
        ...


class Names:
    """Symbols' names as arrays: `blob` holds them back to back, `ends[id+1]` ends id's name."""

    def __init__(self, symbols: Growing) -> None:
        self._symbols = symbols
        self.blob = np.zeros(1 << 12, dtype=np.uint8)
        self.ends = np.zeros(1 << 9, dtype=np.int64)
        self.slots = np.full(1 << 10, EMPTY, dtype=np.int32)
        # Short names that were read lately: a name's word and its id, by the word's hash.
        self.words = np.full(WORD_SLOTS, NO_WORD, dtype=np.uint64)
        self.word_ids = np.zeros(WORD_SLOTS, dtype=np.int32)
        self._count = 0
        self._longest = 0
        self.refresh()

    def refresh(self) -> None:
        """Take in the symbols that were added since the last call; cheap when there are none."""
        count = len(self._symbols)
        if count == self._count:
            return
        # A NUL ends a name wherever these are written, so what follows one is no part of it.
        added = [
            name.encode(errors="surrogateescape").partition(b"\0")[0]
            for name in self._symbols.names_from(self._count)
        ]
        text = b"".join(added)
        used = int(self.ends[self._count])
        self._grow(used + len(text), count)
        self.blob[used : used + len(text)] = np.frombuffer(text, dtype=np.uint8)
        self.ends[self._count + 1 : count + 1] = used + np.cumsum([len(name) for name in added])
        first = self._count if 2 * count <= len(self.slots) else 0
        if first == 0 and self._count:
            self.slots = np.full(1 << (4 * count - 1).bit_length(), EMPTY, dtype=np.int32)
        _insert(self.blob, self.ends, self.slots, first, count)
        self._longest = max(self._longest, *(len(name) for name in added))
        self._count = count

    def _grow(self, text_bytes: int, count: int) -> None:
        if text_bytes > len(self.blob):
            self.blob = np.resize(self.blob, 2 * text_bytes)
        if count + 1 > len(self.ends):
            self.ends = np.resize(self.ends, 2 * (count + 1))
        if not self._count and 2 * count > len(self.slots):
            self.slots = np.full(1 << (4 * count - 1).bit_length(), EMPTY, dtype=np.int32)

    @property
    def longest(self) -> int:
        """Bytes of the longest name."""
        return self._longest

    def encode(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """Spell ids as NUL-terminated names, back to back; negative ids as the empty name."""
        self.refresh()
        column = np.ascontiguousarray(ids)
        size = _text_size(column, self.ends, self._count)
        if size < 0:
            raise IndexError(f"id {ids.max()} of {self._count} symbols")
        out = np.empty(size, dtype=np.uint8)
        _write_names(column, self.blob, self.ends, out, 0)
        return out
