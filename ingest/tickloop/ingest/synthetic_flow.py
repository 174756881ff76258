"""Event loop of the synthetic exchange: who comes when, until the day's messages are written.

Orders arrive at random at the pace of the hour, and each one may bring follow-ups, most within
milliseconds (a Hawkes process in its cluster form). The pace is set anew at each arrival from the
messages that are left, so that a day ends with exactly as many as were asked for.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.hashing import draw_below, draw_waiting
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.synthetic_market import (
    MARKET_TYPES,
    MINUTES,
    NEVER,
    PENDING_MAX,
    PICKS,
    PRICE_ONE,
    TICK_UNITS,
    Out,
    emit,
    next_match,
)
from tickloop.ingest.synthetic_orders import FILLS_MAX, act, uncross
from tickloop.ingest.synthetic_prices import advance_prices, fair_price

MINUTE_NS = 60_000_000_000
# Messages that one step of the loop may write.
STEP_MAX = 10
_ACTION, _CROSS, _BROKEN, _IMBALANCE = (ord(letter) for letter in "HQBI")
_WAIT_MAX_NS = 1_000 * 1_000_000_000
# After the last minute, what is left to write comes quickly.
_LATE_NS = 1_000_000
# Follow-ups of one order: 0.6 on average, as cumulated Poisson chances of 65,536.
_NO_FOLLOW_UP, _ONE_FOLLOW_UP, _TWO_FOLLOW_UPS = 35_967, 57_547, 64_021
_SOON_NS, _LATER_NS = 5_000_000, 400_000_000

Stocks = npt.NDArray[Any]
Programme = npt.NDArray[Any]


@inline_kernel
def _mean_wait(exchange: np.void, now: int, minute: int) -> int:
    """Give the mean time between arrivals, from what is left to write and the hours ahead."""
    weight = exchange["busyness"][minute]
    passed = (now - minute * MINUTE_NS) * 1024 // MINUTE_NS
    ahead = exchange["ahead"][minute] * 1024 - weight * passed
    left = exchange["left"] - exchange["reserved"]
    a_minute = left * weight * 65_536 // ahead  # messages, in 1/64
    # Messages that an arrival brings, follow-ups included, in 1/256.
    brings = 256 * (exchange["flow"] + 40) // (exchange["arrivals"] + 10)
    return int(min(MINUTE_NS * 64 // max(1, a_minute) * brings // 256, _WAIT_MAX_NS))


@inline_kernel
def _next_arrival(exchange: np.void, now: int) -> int:
    if exchange["left"] <= exchange["reserved"]:
        return NEVER
    minute = now // MINUTE_NS
    while minute < MINUTES:
        if exchange["busyness"][minute] > 0:
            mean = _mean_wait(exchange, now, minute)
            arrival = now + ((mean * draw_waiting(exchange["seed"])) >> 16)
            if arrival < (minute + 1) * MINUTE_NS:
                return int(arrival)
        minute += 1
        now = minute * MINUTE_NS
    return int(max(now, exchange["now"]) + _LATE_NS)


@inline_kernel
def _push(exchange: np.void, time: int, index: int) -> None:
    """Put a follow-up into the binary heap."""
    times, stocks = exchange["pending_times"], exchange["pending_stocks"]
    place = int(exchange["pending"])
    if place >= PENDING_MAX:
        return
    exchange["pending"] = place + 1
    while place > 0:
        parent = (place - 1) >> 1
        if times[parent] <= time:
            break
        times[place], stocks[place] = times[parent], stocks[parent]
        place = parent
    times[place], stocks[place] = time, index


@inline_kernel
def _pop(exchange: np.void) -> int:
    """Remove the earliest follow-up and return its stock."""
    times, stocks = exchange["pending_times"], exchange["pending_stocks"]
    first = int(stocks[0])
    count = int(exchange["pending"]) - 1
    exchange["pending"] = count
    time, index = times[count], stocks[count]
    place = 0
    while 2 * place + 1 < count:
        child = 2 * place + 1
        if child + 1 < count and times[child + 1] < times[child]:
            child += 1
        if times[child] >= time:
            break
        times[place], stocks[place] = times[child], stocks[child]
        place = child
    times[place], stocks[place] = time, index
    return first


@inline_kernel
def _follow_ups(exchange: np.void, index: int, stocks: int) -> None:
    seed = exchange["seed"]
    chance = draw_below(seed, 65_536)
    count = int(chance >= _NO_FOLLOW_UP) + int(chance >= _ONE_FOLLOW_UP)
    count += int(chance >= _TWO_FOLLOW_UPS)
    for _ in range(count):
        mean = _SOON_NS if draw_below(seed, 10) < 7 else _LATER_NS
        delay = (mean * draw_waiting(seed)) >> 16
        follower = index
        if draw_below(seed, 10) == 0:
            # News about one stock moves its sector: its peers are `sectors` places apart.
            sectors = int(exchange["sectors"])
            first = index % sectors
            peers = (stocks - first + sectors - 1) // sectors
            follower = first + sectors * draw_below(seed, peers)
        _push(exchange, int(exchange["now"]) + delay, follower)


@inline_kernel
def _act(exchange: np.void, stocks: Stocks, out: Out, index: int) -> None:
    allowed = exchange["left"] - exchange["reserved"]
    if allowed <= 0:
        return
    before = exchange["made"]
    act(exchange, stocks[index], out, min(allowed, FILLS_MAX))
    exchange["flow"] += exchange["made"] - before
    _follow_ups(exchange, index, stocks.shape[0])


@inline_kernel
def _play_cross(exchange: np.void, stock: np.void, out: Out, code: int) -> None:
    start = exchange["made"]
    price = uncross(exchange, stock, out)
    shares = 100 * (10 + draw_below(exchange["seed"], 500))
    for row in range(start, exchange["made"]):
        shares += out[row]["shares"]
    row = emit(exchange, stock, out, _CROSS)
    out[row]["shares"] = shares
    out[row]["price"] = price * TICK_UNITS
    out[row]["match"] = next_match(exchange)
    out[row]["code"] = code


@inline_kernel
def _play_imbalance(exchange: np.void, stock: np.void, out: Out, code: int) -> None:
    seed = exchange["seed"]
    reference = fair_price(exchange, stock) // PRICE_ONE
    row = emit(exchange, stock, out, _IMBALANCE)
    lots = draw_below(seed, 200)
    out[row]["shares"] = 100 * draw_below(seed, 2_000)
    out[row]["imbalance"] = 100 * lots
    out[row]["side"] = ord("N")
    if lots > 0:
        out[row]["side"] = ord("B") if draw_below(seed, 2) == 0 else ord("S")
    out[row]["price"] = reference * TICK_UNITS
    out[row]["near"] = (reference - 2 + draw_below(seed, 5)) * TICK_UNITS
    out[row]["far"] = (reference - 5 + draw_below(seed, 11)) * TICK_UNITS
    out[row]["code"] = code


@inline_kernel
def _break_trade(exchange: np.void, stocks: Stocks, out: Out, first: int) -> None:
    """Break the last trade of a stock, or of the next one that has traded."""
    for offset in range(stocks.shape[0]):
        stock = stocks[(first + offset) % stocks.shape[0]]
        if stock["last_match"] != 0:
            row = emit(exchange, stock, out, _BROKEN)
            out[row]["match"] = stock["last_match"]
            stock["last_match"] = 0
            return


@inline_kernel
def _play(exchange: np.void, stocks: Stocks, item: np.void, out: Out) -> None:
    """Do what the programme says next."""
    exchange["played"] += 1
    exchange["reserved"] -= item["cost"]
    stock = stocks[item["stock"]]
    kind = item["kind"]
    if kind == _CROSS:
        _play_cross(exchange, stock, out, item["code"])
    elif kind == _IMBALANCE:
        _play_imbalance(exchange, stock, out, item["code"])
    elif kind == _BROKEN:
        _break_trade(exchange, stocks, out, item["stock"])
    else:
        row = emit(exchange, stock, out, kind)
        out[row]["code"] = item["code"]
        out[row]["text"] = item["text"]
        if kind == _ACTION:
            stock["state"] = item["code"]
        else:
            out[row]["locate"] = 0


@inline_kernel
def _step(exchange: np.void, stocks: Stocks, programme: Programme, out: Out) -> None:
    """Do what is due first: an item of the programme, a follow-up, or an order of its own."""
    follow_up = exchange["pending_times"][0] if exchange["pending"] > 0 else NEVER
    item = exchange["played"]
    due = programme[item]["time"] if item < programme.shape[0] else NEVER
    now = min(follow_up, due, exchange["arrival"])
    exchange["now"] = now
    advance_prices(exchange, stocks, now)
    if now == due:
        _play(exchange, stocks, programme[item], out)
        if exchange["arrival"] == NEVER:
            exchange["arrival"] = _next_arrival(exchange, now)
    elif now == follow_up:
        _act(exchange, stocks, out, _pop(exchange))
    else:
        exchange["arrivals"] += 1
        pick = exchange["picks"][draw_below(exchange["seed"], PICKS)]
        _act(exchange, stocks, out, pick)
        exchange["arrival"] = _next_arrival(exchange, now)


@kernel(types.int64(*MARKET_TYPES))
def run_market(exchanges: Stocks, stocks: Stocks, programme: Programme, out: Out) -> int:
    """Let the exchange run until `out` (zeroed) is nearly full or the day is over.

    Returns how many MESSAGE records were written: 0 after the day's last one.
    """
    exchange = exchanges[0]
    exchange["made"] = 0
    while exchange["made"] + STEP_MAX <= out.shape[0] and exchange["left"] > 0:
        _step(exchange, stocks, programme, out)
    return int(exchange["made"])
