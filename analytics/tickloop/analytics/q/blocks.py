"""Memory of long columns that is used again: a new page costs more than what is written to it."""

from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]

LEAST = 1 << 20  # bytes; below this the allocator keeps pages itself
KEPT_MAX = 1 << 30
_STEPS = 8  # sizes between a power of two and the next, so at most an eighth lies idle


class Blocks:
    """Blocks that were let go of, for the next column of about their size.

    What is kept is bounded; `release` gives all of it back to the system.
    """

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._free: dict[int, list[Column]] = {}
        self._kept = 0
        # Columns die in any thread, also while this one is in here.
        self._lock = RLock()

    def empty(self, count: int, dtype: npt.DTypeLike) -> Column:
        """Give a column whose items hold anything, as np.empty does; it comes back by itself."""
        kind = np.dtype(dtype)
        size = count * kind.itemsize
        if size < LEAST:
            return np.empty(count, dtype=kind)
        return np.asarray(_Lent(self, self._block(_rounded(size)))).view(kind)[:count]

    def _block(self, size: int) -> Column:
        with self._lock:
            free = self._free.get(size)
            if free:
                self._kept -= size
                return free.pop()
        # All kept blocks are of other sizes; one that does not fit beside them may without them.
        try:
            return np.empty(size, dtype=np.uint8)
        except MemoryError:
            self.release()
            return np.empty(size, dtype=np.uint8)

    def take_back(self, block: Column) -> None:
        """Keep a block that nobody uses any more, if there is room for it."""
        with self._lock:
            if self._kept + len(block) <= self._kept_max:
                self._kept += len(block)
                self._free.setdefault(len(block), []).append(block)

    def release(self) -> int:
        """Give what is kept back to the system; tell how many bytes it was."""
        with self._lock:
            kept, self._kept, self._free = self._kept, 0, {}
        return kept


class _Lent:
    """A block while columns look at it; the last of them that goes sends it back."""

    def __init__(self, home: Blocks, block: Column) -> None:
        self._home = home
        self._block = block
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        self._home.take_back(self._block)


def _rounded(size: int) -> int:
    step = (1 << (size - 1).bit_length()) // (2 * _STEPS)
    return -(-size // step) * step


BLOCKS = Blocks()
