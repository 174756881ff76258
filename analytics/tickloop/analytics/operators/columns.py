"""Columns as kernels take them: of the batches that came, and empty ones for those that did not."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.analytics.operators.slots import Array
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE, nulls
from tickloop.core.schema import TRADE, Table

_LONGS = np.empty(0, dtype=np.int64)
_INTS = np.empty(0, dtype=np.int32)
_CHARS = np.empty(0, dtype=np.uint8)
NO_TRADES: tuple[Array, ...] = (_LONGS, _INTS, _LONGS, _LONGS, _CHARS, _LONGS)
NO_QUOTES: tuple[Array, ...] = (_LONGS, _INTS, _LONGS, _LONGS, _LONGS)
NO_SIZED_QUOTES: tuple[Array, ...] = (_LONGS, _INTS, _LONGS, _LONGS, _LONGS, _LONGS, _LONGS)
NO_CLOCKS: tuple[Array, ...] = (_LONGS, _LONGS)


def column(batch: Batch, name: str) -> Array:
    """Give a column; nulls where a batch leaves it out."""
    found = batch.columns.get(name)
    return found if found is not None else _nulls(batch.table, name, len(batch))


def _nulls(table: Table, name: str, rows: int) -> Array:
    kind = table.column(name).kind
    return nulls(kind, rows, dtype=INSIDE[kind])


def trade_columns(batch: Batch) -> tuple[Array, ...]:
    """Give time, sym, price, size, side and seq."""
    columns = batch.columns
    side = columns.get("side")
    if side is None:
        side = _nulls(TRADE, "side", len(batch))
    return (
        columns["time"], columns["sym"], columns["price"], columns["size"], side, columns["seq"],
    )  # fmt: skip


def quote_columns(batch: Batch) -> tuple[Array, ...]:
    """Give time, sym, bid, ask and seq."""
    columns = batch.columns
    return columns["time"], columns["sym"], columns["bid"], columns["ask"], columns["seq"]


def sized_quote_columns(batch: Batch) -> tuple[Array, ...]:
    """Give time, sym, bid, ask, bsize, asize and seq."""
    columns = batch.columns
    bsize, asize = columns.get("bsize"), columns.get("asize")
    if bsize is None or asize is None:
        bsize, asize = column(batch, "bsize"), column(batch, "asize")
    return (
        columns["time"], columns["sym"], columns["bid"], columns["ask"], bsize, asize,
        columns["seq"],
    )  # fmt: skip


def clock_columns(batch: Batch) -> tuple[Array, ...]:
    """Give time and seq."""
    return batch.columns["time"], batch.columns["seq"]


def caused(rows: npt.NDArray[np.void]) -> dict[str, Array]:
    """Give the columns that every derived row has, from records with cause, cause_time, ordinal."""
    time = rows["cause_time"].copy()
    return {
        "time": time, "cause_time": time, "cause": rows["cause"].copy(),
        "ordinal": rows["ordinal"].copy(),
    }  # fmt: skip


def derived(table: Table, columns: Mapping[str, Array]) -> Sequence[Batch]:
    """Make a batch of derived rows; none for no rows."""
    batch = Batch(table, columns)
    return (batch,) if len(batch) else ()
