"""Symbols of the engine: every name once per process, its position is its id."""

from collections.abc import Iterable
from threading import Lock

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]


class Interned:
    """An append-only table of names; id 0 is the null symbol.

    Names are text with surrogate escapes, so any bytes survive. Their order is that of their bytes.
    """

    def __init__(self) -> None:
        self._names: list[str] = [""]
        self._ids: dict[str, int] = {"": 0}
        self._lock = Lock()
        self._ranks: Ids = np.zeros(1, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._names)

    def id(self, name: str) -> int:
        """Give a name's id; a new name gets the next one."""
        found = self._ids.get(name)
        if found is not None:
            return found
        with self._lock:
            found = self._ids.setdefault(name, len(self._names))
            if found == len(self._names):
                self._names.append(name)
            return found

    def find(self, name: str) -> int:
        """Give a name's id, or -1 if no value holds it."""
        return self._ids.get(name, -1)

    def name(self, symbol_id: int) -> str:
        """Give the name of an id."""
        return self._names[symbol_id]

    def names_from(self, start: int) -> list[str]:
        """Give the names from an id on."""
        return self._names[start:]

    def ids(self, names: Iterable[str]) -> Ids:
        """Give the ids of names."""
        return np.fromiter((self.id(name) for name in names), dtype=np.int32)

    def names(self, ids: npt.NDArray[np.integer]) -> list[str]:
        """Give the names of ids."""
        names = self._names
        return [names[symbol_id] for symbol_id in ids.tolist()]

    def ranks(self) -> Ids:
        """Give every id's position in the order of names: compare and sort symbols by these."""
        if len(self._ranks) < len(self._names):
            count = len(self._names)
            order = sorted(range(count), key=self._names[:count].__getitem__)
            ranks = np.empty(count, dtype=np.int32)
            ranks[order] = np.arange(count, dtype=np.int32)
            self._ranks = ranks
        return self._ranks


INTERNED = Interned()
