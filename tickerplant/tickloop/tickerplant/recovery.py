"""What a log that was not closed holds: its good prefix, where the plant goes on, what was cut."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.core.schema import JOURNAL
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.decode import Decoder
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.scan import (
    COLUMNS,
    END,
    FIRST_COLUMN,
    ROWS,
    START,
    TABLE_INDEX,
    Found,
    Outcome,
    Scanner,
)

# How much of the indexed end is checked again at opening; the rest is `journal verify`'s work.
_RECHECK_BYTES = 1 << 20


def map_log(path: Path) -> npt.NDArray[np.uint8]:
    """Map a log for kernels; pages are read when touched."""
    size = path.stat().st_size
    if size == 0:
        return np.zeros(0, dtype=np.uint8)
    with path.open("rb") as file:
        # A private mapping is writable, as kernels' signatures want, and never written.
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A `journal` row read back: what the plant knew when it wrote it, and where it stands."""

    start: int
    end: int
    version: int
    plant: int
    epoch: int
    next_seq: int
    reserved: int
    span_start: int
    span_end: int
    span_crc: int
    time: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The good part of a log and how the plant goes on after it."""

    end: int
    messages: int
    last_seq: int
    last_time: int
    entries: int  # of the sidecar that are good
    journal_row: JournalRow | None
    unindexed: int  # bytes at the end that were accepted by parsing alone
    cut: int  # bytes past the good part
    reason: str  # why they were cut; empty if none were
    reserved: int = 0  # no seq at or past this was ever used
    rebuilt: tuple[bytes, ...] = ()  # sidecar entries for the bytes accepted by parsing


class LogReader:
    """Reads messages of one log."""

    def __init__(self, path: Path, catalog: Catalog, symbols: Symbols | None = None) -> None:
        self.path = path
        self.bytes = map_log(path)
        self.scanner = Scanner(catalog)
        self.decoder = Decoder(self.scanner, Symbols() if symbols is None else symbols)
        self._journal_index = [table.name for table in self.scanner.tables()].index(JOURNAL.name)

    def map_again(self) -> None:
        """Take in what the log grew by."""
        self.bytes = map_log(self.path)

    def check_header(self) -> None:
        """Refuse a file that does not begin like a kdb+ tickerplant log."""
        head = self.bytes[: len(LOG_HEADER)].tobytes()
        if head != LOG_HEADER:
            raise CorruptJournalError(
                f"{self.path}: journal byte 0: {head.hex() or 'nothing'} seen,"
                f" {LOG_HEADER.hex()} expected: this is no tickerplant log;"
                " move it away, or name the right file"
            )

    def found(self, start: int, end: int | None = None) -> Iterator[Found]:
        """Scan from a message boundary."""
        return self.scanner.scan_all(self.bytes, start, len(self.bytes) if end is None else end)

    def journal_rows(self, found: Found) -> Iterator[JournalRow]:
        """Read the `journal` rows among found messages."""
        for index in np.flatnonzero(found.messages[:, TABLE_INDEX] == self._journal_index):
            one = Found(found.messages[index : index + 1], 0, Outcome.END)
            for batch in self.decoder.each(self.bytes, one):
                start, end = int(one.messages[0, START]), int(one.messages[0, END])
                yield _journal_row(batch, start, end)

    def span_crc(self, start: int, end: int) -> int:
        """Checksum a stretch of the log."""
        return sidecar.crc32c(self.bytes[start:end].data)


def _journal_row(batch: Batch, start: int, end: int) -> JournalRow:
    def value(name: str) -> int:
        return int(batch.columns[name][0].item())

    return JournalRow(
        start=start, end=end, version=value("version"), plant=value("plant"),
        epoch=value("epoch"), next_seq=value("next_seq"), reserved=value("reserved"),
        span_start=value("span_start"), span_end=value("span_end"), span_crc=value("span_crc"),
        time=value("time"),
    )  # fmt: skip


def recover(path: Path, catalog: Catalog) -> Recovered:
    """Find a log's good prefix: by its sidecar as far as that goes, then by parsing.

    Messages past the sidecar are accepted while they parse, their seqs ascend within what was
    reserved, and the checksums of closed spans hold.
    """
    reader = LogReader(path, catalog)
    if len(reader.bytes) < len(LOG_HEADER) and LOG_HEADER.startswith(reader.bytes.tobytes()):
        return Recovered(0, 0, -1, 0, 0, None, 0, len(reader.bytes), "torn file header")
    reader.check_header()
    entries = _checked_entries(reader)
    state = _from_entries(reader, entries)
    return _scan_tail(reader, state)


def _checked_entries(reader: LogReader) -> npt.NDArray[np.void]:
    entries = sidecar.load(reader.path, first_offset=len(LOG_HEADER), log_bytes=len(reader.bytes))
    checked = 0
    count = len(entries)
    good = count
    for index in range(count - 1, -1, -1):
        offset, length = int(entries["offset"][index]), int(entries["length"][index])
        if reader.span_crc(offset, offset + length) != int(entries["crc"][index]):
            good = index
            checked = 0
            continue
        checked += length
        if checked >= _RECHECK_BYTES:
            break
    return entries[:good]


def _from_entries(reader: LogReader, entries: npt.NDArray[np.void]) -> Recovered:
    row = None
    flagged = np.flatnonzero(entries["flags"] & sidecar.IS_JOURNAL_ROW)
    if len(flagged):
        last = entries[flagged[-1]]
        start = int(last["offset"])
        found = reader.scanner.scan(reader.bytes, start, start + int(last["length"]))
        rows = list(reader.journal_rows(found))
        row = rows[-1] if rows else None
    if row is None:
        return Recovered(len(LOG_HEADER), 0, -1, 0, 0, None, 0, 0, "")
    return Recovered(
        end=int(entries["offset"][-1] + entries["length"][-1]),
        messages=int(entries["messages"].sum(dtype=np.int64)),
        last_seq=int(entries["last_seq"][-1]), last_time=int(entries["last_time"][-1]),
        entries=len(entries), journal_row=row, unindexed=0, cut=0, reason="",
    )  # fmt: skip


@inline_kernel
def _read_long(log: npt.NDArray[np.uint8], position: int) -> int:
    """Read a long that is known to be positive."""
    value = 0
    for byte in range(7):
        value |= int(log[position + byte]) << (8 * byte)
    return value | (int(log[position + 7]) & 127) << 56


@kernel("int64(uint8[::1], int64[:, ::1], int64[:, ::1])")
def _bounds(
    log: npt.NDArray[np.uint8],
    messages: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
) -> int:
    """Read first seq, last seq and last time a message; the index of one whose seqs are wrong."""
    for index in range(messages.shape[0]):
        rows = messages[index, ROWS]
        position = messages[index, FIRST_COLUMN + messages[index, COLUMNS] - 1]
        last = -1
        for row in range(rows):
            seq = _read_long(log, position + 8 * row)
            if seq <= last:
                return int(index)
            last = seq
        if last < 0:
            return int(index)
        bounds[index, 0] = _read_long(log, position)
        bounds[index, 1] = last
        bounds[index, 2] = _read_long(log, messages[index, FIRST_COLUMN] + 8 * (rows - 1))
    return int(messages.shape[0])


def message_bounds(
    log: npt.NDArray[np.uint8], messages: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Give first seq, last seq and last time of each message; CorruptJournalError if one lies."""
    bounds = np.zeros((len(messages), 3), dtype=np.int64)
    good = _bounds(log, messages, bounds)
    if good < len(messages):
        raise CorruptJournalError(
            f"journal byte {int(messages[good, START])}: seqs that do not ascend; run"
            " `tickloop journal verify` to see what is good"
        )
    return bounds


def _scan_tail(reader: LogReader, state: Recovered) -> Recovered:
    """Accept what parses after the indexed part."""
    tail = _Tail(state.end, state.messages, state.last_seq, state.last_time, state.journal_row)
    reason = ""
    for found in reader.found(state.end):
        reason = tail.accept(reader, found, floor=state.last_seq)
        if reason or found.outcome is not Outcome.END:
            reason = reason or _tail_reason(reader, found)
            break
    cut = len(reader.bytes) - tail.end
    return Recovered(
        end=tail.end, messages=tail.messages, last_seq=tail.last_seq,
        last_time=tail.last_time,
        entries=state.entries, journal_row=tail.journal_row, unindexed=tail.end - state.end,
        cut=cut, reason=reason if cut else "", reserved=_reserved_in(reader, tail),
        rebuilt=tuple(tail.rebuilt),
    )  # fmt: skip


@dataclass(slots=True)
class _Tail:
    """How far the tail was accepted."""

    end: int
    messages: int
    last_seq: int
    last_time: int
    journal_row: JournalRow | None
    rebuilt: list[bytes] = field(default_factory=list)

    def accept(self, reader: LogReader, found: Found, *, floor: int) -> str:
        """Take in messages up to the first that the plant cannot have written; say why not."""
        count = len(found.messages)
        bounds = np.zeros((count, 3), dtype=np.int64)
        good = _bounds(reader.bytes, found.messages, bounds)
        rows = {row.start: row for row in reader.journal_rows(found)}
        starts = sorted(rows)
        first = 0
        for start in [*starts, len(reader.bytes)]:
            here = int(np.searchsorted(found.messages[:, START], start))
            if here == first and start in rows:
                reason = _span_refusal(reader, rows[start])
                if reason:
                    return reason
                self.journal_row = rows[start]
                continue
            reason = self._take(reader, found, bounds, (first, min(here, good)), floor)
            if reason or here > good or here == count:
                break
            reason = _span_refusal(reader, rows[start])
            if reason:
                return reason
            self.journal_row = rows[start]
            first = here
        return reason or ("seqs that do not ascend" if good < count else "")

    def _take(
        self,
        reader: LogReader,
        found: Found,
        bounds: npt.NDArray[np.int64],
        stretch: tuple[int, int],
        floor: int,
    ) -> str:
        """Take in the messages of a stretch, which begins with a journal row or has none."""
        first, last = stretch
        if first >= last:
            return ""
        low, high = bounds[first:last, 0], bounds[first:last, 1]
        ceiling = self.journal_row.reserved if self.journal_row else 2**62
        bad = np.flatnonzero((low <= floor) | (high >= ceiling))
        end = first + int(bad[0]) if len(bad) else last
        if end > first and self.journal_row is not None:
            is_row = int(found.messages[first, START]) == self.journal_row.start
            if is_row:
                self._index(reader, found, bounds, first, first + 1, sidecar.IS_JOURNAL_ROW)
            self._index(reader, found, bounds, first + is_row, end, 0)
        if len(bad):
            at = first + int(bad[0])
            return f"seq {bounds[at, 0]} outside {floor + 1} to {ceiling - 1}"
        return "no journal row before the first message" if self.journal_row is None else ""

    def _index(
        self, reader: LogReader, found: Found, bounds: npt.NDArray[np.int64],
        first: int, last: int, flags: int,
    ) -> None:  # fmt: skip
        """Go past messages and give them an entry of the sidecar."""
        if last == first:
            return
        start, self.end = self.end, int(found.messages[last - 1, END])
        self.messages += last - first
        self.last_seq = max(self.last_seq, int(bounds[first:last, 1].max()))
        self.last_time = max(self.last_time, int(bounds[first:last, 2].max()))
        self.rebuilt.append(
            sidecar.entry(
                offset=start, length=self.end - start, last_seq=self.last_seq,
                last_time=self.last_time, messages=last - first, flags=flags,
                crc=reader.span_crc(start, self.end),
            )
        )  # fmt: skip


def _reserved_in(reader: LogReader, tail: _Tail) -> int:
    """Find the highest reservation, also in bytes that are cut: no seq is ever used again."""
    known = tail.journal_row.reserved if tail.journal_row else 0
    if tail.end >= len(reader.bytes) or tail.journal_row is None:
        return known
    cut = reader.bytes[tail.end :].tobytes()
    prefix = next(lay for lay in reader.scanner.layouts if lay.table is JOURNAL).log_prefix
    at = cut.find(prefix)
    while at >= 0:
        found = reader.scanner.scan(reader.bytes, tail.end + at, len(reader.bytes))
        one = Found(found.messages[:1], 0, Outcome.END)
        for row in reader.journal_rows(one):
            if row.plant == tail.journal_row.plant:
                known = max(known, row.reserved)
        at = cut.find(prefix, at + 1)
    return known


def _span_refusal(reader: LogReader, row: JournalRow) -> str:
    if not len(LOG_HEADER) <= row.span_start <= row.span_end == row.start:
        return f"a journal row with an impossible span {row.span_start} to {row.span_end}"
    if reader.span_crc(row.span_start, row.span_end) != row.span_crc:
        return f"checksum mismatch in bytes {row.span_start} to {row.span_end}"
    return ""


def _tail_reason(reader: LogReader, found: Found) -> str:
    tail = reader.bytes[found.stopped :]
    if not tail.any():
        return "a zero-filled tail"
    return "a torn message" if found.outcome is Outcome.TORN else "bytes that are no message"
