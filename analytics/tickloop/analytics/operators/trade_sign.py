"""Who started a trade: the venue's word, else the quote rule, else the tick rule."""

from tickloop.core.kernel import inline_kernel

BOUGHT = ord("B")
SOLD = ord("S")
NULL = -(2**63)


@inline_kernel
def trade_sign(side: int, price: int, bid: int, ask: int, last_price: int, last_sign: int) -> int:
    """Sign a trade: 1 bought, -1 sold, 0 unknown (Lee and Ready 1991, without their 5 s delay).

    Above the middle of the quote it was bought, below sold; in the middle it follows the last
    price change. `last_price` and the quote may be null.
    """
    if side == BOUGHT:
        return 1
    if side == SOLD:
        return -1
    if bid != NULL and ask != NULL:
        distance = (price - bid) - (ask - price)
        if distance > 0:
            return 1
        if distance < 0:
            return -1
    if last_price != NULL and price > last_price:
        return 1
    if last_price != NULL and price < last_price:
        return -1
    return last_sign
