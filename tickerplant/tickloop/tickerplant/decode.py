"""Log messages back to surface rows: columns are gathered from many messages by kernels."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.dialects.numpy import nulls
from tickloop.core.kernel import kernel
from tickloop.core.schema import SYMBOL, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.little_endian import U, copy_bytes, read_u64
from tickloop.tickerplant.names import (
    NO_WORD,
    UNKNOWN,
    Names,
    first_name,
    read_name,
)
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


@kernel("boolean(int64[:, ::1], int64[::1], int64[:, ::1], int64[::1])")
def _by_column(
    messages: npt.NDArray[np.int64],
    picks: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> bool:
    """Turn picked messages into positions by column; tell whether every message has all columns.

    A message that is older than some columns has the table's first ones and `seq`; the others'
    positions are -1.
    """
    known = positions.shape[0]
    complete = True
    for place in range(picks.shape[0]):
        message = U(picks[place])
        written = messages[message, U(COLUMNS)]
        rows[place] = messages[message, U(ROWS)]
        for column in range(written - 1):
            positions[U(column), U(place)] = messages[message, U(FIRST_COLUMN + column)]
        for column in range(written - 1, known - 1):
            positions[U(column), U(place)] = -1
        positions[U(known - 1), U(place)] = messages[message, U(FIRST_COLUMN + written - 1)]
        complete &= written == known
    return complete


@kernel("void(uint8[::1], int64[::1], int64[::1], int64, uint8[::1])")
def _gather_fixed(
    log: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    width: int,
    out: npt.NDArray[np.uint8],
) -> None:
    """Copy every message's values; rows of messages without the column are passed over."""
    written = 0
    for message in range(positions.shape[0]):
        size = rows[message] * width
        if positions[message] >= 0:
            copy_bytes(log, positions[message], size, out, written)
        written += size


@kernel(
    "int64(uint8[::1], int64[::1], int64[::1], uint8[::1], int64[::1], int32[::1], uint64[::1],"
    " int32[::1], int64[::1], int32[::1])"
)
def _gather_symbols(
    log: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    words: npt.NDArray[np.uint64],
    word_ids: npt.NDArray[np.int32],
    cursor: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
) -> int:
    """Fill `out` with ids. At the first unknown name give its end, else -1.

    `cursor` says where to begin, and where the unknown name is: message, position in the log (-1
    for the message's start), rows of the message and of `out` before it.
    """
    word, last, last_mask, last_id, last_bytes = U(0), U(1), U(0), 0, 0
    first, position, begun, written = cursor[0], cursor[1], cursor[2], cursor[3]
    for message in range(first, positions.shape[0]):
        if position < 0:
            position = positions[message]
        if position < 0:  # older than the column
            written += rows[message]
            continue
        for row in range(begun, rows[message]):
            whole = position + 8 <= log.shape[0]
            if whole:
                word = read_u64(log, position)
                if word & last_mask == last:
                    # Most columns repeat their names; to guess so waits for no memory.
                    out[U(written)] = last_id
                    written += 1
                    position += last_bytes
                    continue
            name = first_name(word) if whole else NO_WORD
            found, stop = read_name(log, position, name, blob, ends, slots, words, word_ids)
            if found == UNKNOWN:
                cursor[0], cursor[1], cursor[2], cursor[3] = message, position, row, written
                return int(stop)
            if name != NO_WORD:
                last, last_id, last_bytes = name, found, stop + 1 - position
                last_mask = NO_WORD >> U(64 - 8 * last_bytes)
            out[U(written)] = found
            written += 1
            position = stop + 1
        position, begun = -1, 0
    return -1


class Decoder:
    """Turns found messages into surface rows; unknown symbol names get the next ids."""

    def __init__(self, scanner: Scanner, symbols: Symbols) -> None:
        self._scanner = scanner
        self._layouts = {layout.table.name: layout for layout in scanner.layouts}
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
        seen = np.flatnonzero(np.bincount(indexes)).tolist()
        for index in sorted(seen, key=self._tells_symbols, reverse=True):
            table = self._scanner.layouts[index].table
            if tables is None or table.name in tables:
                picks = np.flatnonzero(indexes == index)
                yield self._batch(log, index, found.messages, picks, destination)

    def _tells_symbols(self, index: int) -> bool:
        return self._scanner.layouts[index].table is SYMBOL

    def each(self, log: npt.NDArray[np.uint8], found: Found) -> Iterator[Batch]:
        """Yield one batch a message, in log order."""
        for message, index in enumerate(found.messages[:, TABLE_INDEX].tolist()):
            yield self._batch(log, index, found.messages, np.array([message]), None)

    def run(self, log: npt.NDArray[np.uint8], messages: npt.NDArray[np.int64]) -> Batch:
        """Give messages of one table as one batch."""
        picks = np.arange(len(messages))
        return self._batch(log, int(messages[0, TABLE_INDEX]), messages, picks, None)

    def _batch(
        self,
        log: npt.NDArray[np.uint8],
        index: int,
        messages: npt.NDArray[np.int64],
        picks: npt.NDArray[np.int64],
        destination: Destination | None,
    ) -> Batch:
        """Read the picked messages, which are of one table."""
        layout = self._scanner.layouts[index]
        positions = np.empty((len(layout.types), len(picks)), dtype=np.int64)
        rows = np.empty(len(picks), dtype=np.int64)
        is_complete = _by_column(messages, picks, positions, rows)
        columns = (destination or self._new_columns)(layout.table, int(rows.sum()))
        for column, at in zip(layout.table.columns, positions, strict=True):
            out = columns[column.name]
            if not is_complete:
                out[:] = nulls(column.kind, len(out), dtype=out.dtype.str)
            if column.kind is Kind.SYMBOL:
                self._fill_symbols(log, at, rows, out)
            elif column.kind is Kind.TEXT:
                out[:] = _texts(log, at, rows)
            else:
                _gather_fixed(log, at, rows, out.dtype.itemsize, out.view(np.uint8))
        return Batch(layout.table, columns)

    def _new_columns(self, table: Table, rows: int) -> dict[str, npt.NDArray[np.generic]]:
        layout = self._layouts[table.name]
        return {
            name: np.empty(rows, dtype=dtype)
            for name, dtype in zip(table.names, layout.dtypes, strict=True)
        }

    def _fill_symbols(
        self,
        log: npt.NDArray[np.uint8],
        positions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        out: npt.NDArray[np.generic],
    ) -> None:
        names = self._names
        names.refresh()
        cursor = np.array([0, -1, 0, 0])
        while True:
            stop = _gather_symbols(
                log, positions, rows, names.blob, names.ends, names.slots, names.words,
                names.word_ids, cursor, out.view(np.int32),
            )  # fmt: skip
            if stop < 0:
                return
            unknown = log[cursor[1] : stop].tobytes()
            self._symbols.id(unknown.decode(errors="surrogateescape"))
            names.refresh()


class Reused:
    """Columns for decoded rows: the same memory for every batch of a table, as long as it fits."""

    def __init__(self, catalog: Catalog) -> None:
        self._layouts = {table.name: Layout(table, catalog.fractional) for table in catalog}
        self._columns: dict[str, dict[str, npt.NDArray[np.generic]]] = {}

    def __call__(self, table: Table, rows: int) -> dict[str, npt.NDArray[np.generic]]:
        """Give columns of `rows` rows; what the table's last batch held is gone."""
        held = self._columns.get(table.name)
        if held is None or len(held["seq"]) < rows:
            dtypes = self._layouts[table.name].dtypes
            held = self._columns[table.name] = {
                name: np.empty(rows, dtype=dtype)
                for name, dtype in zip(table.names, dtypes, strict=True)
            }
        return {name: values[:rows] for name, values in held.items()}


def _texts(
    log: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> list[bytes]:
    texts = []
    for first, count in zip(positions.tolist(), rows.tolist(), strict=True):
        if first < 0:
            texts += [b""] * count
            continue
        position = first
        for _ in range(count):
            size = int.from_bytes(log[position + 2 : position + 6].tobytes(), "little")
            texts.append(log[position + 6 : position + 6 + size].tobytes())
            position += 6 + size
    return texts
