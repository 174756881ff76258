"""Databento DBN files as a feed: whole, live-captured or fragments, versions 1 to 3."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import DAY_NS, NULL_TIME
from tickloop.core.errors import FeedError, SchemaError
from tickloop.ingest import dbn_layouts as dbn
from tickloop.ingest import dbn_rows as rows
from tickloop.ingest.dbn_stream import DbnBytes, Records, RecordStream
from tickloop.ingest.dbn_symbols import DbnSymbols, venue_of
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.ladders import Ladders
from tickloop.ingest.messages import Messages, never_back, slices_of
from tickloop.ingest.order_book import OrderBooks

Positions = npt.NDArray[np.int64]
# What tells the most about an instrument speaks for it: others' trades and quotes would be
# the same ones again. The lower number wins.
_BY_ORDER, _BY_LEVEL, _BY_BEST, _BY_TRADE, _NOBODY = range(5)


class DbnFile:
    """A DBN file, plain or zstd, as a feed.

    Prices are in 10^-9; the feed's clock is `ts_recv`, Databento's capture stamp, and `ts_event`
    is the venue's. Records without a table (bars, statistics, system ...) are counted by name as
    `skipped_NAME`. Where one file brings the same instrument at several levels of detail, trades
    and quotes are taken from the most detailed and the others' are counted `told_twice`.
    FeedError if the path is no such file or its metadata is damaged.
    """

    def __init__(self, path: str | Path, context: FeedContext) -> None:
        self._path = Path(path)
        self.name = f"dbn:{self._path.name}"
        self.health = Health()
        self.messages = 0
        with _open(self._path) as stream:
            metadata, self.venue = _introduction(stream)
            self._start = stream.position if metadata else 0
        self._decoder = _Decoder(context, self.health, metadata or dbn.Metadata(), self.venue)

    def slices(self) -> Iterator[Slice]:
        """Yield rows in the file's order; see `Feed`."""
        try:
            with _open(self._path) as stream:
                stream.read_exactly(self._start)
                yield from self._rows(RecordStream(stream))
        except (FeedError, SchemaError) as error:
            self.health.damage.append(FeedError(f"{self.name}: {error}"))

    def _rows(self, blocks: RecordStream) -> Iterator[Slice]:
        for records in blocks:
            yield from self._decoder.slices(records)
            self.messages = records.first + len(records)
        if blocks.damage is not None:
            self.health.damage.append(blocks.damage)

    @property
    def books(self) -> OrderBooks:
        """The books that the file's order-by-order records have made so far."""
        return self._decoder.books


def _open(path: Path) -> DbnBytes:
    try:
        return DbnBytes(path)
    except OSError as error:
        raise FeedError(f"{path}: cannot be read: {error.strerror or error}") from error


def _introduction(stream: DbnBytes) -> tuple[dbn.Metadata | None, str]:
    """Read what a file says of itself, None if it is a fragment, and its venue."""
    prefix = stream.read_exactly(dbn.PREFIX_BYTES)
    if not prefix:
        raise stream.damage or FeedError(f"{stream.path}: the file is empty; expected DBN")
    size = dbn.metadata_size(prefix, stream.path)
    if not size:
        return None, venue_of(int.from_bytes(prefix[2:4], "little"), "")
    metadata = dbn.decode_metadata(prefix + stream.read_exactly(size), stream.path)
    return metadata, metadata.dataset.partition(".")[0]


class _Decoder:
    """Turns blocks of records into slices; remembers symbols, books and ladders."""

    def __init__(
        self, context: FeedContext, health: Health, metadata: dbn.Metadata, venue: str
    ) -> None:
        self._context = context
        self._health = health
        self._symbols = DbnSymbols(
            context, health, dataset=metadata.dataset, intervals=metadata.intervals or {}
        )
        self._is_tbbo = metadata.schema in ("tbbo", "tcbbo")
        self._time = NULL_TIME
        self._declared: set[int] = set()
        self._venue = venue
        self._trades_by = _Speakers(health)
        self._quotes_by = _Speakers(health)
        self._best = Ladders(levels=1, depth_levels=0, health=health)
        self._levels = Ladders(levels=10, depth_levels=context.depth_levels, health=health)

    @cached_property
    def books(self) -> OrderBooks:
        """Make the books when order-by-order records ask for them first."""
        symbols = self._context.symbols
        return OrderBooks(
            depth_levels=self._context.depth_levels,
            venue_id=symbols.id(self._venue),
            broken_id=symbols.id("broken"),
            health=self._health,
        )

    def slices(self, records: Records) -> Iterator[Slice]:
        """Decode a block, cut where a mapping record changes what an id means."""
        rtypes = records.headers()["rtype"]
        start = 0
        for at in np.flatnonzero(rtypes == dbn.MAPPING).tolist():
            mapping = self._mapping(records, at)
            if mapping is not None and not self._symbols.is_mapped(*mapping):
                yield from self._block(records.part(start, at))
                self._symbols.map(*mapping)
                start = at
        yield from self._block(records.part(start, len(records)))

    def _mapping(self, records: Records, at: int) -> tuple[int, str] | None:
        head = records.part(at, at + 1)
        layout = dbn.layout_of(dbn.MAPPING, 4 * int(head.headers()["length"][0]))
        if layout is None:
            return None
        record = head.view(np.zeros(1, dtype=np.int64), layout)
        into, asked = (
            rows.texts(record[name])[0].replace("\0", "")
            for name in ("stype_out_symbol", "stype_in_symbol")
        )
        return int(record["instrument_id"][0]), asked if into.isdecimal() else into

    def _block(self, records: Records) -> Iterator[Slice]:
        if not len(records):
            return
        block = _Block(records, self._health)
        if not len(block.kept):
            return
        definitions = block.groups(frozenset({dbn.DEFINITION}))
        for _, found in definitions:
            ids = found["instrument_id"].tolist()
            self._symbols.define(zip(ids, rows.texts(found["raw_symbol"]), strict=True))
        messages, slots = self._identify(block)
        batches = [
            *self._instruments(messages, definitions),
            *self._notices(block, messages),
            *self._orders(block, messages, slots),
            *self._ladder_rows(block, messages, slots, _BY_LEVEL),
            *self._ladder_rows(block, messages, slots, _BY_BEST),
            *self._trades(block, messages, slots),
        ]
        yield from slices_of(batches, messages, self._context.cut)

    def _identify(self, block: "_Block") -> tuple[Messages, npt.NDArray[np.int64]]:
        recv, event = block.stamps()
        time = np.where(recv == NULL_TIME, event, recv)
        self._health.count("time_backwards", never_back(time, self._time))
        self._time = int(time[-1])
        days = time // DAY_NS
        heads = block.heads
        found = self._symbols.identify(heads["publisher_id"], heads["instrument_id"], days)
        return Messages(block.numbers, time, event, found.sym, found.ex), found.slot

    def _instruments(
        self, messages: Messages, definitions: list[tuple[Positions, npt.NDArray[np.void]]]
    ) -> list[Batch]:
        """Make rows of definitions, and of instruments that are met without one."""
        symbols, first = np.unique(messages.sym, return_index=True)
        for symbol in symbols.tolist():
            self._context.instruments.declare(
                symbol, price_unit=rows.PRICE_UNIT, size_unit=rows.SIZE_UNIT
            )
        batches = [
            rows.instrument_rows(records, messages.take(at), self._context.symbols)
            for at, records in definitions
        ]
        self._declared.update(*(batch.columns["sym"].tolist() for batch in batches))
        bare = [
            int(at)
            for at, sym in zip(first, symbols.tolist(), strict=True)
            if sym not in self._declared
        ]
        self._declared.update(symbols.tolist())
        if bare:
            picked = messages.take(np.array(sorted(bare), dtype=np.int64))
            batches.append(rows.bare_instrument_rows(picked))
        return batches

    def _notices(self, block: "_Block", messages: Messages) -> list[Batch]:
        batches = [
            rows.imbalance_rows(records, messages.take(at))
            for at, records in block.groups(frozenset({dbn.IMBALANCE}))
        ]
        states, reasons = dbn.status_states(), dbn.status_reasons()
        for at, records in block.groups(frozenset({dbn.STATUS})):
            of = messages.take(at)
            batches.append(
                rows.status_rows(records, of, self._context.symbols, states=states, reasons=reasons)
            )
        return batches

    def _orders(
        self, block: "_Block", messages: Messages, slots: npt.NDArray[np.int64]
    ) -> list[Batch]:
        batches: list[Batch] = []
        for at, records in block.groups(frozenset({dbn.MBO})):
            self._count_flags(records)
            self._quotes_by.speaks(slots[at], _BY_ORDER)
            self._trades_by.speaks(slots[at[rows.is_trade(records)]], _BY_ORDER)
            events = rows.book_events(records, messages.take(at))
            known = events["action"] != 0
            self._health.count("no_book_action", int(np.count_nonzero(~known)))
            batches.extend(self.books.apply(events[known]))
        return batches

    def _ladder_rows(
        self, block: "_Block", messages: Messages, slots: npt.NDArray[np.int64], speaker: int
    ) -> list[Batch]:
        """Make depth, quote and trade rows of records that carry levels, in the file's order."""
        types = dbn.ONE_LEVEL if speaker == _BY_BEST else frozenset({dbn.MBP_10})
        groups = [
            (rtype, *group) for rtype in sorted(types) for group in block.groups(frozenset({rtype}))
        ]
        if not groups:
            return []
        batches, positions, ladders, modes = [], [], [], []
        for rtype, at, records in groups:
            self._count_flags(records)
            sampled = rtype in dbn.SAMPLED
            if not sampled:
                traded = rows.is_trade(records)
                batches.append(self._traded(at[traded], records[traded], messages, slots, speaker))
            speaks = self._quotes_by.speaks(slots[at], speaker)
            at, records = at[speaks], records[speaks]
            with_trades = self._is_tbbo or rtype in (dbn.TBBO, dbn.TCBBO)
            positions.append(at)
            ladders.append(rows.ladders_of(records))
            modes.append(rows.quotable(records, sampled=sampled, with_trades=with_trades))
        at = np.concatenate(positions)
        order = np.argsort(at, kind="stable")
        at = at[order]
        made = (self._best if speaker == _BY_BEST else self._levels).apply(
            np.ascontiguousarray(np.concatenate(ladders)[order]),
            messages.take(at),
            slots=np.ascontiguousarray(slots[at]),
            quotable=np.ascontiguousarray(np.concatenate(modes)[order]),
        )
        return [*batches, *made]

    def _trades(
        self, block: "_Block", messages: Messages, slots: npt.NDArray[np.int64]
    ) -> list[Batch]:
        batches = []
        for at, records in block.groups(frozenset({dbn.MBP_0})):
            self._count_flags(records)
            batches.append(self._traded(at, records, messages, slots, _BY_TRADE))
        return batches

    def _traded(
        self,
        at: Positions,
        records: npt.NDArray[np.void],
        messages: Messages,
        slots: npt.NDArray[np.int64],
        speaker: int,
    ) -> Batch:
        speaks = self._trades_by.speaks(slots[at], speaker)
        return rows.trade_rows(records[speaks], messages.take(at[speaks]))

    def _count_flags(self, records: npt.NDArray[np.void]) -> None:
        for name, flag in (
            ("bad_ts_recv", rows.FLAG_BAD_TS_RECV),
            ("maybe_bad_book", rows.FLAG_MAYBE_BAD_BOOK),
        ):
            self._health.count(name, int(np.count_nonzero(records["flags"] & flag)))


class _Speakers:
    """Who tells of each instrument: the most detailed source that it has had so far."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._by_slot = np.empty(0, dtype=np.int64)

    def speaks(self, slots: npt.NDArray[np.int64], speaker: int) -> npt.NDArray[np.bool_]:
        """Tell where nobody more detailed than `speaker` has spoken."""
        grown = int(slots.max(initial=-1)) + 1 - len(self._by_slot)
        if grown > 0:
            self._by_slot = np.append(self._by_slot, np.full(grown, _NOBODY))
        self._by_slot[slots] = np.minimum(self._by_slot[slots], speaker)
        speaks = np.asarray(self._by_slot[slots] == speaker)
        self._health.count("told_twice", int(np.count_nonzero(~speaks)))
        return speaks


class _Block:
    """The records of a block that have a table, grouped by type and layout."""

    def __init__(self, records: Records, health: Health) -> None:
        heads = records.headers()
        rtypes = heads["rtype"].astype(np.int64)
        kinds, inverse = np.unique(rtypes << 16 | heads["length"], return_inverse=True)
        self._groups: list[tuple[int, Positions, npt.NDArray[np.void]]] = []
        keep = np.zeros(len(records), dtype=np.bool_)
        for index, kind in enumerate(kinds.tolist()):
            members = np.flatnonzero(inverse == index)
            rtype, size = kind >> 16, 4 * (kind & 0xFFFF)
            layout = dbn.layout_of(rtype, size)
            if rtype not in dbn.TABLED or layout is None:
                _count_skipped(health, rtype, size, len(members))
                continue
            keep[members] = True
            self._groups.append((rtype, members, records.view(members, layout)))
        self.kept = np.flatnonzero(keep)
        self.heads = heads[self.kept]
        self.numbers = self.kept + records.first
        self._place = np.cumsum(keep) - 1  # of a record among those kept

    def groups(self, types: frozenset[int]) -> list[tuple[Positions, npt.NDArray[np.void]]]:
        """Give the records of some types with their positions among those kept."""
        return [
            (self._place[members], records)
            for rtype, members, records in self._groups
            if rtype in types
        ]

    def stamps(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give capture and venue stamps of the records kept."""
        recv = np.empty(len(self.kept), dtype=np.int64)
        for _, members, records in self._groups:
            recv[self._place[members]] = rows.instants(records["ts_recv"])
        return recv, rows.instants(self.heads["ts_event"])


def _count_skipped(health: Health, rtype: int, size: int, times: int) -> None:
    name = dbn.NAMES.get(rtype)
    if name is None:
        health.count("unknown_rtype", times)
    elif rtype in dbn.TABLED:
        health.count(f"odd_size_{name}", times)
    elif rtype != dbn.MAPPING:
        health.count(f"skipped_{name}", times)
    else:
        health.count("symbol_mapping", times)
