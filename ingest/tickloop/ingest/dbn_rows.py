"""What DBN records say: trade, status, imbalance and instrument rows, ladders and book events."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_INT, NULL_LONG, NULL_SYMBOL
from tickloop.core.schema import IMBALANCE, INSTRUMENT, STATUS, TRADE
from tickloop.core.symbols import Symbols
from tickloop.ingest import events
from tickloop.ingest.book_rows import TRADE_RANK
from tickloop.ingest.ladders import ASK, BID, NO_QUOTE, QUOTE_AFTER, QUOTE_BEFORE, WIDTH
from tickloop.ingest.messages import (
    RANK_IMBALANCE,
    RANK_INSTRUMENT,
    RANK_STATUS,
    Messages,
)

PRICE_UNIT = -9
SIZE_UNIT = 0
UNDEF_PRICE = 2**63 - 1
UNDEF_SIZE = 2**32 - 1
UNDEF_INT = 2**31 - 1
# Bits of `flags` (databento/dbn, rust/dbn/src/flags.rs).
FLAG_LAST = 128
FLAG_SNAPSHOT = 32
FLAG_BAD_TS_RECV = 8
FLAG_MAYBE_BAD_BOOK = 4
_NS_PER_DAY = 86_400_000_000_000

Records = npt.NDArray[np.void]
Longs = npt.NDArray[np.int64]


def _table(pairs: dict[str, int]) -> npt.NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for character, value in pairs.items():
        table[ord(character)] = value
    return table


_ACTIONS = _table(
    {
        "A": events.ADD,
        "C": events.REDUCE,
        "M": events.MODIFY,
        "R": events.CLEAR,
        "T": events.TRADE_ONLY,
        "F": events.BOOK_EXECUTE,
    }
)
_SIDES = np.full(256, NULL_CHAR, dtype=np.uint8)
_SIDES[ord("B")], _SIDES[ord("A")] = events.BUY, events.SELL
_CROSSES = np.full(256, NULL_CHAR, dtype=np.uint8)
_CROSSES[ord("A") : ord("Z") + 1] = np.arange(ord("A"), ord("Z") + 1)
_KINDS = {
    ord(character): kind
    for character, kind in {
        "B": "bond", "C": "option", "F": "future", "I": "index", "K": "equity",
        "M": "mixed_spread", "P": "option", "S": "future_spread", "T": "option_spread",
        "X": "spot", "Y": "spot",
    }.items()
}  # fmt: skip
_PUT_CALL = np.full(256, NULL_CHAR, dtype=np.uint8)
_PUT_CALL[ord("C")], _PUT_CALL[ord("P")] = ord("C"), ord("P")


def characters(column: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View a column of one-byte strings as numbers."""
    return np.ascontiguousarray(column).view(np.uint8)


def instants(stamps: npt.NDArray[Any]) -> Longs:
    """Convert nanoseconds since 1970 to instants; what is undefined becomes null."""
    unix = stamps.astype(np.int64)
    return np.where(unix < 0, NULL_LONG, unix - EPOCH_UNIX_NS)


def prices(column: npt.NDArray[Any]) -> Longs:
    """Copy fixed-point prices; what is undefined becomes null."""
    longs = column.astype(np.int64)
    return np.where(longs == UNDEF_PRICE, NULL_LONG, longs)


def sizes(column: npt.NDArray[Any]) -> Longs:
    """Copy sizes; what is undefined becomes null."""
    longs = column.astype(np.int64)
    return np.where(longs == UNDEF_SIZE, NULL_LONG, longs)


def is_trade(records: Records) -> npt.NDArray[np.bool_]:
    """Tell which records are trades."""
    return np.asarray(characters(records["action"]) == ord("T"))


def trade_rows(records: Records, messages: Messages) -> Batch:
    """Make a trade row of every record; `side` is the aggressor's."""
    return messages.rows(
        TRADE,
        TRADE_RANK,
        price=prices(records["price"]),
        size=sizes(records["size"]),
        side=_SIDES[characters(records["side"])],
    )


def ladders_of(records: Records) -> Longs:
    """Arrange the records' levels as ladders (see ladders.py)."""
    levels = records["levels"]
    counted = "bid_ct" in (levels.dtype.names or ())
    ladders = np.full((len(records), WIDTH * levels.shape[1]), NULL_LONG, dtype=np.int64)
    for side, name in ((BID, "bid"), (ASK, "ask")):
        price = prices(levels[f"{name}_px"])
        absent = price == NULL_LONG
        ladders[:, side::WIDTH] = price
        ladders[:, side + 2 :: WIDTH] = np.where(absent, NULL_LONG, sizes(levels[f"{name}_sz"]))
        if counted:
            orders = levels[f"{name}_ct"].astype(np.int64)
            ladders[:, side + 4 :: WIDTH] = np.where(absent, NULL_LONG, orders)
    return ladders


def quotable(records: Records, *, sampled: bool, with_trades: bool) -> npt.NDArray[np.uint8]:
    """Tell which records' BBO may be quoted, and whether it is what a trade met.

    `sampled` schemas (bbo) have no events to be in the middle of. A trade leaves the book as it
    is, so its record's BBO is the one before it; `with_trades` schemas (tbbo) hold nothing else.
    """
    if sampled:
        return np.full(len(records), QUOTE_AFTER, dtype=np.uint8)
    trades = is_trade(records)
    last = (records["flags"] & FLAG_LAST) != 0
    modes = np.where(last, QUOTE_AFTER, NO_QUOTE)
    modes[trades & (last | with_trades)] = QUOTE_BEFORE
    return modes.astype(np.uint8)


def book_events(records: Records, messages: Messages) -> npt.NDArray[np.void]:
    """Make order-book events of MBO records; actions that books do not know become 0."""
    made = np.zeros(len(records), dtype=events.EVENT)
    made["ref_order_id"] = made["trade_id"] = NULL_LONG
    made["cond"] = made["mpid"] = NULL_SYMBOL
    made["time"], made["venue_time"] = messages.time, messages.venue_time
    made["message"], made["sym"] = messages.number, messages.sym
    made["order_id"] = records["order_id"].astype(np.int64)
    made["price"] = prices(records["price"])
    made["size"] = sizes(records["size"])
    made["action"] = _ACTIONS[characters(records["action"])]
    made["side"] = _SIDES[characters(records["side"])]
    flags = records["flags"]
    made["flags"] = np.where(flags & FLAG_LAST, events.LAST, 0) | np.where(
        flags & FLAG_SNAPSHOT, events.SNAPSHOT, 0
    )
    return made


def status_rows(
    records: Records,
    messages: Messages,
    symbols: Symbols,
    *,
    states: dict[int, str],
    reasons: dict[int, str],
) -> Batch:
    """Make a status row of every record; a state or reason of `none` is null."""
    return messages.rows(
        STATUS,
        RANK_STATUS,
        state=_named(records["action"], states, symbols),
        reason=_named(records["reason"], reasons, symbols),
    )


def _named(
    column: npt.NDArray[Any], names: dict[int, str], symbols: Symbols
) -> npt.NDArray[np.int32]:
    values, inverse = np.unique(column, return_inverse=True)
    found = [names.get(int(value), f"code_{value}") for value in values]
    ids = [symbols.id("" if name == "none" else name) for name in found]
    return np.array(ids, dtype=np.int32)[inverse]


def imbalance_rows(records: Records, messages: Messages) -> Batch:
    """Make an imbalance row of every record."""
    return messages.rows(
        IMBALANCE,
        RANK_IMBALANCE,
        paired=sizes(records["paired_qty"]),
        imbalance=sizes(records["total_imbalance_qty"]),
        side=_SIDES[characters(records["side"])],
        ref=prices(records["ref_price"]),
        near=prices(records["cont_book_clr_price"]),
        far=prices(records["auct_interest_clr_price"]),
        cross=_CROSSES[characters(records["auction_type"])],
    )


def texts(column: npt.NDArray[Any]) -> list[str]:
    """Decode a column of padded texts."""
    return [text.decode("utf-8", "replace") for text in np.asarray(column).tolist()]


def _symbols_of(column: npt.NDArray[Any], symbols: Symbols) -> npt.NDArray[np.int32]:
    values, inverse = np.unique(column, return_inverse=True)
    return symbols.ids(name.replace("\0", "") for name in texts(values))[inverse]


def _floats(column: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.where(column == UNDEF_PRICE, np.nan, column.astype(np.float64) / 1e9)


def instrument_rows(records: Records, messages: Messages, symbols: Symbols) -> Batch:
    """Make an instrument row of every definition."""
    classes = characters(records["instrument_class"])
    expiry = instants(records["expiration"])
    lots = records["min_lot_size_round_lot"]
    return messages.rows(
        INSTRUMENT,
        RANK_INSTRUMENT,
        kind=_named(classes, _KINDS, symbols),
        price_unit=np.full(len(records), PRICE_UNIT, dtype=np.int32),
        size_unit=np.full(len(records), SIZE_UNIT, dtype=np.int32),
        tick=_floats(records["min_price_increment"]),
        lot=np.where(lots == UNDEF_INT, np.nan, lots.astype(np.float64)),
        currency=_symbols_of(records["currency"], symbols),
        underlying=_symbols_of(records["underlying"], symbols),
        expiry=np.where(expiry == NULL_LONG, NULL_INT, expiry // _NS_PER_DAY).astype(np.int32),
        strike=_floats(records["strike_price"]),
        put_call=_PUT_CALL[classes],
    )


def bare_instrument_rows(messages: Messages) -> Batch:
    """Make instrument rows that say the units and nothing else."""
    return messages.rows(
        INSTRUMENT,
        RANK_INSTRUMENT,
        price_unit=np.full(len(messages), PRICE_UNIT, dtype=np.int32),
        size_unit=np.full(len(messages), SIZE_UNIT, dtype=np.int32),
    )
