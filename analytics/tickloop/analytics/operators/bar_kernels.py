"""The fold of bars: one step a trade, a quote and a clock row; sums never depend on batches."""

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.analytics.operators.heads import FULL, GROW, NEVER, seq_at
from tickloop.analytics.operators.slots import NO_SLOT, known_slot
from tickloop.analytics.operators.trade_sign import NULL, trade_sign
from tickloop.core.kernel import inline_kernel, kernel, records

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Chars = npt.NDArray[np.uint8]
Records = npt.NDArray[np.void]
Record = np.void

BY_TIME, BY_TRADES, BY_VOLUME, BY_MONEY = 0, 1, 2, 3

SYMBOL_BAR = np.dtype(
    [
        ("end", "<i8"),  # of the interval that is open; NEVER while none is
        ("start", "<i8"),
        ("bid", "<i8"),
        ("ask", "<i8"),
        ("marked", "<i8"),  # up to where the spread is summed
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),
        ("count", "<i8"),
        ("bought", "<i8"),
        ("sold", "<i8"),
        ("spread_ns", "<i8"),  # how long there was a spread
        ("last_price", "<i8"),
        ("last_sign", "<i8"),
        ("notional", "<f8"),  # sum of price × size, in inside units, trade by trade
        ("spread_area", "<f8"),  # sum of spread × time
        ("limit", "<f8"),  # inside threshold of a bar that is not by time
        ("price_scale", "<f8"),  # inside price steps in one of the currency
    ]
)
SETTINGS = np.dtype([("kind", "<i8"), ("interval", "<i8"), ("next_close", "<i8")])
BAR_ROW = np.dtype(
    [
        ("cause", "<i8"),
        ("cause_time", "<i8"),
        ("ordinal", "<i8"),
        ("start", "<i8"),
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),
        ("count", "<i8"),
        ("vwap", "<f8"),
        ("spread", "<f8"),
        ("imbalance", "<f8"),
        ("sym", "<i4"),
    ]
)
# Where `work` holds the next trade, quote and clock row, how many bars are made, whom to grow for.
TRADE_HEAD, QUOTE_HEAD, CLOCK_HEAD, MADE, WANTED = range(5)
WORK = 5
# A trade may end an interval and reach a threshold at once.
_MADE_AT_ONCE = 2


@inline_kernel
def _begin(bar: Record, start: int) -> None:
    bar["start"] = start
    bar["marked"] = start
    bar["open"] = NULL
    bar["high"] = NULL
    bar["low"] = NULL
    bar["close"] = NULL
    bar["volume"] = 0
    bar["count"] = 0
    bar["bought"] = 0
    bar["sold"] = 0
    bar["spread_ns"] = 0
    bar["notional"] = 0.0
    bar["spread_area"] = 0.0


@inline_kernel
def _mark(bar: Record, time: int) -> None:
    """Sum the spread up to `time`; a crossed quote has none."""
    if bar["bid"] != NULL and bar["ask"] != NULL and bar["ask"] >= bar["bid"]:
        span = time - bar["marked"]
        bar["spread_area"] += float(bar["ask"] - bar["bid"]) * float(span)
        bar["spread_ns"] += span
    bar["marked"] = time


@inline_kernel
def _write(
    bar: Record, symbol: int, cause: int, cause_time: int, made: Records, work: Longs
) -> None:
    row = made[work[MADE]]
    work[MADE] += 1
    row["cause"] = cause
    row["cause_time"] = cause_time
    row["ordinal"] = symbol
    row["sym"] = symbol
    row["start"] = bar["start"]
    row["open"] = bar["open"]
    row["high"] = bar["high"]
    row["low"] = bar["low"]
    row["close"] = bar["close"]
    row["volume"] = bar["volume"]
    row["count"] = bar["count"]
    row["vwap"] = bar["notional"] / float(bar["volume"]) / bar["price_scale"]
    row["spread"] = np.nan
    if bar["spread_ns"] > 0:
        row["spread"] = bar["spread_area"] / float(bar["spread_ns"]) / bar["price_scale"]
    signed = bar["bought"] + bar["sold"]
    row["imbalance"] = np.nan
    if signed > 0:
        row["imbalance"] = float(bar["bought"] - bar["sold"]) / float(signed)


@inline_kernel
def _end_interval(
    bar: Record, symbol: int, cause: int, time: int, made: Records, work: Longs
) -> None:
    """Close an interval that `time` is past; without a trade there is no bar."""
    if time < bar["end"]:
        return
    if bar["count"] > 0:
        _mark(bar, bar["end"])
        _write(bar, symbol, cause, time, made, work)
    bar["end"] = NEVER


@inline_kernel
def _enter_interval(bar: Record, time: int, settings: Record) -> None:
    """Open the interval that `time` is in, unless it is open."""
    if bar["end"] != NEVER:
        return
    interval = settings["interval"]
    start = time - time % interval
    _begin(bar, start)
    bar["end"] = start + interval
    settings["next_close"] = min(settings["next_close"], bar["end"])


@inline_kernel
def on_quote(
    bar: Record, settings: Record, symbol: int, time: int, seq: int, bid: int, ask: int,
    made: Records, work: Longs,
) -> None:  # fmt: skip
    """Take a new best bid and ask."""
    if settings["kind"] == BY_TIME:
        _end_interval(bar, symbol, seq, time, made, work)
        _enter_interval(bar, time, settings)
        _mark(bar, time)
    elif bar["count"] > 0:
        _mark(bar, time)
    bar["bid"] = bid
    bar["ask"] = ask


@inline_kernel
def _add(bar: Record, price: int, size: int, side: int) -> None:
    sign = trade_sign(side, price, bar["bid"], bar["ask"], bar["last_price"], bar["last_sign"])
    if bar["count"] == 0:
        bar["open"] = price
        bar["high"] = price
        bar["low"] = price
    bar["high"] = max(bar["high"], price)
    bar["low"] = min(bar["low"], price)
    bar["close"] = price
    bar["volume"] += size
    bar["count"] += 1
    bar["notional"] += float(price) * float(size)
    if sign > 0:
        bar["bought"] += size
    elif sign < 0:
        bar["sold"] += size
    bar["last_price"] = price
    bar["last_sign"] = sign


@inline_kernel
def on_trade(
    bar: Record, settings: Record, symbol: int, time: int, seq: int, price: int, size: int,
    side: int, made: Records, work: Longs,
) -> None:  # fmt: skip
    """Take a trade."""
    kind = settings["kind"]
    if kind == BY_TIME:
        _end_interval(bar, symbol, seq, time, made, work)
    # Venues publish size 0 to correct a trade's conditions. It moves no volume, so it must not
    # create a bar where there is none.
    if price == NULL or size <= 0:
        return
    if kind == BY_TIME:
        _enter_interval(bar, time, settings)
    elif bar["count"] == 0:
        _begin(bar, time)
    _add(bar, price, size, side)
    if kind == BY_TIME:
        return
    reached = float(bar["count"])
    if kind == BY_VOLUME:
        reached = float(bar["volume"])
    elif kind == BY_MONEY:
        reached = bar["notional"]
    if reached >= bar["limit"]:
        _mark(bar, time)
        _write(bar, symbol, seq, time, made, work)
        bar["count"] = 0


@inline_kernel
def on_clock(
    slots: Ints, bars: Records, settings: Record, time: int, seq: int, made: Records, work: Longs
) -> bool:
    """Close what ended, symbol by symbol in the order of ids; False when there is no room."""
    if time < settings["next_close"]:
        return True
    next_close = NEVER
    for symbol in range(slots.shape[0]):
        slot = slots[symbol]
        if slot == NO_SLOT:
            continue
        if work[MADE] == made.shape[0]:
            return False
        _end_interval(bars[slot], symbol, seq, time, made, work)
        next_close = min(next_close, bars[slot]["end"])
    settings["next_close"] = next_close
    return True


@kernel(
    types.int64(
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1], types.uint8[::1],
        types.int64[::1], types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int64[::1], types.int64[::1], types.int32[::1], types.int64[::1],
        records(SYMBOL_BAR), records(SETTINGS), types.int64[::1], records(BAR_ROW),
    )
)  # fmt: skip
def fold_bars(
    trade_time: Longs, trade_sym: Ints, trade_price: Longs, trade_size: Longs, trade_side: Chars,
    trade_seq: Longs, quote_time: Longs, quote_sym: Ints, quote_bid: Longs, quote_ask: Longs,
    quote_seq: Longs, clock_time: Longs, clock_seq: Longs, slots: Ints, used: Longs,
    bars: Records, setting: Records, work: Longs, made: Records,
) -> int:  # fmt: skip
    """Fold trades, quotes and clock rows in the order of their seqs.

    Gives how many bars were made, or GROW or FULL: then it is to be called again, and goes on
    where it was, after the arrays have grown or what was made has been taken away.
    """
    settings = setting[0]
    trade, quote, clock = work[TRADE_HEAD], work[QUOTE_HEAD], work[CLOCK_HEAD]
    next_trade = seq_at(trade_seq, trade)
    next_quote = seq_at(quote_seq, quote)
    next_clock = seq_at(clock_seq, clock)
    outcome = 0
    while min(next_trade, next_quote, next_clock) != NEVER:
        if work[MADE] + _MADE_AT_ONCE > made.shape[0]:
            outcome = FULL
            break
        if next_clock < next_trade and next_clock < next_quote:
            if not on_clock(slots, bars, settings, clock_time[clock], next_clock, made, work):
                outcome = FULL
                break
            clock += 1
            next_clock = seq_at(clock_seq, clock)
            continue
        is_trade = next_trade < next_quote
        symbol = trade_sym[trade] if is_trade else quote_sym[quote]
        slot = known_slot(symbol, slots, used, bars.shape[0], work[WANTED:])
        if slot == NO_SLOT:
            outcome = GROW
            break
        if is_trade:
            if symbol >= 0:
                on_trade(
                    bars[slot], settings, symbol, trade_time[trade], next_trade,
                    trade_price[trade], trade_size[trade], trade_side[trade], made, work,
                )  # fmt: skip
            trade += 1
            next_trade = seq_at(trade_seq, trade)
        else:
            if symbol >= 0:
                on_quote(
                    bars[slot], settings, symbol, quote_time[quote], next_quote,
                    quote_bid[quote], quote_ask[quote], made, work,
                )  # fmt: skip
            quote += 1
            next_quote = seq_at(quote_seq, quote)
    if outcome == 0:
        outcome = work[MADE]
        trade, quote, clock = 0, 0, 0
        work[MADE] = 0
    work[TRADE_HEAD], work[QUOTE_HEAD], work[CLOCK_HEAD] = trade, quote, clock
    return outcome
