"""Nasdaq TotalView-ITCH 5.0: every message's fields, as packed big-endian records.

Source: TotalView-ITCH 5.0 specification of 19 February 2026, sections 1.1 to 1.8. Prices have 4
implied decimals, MWCB levels 8; stamps are nanoseconds since midnight in 6 bytes.
"""

import numpy as np

from tickloop.ingest.events import (
    ADD,
    BROKEN,
    DELETE,
    EXECUTE,
    EXECUTE_AT,
    REDUCE,
    REPLACE,
    TRADE_ONLY,
)

PRICE_UNIT = -4
SIZE_UNIT = 0
LENGTH_MIN = 12
LENGTH_MAX = 50
# From this day on P messages say B whatever the resting side was (section 1.5.1).
P_SIDE_ENDS = (2014, 7, 14)

_HEAD = [("type", "u1"), ("locate", ">u2"), ("tracking", ">u2"), ("stamp", "u1", 6)]
_STOCK = [("stock", "S8")]
_ORDER = [("order_id", ">u8"), ("side", "u1"), ("shares", ">u4"), ("stock", "S8")]


def _message(*fields: tuple[object, ...]) -> np.dtype[np.void]:
    return np.dtype([*_HEAD, *fields])


MESSAGES: dict[str, np.dtype[np.void]] = {
    "S": _message(("event", "u1")),
    "R": _message(
        *_STOCK,
        ("market", "u1"),
        ("financial_status", "u1"),
        ("round_lot", ">u4"),
        ("round_lots_only", "u1"),
        ("issue", "u1"),
        ("issue_type", "S2"),
        ("authenticity", "u1"),
        ("short_sale_threshold", "u1"),
        ("ipo", "u1"),
        ("luld_tier", "u1"),
        ("etp", "u1"),
        ("etp_leverage", ">u4"),
        ("inverse", "u1"),
    ),
    "H": _message(*_STOCK, ("state", "u1"), ("reserved", "u1"), ("reason", "S4")),
    "Y": _message(*_STOCK, ("action", "u1")),
    "L": _message(("mpid", "S4"), *_STOCK, ("primary", "u1"), ("mode", "u1"), ("state", "u1")),
    "V": _message(("level_1", ">u8"), ("level_2", ">u8"), ("level_3", ">u8")),
    "W": _message(("level", "u1")),
    "K": _message(*_STOCK, ("release", ">u4"), ("qualifier", "u1"), ("price", ">u4")),
    "J": _message(
        *_STOCK, ("reference", ">u4"), ("upper", ">u4"), ("lower", ">u4"), ("extension", ">u4")
    ),
    "h": _message(*_STOCK, ("market", "u1"), ("action", "u1")),
    "A": _message(*_ORDER, ("price", ">u4")),
    "F": _message(*_ORDER, ("price", ">u4"), ("mpid", "S4")),
    "E": _message(("order_id", ">u8"), ("shares", ">u4"), ("match", ">u8")),
    "C": _message(
        ("order_id", ">u8"),
        ("shares", ">u4"),
        ("match", ">u8"),
        ("printable", "u1"),
        ("price", ">u4"),
    ),
    "X": _message(("order_id", ">u8"), ("shares", ">u4")),
    "D": _message(("order_id", ">u8")),
    "U": _message(("order_id", ">u8"), ("new_id", ">u8"), ("shares", ">u4"), ("price", ">u4")),
    "P": _message(*_ORDER, ("price", ">u4"), ("match", ">u8")),
    "Q": _message(("shares", ">u8"), *_STOCK, ("price", ">u4"), ("match", ">u8"), ("cross", "u1")),
    "B": _message(("match", ">u8")),
    "I": _message(
        ("paired", ">u8"),
        ("imbalance", ">u8"),
        ("direction", "u1"),
        *_STOCK,
        ("far", ">u4"),
        ("near", ">u4"),
        ("reference", ">u4"),
        ("cross", "u1"),
        ("variation", "u1"),
    ),
    "N": _message(*_STOCK, ("interest", "u1")),
    "O": _message(
        *_STOCK,
        ("eligible", "u1"),
        ("minimum", ">u4"),
        ("maximum", ">u4"),
        ("near", ">u4"),
        ("near_stamp", ">u8"),
        ("lower", ">u4"),
        ("upper", ">u4"),
    ),
}
# These become order events of the given action; all others become status, imbalance and
# instrument rows.
ACTIONS = {
    "A": ADD,
    "F": ADD,
    "E": EXECUTE,
    "C": EXECUTE_AT,
    "X": REDUCE,
    "D": DELETE,
    "U": REPLACE,
    "P": TRADE_ONLY,
    "Q": TRADE_ONLY,
    "B": BROKEN,
}


# By type byte: the message's length, its action, and where its fields are; 0 for what it lacks.
# An order's id is the new one where it is replaced. Size is the 4-byte field: not that of Q.
# HAS_STOCK is a mask of all bits or none; SPECIAL is 1 for types with more than these fields.
LENGTH, ACTION, STOCK, ORDER_ID, REF_ORDER_ID, SIZE, PRICE, TRADE_ID, SIDE = range(9)
HAS_STOCK, SPECIAL = 9, 10
LAYOUT = np.zeros((11, 256), dtype=np.int64)


def _offset(layout: np.dtype[np.void], name: str) -> int:
    fields = layout.fields
    return int(fields[name][1]) if fields and name in fields else 0


def _places(kind: str, layout: np.dtype[np.void]) -> list[int]:
    """Give a type's column of LAYOUT."""
    order_id, new_id = _offset(layout, "order_id"), _offset(layout, "new_id")
    stock = _offset(layout, "stock")
    places = [layout.itemsize, ACTIONS.get(kind, 0), stock]
    if kind in "PQB":
        # P names no order (it sends 0), and its side is not the aggressor's.
        places += [0, 0]
    else:
        places += [new_id or order_id, order_id if new_id else 0]
    places.append(0 if kind == "Q" else _offset(layout, "shares"))
    places += [_offset(layout, "price"), _offset(layout, "match")]
    places.append(0 if kind == "P" else _offset(layout, "side"))
    return [*places, -1 if stock else 0, int(kind in "FCPQ")]


for _type, _layout in MESSAGES.items():
    LAYOUT[:, ord(_type)] = _places(_type, _layout)
