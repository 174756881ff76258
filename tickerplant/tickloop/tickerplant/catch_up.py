"""What a subscriber missed, read from the logs until it has caught up with the plant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError
from tickloop.core.schema import Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.encode import Encoder, wire_of_logged
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import logs_from, seek
from tickloop.tickerplant.layout import LOG_HEADER, Layout
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.scan import COLUMNS, END, FIRST_COLUMN, ROWS, START, TABLE_INDEX

# Messages of one table that follow one another are handled together up to this size.
_RUN_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Position:
    """A message boundary in a log."""

    log: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The log of a session ended here; the next log follows."""

    session: date


class Logged:
    """Messages of one table that follow one another in a log; decoded only where it is needed."""

    __slots__ = ("_encoder", "_layout", "_messages", "_reader", "first_seq", "last_seq")

    def __init__(
        self, reader: LogReader, messages: npt.NDArray[np.int64], layout: Layout, encoder: Encoder
    ) -> None:
        self._reader = reader
        self._messages = messages
        self._layout = layout
        self._encoder = encoder
        self.first_seq = self._seq(messages[0], 0)
        self.last_seq = self._seq(messages[-1], int(messages[-1, ROWS]) - 1)

    def _seq(self, message: npt.NDArray[np.int64], row: int) -> int:
        at = int(message[FIRST_COLUMN + message[COLUMNS] - 1]) + 8 * row
        return int.from_bytes(self._reader.bytes[at : at + 8].tobytes(), "little", signed=True)

    @property
    def table(self) -> Table:
        """The rows' table."""
        return self._layout.table

    @property
    def size(self) -> int:
        """Bytes in the log."""
        return int(self._messages[-1, END] - self._messages[0, START])

    @property
    def rows(self) -> Batch:
        """The rows in surface form."""
        return self._reader.decoder.run(self._reader.bytes, self._messages)

    @property
    def wire(self) -> bytes:
        """All rows and columns as asynchronous q messages, one a logged message if possible."""
        if (self._messages[:, COLUMNS] != len(self._layout.types)).any():
            # Written before a column was added: the rows are completed with nulls.
            return self._encoder.publication(self.rows)
        log = self._reader.bytes
        return b"".join(
            wire_of_logged(self._layout, log[start:end].tobytes())
            for start, end in self._messages[:, [START, END]].tolist()
        )


class CatchUp:
    """Reads logged messages in order; must run in the plant's own thread, between publications."""

    def __init__(
        self, directory: Path, catalog: Catalog, symbols: Symbols, encoder: Encoder,
        start: Position | int,
    ) -> None:  # fmt: skip
        """Begin at a position, or somewhere before the first row whose seq is at least `start`."""
        self._directory = directory
        self._catalog = catalog
        self._symbols = symbols
        self._encoder = encoder
        self._reader: LogReader | None = None
        self._position = 0
        self._runs: Iterator[npt.NDArray[np.int64]] = iter(())
        if isinstance(start, Position):
            self._go_to(start)
        elif found := logs_from(directory, start):
            self._go_to(Position(found[0], seek(found[0], start)))

    def _go_to(self, position: Position) -> None:
        self._reader = LogReader(position.log, self._catalog, self._symbols)
        self._position = position.offset

    def next(self) -> Logged | Ended | None:
        """Give what comes next; None when everything in the logs was given, for now."""
        while self._reader is not None:
            messages = next(self._runs, None)
            if messages is not None:
                layout = self._reader.scanner.layouts[int(messages[0, TABLE_INDEX])]
                return Logged(self._reader, messages, layout, self._encoder)
            if not self._scan_on(self._reader):
                return self._next_log(self._reader.path)
        return None

    def _scan_on(self, reader: LogReader) -> bool:
        """Scan the next messages of this log, or of what it grew by."""
        if self._position >= len(reader.bytes):
            reader.map_again()
        size = len(reader.bytes)
        if self._position >= size:
            return False
        found = reader.scanner.scan(reader.bytes, self._position, size)
        if not len(found.messages):
            raise CorruptJournalError(
                f"{reader.path}: byte {self._position}: bytes that are no message; run"
                f" `tickloop journal verify {reader.path}` to see what is good"
            )
        self._runs = _runs(found.messages)
        self._position = found.stopped
        return True

    def _next_log(self, done: Path) -> Ended | None:
        following = [log for log in logs(self._directory) if log > done]
        if not following:
            return None
        self._go_to(Position(following[0], len(LOG_HEADER)))
        return Ended(date.fromisoformat(done.stem))


def _runs(messages: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Cut messages where the table changes, and where a run grows large."""
    changes = np.flatnonzero(np.diff(messages[:, TABLE_INDEX])) + 1
    first = 0
    for stop in [*changes.tolist(), len(messages)]:
        while first < stop:
            limit = int(messages[first, START]) + _RUN_BYTES
            fitting = int(np.searchsorted(messages[first:stop, END], limit, side="right"))
            last = first + max(fitting, 1)
            yield messages[first:last]
            first = last
