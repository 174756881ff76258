"""Embedded in the plant: derived rows enter the log, and a restart loses and repeats none."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, slice_of
from tickloop.core.instruments import Instruments
from tickloop.core.schema import INSTRUMENT, SYMBOL, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.streaming.fitting import check_rows, tables_of
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import Job, live_changes
from tickloop.streaming.order import Pending
from tickloop.streaming.snapshots import SnapshotFile, check_lasting
from tickloop.tickerplant.inside import Insider
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.publication import Update

# (cause, ordinal): ascends within a table of a stream.
Key = tuple[int, int]
_BEFORE_ALL: Key = (-1, -1)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How many rows are folded between two snapshots, and so at most again after a crash."""

    snapshot_rows: int


class Driver:
    """Runs a job as a subscriber of the plant: `pump` after each publication, `close` at the end.

    What it folds is the log, in the log's order. A snapshot is kept once its rows, and the rows
    that follow from them, are on disk. A restart goes on from there: it folds the log's rows
    anew and leaves out the derived rows that the log has already. A live parameter that has
    another value by then holds from the restart on, as if a `control` row had changed it there;
    ConfigError names a changed one that is not live. An operator that raises is not called again:
    the error is logged and kept in `failure`, and the plant goes on.
    """

    def __init__(
        self, job: Job, plant: Plant, kept: SnapshotFile, cadence: Cadence,
        insider: Insider | None = None,
    ) -> None:  # fmt: skip
        """Take up the stream where its snapshot is, or at the plant's next row.

        Streams of one plant may share an `insider`, so that rows are converted once.
        """
        self.job = job
        self.failure: Exception | None = None
        self.rows_made = 0
        self._plant = plant
        self._kept = kept
        self._cadence = cadence
        self._insider = insider_of(plant) if insider is None else insider
        self._wanted = {*job.operator.tables, INSTRUMENT.name}
        self._tables = tables_of(job, plant.catalog.by_name, str(plant.directory.root))
        self._pending = Pending()
        self._outbox: list[Batch] = []
        # Rows of this stream that the log has past the snapshot: the last key, by table.
        self._logged: dict[str, Key] = {}
        self._rows_since = 0
        # A snapshot that waits until everything up to a seq is on disk.
        self._waiting: tuple[int, bytes] | None = None
        self._last_published = -1
        found = kept.read()
        before = None if found is None else kept.params()
        if before is not None:
            check_lasting(job, before, kept.path)
        self._fold = Fold(job, found)
        if before is None:
            kept.write_params(job.params)
        if found is None:
            self._begin()
        else:
            self._go_on()
        changed = {} if before is None else live_changes(job, before)
        if changed and self.failure is None:
            self._take_up(changed)

    def _begin(self) -> None:
        plant = self._plant
        # What the log told before counts for rows that follow: names, and units.
        for batch in _known(plant):
            self._fold.take([batch])
        self._put_on_disk()
        self._fold.seq = plant.journal.next_seq - 1
        self._kept.write(self._fold.snapshot())
        self._pending.begin(self._fold.seq + 1)
        plant.subscribe(self)

    def _go_on(self) -> None:
        self._pending.begin(self._fold.seq + 1)
        self._plant.subscribe(self, start=self._fold.seq + 1)
        self._take(self._pending.rest())
        self._outbox = [
            rest for batch in self._outbox if len(rest := past(batch, self._logged_of(batch)))
        ]
        self._logged.clear()
        self.pump()

    def _take_up(self, changed: Mapping[str, float]) -> None:
        """Give live parameters other values, and keep that before any row follows from it."""
        self._fold.change(changed)
        self._put_on_disk()
        self._kept.write(self._fold.snapshot())
        self._kept.write_params(self.job.params)

    def _logged_of(self, batch: Batch) -> Key:
        return self._logged.get(batch.table.name, _BEFORE_ALL)

    # As a subscriber

    def offer(self, update: Update) -> None:
        """Take rows as they enter the log; what is complete is folded."""
        if self.failure is not None:
            return
        name = update.table.name
        if name in self.job.operator.outputs:
            self._note_own(update.rows)
        self._take(self._pending.add(update.rows, is_wanted=name in self._wanted))

    def ended(self, session: date) -> None:
        """Hear that a session ended; the log goes on."""

    def _note_own(self, rows: Batch) -> None:
        """Remember the last of this stream's rows that the log has."""
        mine = self._plant.symbols.find(self.job.name)
        if mine is None:
            return
        own = np.flatnonzero(rows.columns["stream"] == mine)
        if len(own):
            last = int(own[-1])
            key = (int(rows.columns["cause"][last]), int(rows.columns["ordinal"][last]))
            table = rows.table.name
            self._logged[table] = max(self._logged.get(table, _BEFORE_ALL), key)

    def _take(self, group: Sequence[Batch]) -> None:
        if not group or self.failure is not None:
            return
        try:
            first = sorted(group, key=lambda batch: batch.table != INSTRUMENT)
            inside = [self._insider.inside(batch) for batch in first]
            made = self._fold.take(inside)
            for each in made:
                check_rows(self.job, each, self._tables)
            self._outbox += made
        except Exception as error:
            # The operator may be the user's; whatever is wrong with it must not end a capture.
            self.failure = error
            logging.getLogger(__name__).exception(
                "stream %s failed after seq %d and is stopped", self.job.name, self._fold.seq
            )
        self._rows_since += sum(len(batch) for batch in group)

    # Between publications

    def pump(self) -> int:
        """Fold what entered the log and publish what follows from it; give how many rows."""
        self._take(self._pending.rest())
        published = sum(len(batch) for batch in self._outbox)
        if published:
            made, self._outbox = self._outbox, []
            rows = [surfaced(batch, self.job.name, self._plant.symbols) for batch in made]
            self._last_published = self._plant.publish(slice_of(*rows))
            self.rows_made += published
        self._keep()
        return published

    def _keep(self) -> None:
        """Write a snapshot whose rows are on disk; take the next when it is due."""
        if self.failure is not None:
            return
        if self._waiting is None and self._rows_since >= self._cadence.snapshot_rows:
            until = max(self._fold.seq, self._last_published)
            self._waiting = (until, self._fold.snapshot())
            self._rows_since = 0
        if self._waiting is not None and self._plant.journal.synced_seq >= self._waiting[0]:
            self._kept.write(self._waiting[1])
            self._waiting = None

    def _put_on_disk(self) -> None:
        """Wait until everything that was published is on disk."""
        self._plant.commit()
        if self._plant.journal.is_open:
            self._plant.journal.log.sync()

    def close(self) -> None:
        """Leave the plant; call it before the plant closes, and `keep` after."""
        self.pump()
        self._plant.unsubscribe(self)
        self._waiting = None
        self._rows_since = self._cadence.snapshot_rows

    def keep(self) -> None:
        """Write the last snapshot: the log is closed, so all of it is on disk."""
        self._keep()


def insider_of(plant: Plant) -> Insider:
    """Make a converter that knows the units that the plant knows."""
    copy = Instruments()
    for symbol in range(len(plant.symbols)):
        if (units := plant.instruments.declared(symbol)) is not None:
            copy.declare(symbol, price_unit=units[0], size_unit=units[1])
    return Insider(plant.symbols, copy)


def _known(plant: Plant) -> Sequence[Batch]:
    """Spell what is known before a stream's first row as rows: operators know no other way."""
    names = plant.symbols.names_from(0)
    ids = np.arange(len(names), dtype=np.int32)
    declared = [(id_, units) for id_ in ids.tolist() if (units := plant.instruments.declared(id_))]
    told: Mapping[str, npt.NDArray[np.generic]] = {
        "sym": ids, "id": ids,
        "name": np.array([n.encode(errors="surrogateescape") for n in names], dtype=np.bytes_),
    }  # fmt: skip
    given: Mapping[str, npt.NDArray[np.generic]] = {
        "sym": np.array([id_ for id_, _ in declared], dtype=np.int32),
        "price_unit": np.array([units[0] for _, units in declared], dtype=np.int32),
        "size_unit": np.array([units[1] for _, units in declared], dtype=np.int32),
    }
    return [_at_start(SYMBOL, told), _at_start(INSTRUMENT, given)]


def _at_start(table: Table, columns: Mapping[str, npt.NDArray[np.generic]]) -> Batch:
    rows = len(columns["sym"])
    stamps = {name: np.zeros(rows, dtype=np.int64) for name in ("time", "seq")}
    return Batch(table, {**columns, **stamps})


def surfaced(batch: Batch, stream: str, symbols: Symbols) -> Batch:
    """Spell a stream's rows for the log: names become ids, and the plant gives `time`."""
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for column in batch.table.columns:
        values = batch.columns.get(column.name)
        if values is None or column.name in ("time", "seq"):
            continue
        if column.kind is Kind.SYMBOL and values.dtype.kind == "S":
            names = (name.decode(errors="surrogateescape") for name in values.tolist())
            values = symbols.ids(names)
        columns[column.name] = values
    columns["stream"] = np.full(len(batch), symbols.id(stream), dtype=np.int32)
    return Batch(batch.table, columns)


def past(batch: Batch, key: Key) -> Batch:
    """Keep the derived rows past a key."""
    cause, ordinal = (batch.columns[name].astype(np.int64) for name in ("cause", "ordinal"))
    past = (cause > key[0]) | ((cause == key[0]) & (ordinal > key[1]))
    return Batch(batch.table, {name: values[past] for name, values in batch.columns.items()})
