"""Which shard a symbol belongs to: a stable hash of its name, alike in every language and run."""

import numpy as np
import numpy.typing as npt

from tickloop.core.symbols import Symbols

# FNV-1a of 64 bits: a few lines anywhere, and no seed.
_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = 2**64 - 1
NULL_SHARD = 0  # rows of no symbol


def shard_of(name: str, shards: int) -> int:
    """Give the shard of a name; the null symbol is in shard 0."""
    if not name:
        return NULL_SHARD
    value = _OFFSET
    for byte in name.encode(errors="surrogateescape"):
        value = ((value ^ byte) * _PRIME) & _MASK
    # The low bits of FNV-1a mix worst.
    return (value ^ value >> 32) % shards


class Shards:
    """Shards by symbol id, for whole columns."""

    def __init__(self, symbols: Symbols, shards: int) -> None:
        assert 0 < shards <= 2**15, f"{shards} shards"
        self.count = shards
        self._symbols = symbols
        # The entry past the last id stands for the null symbol.
        self._by_id = np.full(1, NULL_SHARD, dtype=np.int16)

    def of(self, ids: npt.NDArray[np.generic]) -> npt.NDArray[np.int16]:
        """Give each row's shard; any negative id is the null symbol."""
        known = len(self._by_id) - 1
        if len(self._symbols) > known:
            new = [shard_of(name, self.count) for name in self._symbols.names_from(known)]
            self._by_id = np.array([*self._by_id[:-1], *new, NULL_SHARD], dtype=np.int16)
        return self._by_id[np.maximum(ids.astype(np.int32, copy=False), -1)]
