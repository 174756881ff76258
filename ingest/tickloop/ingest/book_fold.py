"""The fold of order events over limit order books: one kernel, one event after another."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.kernel import inline_kernel, kernel, records
from tickloop.ingest.book_rows import (
    DEPTH_ROWS,
    Rows,
    put_book,
    put_depth,
    put_quote,
    put_trade,
)
from tickloop.ingest.events import (
    ADD,
    BLANK,
    BOOK_EXECUTE,
    BROKEN,
    BUY,
    CLEAR,
    DELETE,
    EVENT,
    EXECUTE,
    EXECUTE_AT,
    LAST,
    MODIFY,
    NOT_PRINTABLE,
    REDUCE,
    REPLACE,
    SELL,
    TRADE_ONLY,
)
from tickloop.ingest.order_table import ORDER, find_order, remove_order
from tickloop.ingest.price_levels import (
    CAPACITY_MIN,
    LEVEL,
    SIDE,
    close_level,
    find_level,
    open_level,
)

# The last quote that was emitted for a symbol; sizes are null where a side is empty.
BEST = np.dtype([("bid", "<i8"), ("ask", "<i8"), ("bsize", "<i8"), ("asize", "<i8")])

# Entries of `tally`: slots in use and orders that rest, then how often each condition occurred.
USED, LIVE = 0, 1
CONDITIONS = (
    "unknown_order",
    "duplicate_order",
    "negative_size",
    "order_without_size",
    "order_without_price",
    "order_without_side",
    "no_symbol",
    "unknown_action",
    "crossed_book",
    "locked_book",
)
FIRST_CONDITION = 2
(
    UNKNOWN_ORDER,
    DUPLICATE_ORDER,
    NEGATIVE_SIZE,
    NO_SIZE,
    NO_PRICE,
    NO_SIDE,
    NO_SYMBOL,
    UNKNOWN_ACTION,
    CROSSED,
    LOCKED,
) = range(FIRST_CONDITION, FIRST_CONDITION + len(CONDITIONS))
TALLIES = FIRST_CONDITION + len(CONDITIONS)


class Books(NamedTuple):
    """What the fold remembers: arrays that the door allocates and grows."""

    orders: npt.NDArray[np.void]  # ORDER
    sides: npt.NDArray[np.void]  # SIDE by symbol id * 2 + side
    levels: npt.NDArray[np.void]  # LEVEL
    quotes: npt.NDArray[np.void]  # BEST by symbol id
    pool: npt.NDArray[np.int64]  # entries of `levels` in use, largest run
    tally: npt.NDArray[np.int64]


@kernel(
    types.int64(
        records(EVENT), types.int64, types.int64, types.int64,
        records(ORDER), records(SIDE), records(LEVEL), records(BEST),
        types.int64[::1], types.int64[::1],
        types.int64[:, ::1], types.int32[:, ::1], types.uint8[:, ::1], types.int64[::1],
    )
)  # fmt: skip
def fold(
    events: npt.NDArray[np.void],
    first: int,
    depth_levels: int,
    broken: int,
    orders: npt.NDArray[np.void],
    sides: npt.NDArray[np.void],
    levels: npt.NDArray[np.void],
    quotes: npt.NDArray[np.void],
    pool: npt.NDArray[np.int64],
    tally: npt.NDArray[np.int64],
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> int:
    """Fold events from `first` on; return the first one that was not folded for lack of room.

    The caller sees to it that `orders` has a free slot and `longs` a free row for every event.
    Lack of room is in the pool of levels or in the depth rows: the caller makes more and goes on.
    """
    books = Books(orders, sides, levels, quotes, pool, tally)
    rows = Rows(longs, ints, chars, counts)
    depth_room = longs.shape[1] - max(3, 2 * depth_levels)
    for index in range(first, events.shape[0]):
        if counts[DEPTH_ROWS] > depth_room:
            return index
        if pool[0] + max(CAPACITY_MIN, 2 * pool[1]) > levels.shape[0]:
            return index
        event = events[index]
        action = event["action"]
        sym = int(event["sym"])
        if action == ADD:
            add(books, rows, event, depth_levels)
        elif action == TRADE_ONLY:
            put_trade(rows, event, sym, event["cond"], event["side"], event["price"], event["size"])
        elif action == BROKEN:
            put_trade(rows, event, sym, broken, BLANK, NULL_LONG, NULL_LONG)
        elif action == CLEAR:
            clear(books, rows, event, depth_levels)
        else:
            sym = touch(books, rows, event, depth_levels)
        if event["flags"] & LAST and sym >= 0:
            quote(books, rows, event, sym)
    return len(events)


@inline_kernel
def add(books: Books, rows: Rows, event: np.void, depth_levels: int) -> None:
    """Let an order rest; where its id already rests, the older order goes away."""
    side = event["side"]
    put_book(rows, event, event["sym"], ADD, side, event["price"], event["size"])
    slot = find_order(books.orders, event["order_id"])
    if slot >= 0:
        if is_live(books, slot):
            books.tally[DUPLICATE_ORDER] += 1
            leave(books, rows, event, slot, depth_levels)
        else:
            books.tally[USED] -= 1
            remove_order(books.orders, slot)
    if event["sym"] < 0:
        books.tally[NO_SYMBOL] += 1
    elif side != BUY and side != SELL:
        books.tally[NO_SIDE] += 1
    else:
        book = 2 * int(event["sym"]) + (1 if side == SELL else 0)
        enter(books, rows, event, book, event["price"], event["size"], depth_levels)


@inline_kernel
def enter(
    books: Books,
    rows: Rows,
    event: np.void,
    book: int,
    price: int,
    size: int,
    depth_levels: int,
) -> None:
    """Let the event's order rest in `book`, unless it has no size or no price to rest at."""
    if size <= 0:
        books.tally[NO_SIZE] += 1
        return
    if price == NULL_LONG:
        books.tally[NO_PRICE] += 1
        return
    slot = -1 - find_order(books.orders, event["order_id"])
    order = books.orders[slot]
    order["order_id"] = event["order_id"]
    order["price"] = price
    order["size"] = size
    order["book"] = book
    order["generation"] = books.sides[book]["generation"]
    books.tally[USED] += 1
    books.tally[LIVE] += 1
    change_level(books, rows, event, book, price, size, 1, depth_levels)


@inline_kernel
def leave(books: Books, rows: Rows, event: np.void, slot: int, depth_levels: int) -> None:
    """Take a resting order out of its book."""
    order = books.orders[slot]
    book = int(order["book"])
    price = int(order["price"])
    size = int(order["size"])
    remove_order(books.orders, slot)
    books.tally[USED] -= 1
    books.tally[LIVE] -= 1
    change_level(books, rows, event, book, price, -size, -1, depth_levels)


@inline_kernel
def is_live(books: Books, slot: int) -> bool:
    """Tell whether the order in a slot rests: its book was not cleared since it came."""
    order = books.orders[slot]
    return bool(order["generation"] == books.sides[order["book"]]["generation"])


@inline_kernel
def touch(books: Books, rows: Rows, event: np.void, depth_levels: int) -> int:
    """Apply an event that names a resting order; return the symbol whose book it was for."""
    action = event["action"]
    replaces = action == REPLACE
    slot = find_order(books.orders, event["ref_order_id"] if replaces else event["order_id"])
    if slot < 0 or not is_live(books, slot):
        miss(books, rows, event)
        return int(event["sym"])
    order = books.orders[slot]
    book: int = int(order["book"])
    side = SELL if book & 1 else BUY
    if replaces or action == MODIFY:
        put_book(rows, event, book >> 1, action, side, event["price"], event["size"])
        replace(books, rows, event, slot, depth_levels)
    elif action == DELETE:
        put_book(rows, event, book >> 1, DELETE, side, order["price"], order["size"])
        leave(books, rows, event, slot, depth_levels)
    elif action == BOOK_EXECUTE:
        put_book(rows, event, book >> 1, BOOK_EXECUTE, side, order["price"], event["size"])
    elif action == REDUCE:
        put_book(rows, event, book >> 1, REDUCE, side, order["price"], event["size"])
        reduce(books, rows, event, slot, depth_levels)
    elif action in (EXECUTE, EXECUTE_AT):
        put_book(rows, event, book >> 1, EXECUTE, side, order["price"], event["size"])
        if not event["flags"] & NOT_PRINTABLE:
            price = event["price"] if action == EXECUTE_AT else order["price"]
            put_trade(rows, event, book >> 1, event["cond"], opposite(side), price, event["size"])
        reduce(books, rows, event, slot, depth_levels)
    else:
        books.tally[UNKNOWN_ACTION] += 1
    return int(book) >> 1


@inline_kernel
def miss(books: Books, rows: Rows, event: np.void) -> None:
    """Record an event whose order is not known: its row is kept, the book stays as it is.

    Price and side are then what the event itself says, which is nothing for most venues. A fill
    that a later event takes away is not counted: in an auction orders fill that never rested.
    """
    action = event["action"]
    if action not in (REDUCE, DELETE, EXECUTE, EXECUTE_AT, REPLACE, MODIFY, BOOK_EXECUTE):
        books.tally[UNKNOWN_ACTION] += 1
        return
    books.tally[UNKNOWN_ORDER] += action != BOOK_EXECUTE
    executes = action in (EXECUTE, EXECUTE_AT)
    shown = EXECUTE if executes else action
    resting = NULL_LONG if action == EXECUTE_AT else event["price"]
    put_book(rows, event, event["sym"], shown, event["side"], resting, event["size"])
    if executes and not event["flags"] & NOT_PRINTABLE:
        side = opposite(event["side"])
        put_trade(rows, event, event["sym"], event["cond"], side, event["price"], event["size"])


@inline_kernel
def opposite(side: int) -> int:
    """Give the aggressor's side from the resting one."""
    if side == BUY:
        return SELL
    return BUY if side == SELL else BLANK


@inline_kernel
def reduce(books: Books, rows: Rows, event: np.void, slot: int, depth_levels: int) -> None:
    """Take the event's size off a resting order; at zero the order goes away."""
    order = books.orders[slot]
    taken = int(event["size"])
    if taken < 0 or taken > order["size"]:
        books.tally[NEGATIVE_SIZE] += 1
        taken = max(0, min(taken, int(order["size"])))
    if taken == order["size"]:
        leave(books, rows, event, slot, depth_levels)
    elif taken > 0:
        order["size"] -= taken
        change_level(
            books, rows, event, int(order["book"]), int(order["price"]), -taken, 0, depth_levels
        )


@inline_kernel
def replace(books: Books, rows: Rows, event: np.void, slot: int, depth_levels: int) -> None:
    """Give a resting order another price and size, and with REPLACE another id."""
    order = books.orders[slot]
    book = int(order["book"])
    price = int(event["price"])
    size = int(event["size"])
    if event["action"] == REPLACE and event["ref_order_id"] != event["order_id"]:
        taken = find_order(books.orders, event["order_id"])
        if taken >= 0 and is_live(books, taken):
            books.tally[DUPLICATE_ORDER] += 1
            leave(books, rows, event, taken, depth_levels)
        elif taken >= 0:
            books.tally[USED] -= 1
            remove_order(books.orders, taken)
        slot = find_order(books.orders, event["ref_order_id"])
        order = books.orders[slot]
    if price == order["price"] and size > 0:
        # One change of the level, not a removal and an addition.
        delta = size - int(order["size"])
        generation = order["generation"]
        remove_order(books.orders, slot)
        slot = -1 - find_order(books.orders, event["order_id"])
        order = books.orders[slot]
        order["order_id"] = event["order_id"]
        order["price"] = price
        order["size"] = size
        order["book"] = book
        order["generation"] = generation
        if delta != 0:
            change_level(books, rows, event, book, price, delta, 0, depth_levels)
    else:
        leave(books, rows, event, slot, depth_levels)
        enter(books, rows, event, book, price, size, depth_levels)


@inline_kernel
def change_level(
    books: Books,
    rows: Rows,
    event: np.void,
    book: int,
    price: int,
    size: int,
    orders: int,
    depth_levels: int,
) -> None:
    """Add to a level's size and number of orders, and tell the depth rows."""
    key = -price if book & 1 else price
    side = books.sides[book]
    position = find_level(books.levels, int(side["start"]), int(side["count"]), key)
    if position < side["start"] or books.levels[position]["key"] != key:
        position = open_level(books.sides, books.levels, books.pool, book, position)
        level = books.levels[position]
        level["key"] = key
        level["size"] = size
        level["orders"] = orders
    else:
        level = books.levels[position]
        level["size"] += size
        level["orders"] += orders
    rank = int(side["start"]) + int(side["count"]) - 1 - position
    if level["orders"] > 0:
        if rank < depth_levels:
            put_depth(rows, event, book, rank, key, level["size"], level["orders"])
        return
    close_level(books.sides, books.levels, book, position)
    if rank < depth_levels:
        put_depth(rows, event, book, rank, key, 0, 0)
        entering = int(side["start"]) + int(side["count"]) - depth_levels
        if entering >= side["start"]:
            level = books.levels[entering]
            put_depth(
                rows, event, book, depth_levels - 1, level["key"], level["size"], level["orders"]
            )


@inline_kernel
def clear(books: Books, rows: Rows, event: np.void, depth_levels: int) -> None:
    """Empty a symbol's book; its orders are swept out of the table when that grows."""
    put_book(rows, event, event["sym"], CLEAR, BLANK, NULL_LONG, NULL_LONG)
    if event["sym"] < 0:
        books.tally[NO_SYMBOL] += 1
        return
    for book in range(2 * int(event["sym"]), 2 * int(event["sym"]) + 2):
        side = books.sides[book]
        start = int(side["start"])
        count = int(side["count"])
        for rank in range(min(count, depth_levels) - 1, -1, -1):
            level = books.levels[start + count - 1 - rank]
            put_depth(rows, event, book, rank, level["key"], 0, 0)
        for position in range(start, start + count):
            books.tally[LIVE] -= books.levels[position]["orders"]
        side["count"] = 0
        side["generation"] += 1


@inline_kernel
def quote(books: Books, rows: Rows, event: np.void, sym: int) -> None:
    """Append a quote row if a symbol's best prices or sizes are not those of its last one."""
    bid = ask = bsize = asize = NULL_LONG
    side = books.sides[2 * sym]
    if side["count"] > 0:
        level = books.levels[side["start"] + side["count"] - 1]
        bid = int(level["key"])
        bsize = int(level["size"])
    side = books.sides[2 * sym + 1]
    if side["count"] > 0:
        level = books.levels[side["start"] + side["count"] - 1]
        ask = -int(level["key"])
        asize = int(level["size"])
    last = books.quotes[sym]
    if (
        bid == last["bid"]
        and ask == last["ask"]
        and bsize == last["bsize"]
        and asize == last["asize"]
    ):
        return
    last["bid"] = bid
    last["ask"] = ask
    last["bsize"] = bsize
    last["asize"] = asize
    put_quote(rows, event, sym, last)
    if bid != NULL_LONG and ask != NULL_LONG:
        if ask < bid:
            books.tally[CROSSED] += 1
        elif ask == bid:
            books.tally[LOCKED] += 1
