"""Rows on their way to subscribers: encoded once, filtered by symbol and column where asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.schema import Table
from tickloop.tickerplant.encode import Encoder


class Publication:
    """Rows of one table; the wire form is made at most once, and only if somebody wants it."""

    __slots__ = ("_columns", "_encoder", "_wire", "rows")

    def __init__(self, rows: Batch, encoder: Encoder, columns: bytes | None = None) -> None:
        self.rows = rows
        self._encoder = encoder
        self._columns = columns
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """The whole rows as one asynchronous q message."""
        if self._wire is None:
            self._wire = self._encoder.publication(self.rows, self._columns)
        return self._wire


@dataclass(frozen=True, slots=True)
class Filter:
    """What a subscriber wants of one table; empty tuples want everything."""

    symbols: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Tell whether rows pass as they are."""
        return not self.symbols and not self.columns

    def apply(self, rows: Batch) -> Batch | None:
        """Give the wanted part of the rows, or None if there is none."""
        if self.symbols:
            rows_wanted = _rows_with(rows, self.symbols)
            if rows_wanted is None:
                return None
            rows = rows_wanted
        return project(rows, self.columns) if self.columns else rows


def _rows_with(rows: Batch, symbols: Sequence[int]) -> Batch | None:
    ids: npt.NDArray[np.generic] = rows.columns["sym"]
    wanted = ids == symbols[0] if len(symbols) == 1 else np.isin(ids, symbols)
    if wanted.all():
        return rows
    if not wanted.any():
        return None
    return Batch(rows.table, {name: values[wanted] for name, values in rows.columns.items()})


def project(rows: Batch, names: Sequence[str]) -> Batch:
    """Keep some columns, in schema order."""
    table = Table(rows.table.name, tuple(c for c in rows.table.columns if c.name in names))
    return Batch(table, {column.name: rows.columns[column.name] for column in table.columns})


class Subscriber(Protocol):
    """Somebody who is given rows as they enter the log; must return at once."""

    def offer(self, publication: Publication) -> None:
        """Take rows, or what of them is wanted."""
        ...

    def offer_raw(self, table: Table, wire: bytes, rows: Batch) -> None:
        """Take rows that are already encoded as one wire message a row."""
        ...
