"""Which shard a symbol belongs to: a stable hash of its name, alike in every language and run."""

import numpy as np
import numpy.typing as npt

from tickloop.core.hashing import NULL_SHARD, shard_of
from tickloop.core.symbols import Symbols


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
