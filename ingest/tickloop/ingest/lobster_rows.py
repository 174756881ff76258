"""What LOBSTER messages say by themselves: book, trade and status rows."""

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_SYMBOL
from tickloop.core.schema import BOOK, STATUS, TRADE
from tickloop.core.symbols import Symbols
from tickloop.ingest import events
from tickloop.ingest.book_rows import BOOK_RANK, TRADE_RANK
from tickloop.ingest.lobster_steps import (
    CANCEL,
    CROSS,
    DELETE,
    DIRECTION,
    EXECUTE,
    EXECUTE_HIDDEN,
    HALT,
    ORDER_ID,
    PARTICIPANT,
    PRICE,
    SIZE,
    SUBMIT,
    TYPE,
)
from tickloop.ingest.messages import RANK_STATUS, Messages

# Resting side and aggressor by direction + 1; a direction of 0 says nothing.
_RESTING = np.array([events.SELL, NULL_CHAR, events.BUY], dtype=np.uint8)
_AGGRESSOR = np.array([events.BUY, NULL_CHAR, events.SELL], dtype=np.uint8)
_ACTIONS = np.zeros(HALT + 1, dtype=np.uint8)
_ACTIONS[[SUBMIT, CANCEL, DELETE, EXECUTE, EXECUTE_HIDDEN, CROSS]] = [
    events.ADD,
    events.REDUCE,
    events.DELETE,
    events.EXECUTE,
    events.TRADE_ONLY,
    events.TRADE_ONLY,
]
# A halt message's price says what changed (LOBSTER's ReadMe, "Trading Halts").
_STATES = {-1: "halted", 0: "quoting", 1: "trading"}

Values = npt.NDArray[np.int64]


def are_known(values: Values) -> npt.NDArray[np.bool_]:
    """Tell which lines are messages of the format: a type of 1 to 7, a direction, a size."""
    kinds, directions = values[:, TYPE], values[:, DIRECTION]
    return np.asarray(
        (kinds >= SUBMIT) & (kinds <= HALT) & (np.abs(directions) <= 1) & (values[:, SIZE] >= 0)
    )


def _sides(values: Values, sides: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return sides[values[:, DIRECTION] + 1]


def _participants(values: Values, symbols: Symbols) -> npt.NDArray[np.int32]:
    """Name the participants of the optional seventh column; `null` and blank are nobody."""
    tags, inverse = np.unique(values[:, PARTICIPANT], return_inverse=True)
    ids = np.full(len(tags), NULL_SYMBOL, dtype=np.int32)
    for index, tag in enumerate(tags):
        name = int(tag).to_bytes(8, "little").rstrip(b"\0").decode("ascii", "replace").strip()
        if name and name.isalnum() and name != "null":
            ids[index] = symbols.id(name)
    return ids[inverse]


def book_rows(values: Values, messages: Messages, symbols: Symbols) -> Batch:
    """Make a book row of every change to a displayed order."""
    shown = values[:, TYPE] <= EXECUTE
    values, messages = values[shown], messages.take(shown)
    return messages.rows(
        BOOK,
        BOOK_RANK,
        action=_ACTIONS[values[:, TYPE]],
        order_id=values[:, ORDER_ID],
        side=_sides(values, _RESTING),
        price=values[:, PRICE],
        size=values[:, SIZE],
        mpid=_participants(values, symbols),
    )


def trade_rows(values: Values, messages: Messages, symbols: Symbols) -> Batch:
    """Make a trade row of every execution: visible, hidden, or in a cross."""
    kinds = values[:, TYPE]
    traded = (kinds >= EXECUTE) & (kinds <= CROSS)
    values, messages, kinds = values[traded], messages.take(traded), kinds[traded]
    cond = np.full(len(kinds), NULL_SYMBOL, dtype=np.int32)
    for kind, name in ((EXECUTE_HIDDEN, "hidden"), (CROSS, "cross")):
        if (kinds == kind).any():
            cond[kinds == kind] = symbols.id(name)
    sides = _sides(values, _AGGRESSOR)
    sides[kinds == CROSS] = NULL_CHAR  # nobody is the aggressor of an auction
    return messages.rows(
        TRADE, TRADE_RANK, price=values[:, PRICE], size=values[:, SIZE], side=sides, cond=cond
    )


def status_rows(values: Values, messages: Messages, symbols: Symbols) -> Batch:
    """Make a status row of every halt message."""
    halts = values[:, TYPE] == HALT
    values, messages = values[halts], messages.take(halts)
    names = [_STATES.get(int(price), "unknown") for price in values[:, PRICE]]
    return messages.rows(STATUS, RANK_STATUS, state=symbols.ids(names))
