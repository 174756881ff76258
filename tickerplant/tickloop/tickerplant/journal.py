"""Append-only journal. What was acknowledged is on disk; what is torn was not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError, JournalError
from tickloop.core.schema import JOURNAL
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.file_door import FileDoor
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.log_file import IntervalSyncer, LogFile, Sync
from tickloop.tickerplant.recovery import Recovered, recover
from tickloop.tickerplant.synced_seq import NAME as SYNCED
from tickloop.tickerplant.synced_seq import SyncedSeq

FORMAT_VERSION = 1
FIRST_SEQ = 1
# A log that never got past its first row holds no more than this.
_FIRST_ROW_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How the journal writes; every bound is stated."""

    plant: str = "tickloop"
    sync: Sync = Sync.INTERVAL
    interval_s: float = 0.1
    span_bytes: int = 4 << 20  # log bytes a checksum row covers
    reserve: int = 1 << 24  # seqs that one durable reservation covers


@dataclass(frozen=True, slots=True)
class CutTail:
    """A torn tail: where it was cut, how much, why, and where the bytes were put."""

    path: Path
    offset: int
    size: int
    reason: str
    kept_in: Path | None

    def __str__(self) -> str:
        kept = f", kept in {self.kept_in.name}" if self.kept_in else ""
        return f"{self.path.name}: {self.size} bytes cut at byte {self.offset}: {self.reason}{kept}"


def plant_id(name: str) -> int:
    """Digest a plant's name to a positive number."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


def log_path(directory: Path, session: date) -> Path:
    """Name the log of a session date."""
    return directory / f"{session.isoformat()}.log"


def logs(directory: Path) -> list[Path]:
    """List a directory's logs by date."""
    return sorted(directory.glob("????-??-??.log"))


class Journal:
    """The plant's log: allocates seq, writes messages and its own `journal` rows."""

    def __init__(
        self,
        directory: Path,
        catalog: Catalog,
        encoder: Encoder,
        door: FileDoor,
        settings: JournalSettings,
        on_row: Callable[[Batch], None],
    ) -> None:
        """`on_row` is given every `journal` row that was written, as surface rows."""
        self._directory = directory
        self._catalog = catalog
        self._encoder = encoder
        self._door = door
        self._settings = settings
        self._on_row = on_row
        self._plant = plant_id(settings.plant)
        self._log: LogFile | None = None
        self._syncer: IntervalSyncer | None = None
        self._synced = SyncedSeq(directory / SYNCED)
        self._row_start = 0
        self._reserved = 0
        self.session: date | None = None
        self.next_seq = FIRST_SEQ
        self.last_time = -(2**63)
        self.epoch = 1
        self.unindexed_bytes = 0
        self.cut_tails: list[CutTail] = []
        self._recovered: Recovered | None = None
        self._last_log: Path | None = None
        self._recover()

    def _recover(self) -> None:
        existing = logs(self._directory)
        while existing:
            path = existing.pop()
            recovered = recover(path, self._catalog)
            if recovered.journal_row is None and recovered.cut > _FIRST_ROW_BYTES_MAX:
                raise CorruptJournalError(
                    f"{path}: byte {recovered.end}: {recovered.reason} where the first journal row"
                    f" is expected, with {recovered.cut} bytes after it: run"
                    f" `tickloop journal repair {path}` to keep what is good"
                )
            if recovered.cut:
                self._cut(path, recovered)
            if recovered.journal_row is None:
                # Nothing was ever durable in it: the file before it knows where to go on.
                self._door.unlink(path)
                if sidecar.path_of(path).exists():
                    self._door.unlink(sidecar.path_of(path))
                continue
            self._go_on_after(path, recovered)
            return

    def _go_on_after(self, path: Path, recovered: Recovered) -> None:
        row = recovered.journal_row
        assert row is not None
        if row.version > FORMAT_VERSION or row.plant != self._plant:
            raise JournalError(
                f"{path}: written by plant {row.plant:x} in format {row.version}; this is plant"
                f" {self._plant:x} ({self._settings.plant!r}) with format {FORMAT_VERSION}:"
                " set [plant] name to the one that wrote it, or use another --data directory"
            )
        # A row that was never made durable may have been seen by a subscriber, so no seq up to
        # the reservation is used again; a clean close reserves nothing.
        clean = row.end == recovered.end and row.reserved == row.next_seq
        self.next_seq = row.next_seq if clean else max(recovered.reserved, recovered.last_seq + 1)
        self.last_time = recovered.last_time
        self.epoch = row.epoch + 1
        self.unindexed_bytes = recovered.unindexed
        self._recovered = recovered
        self._last_log = path

    def _cut(self, path: Path, recovered: Recovered) -> None:
        kept: Path | None = None
        if recovered.reason not in ("a zero-filled tail", "torn file header"):
            kept = path.with_name(f"{path.name}.torn-{recovered.end}")
            with path.open("rb") as log:
                log.seek(recovered.end)
                fd = self._door.create(kept)
                while piece := log.read(1 << 20):
                    self._door.write(fd, [piece])
                self._door.sync(fd)
                self._door.close(fd)
        fd = self._door.open_append(path)
        self._door.truncate(fd, recovered.end)
        self._door.sync(fd)
        self._door.close(fd)
        self.cut_tails.append(CutTail(path, recovered.end, recovered.cut, recovered.reason, kept))

    # Opening and rolling

    def open(self, session: date, time: int) -> None:
        """Open the log of a session date, after closing the one that is open."""
        if self._log is not None:
            self.close()
        path = log_path(self._directory, session)
        if self._last_log is not None and path < self._last_log:
            raise JournalError(
                f"{path.name} asked for after {self._last_log.name}: a plant's sessions only go"
                " forward; put older data into a --data directory of its own"
            )
        recovered = self._recovered if path == self._last_log else None
        if recovered is None:
            self._create(path)
        self._log = LogFile(
            self._door, path,
            end=recovered.end if recovered else len(LOG_HEADER),
            messages=recovered.messages if recovered else 0,
            indexed=recovered.entries if recovered else 0,
            last_seq=self.next_seq - 1,
            rebuilt=recovered.rebuilt if recovered else (), on_synced=self._synced.put,
        )  # fmt: skip
        self._row_start = len(LOG_HEADER)
        if recovered:
            self._continue_span(path, recovered)
        self._last_log, self._recovered = path, None
        self.session = session
        self._write_row(time, reserve=True)
        self._log.sync()
        if self._settings.sync is Sync.INTERVAL:
            self._syncer = IntervalSyncer(self._log, self._settings.interval_s)

    def _create(self, path: Path) -> None:
        fd = self._door.create(path)
        self._door.write(fd, [LOG_HEADER])
        self._door.sync(fd)
        self._door.close(fd)
        self._door.sync_directory(path.parent)

    def _continue_span(self, path: Path, recovered: Recovered) -> None:
        """Take up the checksum of the span that the last journal row began."""
        assert self._log is not None and recovered.journal_row is not None
        self._row_start = recovered.journal_row.start
        with path.open("rb") as log:
            log.seek(self._row_start)
            crc = 0
            left = recovered.end - self._row_start
            while left and (piece := log.read(min(left, 1 << 20))):
                crc = sidecar.crc32c(piece, crc)
                left -= len(piece)
        self._log.begin_span(crc)

    @property
    def is_open(self) -> bool:
        """Tell whether a log is open."""
        return self._log is not None

    @property
    def log(self) -> LogFile:
        """The log that is open."""
        assert self._log is not None, "no log is open"
        return self._log

    @property
    def synced_seq(self) -> int:
        """Every seq up to this one is on disk."""
        return self.log.synced_seq if self._log is not None else self.next_seq - 1

    # Writing

    def begin(self, rows: int, time: int) -> int:
        """Make room for `rows` seqs and return the first; may write a `journal` row before it."""
        log = self.log
        if self._syncer is not None and self._syncer.error is not None:
            raise self._syncer.error
        if self.next_seq + rows + 1 > self._reserved:
            self._write_row(time, reserve=True, at_least=rows + 2)
            log.sync()
        elif log.end - self._row_start >= self._settings.span_bytes:
            self._write_row(time)
        return self.next_seq

    def append(self, data: bytes | memoryview, *, messages: int, rows: int, time: int) -> None:
        """Append encoded messages that use the next `rows` seqs."""
        seq = self.next_seq + rows - 1
        self.log.append(data, messages=messages, seq=seq, time=time)
        self.next_seq = seq + 1
        self.last_time = time

    def commit(self) -> None:
        """Make what was appended as durable as the sync mode promises."""
        if self._settings.sync is Sync.BATCH and self.log.written_seq > self.log.synced_seq:
            self._write_row(self.last_time)
            self.log.sync()

    def _write_row(self, time: int, *, reserve: bool = False, at_least: int = 0) -> None:
        log = self.log
        log.close_group()
        seq = self.next_seq
        if reserve:
            self._reserved = seq + 1 + max(self._settings.reserve, at_least)
        row = self._row(seq, max(time, self.last_time), span_end=log.end)
        start = log.end
        log.append(self._encoder.log_message(row), messages=1, seq=seq, time=time)
        log.close_group(sidecar.IS_JOURNAL_ROW)
        # The next span begins with this row, so its bytes are covered too.
        log.begin_span(sidecar.crc32c(self._encoder.log_message(row)))
        self._row_start = start
        self.next_seq = seq + 1
        self._on_row(row)

    def _row(self, seq: int, time: int, *, span_end: int) -> Batch:
        values: dict[str, int] = {
            "time": time, "sym": -(2**31), "version": FORMAT_VERSION, "plant": self._plant,
            "epoch": self.epoch, "next_seq": seq + 1, "reserved": self._reserved,
            "schema_digest": self._catalog.digest, "span_start": self._row_start,
            "span_end": span_end, "span_crc": self.log.span_crc, "seq": seq,
        }  # fmt: skip
        dtypes = self._encoder.layout(JOURNAL).dtypes
        columns = {
            name: np.array([values[name]], dtype=dtype)
            for name, dtype in zip(JOURNAL.names, dtypes, strict=True)
        }
        return Batch(JOURNAL, columns)

    def close(self) -> None:
        """Write the closing row, which reserves nothing, and sync."""
        if self._log is None:
            return
        self._stop_syncer()
        self._reserved = self.next_seq + 1
        self._write_row(self.last_time)
        self._log.close()
        self._log = None

    def abandon(self) -> None:
        """Let go of the files without a closing row, as a killed process does."""
        self._stop_syncer()
        self._log = None

    def _stop_syncer(self) -> None:
        if self._syncer is not None:
            self._syncer.stop()
            self._syncer = None
