"""Drive one sink: follow the log, send, keep the cursor; a server that is away is waited for."""

import fcntl
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tickloop.core.catalog import Catalog
from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import SinkAwayError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.durable_seq import DurableSeq
from tickloop.tickerplant.journal_tail import Chunk, JournalTail
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile, advanced
from tickloop.tickerplant.sinks.sink import Sink

_NAP_S = 0.002
_CURSOR_NS = 200_000_000
_LOOK_NS = 50_000_000  # how often it is asked whether the plant still runs
_BACKOFF_S = (0.1, 5.0)
_STOPPED = "stopped before the log's end"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long a sink is waited for once nothing more comes.

    Nobody waits at a directory that was at rest from the beginning: there it is how long a sink may
    get nowhere, and how long one that is to stop is given for what it sent.
    """

    drain_s: float


class SinkLoop:
    """One sink of one data directory. Everything runs in the caller's thread."""

    def __init__(
        self, sink: Sink, root: Path, catalog: Catalog, symbols: Symbols, plant: int,
        settings: LoopSettings,
    ) -> None:  # fmt: skip
        """`symbols` are the sink's too; names that the database's file has more are added."""
        directory = DataDirectory(root)
        self._sink = sink
        self._symbols = symbols
        self._sym = directory.sym
        self._drain_s = settings.drain_s
        self._drain_ns = int(settings.drain_s * 1e9)
        self._durable = DurableSeq(directory, catalog)
        self._tail = JournalTail(directory.journal, catalog, symbols)
        self._file = CursorFile(root, sink.name)
        self.cursor = self._file.read(target=sink.target, plant=plant)
        self._opened = self.cursor
        self._written_ns = 0
        self._looked_ns = 0
        self._over = False
        self._is_patient = True  # until a plant is seen at work here
        self._is_stopped = False
        self._drain_by: int | None = None
        self._limit = -1

    def run(self, stop: Callable[[], bool]) -> bool:
        """Send rows until the plant ended or `stop` says so; tell whether all of them are there.

        Beside a plant, all that is there when `stop` says so is sent; over a directory at rest,
        nothing more. SinkError, if a person has to put something right first. Another process that
        drives the same sink of the same directory is waited for.
        """
        lock = os.open(self._file.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.cursor = self._file.read(target=self._sink.target, plant=self.cursor.plant)
            return self._run(stop)
        finally:
            os.close(lock)

    def _run(self, stop: Callable[[], bool]) -> bool:
        wait = _BACKOFF_S[0]
        while True:
            before = self.cursor.seq
            try:
                self._session(stop)
                is_whole = self._tail.seq >= self._limit
                return self._end("done") if is_whole else self._end("stopped", _STOPPED)
            except SinkAwayError as error:
                self._sink.close()
                self._away(str(error))
                wait = _BACKOFF_S[0] if self.cursor.seq > before else wait
            if not self._wait(wait, stop):
                return self._end("away", self.cursor.note)
            wait = min(2 * wait, _BACKOFF_S[1])

    def _session(self, stop: Callable[[], bool]) -> None:
        """Send until the end, or until the server goes away."""
        # Another process may have sent symbols that came after this one began.
        for name in read_names(self._sym)[len(self._symbols) :] if self._sym.exists() else ():
            self._symbols.id(name)
        self._tail.go_to(self._sink.open(self.cursor))
        self._opened = self.cursor
        self._note("running")
        with ThreadPoolExecutor(1, thread_name_prefix="tail") as ahead:
            coming: Future[Chunk | None] | None = None
            while True:
                is_over = self._is_over(stop)
                chunk = coming.result() if coming else None
                coming = None
                if not self._is_stopped:
                    # What was looked for ahead knew an earlier limit.
                    chunk = chunk or self._tail.next(self._limit)
                    # The next chunk is decoded, by kernels, while this one is sent.
                    coming = ahead.submit(self._tail.next, self._limit) if chunk else None
                if chunk is not None:
                    self._sink.take(chunk)
                    self._keep()
                elif self._is_finished(is_over=is_over):
                    return

    def _is_finished(self, *, is_over: bool) -> bool:
        """Wait a little, as nothing is there to send; tell whether nothing will be."""
        self._sink.idle()
        is_settled = is_over and self._sink.settle()
        self._keep()
        is_read = self._is_stopped or self._tail.seq >= self._limit
        if is_settled and is_read and self._sink.taken().seq >= self._tail.seq:
            return True
        if is_over and self._is_late():
            if not is_read:
                raise SinkAwayError(
                    f"the log ends at seq {self._tail.seq}, though rows up to {self._limit} were"
                    " written; `tickloop verify` says what is missing"
                )
            raise SinkAwayError(
                f"{self._sink.target} did not take everything within {self._drain_s:.0f} s"
            )
        sleep(_NAP_S)
        return False

    def _is_over(self, stop: Callable[[], bool]) -> bool:
        """Find out how far rows are durable, and whether any more may come."""
        if self._over:
            if self._is_patient and stop():
                self._is_patient, self._is_stopped = False, True
                self._drain_by = monotonic_ns() + self._drain_ns
            return True
        now = monotonic_ns()
        rested: int | None = None
        if now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            rested = self._durable.rested()
            self._is_patient &= rested is not None
            self._over = rested is not None or stop()
        if self._over:
            self._drain_by = now + self._drain_ns
        self._limit = self._durable.synced() if rested is None else rested
        return self._over

    def _is_late(self) -> bool:
        return self._drain_by is not None and monotonic_ns() > self._drain_by

    def _wait(self, seconds: float, stop: Callable[[], bool]) -> bool:
        """Wait before the next try; False if it is not worth it any more."""
        until = monotonic_ns() + int(seconds * 1e9)
        while monotonic_ns() < until:
            self._is_over(stop)
            if self._is_stopped:
                return False
            sleep(min(seconds, 0.05))
        return not self._is_late()

    # The cursor

    def _keep(self, *, force: bool = False) -> None:
        """Write the cursor down if it moved, a few times a second."""
        taken = self._sink.taken()
        if self._is_patient and taken.seq > self.cursor.seq:
            self._drain_by = monotonic_ns() + self._drain_ns
        moved = advanced(self._opened, taken.seq, taken.rows, taken.streams)
        self.cursor = replace(moved, state=self.cursor.state, note=self.cursor.note)
        now = monotonic_ns()
        if force or (now - self._written_ns >= _CURSOR_NS and self.cursor.seq != self._written_seq):
            self._write()

    def _write(self) -> None:
        self._written_ns = monotonic_ns()
        self._written_seq = self.cursor.seq
        self._file.write(self.cursor)

    def _note(self, state: str, note: str = "") -> None:
        self.cursor = replace(self.cursor, state=state, note=note)
        self._write()

    def _away(self, note: str) -> None:
        if self.cursor.state != "away":
            _log.warning("%s: %s; rows wait in the journal", self._sink.name, note)
        self._note("away", note)

    def _end(self, state: str, note: str = "") -> bool:
        if state != "away":
            self._keep(force=True)
        self._sink.close()
        self._note(state, note)
        return state == "done"

    _written_seq = -1


def behind(cursor: Cursor, durable: int) -> int:
    """Count the seqs that a sink has not acknowledged yet."""
    return max(durable - max(cursor.seq, 0), 0)
