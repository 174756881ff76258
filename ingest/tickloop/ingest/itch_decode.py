"""The ITCH kernels: frames out of a byte stream, and messages into order events.

Order flow and trades become EVENT records. All other messages are listed with their symbol and
time, and read by columns afterwards. A symbol or participant that was never seen before gets the
next entry of a table; the door gives it its id after the kernel and patches this one batch.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.kernel import inline_kernel, kernel, records
from tickloop.ingest.big_endian import read_i64, read_u16, read_u32, read_u48
from tickloop.ingest.events import (
    ADD,
    BLANK,
    BROKEN,
    BUY,
    DELETE,
    EVENT,
    EXECUTE,
    EXECUTE_AT,
    LAST,
    NOT_PRINTABLE,
    REDUCE,
    REPLACE,
    SELL,
    TRADE_ONLY,
)
from tickloop.ingest.itch_layout import FLOW, LENGTH, STOCK

# A message that is no order event: its position in the call, its venue time, its symbol.
OTHER = np.dtype([("index", "<i8"), ("venue_time", "<i8"), ("sym", "<i4")], align=True)
# A name that was met: its 8 (or 4) bytes as a number, or a locate code that has no name yet;
# its symbol id, UNNAMED until the door gave it one; and the message where it was met first.
NAME = np.dtype([("key", "<i8"), ("index", "<i8"), ("locate", "<i4"), ("id", "<i4")], align=True)
UNNAMED = -1
NAMES_MAX = 1 << 17
MPIDS_MAX = 1 << 12
LOCATES = 1 << 16
DAY_NS = 86_400_000_000_000
# Message types, by the letter that the specification gives them.
A, B, C, D, E, F = (ord(letter) for letter in "ABCDEF")
P, Q, R, U, X = (ord(letter) for letter in "PQRUX")
NO = ord("N")
SPACES_8 = 0x2020202020202020
SPACES_4 = 0x20202020

# Entries of `state`.
STATE = np.dtype(
    [
        ("midnight", "<i8"),
        ("time", "<i8"),
        ("message", "<i8"),
        ("names", "<i8"),
        ("mpids", "<i8"),
        ("events", "<i8"),
        ("others", "<i8"),
        ("refused", "<i8"),
        ("p_has_side", "<i8"),
        ("time_backwards", "<i8"),
        ("stamp_past_midnight", "<i8"),
        ("unknown_locate", "<i8"),
        ("locate_changed", "<i8"),
        ("locate_mismatch", "<i8"),
        ("too_many_names", "<i8"),
        ("cross_without_shares", "<i8"),
    ]
)
CONDITIONS = STATE.names[STATE.names.index("time_backwards") :] if STATE.names else ()


class Directory(NamedTuple):
    """Which names were met: by locate code, by stock and by participant."""

    locates: npt.NDArray[np.int32]  # by locate code: position in `names`, or -1
    names: npt.NDArray[np.void]  # NAME
    stocks: npt.NDArray[np.int32]  # hash table of positions in `names`, or -1
    mpids: npt.NDArray[np.void]  # NAME
    participants: npt.NDArray[np.int32]  # hash table of positions in `mpids`, or -1


def new_directory() -> Directory:
    """Make an empty directory."""
    return Directory(
        np.full(LOCATES, -1, dtype=np.int32),
        np.zeros(NAMES_MAX, dtype=NAME),
        np.full(2 * NAMES_MAX, -1, dtype=np.int32),
        np.zeros(MPIDS_MAX, dtype=NAME),
        np.full(2 * MPIDS_MAX, -1, dtype=np.int32),
    )


@kernel(
    types.int64(
        types.uint8[::1], types.int64[::1], types.int64[::1], types.int64[::1],
        types.int64[:, ::1], types.int32[::1],
        records(STATE),
        types.int32[::1], records(NAME), types.int32[::1], records(NAME), types.int32[::1],
        records(EVENT), records(OTHER), types.int64[::1], types.int64[::1],
    )
)  # fmt: skip
def decode(
    buffer: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    recv_times: npt.NDArray[np.int64],
    layout: npt.NDArray[np.int64],
    conditions: npt.NDArray[np.int32],
    states: npt.NDArray[np.void],
    locates: npt.NDArray[np.int32],
    names: npt.NDArray[np.void],
    stocks: npt.NDArray[np.int32],
    mpids: npt.NDArray[np.void],
    participants: npt.NDArray[np.int32],
    events: npt.NDArray[np.void],
    others: npt.NDArray[np.void],
    refused: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
) -> int:
    """Decode the messages at `offsets`; return how many became events.

    `layout` is LAYOUT of itch_layout; `conditions` are symbol ids by cross type, and at 0 that of hidden trades. `times` is the
    feed's clock after each message. Messages of an unknown type or a wrong length are listed in
    `refused`. Outputs hold as many entries as there are messages.
    """
    directory = Directory(locates, names, stocks, mpids, participants)
    state = states[0]
    state["events"] = 0
    state["others"] = 0
    state["refused"] = 0
    captured = recv_times.shape[0] > 0
    for index in range(offsets.shape[0]):
        at = offsets[index]
        length = lengths[index]
        kind = 0
        if length > 0:
            kind = int(buffer[at])
        if length == 0 or length != layout[LENGTH, kind]:
            refused[state["refused"]] = index
            state["refused"] += 1
            times[index] = state["time"]
            state["message"] += 1
            continue
        stamp = read_u48(buffer, at, 5)
        venue_time = state["midnight"] + stamp
        arrival = recv_times[index] if captured else venue_time
        advance(state, stamp, arrival, captured)
        times[index] = state["time"]
        sym = symbol_of(directory, state, buffer, at, index, kind, layout)
        if layout[FLOW, kind] != 0:
            event = events[state["events"]]
            event["time"] = state["time"]
            event["venue_time"] = venue_time
            event["message"] = state["message"]
            event["sym"] = sym
            state["events"] += read_event(
                event, directory, state, buffer, at, index, kind, conditions
            )
        else:
            other = others[state["others"]]
            other["index"] = index
            other["venue_time"] = venue_time
            other["sym"] = sym
            state["others"] += 1
        state["message"] += 1
    return int(state["events"])


@inline_kernel
def advance(state: np.void, stamp: int, arrival: int, captured: bool) -> None:
    """Move the feed's clock to an arrival; it never goes back, nor past the venue's day.

    Only a capture has a clock of its own, which a wrong stamp does not touch.
    """
    if stamp > DAY_NS:
        state["stamp_past_midnight"] += 1
    if stamp > DAY_NS and not captured:
        return
    if arrival >= state["time"]:
        state["time"] = arrival
    else:
        state["time_backwards"] += 1


@inline_kernel
def symbol_of(
    directory: Directory,
    state: np.void,
    buffer: npt.NDArray[np.uint8],
    at: int,
    index: int,
    kind: int,
    layout: npt.NDArray[np.int64],
) -> int:
    """Give a message's symbol id; below UNNAMED it stands for an entry that has no id yet."""
    locate = read_u16(buffer, at, 1)
    known = int(directory.locates[locate])
    stock_at = layout[STOCK, kind]
    if stock_at == 0:
        if known < 0:
            if locate == 0 or layout[FLOW, kind] == 0:
                return NULL_SYMBOL
            known = placeholder(directory, state, locate, index)
        if known >= 0 and directory.names[known]["key"] == 0:
            state["unknown_locate"] += 1
    else:
        stock = read_i64(buffer, at, stock_at)
        if known < 0 or directory.names[known]["key"] != stock:
            known = place(directory, state, locate, stock, index, kind, known)
    if known < 0:
        return NULL_SYMBOL
    given = int(directory.names[known]["id"])
    return given if given >= 0 else -2 - known


@inline_kernel
def placeholder(directory: Directory, state: np.void, locate: int, index: int) -> int:
    """Make an entry for a locate code that no message has named; -1 if there are too many."""
    known = int(state["names"])
    if known == NAMES_MAX:
        state["too_many_names"] += 1
        return -1
    state["names"] += 1
    name = directory.names[known]
    name["key"] = 0
    name["index"] = index
    name["locate"] = locate
    name["id"] = UNNAMED
    directory.locates[locate] = known
    return known


@inline_kernel
def place(
    directory: Directory,
    state: np.void,
    locate: int,
    stock: int,
    index: int,
    kind: int,
    known: int,
) -> int:
    """Find or make the entry of a message's own stock, and let its locate code mean it.

    A directory message may change what a code means. Another message that contradicts the
    directory is believed for itself only.
    """
    if stock == 0 or stock == SPACES_8:
        return known
    first = state["names"]
    found = find_name(directory.names, directory.stocks, stock, first, NAMES_MAX)
    if found < 0:
        state["too_many_names"] += 1
        return -1
    if found == first:
        name = directory.names[found]
        name["locate"] = -1
        # A directory message makes its own instrument row.
        name["index"] = -1 if kind == R else index
        state["names"] += 1
    if locate == 0:
        return found
    contradicts = known >= 0 and directory.names[known]["key"] != 0
    if kind == R:
        if contradicts:
            state["locate_changed"] += 1
        directory.locates[locate] = found
    elif contradicts:
        state["locate_mismatch"] += 1
    else:
        directory.locates[locate] = found
    return found


@inline_kernel
def find_name(
    names: npt.NDArray[np.void], table: npt.NDArray[np.int32], key: int, used: int, most: int
) -> int:
    """Find a key's entry; make one at `used` for a new key, or give -1 where that is `most`."""
    mask = table.shape[0] - 1
    folded = (key ^ (key >> 29)) & 0x7FFFFFFF
    slot = ((folded * 0x9E3779B1) >> 13) & mask
    while table[slot] >= 0:
        if names[table[slot]]["key"] == key:
            return int(table[slot])
        slot = (slot + 1) & mask
    if used == most:
        return -1
    table[slot] = used
    names[used]["key"] = key
    names[used]["id"] = UNNAMED
    return int(used)


@inline_kernel
def read_event(
    event: np.void,
    directory: Directory,
    state: np.void,
    buffer: npt.NDArray[np.uint8],
    at: int,
    index: int,
    kind: int,
    conditions: npt.NDArray[np.int32],
) -> int:
    """Read an order message's own fields; return 1, or 0 for a cross without shares."""
    event["cond"] = NULL_SYMBOL
    event["mpid"] = NULL_SYMBOL
    event["flags"] = LAST
    event["ref_order_id"] = NULL_LONG
    event["trade_id"] = NULL_LONG
    event["side"] = BLANK
    if kind in (A, F):
        event["action"] = ADD
        event["order_id"] = read_i64(buffer, at, 11)
        event["side"] = buffer[at + 19]
        event["size"] = read_u32(buffer, at, 20)
        event["price"] = read_u32(buffer, at, 32)
        if kind == F:
            event["mpid"] = participant(directory, state, buffer, at, index)
        return 1
    if kind == D:
        event["action"] = DELETE
        event["order_id"] = read_i64(buffer, at, 11)
        event["size"] = NULL_LONG
        event["price"] = NULL_LONG
        return 1
    if kind == U:
        event["action"] = REPLACE
        event["ref_order_id"] = read_i64(buffer, at, 11)
        event["order_id"] = read_i64(buffer, at, 19)
        event["size"] = read_u32(buffer, at, 27)
        event["price"] = read_u32(buffer, at, 31)
        return 1
    if kind in (E, X, C):
        read_taking(event, buffer, at, kind)
        return 1
    return read_tape(event, state, buffer, at, kind, conditions)


@inline_kernel
def read_taking(event: np.void, buffer: npt.NDArray[np.uint8], at: int, kind: int) -> None:
    """Read what takes size off a resting order: an execution or a partial cancel."""
    event["order_id"] = read_i64(buffer, at, 11)
    event["size"] = read_u32(buffer, at, 19)
    event["price"] = NULL_LONG
    event["action"] = REDUCE
    if kind == X:
        return
    event["trade_id"] = read_i64(buffer, at, 23)
    event["action"] = EXECUTE
    if kind == C:
        event["action"] = EXECUTE_AT
        event["price"] = read_u32(buffer, at, 32)
        if buffer[at + 31] == NO:
            event["flags"] = LAST | NOT_PRINTABLE


@inline_kernel
def read_tape(
    event: np.void,
    state: np.void,
    buffer: npt.NDArray[np.uint8],
    at: int,
    kind: int,
    conditions: npt.NDArray[np.int32],
) -> int:
    """Read what goes to the tape and not to the book: hidden trades, crosses, broken trades."""
    event["order_id"] = NULL_LONG
    event["action"] = TRADE_ONLY
    if kind == P:
        event["size"] = read_u32(buffer, at, 20)
        event["price"] = read_u32(buffer, at, 32)
        event["trade_id"] = read_i64(buffer, at, 36)
        event["cond"] = conditions[0]
        # The message names the resting side; the trade row names the aggressor.
        if state["p_has_side"] != 0:
            event["side"] = SELL if buffer[at + 19] == BUY else BUY
        return 1
    if kind == Q:
        event["size"] = read_i64(buffer, at, 11)
        event["price"] = read_u32(buffer, at, 27)
        event["trade_id"] = read_i64(buffer, at, 31)
        event["cond"] = conditions[buffer[at + 39]]
        if event["size"] == 0:
            state["cross_without_shares"] += 1
            return 0
        return 1
    event["action"] = BROKEN
    event["trade_id"] = read_i64(buffer, at, 11)
    event["size"] = NULL_LONG
    event["price"] = NULL_LONG
    return 1


@inline_kernel
def participant(
    directory: Directory,
    state: np.void,
    buffer: npt.NDArray[np.uint8],
    at: int,
    index: int,
) -> int:
    """Give the symbol id of an F message's participant; below UNNAMED it has none yet."""
    key = read_u32(buffer, at, 36)
    if key == SPACES_4 or key == 0:
        return NULL_SYMBOL
    first = state["mpids"]
    found = find_name(directory.mpids, directory.participants, key, first, MPIDS_MAX)
    if found < 0:
        state["too_many_names"] += 1
        return NULL_SYMBOL
    if found == first:
        directory.mpids[found]["index"] = index
        state["mpids"] += 1
    given = int(directory.mpids[found]["id"])
    return given if given >= 0 else -2 - found
