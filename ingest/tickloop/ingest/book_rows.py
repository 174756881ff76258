"""Rows that the books produce, as columns: one block of int64, one of int32, one of bytes.

A kernel fills the first `counts[table]` entries of each column; the door turns them into batches
without copying. Column numbers are rows of the blocks.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.kernel import inline_kernel
from tickloop.core.schema import BOOK, DEPTH, QUOTE, TRADE, Table
from tickloop.ingest.events import BUY, SELL

BOOK_ROWS, TRADE_ROWS, DEPTH_ROWS, QUOTE_ROWS = range(4)
TABLES: tuple[Table, ...] = (BOOK, TRADE, DEPTH, QUOTE)

# Keys are message * 64 + rank: within one message the book comes first and the quote last.
KEYS_PER_MESSAGE = 64
BOOK_RANK, TRADE_RANK, DEPTH_RANK, QUOTE_RANK = 16, 24, 32, 40

# The first column of each table in a block; the names after it follow in order.
LONGS: tuple[tuple[str, ...], ...] = (
    ("_place", "time", "venue_time", "order_id", "price", "size", "ref_order_id"),
    ("_place", "time", "venue_time", "price", "size", "trade_id"),
    ("_place", "time", "venue_time", "price", "size"),
    ("_place", "time", "venue_time", "bid", "ask", "bsize", "asize"),
)
INTS: tuple[tuple[str, ...], ...] = (
    ("sym", "mpid"),
    ("sym", "cond"),
    ("sym", "level", "orders"),
    ("sym",),
)
CHARS: tuple[tuple[str, ...], ...] = (("action", "side"), ("side",), ("side",), ())
BOOK_LONG, TRADE_LONG, DEPTH_LONG, QUOTE_LONG = 0, 7, 13, 18
BOOK_INT, TRADE_INT, DEPTH_INT, QUOTE_INT = 0, 2, 4, 7
BOOK_CHAR, TRADE_CHAR, DEPTH_CHAR = 0, 2, 3
LONG_COLUMNS, INT_COLUMNS, CHAR_COLUMNS = 25, 8, 4
# Keeps columns of a power-of-two length from falling into the same cache sets.
SKEW = 40


class Rows(NamedTuple):
    """Blocks that a kernel fills, and how many rows of each table it has filled."""

    longs: npt.NDArray[np.int64]
    ints: npt.NDArray[np.int32]
    chars: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int64]


def new_rows(capacity: int) -> Rows:
    """Make room for `capacity` rows of each table; pages that stay empty cost nothing."""
    return Rows(
        np.empty((LONG_COLUMNS, capacity + SKEW), dtype=np.int64),
        np.empty((INT_COLUMNS, capacity + SKEW), dtype=np.int32),
        np.empty((CHAR_COLUMNS, capacity + SKEW), dtype=np.uint8),
        np.zeros(len(TABLES), dtype=np.int64),
    )


@inline_kernel
def put_book(
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    sym: int,
    action: int,
    side: int,
    price: int,
    size: int,
) -> None:
    """Write a book row."""
    longs[BOOK_LONG, row] = event["message"] * KEYS_PER_MESSAGE + BOOK_RANK
    longs[BOOK_LONG + 1, row] = event["time"]
    longs[BOOK_LONG + 2, row] = event["venue_time"]
    longs[BOOK_LONG + 3, row] = event["order_id"]
    longs[BOOK_LONG + 4, row] = price
    longs[BOOK_LONG + 5, row] = size
    longs[BOOK_LONG + 6, row] = event["ref_order_id"]
    ints[BOOK_INT, row] = sym
    ints[BOOK_INT + 1, row] = event["mpid"]
    chars[BOOK_CHAR, row] = action
    chars[BOOK_CHAR + 1, row] = side


@inline_kernel
def put_trade(
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    sym: int,
    cond: int,
    side: int,
    price: int,
    size: int,
) -> None:
    """Write a trade row; `side` is the aggressor's."""
    longs[TRADE_LONG, row] = event["message"] * KEYS_PER_MESSAGE + TRADE_RANK
    longs[TRADE_LONG + 1, row] = event["time"]
    longs[TRADE_LONG + 2, row] = event["venue_time"]
    longs[TRADE_LONG + 3, row] = price
    longs[TRADE_LONG + 4, row] = size
    longs[TRADE_LONG + 5, row] = event["trade_id"]
    ints[TRADE_INT, row] = sym
    ints[TRADE_INT + 1, row] = cond
    chars[TRADE_CHAR, row] = side


@inline_kernel
def put_depth(
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    chars: npt.NDArray[np.uint8],
    row: int,
    event: np.void,
    book: int,
    level: int,
    key: int,
    size: int,
    orders: int,
) -> None:
    """Write a depth row; `book` is symbol id * 2 + side and `key` the signed price."""
    longs[DEPTH_LONG, row] = event["message"] * KEYS_PER_MESSAGE + DEPTH_RANK
    longs[DEPTH_LONG + 1, row] = event["time"]
    longs[DEPTH_LONG + 2, row] = event["venue_time"]
    longs[DEPTH_LONG + 3, row] = -key if book & 1 else key
    longs[DEPTH_LONG + 4, row] = size
    ints[DEPTH_INT, row] = book >> 1
    ints[DEPTH_INT + 1, row] = level
    ints[DEPTH_INT + 2, row] = orders
    chars[DEPTH_CHAR, row] = SELL if book & 1 else BUY


@inline_kernel
def put_quote(
    longs: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    row: int,
    event: np.void,
    sym: int,
    bid: int,
    ask: int,
    bsize: int,
    asize: int,
) -> None:
    """Write a quote row."""
    longs[QUOTE_LONG, row] = event["message"] * KEYS_PER_MESSAGE + QUOTE_RANK
    longs[QUOTE_LONG + 1, row] = event["time"]
    longs[QUOTE_LONG + 2, row] = event["venue_time"]
    longs[QUOTE_LONG + 3, row] = bid
    longs[QUOTE_LONG + 4, row] = ask
    longs[QUOTE_LONG + 5, row] = bsize
    longs[QUOTE_LONG + 6, row] = asize
    ints[QUOTE_INT, row] = sym


def batches(rows: Rows, venue_id: int) -> list[Batch]:
    """Give the filled columns as BOOK, TRADE, DEPTH and QUOTE batches, also the empty ones."""
    made = []
    long = integer = char = 0
    for table, count in zip(range(len(TABLES)), rows.counts.tolist(), strict=True):
        columns: dict[str, npt.NDArray[np.generic]] = {}
        columns.update(_named(LONGS[table], rows.longs, long, count))
        columns.update(_named(INTS[table], rows.ints, integer, count))
        columns.update(_named(CHARS[table], rows.chars, char, count))
        columns["ex"] = np.full(count, venue_id, dtype=np.int32)
        made.append(Batch(TABLES[table], columns))
        long += len(LONGS[table])
        integer += len(INTS[table])
        char += len(CHARS[table])
    return made


def _named(
    names: tuple[str, ...], block: npt.NDArray[np.generic], first: int, count: int
) -> dict[str, npt.NDArray[np.generic]]:
    return {name: block[first + index, :count] for index, name in enumerate(names)}
