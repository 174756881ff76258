"""A part: rows of one table of one date, as columns that nobody copied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.parted import Parted
from tickloop.tickerplant.segment import Text, Values


def _not_parted() -> Parted | None:
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table: surface columns, where symbols are positions in a list of names.

    A negative or unknown position is the null symbol. Positions are int32, or int64 as kdb+ has
    them. `session` is None for rows that belong to no date.
    """

    table: Table
    session: date | None
    rows: int
    columns: Mapping[str, Values]
    names: Sequence[str]
    # Columns of a foreign database that have a list of names of their own.
    domains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    find_parted: Callable[[], Parted | None] = field(default=_not_parted)

    def __len__(self) -> int:
        return self.rows

    @property
    def parted(self) -> Parted | None:
        """Which rows each symbol has; None where a symbol's rows are not together."""
        return self.find_parted()

    def names_of(self, column: str) -> Sequence[str]:
        """Give the list of names that a symbol column's positions mean."""
        return self.domains.get(column, self.names)

    def between(self, first: int, stop: int) -> "Part":
        """Take rows without copying."""
        columns = {name: cut_values(values, first, stop) for name, values in self.columns.items()}
        return Part(self.table, self.session, stop - first, columns, self.names, self.domains)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Part":
        """Copy the rows that are marked."""
        columns = {name: _rows_with(values, keep) for name, values in self.columns.items()}
        rows = int(np.count_nonzero(keep))
        return Part(self.table, self.session, rows, columns, self.names, self.domains)


def cut_values(values: Values, first: int, stop: int) -> Values:
    """Take rows of a column without copying."""
    return values.rows(first, stop) if isinstance(values, Text) else values[first:stop]


def complete(
    table: Table, found: Mapping[str, Values], rows: int, *, fractional: bool
) -> dict[str, Values]:
    """Order a part's columns as the schema does, with nulls where rows are older than a column."""
    return {
        column.name: found[column.name]
        if column.name in found
        else _missing(column.kind, rows, fractional=fractional)
        for column in table.columns
    }


def _missing(kind: Kind, rows: int, *, fractional: bool) -> Values:
    if kind is Kind.TEXT:
        return Text(np.zeros(rows, dtype=np.int64), np.empty(0, dtype=np.uint8))
    return nulls(kind, rows, dtype=surface_dtype(kind, fractional=fractional))


def _rows_with(values: Values, keep: npt.NDArray[np.bool_]) -> Values:
    if not isinstance(values, Text):
        return values[keep]
    marked = zip(values.to_list(), keep.tolist(), strict=True)
    return Text.of([text for text, kept in marked if kept])
