"""Symbols: names to int32 ids, where an id is the position in the database's `sym` file."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects.numpy import NULL_SYMBOL
from tickloop.core.errors import SchemaError

# What the log's readers take for a name; a longer one is damage to them.
NAME_BYTES_MAX = 4096


class Symbols:
    """An append-only list of names; the empty name is the null symbol and has no id."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._ids: dict[str, int] = {"": NULL_SYMBOL}
        for name in names:
            self._append(name)

    def _append(self, name: str) -> int:
        if "\0" in name:
            raise SchemaError(
                f"symbol {name!r} holds a NUL byte, which ends a symbol on disk and on the wire;"
                " strip it where the name is read"
            )
        index = len(self._names)
        self._names.append(name)
        # A file written by kdb+ may hold the empty symbol or a name twice: the first one counts.
        self._ids.setdefault(name, index)
        return self._ids[name]

    def id(self, name: str) -> int:
        """Give a name's id, allocating the next one for a new name."""
        found = self._ids.get(name)
        if found is not None:
            return found
        size = len(name.encode(errors="surrogateescape"))
        if size > NAME_BYTES_MAX:
            raise SchemaError(
                f"symbol {name[:20]!r}... of {size} bytes seen, at most {NAME_BYTES_MAX} expected;"
                " long text belongs in a string column"
            )
        return self._append(name)

    def find(self, name: str) -> int | None:
        """Give a name's id, or None if the name was never seen."""
        return self._ids.get(name)

    def name(self, symbol_id: int) -> str:
        """Give an id's name; negative ids are the null symbol."""
        return "" if symbol_id < 0 else self._names[symbol_id]

    def ids(self, names: Iterable[str]) -> npt.NDArray[np.int32]:
        """Give the ids of several names, allocating as needed."""
        return np.array([self.id(name) for name in names], dtype=np.int32)

    def names_from(self, start: int) -> list[str]:
        """List the names with ids from `start` on."""
        return self._names[start:]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)
