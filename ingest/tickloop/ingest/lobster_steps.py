"""How one LOBSTER message turns a level-N book row into the next: checked, or inferred."""

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.ladders import ASK, BID, BID_SIZE, WIDTH

SUBMIT, CANCEL, DELETE, EXECUTE, EXECUTE_HIDDEN, CROSS, HALT = range(1, 8)
# Columns of a parsed message line.
TIME, TYPE, ORDER_ID, SIZE, PRICE, DIRECTION, PARTICIPANT = range(7)


@inline_kernel
def _level_of(ladder: npt.NDArray[np.int64], side: int, price: int) -> int:
    """Find the level with this price, or else the first one that is worse; levels if none is."""
    levels: int = ladder.shape[0] // WIDTH
    for level in range(levels):
        at = ladder[WIDTH * level + side]
        if at == NULL_LONG or (at <= price if side == BID else at >= price):
            return level
    return levels


@inline_kernel
def _move(ladder: npt.NDArray[np.int64], side: int, to: int, source: int) -> None:
    for field in (side, BID_SIZE + side):
        ladder[WIDTH * to + field] = ladder[WIDTH * source + field]


@inline_kernel
def _insert(ladder: npt.NDArray[np.int64], side: int, level: int, price: int, size: int) -> None:
    for lower in range(ladder.shape[0] // WIDTH - 1, level, -1):
        _move(ladder, side, lower, lower - 1)
    ladder[WIDTH * level + side] = price
    ladder[WIDTH * level + BID_SIZE + side] = size


@inline_kernel
def _remove(ladder: npt.NDArray[np.int64], side: int, level: int) -> None:
    levels = ladder.shape[0] // WIDTH
    for upper in range(level, levels - 1):
        _move(ladder, side, upper, upper + 1)
    for field in (side, BID_SIZE + side):
        ladder[WIDTH * (levels - 1) + field] = NULL_LONG


@inline_kernel
def step(ladder: npt.NDArray[np.int64], message: npt.NDArray[np.int64]) -> None:
    """Apply a message to a ladder of known levels, in place; what it cannot touch stays."""
    kind = message[TYPE]
    if kind < SUBMIT or kind > EXECUTE:
        return
    side = BID if message[DIRECTION] > 0 else ASK
    price, size = message[PRICE], message[SIZE]
    level = _level_of(ladder, side, price)
    if level == ladder.shape[0] // WIDTH:
        return
    known = ladder[WIDTH * level + side] == price
    if kind == SUBMIT and not known:
        _insert(ladder, side, level, price, size)
    elif known:
        at = WIDTH * level + BID_SIZE + side
        ladder[at] += size if kind == SUBMIT else -size
        if ladder[at] <= 0:
            _remove(ladder, side, level)


@inline_kernel
def _side_follows(
    expected: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    side: int,
) -> bool:
    """Tell whether the known levels are as expected and only deeper ones are new."""
    levels = row.shape[0] // WIDTH
    worst = before[WIDTH * (levels - 1) + side]
    for level in range(levels):
        at = WIDTH * level + side
        price = row[at]
        if expected[at] != NULL_LONG:
            if price != expected[at] or row[at + BID_SIZE] != expected[at + BID_SIZE]:
                return False
        elif price != NULL_LONG and (
            worst == NULL_LONG or (price >= worst if side == BID else price <= worst)
        ):
            return False
    return True


@kernel("int64(int64[:, ::1], int64[:, ::1], int64[::1])", allocates=True)
def broken_steps(
    messages: npt.NDArray[np.int64],
    ladders: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
) -> int:
    """Count the rows that are not what their message makes of the row before.

    `ladders` are the book file's rows (rows × 6·levels, see ladders.py), row i being the book
    after message i; `before` is the row before the first, and becomes the last one. A row counts
    as followed if every level that was known is as the message leaves it and whatever is new lies
    beyond the worst price known before.
    """
    broken = 0
    expected = before.copy()
    for row in range(ladders.shape[0]):
        expected[:] = before
        step(expected, messages[row])
        if not (
            _side_follows(expected, ladders[row], before, BID)
            and _side_follows(expected, ladders[row], before, ASK)
        ):
            broken += 1
        before[:] = ladders[row]
    return broken


@inline_kernel
def _drop_better(ladder: npt.NDArray[np.int64], side: int, price: int, inclusive: bool) -> int:
    """Remove the levels of a side that are better than a price; return how many there were."""
    dropped = 0
    while ladder[side] != NULL_LONG:
        best = ladder[side]
        better = best > price if side == BID else best < price
        if not better and not (inclusive and best == price):
            break
        _remove(ladder, side, 0)
        dropped += 1
    return dropped


@inline_kernel
def _believe(ladder: npt.NDArray[np.int64], message: npt.NDArray[np.int64], levels: int) -> int:
    """Remove levels that a message shows to be gone; return how many.

    The file is silent about what is deeper than its levels, so a level that was remembered may
    have gone out of sight. A submission does not cross, so levels on the other side up to its
    price are gone; an execution is at the best price, so better ones are gone; and in a file of
    one level every message is at the best price of its side.
    """
    kind, price = message[TYPE], message[PRICE]
    side = BID if message[DIRECTION] > 0 else ASK
    gone = 0
    if kind == SUBMIT:
        gone += _drop_better(ladder, ASK - side, price, True)
    if kind == EXECUTE or levels == 1:
        gone += _drop_better(ladder, side, price, False)
    return gone


@kernel("void(int64[:, ::1], int64[::1], int64[:, ::1], int64[::1])", allocates=True)
def infer_ladders(
    messages: npt.NDArray[np.int64],
    memory: npt.NDArray[np.int64],
    ladders: npt.NDArray[np.int64],
    tally: npt.NDArray[np.int64],
) -> None:
    """Fold messages over the levels they tell of, and write the best levels after each.

    `memory` is a deep ladder that is carried from call to call; `ladders` has the file's number
    of levels. `tally` counts levels found gone, and messages about a level that was not known.
    """
    levels = ladders.shape[1] // WIDTH
    for row in range(messages.shape[0]):
        message = messages[row]
        if SUBMIT <= message[TYPE] <= EXECUTE:
            tally[0] += _believe(memory, message, levels)
            side = BID if message[DIRECTION] > 0 else ASK
            level = _level_of(memory, side, message[PRICE])
            known = (
                level < memory.shape[0] // WIDTH and memory[WIDTH * level + side] == message[PRICE]
            )
            tally[1] += message[TYPE] != SUBMIT and not known
            step(memory, message)
        ladders[row, :] = memory[: ladders.shape[1]]
