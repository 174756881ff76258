"""State of the synthetic exchange: one record for the whole, one for each stock, and the clock.

Kernels pass these records on by reference, which costs one pointer a call.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, records
from tickloop.ingest.itch_encode import MESSAGE

NEVER = 1 << 62
TRADING = ord("T")
# Prices on the wire: a tick of a cent is 100 units of 1/10,000 dollar.
TICK_UNITS = 100
# Fractions of a tick in which fair prices and half spreads are kept.
PRICE_ONE = 256
SECTORS_MAX = 12
MINUTES = 18 * 60  # of the day in which orders come of themselves
PICKS = 8192
# Follow-ups that may be due at once; beyond it, one that comes is dropped.
PENDING_MAX = 4096
# Orders that may rest on one side of one stock.
ROOM = 64
# Ticks that a side's ladder spans before it is entered again from its other end.
RING = 1024
ATTRIBUTIONS = ("MKRA", "MKRB", "MKRC", "MKRD")

EXCHANGE = np.dtype(
    [
        ("now", "<i8"),  # nanoseconds since midnight
        ("arrival", "<i8"),  # when the next order comes of itself
        ("made", "<i8"),  # messages in the current block
        ("left", "<i8"),  # messages still to come
        ("reserved", "<i8"),  # of these, kept for the programme
        ("played", "<i8"),  # programme items done
        ("arrivals", "<i8"),
        ("flow", "<i8"),  # messages that orders made, apart from the programme
        ("order_id", "<i8"),  # the last one given
        ("match", "<i8"),
        ("seed", "<u8", (1,)),
        ("attributions", "<i8", (len(ATTRIBUTIONS),)),
        # The price model, in the units of synthetic_prices.
        ("sectors", "<i8"),
        ("price_seed", "<u8", (1,)),
        ("step_ns", "<i8"),
        ("steps", "<i8"),  # done so far, counted from midnight
        ("market_step", "<i8"),
        ("sector_step", "<i8"),
        ("own_step", "<i8"),
        ("own_every", "<i8"),  # steps between two updates of a stock's own part
        ("reversion", "<i8"),
        ("market_level", "<i8"),
        ("sector_levels", "<i8", (SECTORS_MAX,)),
        ("betas", "<i8", (SECTORS_MAX,)),
        # Who comes when.
        ("picks", "<i8", (PICKS,)),  # stocks, each as often as it is active
        ("busyness", "<i8", (MINUTES,)),  # messages by minute of the day, in any unit
        ("ahead", "<i8", (MINUTES,)),  # sum of `busyness` from a minute on
        ("pending", "<i8"),  # follow-ups in the heap, which is ordered by time
        ("pending_times", "<i8", (PENDING_MAX,)),
        ("pending_stocks", "<i8", (PENDING_MAX,)),
    ]
)
STOCK = np.dtype(
    [
        ("locate", "<i8"),
        ("name", "<i8"),  # packed
        ("state", "<i8"),  # trading state's letter
        ("last_match", "<i8"),  # the last printed trade, 0 if none
        ("half_spread", "<i8"),  # in 1/256 tick
        ("base", "<i8"),  # the price at the start, in 1/256 tick
        ("loading", "<i8"),
        ("sector", "<i8"),
        ("own", "<i8"),
        # The book, by side: 0 bids, 1 asks. `slots` is a permutation of the side's order
        # places, of which the first `count` hold resting orders.
        ("best", "<i8", (2,)),  # ticks; 0 when nothing rests
        ("count", "<i8", (2,)),
        ("slots", "<i8", (2, ROOM)),
        ("order_id", "<i8", (2, ROOM)),
        ("price", "<i8", (2, ROOM)),  # ticks
        ("size", "<i8", (2, ROOM)),
        ("next", "<i8", (2, ROOM)),  # behind it in the queue of its price
        ("previous", "<i8", (2, ROOM)),
        ("slot", "<i8", (2, ROOM)),  # where `slots` names it
        ("head", "<i2", (2, RING)),  # queue of a price, which is entered at price modulo RING
        ("tail", "<i2", (2, RING)),
    ]
)
# What the exchange does at set times: crosses, halts, system events. `cost` is the most messages.
ITEM = np.dtype(
    [
        ("time", "<i8"),
        ("stock", "<i8"),  # index; -1 for none
        ("kind", "<i8"),
        ("code", "<i8"),
        ("text", "<i8"),
        ("cost", "<i8"),
    ]
)
MARKET_TYPES = tuple(records(dtype) for dtype in (EXCHANGE, STOCK, ITEM, MESSAGE))

Out = npt.NDArray[Any]


@inline_kernel
def emit(exchange: np.void, stock: np.void, out: Out, kind: int) -> int:
    """Begin the block's next message, about a stock and stamped now; return its row."""
    row = int(exchange["made"])
    out[row]["kind"] = kind
    out[row]["timestamp"] = exchange["now"]
    out[row]["locate"] = stock["locate"]
    out[row]["stock"] = stock["name"]
    exchange["made"] += 1
    exchange["left"] -= 1
    return row


@inline_kernel
def next_order_id(exchange: np.void) -> int:
    """Number an order; numbers rise over the whole exchange."""
    exchange["order_id"] += 1
    return int(exchange["order_id"])


@inline_kernel
def next_match(exchange: np.void) -> int:
    """Number a trade; numbers rise over the whole exchange."""
    exchange["match"] += 1
    return int(exchange["match"])
