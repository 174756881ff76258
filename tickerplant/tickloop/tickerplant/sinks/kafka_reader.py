"""Read a plant's rows from Kafka alone: in order, each once, with gaps found from the bytes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import monotonic_ns, to_unix_ns
from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Message, decode, read_header
from tickloop.tickerplant.sinks.inside import surface
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, Partition, Record
from tickloop.tickerplant.sinks.kafka_names import Names, SentTable, read_symbol, read_table

_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: the first row after `seq`, or with a time, or an offset; else the first."""

    seq: int | None = None
    time: int | None = None  # the plant's, in nanoseconds since 2000
    offset: int | None = None  # of every partition


@dataclass(frozen=True, slots=True)
class Delivery:
    """New rows of one table and shard, in inside form with this reader's symbol ids."""

    table: str
    message: Message
    offset: int


class KafkaReader:
    """Reads some tables of one plant; symbols get ids of the reader's own."""

    def __init__(
        self, bus: Bus, prefix: str, *, tables: str = "", symbols: Symbols, is_strict: bool = True
    ) -> None:  # fmt: skip
        """`tables` are names divided by spaces; empty means all. SinkError if one is not there.

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
        self._ids = np.empty(0, dtype=np.int32)  # the plant's id -> ours
        self._through: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self._start = Start()
        self.tables = self._read_tables(tables)
        self._read_symbols()
        self._table_of = {self._names.table(name): name for name in self.tables}

    def _read_tables(self, wanted: str) -> dict[str, SentTable]:
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
        names = wanted.split() or list(known)
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
        self._through = {}
        self._next = found
        self._consumer.assign(found)

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
            for record in self._consumer.read_at(middles):
                where = (record.topic, record.partition)
                low, high = spans[where]
                is_past = read_header(record.value or b"").through > seq
                spans[where] = (low, middles[where]) if is_past else (record.offset + 1, high)
        return {where: low for where, (low, _) in spans.items()}

    def ends(self) -> dict[Partition, int]:
        """Give the offset after the last message of every partition, as of now."""
        return {where: self._consumer.bounds(*where)[1] for where in self.partitions}

    # Reading

    def poll(self, timeout_s: float = 0.1) -> list[Delivery]:
        """Give what is new; empty if nothing came in time."""
        found = []
        for record in self._consumer.poll(timeout_s):
            delivery = self._deliver(record)
            self._next[record.topic, record.partition] = record.offset + 1
            if delivery is not None:
                found.append(delivery)
        return found

    def until(self, ends: Mapping[Partition, int], idle_s: float = _ASK_S) -> Iterator[Delivery]:
        """Give everything up to these offsets; SinkAwayError if nothing comes for long."""
        last = monotonic_ns()
        while any(self._next[where] < end for where, end in ends.items()):
            found = self.poll(0.2)
            if found:
                last = monotonic_ns()
            elif monotonic_ns() - last > idle_s * 1e9:
                raise SinkAwayError(
                    f"Kafka at {self._bus.bootstrap} gave nothing for {idle_s:.0f} s, and more is"
                    " there"
                )
            yield from found

    def through(self, where: Partition) -> int:
        """Give the seq up to which everything of a partition was delivered."""
        return self._through.get(where, NO_SEQ)

    def _deliver(self, record: Record) -> Delivery | None:
        where = (record.topic, record.partition)
        table = self._table_of[record.topic]
        message = decode(record.value or b"", self.tables[table].table)
        header = message.header
        known = self._through.get(where)
        if known is None:
            known = header.previous
        if header.previous > known and self._is_strict:
            raise SinkError(
                f"topic {record.topic}, partition {record.partition}, offset {record.offset}: rows"
                f" after seq {header.previous} seen, after {known} expected: a message is missing;"
                " `tickloop kafka verify` counts what"
            )
        self._through[where] = max(known, header.through)
        floor = max(known, NO_SEQ if self._start.seq is None else self._start.seq)
        rows, repeated = _after(message.rows, known)
        self.repeated_rows[table] += repeated
        rows, _ = _after(rows, floor)
        clocks, _ = _after(message.clocks, floor)
        if self._start.time is not None:
            rows, clocks = (_since(each, self._start.time) for each in (rows, clocks))
        if header.through <= floor and not len(rows):
            return None
        own = self._with_own_ids(rows)
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
