"""Columns of symbol ids to symbols as they travel, without a Python object per row."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import kernel
from tickloop.tickerplant.q_values import Attribute, SymbolVector, symbol_bytes

Number = TypeVar("Number", np.uint8, np.int64)
Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


@kernel("int64(int32[::1], int64[::1])")
def _text_size(ids: Ids, offsets: Offsets) -> int:
    size = 0
    for row in range(ids.shape[0]):
        symbol = ids[row]
        size += 1 if symbol < 0 else offsets[symbol + 1] - offsets[symbol]
    return size


@kernel("void(int32[::1], int64[::1], uint8[::1], uint8[::1])")
def _gather(ids: Ids, offsets: Offsets, names: Bytes, text: Bytes) -> None:
    end = 0
    for row in range(ids.shape[0]):
        symbol = ids[row]
        if symbol < 0:
            text[end] = 0
            end += 1
            continue
        for position in range(offsets[symbol], offsets[symbol + 1]):
            text[end] = names[position]
            end += 1


class Names(Protocol):
    """A list of names that only grows; a name's position is its id."""

    def __len__(self) -> int:
        """Count the names."""
        ...

    def names_from(self, start: int) -> Sequence[str]:
        """Give the names from a position on."""
        ...


class SymbolText:
    """The names of a growing list as one text ended by NULs; it follows as names are added."""

    def __init__(self, symbols: Names) -> None:
        self._symbols = symbols
        self._known = 0
        self._names: Bytes = np.zeros(4096, dtype=np.uint8)
        self._offsets: Offsets = np.zeros(256, dtype=np.int64)

    def vector(self, ids: Ids, attribute: Attribute = Attribute.NONE) -> SymbolVector:
        """Give a column of ids as symbols; negative ids are the null symbol."""
        if self._known < len(self._symbols):
            self._follow()
        assert not len(ids) or ids.max() < self._known, f"id {ids.max()} of {self._known} symbols"
        column = np.ascontiguousarray(ids, dtype=np.int32)
        text = np.empty(_text_size(column, self._offsets), dtype=np.uint8)
        _gather(column, self._offsets, self._names, text)
        return SymbolVector(text.tobytes(), len(column), attribute)

    def _follow(self) -> None:
        # A NUL ends a name on the wire, so what follows one never travels.
        added = [
            symbol_bytes(name).partition(b"\0")[0] + b"\0"
            for name in self._symbols.names_from(self._known)
        ]
        known = self._known + len(added)
        used = int(self._offsets[self._known])
        ends = used + np.cumsum([len(name) for name in added], dtype=np.int64)
        self._offsets = _room(self._offsets, known + 1)
        self._names = _room(self._names, int(ends[-1]))
        self._offsets[self._known + 1 : known + 1] = ends
        self._names[used : ends[-1]] = np.frombuffer(b"".join(added), dtype=np.uint8)
        self._known = known


def _room(kept: npt.NDArray[Number], needed: int) -> npt.NDArray[Number]:
    if needed <= len(kept):
        return kept
    grown = np.zeros(max(needed, 2 * len(kept)), dtype=kept.dtype)
    grown[: len(kept)] = kept
    return grown
