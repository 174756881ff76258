"""Quality of each feed: what the person who runs it watches."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.analytics.operators.columns import NO_CLOCKS, clock_columns, column
from tickloop.analytics.operators.heads import GROW, NEVER
from tickloop.analytics.operators.quality_kernels import (
    BUCKETS,
    CLOCKS,
    CLOSE,
    FEED,
    GROW_SYMBOLS,
    OCTAVES,
    QUOTED,
    SETTINGS,
    WANTED,
    WORK,
    Records,
    fold_quality,
)
from tickloop.analytics.operators.slots import NO_SLOT, Array, none_yet, with_room
from tickloop.analytics.operators.trade_sign import NULL
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.operator import Scope, State
from tickloop.core.parameters import Parameter, Settings
from tickloop.core.schema import BOOK, CLOCK, DELAY, DEPTH, QUALITY, QUOTE, TRADE

_SECOND = 1_000_000_000
_MARKET = (TRADE.name, QUOTE.name, DEPTH.name, BOOK.name)
_LONGS, _INTS = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
_NO_ROWS: tuple[Array, ...] = (_LONGS, _INTS, _LONGS, _LONGS)
_NO_QUOTES: tuple[Array, ...] = (*_NO_ROWS, _INTS, _LONGS, _LONGS)
# What stands before and after one table's columns when the others have no rows.
_AROUND: dict[str, tuple[tuple[Array, ...], tuple[Array, ...]]] = {
    "trade": ((), (*_NO_QUOTES, *_NO_ROWS, *_NO_ROWS, *NO_CLOCKS)),
    "quote": (_NO_ROWS, (*_NO_ROWS, *_NO_ROWS, *NO_CLOCKS)),
    "depth": ((*_NO_ROWS, *_NO_QUOTES), (*_NO_ROWS, *NO_CLOCKS)),
    "book": ((*_NO_ROWS, *_NO_QUOTES, *_NO_ROWS), NO_CLOCKS),
    "clock": ((*_NO_ROWS, *_NO_QUOTES, *_NO_ROWS, *_NO_ROWS), ()),
}
# A delay's ordinal holds its bucket beside the feed.
_ORDINALS = 1024


class Quality:
    """Rates, silences, stale symbols, crossed quotes and delays, feed by feed.

    A feed is what carries one venue in `ex`, which is the `sym` of its rows. The first clock row
    at or past the end of an interval writes one row of `quality` for each feed seen so far, also
    for a silent one, and one row of `delay` for each bucket with rows in it.

    Formula: rate = rows / time since the last close. A gap is a time without a row that is longer
    than `gap`; silence is the longest one, up to the close. stale counts the symbols whose last
    quote, of this feed, is older than `stale`. disorder counts rows whose venue_time is before
    that of the row before. A delay is time - venue_time; buckets are an eighth of an octave wide,
    exact below 16 ns, and percentiles are the upper bounds of buckets (as in HdrHistogram).

    Units: spans in nanoseconds, rates in rows a second.
    State: 4 kB a feed, 12 bytes a symbol. Cost: about 25 ns a row; a close, about 30 µs a feed.
    """

    name = "quality"
    version = 1
    scope = Scope.ALL
    tables = (*_MARKET, CLOCK.name)
    together = frozenset(tables)
    outputs = (QUALITY.name, DELAY.name)
    parameters = (
        Parameter("interval", 10 * _SECOND, "between two rows of a feed", "ns", minimum=1),
        Parameter("gap", _SECOND, "time without a row that counts as a gap", "ns", minimum=0),
        Parameter("stale", 60 * _SECOND, "age at which a quote is stale", "ns", minimum=0),
    )

    def __init__(self) -> None:
        self._work = np.zeros(WORK, dtype=np.int64)
        self._kept_of: Mapping[str, Array] = {}
        self._kept: tuple[Array, ...] = ()

    def initial(self, params: Settings) -> State:
        """Make the state before the first row."""
        settings = np.zeros(1, dtype=SETTINGS)
        for name in ("interval", "gap", "stale"):
            settings[name] = params[name]
        settings["end"] = NEVER
        arrays = {
            **none_yet(), "feeds": np.empty(0, dtype=FEED),
            "delays": np.empty((0, BUCKETS), dtype=np.int64),
            "quoted": np.empty(0, dtype=QUOTED), "settings": settings,
        }  # fmt: skip
        return State(self.version, arrays)

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold rows of one table."""
        before, after = _AROUND[batch.table.name]
        if batch.table.name == "clock":
            return self._folded(state, (*before, *clock_columns(batch)))
        return self._folded(state, (*before, *_market_columns(batch), *after))

    def step_together(
        self, state: State, batches: Sequence[Batch]
    ) -> tuple[State, Sequence[Batch]]:
        """Fold rows of several tables."""
        return self._folded(state, _columns({batch.table.name: batch for batch in batches}))

    def _folded(self, state: State, columns: tuple[Array, ...]) -> tuple[State, Sequence[Batch]]:
        outcome = self._fold(columns, state.arrays)
        if outcome == 0:
            return state, ()
        clock_time, clock_seq = columns[-2:]
        arrays: Mapping[str, Array] = state.arrays
        work = self._work
        made: list[Batch] = []
        while outcome != 0:
            if outcome == CLOSE:
                at = int(work[CLOCKS])
                made += _close(arrays, int(clock_time[at].item()), int(clock_seq[at].item()))
            elif outcome == GROW:
                arrays = with_room(arrays, int(work[WANTED]), _blanks())
            else:
                assert outcome == GROW_SYMBOLS, f"outcome {outcome}"
                arrays = _with_symbol(arrays, int(work[WANTED]))
            outcome = self._fold(columns, arrays)
        return State(state.version, arrays), made

    def _fold(self, columns: tuple[Array, ...], arrays: Mapping[str, Array]) -> int:
        if arrays is not self._kept_of:
            # Looked up once, since most batches find the arrays that the last one left.
            self._kept_of = arrays
            self._kept = (
                arrays["slots"], arrays["used"], arrays["feeds"], arrays["delays"],
                arrays["quoted"], arrays["settings"], self._work,
            )  # fmt: skip
        return fold_quality(*columns, *self._kept)


def _market_columns(batch: Batch) -> tuple[Array, ...]:
    """Give time, ex, venue_time and seq, and what else of a quote is looked at."""
    columns = batch.columns
    venue, stamp = columns.get("ex"), columns.get("venue_time")
    if venue is None or stamp is None:
        venue, stamp = column(batch, "ex"), column(batch, "venue_time")
    shared = (columns["time"], venue, stamp, columns["seq"])
    if batch.table.name == "quote":
        return (*shared, columns["sym"], columns["bid"], columns["ask"])
    return shared


def _columns(batches: Mapping[str, Batch]) -> tuple[Array, ...]:
    found: list[Array] = []
    for table in _MARKET:
        batch = batches.get(table)
        if batch is not None:
            found += _market_columns(batch)
        else:
            found += _NO_QUOTES if table == "quote" else _NO_ROWS
    clocks = batches.get("clock")
    return (*found, *(NO_CLOCKS if clocks is None else clock_columns(clocks)))


def _blanks() -> dict[str, Array]:
    """Make the state of a feed without a row."""
    feed = np.zeros(1, dtype=FEED)
    feed["last_time"] = feed["last_venue_time"] = feed["delay_max"] = NULL
    return {"feeds": feed, "delays": np.zeros((1, BUCKETS), dtype=np.int64)}


def _with_symbol(arrays: Mapping[str, Array], symbol: int) -> dict[str, Array]:
    quoted = arrays["quoted"]
    more = np.zeros(max(16, 1 << symbol.bit_length()) - len(quoted), dtype=QUOTED)
    more["time"], more["feed"] = NULL, NO_SLOT
    return {**arrays, "quoted": np.concatenate([quoted, more])}


def bucket_bounds() -> npt.NDArray[np.int64]:
    """Give where each bucket begins, and where the last one ends; null for no lower bound."""
    small = np.arange(8, dtype=np.int64)
    octaves = [(small + 8) << octave for octave in range(OCTAVES)]
    return np.concatenate([[NULL_LONG], small, *octaves, [2**63 - 1]])


_BOUNDS = bucket_bounds()


def _close(arrays: Mapping[str, Array], time: int, seq: int) -> list[Batch]:
    """Write what was counted, feed by feed in the order of their ids, and count anew."""
    slots, settings = arrays["slots"], arrays["settings"]
    keys = np.flatnonzero(slots != NO_SLOT)
    order = slots[keys]
    # `feeds[order]` is a copy; what is reset below is the state.
    feeds, delays = arrays["feeds"][order], arrays["delays"][order]
    syms = np.where(keys > 0, keys - 1, NULL_SYMBOL).astype(np.int32)
    stamps = _stamps(time, seq)
    quality = Batch(QUALITY, {**_counted(feeds, arrays, time, order), "sym": syms,
                              "ordinal": keys.astype(np.int64), **stamps(len(keys))})  # fmt: skip
    at, bucket = np.nonzero(delays)
    columns = {
        "interval": np.full(len(at), settings["interval"][0], dtype=np.int64),
        "above": _BOUNDS[bucket], "below": _BOUNDS[bucket + 1], "count": delays[at, bucket],
        "sym": syms[at], "ordinal": keys[at] * _ORDINALS + bucket, **stamps(len(at)),
    }  # fmt: skip
    _reset(arrays, time)
    return [batch for batch in (quality, Batch(DELAY, columns)) if len(batch)]


def _stamps(time: int, seq: int) -> Callable[[int], dict[str, Array]]:
    """Give what every row of one cause has."""

    def stamps(rows: int) -> dict[str, Array]:
        return {
            "time": np.full(rows, time, dtype=np.int64),
            "cause_time": np.full(rows, time, dtype=np.int64),
            "cause": np.full(rows, seq, dtype=np.int64),
        }

    return stamps


def _counted(
    feeds: Records, arrays: Mapping[str, Array], time: int, order: Array
) -> dict[str, Array]:
    settings, delays = arrays["settings"][0], arrays["delays"][order]
    span = max(time - int(settings["since"]), 1)
    silence = np.maximum(feeds["silence"], time - feeds["last_time"])
    by_feed = arrays["quoted"]["feed"][None, :] == order[:, None]
    is_stale = time - np.maximum(arrays["quoted"]["time"], 0) > settings["stale"]
    return {
        **{name: feeds[name].copy() for name in ("rows", "trades", "quotes", "gaps")},
        **{name: feeds[name].copy() for name in ("crossed", "locked", "disorder", "delay_max")},
        "interval": np.full(len(feeds), settings["interval"], dtype=np.int64),
        "rate": feeds["rows"] / (span / _SECOND),
        "silence": silence,
        "symbols": by_feed.sum(axis=1, dtype=np.int64),
        "stale": (by_feed & is_stale).sum(axis=1, dtype=np.int64),
        "delay_p50": _percentile(delays, 50),
        "delay_p99": _percentile(delays, 99),
    }


def _percentile(delays: Array, percent: int) -> npt.NDArray[np.int64]:
    """Give the upper bound of the bucket in which that part of a feed's rows is reached."""
    running = np.cumsum(delays, axis=1, dtype=np.int64)
    total = running[:, -1:]
    reached = np.argmax(running * 100 >= total * percent, axis=1)
    return np.where(total[:, 0] > 0, _BOUNDS[reached + 1] - 1, NULL_LONG)


def _reset(arrays: Mapping[str, Array], time: int) -> None:
    """Begin the next interval; what was last seen stays."""
    feeds, settings = arrays["feeds"], arrays["settings"]
    for name in FEED.names or ():
        if not name.startswith("last_"):
            feeds[name] = NULL if name == "delay_max" else 0
    arrays["delays"][:] = 0
    interval = int(settings["interval"][0])
    settings["since"], settings["end"] = time, time - time % interval + interval
