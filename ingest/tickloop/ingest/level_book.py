"""Price-level books: sorted levels by symbol and side, and the rows that tell how their top moved.

A book is one side of one symbol. Its levels lie in one stretch of a shared pool, sorted by a key
that grows towards the best price, so that what changes most, the top, is where an insertion
moves least. The key is the price of a bid and minus the price of an ask.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel
from tickloop.core.units import NULL_LONG

Ints = npt.NDArray[np.int64]

# Columns of `books`: where a book lies in the pool, for how many levels, and how many it has.
STRETCH, ROOM, COUNT = 0, 1, 2
# Columns of the pool.
KEY, AMOUNT = 0, 1
BID_SIDE, ASK_SIDE = 0, 1

ROOM_FIRST = 256
ROOM_MAX = 1 << 16  # a side never holds more; past it the worst level is given up

# Columns of a changed level.
LEVEL, LEVEL_PRICE, LEVEL_SIZE = 0, 1, 2


@inline_kernel
def key_of(side: int, price: int) -> int:
    """Turn a price into the key that grows towards the best, or back."""
    return price if side == BID_SIDE else -price


@inline_kernel
def _place(pool: Ints, start: int, stop: int, key: int) -> int:
    # The first level from `start` whose key is at least `key`; bisection.
    while start < stop:
        middle = (start + stop) // 2
        if pool[middle, KEY] < key:
            start = middle + 1
        else:
            stop = middle
    return start


@inline_kernel
def _remove(pool: Ints, book: Ints, place: int) -> None:
    for at in range(place, book[STRETCH] + book[COUNT] - 1):
        pool[at, KEY] = pool[at + 1, KEY]
        pool[at, AMOUNT] = pool[at + 1, AMOUNT]
    book[COUNT] -= 1


@inline_kernel
def set_level(pool: Ints, book: Ints, key: int, amount: int) -> bool:
    """Set the total at a price, 0 removes it; False if that gave up the worst level of a full book.

    The caller made sure that the book has room for one more level or ROOM_MAX of them.
    """
    kept = True
    start = book[STRETCH]
    place = _place(pool, start, start + book[COUNT], key)
    found = place < start + book[COUNT] and pool[place, KEY] == key
    if found and amount > 0:
        pool[place, AMOUNT] = amount
    elif found:
        _remove(pool, book, place)
    elif amount > 0:
        if book[COUNT] == book[ROOM]:
            kept = False
            if place == start:  # the new one is itself the worst
                return kept
            _remove(pool, book, start)
            place -= 1
        for at in range(start + book[COUNT], place, -1):
            pool[at, KEY] = pool[at - 1, KEY]
            pool[at, AMOUNT] = pool[at - 1, AMOUNT]
        pool[place, KEY] = key
        pool[place, AMOUNT] = amount
        book[COUNT] += 1
    return kept


@inline_kernel
def best_level(pool: Ints, book: Ints, side: int) -> tuple[int, int]:
    """Give the best price and its size; nulls where the side is empty."""
    if book[COUNT] == 0:
        return NULL_LONG, NULL_LONG
    at = book[STRETCH] + book[COUNT] - 1
    return key_of(side, int(pool[at, KEY])), int(pool[at, AMOUNT])


@inline_kernel
def copy_top(pool: Ints, book: Ints, levels_max: int, top: Ints) -> int:
    """Copy the best levels, best first, to `top`; return how many there are."""
    count = min(int(book[COUNT]), levels_max)
    last = book[STRETCH] + book[COUNT] - 1
    for level in range(count):
        top[level, KEY] = pool[last - level, KEY]
        top[level, AMOUNT] = pool[last - level, AMOUNT]
    return count


@inline_kernel
def changed_levels(
    before: Ints, before_count: int, after: Ints, after_count: int, side: int, changes: Ints
) -> int:
    """Compare the top of a book before and after an event; return how many levels changed.

    `changes` gets (level, price, new size), from the best price on. A level that left the top has
    size 0, whether it was removed or pushed out by better ones, and its old number; one that came
    into it has its new number. So whoever applies all changes holds exactly the top of the book.
    """
    old = 0
    new = 0
    count = 0
    while old < before_count or new < after_count:
        gone = new >= after_count or (old < before_count and before[old, KEY] > after[new, KEY])
        came = not gone and (old >= before_count or after[new, KEY] > before[old, KEY])
        if gone:
            changes[count, LEVEL] = old
            changes[count, LEVEL_PRICE] = key_of(side, int(before[old, KEY]))
            changes[count, LEVEL_SIZE] = 0
            count += 1
        elif came or after[new, AMOUNT] != before[old, AMOUNT]:
            changes[count, LEVEL] = new
            changes[count, LEVEL_PRICE] = key_of(side, int(after[new, KEY]))
            changes[count, LEVEL_SIZE] = after[new, AMOUNT]
            count += 1
        if not came:
            old += 1
        if not gone:
            new += 1
    return count


class LevelBooks:
    """The books of many symbols, two a symbol, in arrays that kernels change in place."""

    def __init__(self) -> None:
        self.books: Ints = np.zeros((0, 3), dtype=np.int64)
        self.pool: Ints = np.zeros((4 * ROOM_FIRST, 2), dtype=np.int64)
        self._used = 0

    def admit(self, symbols: int) -> None:
        """Make empty books, without room yet, for symbols numbered 0 to `symbols` - 1."""
        missing = 2 * symbols - len(self.books)
        if missing > 0:
            self.books = np.concatenate([self.books, np.zeros((missing, 3), dtype=np.int64)])

    def make_room(self, book: int, levels: int) -> None:
        """Give a book room for at least `levels` levels, but never for more than ROOM_MAX."""
        room = ROOM_FIRST
        while room < min(levels, ROOM_MAX):
            room *= 2
        start, had, count = self.books[book].tolist()
        if room <= had:
            return
        if self._used + room > len(self.pool):
            extra = max(room, len(self.pool))
            self.pool = np.concatenate([self.pool, np.zeros((extra, 2), dtype=np.int64)])
        self.pool[self._used : self._used + count] = self.pool[start : start + count]
        self.books[book] = self._used, room, count
        self._used += room

    def levels(self, symbol: int, side: int) -> Ints:
        """Copy one side of a symbol, best first, as rows of (price, size)."""
        start, _, count = self.books[2 * symbol + side].tolist()
        levels = self.pool[start : start + count][::-1].copy()
        if side == ASK_SIDE:
            levels[:, KEY] = -levels[:, KEY]
        return levels

    def best(self, symbol: int) -> tuple[int, int, int, int]:
        """Give (bid, bid size, ask, ask size); nulls where a side is empty."""
        bids, asks = self.levels(symbol, BID_SIDE), self.levels(symbol, ASK_SIDE)
        nothing = (NULL_LONG, NULL_LONG)
        return (
            *(map(int, bids[0]) if len(bids) else nothing),
            *(map(int, asks[0]) if len(asks) else nothing),
        )
