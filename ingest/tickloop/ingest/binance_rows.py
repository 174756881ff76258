"""Decoded Binance frames to batches of rows, and the batches to slices."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice
from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.interleave import interleave
from tickloop.core.schema import DEPTH, INSTRUMENT, QUOTE, STATUS, TRADE, Table
from tickloop.ingest.binance_frame import (
    ASK,
    ASK_SIZE,
    BID,
    BID_SIZE,
    KIND,
    MAKER,
    PRICE,
    SIZE,
    SYM,
    TICKER_FRAME,
    TRADE_FRAME,
    TRADE_ID,
    VENUE_TIME,
)
from tickloop.ingest.depth_rows import (
    DEPTH_ROW,
    QUOTE_ROW,
    R_A,
    R_B,
    R_C,
    R_D,
    R_FRAME,
    R_SYM,
    R_TABLE,
    STATUS_ROW,
)
from tickloop.ingest.events import BUY, SELL
from tickloop.ingest.feed import CutRule, Health, cut_end

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[np.generic]]

TICKER_COLUMNS = np.array([SYM, BID, BID_SIZE, ASK, ASK_SIZE])
DERIVED_COLUMNS = np.array([R_SYM, R_A, R_B, R_C, R_D])

# Within one frame: instrument, status, trade, depth, quote. Keys of rows are frame * RANKS + rank.
RANKS = 8
RANK = {INSTRUMENT: 0, STATUS: 1, TRADE: 2, DEPTH: 3, QUOTE: 4}


@dataclass(frozen=True, slots=True)
class Ids:
    """Symbol ids that rows carry; `instruments` by name number."""

    instruments: npt.NDArray[np.int32]
    ex: int
    states: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int32]  # of instruments, by name number


@dataclass(frozen=True, slots=True)
class Decoded:
    """One chunk: its good frames, their feed times, and what the depth books made of them."""

    frames: Ints
    times: Ints
    rows: Ints

    def columns(self, at: Ints, numbers: Ints, ids: Ids) -> Columns:
        """Make what all tables share, for rows that come from the frames `at`."""
        return {
            "_place": at,
            "time": self.times[at],
            "sym": ids.instruments[numbers],
            "ex": np.full(len(at), ids.ex, dtype=np.int32),
            "venue_time": self.frames[at, VENUE_TIME],
        }


def _trades(decoded: Decoded, ids: Ids) -> Columns:
    at = np.flatnonzero(decoded.frames[:, KIND] == TRADE_FRAME)
    frames = decoded.frames[at]
    # `m`: the buyer's order rested, so the seller was the aggressor.
    side = np.where(frames[:, MAKER] == 1, SELL, BUY).astype(np.uint8)
    return {
        **decoded.columns(at, frames[:, SYM], ids),
        "price": frames[:, PRICE].copy(),
        "size": frames[:, SIZE].copy(),
        "side": side,
        "trade_id": frames[:, TRADE_ID].copy(),
    }


def _rows_of(decoded: Decoded, table: int) -> Ints:
    chosen: Ints = decoded.rows[decoded.rows[:, R_TABLE] == table]
    return chosen


def _quotes(decoded: Decoded, ids: Ids) -> Columns:
    # The venue's own best prices, and for symbols without that stream the depth book's.
    at = np.flatnonzero(decoded.frames[:, KIND] == TICKER_FRAME)
    tops = decoded.frames[at][:, TICKER_COLUMNS]
    derived = _rows_of(decoded, QUOTE_ROW)
    if len(derived):
        at = np.concatenate([at, derived[:, R_FRAME]])
        tops = np.concatenate([tops, derived[:, DERIVED_COLUMNS]])
        order = np.argsort(at, kind="stable")
        at, tops = at[order], tops[order]
    for price, size in ((1, 2), (3, 4)):  # an empty side is told as 0 at 0
        tops[(tops[:, price] == 0) & (tops[:, size] == 0), price : size + 1] = NULL_LONG
    number, bid, bid_size, ask, ask_size = (column.copy() for column in tops.T)
    quoted = decoded.columns(at, number, ids)
    return {**quoted, "bid": bid, "ask": ask, "bsize": bid_size, "asize": ask_size}


def _depths(decoded: Decoded, ids: Ids) -> Columns:
    rows = _rows_of(decoded, DEPTH_ROW)
    return {
        **decoded.columns(rows[:, R_FRAME].copy(), rows[:, R_SYM], ids),
        "side": np.where(rows[:, R_A] == 0, BUY, SELL).astype(np.uint8),
        "level": rows[:, R_B].astype(np.int32),
        "price": rows[:, R_C].copy(),
        "size": rows[:, R_D].copy(),
    }


def _statuses(decoded: Decoded, ids: Ids) -> Columns:
    rows = _rows_of(decoded, STATUS_ROW)
    return {
        **decoded.columns(rows[:, R_FRAME].copy(), rows[:, R_SYM], ids),
        "state": ids.states[rows[:, R_A]],
        "reason": ids.reasons[rows[:, R_B]],
    }


def _instruments(
    decoded: Decoded, ids: Ids, fresh: list[tuple[int, int]], units: tuple[int, int]
) -> Columns:
    at = np.array([frame for frame, _ in fresh], dtype=np.int64)
    numbers = np.array([number for _, number in fresh], dtype=np.int64)
    shared = decoded.columns(at, numbers, ids)
    return {
        **{name: shared[name] for name in ("_place", "time", "sym")},
        "kind": ids.kinds[numbers],
        "price_unit": np.full(len(fresh), units[0], dtype=np.int32),
        "size_unit": np.full(len(fresh), units[1], dtype=np.int32),
    }


def count_quotes(quotes: Columns, health: Health) -> None:
    """Count quotes whose bid is at or above their ask."""
    bid, ask = quotes["bid"].astype(np.int64), quotes["ask"].astype(np.int64)
    both = (bid != NULL_LONG) & (ask != NULL_LONG)
    health.count("crossed_book", int(np.count_nonzero(both & (bid > ask))))
    health.count("locked_book", int(np.count_nonzero(both & (bid == ask))))


def slices_of(
    decoded: Decoded,
    ids: Ids,
    *,
    fresh: list[tuple[int, int]],
    units: tuple[int, int],
    cut: CutRule,
    health: Health,
) -> Iterator[Slice]:
    """Make a chunk's slices. `fresh` is (frame, name number) of each symbol's first frame."""
    tables: dict[Table, Columns] = {
        INSTRUMENT: _instruments(decoded, ids, fresh, units),
        STATUS: _statuses(decoded, ids),
        TRADE: _trades(decoded, ids),
        DEPTH: _depths(decoded, ids),
        QUOTE: _quotes(decoded, ids),
    }
    count_quotes(tables[QUOTE], health)
    start = 0
    while start < len(decoded.times):
        end = cut_end(decoded.times, start, cut)
        batches = [_part(table, columns, start, end) for table, columns in tables.items()]
        made = interleave(batches)
        if made.rows:
            yield made
        start = end


def _part(table: Table, columns: Columns, start: int, end: int) -> Batch:
    first, last = np.searchsorted(columns["_place"], [start, end])
    part = {name: values[first:last] for name, values in columns.items()}
    part["_place"] = part["_place"].astype(np.int64) * RANKS + RANK[table]
    return Batch(table, part)


def no_ids(size: int) -> npt.NDArray[np.int32]:
    """Make `size` null symbol ids."""
    return np.full(size, NULL_SYMBOL, dtype=np.int32)
