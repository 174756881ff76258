"""Rows on their way to subscribers: encoded once, filtered by symbol and column where asked."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.schema import Table
from tickloop.core.symbols import Symbols


class Update(Protocol):
    """Rows of one table in seq order, as they enter the log or as they are read from it."""

    @property
    def table(self) -> Table:
        """The rows' table."""
        ...

    @property
    def first_seq(self) -> int:
        """The first row's seq."""
        ...

    @property
    def last_seq(self) -> int:
        """The last row's seq."""
        ...

    @property
    def rows(self) -> Batch:
        """The rows in surface form."""
        ...

    @property
    def wire(self) -> bytes:
        """All rows and columns as asynchronous q messages, back to back."""
        ...


class Publication:
    """Rows that enter the log now; the wire form is made at most once, and only if wanted."""

    __slots__ = ("_encode", "_wire", "first_seq", "last_seq", "rows", "table")

    def __init__(self, rows: Batch, encode: Callable[[], bytes]) -> None:
        """`encode` makes the wire form; it is called before the publication is over."""
        seqs = rows.columns["seq"]
        self.rows = rows
        self.table = rows.table
        self.first_seq = int(seqs[0].item())
        self.last_seq = int(seqs[-1].item())
        self._encode = encode
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """All rows and columns as asynchronous q messages, back to back."""
        if self._wire is None:
            self._wire = self._encode()
        return self._wire


class Filter:
    """What a subscriber wants of one table: rows of some symbols, some columns; empty wants all.

    Symbols are wanted by name: a name that no row had yet costs nothing and allocates no id.
    """

    def __init__(
        self, table: Table, symbols: Symbols, *, names: Sequence[str] = (),
        columns: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.table = (
            Table(table.name, tuple(c for c in table.columns if c.name in columns))
            if columns
            else table
        )
        self.is_everything = not names and not columns
        self._symbols = symbols
        self._names = frozenset(names)
        # By symbol id; the entry past the last id stands for the null symbol.
        self._wanted = np.zeros(1, dtype=np.bool_)

    def apply(self, rows: Batch) -> Batch | None:
        """Give the wanted part of the rows, or None if there is none."""
        kept = self.rows_of(rows)
        return None if kept is None else self.columns_of(kept)

    def rows_of(self, rows: Batch) -> Batch | None:
        """Give the rows of wanted symbols, or None if there are none."""
        if not self._names:
            return rows
        self._take_in_new_symbols()
        ids: npt.NDArray[np.int32] = rows.columns["sym"].astype(np.int32, copy=False)
        wanted = self._wanted[np.maximum(ids, -1)]
        if wanted.all():
            return rows
        if not wanted.any():
            return None
        return Batch(rows.table, {name: values[wanted] for name, values in rows.columns.items()})

    def columns_of(self, rows: Batch) -> Batch:
        """Give the wanted columns, in schema order."""
        if len(self.table.columns) == len(rows.columns):
            return rows
        return Batch(self.table, {name: rows.columns[name] for name in self.table.names})

    def _take_in_new_symbols(self) -> None:
        known = len(self._wanted) - 1
        if len(self._symbols) > known:
            added = [name in self._names for name in self._symbols.names_from(known)]
            self._wanted = np.concatenate([self._wanted[:-1], np.array([*added, False])])


class Subscriber(Protocol):
    """Somebody who is given rows as they enter the log; must return at once."""

    def offer(self, update: Update) -> None:
        """Take rows, or what of them is wanted."""
        ...

    def ended(self, session: date) -> None:
        """Hear that a session ended: the rows that follow are another session's."""
        ...
