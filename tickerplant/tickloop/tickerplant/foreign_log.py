"""Logs of other tickerplants: any tables, any shape of data that kdb+ writes; read only."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tickloop.core.errors import CorruptJournalError, WireError
from tickloop.core.schema import JOURNAL
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.q_codec import DecodeLimits, decode_prefix

_HEAD_BYTES = 64
_LIMITS = DecodeLimits(depth=64, values=10_000_000)


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message: the function it calls, the table it names, and its data."""

    offset: int
    function: str
    table: str
    data: q.Value

    @property
    def rows(self) -> int:
        """Rows of its data: a table's, the columns' common length, or 1 for a row of atoms."""
        if isinstance(self.data, q.Table):
            return len(self.data)
        if isinstance(self.data, q.List) and self.data.items:
            first = self.data.items[0]
            return 1 if isinstance(first, q.Atom) else q.count_of(first)
        return 1


@dataclass(slots=True)
class LogContents:
    """What a whole log holds."""

    path: Path
    size: int
    messages: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    stopped: int = 0
    reason: str = ""  # why reading stopped before the end; empty if it did not


def messages(path: Path) -> Iterator[LogMessage]:
    """Yield a log's messages; CorruptJournalError where one does not parse."""
    raw = path.read_bytes()
    if raw[: len(LOG_HEADER)] != LOG_HEADER:
        raise CorruptJournalError(
            f"{path}: byte 0: {raw[:8].hex() or 'nothing'} seen, {LOG_HEADER.hex()} expected:"
            " this is no tickerplant log"
        )
    offset = len(LOG_HEADER)
    while offset < len(raw):
        try:
            value, end = decode_prefix(raw, offset, limits=_LIMITS)
        except WireError as error:
            raise CorruptJournalError(
                f"{path}: byte {offset}: no whole message: {error}; the"
                f" {offset} bytes before it are good"
            ) from error
        yield _message(path, offset, value)
        offset = end


def _message(path: Path, offset: int, value: q.Value) -> LogMessage:
    if isinstance(value, q.List) and len(value.items) >= 3:
        function = q.name_of(value.items[0]) or q.text_of(value.items[0])
        table = q.name_of(value.items[1])
        if function and table:
            return LogMessage(offset, function, table, value.items[2])
    raise CorruptJournalError(
        f"{path}: byte {offset}: a message that is no (`upd;`table;data);"
        f" the {offset} bytes before it are good"
    )


def is_foreign(path: Path) -> bool:
    """Tell whether a log begins with a message that is not the first of our own logs."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    # Our own may be larger than memory, and is known by its first row without reading on.
    if b"\xf5" + JOURNAL.name.encode() + b"\0" in head:
        return False
    try:
        return next(messages(path)).table != JOURNAL.name
    except (CorruptJournalError, StopIteration):
        return False


def contents(path: Path) -> LogContents:
    """Count a log's messages and rows by table, up to the first that does not parse."""
    found = LogContents(path, path.stat().st_size)
    try:
        for message in messages(path):
            found.messages += 1
            found.rows[message.table] += message.rows
    except CorruptJournalError as error:
        found.reason = str(error)
    return found
