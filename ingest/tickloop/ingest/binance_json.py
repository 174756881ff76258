"""Binance's WebSocket frames, from bytes to integer records without an object per message.

A line is a stamp and a JSON object: `1723161253937085768 {...}` (ns since 1970) or, as cryptofeed
writes, `1633998512.0633569: {...}` and `https://...symbol=X&... -> 1633998512.32: {...}`.
Formats: Binance "WebSocket Market Streams" and "Order book" documents, spot and USD-M futures.
"""

import numpy as np

from tickloop.core.clock import EPOCH_UNIX_NS, NULL_TIME
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.binance_frame import (
    CONTROL,
    DIFF_FRAME,
    DIFF_NEEDS,
    END,
    EVENT,
    FIRST_ID,
    HAS,
    HAS_AGGREGATE,
    HAS_DATA,
    HAS_E,
    HAS_NAME,
    HAS_PREVIOUS,
    HAS_REPLY,
    HAS_SNAPSHOT,
    HAS_STREAM,
    HAS_SYMBOL,
    HAS_T,
    HAS_TRADE,
    KIND,
    LOST_FRAME,
    MALFORMED,
    NAME,
    NAME_SIZE,
    NAMES_FULL,
    OTHER,
    PREVIOUS_ID,
    RECV,
    REFUSALS,
    REFUSED_VALUE,
    SNAPSHOT_FRAME,
    SNAPSHOT_NEEDS,
    STAMP_E,
    STAMP_T,
    START,
    STREAM,
    STREAM_SIZE,
    SYM,
    SYMBOL,
    SYMBOL_SIZE,
    TICKER_FRAME,
    TICKER_NEEDS,
    TRADE_FRAME,
    TRADE_ID,
    TRADE_NEEDS,
    VENUE_TIME,
    Ints,
    read_envelope,
)
from tickloop.ingest.json_scan import (
    BAD,
    COLON,
    DOT,
    REFUSED,
    SPACE,
    ZERO,
    Text,
    byte_at,
    integer,
    same,
    skip_digits,
    skip_space,
)
from tickloop.ingest.name_table import NAME_BYTES_MAX, Names, intern

# Stamps are milliseconds unless the stream was asked for microseconds (timeUnit=MICROSECOND).
MICROSECONDS_FROM = 10**14
MILLISECONDS_PAST = (2**63) // 10**6
MICROSECONDS_PAST = (2**63) // 10**3

SECONDS_PAST = (2**63 - 1) // 10**9 - 1


@inline_kernel
def _checked(row: Ints, needs: int, kind: int) -> int:
    if row[HAS] & needs != needs:
        return MALFORMED
    if row[REFUSALS] & row[HAS] & (needs | HAS_E | HAS_T | HAS_PREVIOUS):
        return REFUSED_VALUE
    return kind


@inline_kernel
def _named_kind(row: Ints, text: Text) -> int:
    at, size = row[NAME], row[NAME_SIZE]
    if same(text, at, size, b"trade"):
        return _checked(row, TRADE_NEEDS | HAS_TRADE, TRADE_FRAME)
    if same(text, at, size, b"aggTrade"):
        row[TRADE_ID] = row[FIRST_ID]
        return _checked(row, TRADE_NEEDS | HAS_AGGREGATE, TRADE_FRAME)
    if same(text, at, size, b"bookTicker"):
        return _checked(row, TICKER_NEEDS, TICKER_FRAME)
    if same(text, at, size, b"depthUpdate"):
        return _checked(row, DIFF_NEEDS, DIFF_FRAME)
    if same(text, at, size, b"disconnected") and row[HAS] & HAS_STREAM:
        own = same(text, row[STREAM], row[STREAM_SIZE], b"!connection")
        return LOST_FRAME if own else OTHER
    return OTHER


@inline_kernel
def _stream_suffix(row: Ints, text: Text) -> tuple[int, int]:
    # What follows the symbol and its @; the whole name where there is no symbol (!ticker@arr).
    at, size = row[STREAM], row[STREAM_SIZE]
    for index in range(size):
        if text[at + index] == 64 and text[at] != 33:
            return at + index + 1, size - index - 1
    return at, size


@inline_kernel
def _nameless_kind(row: Ints, text: Text) -> int:
    has = row[HAS]
    if has & HAS_SNAPSHOT:
        # A partial book (`@depth20`) has a snapshot's shape, but not all the levels.
        at, size = _stream_suffix(row, text)
        if has & HAS_STREAM and not same(text, at, size, b"depthSnapshot"):
            return OTHER
        return _checked(row, SNAPSHOT_NEEDS, SNAPSHOT_FRAME)
    if has & TICKER_NEEDS == TICKER_NEEDS:  # spot's tickers do not say what they are
        return _checked(row, TICKER_NEEDS, TICKER_FRAME)
    if has & HAS_REPLY or (has & HAS_STREAM and has & HAS_DATA):
        return OTHER
    return MALFORMED


@inline_kernel
def _venue_time(row: Ints) -> int:
    # T is when the matching engine acted, E when the message was made. REFUSED: out of range.
    has = row[HAS]
    if has & (HAS_T | HAS_E) == 0:
        return NULL_TIME
    stamp = row[STAMP_T] if has & HAS_T else row[STAMP_E]
    if stamp < MILLISECONDS_PAST:
        return int(stamp) * 1_000_000 - EPOCH_UNIX_NS
    if MICROSECONDS_FROM <= stamp < MICROSECONDS_PAST:
        return int(stamp) * 1000 - EPOCH_UNIX_NS
    return REFUSED


@inline_kernel
def _symbol(row: Ints, text: Text, names: Names, slots: Ints) -> int:
    if row[HAS] & HAS_SYMBOL:
        return intern(text, row[SYMBOL], row[SYMBOL_SIZE], False, names, slots)
    at, size = row[STREAM], row[STREAM_SIZE]
    for index in range(size):
        if text[at + index] == 64:
            return intern(text, at, index, True, names, slots)
    return -1


@inline_kernel
def _classify(row: Ints, text: Text, names: Names, slots: Ints) -> int:
    kind = _named_kind(row, text) if row[HAS] & HAS_NAME else _nameless_kind(row, text)
    if kind == OTHER:
        at, size = row[NAME], row[NAME_SIZE]
        if row[HAS] & HAS_NAME == 0:
            at, size = _stream_suffix(row, text)
        row[EVENT] = intern(text, at, size, False, names, slots)
    elif kind > CONTROL:
        if row[HAS] & HAS_PREVIOUS == 0:
            row[PREVIOUS_ID] = -1
        row[VENUE_TIME] = _venue_time(row)
        if row[VENUE_TIME] == REFUSED:
            return REFUSED_VALUE
        row[SYM] = _symbol(row, text, names, slots)
        if row[SYM] < 0 and kind < SNAPSHOT_FRAME:
            return NAMES_FULL if 0 < row[SYMBOL_SIZE] <= NAME_BYTES_MAX else MALFORMED
    return kind


@inline_kernel
def _stamp(text: Text, at: int, end: int) -> tuple[int, int]:
    # (past the stamp and its divider, ns since 1970): `ns {` or `seconds: {`.
    start = at
    at = skip_digits(text, at, end)
    stamp = integer(text, start, at)
    if stamp < 0 or at >= end:
        return BAD, 0
    if text[at] == SPACE:
        return at + 1, stamp
    if text[at] == DOT:
        at = skip_digits(text, at + 1, end)
    if at >= end or text[at] != COLON or stamp > SECONDS_PAST:
        return BAD, 0
    return at + 1, _nanoseconds(text, start, at)


@inline_kernel
def _nanoseconds(text: Text, at: int, stop: int) -> int:
    # Digits, and up to nine more after a point; seconds as nanoseconds.
    value = 0
    past = -1
    for index in range(at, stop):
        if text[index] == DOT:
            past = 0
        elif past < 9:
            value = 10 * value + (byte_at(text, index) - ZERO)
            past += 1 if past >= 0 else 0
    for _ in range(max(past, 0), 9):
        value *= 10
    return value


@inline_kernel
def _find(text: Text, at: int, end: int, word: bytes) -> int:
    # Past the first `word`, or BAD.
    for start in range(at, end - len(word) + 1):
        if same(text, start, len(word), word):
            return start + len(word)
    return BAD


@inline_kernel
def _request(row: Ints, text: Text, at: int, end: int) -> int:
    # `https://...depth?symbol=X&limit=N -> 1633998512.32: {`: note the symbol, go to the stamp.
    stop = _find(text, at, end, b" -> ")
    start = _find(text, at, stop, b"symbol=")
    if stop < 0 or start < 0:
        return BAD
    size = 0
    while text[start + size] != 38 and text[start + size] != SPACE:
        size += 1
    row[HAS] |= HAS_SYMBOL
    row[SYMBOL] = start
    row[SYMBOL_SIZE] = size
    return stop


@inline_kernel
def _line(
    row: Ints,
    text: Text,
    levels: Ints,
    cursor: Ints,
    places: Ints,
    names: Names,
    slots: Ints,
) -> int:
    at, end = row[START], row[END]
    if same(text, at, min(end - at, 6), b"wss://"):  # cryptofeed: connected, or asked for
        return CONTROL
    if same(text, at, min(end - at, 8), b"https://"):
        at = _request(row, text, at, end)
        if at < 0:
            return MALFORMED
    at, row[RECV] = _stamp(text, at, end)
    if at < 0 or row[RECV] < EPOCH_UNIX_NS:
        return MALFORMED
    at = skip_space(text, at, end)
    at = read_envelope(row, text, at, end, levels, cursor, places)
    if at < 0 or skip_space(text, at, end) != end:
        return MALFORMED
    return _classify(row, text, names, slots)


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[:, ::1], int64[::1], uint8[:, ::1], int64[::1])",
    allocates=True,
)
def scan_lines(
    text: Text, frames: Ints, levels: Ints, places: Ints, names: Names, slots: Ints
) -> int:
    """Decode every line of `text` into a row of `frames`; return how many there are.

    Blank lines make none. `levels` gets (price, size) of all order-book entries, which a frame's
    BIDS and ASKS point into. `places` is the decimals of (prices, sizes). The caller provides a
    row of `frames` for each line and one of `levels` for every LEVEL_BYTES_MIN bytes, and more.
    """
    cursor = np.zeros(1, dtype=np.int64)
    count = 0
    at = 0
    while at < text.shape[0]:
        end = at
        while end < text.shape[0] and text[end] != 10:
            end += 1
        start = skip_space(text, at, end)
        if start < end:
            row = frames[count]
            row[:] = 0
            row[START], row[END] = start, end
            row[SYM] = row[EVENT] = -1
            before = cursor[0]
            row[KIND] = _line(row, text, levels, cursor, places, names, slots)
            if row[KIND] <= CONTROL:
                cursor[0] = before
            count += 1
        at = end + 1
    return count
