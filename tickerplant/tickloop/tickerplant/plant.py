"""The plant: sequence, stamp, journal, publish. One order over all tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice, slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.clock import DAY_NS, Clock, WallClock, monotonic_ns
from tickloop.core.dialects.numpy import NULL_INT
from tickloop.core.errors import SchemaError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import CLOCK, INSTRUMENT, SYMBOL, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.catch_up import CatchUp, Ended
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.file_door import FileDoor
from tickloop.tickerplant.journal import Journal, JournalSettings
from tickloop.tickerplant.journal_reader import after
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.publication import Publication, Subscriber
from tickloop.tickerplant.row_publisher import STAGE_NS, STAGE_ROWS, RowStage
from tickloop.tickerplant.session import SessionCalendar
from tickloop.tickerplant.stamp import NULL_TIME, Stamper
from tickloop.tickerplant.surface import Surfacer
from tickloop.tickerplant.today import Today

_NO_UNITS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class PlantSettings:
    """How a plant stamps and rolls."""

    journal: JournalSettings = field(default_factory=JournalSettings)
    zone: str = "UTC"
    roll_ns: int = 0
    tick_ns: int = 1_000_000_000  # a clock row at least this often while time passes; 0 for none
    live: bool = False  # the plant stamps rows itself, with the wall clock


class Plant:
    """One writer of one data directory."""

    def __init__(
        self,
        directory: DataDirectory,
        catalog: Catalog,
        symbols: Symbols,
        today: Today,
        door: FileDoor,
        settings: PlantSettings,
    ) -> None:
        self.directory = directory
        self.catalog = catalog
        self.symbols = symbols
        self.instruments = Instruments()
        self.settings = settings
        self._names = Names(symbols)
        self.encoder = Encoder(self._names, fractional=catalog.fractional)
        self._surfacer = Surfacer(self.instruments, fractional=catalog.fractional)
        self.journal = Journal(
            directory.journal, catalog, self.encoder, door, settings.journal, self._journal_row
        )
        self.calendar = SessionCalendar(zone=settings.zone, roll_ns=settings.roll_ns)
        self._stamper = Stamper(tick_ns=settings.tick_ns, last_time=self.journal.last_time)
        self._clock: Clock = WallClock()
        self._today = today
        self._subscribers: list[Subscriber] = []
        self._own_rows: list[Batch] = []
        self._is_offering = False
        self._stage = RowStage(self.encoder, self._names)
        self._writes_at_once = settings.journal.sync is Sync.BATCH
        # The session's end or the clock's next row: what single rows must look up for.
        self._next_event = NULL_TIME
        self._symbols_logged = 0
        self.rows = 0

    @property
    def refused(self) -> dict[str, int]:
        """Values that did not survive the round trip to the surface, by column."""
        return dict(self._surfacer.refused)

    @property
    def raised_times(self) -> int:
        """Rows that got a later `time` than their own, because the log was past it."""
        return self._stamper.raised

    @property
    def last_time(self) -> int:
        """The `time` of the last row."""
        return self._stamper.last_time

    def today_ns(self) -> int:
        """Give the UTC midnight that publishers' timespans count from."""
        now = self._clock.now() if self.settings.live else max(self._stamper.last_time, 0)
        return now // DAY_NS * DAY_NS

    # Subscribers

    def subscribe(self, subscriber: Subscriber, *, start: int | None = None) -> None:
        """Give a subscriber everything from now on, or from the seq `start` on.

        Rows of the past are read from the log and offered before this returns.
        """
        self.commit()
        if start is not None and start > self.journal.next_seq:
            raise SchemaError(
                f"seq {start} asked for, at most {self.journal.next_seq} expected, which the next"
                " row gets; was that seq another plant's?"
            )
        if start is not None:
            self._offer_logged(subscriber, start)
        self._subscribers.append(subscriber)

    def _offer_logged(self, subscriber: Subscriber, start: int) -> None:
        behind = CatchUp(self.directory.journal, self.catalog, self.symbols, self.encoder, start)
        while (logged := behind.next()) is not None:
            if isinstance(logged, Ended):
                subscriber.ended(logged.session)
            elif (rows := after(logged.rows, start - 1)) is not None:
                subscriber.offer(self._publication(rows, None))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop giving a subscriber anything."""
        self._subscribers = [other for other in self._subscribers if other is not subscriber]

    # Publishing

    def publish(self, rows: Slice, *, commit: bool = True) -> int:
        """Sequence, stamp, journal and publish a slice; return its last seq.

        When it returns, the rows are as durable as the journal's sync mode says; with
        `commit=False` only after `commit()`, so that several slices share one sync.
        """
        assert not self._is_offering, "a subscriber published while it was offered rows"
        if not rows.rows:
            return self.journal.next_seq - 1
        self._check_units(rows)
        self._flush_rows()
        now = self._clock.now() if self.settings.live else None
        stamps = self._stamper.stamp(rows, now=now)
        self._roll_to(int(stamps.times[0]))
        self._log_symbols(int(stamps.times[0]))
        first = self.journal.begin(stamps.rows, int(stamps.times[0]))
        batches = [
            self._surfacer.surface(
                batch,
                stamps.times[batch.columns["_place"]],
                first + stamps.ordinals[batch.columns["_place"]],
            )
            for batch in rows.batches
            if len(batch)
        ]
        if len(stamps.tick_times):
            batches.insert(0, self._clock_rows(stamps.tick_times, first + stamps.tick_ordinals))
        self._write(batches, rows=stamps.rows, commit=commit)
        return self.journal.next_seq - 1

    def publish_rows(self, table: Table, records: npt.NDArray[np.void]) -> int:
        """Publish packed surface records as one message a row; return the last seq.

        `records` has the table's surface dtype (`record_dtype`); the plant gives `time` and
        `seq`. With sync none or interval, rows are logged and published together with those
        that come within STAGE_NS, at the latest by the next `commit` or `tick`.
        """
        assert not self._is_offering, "a subscriber published while it was offered rows"
        stage = self._stage
        count = len(records)
        if not count:
            return self.journal.next_seq - 1
        raw = records.tobytes()
        stamp: int | None = None
        if self.settings.live:
            stamp = time = max(self._clock.now(), self._stamper.last_time)
        else:
            at = len(raw) - len(raw) // count
            time = int.from_bytes(raw[at : at + 8], "little", signed=True)
        if time >= self._next_event and count > 1:
            return max(self.publish_rows(table, records[row : row + 1]) for row in range(count))
        if stage.rows + count > STAGE_ROWS or time >= self._next_event:
            self._flush_rows()
            self._roll_to(max(time, self._stamper.last_time))
            self._log_tick(max(time, self._stamper.last_time))
        if len(self.symbols) != self._symbols_logged:
            self._flush_rows()
            self._log_symbols(max(time, self._stamper.last_time))
        if not stage.rows:
            stage.first_seq = self.journal.begin(max(count, STAGE_ROWS), time)
            stage.since_ns = monotonic_ns()
        stage.add(table, raw, count, stamp)
        seq = stage.first_seq + stage.rows - 1
        if self._writes_at_once or monotonic_ns() - stage.since_ns >= STAGE_NS:
            self._flush_rows()
        return seq

    def _flush_rows(self) -> None:
        """Log and publish the rows that wait; if they cannot be written they go on waiting."""
        stage = self._stage
        if not stage.rows:
            return
        data, tables = stage.encode(self._stamper.last_time)
        time = int(tables[-1][1]["time"][-1])
        rows = stage.rows
        self.journal.append(data, messages=rows, rows=rows, time=time)
        stage.clear()
        self.rows += rows
        self._stamper.last_time = time
        self.journal.commit()
        for table, records in tables:
            self._deliver_rows(table, records)

    def _deliver_rows(self, table: Table, records: npt.NDArray[np.void]) -> None:
        rows = Batch(table, {name: records[name].copy() for name in table.names})
        self._show_own_rows(before=int(rows.columns["seq"][0]))
        self._today.append(rows)
        if self._subscribers:
            encode = partial(self._encode_each, table, records)
            self._offer(Publication(rows, encode))
        self._show_own_rows()
        self._today.publish(int(rows.columns["seq"][-1]))

    def _encode_each(self, table: Table, records: npt.NDArray[np.void]) -> bytes:
        return self.encoder.publish_rows(table, records).tobytes()

    def commit(self) -> None:
        """Make everything published as durable as the sync mode promises, and show it."""
        self._flush_rows()
        if self.journal.is_open:
            self.journal.commit()
            self._show_own_rows()
            self._today.publish(self.journal.next_seq - 1)

    def tick(self) -> None:
        """Let time pass: show rows that wait, and log a clock row when a new tick began."""
        self._flush_rows()
        if not self.settings.live:
            return
        now = self._clock.now()
        self._roll_to(now)
        self._log_tick(now)

    def advance_to(self, time: int) -> None:
        """Let a replay's time come to an instant: a clock row is logged if a new tick began.

        The rows that follow are logged as if it had come with them.
        """
        assert not self._is_offering, "a subscriber published while it was offered rows"
        self._flush_rows()
        if time > self._stamper.last_time:
            self._roll_to(time)
            self._log_tick(time)

    def _log_tick(self, now: int) -> None:
        """Log a clock row if `now` is in a new tick, and find out when the next one is due."""
        time = self._stamper.tick(now)
        if time is not None:
            first = self.journal.begin(1, time)
            self._write(
                [self._clock_rows(np.array([time]), np.array([first]))], rows=1, commit=True
            )
        _, end = self.calendar.bounds(self.calendar.date_at(now))
        self._next_event = min(end, self._stamper.next_tick)

    def _write(self, batches: Iterable[Batch], *, rows: int, commit: bool) -> None:
        encoded = [(batch, self.encoder.columns(batch)) for batch in batches]
        data = b"".join(
            part
            for batch, columns in encoded
            for part in (self.encoder.layout(batch.table).log_prefix, columns)
        )
        self.journal.append(data, messages=len(encoded), rows=rows, time=self._stamper.last_time)
        self._show_own_rows()
        if commit:
            self.journal.commit()
        for batch, columns in encoded:
            self._show(batch, columns)
        self._show_own_rows()
        self._today.publish(self.journal.next_seq - 1)
        self.rows += rows

    def _journal_row(self, row: Batch) -> None:
        # Shown where it stands in the log: before the rows that follow it, after those before.
        self._own_rows.append(row)

    def _show_own_rows(self, *, before: int = 2**62) -> None:
        while self._own_rows and int(self._own_rows[0].columns["seq"][0]) < before:
            self._show(self._own_rows.pop(0), None)

    def _show(self, batch: Batch, columns: bytes | None) -> None:
        self._today.append(batch)
        if self._subscribers:
            self._offer(self._publication(batch, columns))

    def _publication(self, rows: Batch, columns: bytes | None) -> Publication:
        return Publication(rows, partial(self.encoder.publication, rows, columns))

    def _offer(self, publication: Publication) -> None:
        self._is_offering = True
        for subscriber in self._subscribers:
            subscriber.offer(publication)
        self._is_offering = False

    def _check_units(self, rows: Slice) -> None:
        for batch in rows.batches:
            if batch.table is INSTRUMENT and not self.catalog.fractional:
                given = batch.columns.get("size_unit", _NO_UNITS).astype(np.int64)
                units = given[given != NULL_INT]
                if (units != 0).any():
                    raise SchemaError(
                        f"an instrument with sizes in units of 10^{units.min()} seen, whole"
                        " sizes expected: this data directory holds sizes as longs; capture"
                        " fractional quantities into a new --data directory"
                    )

    # The log's own rows

    def _roll_to(self, time: int) -> None:
        session = self.calendar.date_at(time)
        if self.journal.is_open and self.journal.session == session:
            return
        if time == NULL_TIME:
            raise SchemaError("rows without a time seen before any with one; the feed must stamp")
        if self.journal.is_open:
            self._end_session()
        self.journal.open(session, time)
        # Every log tells all ids, so that each can be read without the ones before it.
        self._symbols_logged = 0
        self._log_symbols(time)

    def _end_session(self) -> None:
        ended = self.journal.session
        assert ended is not None, "an open log has a session"
        self.journal.close()
        self._show_own_rows()
        self._today.publish(self.journal.next_seq - 1)
        for subscriber in self._subscribers:
            subscriber.ended(ended)

    def _log_symbols(self, time: int) -> None:
        count = len(self.symbols)
        if count == self._symbols_logged:
            return
        self._today.add_symbols()
        ids = np.arange(self._symbols_logged, count, dtype=np.int32)
        first = self.journal.begin(len(ids), time)
        columns: dict[str, npt.NDArray[np.generic]] = {
            "time": np.full(len(ids), time, dtype=np.int64),
            "sym": ids,
            "id": ids,
            "seq": np.arange(first, first + len(ids), dtype=np.int64),
        }
        self._symbols_logged = count
        self._write([Batch(SYMBOL, columns)], rows=len(ids), commit=False)

    def _clock_rows(self, times: npt.NDArray[np.int64], seqs: npt.NDArray[np.int64]) -> Batch:
        symbols = np.full(len(times), -(2**31), dtype=np.int32)
        return Batch(CLOCK, {"time": times, "sym": symbols, "seq": seqs})

    def publish_batch(self, batch: Batch, *, commit: bool = True) -> int:
        """Publish rows of one table, as remote publishers send them."""
        return self.publish(slice_of(batch), commit=commit)

    def close(self) -> None:
        """Write the closing row and let go of the log."""
        self._flush_rows()
        self.journal.close()
        self._show_own_rows()
        self._today.publish(self.journal.next_seq - 1)
