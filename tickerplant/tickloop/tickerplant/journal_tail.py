"""Follow the log from a seq on, in chunks that hold every row of a stretch of seqs.

Rows of one publication interleave over several messages, so that a chunk ends only where no later
message holds an earlier seq: a reader that keeps the chunk's last seq as its cursor misses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError
from tickloop.core.schema import JOURNAL
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import after, logs_from
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.recovery import LogReader, message_bounds
from tickloop.tickerplant.scan import END, ROWS, TABLE_INDEX, Found, Outcome, Scanner

CHUNK_BYTES = 8 << 20
_FIRST, _LAST = 0, 1
_Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Every row with `after` < seq <= `through`: a batch a table, in surface form."""

    after: int
    through: int
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """Rows over all tables."""
        return sum(len(batch) for batch in self.batches)

    def table(self, name: str) -> Batch | None:
        """Give a table's rows, if there are any."""
        return next((batch for batch in self.batches if batch.table.name == name), None)


class JournalTail:
    """Reads a directory's logs in order and goes on as they grow; any process may."""

    def __init__(
        self, directory: Path, catalog: Catalog, symbols: Symbols, *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        """`symbols` holds the database's names in order; names that the log adds are appended."""
        self._directory = directory
        self._catalog = catalog
        self._symbols = symbols
        self._chunk_bytes = chunk_bytes
        self._reader: LogReader | None = None
        self._position = 0
        self._base: int | None = None  # every row before the position has a seq up to this
        self.seq = -1

    def go_to(self, seq: int) -> None:
        """Go on with the row after `seq`."""
        self.seq = seq
        self._reader = None
        found = logs_from(self._directory, seq + 1)
        if found:
            self._open(found[0], seq)

    def _open(self, log: Path, seq: int) -> None:
        self._reader = LogReader(log, self._catalog, self._symbols)
        entries = sidecar.load(log, first_offset=len(LOG_HEADER), log_bytes=len(self._reader.bytes))
        before = int(np.searchsorted(entries["last_seq"], seq + 1, side="left"))
        if before == 0:
            self._position, self._base = len(LOG_HEADER), None
        else:
            self._position = int(entries["offset"][before - 1] + entries["length"][before - 1])
            self._base = int(entries["last_seq"][before - 1])

    def next(self, limit: int) -> Chunk | None:
        """Give the next chunk of rows with seqs up to `limit`; None if there is none now."""
        if self.seq >= limit:
            return None
        if self._reader is None:
            self.go_to(self.seq)
        while self._reader is not None:
            chunk = self._next_here(self._reader, limit)
            if chunk is not None:
                return chunk
            following = [log for log in logs(self._directory) if log > self._reader.path]
            if not following or self.seq >= limit:
                return None
            self._open(following[0], self.seq)
        return None

    def _next_here(self, reader: LogReader, limit: int) -> Chunk | None:
        """Look for a chunk in the open log, in a longer stretch if it has no end in a short one."""
        size = self._chunk_bytes
        while True:
            found = self._found(reader, size)
            if found is None:
                return None
            bounds = message_bounds(reader.bytes, found.messages)
            count = self._whole(reader, found, bounds, limit)
            if not count and _ends_at(reader, found, bounds, limit):
                if _is_changed(reader):
                    continue  # it was mapped before the limit was known
                count = len(found.messages)
            if count:
                return self._chunk(reader, found, bounds, count)
            if int(bounds[-1, _LAST]) > limit:
                return None
            if found.outcome is Outcome.END and found.stopped < len(reader.bytes):
                size *= 2
            elif not _is_changed(reader):
                return None  # else more of the publication was written since it was mapped

    def _found(self, reader: LogReader, size: int) -> Found | None:
        """Look for messages in a stretch of the open log; None if no whole one is there yet."""
        while True:
            if self._position >= len(reader.bytes) and not _is_changed(reader):
                return None
            found = _scanner(reader, self._catalog, size).scan(
                reader.bytes, self._position, len(reader.bytes)
            )
            if len(found.messages):
                return found
            if _is_changed(reader):
                continue  # it was written on, or its torn end was cut, since it was mapped
            if found.outcome is Outcome.TORN or self._position >= len(reader.bytes):
                return None
            raise CorruptJournalError(
                f"{reader.path}: byte {self._position}: bytes that are no message; run"
                f" `tickloop journal verify {reader.path}` to see what is good"
            )

    def _whole(self, reader: LogReader, found: Found, bounds: _Longs, limit: int) -> int:
        """Count the messages up to the last one after which no earlier seq comes."""
        highest = np.maximum.accumulate(bounds[:, _LAST])
        known = highest <= limit
        complete = self._complete(reader, found, highest, bounds)
        within = np.flatnonzero(known & complete)
        if len(within):
            return int(within[-1]) + 1
        # The limit is the end of a publication. Where a log has holes rows do not add up, but it
        # is known where publications end at the next `journal` row, some megabytes on at most.
        return 0 if known.all() else int(np.argmin(known))

    def _complete(
        self, reader: LogReader, found: Found, highest: _Longs, bounds: _Longs
    ) -> npt.NDArray[np.bool_]:
        """Tell after which messages every earlier seq was seen.

        Seqs follow one another, so there are then as many rows as seqs since any place where that
        held; before and after a `journal` row it always does, also where a plant was opened anew.
        """
        opens = found.messages[:, TABLE_INDEX] == _journal_index(reader.scanner)
        rows = np.cumsum(found.messages[:, ROWS])
        since = np.maximum.accumulate(np.where(opens, np.arange(len(opens)), -1))
        base = self._base if self._base is not None else int(bounds[0, _FIRST]) - 1
        bases = np.where(since >= 0, highest[since], base)
        before = np.where(since >= 0, rows[since], 0)
        complete: npt.NDArray[np.bool_] = rows - before == highest - bases
        complete[:-1] |= opens[1:]
        return complete

    def _chunk(self, reader: LogReader, found: Found, bounds: _Longs, count: int) -> Chunk:
        taken = Found(found.messages[:count], found.stopped, Outcome.END)
        through = int(bounds[:count, _LAST].max())
        batches = [after(rows, self.seq) for rows in reader.decoder.batches(reader.bytes, taken)]
        kept = tuple(rows for rows in batches if rows is not None)
        chunk = Chunk(self.seq, through, kept)
        self._position = int(taken.messages[-1, END])
        self._base = through
        self.seq = max(self.seq, through)
        return chunk


def _ends_at(reader: LogReader, found: Found, bounds: _Longs, limit: int) -> bool:
    """Tell whether the log ends with a limit, as what a killed plant wrote of a publication does.

    Only of bytes that were mapped since the limit was known: else the publication may have been
    met half written, with its last row in the first of its messages.
    """
    is_end = found.outcome is not Outcome.END or found.stopped >= len(reader.bytes)
    return is_end and int(bounds[:, _LAST].max()) == limit


def _is_changed(reader: LogReader) -> bool:
    """Map a log again; tell whether it is longer or shorter than it was."""
    before = len(reader.bytes)
    reader.map_again()
    return len(reader.bytes) != before


def _scanner(reader: LogReader, catalog: Catalog, size: int) -> Scanner:
    if size == CHUNK_BYTES:
        return reader.scanner
    return Scanner(catalog, at_a_time=max(4096, size >> 8), bytes_at_a_time=size)


def _journal_index(scanner: Scanner) -> int:
    names: Sequence[str] = [table.name for table in scanner.tables()]
    return names.index(JOURNAL.name)
