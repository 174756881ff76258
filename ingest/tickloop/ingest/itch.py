"""Nasdaq TotalView-ITCH 5.0: messages from any transport in, slices of rows out."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice, concatenate
from tickloop.core.clock import midnight_ns
from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.errors import FeedError
from tickloop.core.interleave import interleave
from tickloop.ingest.book_rows import KEYS_PER_MESSAGE
from tickloop.ingest.events import EVENT
from tickloop.ingest.feed import FeedContext, Health, cut_end
from tickloop.ingest.itch_decode import (
    CONDITIONS,
    MPID_NAME,
    OTHER,
    STATE,
    UNNAMED,
    decode,
    new_directory,
)
from tickloop.ingest.itch_layout import (
    LAYOUT,
    LENGTH,
    MESSAGES,
    P_SIDE_ENDS,
    PRICE_UNIT,
    SIZE_UNIT,
)
from tickloop.ingest.itch_status import OtherRows, printable
from tickloop.ingest.order_book import OrderBooks

CROSSES = {"O": "cross_open", "C": "cross_close", "H": "cross_halt", "A": "cross_extended"}
INSTRUMENT_RANK, STATUS_RANK = 0, 1
# Arrays for one step of the kernel are this long at most, whatever the cut rule says.
STEP_MAX = 1 << 18


class ItchDecoder:
    """Decodes messages of one session and folds them into books; transports only frame.

    `messages` counts those that were decoded. Conditions that are counted in `health`, beside
    those of `OrderBooks`: `unknown_type` and `wrong_length` (the body is kept aside),
    `time_backwards` (the feed's clock then stands still), `stamp_past_midnight` (a venue stamp
    past 24 hours), `unknown_locate` (a placeholder symbol such as `locate_123` stands in),
    `locate_changed` (a directory message gave a code another stock), `locate_mismatch` (a
    message's own stock is not its code's; the message is believed), `too_many_names`,
    `cross_without_shares` (a cross that traded nothing makes no trade row), `reason_dropped`.
    """

    def __init__(self, context: FeedContext, health: Health, venue: str = "XNAS") -> None:
        if context.session_date is None:
            raise FeedError(
                "no session date: ITCH stamps count from midnight and name no day; give the"
                " feed a session date"
            )
        symbols = context.symbols
        venue_id = symbols.id(venue)
        self._context = context
        self._health = health
        self.books = OrderBooks(
            depth_levels=context.depth_levels,
            venue_id=venue_id,
            broken_id=symbols.id("broken"),
            health=health,
        )
        self._others = OtherRows(symbols, health, venue_id=venue_id)
        self._conditions = np.full(256, symbols.id("cross"), dtype=np.int32)
        self._conditions[0] = symbols.id("hidden")
        for code, name in CROSSES.items():
            self._conditions[ord(code)] = symbols.id(name)
        self._directory = new_directory()
        self._state = np.zeros(1, dtype=STATE)
        self._state["time"] = NULL_LONG
        self._state["midnight"] = midnight_ns(context.session_date, context.zone)
        self._state["p_has_side"] = context.session_date < date(*P_SIDE_ENDS)
        self._step = _Step(0)
        self.messages = 0

    def decode(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.integer],
        recv_times: npt.NDArray[np.int64] | None = None,
        *,
        base_offset: int = 0,
        origins: npt.NDArray[np.int64] | None = None,
    ) -> Iterator[Slice]:
        """Yield the rows of messages that lie at `offsets` in `buffer`, cut by the context's rule.

        `recv_times` are the capture's stamps, which then are the rows' `time`; without them it
        is the venue's stamp. For reports, `base_offset` is where the buffer begins in the feed,
        or `origins` where each message does.
        The buffer may be used again once the iterator is exhausted; slices hold none of it.
        """
        assert len(offsets) == len(lengths), f"{len(offsets)} offsets, {len(lengths)} lengths"
        sizes = np.ascontiguousarray(lengths, dtype=np.int64)
        offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        arrivals = np.zeros(0, np.int64) if recv_times is None else recv_times
        assert recv_times is None or len(recv_times) == len(offsets), "one stamp a message"
        if len(offsets):
            low, high = int(offsets.min()), int((offsets + sizes).max())
            assert low >= 0 and high <= len(buffer), f"{low}..{high} in {len(buffer)} bytes"
        buffer = np.require(buffer, np.uint8, ["C", "W"])
        origins = offsets + base_offset if origins is None else origins
        step = min(self._context.cut.messages, STEP_MAX)
        for start in range(0, len(offsets), step):
            part = slice(start, start + step)
            yield from self._decode(
                buffer, offsets[part], sizes[part], arrivals[part], origins[part]
            )

    def _decode(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        arrivals: npt.NDArray[np.int64],
        origins: npt.NDArray[np.int64],
    ) -> Iterator[Slice]:
        first = int(self._state["message"][0])
        step = self._step_of(len(offsets))
        times = step.times[: len(offsets)]
        decode(
            buffer, offsets, lengths, arrivals, LAYOUT, self._conditions, self._state,
            *self._directory, step.events, step.others, step.refused, times,
        )  # fmt: skip
        events = step.events[: self._state["events"][0]]
        others = step.others[: self._state["others"][0]]
        refused = step.refused[: self._state["refused"][0]]
        self.messages += len(offsets) - len(refused)
        self._account(buffer, offsets, lengths, refused, origins)
        batches = self._name(events, others, times, first)
        batches += self._other_batches(buffer, offsets, others, times, first)
        yield from self._cut(events, _by_table(batches), times, first)

    def _step_of(self, messages: int) -> "_Step":
        if messages > len(self._step.times):
            self._step = _Step(messages)
        return self._step

    def _account(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        refused: npt.NDArray[np.int64],
        origins: npt.NDArray[np.int64],
    ) -> None:
        """Count what was refused and the conditions that the kernel saw; keep bodies aside."""
        for index in refused.tolist():
            offset, length = int(offsets[index]), int(lengths[index])
            known = length > 0 and LAYOUT[LENGTH, buffer[offset]] > 0
            self._health.count("wrong_length" if known or not length else "unknown_type")
            body = buffer[offset : offset + length].tobytes()
            self._health.keep_aside(int(origins[index]), body)
        for condition in CONDITIONS:
            self._health.count(condition, int(self._state[condition][0]))
            self._state[condition] = 0

    def _name(
        self,
        events: npt.NDArray[np.void],
        others: npt.NDArray[np.void],
        times: npt.NDArray[np.int64],
        first: int,
    ) -> list[Batch]:
        """Give ids to names that this step met first, and make rows of what they name."""
        names = self._directory.names[: self._state["names"][0]]
        fresh = names[names["id"] == UNNAMED]
        if not len(fresh):
            return []
        fresh["id"] = self._context.symbols.ids(map(_spell, fresh.tolist()))
        names["id"][names["id"] == UNNAMED] = fresh["id"]
        _patch(events["sym"], names)
        _patch(events["mpid"], names)
        _patch(others["sym"], names)
        stocks = fresh[fresh["locate"] != MPID_NAME]
        for symbol_id in stocks["id"].tolist():
            self._context.instruments.declare(symbol_id, price_unit=PRICE_UNIT, size_unit=SIZE_UNIT)
        return self._undescribed(stocks, times, first)

    def _undescribed(
        self, names: npt.NDArray[np.void], times: npt.NDArray[np.int64], first: int
    ) -> list[Batch]:
        names = names[names["index"] >= 0]
        if not len(names):
            return []
        index = names["index"]
        ordinal = (first + index) * KEYS_PER_MESSAGE + INSTRUMENT_RANK
        return [self._others.instruments(sym=names["id"], time=times[index], ordinal=ordinal)]

    def _other_batches(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        others: npt.NDArray[np.void],
        times: npt.NDArray[np.int64],
        first: int,
    ) -> list[Batch]:
        if not len(others):
            return []
        kinds = buffer[offsets[others["index"]]]
        batches = []
        for kind in np.unique(kinds).tolist():
            rows = others[kinds == kind]
            index = rows["index"]
            span = np.arange(MESSAGES[chr(kind)].itemsize)
            messages = buffer[offsets[index][:, np.newaxis] + span]
            batches.append(
                self._others.batch(
                    chr(kind),
                    messages,
                    sym=rows["sym"],
                    time=times[index],
                    venue_time=rows["venue_time"],
                    ordinal=(first + index) * KEYS_PER_MESSAGE + STATUS_RANK,
                )
            )
        return batches

    def _cut(
        self,
        events: npt.NDArray[np.void],
        batches: list[Batch],
        times: npt.NDArray[np.int64],
        first: int,
    ) -> Iterator[Slice]:
        """Fold the events of one slice after the other, each with the other rows of its span."""
        start = event = 0
        while start < len(times):
            end = cut_end(times, start, self._context.cut)
            event_end = int(np.searchsorted(events["message"], first + end))
            part = _between(batches, (first + start, first + end))
            start = end
            rows = interleave([*part, *self.books.apply(events[event:event_end])])
            event = event_end
            if rows.batches:
                yield rows


class _Step:
    """Arrays that the kernel fills, used again for every step."""

    def __init__(self, messages: int) -> None:
        self.events = np.empty(messages, dtype=EVENT)
        self.others = np.empty(messages, dtype=OTHER)
        self.refused = np.empty(messages, dtype=np.int64)
        self.times = np.empty(messages, dtype=np.int64)


def _spell(name: tuple[int, int, int, int]) -> str:
    """Spell a name from its bytes; a locate code without a name becomes `locate_123`.

    Every entry must have a symbol, also one whose bytes spell nothing.
    """
    key, _, locate, _ = name
    if not key:
        return f"locate_{locate}"
    width = 4 if locate == MPID_NAME else 8
    return printable((key % 2**64).to_bytes(8, "big")[-width:]) or "?"


def _patch(ids: npt.NDArray[np.int32], names: npt.NDArray[np.void]) -> None:
    """Replace stand-ins for fresh names by the ids that they have now."""
    stand_in = np.flatnonzero((ids < UNNAMED) & (ids > NULL_SYMBOL))
    ids[stand_in] = names["id"][-2 - ids[stand_in]]


def _by_table(batches: list[Batch]) -> list[Batch]:
    """Join batches of the same table and put their rows in order."""
    joined = []
    for table in dict.fromkeys(batch.table for batch in batches):
        batch = concatenate([other for other in batches if other.table is table])
        order = np.argsort(batch.columns["_place"], kind="stable")
        columns = {name: values[order] for name, values in batch.columns.items()}
        joined.append(Batch(table, columns))
    return joined


def _between(batches: list[Batch], span: tuple[int, int]) -> list[Batch]:
    """Take the rows of messages from the first to before the last of `span`."""
    cut = []
    for batch in batches:
        keys = np.array(span, dtype=np.int64) * KEYS_PER_MESSAGE
        first, last = np.searchsorted(batch.columns["_place"], keys)
        columns = {name: values[first:last] for name, values in batch.columns.items()}
        cut.append(Batch(batch.table, columns))
    return cut
