"""The fold of feed quality: counts, silences and delays of each feed, between two closes."""

import math

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.analytics.operators.heads import GROW, NEVER, seq_at
from tickloop.analytics.operators.slots import NO_SLOT, known_slot
from tickloop.analytics.operators.trade_sign import NULL
from tickloop.core.kernel import inline_kernel, kernel, records

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Records = npt.NDArray[np.void]
Record = np.void

FEED = np.dtype(
    [
        ("rows", "<i8"),
        ("trades", "<i8"),
        ("quotes", "<i8"),
        ("gaps", "<i8"),
        ("silence", "<i8"),
        ("crossed", "<i8"),
        ("locked", "<i8"),
        ("disorder", "<i8"),
        ("delay_max", "<i8"),
        ("last_time", "<i8"),
        ("last_venue_time", "<i8"),
    ]
)
QUOTED = np.dtype([("time", "<i8"), ("feed", "<i4")])
SETTINGS = np.dtype(
    [("interval", "<i8"), ("gap", "<i8"), ("stale", "<i8"), ("since", "<i8"), ("end", "<i8")]
)
# Eight buckets an octave, so that a bucket's bounds are at most an eighth apart.
_PARTS = 8
# Beyond two years a delay is a wrong clock, and all such share the last bucket.
_DELAY_MAX = (1 << 56) - 1
OCTAVES = 53
BUCKETS = 1 + _PARTS * (OCTAVES + 1)
NEGATIVE = 0
TRADES, QUOTES, DEPTHS, BOOKS, CLOCKS, WANTED = range(6)
WORK = 6
CLOSE, GROW_SYMBOLS = -3, -4


@inline_kernel
def bucket_of(delay: int) -> int:
    """Give the bucket of a delay: 0 for negative ones, then eight an octave, exact below 16."""
    if delay < 0:
        return NEGATIVE
    if delay < _PARTS:
        return 1 + delay
    delay = min(delay, _DELAY_MAX)
    octave = int(math.frexp(float(delay >> 3))[1])
    return 1 + octave * _PARTS + int((delay >> (octave - 1)) & (_PARTS - 1))


@inline_kernel
def feed_key(venue: int) -> int:
    """Number feeds from 0 on: rows without a venue first, then by the venue's id."""
    return max(int(venue), -1) + 1


@inline_kernel
def _on_row(feed: Record, delays: Longs, settings: Record, time: int, venue_time: int) -> None:
    """Count a row of any table."""
    if settings["end"] == NEVER:
        settings["since"] = time
        settings["end"] = time - time % settings["interval"] + settings["interval"]
    if feed["last_time"] != NULL:
        span = time - feed["last_time"]
        feed["silence"] = max(feed["silence"], span)
        if span > settings["gap"]:
            feed["gaps"] += 1
    feed["rows"] += 1
    feed["last_time"] = time
    if venue_time == NULL:
        return
    if feed["last_venue_time"] != NULL and venue_time < feed["last_venue_time"]:
        feed["disorder"] += 1
    feed["last_venue_time"] = venue_time
    delay = time - venue_time
    feed["delay_max"] = max(feed["delay_max"], delay)
    delays[bucket_of(delay)] += 1


@inline_kernel
def _on_quote(
    feed: Record, slot: int, quoted: Records, symbol: int, time: int, bid: int, ask: int
) -> bool:
    """Count a quote; False, and nothing counted, when `quoted` must grow for its symbol."""
    if symbol >= quoted.shape[0]:
        return False
    feed["quotes"] += 1
    if bid != NULL and ask != NULL:
        feed["crossed"] += 1 if bid > ask else 0
        feed["locked"] += 1 if bid == ask else 0
    if symbol >= 0:
        quoted[symbol]["time"] = time
        quoted[symbol]["feed"] = slot
    return True


@inline_kernel
def _earliest(trade: int, quote: int, depth: int, book: int) -> int:
    """Tell which table of market data comes next."""
    table, first = TRADES, trade
    if quote < first:
        table, first = QUOTES, quote
    if depth < first:
        table, first = DEPTHS, depth
    if book < first:
        table = BOOKS
    return table


@kernel(
    types.int64(
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int32[::1], types.int64[::1], types.int64[::1],
        types.int64[::1], types.int64[::1],
        types.int32[::1], types.int64[::1], records(FEED), types.int64[:, ::1], records(QUOTED),
        records(SETTINGS), types.int64[::1],
    )
)  # fmt: skip
def fold_quality(
    trade_time: Longs, trade_ex: Ints, trade_stamp: Longs, trade_seq: Longs,
    quote_time: Longs, quote_ex: Ints, quote_stamp: Longs, quote_seq: Longs,
    quote_sym: Ints, quote_bid: Longs, quote_ask: Longs,
    depth_time: Longs, depth_ex: Ints, depth_stamp: Longs, depth_seq: Longs,
    book_time: Longs, book_ex: Ints, book_stamp: Longs, book_seq: Longs,
    clock_time: Longs, clock_seq: Longs,
    slots: Ints, used: Longs, feeds: Records, delays: Longs, quoted: Records,
    setting: Records, work: Longs,
) -> int:  # fmt: skip
    """Fold rows in the order of their seqs up to a clock row that closes an interval.

    Gives 0 at the end; CLOSE at that clock row, GROW for a new feed, GROW_SYMBOLS for a new
    symbol: then it is to be called again, and goes on where it was.
    """
    settings = setting[0]
    while True:
        trade, quote = seq_at(trade_seq, work[TRADES]), seq_at(quote_seq, work[QUOTES])
        depth, book = seq_at(depth_seq, work[DEPTHS]), seq_at(book_seq, work[BOOKS])
        clock = seq_at(clock_seq, work[CLOCKS])
        first = min(trade, quote, depth, book)
        if min(first, clock) == NEVER:
            work[:] = 0
            return 0
        if clock < first:
            if clock_time[work[CLOCKS]] >= settings["end"]:
                return CLOSE
            work[CLOCKS] += 1
            continue
        table = _earliest(trade, quote, depth, book)
        row = work[table]
        if table == TRADES:
            time, venue, stamp = trade_time[row], trade_ex[row], trade_stamp[row]
        elif table == QUOTES:
            time, venue, stamp = quote_time[row], quote_ex[row], quote_stamp[row]
        elif table == DEPTHS:
            time, venue, stamp = depth_time[row], depth_ex[row], depth_stamp[row]
        else:
            time, venue, stamp = book_time[row], book_ex[row], book_stamp[row]
        slot = known_slot(feed_key(venue), slots, used, feeds.shape[0], work[WANTED:])
        if slot == NO_SLOT:
            return GROW
        if table == QUOTES and not _on_quote(
            feeds[slot], slot, quoted, quote_sym[row], time, quote_bid[row], quote_ask[row]
        ):
            work[WANTED] = quote_sym[row]
            return GROW_SYMBOLS
        _on_row(feeds[slot], delays[slot], settings, time, stamp)
        feeds[slot]["trades"] += 1 if table == TRADES else 0
        work[table] += 1
