"""LOBSTER days: every message becomes book and trade rows; the book file, if there, the BBO."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice, slice_of
from tickloop.core.clock import NULL_TIME, midnight_ns
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.errors import FeedError, SchemaError
from tickloop.core.schema import INSTRUMENT
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.ladders import (
    ASK,
    ASK_ORDERS,
    ASK_SIZE,
    BID,
    BID_ORDERS,
    BID_SIZE,
    QUOTE_AFTER,
    WIDTH,
    Ladders,
)
from tickloop.ingest.lobster_files import (
    EXAMPLE,
    Member,
    find_day,
    levels_named,
    levels_of,
    refuse_other_files,
)
from tickloop.ingest.lobster_rows import (
    are_known,
    book_rows,
    status_rows,
    trade_rows,
)
from tickloop.ingest.lobster_steps import TIME, broken_steps, infer_ladders
from tickloop.ingest.messages import Messages, never_back, slices_of
from tickloop.ingest.numberlines import NumberLines, Parsed

PRICE_UNIT = -4
SIZE_UNIT = 0
MESSAGE_WIDTH = 6
_BLOCK_NUMBERS = 1 << 20  # numbers held at a time, over both files
_BLOCK_LINES_MAX = 1 << 14
_REMEMBERED = 24
# The book file's price of an unoccupied level; on the bid side it is negative.
_NO_PRICE = 9_999_999_999

Values = npt.NDArray[np.int64]


class LobsterFile:
    """A message file (csv, csv.gz, or the zip as downloaded) as a feed.

    Prices are in 10^-4 dollars; times are seconds after midnight in the context's zone, to the
    nearest nanosecond. A level-N file leaves out what happens deeper than N levels, so messages
    alone do not make the book. With the order book file beside it, quotes and depth are that
    file's rows, exactly, and `book_step_broken` counts rows that do not follow from their message.
    Without it (or with `book=False`) they are inferred: about four quotes in five have a right
    price, `level_gone_unseen` and `unknown_level` count what the messages contradicted.
    FeedError if the path is no such file, or neither name nor context tells symbol and date.
    """

    venue = "XNAS"

    def __init__(self, path: str | Path, context: FeedContext, *, book: bool = True) -> None:
        day = find_day(Path(path))
        self.name = f"lobster:{Path(path).name}"
        self.health = Health()
        self.messages = 0
        self._context = context
        self._message_file = day.messages
        self._book_file = day.book if book else None
        session = context.session_date or day.session
        self._symbol = day.symbol or context.symbol
        if not self._symbol or session is None:
            refuse_other_files(day.messages)
            raise FeedError(
                f"{path}: its name tells no {'date' if self._symbol else 'symbol'}, expected"
                " SYMBOL_YYYY-MM-DD_START_END_message_LEVELS.csv; rename it, or give"
                f" {'the session date' if self._symbol else 'the symbol'}"
                f" ({'--date YYYY-MM-DD' if self._symbol else '--symbol NAME'})"
            )
        self._midnight_ns = midnight_ns(session, context.zone)
        self._time = NULL_TIME

    def slices(self) -> Iterator[Slice]:
        """Yield rows in message order; see `Feed`."""
        with ExitStack() as opened:
            try:
                messages = self._lines(opened, self._message_file, width=MESSAGE_WIDTH)
                source = self._quote_source(opened)
                self._declare()
            except (FeedError, SchemaError) as error:
                self.health.damage.append(FeedError(f"{self.name}: {error}"))
                return
            yield from self._blocks(messages, source)
            self.health.damage.extend(filter(None, (messages.damage, source.damage)))

    def _lines(self, opened: ExitStack, member: Member, *, width: int) -> NumberLines:
        stream = opened.enter_context(member.open())
        return NumberLines(stream, width=width, timed=width == MESSAGE_WIDTH, name=member.name)

    def _quote_source(self, opened: ExitStack) -> "_BookFile | _Inferred":
        context = self._context
        if self._book_file is None:
            levels = levels_named(self._message_file)
            return _Inferred(levels=levels, context=context, health=self.health)
        levels = levels_of(self._book_file)
        lines = self._lines(opened, self._book_file, width=4 * levels)
        return _BookFile(lines, levels=levels, context=context, health=self.health)

    def _declare(self) -> None:
        symbol = self._context.symbols.id(self._symbol)
        self._context.instruments.declare(symbol, price_unit=PRICE_UNIT, size_unit=SIZE_UNIT)

    def _instrument(self, time: int) -> Batch:
        symbol = self._context.symbols.id(self._symbol)
        return Batch(
            INSTRUMENT,
            {
                "time": np.array([time]),
                "sym": np.array([symbol], dtype=np.int32),
                "kind": self._context.symbols.ids(["equity"]),
                "price_unit": np.array([PRICE_UNIT], dtype=np.int32),
                "size_unit": np.array([SIZE_UNIT], dtype=np.int32),
                "currency": self._context.symbols.ids(["USD"]),
            },
        )

    def _blocks(self, lines: NumberLines, source: "_BookFile | _Inferred") -> Iterator[Slice]:
        block = max(1024, min(_BLOCK_LINES_MAX, _BLOCK_NUMBERS // (7 + source.width)))
        number = 0
        while len((parsed := lines.take(block)).valid):
            good = parsed.valid & are_known(parsed.values)
            self._refuse(parsed, good)
            if number == 0 and not good.any():
                self.health.damage.append(_not_lobster(lines.name, len(good)))
                return
            messages = self._stamp(parsed.values, number)
            if number == 0:
                yield slice_of(self._instrument(int(messages.time[np.argmax(good)])))
            values = np.ascontiguousarray(parsed.values[good])
            kept = messages.take(good)
            batches = [
                status_rows(values, kept, self._context.symbols),
                book_rows(values, kept, self._context.symbols),
                trade_rows(values, kept, self._context.symbols),
                *source.rows(parsed.values, good, messages),
            ]
            self.messages += len(kept)
            number += len(good)
            yield from slices_of(batches, kept, self._context.cut)

    def _refuse(self, parsed: Parsed, good: npt.NDArray[np.bool_]) -> None:
        self.health.count("bad_line", int(np.count_nonzero(~parsed.valid)))
        self.health.count("unknown_type", int(np.count_nonzero(parsed.valid & ~good)))
        for offset, text in parsed.refused:
            self.health.keep_aside(offset, text)

    def _stamp(self, values: Values, number: int) -> Messages:
        """Give every line a place, bad ones too: the book file has a row for each."""
        lines = len(values)
        venue_time = values[:, TIME] + self._midnight_ns
        time = venue_time.copy()
        self.health.count("time_backwards", never_back(time, self._time))
        self._time = int(time[-1])
        symbols = self._context.symbols
        return Messages(
            number=np.arange(number, number + lines, dtype=np.int64),
            time=time,
            venue_time=venue_time,
            sym=np.full(lines, symbols.id(self._symbol), dtype=np.int32),
            ex=np.full(lines, symbols.id(self.venue), dtype=np.int32),
        )


def _not_lobster(name: str, lines: int) -> FeedError:
    return FeedError(
        f"{name}: none of the first {lines} lines is a LOBSTER message; expected"
        f" time,type,order id,size,price,direction, e.g. {EXAMPLE}"
    )


class _Inferred:
    """Quotes and depth inferred from the messages: what left the file's levels unseen is wrong."""

    width = 0
    damage: FeedError | None = None

    def __init__(self, *, levels: int, context: FeedContext, health: Health) -> None:
        self.width = WIDTH * levels
        self._health = health
        self._ladders = Ladders(levels=levels, depth_levels=context.depth_levels, health=health)
        # With one level, what was the best before is the best guess of what comes next. With
        # more, levels beyond the file's are stale more often than they are right.
        remembered = _REMEMBERED if levels == 1 else levels
        self._memory = np.full(WIDTH * remembered, NULL_LONG, dtype=np.int64)

    def rows(self, values: Values, good: npt.NDArray[np.bool_], messages: Messages) -> list[Batch]:
        """Fold one block."""
        values, kept = np.ascontiguousarray(values[good]), messages.take(good)
        ladders = np.empty((len(values), self.width), dtype=np.int64)
        tally = np.zeros(2, dtype=np.int64)
        infer_ladders(values, self._memory, ladders, tally)
        self._health.count("level_gone_unseen", int(tally[0]))
        self._health.count("unknown_level", int(tally[1]))
        return _changes(self._ladders, ladders, kept)


class _BookFile:
    """Quotes and depth read from the order book file: row i is the book after message i."""

    def __init__(
        self, lines: NumberLines, *, levels: int, context: FeedContext, health: Health
    ) -> None:
        self.width = 10 * levels
        self._lines = lines
        self._levels = levels
        self._health = health
        self._ladders = Ladders(levels=levels, depth_levels=context.depth_levels, health=health)
        self._before = np.empty(0, dtype=np.int64)

    @property
    def damage(self) -> FeedError | None:
        """What ended the file early, if anything did."""
        return self._lines.damage

    def rows(self, values: Values, good: npt.NDArray[np.bool_], messages: Messages) -> list[Batch]:
        """Read one block; rows that no book line is there for make no quote."""
        parsed = self._lines.take(len(values))
        rows = len(parsed.valid)
        self._health.count("book_row_missing", len(values) - rows)
        self._health.count("bad_book_line", int(np.count_nonzero(~parsed.valid)))
        usable = parsed.valid & good[:rows]
        ladders = ladders_of(parsed.values, self._levels)[usable]
        kept = messages.take(np.flatnonzero(usable))
        self._check(values[:rows][usable], ladders)
        return _changes(self._ladders, ladders, kept)

    def _check(self, values: Values, ladders: Values) -> None:
        if not len(ladders):
            return
        first = int(not len(self._before))
        before = ladders[0].copy() if first else self._before
        self._health.count(
            "book_step_broken", broken_steps(values[first:], ladders[first:], before)
        )
        self._before = before


def _changes(ladders: Ladders, rows: Values, messages: Messages) -> list[Batch]:
    return ladders.apply(
        rows,
        messages,
        slots=np.zeros(len(messages), dtype=np.int64),
        quotable=np.full(len(messages), QUOTE_AFTER, dtype=np.uint8),
    )


def ladders_of(rows: Values, levels: int) -> Values:
    """Rearrange book file rows (ask price, ask size, bid price, bid size a level) as ladders."""
    ladders = np.empty((len(rows), WIDTH * levels), dtype=np.int64)
    for field, source in ((ASK, 0), (ASK_SIZE, 1), (BID, 2), (BID_SIZE, 3)):
        ladders[:, field::WIDTH] = rows[:, source : 4 * levels : 4]
    for price, size, orders in ((BID, BID_SIZE, BID_ORDERS), (ASK, ASK_SIZE, ASK_ORDERS)):
        absent = np.abs(ladders[:, price::WIDTH]) == _NO_PRICE
        ladders[:, price::WIDTH][absent] = NULL_LONG
        ladders[:, size::WIDTH][absent] = NULL_LONG
        ladders[:, orders::WIDTH] = NULL_LONG  # the file does not say
    return ladders
