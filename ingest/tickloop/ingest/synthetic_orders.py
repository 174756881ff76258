"""What traders of a synthetic market do: add, cancel, replace, take, and trade out of sight."""

import numpy as np

from tickloop.core.hashing import draw_below
from tickloop.core.kernel import inline_kernel
from tickloop.ingest.synthetic_book import (
    NONE,
    any_order,
    first_in_queue,
    has_room,
    rest,
    sign_of,
    take_out,
)
from tickloop.ingest.synthetic_market import (
    PRICE_ONE,
    ROOM,
    TICK_UNITS,
    TRADING,
    Out,
    emit,
    next_match,
    next_order_id,
)
from tickloop.ingest.synthetic_prices import fair_price

# One order takes at most this many resting ones.
FILLS_MAX = 8
_LOWEST_TICKS = 101
_A, _F, _D, _X, _U = ord("A"), ord("F"), ord("D"), ord("X"), ord("U")
_E, _C, _P = ord("E"), ord("C"), ord("P")
_BUY, _SELL = ord("B"), ord("S")


@inline_kernel
def _shares(exchange: np.void) -> int:
    """Draw an order's size: mostly one round lot, sometimes several, sometimes an odd lot."""
    chance = draw_below(exchange["seed"], 100)
    if chance < 65:
        return 100
    if chance < 85:
        return 100 * (1 + draw_below(exchange["seed"], 5))
    if chance < 95:
        return 1 + draw_below(exchange["seed"], 99)
    return 100 * (5 + draw_below(exchange["seed"], 16))


@inline_kernel
def _distance(exchange: np.void) -> int:
    """Draw how many ticks behind the ideal quote an order goes: most are near it."""
    chance = draw_below(exchange["seed"], 256)
    if chance < 90:
        return 0
    if chance < 150:
        return 1
    if chance < 190:
        return 2
    if chance < 235:
        return 3 + (chance & 1)
    return 5 + draw_below(exchange["seed"], 12)


@inline_kernel
def ideal_quote(stock: np.void, side: int, fair: int) -> int:
    """Give the best price, in ticks, at which a side would quote around the fair price."""
    half = stock["half_spread"]
    if side == 1:
        return int(-((-fair - half) // PRICE_ONE))
    return int((fair - half) // PRICE_ONE)


@inline_kernel
def _not_through(stock: np.void, side: int, price: int) -> int:
    """Hold a resting price from reaching the other side's best."""
    sign = sign_of(side)
    other = stock["best"][1 - side]
    if other != 0 and sign * (other - price) <= 0:
        price = other - sign
    return int(max(price, _LOWEST_TICKS))


@inline_kernel
def add(exchange: np.void, stock: np.void, out: Out, side: int, price: int) -> None:
    """Add an order at a price or just behind the other side; delete one if there is no room."""
    price = _not_through(stock, side, price)
    if not has_room(stock, side, price):
        delete(exchange, stock, out, side, any_order(exchange, stock, side))
        return
    attributed = draw_below(exchange["seed"], 64) < 2
    row = emit(exchange, stock, out, _F if attributed else _A)
    order_id, size = next_order_id(exchange), _shares(exchange)
    out[row]["order_id"] = order_id
    out[row]["side"] = _SELL if side == 1 else _BUY
    out[row]["shares"] = size
    out[row]["price"] = price * TICK_UNITS
    if attributed:
        attributions = exchange["attributions"]
        out[row]["text"] = attributions[draw_below(exchange["seed"], attributions.shape[0])]
    rest(stock, side, price, size, order_id)


@inline_kernel
def delete(exchange: np.void, stock: np.void, out: Out, side: int, order: int) -> None:
    """Delete an order."""
    row = emit(exchange, stock, out, _D)
    out[row]["order_id"] = stock["order_id"][side, order]
    take_out(stock, side, order)


@inline_kernel
def _cancel_part(exchange: np.void, stock: np.void, out: Out, side: int) -> None:
    order = any_order(exchange, stock, side)
    size = stock["size"][side, order]
    if size < 2:
        delete(exchange, stock, out, side, order)
        return
    cut = 1 + draw_below(exchange["seed"], size - 1)
    row = emit(exchange, stock, out, _X)
    out[row]["order_id"] = stock["order_id"][side, order]
    out[row]["shares"] = cut
    stock["size"][side, order] = size - cut


@inline_kernel
def _replace(exchange: np.void, stock: np.void, out: Out, side: int, price: int) -> None:
    order = any_order(exchange, stock, side)
    price = _not_through(stock, side, price)
    if not has_room(stock, side, price):
        delete(exchange, stock, out, side, order)
        return
    row = emit(exchange, stock, out, _U)
    order_id, size = next_order_id(exchange), _shares(exchange)
    out[row]["order_id"] = stock["order_id"][side, order]
    out[row]["new_order_id"] = order_id
    out[row]["shares"] = size
    out[row]["price"] = price * TICK_UNITS
    take_out(stock, side, order)
    rest(stock, side, price, size, order_id)


@inline_kernel
def _fill(exchange: np.void, stock: np.void, out: Out, side: int, wanted: int) -> int:
    """Execute the oldest order at the best price; return how many shares."""
    price = stock["best"][side]
    order = first_in_queue(stock, side, price)
    rests = stock["size"][side, order]
    size = min(wanted, rests)
    improved = draw_below(exchange["seed"], 64) == 0
    row = emit(exchange, stock, out, _C if improved else _E)
    match = next_match(exchange)
    out[row]["order_id"] = stock["order_id"][side, order]
    out[row]["shares"] = size
    out[row]["match"] = match
    if improved:
        # Half a tick better than shown for the one who takes.
        out[row]["price"] = price * TICK_UNITS + sign_of(side) * (TICK_UNITS // 2)
        out[row]["code"] = ord("Y")
    stock["last_match"] = match
    stock["size"][side, order] = rests - size
    if size == rests:
        take_out(stock, side, order)
    return int(size)


@inline_kernel
def _take(
    exchange: np.void, stock: np.void, out: Out, side: int, limit: int, wanted: int, fills: int
) -> None:
    """Trade against a side until `wanted` is done or its best is worse for it than `limit`.

    `limit` is in 1/256 tick; a bid is hit while it is at least that, an ask while at most.
    """
    while wanted > 0 and fills > 0 and stock["best"][side] != 0:
        if sign_of(side) * (stock["best"][side] * PRICE_ONE - limit) < 0:
            break
        wanted -= _fill(exchange, stock, out, side, wanted)
        fills -= 1


@inline_kernel
def _trade_hidden(exchange: np.void, stock: np.void, out: Out) -> None:
    """Print a trade at the midpoint, in which no displayed order took part."""
    row = emit(exchange, stock, out, _P)
    match = next_match(exchange)
    out[row]["side"] = _BUY  # the feed says B whoever was hidden
    out[row]["shares"] = _shares(exchange)
    out[row]["price"] = (stock["best"][0] + stock["best"][1]) * TICK_UNITS // 2
    out[row]["match"] = match
    stock["last_match"] = match


@inline_kernel
def _adds_of_256(count: int) -> int:
    """Give how likely an add is, so that a side holds some tens of orders."""
    if count < 8:
        return 200
    if count < 20:
        return 150
    if count < 32:
        return 118
    return 100 if count < ROOM - 8 else 40


@inline_kernel
def _act_at_ease(
    exchange: np.void, stock: np.void, out: Out, side: int, fair: int, fills: int
) -> None:
    """Do what traders do when the quote is where it should be."""
    trading = stock["state"] == TRADING
    count = stock["count"][side]
    placed = ideal_quote(stock, side, fair) - sign_of(side) * _distance(exchange)
    if count == 0 or draw_below(exchange["seed"], 256) < _adds_of_256(count):
        add(exchange, stock, out, side, placed)
        return
    chance = draw_below(exchange["seed"], 100)
    if chance < 14:
        _replace(exchange, stock, out, side, placed)
    elif chance < 18:
        _cancel_part(exchange, stock, out, side)
    elif chance < 27 and trading:
        limit = stock["best"][side] * PRICE_ONE
        _take(exchange, stock, out, side, limit, _shares(exchange), fills)
    elif chance < 30 and trading and stock["best"][1 - side] != 0:
        _trade_hidden(exchange, stock, out)
    else:
        delete(exchange, stock, out, side, any_order(exchange, stock, side))


@inline_kernel
def _corrects(
    exchange: np.void, stock: np.void, out: Out, side: int, fair: int, fills: int
) -> bool:
    """Correct a side's quote if the fair price has left it; False if it is in place."""
    sign = sign_of(side)
    best = stock["best"][side]
    if best != 0 and sign * (best * PRICE_ONE - fair) > 0:
        # Too generous: whoever knows the price takes it, unless its owner is faster,
        # as most are.
        if stock["state"] == TRADING and draw_below(exchange["seed"], 3) == 0:
            wanted = 100 * (1 + draw_below(exchange["seed"], 6))
            _take(exchange, stock, out, side, fair, wanted, fills)
        else:
            delete(exchange, stock, out, side, first_in_queue(stock, side, best))
        return True
    ideal = ideal_quote(stock, side, fair)
    if (best == 0 or sign * (ideal - best) > 0) and draw_below(exchange["seed"], 4) != 0:
        add(exchange, stock, out, side, ideal)
        return True
    return False


@inline_kernel
def act(exchange: np.void, stock: np.void, out: Out, fills: int) -> None:
    """Let a trader in one stock do one thing: one message, or up to `fills` executions."""
    fair = fair_price(exchange, stock)
    side = draw_below(exchange["seed"], 2)
    for turn in range(2):
        if _corrects(exchange, stock, out, side ^ turn, fair, fills):
            return
    _act_at_ease(exchange, stock, out, side, fair, fills)


@inline_kernel
def uncross(exchange: np.void, stock: np.void, out: Out) -> int:
    """Execute up to four resting orders in a cross, unprinted; return its price in ticks.

    The auction's own orders are not shown; they meet the book at one of its best prices.
    """
    side = draw_below(exchange["seed"], 2)
    price = int(stock["best"][side])
    if price == 0:
        return fair_price(exchange, stock) // PRICE_ONE
    for _ in range(1 + draw_below(exchange["seed"], 4)):
        order = first_in_queue(stock, side, price)
        if order == NONE:
            break
        row = emit(exchange, stock, out, _C)
        out[row]["order_id"] = stock["order_id"][side, order]
        out[row]["shares"] = stock["size"][side, order]
        out[row]["match"] = next_match(exchange)
        out[row]["price"] = price * TICK_UNITS
        out[row]["code"] = ord("N")
        take_out(stock, side, order)
    return price
