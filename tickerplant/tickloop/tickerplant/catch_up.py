"""What a subscriber missed, read from the log until it has caught up with the plant."""

from dataclasses import dataclass
from pathlib import Path

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import after, logs_from, seek
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.scan import Found, Outcome


@dataclass(frozen=True, slots=True)
class Missed:
    """The first message that a subscriber did not get: its table and its first seq."""

    table: str
    seq: int


class CatchUp:
    """Reads logged messages in order; must run in the plant's own thread, between publications."""

    def __init__(self, directory: Path, catalog: Catalog, symbols: Symbols, start: Missed | int):
        """Begin with the message `start`, or with the rows whose seq is at least `start`."""
        self._directory = directory
        self._catalog = catalog
        self._symbols = symbols
        self._start = start
        seq = start.seq if isinstance(start, Missed) else start
        found = logs_from(directory, seq)
        self._log: Path | None = found[0] if found else None
        self._position = seek(found[0], seq) if found else 0
        self._reader: LogReader | None = None
        self._found: Found | None = None
        self._index = 0

    def next(self) -> Batch | None:
        """Give the next message's rows; None when everything in the log was given."""
        while (rows := self._next_message()) is not None:
            kept = self._wanted(rows)
            if kept is not None:
                return kept
        return None

    def _wanted(self, rows: Batch) -> Batch | None:
        start = self._start
        if isinstance(start, int):
            return after(rows, start - 1)
        if rows.table.name == start.table and int(rows.columns["seq"][0]) == start.seq:
            self._start = 0
            return rows
        return None

    def _next_message(self) -> Batch | None:
        if self._found is None or self._index >= len(self._found.messages):
            if not self._scan_on():
                return None
            assert self._found is not None
        assert self._reader is not None
        one = Found(self._found.messages[self._index : self._index + 1], 0, Outcome.END)
        self._index += 1
        return next(self._reader.decoder.each(self._reader.bytes, one))

    def _scan_on(self) -> bool:
        """Scan the next messages of this log, of what it grew by, or of the next log."""
        while self._log is not None:
            if self._reader is None or self._position >= len(self._reader.bytes):
                self._reader = LogReader(self._log, self._catalog, self._symbols)
            if self._position < len(self._reader.bytes):
                size = len(self._reader.bytes)
                self._found = self._reader.scanner.scan(self._reader.bytes, self._position, size)
                self._index = 0
                if len(self._found.messages):
                    self._position = self._found.stopped
                    return True
            following = [log for log in logs(self._directory) if log > self._log]
            if not following:
                return False
            self._log, self._position, self._reader = following[0], len(LOG_HEADER), None
        return False
