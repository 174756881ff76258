"""The fold of pairs: exponentially weighted spread statistics, and the positions they suggest."""

import math

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.analytics.operators.heads import FULL, NEVER, seq_at
from tickloop.analytics.operators.trade_sign import NULL
from tickloop.core.kernel import inline_kernel, kernel, records

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Record = np.void

# What a pair's position would be.
FLAT, LONG, SHORT, STOPPED = 0, 1, -1, 2

LEG = np.dtype(
    [
        ("price_scale", "<f8"),
        ("log_mid", "<f8"),  # NaN before the first two-sided quote
        ("time", "<i8"),  # of the last two-sided quote
        ("twice_mid", "<i8"),  # bid + ask, in inside units
    ]
)
PAIR = np.dtype(
    [
        ("first", "<i4"),  # leg
        ("second", "<i4"),
        ("beta", "<f8"),
        ("spread", "<f8"),  # NaN before both legs have quoted
        ("mean", "<f8"),
        ("variance", "<f8"),
        ("since", "<i8"),  # when the first spread was known
        ("marked", "<i8"),  # up to when mean and variance take the spread in
        ("position", "<i8"),
        ("entered", "<i8"),
    ]
)
SETTINGS = np.dtype(
    [
        ("half_life", "<i8"),
        ("warm_up", "<i8"),
        ("stale", "<i8"),
        ("hold", "<i8"),
        ("interval", "<i8"),
        ("end", "<i8"),  # of the interval after which statistics are written
        ("entry", "<f8"),
        ("exit", "<f8"),
        ("stop", "<f8"),
    ]
)
PAIR_ROW = np.dtype(
    [
        ("cause", "<i8"),
        ("cause_time", "<i8"),
        ("ordinal", "<i8"),
        ("value", "<f8"),
        ("pair", "<i4"),
        ("name", "<i4"),
    ]
)
SPREAD, MEAN, DEVIATION, Z, ENTRY_LONG, ENTRY_SHORT, EXIT, STOP, TIMEOUT = range(9)
_ORDINALS = 16
_STATISTICS = 4
QUOTE_HEAD, CLOCK_HEAD, MADE, PAIR_HEAD = range(4)
WORK = 4


@inline_kernel
def _put(
    name: int, value: float, pair: int, cause: int, cause_time: int, made: Records, work: Longs
) -> None:
    row = made[work[MADE]]
    work[MADE] += 1
    row["cause"] = cause
    row["cause_time"] = cause_time
    row["ordinal"] = pair * _ORDINALS + name
    row["pair"] = pair
    row["name"] = name
    row["value"] = value


@inline_kernel
def _mark(of: Record, time: int, half_life: int) -> None:
    """Take in the spread as it was from the last mark until now.

    The exponentially weighted mean and variance of a path that is constant between its changes:
    over a span dt the weight of what went before falls by 2**(-dt / half_life) (West 1979;
    Finch 2009, for weights that differ).
    """
    span = time - of["marked"]
    if span <= 0 or np.isnan(of["spread"]):
        return
    weight = -math.expm1(-math.log(2.0) * float(span) / float(half_life))
    distance = of["spread"] - of["mean"]
    of["mean"] += weight * distance
    of["variance"] = (1.0 - weight) * (of["variance"] + weight * distance * distance)
    of["marked"] = time


@inline_kernel
def _set_spread(of: Record, first: float, second: float, time: int) -> None:
    if np.isnan(first) or np.isnan(second):
        return
    if np.isnan(of["spread"]):
        of["mean"] = first - of["beta"] * second
        of["since"] = time
        of["marked"] = time
    of["spread"] = first - of["beta"] * second


@inline_kernel
def _z(of: Record) -> float:
    if of["variance"] <= 0.0 or np.isnan(of["spread"]):
        return np.nan
    return float(of["spread"] - of["mean"]) / math.sqrt(of["variance"])


@inline_kernel
def _decide(of: Record, z: float, time: int, may_enter: bool, settings: Record) -> int:
    """Move a pair's position; give the event, or -1 for none.

    The spread is bought below the mean and sold above it. After a stop it has to come back to
    the exit band before it is entered again.
    """
    position, away = of["position"], abs(z)
    if position == STOPPED:
        if away <= settings["exit"]:
            of["position"] = FLAT
        return -1
    if position == FLAT:
        if not may_enter or away < settings["entry"] or away >= settings["stop"]:
            return -1
        of["position"] = LONG if z < 0 else SHORT
        of["entered"] = time
        return ENTRY_LONG if z < 0 else ENTRY_SHORT
    against = -z if position == LONG else z
    if against >= settings["stop"]:
        of["position"] = STOPPED
        return STOP
    if against <= settings["exit"]:
        of["position"] = FLAT
        return EXIT
    return -1


@inline_kernel
def _on_spread(
    pair: int, of: Record, legs: Records, settings: Record, time: int, seq: int, made: Records,
    work: Longs,
) -> None:  # fmt: skip
    """Judge a pair after a leg has moved."""
    z = _z(of)
    if np.isnan(z) or time - of["since"] < settings["warm_up"]:
        return
    oldest = min(legs[of["first"]]["time"], legs[of["second"]]["time"])
    event = _decide(of, z, time, time - oldest <= settings["stale"], settings)
    if event >= 0:
        _put(event, z, pair, seq, time, made, work)


@inline_kernel
def _on_quote(
    leg: int, bid: int, ask: int, time: int, seq: int, legs: Records, first_pair: Ints,
    touched: Ints, pairs: Records, settings: Record, made: Records, work: Longs,
) -> None:  # fmt: skip
    of_leg = legs[leg]
    if bid == NULL or ask == NULL or bid <= 0 or ask < bid:
        return
    of_leg["time"] = time
    if bid + ask == of_leg["twice_mid"]:
        return
    of_leg["twice_mid"] = bid + ask
    of_leg["log_mid"] = math.log(float(bid + ask) / 2.0 / of_leg["price_scale"])
    for at in range(first_pair[leg], first_pair[leg + 1]):
        pair = touched[at]
        of = pairs[pair]
        _mark(of, time, settings["half_life"])
        _set_spread(of, legs[of["first"]]["log_mid"], legs[of["second"]]["log_mid"], time)
        _on_spread(pair, of, legs, settings, time, seq, made, work)


@inline_kernel
def _statistics(pair: int, of: Record, time: int, seq: int, made: Records, work: Longs) -> None:
    z = _z(of)
    if np.isnan(z):
        return
    _put(SPREAD, of["spread"], pair, seq, time, made, work)
    _put(MEAN, of["mean"], pair, seq, time, made, work)
    _put(DEVIATION, math.sqrt(of["variance"]), pair, seq, time, made, work)
    _put(Z, z, pair, seq, time, made, work)


@inline_kernel
def _on_clock(
    time: int, seq: int, pairs: Records, settings: Record, made: Records, work: Longs
) -> bool:
    """End what was held too long, and write statistics when they are due; False without room."""
    is_due = settings["interval"] > 0 and time >= settings["end"]
    for pair in range(work[PAIR_HEAD], pairs.shape[0]):
        if work[MADE] + _STATISTICS + 1 > made.shape[0]:
            work[PAIR_HEAD] = pair
            return False
        of = pairs[pair]
        is_held = of["position"] == LONG or of["position"] == SHORT
        is_late = is_held and settings["hold"] > 0 and time - of["entered"] >= settings["hold"]
        if is_due or is_late:
            _mark(of, time, settings["half_life"])
        if is_due:
            _statistics(pair, of, time, seq, made, work)
        if is_late:
            of["position"] = STOPPED
            _put(TIMEOUT, _z(of), pair, seq, time, made, work)
    work[PAIR_HEAD] = 0
    if is_due:
        settings["end"] = time - time % settings["interval"] + settings["interval"]
    return True


@kernel(
    types.int64(
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int64[::1], types.int32[::1], types.int32[::1], types.int32[::1],
        records(LEG), records(PAIR), records(SETTINGS), types.int64[::1], records(PAIR_ROW),
    )
)  # fmt: skip
def fold_pairs(
    quote_time: Longs, quote_sym: Ints, quote_bid: Longs, quote_ask: Longs, quote_seq: Longs,
    clock_time: Longs, clock_seq: Longs, leg_of: Ints, first_pair: Ints, touched: Ints,
    legs: Records, pairs: Records, setting: Records, work: Longs, made: Records,
) -> int:  # fmt: skip
    """Fold quotes and clock rows in the order of their seqs.

    `leg_of` names the leg of a symbol's id (-1 for none), `touched` from `first_pair[leg]` on the
    pairs of a leg. Gives how many rows were made, or FULL: then it is to be called again, and goes
    on where it was, after what was made has been taken away.
    """
    settings = setting[0]
    quote, clock = work[QUOTE_HEAD], work[CLOCK_HEAD]
    next_quote, next_clock = seq_at(quote_seq, quote), seq_at(clock_seq, clock)
    outcome = 0
    while min(next_quote, next_clock) != NEVER:
        if work[MADE] + pairs.shape[0] > made.shape[0]:
            outcome = FULL
            break
        if next_clock < next_quote:
            if not _on_clock(clock_time[clock], next_clock, pairs, settings, made, work):
                outcome = FULL
                break
            clock += 1
            next_clock = seq_at(clock_seq, clock)
            continue
        symbol = quote_sym[quote]
        if 0 <= symbol < leg_of.shape[0] and leg_of[symbol] >= 0:
            _on_quote(
                leg_of[symbol], quote_bid[quote], quote_ask[quote], quote_time[quote], next_quote,
                legs, first_pair, touched, pairs, settings, made, work,
            )  # fmt: skip
        quote += 1
        next_quote = seq_at(quote_seq, quote)
    if outcome == 0:
        outcome = work[MADE]
        quote, clock = 0, 0
        work[MADE] = 0
    work[QUOTE_HEAD], work[CLOCK_HEAD] = quote, clock
    return outcome
