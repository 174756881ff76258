"""The plant's rows on Kafka: each exactly once, each partition in the order of the log.

Where the sink is, the topics say: on opening it reads the last message of every partition, and
rows up to there are not sent again, whether or not the cursor heard of them. So a crash of the
sink repeats nothing, and a broker that lost what it had acknowledged is given it again.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import to_unix_ns
from tickloop.core.errors import SinkAwayError, SinkError, WireError
from tickloop.core.schema import CLOCK, INSTRUMENT, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.cursor import Cursor
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Header, nothing_of, read_header, schema_id
from tickloop.tickerplant.sinks.inside import inside
from tickloop.tickerplant.sinks.kafka_client import (
    Bus,
    BusConsumer,
    BusProducer,
    BusTransactions,
    Outgoing,
    Partition,
    Record,
    ensure_topics,
)
from tickloop.tickerplant.sinks.kafka_dictionary import Dictionary, instrument_records
from tickloop.tickerplant.sinks.kafka_names import Names, bus_tables, read_symbol, table_record
from tickloop.tickerplant.sinks.kafka_pieces import Cutter, Piece, Stretch, cut
from tickloop.tickerplant.sinks.kafka_progress import Progress
from tickloop.tickerplant.sinks.kafka_rows import ArrowRows, JsonRows, RowFormat
from tickloop.tickerplant.sinks.scatter import sorted_by_shard
from tickloop.tickerplant.sinks.shards import Shards
from tickloop.tickerplant.sinks.sink import Taken

_FLUSH_S = 30.0
_CHUNKS_MAX = 64  # under way at once


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where and how rows are sent."""

    bus: Bus
    prefix: str
    shards: int
    tables: str  # names divided by spaces; empty: all but the log's own
    json_tables: str  # also as one JSON record a row
    rows_max: int  # a message
    compression: str
    queue_mib: int
    linger_ms: float
    progress_ms: float  # how long a silent partition is left untold of progress and clock rows
    replication: int
    ledgers: str = ""  # tables that are sent in transactions, of those that exist
    arrow_tables: str = ""  # also as Arrow streams


@dataclass(slots=True)
class _UnderWay:
    """A chunk that was sent and not acknowledged as a whole."""

    seq: int
    rows: int
    left: int = 1  # messages, and one while it is being sent
    told: dict[str, int] = field(default_factory=dict)

    def done(self) -> None:
        self.left -= 1


class KafkaSink:
    """A sink into one set of topics, which no other plant may write."""

    name = "kafka"

    def __init__(
        self, settings: KafkaSettings, catalog: Catalog, symbols: Symbols, plant: int
    ) -> None:
        self._settings = settings
        self._names = Names(settings.prefix)
        self._catalog = catalog
        self._symbols = symbols
        self._plant = plant
        self._tables = bus_tables(catalog, settings.tables)
        arrow = ArrowRows(settings.rows_max, fractional=catalog.fractional)
        self._beside: list[tuple[Table, RowFormat]] = [
            (table, form)
            for form, wanted in ((JsonRows(), settings.json_tables), (arrow, settings.arrow_tables))
            for table in catalog
            if table.name in wanted.split()
        ]
        ledgers = settings.ledgers.split()
        self._ledgers = {table.name for table in self._tables if table.name in ledgers}
        self._shards = Shards(symbols, settings.shards)
        self._producer: BusProducer | None = None
        self._transactions: BusTransactions | None = None

    @property
    def target(self) -> str:
        """Where rows go."""
        return f"{self._settings.bus.bootstrap} {self._settings.prefix}*"

    # Opening

    def open(self, cursor: Cursor) -> int:
        """Make topics, read where they end, tell tables; give the seq to go on after."""
        settings, names = self._settings, self._names
        topics = {names.table(table.name): settings.shards for table in self._tables}
        topics |= {form.topic(names, table.name): settings.shards for table, form in self._beside}
        topics |= dict.fromkeys(names.dictionaries, 1)
        ensure_topics(
            settings.bus, topics, compacted=names.dictionaries, replication=settings.replication
        )
        if self._ledgers:
            # Shuts another sink out, and ends what it left open, before the ends are looked for.
            self._transactions = BusTransactions(
                settings.bus, f"{settings.prefix}{self._plant:x}", timeout_s=_FLUSH_S,
                compression=settings.compression,
            )  # fmt: skip
        self._dictionary = Dictionary(self._symbols, settings.shards)
        self._told = self._recover()
        self._under_way: deque[_UnderWay] = deque()
        self._streams = {_stream(where): seq for where, seq in self._told.items()}
        self._progress = Progress(settings.progress_ms)
        self._together: list[Outgoing] = []
        start = self._start(cursor)
        self._through = start
        self._seq, self._rows = start, 0
        self._producer = BusProducer(
            settings.bus, compression=settings.compression, queue_mib=settings.queue_mib,
            linger_ms=settings.linger_ms,
        )  # fmt: skip
        for table in self._tables:
            record = table_record(
                table, fractional=self._catalog.fractional, shards=settings.shards,
                plant=self._plant,
            )  # fmt: skip
            self._tell(names.tables, f"{table.name}:{schema_id(table):x}", record)
        self._flush()
        return start

    def _recover(self) -> dict[Partition, int]:
        """Read how far each partition tells of the log."""
        consumer = BusConsumer(self._settings.bus)
        try:
            known = consumer.read_all(self._names.symbols)
            self._dictionary.recall(read_symbol(each.value) for each in known if each.value)
            wheres = [
                (topic, shard)
                for table in self._tables
                for topic in [self._names.table(table.name)]
                for shard in range(self._settings.shards)
            ]
            told = dict.fromkeys(wheres, NO_SEQ)
            bounds = {where: consumer.bounds(*where) for where in wheres}
            for record in consumer.last(bounds):
                told[record.topic, record.partition] = self._told_by(record)
            self._check_still(consumer, bounds)
            return told | self._recover_rows(consumer)
        finally:
            consumer.close()

    def _check_still(
        self, consumer: BusConsumer, bounds: Mapping[Partition, tuple[int, int]]
    ) -> None:
        """See that nobody writes: a sink that was killed may have had messages on their way."""
        moved = [where for where, each in bounds.items() if consumer.bounds(*where) != each]
        if moved:
            raise SinkAwayError(
                f"topic {moved[0][0]} grows while it is opened: another sink, or the last words of"
                " one that was killed; it is looked at again"
            )

    def _told_by(self, record: Record) -> int:
        try:
            header = read_header(record.value or b"")
        except WireError as error:
            raise SinkError(f"topic {record.topic}: {error}") from error
        if header.plant != self._plant:
            raise SinkError(
                f"topic {record.topic} holds rows of plant {header.plant:x}, this is plant"
                f" {self._plant:x}: a topic has one writer; give [sinks.kafka] another prefix"
            )
        return header.through

    def _recover_rows(self, consumer: BusConsumer) -> dict[Partition, int]:
        forms = {form.topic(self._names, table.name): form for table, form in self._beside}
        told = {(topic, shard): NO_SEQ for topic in forms for shard in range(self._shards.count)}
        bounds = {where: consumer.bounds(*where) for where in told}
        for record in consumer.last(bounds):
            try:
                seq = forms[record.topic].last_seq(record.value or b"")
            except (ValueError, LookupError, TypeError) as error:
                raise SinkError(
                    f"topic {record.topic}: its last record holds no rows as this sink sends them"
                    f" ({error}); does something else write there? Give [sinks.kafka] another"
                    " prefix, or delete the topic"
                ) from error
            told[record.topic, record.partition] = seq
        return told

    def _start(self, cursor: Cursor) -> int:
        """Find the seq after which something may be missing.

        Without a cursor, a partition says itself how far it is told; rows in other formats tell
        nothing of silence, so only the tables' own topics are asked.
        """
        batches = {
            _stream(where): seq
            for where, seq in self._told.items()
            if where[0] in {self._names.table(table.name) for table in self._tables}
        }
        if cursor.seq == NO_SEQ or set(cursor.streams) != set(self._streams):
            return min(batches.values(), default=NO_SEQ) if not self._beside else NO_SEQ
        lost = [seq for name, seq in self._streams.items() if seq < cursor.streams[name]]
        return min([cursor.seq, *lost])

    # Sending

    def take(self, chunk: Chunk) -> None:
        """Send a chunk: symbols first, then every table's rows, then progress to the others."""
        while len(self._under_way) >= _CHUNKS_MAX:
            self._poll(0.1)
        mark = _UnderWay(chunk.through, chunk.rows)
        self._under_way.append(mark)
        batches = [rows for table in self._tables if (rows := chunk.table(table.name)) is not None]
        beside = self._rows_beside(chunk)
        self._learn([*batches, *(rows for rows, _ in beside)])
        self._progress.learn(chunk.table(CLOCK.name))
        stretch = self._progress.stretch(chunk.after, chunk.through)
        is_due = self._progress.is_due
        for table in self._tables:
            self._send_table(table, chunk.table(table.name), stretch, mark, tell_all=is_due)
        for rows, form in beside:
            self._send_rows(rows, form, mark)
        self._through = chunk.through
        self._commit()
        if is_due:
            self._progress.told()
        elif self._progress.is_holding:
            mark.left += 1
            self._progress.hold(mark.done)
        mark.done()
        self._poll(0.0)

    def _commit(self) -> None:
        """Let readers see the ledgers' rows of a chunk, which holds whole publications."""
        if self._together:
            assert self._transactions is not None, "ledgers are sent in transactions"
            self._transactions.send(self._together)
            self._together = []

    def settle(self) -> bool:
        """Tell silent partitions how far the log goes, as nothing more comes."""
        mark = _UnderWay(self._through, 0)
        for table in self._tables:
            for shard in range(self._shards.count):
                if self._told[self._names.table(table.name), shard] < self._through:
                    self._send_progress(table, shard, mark)
        self._commit()
        self._progress.told()
        mark.done()
        if mark.told:
            self._under_way.append(mark)
        self._poll(0.0)
        return not self._under_way

    def _send_progress(self, table: Table, shard: int, mark: _UnderWay) -> None:
        """Tell a shard that no rows are between what it was told of and what was taken."""
        where = (self._names.table(table.name), shard)
        silence = self._progress.stretch(self._told[where], self._through)
        cutter, none = self._cutter(table), nothing_of(table)
        for piece in cutter.pieces(none, shard=shard, floats=0, stretch=silence):
            self._send(table, shard, piece, mark)
        self._told[where] = mark.told[_stream(where)] = self._through

    def _cutter(self, table: Table) -> Cutter:
        return Cutter(self._plant, schema_id(table), self._shards.count, self._settings.rows_max)

    def _rows_beside(self, chunk: Chunk) -> list[tuple[Batch, RowFormat]]:
        found = [(chunk.table(table.name), form) for table, form in self._beside]
        return [(rows, form) for rows, form in found if rows is not None]

    def _learn(self, batches: list[Batch]) -> None:
        """Tell new symbols, and wait until the brokers have them: rows may name them then."""
        new = list(self._dictionary.learn(batches))
        for symbol in new:
            key = symbol.name
            self._tell(self._names.symbols, key, symbol.record())
        for rows in batches:
            if rows.table.name == INSTRUMENT.name:
                for key, value in instrument_records(rows, list(self._symbols)):
                    self._tell(self._names.instruments, key, value)
        if new:
            self._flush()

    def _tell(self, topic: str, key: str, value: bytes) -> None:
        self._open_producer.send(
            topic, 0, value, key=key.encode(errors="surrogateescape"), time_ms=0, done=_nothing
        )

    def _send_table(
        self, table: Table, rows: Batch | None, stretch: Stretch, mark: _UnderWay, *, tell_all: bool
    ) -> None:
        topic = self._names.table(table.name)
        ends, floats = [0] * self._shards.count, 0
        if rows is None:
            rows = nothing_of(table)
        else:
            rows, floats = inside(rows, self._dictionary.instruments)
            shards = self._shards.of(rows.columns["sym"])
            rows, ends = sorted_by_shard(rows, shards, self._shards.count)
        cutter = self._cutter(table)
        for shard, end in enumerate(ends):
            own = cut(rows, ends[shard - 1] if shard else 0, end)
            told = self._told[topic, shard]
            if stretch.through <= told or not (tell_all or len(own)):
                continue
            if told > stretch.previous:
                sent = np.searchsorted(own.columns["seq"], told, side="right")
                own = cut(own, int(sent), len(own))
            here = Stretch(told, stretch.through, stretch.times, stretch.seqs)
            for piece in cutter.pieces(own, shard=shard, floats=floats, stretch=here):
                self._send(table, shard, piece, mark)
            self._told[topic, shard] = stretch.through
            mark.told[_stream((topic, shard))] = stretch.through

    def _send(self, table: Table, shard: int, piece: Piece, mark: _UnderWay) -> None:
        topic, stamp = self._names.table(table.name), _stamp(piece.header.last_time)
        headers = _headers(piece.header)
        if table.name in self._ledgers:
            self._together.append(Outgoing(topic, shard, piece.value, None, stamp, headers))
            return
        mark.left += 1
        self._open_producer.send(
            topic, shard, piece.value, key=None, time_ms=stamp, done=mark.done, headers=headers
        )

    def _send_rows(self, rows: Batch, form: RowFormat, mark: _UnderWay) -> None:
        topic = form.topic(self._names, rows.table.name)
        ledger = rows.table.name in self._ledgers
        told = np.array([self._told[topic, shard] for shard in range(self._shards.count)])
        fresh = rows.columns["seq"] > told[self._shards.of(rows.columns["sym"])]
        if not fresh.all():
            rows = Batch(rows.table, {name: each[fresh] for name, each in rows.columns.items()})
        shards = self._shards.of(rows.columns["sym"])
        for shard, key, time, value in form.records(rows, shards, list(self._symbols)):
            stamp = _stamp(time)
            if ledger:
                self._together.append(Outgoing(topic, shard, value, key, stamp))
            else:
                mark.left += 1
                self._open_producer.send(
                    topic, shard, value, key=key, time_ms=stamp, done=mark.done
                )
        for shard in np.unique(shards).tolist():
            last = int(rows.columns["seq"][shards == shard][-1])
            self._told[topic, shard] = mark.told[_stream((topic, shard))] = last

    @property
    def _open_producer(self) -> BusProducer:
        assert self._producer is not None, "the sink is not open"
        return self._producer

    def _flush(self) -> None:
        if not self._open_producer.flush(_FLUSH_S):
            raise SinkAwayError(
                f"Kafka at {self._settings.bus.bootstrap} took no rows for {_FLUSH_S:.0f} s"
            )

    # Acknowledgements

    def _poll(self, timeout_s: float) -> None:
        self._open_producer.poll(timeout_s)
        while self._under_way and self._under_way[0].left == 0:
            done = self._under_way.popleft()
            self._seq = max(self._seq, done.seq)
            self._rows += done.rows
            self._streams |= done.told

    def idle(self) -> None:
        """Take note of acknowledgements, and tell silent partitions how far the log goes.

        Whoever waits for the results of a job at the end of a run waits for this.
        """
        if self._progress.is_due and (self._progress.is_holding or not self._under_way):
            self.settle()
        self._poll(0.01)

    def taken(self) -> Taken:
        """Say what the brokers have."""
        return Taken(self._seq, self._rows, self._streams)

    def close(self) -> None:
        """Let go of the producer; what it had not delivered is sent again."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        if self._transactions is not None:
            self._transactions.close()
            self._transactions = None


def _nothing() -> None:
    """Records of dictionaries are waited for together."""


def _stream(where: Partition) -> str:
    return f"{where[0]}/{where[1]}"


def _stamp(time: int) -> int:
    """Give a record's stamp: event time in milliseconds since 1970."""
    return max(to_unix_ns(time) // 1_000_000, 0)


def _headers(header: Header) -> tuple[tuple[str, bytes], ...]:
    """Repeat what people and tools look for; readers of ours take it from the message."""
    return (
        ("rows", str(header.rows).encode()), ("first_seq", str(header.first_seq).encode()),
        ("last_seq", str(header.last_seq).encode()), ("schema", f"{header.schema:x}".encode()),
    )  # fmt: skip
