"""Derived rows as a table that can be shown and written: the log's spelling, without its stamps."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, concatenate
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects import arrow
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.instruments import Instruments
from tickloop.core.schema import Column, Kind
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
    arrays = {
        column.name: _array(column, surface.columns[column.name], schema, symbols)
        for column in kept
    }
    return pa.table(arrays)


def _array(
    column: Column, values: npt.NDArray[np.generic], schema: "pa.Schema", symbols: Symbols
) -> "pa.Array":
    import pyarrow as pa

    kind = schema.field(column.name).type
    if column.kind is Kind.SYMBOL:
        ids = values.tolist()
        return pa.array([symbols.name(each) or None if each >= 0 else None for each in ids], kind)
    if column.kind is Kind.CHAR:
        return pa.array([chr(each) for each in values.tolist()], kind)
    if values.dtype.kind == "f":
        return pa.array(values, kind, mask=np.isnan(values.astype(np.float64)))
    longs = values.astype(np.int64)
    shift = EPOCH_UNIX_NS if column.kind is Kind.INSTANT else 0
    return pa.array(longs + shift, pa.int64(), mask=longs == NULL_LONG).cast(kind)
