"""On a Flink cluster: derived rows come back from Kafka and enter the log, each of them once."""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np

from tickloop.core.batch import Batch, slice_of
from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import SinkAwayError, SnapshotError, TickloopError
from tickloop.streaming.drivers.embedded import Cadence, Key, past, surfaced
from tickloop.streaming.fitting import tables_of
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.returned import Position, Returned
from tickloop.streaming.flink.share import count_of
from tickloop.streaming.job import Job
from tickloop.streaming.snapshots import SnapshotFile
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.publication import Update
from tickloop.tickerplant.sinks.kafka_client import Bus

# Who waits for a job's last results gives up when none came for so long; a job whose machine died
# is back sooner.
_QUIET_S = 20.0
_NAP_S = 0.005
_BEFORE_ALL: Key = (-1, -1)
_MAGIC = "tickloop-returned-1"
_log = logging.getLogger(__name__)


class Driver:
    """Publishes what a job on a cluster made: `pump` now and then, `close` at the end.

    The job reads the plant's rows from Kafka and writes its own there; it is deployed, upgraded
    and killed without this. How far results were taken is kept once they are on disk. A restart
    reads on from there and leaves out the rows that the log has already. While the broker is away
    nothing comes, and nothing is lost.
    """

    def __init__(
        self, job: Job, plant: Plant, kept: SnapshotFile, cadence: Cadence, plan: JobPlan, bus: Bus
    ) -> None:
        """Take up results where they were left, or with the job's first one."""
        self.job = job
        self.failure: Exception | None = None
        self.rows_made = 0
        self._plant = plant
        self._kept = kept
        self._cadence = cadence
        self._plan = plan
        self._bus = bus
        tables_of(job, plant.catalog.by_name, str(plant.directory.root))
        self._logged: dict[str, Key] = {}
        self._rows_since = 0
        self._waiting: tuple[int, bytes] | None = None
        self._last_published = -1
        found = kept.read()
        if found is None:
            self._start = self._begin()
        else:
            self._start, logged = _position(found, kept)
            # Rows that entered the log after the position was kept are not to enter it again.
            plant.subscribe(self, start=logged + 1)
            plant.unsubscribe(self)
        self._returned: Returned | None = None
        self._opening: Future[Returned] | None = None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix=job.name)
        self._is_away = False

    def _begin(self) -> Position:
        """Keep where this stream's rows can first be in the log, before any of them is."""
        plant, start = self._plant, self._plan.start
        plant.commit()
        if plant.journal.is_open:
            plant.journal.log.sync()
        position = Position() if isinstance(start, str) else Position(start["seq"])
        self._kept.write(_spelled(position, plant.journal.next_seq - 1))
        return position

    # As a subscriber, of the past

    def offer(self, update: Update) -> None:
        """Note which of this stream's rows the log has."""
        mine = self._plant.symbols.find(self.job.name)
        if mine is None or update.table.name not in self.job.operator.outputs:
            return
        own = np.flatnonzero(update.rows.columns["stream"] == mine)
        if len(own):
            last = int(own[-1])
            columns = update.rows.columns
            key = (int(columns["cause"][last]), int(columns["ordinal"][last]))
            name = update.table.name
            self._logged[name] = max(self._logged.get(name, _BEFORE_ALL), key)

    def ended(self, session: date) -> None:
        """Hear that a session ended; the log goes on."""

    # Between publications

    @property
    def done(self) -> int:
        """The seq up to which every result is in the log; -1 before the first."""
        return -1 if self._returned is None else self._returned.done

    def pump(self) -> int:
        """Publish the results that have come; give how many rows."""
        if self.failure is not None:
            return 0
        published = 0
        try:
            returned = self._opened()
            for group in () if returned is None else returned.poll(0.0):
                published += self._publish(group)
        except SinkAwayError as error:
            if not self._is_away:
                _log.warning("stream %s: %s; its rows wait on the bus", self.job.name, error)
            self._is_away = True
        except TickloopError as error:
            # Foreign bytes, a gap: a person has to look, and the capture goes on.
            self.failure = error
            _log.exception("stream %s stopped at seq %d", self.job.name, self.done)
        self._keep()
        return published

    def _opened(self) -> Returned | None:
        """Give the reader once it is there; brokers are asked beside the capture, which goes on."""
        if self._returned is None:
            if self._opening is None:
                self._opening = self._beside.submit(self._open)
            if not self._opening.done():
                return None
            opening, self._opening = self._opening, None
            self._returned = opening.result()
            self._is_away = False
        return self._returned

    def _open(self) -> Returned:
        shares = count_of(self._plan, self.job)
        return Returned(self._plan, self.job.operator.outputs, shares, self._bus, self._start)

    def _publish(self, group: Sequence[Batch]) -> int:
        fresh = [
            rest
            for batch in group
            if len(rest := past(batch, self._logged.get(batch.table.name, _BEFORE_ALL)))
        ]
        if not fresh:
            return 0
        rows = [surfaced(batch, self.job.name, self._plant.symbols) for batch in fresh]
        self._last_published = self._plant.publish(slice_of(*rows))
        published = sum(map(len, fresh))
        self.rows_made += published
        self._rows_since += published
        return published

    def _keep(self) -> None:
        """Keep a position whose rows are on disk; take the next when it is due."""
        if self.failure is not None or self._returned is None:
            return
        if self._waiting is None and self._rows_since >= self._cadence.snapshot_rows:
            until = max(self._last_published, self._plant.journal.next_seq - 1)
            self._waiting = (until, _spelled(self._returned.position, until))
            self._rows_since = 0
        if self._waiting is not None and self._plant.journal.synced_seq >= self._waiting[0]:
            self._kept.write(self._waiting[1])
            self._waiting = None

    def drain(self, last: int, timeout_s: float) -> bool:
        """Wait for results up to a seq, while they keep coming; tell whether all came."""
        until = monotonic_ns() + int(timeout_s * 1e9)
        quiet = monotonic_ns()
        while self.done < last and self.failure is None and monotonic_ns() < until:
            before = self.done
            self.pump()
            self._plant.tick()
            if self.done > before:
                quiet = monotonic_ns()
            elif monotonic_ns() - quiet > _QUIET_S * 1e9:
                break
            sleep(_NAP_S)
        if self.done < last and self.failure is None:
            _log.warning(
                "stream %s: results up to seq %d of %d came; the rest enters the log in the next"
                " run", self.job.name, self.done, last,
            )  # fmt: skip
        return self.done >= last

    def close(self) -> None:
        """Take what has come; call it before the plant closes, and `keep` after."""
        self.pump()
        self._waiting = None
        self._rows_since = self._cadence.snapshot_rows

    def keep(self) -> None:
        """Keep the last position: the log is closed, so all of it is on disk."""
        self._keep()
        self._beside.shutdown(cancel_futures=True)
        if self._returned is not None:
            self._returned.close()


def _spelled(position: Position, logged: int) -> bytes:
    fields = asdict(position)
    fields["told"] = [[*where, seq] for where, seq in position.told.items()]
    return json.dumps({"kind": _MAGIC, "logged": logged, **fields}).encode()


def _position(data: bytes, kept: SnapshotFile) -> tuple[Position, int]:
    try:
        fields: Any = json.loads(data)
        if fields["kind"] != _MAGIC:
            raise ValueError(fields["kind"])
        told = {(int(a), int(b)): int(seq) for a, b, seq in fields["told"]}
        return Position(int(fields["done"]), int(fields["offset"]), told), int(fields["logged"])
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{kept.path} is no position in a job's results ({error}); delete it to take the"
            " results from their first one"
        ) from error
