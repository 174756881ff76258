"""The synthetic exchange's own book: price-time priority over a bounded number of orders."""

import numpy as np

from tickloop.core.hashing import draw_below
from tickloop.core.kernel import inline_kernel
from tickloop.ingest.synthetic_market import RING, ROOM

NONE = -1
_RING_MASK = RING - 1


@inline_kernel
def sign_of(side: int) -> int:
    """Give 1 for bids and -1 for asks: a price is better by `sign × difference`."""
    return 1 - 2 * side


@inline_kernel
def first_in_queue(stock: np.void, side: int, price: int) -> int:
    """Give the oldest order at a price, or NONE."""
    head = int(stock["head"][side, price & _RING_MASK])
    if head != NONE and stock["price"][side, head] != price:
        return NONE
    return head


@inline_kernel
def has_room(stock: np.void, side: int, price: int) -> bool:
    """Tell whether an order can rest at a price.

    It cannot if the side is full, or if an order a whole ring away holds the price's place.
    """
    if stock["count"][side] >= ROOM:
        return False
    head = int(stock["head"][side, price & _RING_MASK])
    return bool(head == NONE or stock["price"][side, head] == price)


@inline_kernel
def rest(stock: np.void, side: int, price: int, size: int, order_id: int) -> None:
    """Put an order at the end of its price's queue; the caller has seen that there is room."""
    count = stock["count"][side]
    order = stock["slots"][side, count]
    entry = price & _RING_MASK
    tail = int(stock["tail"][side, entry])
    stock["order_id"][side, order] = order_id
    stock["price"][side, order] = price
    stock["size"][side, order] = size
    stock["slot"][side, order] = count
    stock["next"][side, order] = NONE
    stock["previous"][side, order] = tail
    if tail == NONE:
        stock["head"][side, entry] = order
    else:
        stock["next"][side, tail] = order
    stock["tail"][side, entry] = order
    stock["count"][side] = count + 1
    best = stock["best"][side]
    if best == 0 or sign_of(side) * (price - best) > 0:
        stock["best"][side] = price


@inline_kernel
def take_out(stock: np.void, side: int, order: int) -> None:
    """Remove an order and find the side's new best price."""
    _leave_queue(stock, side, order)
    count = stock["count"][side] - 1
    slot = stock["slot"][side, order]
    last = stock["slots"][side, count]
    stock["slots"][side, slot] = last
    stock["slot"][side, last] = slot
    stock["slots"][side, count] = order
    stock["count"][side] = count
    price = stock["price"][side, order]
    if price == stock["best"][side] and stock["head"][side, price & _RING_MASK] == NONE:
        stock["best"][side] = _next_best(stock, side, price)


@inline_kernel
def _leave_queue(stock: np.void, side: int, order: int) -> None:
    entry = stock["price"][side, order] & _RING_MASK
    before, behind = stock["previous"][side, order], stock["next"][side, order]
    if before == NONE:
        stock["head"][side, entry] = behind
    else:
        stock["next"][side, before] = behind
    if behind == NONE:
        stock["tail"][side, entry] = before
    else:
        stock["previous"][side, behind] = before


@inline_kernel
def _next_best(stock: np.void, side: int, price: int) -> int:
    """Look for the best price from `price` on; the few orders beyond a ring are looked through."""
    count = stock["count"][side]
    if count == 0:
        return 0
    sign = sign_of(side)
    for distance in range(1, RING):
        if first_in_queue(stock, side, price - sign * distance) != NONE:
            return int(price - sign * distance)
    best = stock["price"][side, stock["slots"][side, 0]]
    for slot in range(1, count):
        seen = stock["price"][side, stock["slots"][side, slot]]
        if sign * (seen - best) > 0:
            best = seen
    return int(best)


@inline_kernel
def any_order(exchange: np.void, stock: np.void, side: int) -> int:
    """Draw one of a side's resting orders; the caller has seen that there is one."""
    return int(stock["slots"][side, draw_below(exchange["seed"], stock["count"][side])])
