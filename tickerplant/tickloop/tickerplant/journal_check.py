"""Verify a log by its sidecar and its own checksums; copy what is good of a damaged one."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import iso
from tickloop.core.errors import CorruptJournalError, JournalError
from tickloop.core.schema import JOURNAL
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.file_door import FileDoor
from tickloop.tickerplant.foreign_log import is_foreign
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.log_file import LogFile
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.recovery import JournalRow, LogReader
from tickloop.tickerplant.scan import END, START, UPD, Found, Outcome

_SIDECAR = "checksum differs from the sidecar's"
_OWN = "checksum differs from the log's own"


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a log that is not what was written, and how that is known."""

    start: int
    end: int
    reason: str

    def __str__(self) -> str:
        return f"bytes {self.start} to {self.end}: {self.reason}"


@dataclass(slots=True)
class Verdict:
    """What a verification found."""

    path: Path
    size: int
    damage: list[Damage] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    first_time: int | None = None
    last_time: int | None = None
    indexed: int = 0  # bytes that the sidecar's checksums cover
    covered: int = 0  # bytes that the log's own checksums cover
    unverified: int = 0  # bytes that only parse

    @property
    def is_good(self) -> bool:
        """Tell whether no damage was found."""
        return not self.damage

    def as_json(self) -> dict[str, object]:
        """Give the verdict as plain values."""
        return {
            "path": str(self.path), "bytes": self.size, "good": self.is_good,
            "messages": self.messages, "rows": dict(self.rows), "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "first_time": iso(self.first_time) if self.first_time is not None else None,
            "last_time": iso(self.last_time) if self.last_time is not None else None,
            "indexed_bytes": self.indexed, "covered_bytes": self.covered,
            "unverified_bytes": self.unverified, "damage": [str(item) for item in self.damage],
        }  # fmt: skip


def verify(path: Path, catalog: Catalog) -> Verdict:
    """Check every byte of a log: header, sidecar's checksums, the log's own, and that it parses."""
    reader = LogReader(path, catalog)
    verdict = Verdict(path, len(reader.bytes))
    if reader.bytes[: len(LOG_HEADER)].tobytes() != LOG_HEADER:
        verdict.damage.append(Damage(0, len(LOG_HEADER), "not a tickerplant log's header"))
    entries = sidecar.load(path, first_offset=len(LOG_HEADER), log_bytes=len(reader.bytes))
    for offset, length, crc in zip(
        entries["offset"].tolist(), entries["length"].tolist(), entries["crc"].tolist(),
        strict=True,
    ):  # fmt: skip
        if reader.span_crc(offset, offset + length) != crc:
            verdict.damage.append(Damage(offset, offset + length, _SIDECAR))
        verdict.indexed = offset + length - len(LOG_HEADER)
    _check_spans(reader, verdict)
    known = len(LOG_HEADER) + max(verdict.indexed, verdict.covered)
    verdict.unverified = max(0, len(reader.bytes) - known)
    verdict.damage.sort(key=lambda item: item.start)
    return verdict


def _check_spans(reader: LogReader, verdict: Verdict) -> None:
    start = len(LOG_HEADER)
    while start < len(reader.bytes):
        for found in reader.found(start):
            for rows in reader.decoder.batches(reader.bytes, found):
                _count(rows, verdict)
            verdict.messages += len(found.messages)
            for row in reader.journal_rows(found):
                _check_span(reader, row, verdict)
        if found.outcome is Outcome.END:
            return
        start = next_message(reader, found.stopped + 1)
        kind = "a torn message" if found.outcome is Outcome.TORN else "no message of this log"
        verdict.damage.append(Damage(found.stopped, start, f"{kind} here"))


def _check_span(reader: LogReader, row: JournalRow, verdict: Verdict) -> None:
    if row.span_end != row.start or not len(LOG_HEADER) <= row.span_start <= row.span_end:
        reason = f"a journal row claims the span {row.span_start} to {row.span_end}"
        verdict.damage.append(Damage(row.start, row.end, reason))
        return
    if reader.span_crc(row.span_start, row.span_end) != row.span_crc:
        verdict.damage.append(Damage(row.span_start, row.span_end, _OWN))
    verdict.covered = row.span_end - len(LOG_HEADER)


def next_message(reader: LogReader, position: int) -> int:
    """Find the first byte at or after `position` where a message parses; the end if none does."""
    size = len(reader.bytes)
    while position < size:
        window = reader.bytes[position : position + (1 << 20) + len(UPD)].tobytes()
        at = window.find(UPD.tobytes())
        if at < 0:
            position += 1 << 20
            continue
        found = reader.scanner.scan(reader.bytes, position + at, size)
        if len(found.messages):
            return position + at
        position += at + 1
    return size


def _unvouched(verdict: Verdict) -> list[Damage]:
    """List the stretches whose bytes nothing vouches for.

    A span that the log's own checksum rejects is spared where the sidecar covers all of it and
    names the groups in it, or the row behind it, that are bad: then the rest is as it was
    written. Bytes that do not parse spare nothing, because others beside them may parse and yet
    be wrong.
    """
    indexed_end = len(LOG_HEADER) + verdict.indexed
    groups = [item for item in verdict.damage if item.reason == _SIDECAR]

    def is_explained(span: Damage) -> bool:
        return span.end <= indexed_end and any(
            span.start <= group.start <= span.end for group in groups
        )

    return [item for item in verdict.damage if item.reason != _OWN or not is_explained(item)]


def _count(rows: Batch, verdict: Verdict) -> None:
    if not len(rows):
        return
    verdict.rows[rows.table.name] += len(rows)
    seqs, times = rows.columns["seq"], rows.columns["time"]
    first, last = int(seqs.min()), int(seqs.max())
    verdict.first_seq = first if verdict.first_seq is None else min(first, verdict.first_seq)
    verdict.last_seq = last if verdict.last_seq is None else max(last, verdict.last_seq)
    first, last = int(times.min()), int(times.max())
    verdict.first_time = first if verdict.first_time is None else min(first, verdict.first_time)
    verdict.last_time = last if verdict.last_time is None else max(last, verdict.last_time)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair kept and what it left out; rows that no longer parse are not counted."""

    path: Path
    original: Path
    messages: int
    left_out: list[Damage]
    rows_left_out: Counter[str]


def repair(path: Path, catalog: Catalog, door: FileDoor) -> Repaired | None:
    """Rewrite a damaged log from its good messages; None if nothing was wrong.

    Every message keeps its rows and seqs; `journal` rows get new checksums. Groups that the
    sidecar rejects are left out whole, as are spans that only the log's own checksum covers and
    rejects, and bytes that do not parse; the damaged file is kept beside the new one as
    `.damaged`.
    """
    verdict = verify(path, catalog)
    if verdict.is_good:
        return None
    if not verdict.messages and is_foreign(path):
        raise CorruptJournalError(
            f"{path}: another tickerplant's log, which carries no checksums to mend it by; kdb+"
            " reads its good part (-11!)"
        )
    if not verdict.messages:
        raise CorruptJournalError(
            f"{path}: no message in its {verdict.size} bytes, so nothing of it can be kept: is it a"
            " log? move it away to start without it"
        )
    reader = LogReader(path, catalog)
    target = path.with_suffix(".log.repaired")
    left_out = _unvouched(verdict)
    _Copy(reader, catalog, door, target).run(left_out)
    original = path.with_suffix(f".log.damaged-{_short_digest(path)}")
    new_index = sidecar.path_of(target)
    door.rename(path, original)
    door.rename(target, path)
    door.rename(new_index, sidecar.path_of(path))
    door.sync_directory(path.parent)
    after = verify(path, catalog)
    if not after.is_good:
        raise JournalError(
            f"{path}: still damaged after the repair ({after.damage[0]});"
            f" the original is {original.name}: keep it and report this"
        )
    return Repaired(path, original, after.messages, left_out, verdict.rows - after.rows)


def _short_digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=4)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


class _Copy:
    """Copies good messages of a log into a new one, with new checksums."""

    def __init__(self, reader: LogReader, catalog: Catalog, door: FileDoor, target: Path) -> None:
        self._reader = reader
        self._symbols = Symbols()
        reader.decoder = type(reader.decoder)(reader.scanner, self._symbols)
        self._encoder = Encoder(Names(self._symbols), fractional=catalog.fractional)
        fd = door.create(target)
        door.write(fd, [LOG_HEADER])
        door.close(fd)
        self._log = LogFile(door, target, end=len(LOG_HEADER), messages=0, indexed=0, last_seq=0)
        self._row_start = len(LOG_HEADER)

    def run(self, damage: list[Damage]) -> None:
        """Copy everything outside the damaged stretches and close the new log."""
        size = len(self._reader.bytes)
        start = len(LOG_HEADER)
        for bad in [*damage, Damage(size, size, "")]:
            if start < bad.start:
                self._copy(start, bad.start)
            start = max(start, next_message(self._reader, bad.end))
        self._log.close()

    def _copy(self, start: int, end: int) -> None:
        for found in self._reader.found(start, end):
            rows = {row.start: row for row in self._reader.journal_rows(found)}
            for index in range(len(found.messages)):
                message = found.messages[index : index + 1]
                self._copy_message(Found(message, 0, Outcome.END), rows)

    def _copy_message(self, one: Found, rows: dict[int, JournalRow]) -> None:
        start, end = int(one.messages[0, START]), int(one.messages[0, END])
        batch = next(self._reader.decoder.each(self._reader.bytes, one))
        seq, time = int(batch.columns["seq"][-1]), int(batch.columns["time"][-1])
        if start in rows:
            self._copy_journal_row(batch, seq, time)
        else:
            data = self._reader.bytes[start:end].tobytes()
            self._log.append(data, messages=1, seq=seq, time=time)

    def _copy_journal_row(self, batch: Batch, seq: int, time: int) -> None:
        log = self._log
        log.close_group()
        start = log.end
        columns = dict(batch.columns)
        for name, value in (
            ("span_start", self._row_start), ("span_end", start), ("span_crc", log.span_crc),
        ):  # fmt: skip
            columns[name] = np.array([value], dtype=np.int64)
        message = self._encoder.log_message(Batch(JOURNAL, columns))
        log.append(message, messages=1, seq=seq, time=time)
        log.close_group(sidecar.IS_JOURNAL_ROW)
        log.begin_span(sidecar.crc32c(message))
        self._row_start = start
