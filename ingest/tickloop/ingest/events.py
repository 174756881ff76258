"""Order-book events: what every order-by-order feed decodes to before the books fold it."""

import numpy as np

# One record an event. Prices and sizes are inside integers, symbols are ids, -2**63 is null.
EVENT = np.dtype(
    [
        ("time", "<i8"),  # the feed's clock: capture stamp, else the venue's; never decreases
        ("venue_time", "<i8"),
        ("order_id", "<i8"),
        ("ref_order_id", "<i8"),  # replace: the order that goes away
        ("trade_id", "<i8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("message", "<i8"),  # which message of the feed it came from; ascending
        ("sym", "<i4"),
        ("cond", "<i4"),  # symbol id
        ("mpid", "<i4"),  # symbol id
        ("action", "u1"),
        ("side", "u1"),
        ("flags", "u1"),
    ],
    align=True,
)

ADD = ord("A")
REDUCE = ord("X")  # size is what is taken away
DELETE = ord("D")
EXECUTE = ord("E")  # against the resting order, at its price
EXECUTE_AT = ord("C")  # against the resting order, at the event's price
REPLACE = ord("U")  # ref_order_id goes, order_id comes, on the same side
MODIFY = ord("M")  # order_id's new price and size
TRADE_ONLY = ord("P")  # a trade that no displayed order took part in: hidden, cross
BROKEN = ord("B")  # trade_id never happened
CLEAR = ord("R")  # the symbol's book starts again, empty
BOOK_EXECUTE = ord("F")  # the resting side of a trade whose size a later event takes away

BUY = ord("B")
SELL = ord("S")
BLANK = ord(" ")

# Flags. Venues that change a book in several events mark the last one: a BBO is read only there.
LAST = 1
# The execution prints no volume (ITCH C with printable N): the book moves, the tape does not.
NOT_PRINTABLE = 2
# Part of a snapshot, not of the flow.
SNAPSHOT = 4
