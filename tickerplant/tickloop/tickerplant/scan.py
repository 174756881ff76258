"""Find the messages of a log by parsing: only ``(`upd;`known table;columns)`` is a record."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tickloop.core.catalog import Catalog
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.core.schema import Kind, Table
from tickloop.core.symbols import NAME_BYTES_MAX
from tickloop.tickerplant.layout import GENERAL, SYMBOL, Layout
from tickloop.tickerplant.little_endian import U, read_u48, read_u64, same_bytes, zero_bytes

# Per message: start, end, table, rows, columns, then one data position a column.
START, END, TABLE_INDEX, ROWS, COLUMNS, FIRST_COLUMN = 0, 1, 2, 3, 4, 5
UPD = np.frombuffer(bytearray(bytes.fromhex("000003000000f575706400f5")), dtype=np.uint8)
_CHAR_VECTOR = 10
_LONG_NAME_WORDS = 8


class Outcome(IntEnum):
    """Why a scan stopped."""

    END = 0  # at the end of the bytes, or with the message array full
    TORN = 1  # inside a message
    FOREIGN = 2  # at bytes that are no record


@inline_kernel
def _head(log: npt.NDArray[np.uint8], position: int) -> tuple[int, int, int]:
    """Read a vector's head: q type, attribute, count; the count is -1 where it is impossible."""
    word = read_u48(log, position)
    count = word >> 16
    return word & 0xFF, (word >> 8) & 0xFF, count if count < 0x80000000 else -1


@inline_kernel
def _ends_in(word: np.uint64) -> int:
    """Count the zero bytes of a word."""
    ends = zero_bytes(word) >> U(7)
    ends += ends >> U(32)
    ends += ends >> U(16)
    return int((ends + (ends >> U(8))) & U(15))


@inline_kernel
def _skip_names(log: npt.NDArray[np.uint8], position: int, end: int, count: int) -> int:
    # Eight bytes at a time while more names are left than eight bytes can end. The rest, and
    # long names, byte by byte from the last word that ended a name.
    anchor, anchored, idle = position, count, 0
    while count > 8 and position + 8 <= end and idle < _LONG_NAME_WORDS:
        found = _ends_in(read_u64(log, position))
        idle += 1
        if found > 0:
            anchor, anchored, idle = position, count, 0
        count -= found
        position += 8
    position, count = anchor, anchored
    for _ in range(count):
        first = position
        while position < end and log[U(position)] != 0:
            position += 1
            if position - first > NAME_BYTES_MAX:
                return -2
        if position >= end:
            return -1
        position += 1
    return position


@inline_kernel
def _skip_texts(log: npt.NDArray[np.uint8], position: int, end: int, count: int) -> int:
    for _ in range(count):
        if position + 6 > end:
            return -1
        q_type, _, size = _head(log, position)
        if q_type != _CHAR_VECTOR or size < 0:
            return -2
        position += 6 + size
    return position if position <= end else -1


@inline_kernel
def _table_at(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    prefixes: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
) -> int:
    """Find the table whose messages begin like the bytes here; -1 if torn, -2 if there is none."""
    torn = False
    for table in range(ends.shape[0] - 1):
        first, last = ends[table], ends[table + 1]
        index = 0
        while (
            first + index < last
            and position + index < end
            and prefixes[U(first + index)] == log[U(position + index)]
        ):
            index += 1
        if first + index == last:
            return table
        torn |= position + index == end
    return -1 if torn else -2


@inline_kernel
def _read_columns(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    table: int,
    shapes: npt.NDArray[np.int64],
    messages: npt.NDArray[np.int64],
    number: int,
) -> int:
    """Walk the columns of a message; its end, -1 if torn or -2 if it is none of this table.

    A message written before columns were added has fewer: the table's first ones and `seq`.
    """
    if position + 6 > end:
        return -1
    q_type, _, columns = _head(log, position)
    known = shapes[U(table), U(0), U(0)]
    if q_type != GENERAL or columns < 2 or columns > known:
        return -2
    position += 6
    rows = -1
    for index in range(columns):
        column = index + 1 if index < columns - 1 else known
        if position + 6 > end:
            return -1
        q_type, attribute, count = _head(log, position)
        if rows < 0:
            rows = count
        if q_type != shapes[U(table), U(column), U(0)] or attribute > 4 or count != rows:
            return -2
        position += 6
        messages[U(number), U(FIRST_COLUMN + index)] = position
        width = shapes[U(table), U(column), U(1)]
        if width > 0:
            position += rows * width
        elif q_type == SYMBOL:
            position = _skip_names(log, position, end, rows)
        else:
            position = _skip_texts(log, position, end, rows)
        if position < 0 or position > end or rows < 0:
            return position if position < -1 else -1 if rows >= 0 else -2
    messages[U(number), U(ROWS)] = rows
    messages[U(number), U(COLUMNS)] = columns
    return position


@kernel(
    "UniTuple(int64, 3)(uint8[::1], int64, int64, int64, uint8[::1], int64[::1],"
    " int64[:, :, ::1], int64[:, ::1])",
)
def _scan(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    enough: int,
    prefixes: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    shapes: npt.NDArray[np.int64],
    messages: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill `messages` up to the first that ends at `enough` or later.

    Gives how many there are, where the scan stopped, and the outcome.
    """
    table = 0
    for count in range(messages.shape[0]):
        if position >= min(end, enough):
            return count, position, 0
        # Most messages are of the table that the one before was of.
        size = ends[table + 1] - ends[table]
        if position + size > end or not same_bytes(log, position, prefixes, ends[table], size):
            table = _table_at(log, position, end, prefixes, ends)
            if table < 0:
                return count, position, -table
            size = ends[table + 1] - ends[table]
        at = _read_columns(log, position + size, end, table, shapes, messages, count)
        if at < 0:
            return count, position, -at
        messages[count, START] = position
        messages[count, END] = at
        messages[count, TABLE_INDEX] = table
        position = at
    return messages.shape[0], position, 0


@dataclass(frozen=True, slots=True)
class Found:
    """Messages of a stretch of log: one row of `messages` each, indexed by the constants here."""

    messages: npt.NDArray[np.int64]
    stopped: int  # byte where the scan ended
    outcome: Outcome


class Scanner:
    """Finds messages of a catalog's tables in log bytes."""

    def __init__(
        self, catalog: Catalog, *, at_a_time: int = 4096, bytes_at_a_time: int = 8 << 20
    ) -> None:
        layouts = [Layout(table, catalog.fractional) for table in catalog]
        self.layouts = layouts
        most = max(len(layout.types) for layout in layouts)
        prefixes = [UPD.tobytes() + layout.table.name.encode() + b"\0" for layout in layouts]
        self._prefixes = np.frombuffer(bytearray(b"".join(prefixes)), dtype=np.uint8)
        self._prefix_ends = np.cumsum([0, *map(len, prefixes)], dtype=np.int64)
        self._shapes = np.zeros((len(layouts), 1 + most, 2), dtype=np.int64)
        for index, layout in enumerate(layouts):
            columns = len(layout.types)
            self._shapes[index, 0, 0] = columns
            self._shapes[index, 1 : 1 + columns, 0] = layout.types
            self._shapes[index, 1 : 1 + columns, 1] = _log_widths(layout)
        self._most = most
        self._at_a_time = at_a_time
        self._bytes_at_a_time = bytes_at_a_time

    def tables(self) -> list[Table]:
        """Tables by index, as in a message's TABLE_INDEX."""
        return [layout.table for layout in self.layouts]

    def scan(self, log: npt.NDArray[np.uint8], start: int, end: int) -> Found:
        """Find messages from byte `start` on, but no more than `at_a_time`; stops at damage.

        It goes on to the message that ends past `bytes_at_a_time`, and never past `end`.
        """
        return self._scan(log, start, end, self._room())

    def scan_all(self, log: npt.NDArray[np.uint8], start: int, end: int) -> Iterator[Found]:
        """Find all messages, some thousands at a time; the last one says why the scan stopped.

        What was found is valid until the one after the next is asked for.
        """
        rooms = [self._room(), self._room()]
        while True:
            found = self._scan(log, start, end, rooms[0])
            yield found
            rooms.reverse()
            if found.outcome is not Outcome.END or found.stopped >= end:
                return
            start = found.stopped

    def _room(self) -> npt.NDArray[np.int64]:
        return np.empty((self._at_a_time, FIRST_COLUMN + self._most), dtype=np.int64)

    def _scan(
        self, log: npt.NDArray[np.uint8], start: int, end: int, room: npt.NDArray[np.int64]
    ) -> Found:
        count, stopped, outcome = _scan(
            log, start, end, start + self._bytes_at_a_time, self._prefixes, self._prefix_ends,
            self._shapes, room,
        )  # fmt: skip
        return Found(room[:count], stopped, Outcome(outcome))


def _log_widths(layout: Layout) -> list[int]:
    """Widths in the log, where symbols and texts have none of their own."""
    return [
        0 if column.kind in (Kind.SYMBOL, Kind.TEXT) else width
        for column, width in zip(layout.table.columns, layout.widths, strict=True)
    ]
