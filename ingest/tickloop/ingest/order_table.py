"""The orders that rest, by id: an open-addressing table that leaves no tombstones."""

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.kernel import inline_kernel, kernel, records
from tickloop.ingest.price_levels import SIDE

# 32 bytes, so that a probe touches one cache line. `book` is symbol id * 2 + side (1 sells), or
# FREE. An order whose generation is not its book's was swept away by a CLEAR.
ORDER = np.dtype(
    [
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("book", "<i4"),
        ("generation", "<i4"),
    ],
    align=True,
)
FREE = -1
CAPACITY_MIN = 1 << 10


def new_table(orders: int) -> npt.NDArray[np.void]:
    """Make a table in which `orders` orders fill at most half of the slots."""
    capacity = max(CAPACITY_MIN, 1 << (2 * orders - 1).bit_length() if orders else 0)
    table = np.zeros(capacity, dtype=ORDER)
    table["book"] = FREE
    return table


@inline_kernel
def home_slot(order_id: int, mask: int) -> int:
    """Hash an id to its first slot; ids of one batch come in runs, so neighbours stay close.

    Two neighbouring ids share a cache line. Products stay below 2**63: nothing wraps.
    """
    folded = (order_id ^ (order_id >> 31)) >> 1
    return ((((folded & 0x3FFFFFFF) * 0x9E3779B1) >> 15) << 1 | (order_id & 1)) & mask


@inline_kernel
def find_order(orders: npt.NDArray[np.void], order_id: int) -> int:
    """Find the slot that holds an id, or -1 - the free slot where it belongs."""
    mask = orders.shape[0] - 1
    slot = home_slot(order_id, mask)
    while orders[slot]["book"] != FREE:
        if orders[slot]["order_id"] == order_id:
            return slot
        slot = (slot + 1) & mask
    return -1 - slot


@inline_kernel
def remove_order(orders: npt.NDArray[np.void], slot: int) -> None:
    """Free a slot and move back those that were pushed past it, so that probes stay short."""
    mask = orders.shape[0] - 1
    hole = slot
    probe = (slot + 1) & mask
    while orders[probe]["book"] != FREE:
        home = home_slot(orders[probe]["order_id"], mask)
        # The record may move into the hole unless its home lies cyclically in (hole, probe].
        if ((probe - home) & mask) >= ((probe - hole) & mask):
            moved = orders[probe]
            put_order(
                orders, hole, moved["order_id"], moved["price"], moved["size"], moved["book"],
                moved["generation"],
            )  # fmt: skip
            hole = probe
        probe = (probe + 1) & mask
    orders[hole]["book"] = FREE


@inline_kernel
def put_order(
    orders: npt.NDArray[np.void],
    slot: int,
    order_id: int,
    price: int,
    size: int,
    book: int,
    generation: int,
) -> None:
    """Write an order into a slot."""
    order = orders[slot]
    order["order_id"] = order_id
    order["price"] = price
    order["size"] = size
    order["book"] = book
    order["generation"] = generation


@kernel(types.int64(records(ORDER), records(ORDER), records(SIDE)))
def move_orders(
    old: npt.NDArray[np.void], new: npt.NDArray[np.void], sides: npt.NDArray[np.void]
) -> int:
    """Copy the orders that still rest into an empty table; return how many there are."""
    moved = 0
    for source in range(old.shape[0]):
        book = old[source]["book"]
        if book == FREE or old[source]["generation"] != sides[book]["generation"]:
            continue
        slot = -1 - find_order(new, old[source]["order_id"])
        order = old[source]
        put_order(
            new, slot, order["order_id"], order["price"], order["size"], book,
            order["generation"],
        )  # fmt: skip
        moved += 1
    return moved
