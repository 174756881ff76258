"""Log messages back to surface rows: columns are gathered from many messages by kernels."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import nulls
from tickloop.core.kernel import kernel
from tickloop.core.schema import SYMBOL, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.names import UNKNOWN, Names, find_name
from tickloop.tickerplant.scan import (
    COLUMNS,
    FIRST_COLUMN,
    ROWS,
    TABLE_INDEX,
    Found,
    Scanner,
)

# Gives writable arrays for a table's columns, `rows` long, where decoded values go.
Destination = Callable[[Table, int], dict[str, npt.NDArray[np.generic]]]


@kernel("void(uint8[::1], int64[::1], int64[::1], int64, uint8[::1])")
def _gather_fixed(
    log: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    width: int,
    out: npt.NDArray[np.uint8],
) -> None:
    written = 0
    for message in range(positions.shape[0]):
        first = positions[message]
        size = rows[message] * width
        for index in range(size):
            out[written + index] = log[first + index]
        written += size


@kernel("int64(uint8[::1], int64[::1], int64[::1], uint8[::1], int64[::1], int32[::1], int32[::1])")
def _gather_symbols(
    log: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> int:
    """Fill `out` with ids; return the log position of the first unknown name, or -1."""
    written = 0
    for message in range(positions.shape[0]):
        position = positions[message]
        for _ in range(rows[message]):
            stop = position
            while log[stop] != 0:
                stop += 1
            found = find_name(log, position, stop, blob, ends, slots)
            if found == UNKNOWN:
                return int(position)
            out[written] = found
            written += 1
            position = stop + 1
    return -1


class Decoder:
    """Turns found messages into surface rows; unknown symbol names get the next ids."""

    def __init__(self, scanner: Scanner, symbols: Symbols) -> None:
        self._scanner = scanner
        self._symbols = symbols
        self._names = Names(symbols)

    def batches(
        self,
        log: npt.NDArray[np.uint8],
        found: Found,
        *,
        destination: Destination | None = None,
        tables: frozenset[str] | None = None,
    ) -> Iterator[Batch]:
        """Yield one batch a table, its rows in log order.

        With `destination`, columns are written there (text columns are replaced in its dict).
        With `tables`, other tables are passed over.
        """
        indexes = found.messages[:, TABLE_INDEX]
        # The log tells a symbol's id before its first use, so those rows are read first.
        for index in sorted(np.unique(indexes), key=self._tells_symbols, reverse=True):
            table = self._scanner.layouts[index].table
            if tables is None or table.name in tables:
                messages = found.messages[indexes == index]
                yield self._batch(log, int(index), messages, destination)

    def _tells_symbols(self, index: int) -> bool:
        return self._scanner.layouts[index].table is SYMBOL

    def each(self, log: npt.NDArray[np.uint8], found: Found) -> Iterator[Batch]:
        """Yield one batch a message, in log order."""
        for message in range(len(found.messages)):
            row = found.messages[message : message + 1]
            yield self._batch(log, int(row[0, TABLE_INDEX]), row, None)

    def run(self, log: npt.NDArray[np.uint8], messages: npt.NDArray[np.int64]) -> Batch:
        """Give messages of one table as one batch."""
        return self._batch(log, int(messages[0, TABLE_INDEX]), messages, None)

    def _batch(
        self,
        log: npt.NDArray[np.uint8],
        index: int,
        messages: npt.NDArray[np.int64],
        destination: Destination | None,
    ) -> Batch:
        layout = self._scanner.layouts[index]
        rows = np.ascontiguousarray(messages[:, ROWS])
        total = int(rows.sum())
        columns: dict[str, npt.NDArray[np.generic]] = (
            destination(layout.table, total)
            if destination
            else {
                column.name: np.empty(total, dtype=dtype)
                for column, dtype in zip(layout.table.columns, layout.dtypes, strict=True)
            }
        )
        for number, column in enumerate(layout.table.columns):
            positions = _positions(messages, number, len(layout.table.columns))
            columns[column.name] = self._fill(log, column, positions, rows, columns[column.name])
        return Batch(layout.table, columns)

    def _fill(
        self,
        log: npt.NDArray[np.uint8],
        column: Column,
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        out: npt.NDArray[np.generic],
    ) -> npt.NDArray[np.generic]:
        present = positions >= 0
        if not present.all():
            # Written before this column existed: nulls, which a per-message fill interleaves.
            return self._fill_partly(log, column, positions, rows, out)
        if column.kind is Kind.SYMBOL:
            self._fill_symbols(log, positions, rows, out)
        elif column.kind is Kind.TEXT:
            out[:] = _texts(log, positions, rows)
        else:
            _gather_fixed(log, positions, rows, out.dtype.itemsize, out.view(np.uint8))
        return out

    def _fill_partly(
        self,
        log: npt.NDArray[np.uint8],
        column: Column,
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        out: npt.NDArray[np.generic],
    ) -> npt.NDArray[np.generic]:
        start = 0
        for message in range(len(positions)):
            end = start + int(rows[message])
            piece = out[start:end]
            if positions[message] < 0:
                piece[:] = nulls(column.kind, end - start, dtype=out.dtype.str)
            else:
                one = slice(message, message + 1)
                self._fill(log, column, positions[one].copy(), rows[one].copy(), piece)
            start = end
        return out

    def _fill_symbols(
        self,
        log: npt.NDArray[np.uint8],
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        out: npt.NDArray[np.generic],
    ) -> None:
        names = self._names
        names.refresh()
        ids = out.view(np.int32)
        while True:
            at = _gather_symbols(log, positions, rows, names.blob, names.ends, names.slots, ids)
            if at < 0:
                return
            stop = at
            while log[stop] != 0:
                stop += 1
            self._symbols.id(log[at:stop].tobytes().decode(errors="surrogateescape"))
            names.refresh()


def _positions(messages: npt.NDArray[np.int64], number: int, columns: int) -> npt.NDArray[np.int64]:
    """Give a column's data position a message; -1 where the message is older than the column."""
    written = messages[:, COLUMNS]
    if number == columns - 1:
        return messages[np.arange(len(messages)), FIRST_COLUMN + written - 1]
    return np.where(number < written - 1, messages[:, FIRST_COLUMN + number], -1)


def _texts(
    log: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> list[bytes]:
    texts = []
    for first, count in zip(positions.tolist(), rows.tolist(), strict=True):
        position = first
        for _ in range(count):
            size = int.from_bytes(log[position + 2 : position + 6].tobytes(), "little")
            texts.append(log[position + 6 : position + 6 + size].tobytes())
            position += 6 + size
    return texts
