"""Read a plant's rows from Kafka alone: in order, each once, with gaps found from the bytes."""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import monotonic_ns, to_unix_ns
from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Header, Message, decode, read_header
from tickloop.tickerplant.sinks.inside import surface
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, Partition, Record
from tickloop.tickerplant.sinks.kafka_names import Names, SentTable, read_symbol, read_table
from tickloop.tickerplant.sinks.kafka_start import Start

_ASK_S = 30.0
_AHEAD_MAX = 64  # messages a partition that wait for one before them


@dataclass(frozen=True, slots=True)
class Delivery:
    """New rows of one table and shard, in inside form with this reader's symbol ids."""

    table: str
    message: Message
    offset: int


class KafkaReader:
    """Reads some tables of one plant; symbols get ids of the reader's own."""

    def __init__(
        self, bus: Bus, prefix: str, *, tables: str = "", symbols: Symbols, is_strict: bool = True,
        without: Collection[str] = (),
    ) -> None:  # fmt: skip
        """`tables` are names divided by spaces; empty means all but those of `without`.

        SinkError if one is not there.

        A strict reader refuses to go on where a message is missing; else that is left to others.
        """
        self._is_strict = is_strict
        self._names = Names(prefix)
        self._bus = bus
        self._consumer = BusConsumer(bus)
        self.symbols = symbols
        self.instruments = Instruments()
        # Rows by table that came again and were passed over.
        self.repeated_rows: Counter[str] = Counter()
        # Rows by table that another plant wrote, passed over where messages may be missing too.
        self.foreign_rows: Counter[str] = Counter()
        self._ids = np.empty(0, dtype=np.int32)  # the plant's id -> ours
        self._through: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self.readings = 0  # of the symbols' topic
        self._start = Start()
        self._pending: deque[Record] = deque()
        # Messages that came before the one that they follow, by what they follow.
        self._ahead: dict[Partition, dict[int, Record]] = {}
        self.tables = self._read_tables(tables, without)
        self._read_symbols()
        self._table_of = {self._names.table(name): name for name in self.tables}

    def _read_tables(self, wanted: str, without: Collection[str]) -> dict[str, SentTable]:
        topics = self._consumer.topics()
        if self._names.tables not in topics:
            raise SinkError(
                f"Kafka at {self._bus.bootstrap} has no topic {self._names.tables}; check the"
                " prefix, and that a plant with [sinks.kafka] has run"
            )
        known = {}
        for record in self._consumer.read_all(self._names.tables):
            if record.value is not None:
                sent = read_table(record.value)
                known[sent.table.name] = sent
        missing = [name for name in wanted.split() if name not in known]
        if missing:
            raise SinkError(
                f"Kafka at {self._bus.bootstrap} has no table {missing[0]!r} under"
                f" {self._names.prefix!r}; it has {', '.join(known)}"
            )
        names = wanted.split() or [name for name in known if name not in without]
        return {name: known[name] for name in names if self._names.table(name) in topics}

    def _read_symbols(self) -> None:
        """Take over what is known of symbols; later readings add to it."""
        consumer = BusConsumer(self._bus)
        try:
            records = consumer.read_all(self._names.symbols)
        finally:
            consumer.close()
        known = [read_symbol(record.value) for record in records if record.value]
        ids = np.full(max((symbol.id for symbol in known), default=-1) + 1, -1, dtype=np.int32)
        for symbol in known:
            ids[symbol.id] = own = self.symbols.id(symbol.name)
            self.instruments.declare(own, price_unit=symbol.price_unit, size_unit=symbol.size_unit)
        self._ids = ids
        self.readings += 1

    def topic(self, table: str) -> str:
        """Name a table's topic."""
        return self._names.table(table)

    @property
    def plant(self) -> int:
        """The plant that writes these topics."""
        return next(iter(self.tables.values())).plant

    # Where to begin

    @property
    def partitions(self) -> list[Partition]:
        """Every partition of the wanted tables."""
        return [
            (self._names.table(name), shard)
            for name, sent in self.tables.items()
            for shard in range(sent.shards)
        ]

    def begin(self, start: Start | None = None) -> None:
        """Go to a start; rows before it are passed over."""
        self._start = start or Start()
        bounds = {where: self._consumer.bounds(*where) for where in self.partitions}
        found = {where: low for where, (low, _) in bounds.items()}
        if self._start.seq is not None:
            found = self._search(bounds, self._start.seq)
        elif self._start.time is not None:
            found = self._by_time(bounds, self._start.time)
        elif self._start.offset is not None:
            wanted = self._start.offset
            found = {where: min(max(wanted, low), high) for where, (low, high) in bounds.items()}
        self._through = self._told_before(bounds, found)
        self._next = found
        self._pending.clear()
        self._ahead.clear()
        self._consumer.assign(found)

    def _told_before(
        self, bounds: Mapping[Partition, tuple[int, int]], starts: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """Find out what the first messages to come have to follow."""
        read = {where: each for where, each in bounds.items() if starts[where] >= each[1]}
        told = {
            (record.topic, record.partition): read_header(record.value or b"").through
            for record in self._consumer.last(read)
        }
        if self._start.seq is not None:
            return {where: max(told.get(where, NO_SEQ), self._start.seq) for where in bounds}
        begun = {where: NO_SEQ for where in bounds if starts[where] == 0}
        return begun | told

    def _by_time(
        self, bounds: Mapping[Partition, tuple[int, int]], time: int
    ) -> dict[Partition, int]:
        """Stamps are of a message's last row: the first one at or after the time holds it."""
        found = self._consumer.at_time(list(bounds), max(to_unix_ns(time) // 1_000_000, 0))
        return {
            where: high if found.get(where, -1) < 0 else found[where]
            for where, (_, high) in bounds.items()
        }

    def _search(
        self, bounds: Mapping[Partition, tuple[int, int]], seq: int
    ) -> dict[Partition, int]:
        """Halve every partition at once, down to its first message that reaches past `seq`."""
        spans = dict(bounds)
        while any(low < high for low, high in spans.values()):
            middles = {
                where: (low + high) // 2 for where, (low, high) in spans.items() if low < high
            }
            past = dict.fromkeys(middles, 0)  # nothing after a middle is as good as past it
            for record in self._consumer.read_at(middles):
                if read_header(record.value or b"").through <= seq:
                    past[record.topic, record.partition] = record.offset + 1
            for where, after in past.items():
                spans[where] = (
                    (after, spans[where][1]) if after else (spans[where][0], middles[where])
                )
        return {where: low for where, (low, _) in spans.items()}

    def ends(self) -> dict[Partition, int]:
        """Give the offset after the last message of every partition, as of now."""
        return {where: self._consumer.bounds(*where)[1] for where in self.partitions}

    # Reading

    def poll(self, timeout_s: float = 0.1) -> list[Delivery]:
        """Give what is new; empty if nothing came in time.

        SinkAwayError leaves nothing out: the next call begins with what this one was given.
        """
        if not self._pending:
            self._pending.extend(self._consumer.poll(timeout_s))
        found: list[Delivery] = []
        while self._pending:
            record = self._pending[0]
            try:
                found += self._in_order(record)
            except SinkAwayError:
                if found:
                    break
                raise
            self._next[record.topic, record.partition] = record.offset + 1
            self._pending.popleft()
        return found

    def until(self, ends: Mapping[Partition, int], idle_s: float = _ASK_S) -> Iterator[Delivery]:
        """Give everything up to these offsets; SinkAwayError if nothing comes for long."""
        last = monotonic_ns()
        while any(self._reached(where) < end for where, end in ends.items()):
            found = self.poll(0.2)
            if found:
                last = monotonic_ns()
            elif monotonic_ns() - last > idle_s * 1e9:
                raise SinkAwayError(
                    f"Kafka at {self._bus.bootstrap} gave nothing for {idle_s:.0f} s, and more is"
                    " there"
                )
            yield from found
        for where in [where for where, ahead in self._ahead.items() if ahead]:
            raise self._missing(where, next(iter(self._ahead[where].values())))

    def _reached(self, where: Partition) -> int:
        ended = self._consumer.ended.get(where, 0)
        return max(self._next[where], 0 if self._pending else ended)

    def through(self, where: Partition) -> int:
        """Give the seq up to which everything of a partition was delivered."""
        return self._through.get(where, NO_SEQ)

    def _in_order(self, record: Record) -> list[Delivery]:
        """Deliver a record and those that waited for it, or let it wait."""
        where = (record.topic, record.partition)
        known = self._through.get(where)
        header = read_header(record.value or b"")
        table = self._table_of[record.topic]
        if header.plant != self.tables[table].plant:
            self._note_foreign(record, header, table)
            return []
        follows = header.previous
        ahead = self._ahead.setdefault(where, {})
        if self._is_strict and known is not None and follows > known:
            if len(ahead) >= _AHEAD_MAX:
                raise self._missing(where, record)
            ahead[follows] = record
            return []
        found = [self._deliver(record)]
        while ahead and (least := min(ahead)) <= self._through[where]:
            found.append(self._deliver(ahead.pop(least)))
        return [each for each in found if each is not None]

    def _note_foreign(self, record: Record, header: Header, table: str) -> None:
        if self._is_strict:
            raise SinkError(
                f"topic {record.topic}, partition {record.partition}, offset {record.offset}: rows"
                f" of plant {header.plant:x} seen, of {self.tables[table].plant:x} expected: a"
                " topic has one writer; `tickloop kafka verify` counts what"
            )
        self.foreign_rows[table] += header.rows

    def _missing(self, where: Partition, record: Record) -> SinkError:
        follows = read_header(record.value or b"").previous
        return SinkError(
            f"topic {where[0]}, partition {where[1]}, offset {record.offset}: rows after seq"
            f" {follows} seen, after {self.through(where)} expected: a message is missing;"
            " `tickloop kafka verify` counts what"
        )

    def _deliver(self, record: Record) -> Delivery | None:
        where = (record.topic, record.partition)
        table = self._table_of[record.topic]
        message = decode(record.value or b"", self.tables[table].table)
        header = message.header
        known = self._through.get(where, header.previous)
        floor = max(known, NO_SEQ if self._start.seq is None else self._start.seq)
        rows, repeated = _after(message.rows, known)
        rows, _ = _after(rows, floor)
        clocks, _ = _after(message.clocks, floor)
        if self._start.time is not None:
            rows, clocks = (_since(each, self._start.time) for each in (rows, clocks))
        own = self._with_own_ids(rows)
        self.repeated_rows[table] += repeated
        self._through[where] = max(known, header.through)
        if header.through <= floor and not len(rows):
            return None
        return Delivery(table, Message(header, own, clocks), record.offset)

    def _with_own_ids(self, rows: Batch) -> Batch:
        columns = dict(rows.columns)
        for column in rows.table.columns:
            if column.kind is Kind.SYMBOL and len(rows):
                ids: npt.NDArray[np.int32] = columns[column.name].astype(np.int32, copy=False)
                if int(ids.max()) >= len(self._ids):
                    self._read_symbols()
                columns[column.name] = np.where(
                    ids >= 0, self._ids[np.maximum(ids, 0)] if len(self._ids) else ids, ids
                ).astype(np.int32)
        return Batch(rows.table, columns)

    def surface(self, delivery: Delivery) -> Batch:
        """Give a delivery's rows as they were in the log."""
        sent = self.tables[delivery.table]
        floats = delivery.message.header.floats
        return surface(delivery.message.rows, floats, self.instruments, fractional=sent.fractional)

    def close(self) -> None:
        """Let go."""
        self._consumer.close()


def _after(rows: Batch, seq: int) -> tuple[Batch, int]:
    """Leave out rows up to a seq; also give how many those were."""
    seqs = rows.columns["seq"]
    first = int(np.searchsorted(seqs, seq, side="right"))
    if not first:
        return rows, 0
    kept = {name: values[first:] for name, values in rows.columns.items()}
    return Batch(rows.table, kept), first


def _since(rows: Batch, time: int) -> Batch:
    first = int(np.searchsorted(rows.columns["time"], time, side="left"))
    return Batch(rows.table, {name: values[first:] for name, values in rows.columns.items()})
