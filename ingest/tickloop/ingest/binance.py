"""Binance market data, recorded or live: frames of bytes in, slices of rows out.

Trades come from `trade` and `aggTrade` (then `trade_id` is the aggregate's). Quotes are the
venue's own best prices (`bookTicker`); only until a symbol's first one, so for good where that
stream is absent, they are taken from its depth book. Depth rows tell how the best levels moved
while the book is in step; `status` rows tell when it came into step and when it fell out of it.
`time` is when the frame was received, `venue_time` is T (matching engine), else E (message).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.clock import NULL_TIME, from_unix_ns
from tickloop.core.errors import FeedError, SchemaError
from tickloop.ingest.binance_frame import (
    CONTROL,
    END,
    EVENT,
    FRAME_COLUMNS,
    HAS,
    HAS_NAME,
    HAS_PREVIOUS,
    KIND,
    LEVEL_BYTES_MIN,
    MALFORMED,
    NAMES_FULL,
    OTHER,
    RECV,
    REFUSED_VALUE,
    START,
    SYM,
    TICKER_FRAME,
)
from tickloop.ingest.binance_json import scan_lines
from tickloop.ingest.binance_rows import Decoded, Ids, no_ids, slices_of
from tickloop.ingest.cryptofeed import is_cryptofeed, with_snapshots
from tickloop.ingest.depth_books import DepthBooks
from tickloop.ingest.feed import ASIDE_MAX, FeedContext, Health
from tickloop.ingest.name_table import NAMES_MAX, NameTable
from tickloop.ingest.recorded_lines import Lines, recorded_lines

Ints = npt.NDArray[np.int64]

SPOT = "BINANCE"
FUTURES = "BINANCE_UM"
UNIT = -8

REFUSED_KINDS = {
    MALFORMED: "malformed_frame",
    REFUSED_VALUE: "refused_value",
    NAMES_FULL: "too_many_symbols",
}


class BinanceDecoder:
    """Lines of frames to slices; keeps the books and what it learned of the symbols."""

    def __init__(
        self,
        context: FeedContext,
        *,
        venue: str = SPOT,
        price_unit: int = UNIT,
        size_unit: int = UNIT,
    ) -> None:
        self.health = Health()
        self.messages = 0
        self.venue = venue
        self._context = context
        self._units = (price_unit, size_unit)
        self._places = np.array([-price_unit, -size_unit], dtype=np.int64)
        self._names = NameTable()
        self._books = DepthBooks(depth_levels=context.depth_levels, health=self.health)
        self._sole = self._names.number(context.symbol) if context.symbol else -1
        self._ids = no_ids(NAMES_MAX)
        self._kinds = no_ids(NAMES_MAX)
        self._latest_ns = NULL_TIME

    def decode(self, text: bytes, *, offset: int = 0) -> Iterator[Slice]:
        """Decode whole lines that begin at byte `offset` of the feed.

        Refused lines are counted and kept aside. SchemaError if the data directory already knows
        a symbol with other units.
        """
        frames, levels = self._scan(text)
        self._set_aside(frames, text, offset)
        good = frames[frames[:, KIND] >= OTHER]
        self._count_others(good)
        # What cryptofeed writes of its own connections and requests.
        self.health.count("control_line", int(np.count_nonzero(good[:, KIND] == CONTROL)))
        good = good[good[:, KIND] != CONTROL]
        if not len(good):
            return
        self.messages += len(good)
        rows = self._books.fold(good, levels, symbols=len(self._names), sole=self._sole)
        decoded = Decoded(good, self._times(good), rows)
        fresh = self._learn(good)
        yield from slices_of(
            decoded,
            self._row_ids(),
            fresh=fresh,
            units=self._units,
            cut=self._context.cut,
            health=self.health,
        )

    def finish(self) -> None:
        """Account for what still waited when the feed ended."""
        self._books.finish()

    def unsynced(self) -> list[str]:
        """List the symbols whose depth waits for a snapshot."""
        return [self._names.name(number) for number in self._books.unsynced()]

    def _scan(self, text: bytes) -> tuple[Ints, Ints]:
        # A bytearray, because kernels take writable arrays.
        content = np.frombuffer(bytearray(text), dtype=np.uint8)
        frames = np.empty((text.count(b"\n") + 1, FRAME_COLUMNS), dtype=np.int64)
        levels = np.empty((len(text) // LEVEL_BYTES_MIN + 2, 2), dtype=np.int64)
        count = scan_lines(
            content, frames, levels, self._places, self._names.names, self._names.slots
        )
        return frames[:count], levels

    def _set_aside(self, frames: Ints, text: bytes, offset: int) -> None:
        refused = frames[frames[:, KIND] < OTHER]
        for kind, condition in REFUSED_KINDS.items():
            self.health.count(condition, int(np.count_nonzero(refused[:, KIND] == kind)))
        for start, end in refused[:ASIDE_MAX, [START, END]].tolist():
            self.health.keep_aside(offset + start, text[start:end])

    def _count_others(self, frames: Ints) -> None:
        events = frames[frames[:, KIND] == OTHER, EVENT]
        for number, times in enumerate(np.bincount(events + 1).tolist()):
            name = f"other_{self._names.name(number - 1)}" if number else "other_reply"
            self.health.count(name, times)

    def _times(self, frames: Ints) -> Ints:
        received = from_unix_ns(0) + frames[:, RECV]
        self.health.count("time_went_back", int(np.count_nonzero(np.diff(received) < 0)))
        if received[0] < self._latest_ns:
            self.health.count("time_went_back")
        received[0] = max(int(received[0]), self._latest_ns)
        times = np.maximum.accumulate(received)
        self._latest_ns = int(times[-1])
        return times

    def _learn(self, frames: Ints) -> list[tuple[int, int]]:
        # Symbols met for the first time: (frame, name number), in the order of the frames.
        numbers, firsts = np.unique(frames[:, SYM], return_index=True)
        met = sorted(zip(firsts.tolist(), numbers.tolist(), strict=True))
        fresh = [(at, number) for at, number in met if number >= 0 and self._ids[number] < 0]
        if fresh and self.venue == SPOT and _is_futures(frames):
            self.venue = FUTURES
        for _, number in fresh:
            self._declare(number)
        return fresh

    def _declare(self, number: int) -> None:
        name = self._names.name(number)
        symbol = self._context.symbols.id(name)
        self._context.instruments.declare(
            symbol, price_unit=self._units[0], size_unit=self._units[1]
        )
        kind = "spot"
        if self.venue == FUTURES:  # a dated one carries its expiry: BTCUSDT_240927
            kind = "future" if "_" in name else "perpetual"
        self._ids[number] = symbol
        self._kinds[number] = self._context.symbols.id(kind)

    def _row_ids(self) -> Ids:
        symbols = self._context.symbols
        return Ids(
            instruments=self._ids,
            ex=symbols.id(self.venue),
            states=symbols.ids(["depth_synced", "depth_stale"]),
            reasons=symbols.ids(["snapshot", "gap", "disconnected"]),
            kinds=self._kinds,
        )


def _is_futures(frames: Ints) -> bool:
    # Only futures chain their differences by `pu`, and only their tickers say what they are.
    has = frames[:, HAS]
    named_ticker = (frames[:, KIND] == TICKER_FRAME) & (has & HAS_NAME != 0)
    return bool(np.any(has & HAS_PREVIOUS) or np.any(named_ticker))


class BinanceFile:
    """A recorded file: lines of `recv_ns JSON`, or cryptofeed's, gzipped or not."""

    def __init__(
        self,
        path: Path,
        context: FeedContext,
        *,
        venue: str = SPOT,
        price_unit: int = UNIT,
        size_unit: int = UNIT,
    ) -> None:
        self.name = f"binance:{path.name}"
        self._path = path
        self._decoder = BinanceDecoder(
            context, venue=venue, price_unit=price_unit, size_unit=size_unit
        )
        self.health = self._decoder.health

    @property
    def venue(self) -> str:
        """Name the venue; a spot feed becomes futures when its frames say so."""
        return self._decoder.venue

    @property
    def messages(self) -> int:
        """Count the frames decoded so far."""
        return self._decoder.messages

    def slices(self) -> Iterator[Slice]:
        """Yield the file's rows; damage ends them and is told in `health`."""
        try:
            for lines in self._lines():
                yield from self._decode(lines)
        except FeedError as error:
            self.health.damage.append(error)
        except SchemaError as error:
            self.health.damage.append(FeedError(f"{self._path}: {error}"))
        self._decoder.finish()

    def _lines(self) -> Iterator[Lines]:
        lines = recorded_lines(self._path)
        first = next(lines, None)
        if first is None:
            return
        if is_cryptofeed(first.text):
            yield from with_snapshots(self._path, first, lines)
            return
        yield first
        yield from lines

    def _decode(self, lines: Lines) -> Iterator[Slice]:
        self.health.count("line_too_long", lines.too_long)
        before = self.messages
        refused = self._refused()
        yield from self._decoder.decode(lines.text, offset=lines.offset)
        if lines.cut and self._refused() > refused:
            raise FeedError(
                f"{self._path}: the last line, at byte {lines.offset}, is cut after"
                f" {len(lines.text)} bytes; everything before it was kept"
            )
        if lines.offset == 0 and self.messages == before and self._refused() > refused:
            raise FeedError(
                f"{self._path}: no Binance frame among the first {self._refused()} lines; the first"
                f" is {lines.text.lstrip()[:60]!r}, `recv_ns {{JSON}}` expected"
            )

    def _refused(self) -> int:
        return sum(self.health.counts[condition] for condition in REFUSED_KINDS.values())
