"""Derived rows as a table that can be shown and written: the log's spelling, without its stamps."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tickloop.core.batch import Batch, concatenate
from tickloop.core.dialects import arrow
from tickloop.core.dialects.arrow_rows import column_array
from tickloop.core.instruments import Instruments
from tickloop.core.schema import Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.surface import Surfacer

if TYPE_CHECKING:
    import pyarrow as pa

# Given by the log when a row enters it.
_STAMPS = ("seq", "stream")


def tables(
    made: Iterable[Batch], symbols: Symbols, instruments: Instruments, *, fractional: bool
) -> dict[str, "pa.Table"]:
    """Join derived rows to one Arrow table for each of their tables."""
    by_table: dict[str, list[Batch]] = {}
    for batch in made:
        by_table.setdefault(batch.table.name, []).append(batch)
    surfacer = Surfacer(instruments, fractional=fractional)
    return {
        name: _table(concatenate(found), symbols, surfacer, fractional=fractional)
        for name, found in by_table.items()
    }


def _table(rows: Batch, symbols: Symbols, surfacer: Surfacer, *, fractional: bool) -> "pa.Table":
    import pyarrow as pa

    columns = dict(rows.columns)
    for column in rows.table.columns:
        values = columns.get(column.name)
        if column.kind is Kind.SYMBOL and values is not None and values.dtype.kind == "S":
            names = (name.decode(errors="surrogateescape") for name in values.tolist())
            columns[column.name] = symbols.ids(names)
    times = columns["time"].astype(np.int64)
    surface = surfacer.surface(Batch(rows.table, columns), times, times)
    schema = arrow.schema(rows.table, fractional=fractional)
    kept = [column for column in rows.table.columns if column.name not in _STAMPS]
    known = list(symbols)
    arrays = {
        column.name: column_array(
            column, surface.columns[column.name], schema.field(column.name).type, known
        )
        for column in kept
    }
    return pa.table(arrays)
