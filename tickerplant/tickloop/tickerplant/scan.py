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

# Per message: start, end, table, rows, columns, then one data position a column.
START, END, TABLE_INDEX, ROWS, COLUMNS, FIRST_COLUMN = 0, 1, 2, 3, 4, 5
UPD = np.frombuffer(bytearray(bytes.fromhex("000003000000f575706400f5")), dtype=np.uint8)
_CHAR_VECTOR = 10


class Outcome(IntEnum):
    """Why a scan stopped."""

    END = 0  # at the end of the bytes, or with the message array full
    TORN = 1  # inside a message
    FOREIGN = 2  # at bytes that are no record


@inline_kernel
def _read_count(log: npt.NDArray[np.uint8], position: int) -> int:
    count = 0
    for index in range(4):
        count |= int(log[position + index]) << (8 * index)
    return count if count < 0x80000000 else -1


@inline_kernel
def _skip_names(log: npt.NDArray[np.uint8], position: int, end: int, count: int) -> int:
    for _ in range(count):
        first = position
        while position < end and log[position] != 0:
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
        size = _read_count(log, position + 2)
        if log[position] != _CHAR_VECTOR or size < 0:
            return -2
        position += 6 + size
    return position if position <= end else -1


@inline_kernel
def _skip_column(
    log: npt.NDArray[np.uint8], position: int, end: int, count: int, q_type: int, width: int
) -> int:
    if q_type == SYMBOL:
        return _skip_names(log, position, end, count)
    if q_type == GENERAL:
        return _skip_texts(log, position, end, count)
    position += count * width
    return position if position <= end else -1


@inline_kernel
def _find_table(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    names: npt.NDArray[np.uint8],
    name_ends: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Match a NUL-terminated table name; (-1, _) if torn, (-2, _) if unknown."""
    stop = position
    while stop < end and log[stop] != 0 and stop - position < NAME_BYTES_MAX:
        stop += 1
    if stop >= end:
        return -1, stop
    for table in range(name_ends.shape[0] - 1):
        first, last = name_ends[table], name_ends[table + 1]
        if last - first == stop - position:
            index = 0
            while index < last - first and names[first + index] == log[position + index]:
                index += 1
            if index == last - first:
                return table, stop + 1
    return -2, stop


@inline_kernel
def _read_columns(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    shape: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    message: npt.NDArray[np.int64],
) -> int:
    """Walk the columns of a message whose table has column q types `shape`; its end or an error.

    A message written before columns were added has fewer: the table's first ones and `seq`.
    """
    if position + 6 > end:
        return -1
    columns = _read_count(log, position + 2)
    known = 0
    while known < shape.shape[0] and shape[known] >= 0:
        known += 1
    if log[position] != GENERAL or columns < 2 or columns > known:
        return -2
    position += 6
    rows = -1
    for index in range(columns):
        column = index if index < columns - 1 else known - 1
        if position + 6 > end:
            return -1
        count = _read_count(log, position + 2)
        if rows < 0:
            rows = count
        if log[position] != shape[column] or log[position + 1] > 4 or count != rows or rows < 0:
            return -2
        message[FIRST_COLUMN + index] = position + 6
        position = _skip_column(log, position + 6, end, rows, shape[column], widths[column])
        if position < 0:
            return position
    message[ROWS] = rows
    message[COLUMNS] = columns
    return position


@kernel(
    "UniTuple(int64, 3)(uint8[::1], int64, int64, uint8[::1], int64[::1], int64[:, ::1],"
    " int64[:, ::1], uint8[::1], int64[:, ::1])",
)
def _scan(
    log: npt.NDArray[np.uint8],
    position: int,
    end: int,
    names: npt.NDArray[np.uint8],
    name_ends: npt.NDArray[np.int64],
    shapes: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    upd: npt.NDArray[np.uint8],
    messages: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill `messages`; (how many, where the scan stopped, outcome)."""
    for count in range(messages.shape[0]):
        if position >= end:
            return count, position, 0
        at = position
        for index in range(upd.shape[0]):
            if at + index >= end:
                return count, position, 1
            if log[at + index] != upd[index]:
                return count, position, 2
        table, at = _find_table(log, at + upd.shape[0], end, names, name_ends)
        if table < 0:
            return count, position, -table
        at = _read_columns(log, at, end, shapes[table], widths[table], messages[count])
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

    def __init__(self, catalog: Catalog, *, at_a_time: int = 8192) -> None:
        layouts = [Layout(table, catalog.fractional) for table in catalog]
        self.layouts = layouts
        most = max(len(layout.types) for layout in layouts)
        names = [layout.table.name.encode() for layout in layouts]
        self._names = np.frombuffer(bytearray(b"".join(names)), dtype=np.uint8)
        self._name_ends = np.cumsum([0, *map(len, names)], dtype=np.int64)
        self._shapes = np.full((len(layouts), most), -1, dtype=np.int64)
        self._widths = np.zeros((len(layouts), most), dtype=np.int64)
        for index, layout in enumerate(layouts):
            self._shapes[index, : len(layout.types)] = layout.types
            self._widths[index, : len(layout.types)] = _log_widths(layout)
        self._most = most
        self._at_a_time = at_a_time

    def tables(self) -> list[Table]:
        """Tables by index, as in a message's TABLE_INDEX."""
        return [layout.table for layout in self.layouts]

    def scan(self, log: npt.NDArray[np.uint8], start: int, end: int) -> Found:
        """Find up to `at_a_time` messages from byte `start`; stops at `end` or at damage."""
        messages = np.empty((self._at_a_time, FIRST_COLUMN + self._most), dtype=np.int64)
        count, stopped, outcome = _scan(
            log, start, end, self._names, self._name_ends, self._shapes, self._widths, UPD,
            messages,
        )  # fmt: skip
        return Found(messages[:count], stopped, Outcome(outcome))

    def scan_all(self, log: npt.NDArray[np.uint8], start: int, end: int) -> Iterator[Found]:
        """Find all messages, some thousands at a time; the last one says why the scan stopped."""
        while True:
            found = self.scan(log, start, end)
            yield found
            if found.outcome is not Outcome.END or found.stopped >= end:
                return
            start = found.stopped


def _log_widths(layout: Layout) -> list[int]:
    """Widths in the log, where symbols and texts have none of their own."""
    return [
        0 if column.kind in (Kind.SYMBOL, Kind.TEXT) else width
        for column, width in zip(layout.table.columns, layout.widths, strict=True)
    ]
