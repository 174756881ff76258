"""The record of integers that a Binance frame becomes, and how JSON members fill it."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel
from tickloop.ingest.json_scan import (
    BACKSLASH,
    BAD,
    BRACE_CLOSE,
    BRACE_OPEN,
    BRACKET_CLOSE,
    BRACKET_OPEN,
    COMMA,
    MINUS,
    NINE,
    QUOTE_MARK,
    REFUSED,
    SPACE,
    ZERO,
    Text,
    byte_at,
    decimal,
    integer,
    same,
    skip_colon,
    skip_number,
    skip_space,
    skip_string,
    skip_value,
)

Ints = npt.NDArray[np.int64]

# What a line turned out to be.
MALFORMED, REFUSED_VALUE, NAMES_FULL, OTHER, CONTROL = 0, 1, 2, 3, 4
TRADE_FRAME, TICKER_FRAME, DIFF_FRAME, SNAPSHOT_FRAME, LOST_FRAME = 5, 6, 7, 8, 9
KINDS = 10

# Columns of a frame. Prices and sizes are units, ids are the venue's, spans are (at, size).
KIND, START, END, RECV, VENUE_TIME, SYM, EVENT = 0, 1, 2, 3, 4, 5, 6
FIRST_ID, LAST_ID, PREVIOUS_ID, TRADE_ID, MAKER = 7, 8, 9, 10, 11
PRICE, SIZE, BID, BID_SIZE, ASK, ASK_SIZE = 12, 13, 14, 15, 16, 17
BIDS, BIDS_SIZE, ASKS, ASKS_SIZE = 18, 19, 20, 21
HAS, REFUSALS, STAMP_E, STAMP_T = 22, 23, 24, 25
NAME, NAME_SIZE, SYMBOL, SYMBOL_SIZE, STREAM, STREAM_SIZE = 26, 27, 28, 29, 30, 31
FRAME_COLUMNS = 32

# Bits of HAS and REFUSALS: which fields came, and which of them held a value that was refused.
HAS_NAME, HAS_SYMBOL, HAS_STREAM, HAS_DATA, HAS_REPLY = 1, 2, 4, 8, 16
HAS_FIRST, HAS_LAST, HAS_PREVIOUS, HAS_TRADE, HAS_MAKER = 32, 64, 128, 256, 512
HAS_PRICE, HAS_SIZE, HAS_BID, HAS_BID_SIZE = 1024, 2048, 4096, 8192
HAS_ASK, HAS_ASK_SIZE, HAS_BIDS, HAS_ASKS = 16384, 32768, 65536, 131072
HAS_SNAPSHOT, HAS_AGGREGATE, HAS_E, HAS_T = 262144, 524288, 1048576, 2097152

TRADE_NEEDS = HAS_SYMBOL | HAS_PRICE | HAS_SIZE | HAS_MAKER
TICKER_NEEDS = HAS_SYMBOL | HAS_LAST | HAS_BID | HAS_BID_SIZE | HAS_ASK | HAS_ASK_SIZE
DIFF_NEEDS = HAS_SYMBOL | HAS_FIRST | HAS_LAST | HAS_BIDS | HAS_ASKS
SNAPSHOT_NEEDS = HAS_SNAPSHOT | HAS_BIDS | HAS_ASKS

# Keys longer than one letter; one-letter keys are their own code.
KEY_OTHER, KEY_PREVIOUS, KEY_SNAPSHOT, KEY_STREAM, KEY_DATA, KEY_REPLY = 0, 1, 2, 3, 4, 5
KEY_ASKS, KEY_BIDS, KEY_MAKER = ord("a"), ord("b"), ord("m")
KEYS = 128


def _by_key(values: dict[str | int, int]) -> Ints:
    table = np.zeros(KEYS, dtype=np.int64)
    for key, value in values.items():
        table[ord(key) if isinstance(key, str) else key] = value
    return table


# What a member under a key means, by the type of its value: the bit that says it came, and the
# column it goes to. One letter means several things: `a` is the ask, the asks, or aggTrade's id.
NAME_BIT = _by_key({"e": HAS_NAME, "s": HAS_SYMBOL, KEY_STREAM: HAS_STREAM})
NAME_COLUMN = _by_key({"e": NAME, "s": SYMBOL, KEY_STREAM: STREAM})
PRICE_BIT = _by_key({"p": HAS_PRICE, "b": HAS_BID, "a": HAS_ASK})
PRICE_COLUMN = _by_key({"p": PRICE, "b": BID, "a": ASK})
SIZE_BIT = _by_key({"q": HAS_SIZE, "B": HAS_BID_SIZE, "A": HAS_ASK_SIZE})
SIZE_COLUMN = _by_key({"q": SIZE, "B": BID_SIZE, "A": ASK_SIZE})
NUMBER_BIT = _by_key(
    {
        "E": HAS_E,
        "T": HAS_T,
        "t": HAS_TRADE,
        "a": HAS_AGGREGATE,
        "U": HAS_FIRST,
        "u": HAS_LAST,
        KEY_PREVIOUS: HAS_PREVIOUS,
        KEY_SNAPSHOT: HAS_SNAPSHOT,
    }
)
NUMBER_COLUMN = _by_key(
    {
        "E": STAMP_E,
        "T": STAMP_T,
        "t": TRADE_ID,
        "a": FIRST_ID,
        "U": FIRST_ID,
        "u": LAST_ID,
        KEY_PREVIOUS: PREVIOUS_ID,
        KEY_SNAPSHOT: LAST_ID,
    }
)
LEVELS_BIT = _by_key({"a": HAS_ASKS, "b": HAS_BIDS, "m": HAS_MAKER})
ANY_BIT = NAME_BIT | PRICE_BIT | SIZE_BIT | NUMBER_BIT | LEVELS_BIT

LEVEL_BYTES_MIN = 7  # ["",""]


@inline_kernel
def _key_code(text: Text, at: int, size: int) -> int:
    if size == 1:
        byte = byte_at(text, at)
        return byte if SPACE < byte < KEYS else KEY_OTHER
    if size == 2 and same(text, at, size, b"pu"):
        return KEY_PREVIOUS
    if same(text, at, size, b"bids"):
        return KEY_BIDS
    if same(text, at, size, b"asks"):
        return KEY_ASKS
    if same(text, at, size, b"lastUpdateId"):
        return KEY_SNAPSHOT
    if same(text, at, size, b"stream"):
        return KEY_STREAM
    if same(text, at, size, b"data"):
        return KEY_DATA
    if same(text, at, size, b"result") or same(text, at, size, b"error"):
        return KEY_REPLY
    return KEY_OTHER


@inline_kernel
def _note(row: Ints, bit: int, column: int, value: int) -> None:
    row[HAS] |= bit
    row[column] = value
    if value == REFUSED:
        row[REFUSALS] |= bit
    else:
        row[REFUSALS] &= ~bit


@inline_kernel
def _note_name(row: Ints, text: Text, key: int, at: int, stop: int) -> None:
    # Escapes are not decoded: the frame then lacks its name and is set aside.
    for index in range(at, stop):
        if text[index] == BACKSLASH:
            return
    row[HAS] |= NAME_BIT[key]
    row[NAME_COLUMN[key]] = at
    row[NAME_COLUMN[key] + 1] = stop - at


@inline_kernel
def _note_text(row: Ints, text: Text, key: int, at: int, stop: int, places: Ints) -> None:
    if PRICE_BIT[key]:
        _note(row, PRICE_BIT[key], PRICE_COLUMN[key], decimal(text, at, stop, places[0]))
    elif SIZE_BIT[key]:
        _note(row, SIZE_BIT[key], SIZE_COLUMN[key], decimal(text, at, stop, places[1]))
    elif NAME_BIT[key]:
        _note_name(row, text, key, at, stop)


@inline_kernel
def _level_text(text: Text, at: int, end: int, places: int) -> tuple[int, int]:
    # (where it stopped, value)
    at = skip_space(text, at, end)
    stop = skip_string(text, at, end)
    if stop < 0:
        return BAD, REFUSED
    return skip_space(text, stop, end), decimal(text, at + 1, stop - 1, places)


@inline_kernel
def _level(text: Text, at: int, end: int, level: Ints, places: Ints) -> int:
    # ["price","size"]; what else an entry holds (older streams add an empty list) is passed.
    if text[at] != BRACKET_OPEN:
        return BAD
    at, level[0] = _level_text(text, at + 1, end, places[0])
    if at < 0 or at >= end or text[at] != COMMA:
        return BAD
    at, level[1] = _level_text(text, at + 1, end, places[1])
    while 0 <= at < end and text[at] == COMMA:
        at = skip_value(text, at + 1, end)
        if at >= 0:
            at = skip_space(text, at, end)
    if at < 0 or at >= end or text[at] != BRACKET_CLOSE:
        return BAD
    return at + 1


@inline_kernel
def _levels(
    text: Text, at: int, end: int, levels: Ints, used: int, places: Ints
) -> tuple[int, int, bool]:
    # (where it stopped, levels used, whether a value was refused); `at` is at the bracket.
    refused = False
    at = skip_space(text, at + 1, end)
    if at < end and text[at] == BRACKET_CLOSE:
        return at + 1, used, refused
    while at < end:
        at = _level(text, at, end, levels[used], places)
        if at < 0:
            break
        refused = refused or levels[used, 0] == REFUSED or levels[used, 1] == REFUSED
        used += 1
        at = skip_space(text, at, end)
        if at < end and text[at] == BRACKET_CLOSE:
            return at + 1, used, refused
        if at >= end or text[at] != COMMA:
            break
        at = skip_space(text, at + 1, end)
    return BAD, used, refused


@inline_kernel
def _note_levels(
    row: Ints, text: Text, key: int, at: int, end: int, levels: Ints, cursor: Ints, places: Ints
) -> int:
    column = BIDS if key == KEY_BIDS else ASKS
    start = cursor[0]
    stop, used, refused = _levels(text, at, end, levels, start, places)
    if stop < 0:  # another event's array under the same letter
        return skip_value(text, at, end)
    cursor[0] = used
    _note(row, LEVELS_BIT[key], column, REFUSED if refused else start)
    row[column + 1] = used - start
    return stop


@inline_kernel
def _member(
    row: Ints, text: Text, key: int, at: int, end: int, levels: Ints, cursor: Ints, places: Ints
) -> int:
    # Take in one value; return where it stopped. Of equal keys the last one counts.
    row[HAS] &= ~ANY_BIT[key]
    byte = text[at]
    if byte == QUOTE_MARK:
        stop = skip_string(text, at, end)
        if stop > 0:
            _note_text(row, text, key, at + 1, stop - 1, places)
        return stop
    if byte == MINUS or (byte >= ZERO and byte <= NINE):
        stop = skip_number(text, at, end)
        if stop > 0 and NUMBER_BIT[key]:
            _note(row, NUMBER_BIT[key], NUMBER_COLUMN[key], integer(text, at, stop))
        return stop
    if byte == BRACKET_OPEN and key in (KEY_BIDS, KEY_ASKS):
        return _note_levels(row, text, key, at, end, levels, cursor, places)
    stop = skip_value(text, at, end)
    if key == KEY_MAKER and (byte == 116 or byte == 102):
        _note(row, HAS_MAKER, MAKER, 1 if byte == 116 else 0)
    elif key == KEY_REPLY:
        row[HAS] |= HAS_REPLY
    elif key == KEY_DATA:
        row[HAS] |= HAS_DATA
    return stop


@inline_kernel
def _key(text: Text, at: int, end: int) -> tuple[int, int]:
    # (where its value begins, the key's code)
    stop = skip_string(text, at, end)
    if stop < 0:
        return BAD, KEY_OTHER
    return skip_colon(text, stop, end), _key_code(text, at + 1, stop - at - 2)


@inline_kernel
def _next_member(text: Text, at: int, end: int) -> tuple[int, bool]:
    # After a value: (where the next key begins, True) or (past the closing brace, False).
    at = skip_space(text, at, end)
    if at < end and text[at] == BRACE_CLOSE:
        return at + 1, False
    if at >= end or text[at] != COMMA:
        return BAD, False
    return skip_space(text, at + 1, end), True


@inline_kernel
def _first_member(text: Text, at: int, end: int) -> tuple[int, bool]:
    # At an opening brace, as _next_member.
    at = skip_space(text, at + 1, end)
    if at < end and text[at] == BRACE_CLOSE:
        return at + 1, False
    return at, True


@inline_kernel
def _payload(
    row: Ints, text: Text, at: int, end: int, levels: Ints, cursor: Ints, places: Ints
) -> int:
    # The object under `data`.
    at, more = _first_member(text, at, end)
    while more:
        at, key = _key(text, at, end)
        if at >= 0:
            inner = KEY_OTHER if key in (KEY_STREAM, KEY_DATA) else key
            at = _member(row, text, inner, at, end, levels, cursor, places)
        if at < 0:
            return BAD
        at, more = _next_member(text, at, end)
    return at


@inline_kernel
def read_envelope(
    row: Ints, text: Text, at: int, end: int, levels: Ints, cursor: Ints, places: Ints
) -> int:
    # The frame's object: {"stream":..,"data":{..}}, or the payload's members themselves.
    if at >= end or text[at] != BRACE_OPEN:
        return BAD
    at, more = _first_member(text, at, end)
    while more:
        at, key = _key(text, at, end)
        if at >= 0 and key == KEY_DATA and text[at] == BRACE_OPEN:
            row[HAS] |= HAS_DATA
            at = _payload(row, text, at, end, levels, cursor, places)
        elif at >= 0:
            at = _member(row, text, key, at, end, levels, cursor, places)
        if at < 0:
            return BAD
        at, more = _next_member(text, at, end)
    return at
