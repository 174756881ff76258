"""A part: rows of one table of one date, as columns that nobody copied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.catalog import Catalog
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.segment import Text, Values

# Symbol id to (first row, row after the last), where rows of one symbol lie together.
Ranges = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table: surface columns, symbol columns as positions in `names`.

    A negative or missing id is the null symbol. `ranges` is there where rows are sorted by `sym`.
    """

    table: Table
    session: date | None
    rows: int
    columns: Mapping[str, Values]
    names: Sequence[str]
    ranges: Ranges | None = None

    def __len__(self) -> int:
        return self.rows

    def between(self, first: int, stop: int) -> "Part":
        """Take rows without copying."""
        columns = {name: cut_values(values, first, stop) for name, values in self.columns.items()}
        return Part(self.table, self.session, stop - first, columns, self.names)


def cut_values(values: Values, first: int, stop: int) -> Values:
    """Take rows of a column without copying."""
    return values.rows(first, stop) if isinstance(values, Text) else values[first:stop]


def missing(kind: Kind, rows: int, catalog: Catalog) -> Values:
    """Make a column of nulls, for rows that are older than the column."""
    if kind is Kind.TEXT:
        return Text(np.zeros(rows, dtype=np.int64), np.empty(0, dtype=np.uint8))
    return nulls(kind, rows, dtype=surface_dtype(kind, fractional=catalog.fractional))


def complete(
    table: Table, found: Mapping[str, Values], rows: int, catalog: Catalog
) -> dict[str, Values]:
    """Order a part's columns as the schema does, with nulls where it has none."""
    return {
        column.name: found[column.name]
        if column.name in found
        else missing(column.kind, rows, catalog)
        for column in table.columns
    }


def rows_with(values: Values, keep: npt.NDArray[np.bool_]) -> Values:
    """Copy the rows that `keep` marks."""
    if not isinstance(values, Text):
        return values[keep]
    texts = [text for text, kept in zip(values.to_list(), keep, strict=True) if kept]
    heap = np.frombuffer(b"".join(texts), dtype=np.uint8)
    return Text(np.cumsum([len(text) for text in texts], dtype=np.int64), heap)
