"""The ITCH kernel: messages at known places into order events.

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
from tickloop.ingest.big_endian import read_i64, read_u16, read_u32
from tickloop.ingest.events import BLANK, BUY, EVENT, LAST, NOT_PRINTABLE, SELL
from tickloop.ingest.itch_layout import (
    ACTION,
    HAS_STOCK,
    LENGTH,
    ORDER_ID,
    PRICE,
    REF_ORDER_ID,
    SIDE,
    SIZE,
    SPECIAL,
    STOCK,
    TRADE_ID,
)

# A message that is no order event: its position in the call, its venue time, its symbol.
OTHER = np.dtype([("index", "<i8"), ("venue_time", "<i8"), ("sym", "<i4")], align=True)
# A name that was met: its bytes as a number; the message of the call where it was met first, or
# -1; a locate code that stands without a name, or what kind of name it is; and its symbol id,
# UNNAMED until the door gave it one.
NAME = np.dtype([("key", "<i8"), ("index", "<i8"), ("locate", "<i4"), ("id", "<i4")], align=True)
STOCK_NAME, MPID_NAME = -1, -2
UNNAMED = -1
NAMES_MAX = 1 << 17
LOCATES = 1 << 16
DAY_NS = 86_400_000_000_000
STAMP_MASK = (1 << 48) - 1
C, F, P, Q, R, NO = (ord(letter) for letter in "CFPQRN")
SPACES_8 = 0x2020202020202020
SPACES_4 = 0x20202020

STATE = np.dtype(
    [
        ("midnight", "<i8"),
        ("time", "<i8"),
        ("message", "<i8"),
        ("names", "<i8"),
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
# The conditions among them, which the door counts and sets back.
CONDITIONS = (
    "time_backwards",
    "stamp_past_midnight",
    "unknown_locate",
    "locate_changed",
    "locate_mismatch",
    "too_many_names",
    "cross_without_shares",
)


class Directory(NamedTuple):
    """Which names were met."""

    locates: npt.NDArray[np.int32]  # by locate code: position in `names`, or -1
    names: npt.NDArray[np.void]  # NAME
    table: npt.NDArray[np.int32]  # hash table of positions in `names`, or -1


def new_directory() -> Directory:
    """Make an empty directory."""
    return Directory(
        np.full(LOCATES, -1, dtype=np.int32),
        np.zeros(NAMES_MAX, dtype=NAME),
        np.full(2 * NAMES_MAX, -1, dtype=np.int32),
    )


@kernel(
    types.int64(
        types.uint8[::1], types.int64[::1], types.int64[::1], types.int64[::1],
        types.int64[:, ::1], types.int32[::1], records(STATE),
        types.int32[::1], records(NAME), types.int32[::1],
        records(EVENT), records(OTHER), types.int64[::1], types.int64[::1],
    ),
)  # fmt: skip
def decode(  # noqa: C901
    buffer: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    recv_times: npt.NDArray[np.int64],
    layout: npt.NDArray[np.int64],
    conditions: npt.NDArray[np.int32],
    states: npt.NDArray[np.void],
    locates: npt.NDArray[np.int32],
    names: npt.NDArray[np.void],
    table: npt.NDArray[np.int32],
    events: npt.NDArray[np.void],
    others: npt.NDArray[np.void],
    refused: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
) -> int:
    """Decode the messages at `offsets`; return how many became events.

    `layout` is LAYOUT of itch_layout; `conditions` are symbol ids by cross type, and at 0 that
    of hidden trades. `times` is the feed's clock after each message. Messages of an unknown type
    or a wrong length are listed in `refused`. Outputs hold as many entries as messages came.
    """
    state = states[0]
    captured = recv_times.shape[0] > 0
    first = state["message"]
    now = state["time"]
    decoded = 0
    listed = 0
    bad = 0
    for index in range(offsets.shape[0]):
        at = offsets[index]
        length = lengths[index]
        kind = 0
        if length > 0:
            kind = int(buffer[at])
        if length == 0 or length != layout[LENGTH, kind]:
            refused[bad] = index
            bad += 1
            times[index] = now
            continue
        stamp = read_i64(buffer, at, 3) & STAMP_MASK  # tracking number, then 6 bytes of stamp
        venue_time = state["midnight"] + stamp
        arrival = recv_times[index] if captured else venue_time
        # A stamp past the venue's day must not carry the clock away; a capture has its own.
        if stamp > DAY_NS:
            state["stamp_past_midnight"] += 1
            arrival = arrival if captured else now
        if arrival < now:
            state["time_backwards"] += 1
        else:
            now = arrival
        times[index] = now

        locate = read_u16(buffer, at, 1)
        known = int(locates[locate])
        action = layout[ACTION, kind]
        stock_at = layout[STOCK, kind]
        # Fields that a type lacks are read at 0 and thrown away: branches on the type would be
        # guessed wrong at every other message.
        unlike = read_i64(buffer, at, stock_at) ^ names[known]["key"]
        if known < 0 or unlike & layout[HAS_STOCK, kind] != 0:
            if stock_at > 0:
                known = place(locates, names, table, state, locate, buffer, at, index, layout)
            elif known < 0 and locate > 0 and action > 0:
                known = placeholder(locates, names, state, locate, index)
        sym = NULL_SYMBOL
        if known >= 0:
            sym = names[known]["id"]
            if sym < 0:
                sym = -2 - known
            if names[known]["key"] == 0 and stock_at == 0:
                state["unknown_locate"] += 1

        if action == 0:
            other = others[listed]
            other["index"] = index
            other["venue_time"] = venue_time
            other["sym"] = sym
            listed += 1
            continue
        event = events[decoded]
        event["time"] = now
        event["venue_time"] = venue_time
        event["message"] = first + index
        event["sym"] = sym
        event["action"] = action
        event["order_id"] = long_at(buffer, at, layout[ORDER_ID, kind])
        event["ref_order_id"] = long_at(buffer, at, layout[REF_ORDER_ID, kind])
        event["trade_id"] = long_at(buffer, at, layout[TRADE_ID, kind])
        event["price"] = int_at(buffer, at, layout[PRICE, kind])
        event["size"] = int_at(buffer, at, layout[SIZE, kind])
        side_at = layout[SIDE, kind]
        side = buffer[at + side_at]
        event["side"] = side if side_at > 0 else BLANK
        event["cond"] = NULL_SYMBOL
        event["mpid"] = NULL_SYMBOL
        event["flags"] = LAST
        decoded += 1
        if layout[SPECIAL, kind] == 0:
            continue
        if kind == F:
            event["mpid"] = participant(names, table, state, read_u32(buffer, at, 36), index)
        elif kind == C and buffer[at + 31] == NO:
            event["flags"] = LAST | NOT_PRINTABLE
        elif kind == P:
            event["cond"] = conditions[0]
            # The message names the resting side; the trade row names the aggressor.
            if state["p_has_side"] != 0:
                event["side"] = SELL if buffer[at + 19] == BUY else BUY
        elif kind == Q:
            event["cond"] = conditions[buffer[at + 39]]
            event["size"] = read_i64(buffer, at, 11)
            if event["size"] == 0:
                state["cross_without_shares"] += 1
                decoded -= 1
    state["time"] = now
    state["message"] += offsets.shape[0]
    state["events"] = decoded
    state["others"] = listed
    state["refused"] = bad
    return decoded


@inline_kernel
def long_at(buffer: npt.NDArray[np.uint8], at: int, offset: int) -> int:
    """Read an 8-byte field; null where the type has none."""
    value = read_i64(buffer, at, offset)
    return value if offset > 0 else NULL_LONG


@inline_kernel
def int_at(buffer: npt.NDArray[np.uint8], at: int, offset: int) -> int:
    """Read a 4-byte field; null where the type has none."""
    value = read_u32(buffer, at, offset)
    return value if offset > 0 else NULL_LONG


@inline_kernel
def placeholder(
    locates: npt.NDArray[np.int32],
    names: npt.NDArray[np.void],
    state: np.void,
    locate: int,
    index: int,
) -> int:
    """Make an entry for a locate code that no message has named; -1 if there are too many."""
    known = int(state["names"])
    if known == NAMES_MAX:
        state["too_many_names"] += 1
        return -1
    state["names"] += 1
    name = names[known]
    name["key"] = 0
    name["index"] = index
    name["locate"] = locate
    name["id"] = UNNAMED
    locates[locate] = known
    return known


@inline_kernel
def place(
    locates: npt.NDArray[np.int32],
    names: npt.NDArray[np.void],
    table: npt.NDArray[np.int32],
    state: np.void,
    locate: int,
    buffer: npt.NDArray[np.uint8],
    at: int,
    index: int,
    layout: npt.NDArray[np.int64],
) -> int:
    """Find or make the entry of a message's own stock, and let its locate code mean it.

    A directory message may change what a code means. Another message that contradicts the
    directory is believed for itself only. Code 0 belongs to no stock.
    """
    known = int(locates[locate])
    kind = buffer[at]
    stock = read_i64(buffer, at, layout[STOCK, kind])
    if stock == 0 or stock == SPACES_8:
        return known
    # A directory message makes its own instrument row.
    found = find_name(names, table, state, stock, STOCK_NAME, -1 if kind == R else index)
    if found < 0 or locate == 0:
        return found
    contradicts = known >= 0 and names[known]["key"] != 0
    if contradicts and kind == R:
        state["locate_changed"] += 1
    elif contradicts:
        state["locate_mismatch"] += 1
        return found
    locates[locate] = found
    return found


@inline_kernel
def find_name(
    names: npt.NDArray[np.void],
    table: npt.NDArray[np.int32],
    state: np.void,
    key: int,
    sort: int,
    index: int,
) -> int:
    """Find a name's entry, or make one; -1 where there are too many."""
    mask = table.shape[0] - 1
    folded = (key ^ (key >> 29)) & 0x7FFFFFFF
    slot = ((folded * 0x9E3779B1) >> 13) & mask
    while table[slot] >= 0:
        known = int(table[slot])
        if names[known]["key"] == key and names[known]["locate"] == sort:
            return known
        slot = (slot + 1) & mask
    made = int(state["names"])
    if made == NAMES_MAX:
        state["too_many_names"] += 1
        return -1
    state["names"] += 1
    table[slot] = made
    name = names[made]
    name["key"] = key
    name["index"] = index
    name["locate"] = sort
    name["id"] = UNNAMED
    return made


@inline_kernel
def participant(
    names: npt.NDArray[np.void], table: npt.NDArray[np.int32], state: np.void, key: int, index: int
) -> int:
    """Give the symbol id of an F message's participant; below UNNAMED it has none yet."""
    if key == 0 or key == SPACES_4:
        return NULL_SYMBOL
    known = find_name(names, table, state, key, MPID_NAME, index)
    if known < 0:
        return NULL_SYMBOL
    given = int(names[known]["id"])
    return given if given >= 0 else -2 - known
