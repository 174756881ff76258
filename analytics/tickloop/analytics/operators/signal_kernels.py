"""The fold of signals: one step a trade, a quote and a clock row; integers wherever possible."""

import math

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
Rings = npt.NDArray[np.int64]
Returns = npt.NDArray[np.float64]


SYMBOL_SIGNALS = np.dtype(
    [
        ("end", "<i8"),  # of the interval that is open; NEVER while none is
        ("bid", "<i8"),
        ("ask", "<i8"),
        ("bsize", "<i8"),
        ("asize", "<i8"),
        ("flow", "<i8"),  # order-flow imbalance of the interval
        ("last_price", "<i8"),
        ("sign", "<i8"),
        ("bucket_size", "<i8"),  # inside size of one VPIN bucket
        ("bucket", "<i8"),  # filled of the bucket that is open
        ("bought", "<i8"),  # in that bucket
        ("sold", "<i8"),
        ("buckets", "<i8"),  # filled so far
        ("ring_sum", "<i8"),  # of the ring of |bought - sold|
        ("samples", "<i8"),  # returns taken so far
        ("last_mid", "<f8"),  # the middle at the last sample; NaN before the first
        ("price_scale", "<f8"),
        ("size_scale", "<f8"),
    ]
)
SETTINGS = np.dtype([("interval", "<i8"), ("wanted", "<i8"), ("next_close", "<i8")])
SIGNAL_ROW = np.dtype(
    [
        ("cause", "<i8"),
        ("cause_time", "<i8"),
        ("ordinal", "<i8"),
        ("value", "<f8"),
        ("sym", "<i4"),
        ("name", "<i4"),
    ]
)
MID, MICROPRICE, FLOW, QUEUE, VPIN, VOLATILITY, SIGN = range(7)
SIGNALS = 7
# Ordinals of one cause: a symbol's signals follow one another.
_ORDINALS = 8
TRADE_HEAD, QUOTE_HEAD, CLOCK_HEAD, MADE, WANTED = range(5)
WORK = 5


@inline_kernel
def _put(
    name: int, value: float, symbol: int, cause: int, cause_time: int, wanted: int, made: Records,
    work: Longs,
) -> None:  # fmt: skip
    if np.isnan(value) or (wanted >> name) & 1 == 0:
        return
    row = made[work[MADE]]
    work[MADE] += 1
    row["cause"] = cause
    row["cause_time"] = cause_time
    row["ordinal"] = symbol * _ORDINALS + name
    row["sym"] = symbol
    row["name"] = name
    row["value"] = value


@inline_kernel
def _sample(of: Record, mid: float, ring: Returns) -> float:
    """Take the log return since the last sample; give the volatility of a full ring, else NaN."""
    if np.isnan(mid) or mid <= 0.0:
        return np.nan
    if not np.isnan(of["last_mid"]):
        ring[of["samples"] % ring.shape[0]] = math.log(mid / of["last_mid"])
        of["samples"] += 1
    of["last_mid"] = mid
    if of["samples"] < ring.shape[0]:
        return np.nan
    # Summed from the oldest to the newest, so that rounding depends on the rows alone.
    total = 0.0
    for age in range(ring.shape[0]):
        value = ring[(of["samples"] + age) % ring.shape[0]]
        total += value * value
    return math.sqrt(total)


@inline_kernel
def _write(
    of: Record, vpins: Rings, returns: Returns, symbol: int, cause: int, cause_time: int,
    wanted: int, made: Records, work: Longs,
) -> None:  # fmt: skip
    """Write a symbol's signals as they are now."""
    mid, micro, queue, vpin = np.nan, np.nan, np.nan, np.nan
    if of["bid"] != NULL and of["ask"] != NULL:
        mid = float(of["bid"] + of["ask"]) / 2.0 / of["price_scale"]
        depth = of["bsize"] + of["asize"]
        if of["bsize"] >= 0 and of["asize"] >= 0 and depth > 0:
            weighted = float(of["bid"]) * float(of["asize"]) + float(of["ask"]) * float(of["bsize"])
            micro = weighted / float(depth) / of["price_scale"]
            queue = float(of["bsize"] - of["asize"]) / float(depth)
    if of["buckets"] >= vpins.shape[0]:
        vpin = float(of["ring_sum"]) / (float(vpins.shape[0]) * float(of["bucket_size"]))
    volatility = _sample(of, mid, returns)
    _put(MID, mid, symbol, cause, cause_time, wanted, made, work)
    _put(MICROPRICE, micro, symbol, cause, cause_time, wanted, made, work)
    _put(FLOW, float(of["flow"]) / of["size_scale"], symbol, cause, cause_time, wanted, made, work)
    _put(QUEUE, queue, symbol, cause, cause_time, wanted, made, work)
    _put(VPIN, vpin, symbol, cause, cause_time, wanted, made, work)
    _put(VOLATILITY, volatility, symbol, cause, cause_time, wanted, made, work)
    _put(SIGN, float(of["sign"]), symbol, cause, cause_time, wanted, made, work)
    of["flow"] = 0


@inline_kernel
def _end_interval(
    of: Record, vpins: Rings, returns: Returns, symbol: int, cause: int, time: int,
    settings: Record, made: Records, work: Longs,
) -> None:  # fmt: skip
    if time >= of["end"]:
        _write(of, vpins, returns, symbol, cause, time, settings["wanted"], made, work)
        of["end"] = NEVER


@inline_kernel
def _enter_interval(of: Record, time: int, settings: Record) -> None:
    interval = settings["interval"]
    if of["end"] == NEVER and interval > 0:
        of["end"] = time - time % interval + interval
        settings["next_close"] = min(settings["next_close"], of["end"])


@inline_kernel
def order_flow(of: Record, bid: int, ask: int, bsize: int, asize: int) -> int:
    """Give what a new quote adds to order-flow imbalance; 0 where a side is or was missing."""
    flow = 0
    if bid != NULL and of["bid"] != NULL and bsize != NULL and of["bsize"] != NULL:
        if bid >= of["bid"]:
            flow += bsize
        if bid <= of["bid"]:
            flow -= of["bsize"]
    if ask != NULL and of["ask"] != NULL and asize != NULL and of["asize"] != NULL:
        if ask <= of["ask"]:
            flow -= asize
        if ask >= of["ask"]:
            flow += of["asize"]
    return flow


@inline_kernel
def _fill_buckets(of: Record, size: int, sign: int, ring: Longs) -> None:
    """Put a trade into buckets of equal volume; what overfills one goes into the next."""
    while size > 0:
        part = min(size, of["bucket_size"] - of["bucket"])
        of["bucket"] += part
        if sign > 0:
            of["bought"] += part
        elif sign < 0:
            of["sold"] += part
        size -= part
        if of["bucket"] == of["bucket_size"]:
            at = of["buckets"] % ring.shape[0]
            one_sided = abs(of["bought"] - of["sold"])
            of["ring_sum"] += one_sided - ring[at]
            ring[at] = one_sided
            of["buckets"] += 1
            of["bucket"] = 0
            of["bought"] = 0
            of["sold"] = 0


@inline_kernel
def _on_trade(
    of: Record, vpins: Rings, returns: Returns, settings: Record, symbol: int, time: int,
    seq: int, price: int, size: int, side: int, made: Records, work: Longs,
) -> None:  # fmt: skip
    """Take a trade; one without a price or a size changes nothing."""
    _end_interval(of, vpins, returns, symbol, seq, time, settings, made, work)
    if price == NULL or size <= 0:
        return
    _enter_interval(of, time, settings)
    of["sign"] = trade_sign(side, price, of["bid"], of["ask"], of["last_price"], of["sign"])
    of["last_price"] = price
    _fill_buckets(of, size, of["sign"], vpins)
    if settings["interval"] == 0:
        _write(of, vpins, returns, symbol, seq, time, settings["wanted"], made, work)


@inline_kernel
def _on_quote(
    of: Record, vpins: Rings, returns: Returns, settings: Record, symbol: int, time: int,
    seq: int, bid: int, ask: int, bsize: int, asize: int, made: Records, work: Longs,
) -> None:  # fmt: skip
    """Take a new best bid and ask."""
    _end_interval(of, vpins, returns, symbol, seq, time, settings, made, work)
    _enter_interval(of, time, settings)
    of["flow"] += order_flow(of, bid, ask, bsize, asize)
    of["bid"] = bid
    of["ask"] = ask
    of["bsize"] = bsize
    of["asize"] = asize
    if settings["interval"] == 0:
        _write(of, vpins, returns, symbol, seq, time, settings["wanted"], made, work)


@inline_kernel
def _on_clock(
    slots: Ints, symbols: Records, vpins: Rings, returns: Returns, settings: Record, time: int,
    seq: int, made: Records, work: Longs,
) -> bool:  # fmt: skip
    """Close what ended, symbol by symbol in the order of ids; False when there is no room."""
    if time < settings["next_close"]:
        return True
    next_close = NEVER
    for symbol in range(slots.shape[0]):
        slot = slots[symbol]
        if slot == NO_SLOT:
            continue
        if work[MADE] + SIGNALS > made.shape[0]:
            return False
        _end_interval(
            symbols[slot], vpins[slot], returns[slot], symbol, seq, time, settings, made, work
        )
        next_close = min(next_close, symbols[slot]["end"])
    settings["next_close"] = next_close
    return True


@kernel(
    types.int64(
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1], types.uint8[::1],
        types.int64[::1], types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1],
        types.int32[::1], types.int64[::1], records(SYMBOL_SIGNALS), types.int64[:, ::1],
        types.float64[:, ::1], records(SETTINGS), types.int64[::1], records(SIGNAL_ROW),
    )
)  # fmt: skip
def fold_signals(
    trade_time: Longs, trade_sym: Ints, trade_price: Longs, trade_size: Longs, trade_side: Chars,
    trade_seq: Longs, quote_time: Longs, quote_sym: Ints, quote_bid: Longs, quote_ask: Longs,
    quote_bsize: Longs, quote_asize: Longs, quote_seq: Longs, clock_time: Longs, clock_seq: Longs,
    slots: Ints, used: Longs, symbols: Records, vpins: Rings, returns: Returns, setting: Records,
    work: Longs, made: Records,
) -> int:  # fmt: skip
    """Fold trades, quotes and clock rows in the order of their seqs.

    Gives how many rows were made, or GROW or FULL: then it is to be called again, and goes on
    where it was, after the arrays have grown or what was made has been taken away.
    """
    settings = setting[0]
    trade, quote, clock = work[TRADE_HEAD], work[QUOTE_HEAD], work[CLOCK_HEAD]
    next_trade = seq_at(trade_seq, trade)
    next_quote = seq_at(quote_seq, quote)
    next_clock = seq_at(clock_seq, clock)
    outcome = 0
    while min(next_trade, next_quote, next_clock) != NEVER:
        if work[MADE] + 2 * SIGNALS > made.shape[0]:
            outcome = FULL
            break
        if next_clock < next_trade and next_clock < next_quote:
            if not _on_clock(
                slots, symbols, vpins, returns, settings, clock_time[clock], next_clock, made, work
            ):
                outcome = FULL
                break
            clock += 1
            next_clock = seq_at(clock_seq, clock)
            continue
        is_trade = next_trade < next_quote
        symbol = trade_sym[trade] if is_trade else quote_sym[quote]
        slot = known_slot(symbol, slots, used, symbols.shape[0], work[WANTED:])
        if slot == NO_SLOT:
            outcome = GROW
            break
        if is_trade:
            if symbol >= 0:
                _on_trade(
                    symbols[slot], vpins[slot], returns[slot], settings, symbol, trade_time[trade],
                    next_trade, trade_price[trade], trade_size[trade], trade_side[trade], made,
                    work,
                )  # fmt: skip
            trade += 1
            next_trade = seq_at(trade_seq, trade)
        else:
            if symbol >= 0:
                _on_quote(
                    symbols[slot], vpins[slot], returns[slot], settings, symbol, quote_time[quote],
                    next_quote, quote_bid[quote], quote_ask[quote], quote_bsize[quote],
                    quote_asize[quote], made, work,
                )  # fmt: skip
            quote += 1
            next_quote = seq_at(quote_seq, quote)
    if outcome == 0:
        outcome = work[MADE]
        trade, quote, clock = 0, 0, 0
        work[MADE] = 0
    work[TRADE_HEAD], work[QUOTE_HEAD], work[CLOCK_HEAD] = trade, quote, clock
    return outcome
