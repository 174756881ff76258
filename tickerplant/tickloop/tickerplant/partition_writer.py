"""A partition's files, written column by column through the file door."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.dialects import q
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.errors import SchemaError, StoreError
from tickloop.core.schema import Column, Kind, Table
from tickloop.tickerplant.file_door import FileDoor, Piece
from tickloop.tickerplant.kdb_anymap import AnyMap
from tickloop.tickerplant.kdb_file import Rows
from tickloop.tickerplant.kdb_layout import TEXT, enum_header, vector_header
from tickloop.tickerplant.kdb_names import names_file
from tickloop.tickerplant.kdb_nested import Nested, ends_of
from tickloop.tickerplant.kdb_parted import parted_index
from tickloop.tickerplant.part_order import Order, PartOrder, ascends, gather, gather_ids
from tickloop.tickerplant.parted import FILE_NAME, encode_parted
from tickloop.tickerplant.partition import Partition

Array = npt.NDArray[np.generic]

DOMAIN = "sym"
_CHUNK_ROWS = 1 << 18
# Only these may carry kdb+'s `s`: it is a promise about values, and never made for symbols.
_SORTABLE = (Kind.INSTANT, Kind.LONG)


@dataclass(frozen=True, eq=False)
class ColumnSource:
    """Where a column's rows come from: an existing partition's rows, then new ones, in pieces."""

    column: Column
    dtype: str
    type_number: int
    pieces: Sequence[Rows]

    @property
    def arrays(self) -> list[Array]:
        """The pieces of a column of fixed width."""
        arrays = [piece for piece in self.pieces if isinstance(piece, np.ndarray)]
        assert len(arrays) == len(self.pieces), f"{self.column.name}: a fixed width expected"
        return arrays


def column_source(
    column: Column, new: Sequence[Array], existing: Partition | None, *, fractional: bool
) -> ColumnSource:
    """Put a column's new rows after its existing ones; rows from before the column are null."""
    dtype = surface_dtype(column.kind, fractional=fractional)
    for piece in new:
        if piece.dtype != np.dtype(dtype):
            raise SchemaError(f"column {column.name} is {piece.dtype}, its kind takes {dtype}")
    type_number = q.type_number(column.kind, fractional=fractional)
    old = _existing_rows(column, dtype, existing)
    return ColumnSource(column, dtype, type_number, [old, *new])


def _existing_rows(column: Column, dtype: str, existing: Partition | None) -> Rows:
    if column.kind is Kind.SYMBOL:
        dtype = "<i8"
    if existing is None or column.name not in existing.names:
        rows = 0 if existing is None else existing.rows
        return nulls(column.kind, rows, dtype=dtype)
    file = existing.file(column.name)
    old = file.values()
    if column.kind is Kind.TEXT and isinstance(old, Nested | AnyMap) and old.is_text:
        return old
    if column.kind is Kind.SYMBOL and file.layout.domain == DOMAIN and isinstance(old, np.ndarray):
        return old.astype("<i8", copy=False)
    if isinstance(old, np.ndarray) and old.dtype == np.dtype(dtype) and not file.layout.is_enum:
        return old
    raise StoreError(
        f"{existing.directory}: column {column.name} has kdb+ type {file.layout.type}, {dtype}"
        " expected; move the partition away or bring its type into line"
    )


def write_files(
    directory: Path,
    table: Table,
    sources: Sequence[ColumnSource],
    order: PartOrder,
    *,
    door: FileDoor,
    threads: int,
    for_kdb: bool = False,
) -> int:
    """Write a table's columns, `.d` and our index into a new directory, durably; give bytes.

    `for_kdb` gives `sym` kdb+'s own index and its `p`: none of its symbols may be null then.
    """
    door.make_directory(directory)
    index = parted_index(order.parted) if for_kdb else b""

    def write(source: ColumnSource) -> int:
        path, name = directory / source.column.name, source.column.name
        own = index if name == "sym" else b""
        return write_column(path, source, order.order, door=door, index=own)

    if threads > 1 and len(order.order):
        with ThreadPoolExecutor(threads) as pool:
            written = sum(pool.map(write, sources))
    else:
        written = sum(map(write, sources))
    written += write_file(directory / FILE_NAME, [encode_parted(order.parted)], door=door)
    written += write_file(directory / ".d", [names_file(table.names)], door=door)
    door.sync_directory(directory)
    return written


def write_file(path: Path, pieces: Sequence[Piece], *, door: FileDoor) -> int:
    """Write one new file durably, apart from its name."""

    def fill(fd: int) -> int:
        return door.write(fd, pieces)

    return _write_synced(path, fill, door)


def _write_synced(path: Path, fill: Callable[[int], int], door: FileDoor) -> int:
    fd = door.create(path)
    try:
        written = fill(fd)
        door.sync(fd)
    finally:
        door.close(fd)
    return written


def write_column(
    path: Path, source: ColumnSource, order: Order, *, door: FileDoor, index: bytes = b""
) -> int:
    """Write one column in the given order, with the index of a parted one; give bytes."""
    if source.column.kind is Kind.TEXT:
        return _write_text(path, source, order, door)
    pieces = source.arrays

    def fill(fd: int) -> int:
        written = door.write(fd, [_header(source, order, "p" if index else "")])
        is_symbol = source.column.kind is Kind.SYMBOL
        chunk = np.empty(min(_CHUNK_ROWS, len(order)), dtype="<i8" if is_symbol else source.dtype)
        for start in range(0, len(order), _CHUNK_ROWS):
            part = order[start : start + _CHUNK_ROWS]
            out = chunk[: len(part)]
            (gather_ids if is_symbol else gather)(pieces, part, out)
            written += door.write(fd, [out])
        return written + (door.write(fd, [index]) if index else 0)

    return _write_synced(path, fill, door)


def _header(source: ColumnSource, order: Order, attribute: str) -> bytes:
    if source.column.kind is Kind.SYMBOL:
        return enum_header(DOMAIN, len(order), attribute=attribute)
    sortable = len(order) > 0 and source.column.kind in _SORTABLE
    attribute = "s" if sortable and ascends(source.arrays, order) else ""
    return vector_header(source.type_number, len(order), attribute=attribute)


def _write_text(path: Path, source: ColumnSource, order: Order, door: FileDoor) -> int:
    """Write strings: end offsets, and their bytes in the companion file."""
    ends_fd = door.create(path)
    raw_fd = door.create(path.with_name(path.name + "#"))
    try:
        written = door.write(ends_fd, [vector_header(TEXT, len(order))])
        end = 0
        for start in range(0, len(order), _CHUNK_ROWS):
            texts = _texts(source, order[start : start + _CHUNK_ROWS])
            ends = ends_of(texts, start=end)
            end = int(ends[-1])
            written += door.write(ends_fd, [ends])
            written += door.write(raw_fd, [b"".join(texts.tolist())])
        for fd in (ends_fd, raw_fd):
            door.sync(fd)
    finally:
        door.close(ends_fd)
        door.close(raw_fd)
    return written


def _texts(source: ColumnSource, order: Order) -> npt.NDArray[np.object_]:
    firsts = [0, *itertools.accumulate(len(piece) for piece in source.pieces)]
    texts = np.empty(len(order), dtype=object)
    for place, row in enumerate(order.tolist()):
        number = bisect.bisect_right(firsts, row) - 1
        piece, within = source.pieces[number], row - firsts[number]
        texts[place] = piece[within] if isinstance(piece, np.ndarray) else piece.item(within)
    return texts
