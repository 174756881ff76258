"""The fold of order events over limit order books: one kernel, one event after another."""

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.kernel import inline_kernel, kernel, records
from tickloop.ingest.book_rows import (
    BOOK_ROWS,
    DEPTH_ROWS,
    QUOTE_ROWS,
    TRADE_ROWS,
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
from tickloop.ingest.order_table import ORDER, find_order, put_order, remove_order
from tickloop.ingest.price_levels import (
    CAPACITY_MIN,
    LEVEL,
    SIDE,
    close_level,
    find_level,
    open_level,
)

# The last quote that was emitted for a symbol; null where a side is empty.
BEST = np.dtype([("bid", "<i8"), ("ask", "<i8"), ("bsize", "<i8"), ("asize", "<i8")], align=True)

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
TALLIES = FIRST_CONDITION + len(CONDITIONS)
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
) = range(FIRST_CONDITION, TALLIES)
# Depth rows that one event makes at most: two of the level it leaves, one of the one it enters.
DEPTH_ROWS_MAX = 4


@kernel(
    types.int64(
        records(EVENT), types.int64, types.int64, types.int64,
        records(ORDER), records(SIDE), records(LEVEL), records(BEST),
        types.int64[::1], types.int64[::1],
        types.int64[:, ::1], types.int32[:, ::1], types.uint8[:, ::1], types.int64[::1],
    ),
)  # fmt: skip
def fold(  # noqa: C901
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

    `sides` is by symbol id * 2 + side and `quotes` by symbol id; both know all symbols of the
    events. `orders` has a free slot and `longs` a free row for every event. Room that may lack is
    in the pool of levels and in the depth rows: the caller makes more and goes on.

    An event first finds the order that it names, then says by how much the level that it leaves
    and the level that it enters change, then its rows are written.
    """
    book_rows = counts[BOOK_ROWS]
    trade_rows = counts[TRADE_ROWS]
    depth_rows = counts[DEPTH_ROWS]
    quote_rows = counts[QUOTE_ROWS]
    depth_room = longs.shape[1] - max(DEPTH_ROWS_MAX, 2 * depth_levels)
    index = first
    while index < events.shape[0]:
        if depth_rows > depth_room or pool[0] + max(CAPACITY_MIN, 2 * pool[1]) > levels.shape[0]:
            break
        event = events[index]
        action = int(event["action"])
        sym = int(event["sym"])
        side = int(event["side"])
        price = int(event["price"])
        size = int(event["size"])
        index += 1

        # What the book row shows, 0 for none; a trade is at `price`.
        shown = action
        row_price = price
        row_size = size
        trade_side = side
        # Changes of two levels of one side: left at `price_out`, entered at `price`.
        book = -1
        price_out = price
        size_out = orders_out = size_in = orders_in = 0

        if action in (TRADE_ONLY, BROKEN):
            shown = 0
        elif action == CLEAR:
            side = BLANK
            row_price = row_size = NULL_LONG
            if sym >= 0:
                depth_rows = clear_side(
                    sides, levels, tally, longs, ints, chars, depth_rows, event, 2 * sym,
                    depth_levels,
                )  # fmt: skip
                depth_rows = clear_side(
                    sides, levels, tally, longs, ints, chars, depth_rows, event, 2 * sym + 1,
                    depth_levels,
                )  # fmt: skip
            else:
                tally[NO_SYMBOL] += 1
        elif action == ADD:
            slot = find_order(orders, event["order_id"])
            if slot >= 0:
                # The newer order wins. The older one leaves first; then the event comes again.
                depth_rows = evict(
                    orders, slot, sides, levels, pool, tally, longs, ints, chars, depth_rows,
                    event, depth_levels,
                )  # fmt: skip
                index -= 1
                continue
            fault = order_fault(sym, side, price, size)
            if fault > 0:
                tally[fault] += 1
            else:
                book = 2 * sym + (1 if side == SELL else 0)
                put_order(
                    orders, -1 - slot, event["order_id"], price, size, book,
                    sides[book]["generation"],
                )  # fmt: skip
                tally[USED] += 1
                tally[LIVE] += 1
                size_in = size
                orders_in = 1
        elif not is_known(action):
            tally[UNKNOWN_ACTION] += 1
            shown = 0
        else:
            key = event["ref_order_id"] if action == REPLACE else event["order_id"]
            slot = find_order(orders, key)
            if slot >= 0:
                order = orders[slot]
                book = int(order["book"])
                if order["generation"] != sides[book]["generation"]:
                    slot = -1
                    book = -1
            if action in (EXECUTE, EXECUTE_AT):
                shown = EXECUTE
            if slot < 0:
                if action == EXECUTE_AT:
                    row_price = NULL_LONG
                trade_side = opposite(side)
                # In an auction orders fill that never rested: a fill alone is not amiss.
                tally[UNKNOWN_ORDER] += action != BOOK_EXECUTE
            else:
                order = orders[slot]
                sym = book >> 1
                side = SELL if book & 1 else BUY
                trade_side = opposite(side)
                resting = int(order["size"])
                price_out = int(order["price"])
                if action == DELETE:
                    row_price = price_out
                    row_size = resting
                    size_out = -resting
                    orders_out = -1
                elif action == REDUCE or shown == EXECUTE:
                    row_price = price_out
                    if action == EXECUTE:
                        price = price_out
                    taken = size
                    if taken < 0 or taken > resting:
                        tally[NEGATIVE_SIZE] += 1
                        taken = max(0, min(taken, resting))
                    size_out = -taken
                    if taken == resting:
                        orders_out = -1
                    else:
                        order["size"] = resting - taken
                elif action in (REPLACE, MODIFY):
                    if action == REPLACE and key != event["order_id"]:
                        taken_slot = find_order(orders, event["order_id"])
                        if taken_slot >= 0:
                            # As for a new order: whoever has the new id already leaves first.
                            depth_rows = evict(
                                orders, taken_slot, sides, levels, pool, tally, longs, ints,
                                chars, depth_rows, event, depth_levels,
                            )  # fmt: skip
                            index -= 1
                            continue
                    fault = order_fault(sym, side, price, size)
                    size_out = -resting
                    orders_out = -1
                    if fault > 0:
                        tally[fault] += 1
                    else:
                        size_in = size
                        orders_in = 1
                else:
                    row_price = price_out
                if orders_out < 0:
                    remove_order(orders, slot)
                    tally[USED] -= 1
                    tally[LIVE] -= 1
                if orders_in > 0:
                    slot = -1 - find_order(orders, event["order_id"])
                    put_order(
                        orders, slot, event["order_id"], price, size, book,
                        sides[book]["generation"],
                    )  # fmt: skip
                    tally[USED] += 1
                    tally[LIVE] += 1
                    if price == price_out:
                        # One change of one level, not a removal and an addition.
                        size_in += size_out
                        orders_in = size_out = orders_out = 0

        if shown > 0:
            put_book(longs, ints, chars, book_rows, event, sym, shown, side, row_price, row_size)
            book_rows += 1
        if size_out != 0 or orders_out != 0:
            depth_rows = change_level(
                sides, levels, pool, longs, ints, chars, depth_rows, event, depth_levels,
                book, price_out, size_out, orders_out,
            )  # fmt: skip
        if size_in != 0 or orders_in != 0:
            depth_rows = change_level(
                sides, levels, pool, longs, ints, chars, depth_rows, event, depth_levels,
                book, price, size_in, orders_in,
            )  # fmt: skip
        if action == BROKEN:
            put_trade(
                longs, ints, chars, trade_rows, event, sym, broken, BLANK, NULL_LONG, NULL_LONG
            )
            trade_rows += 1
        elif action == TRADE_ONLY or (shown == EXECUTE and not event["flags"] & NOT_PRINTABLE):
            put_trade(
                longs, ints, chars, trade_rows, event, sym, event["cond"], trade_side, price, size
            )
            trade_rows += 1
        if event["flags"] & LAST and sym >= 0:
            quote_rows += quote(sides, levels, quotes, tally, longs, ints, quote_rows, event, sym)
    counts[BOOK_ROWS] = book_rows
    counts[TRADE_ROWS] = trade_rows
    counts[DEPTH_ROWS] = depth_rows
    counts[QUOTE_ROWS] = quote_rows
    return index


@inline_kernel
def opposite(side: int) -> int:
    """Give the aggressor's side from the resting one."""
    if side == BUY:
        return SELL
    return BUY if side == SELL else BLANK


@inline_kernel
def is_known(action: int) -> bool:
    """Tell whether an action that names a resting order is one of ours."""
    return action in (REDUCE, DELETE, EXECUTE, EXECUTE_AT, REPLACE, MODIFY, BOOK_EXECUTE)


@inline_kernel
def order_fault(sym: int, side: int, price: int, size: int) -> int:
    """Give the condition for which an order cannot rest, or 0."""
    if sym < 0:
        return NO_SYMBOL
    if side != BUY and side != SELL:
        return NO_SIDE
    if size <= 0:
        return NO_SIZE
    return NO_PRICE if price == NULL_LONG else 0


@inline_kernel
def change_level(
    sides: npt.NDArray[np.void],
    levels: npt.NDArray[np.void],
    pool: npt.NDArray[np.int64],
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    depth_levels: int,
    book: int,
    price: int,
    size: int,
    orders: int,
) -> int:
    """Add to a level's size and orders and write depth rows from `row` on; return the next row.

    Applied by price, the rows give exactly the best `depth_levels`: a level that a better one
    pushes out of these gets a row of size 0, with its old number.
    """
    key = -price if book & 1 else price
    side = sides[book]
    position = find_level(levels, int(side["start"]), int(side["count"]), key)
    is_new = position < side["start"] or levels[position]["key"] != key
    if is_new:
        position = open_level(side, levels, pool, position)
        levels[position]["key"] = key
        levels[position]["size"] = 0
        levels[position]["orders"] = 0
    level = levels[position]
    level["size"] += size
    level["orders"] += orders
    rank = int(side["start"]) + int(side["count"]) - 1 - position
    shown = rank < depth_levels
    if level["orders"] > 0:
        if shown:
            put_depth(
                longs, ints, chars, row, event, book, rank, key, level["size"], level["orders"]
            )
            row += 1
            if is_new and int(side["count"]) > depth_levels:
                pushed = int(side["start"]) + int(side["count"]) - 1 - depth_levels
                put_depth(
                    longs, ints, chars, row, event, book, depth_levels - 1,
                    levels[pushed]["key"], 0, 0,
                )  # fmt: skip
                row += 1
        return row
    close_level(side, levels, position)
    if shown:
        put_depth(longs, ints, chars, row, event, book, rank, key, 0, 0)
        row += 1
        entering = int(side["start"]) + int(side["count"]) - depth_levels
        if entering >= side["start"]:
            level = levels[entering]
            put_depth(
                longs, ints, chars, row, event, book, depth_levels - 1, level["key"],
                level["size"], level["orders"],
            )  # fmt: skip
            row += 1
    return row


@inline_kernel
def clear_side(
    sides: npt.NDArray[np.void],
    levels: npt.NDArray[np.void],
    tally: npt.NDArray[np.int64],
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    book: int,
    depth_levels: int,
) -> int:
    """Empty one side; its orders are swept out of their table when that grows."""
    side = sides[book]
    start = int(side["start"])
    count = int(side["count"])
    for rank in range(min(count, depth_levels) - 1, -1, -1):
        key = levels[start + count - 1 - rank]["key"]
        put_depth(longs, ints, chars, row, event, book, rank, key, 0, 0)
        row += 1
    for position in range(start, start + count):
        tally[LIVE] -= levels[position]["orders"]
    side["count"] = 0
    side["generation"] += 1
    return row


@inline_kernel
def evict(
    orders: npt.NDArray[np.void],
    slot: int,
    sides: npt.NDArray[np.void],
    levels: npt.NDArray[np.void],
    pool: npt.NDArray[np.int64],
    tally: npt.NDArray[np.int64],
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    depth_levels: int,
) -> int:
    """Take out an order whose id another one takes over; return the next depth row."""
    order = orders[slot]
    book = int(order["book"])
    if order["generation"] == sides[book]["generation"]:
        tally[DUPLICATE_ORDER] += 1
        tally[LIVE] -= 1
        row = change_level(
            sides, levels, pool, longs, ints, chars, row, event, depth_levels,
            book, order["price"], -order["size"], -1,
        )  # fmt: skip
    remove_order(orders, slot)
    tally[USED] -= 1
    return row


@inline_kernel
def quote(
    sides: npt.NDArray[np.void],
    levels: npt.NDArray[np.void],
    quotes: npt.NDArray[np.void],
    tally: npt.NDArray[np.int64],
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    row: int,
    event: np.void,
    sym: int,
) -> int:
    """Write a quote row if a symbol's best is not that of its last one; return 1 if so, else 0."""
    bid, bsize = best_of(sides, levels, 2 * sym)
    ask, asize = best_of(sides, levels, 2 * sym + 1)
    if asize != NULL_LONG:
        ask = -ask
    last = quotes[sym]
    # One way out: Numba counts references to every array around an early return.
    changed = 0
    if bid != last["bid"] or ask != last["ask"] or bsize != last["bsize"] or asize != last["asize"]:
        last["bid"] = bid
        last["ask"] = ask
        last["bsize"] = bsize
        last["asize"] = asize
        put_quote(longs, ints, row, event, sym, bid, ask, bsize, asize)
        two_sided = bsize != NULL_LONG and asize != NULL_LONG
        if two_sided and ask < bid:
            tally[CROSSED] += 1
        elif two_sided and ask == bid:
            tally[LOCKED] += 1
        changed = 1
    return changed


@inline_kernel
def best_of(
    sides: npt.NDArray[np.void], levels: npt.NDArray[np.void], book: int
) -> tuple[int, int]:
    """Give a side's best key and size, null where it is empty."""
    side = sides[book]
    if side["count"] == 0:
        return NULL_LONG, NULL_LONG
    level = levels[side["start"] + side["count"] - 1]
    return level["key"], level["size"]
