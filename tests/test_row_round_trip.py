"""Rows written as log messages read back as the same rows, whatever they hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core import user_tables
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.dialects.numpy import null_of, nulls, surface_dtype
from tickloop.core.schema import TABLES, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.decode import Decoder
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.scan import Outcome, Scanner

EVERY = user_tables.table("every", {f"c_{kind.value}": kind for kind in Kind})
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_BITS = {"<i8": 64, "<i4": 32, "<i2": 16}

pytestmark = pytest.mark.kernel


def _values(kind: Kind, dtype: str) -> st.SearchStrategy[Any]:
    if kind is Kind.TEXT:
        return st.binary(max_size=20)
    if kind is Kind.SYMBOL:
        return NAMES
    if kind is Kind.GUID:
        return st.binary(min_size=16, max_size=16)
    if dtype == "|u1":
        return st.integers(0, 255)
    if dtype in _BITS:
        half = 2 ** (_BITS[dtype] - 1)
        return st.sampled_from([-half, -half + 1, 0, half - 1]) | st.integers(-half, half - 1)
    return st.floats(width=32 if dtype == "<f4" else 64)


def _column(column: Column, drawn: list[Any], dtype: str, symbols: Symbols) -> npt.NDArray[Any]:
    if column.kind is Kind.SYMBOL:
        return symbols.ids(drawn)
    if column.kind is Kind.TEXT:
        made = np.empty(len(drawn), dtype="|O")
        made[:] = drawn
        return made
    return np.array(drawn, dtype=dtype)


@st.composite
def messages(
    draw: st.DrawFn, tables: Sequence[Table], symbols: Symbols, *, fractional: bool
) -> list[Batch]:
    """Draw surface rows of several tables."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        table = draw(st.sampled_from(tables))
        rows = draw(st.integers(0, 4))
        columns = {}
        for column in table.columns:
            dtype = surface_dtype(column.kind, fractional=fractional)
            drawn = draw(st.lists(_values(column.kind, dtype), min_size=rows, max_size=rows))
            columns[column.name] = _column(column, drawn, dtype, symbols)
        made.append(Batch(table, columns))
    return made


def _plain(rows: Batch, symbols: Symbols) -> list[tuple[object, ...]]:
    """List rows so that equal means the same bits; symbols by name, as the log holds them."""
    columns = []
    for column in rows.table.columns:
        values = rows.columns[column.name]
        if column.kind is Kind.SYMBOL:
            columns.append([symbols.name(number) for number in values.tolist()])
        elif column.kind is Kind.TEXT:
            columns.append(values.tolist())
        else:
            columns.append([value.tobytes() for value in values])
    return list(zip(*columns, strict=True))


def _log(batches: Sequence[Batch], symbols: Symbols, *, fractional: bool) -> npt.NDArray[np.uint8]:
    encoder = Encoder(Names(symbols), fractional=fractional)
    return np.frombuffer(
        bytearray(b"".join(encoder.log_message(rows) for rows in batches)), dtype=np.uint8
    )


def _read(log: npt.NDArray[np.uint8], catalog: Catalog, symbols: Symbols) -> list[Batch]:
    scanner = Scanner(catalog, at_a_time=3)
    decoder = Decoder(scanner, symbols)
    read: list[Batch] = []
    for found in scanner.scan_all(log, 0, len(log)):
        read += decoder.each(log, found)
    assert (found.stopped, found.outcome) == (len(log), Outcome.END)
    return read


@pytest.mark.parametrize("fractional", [False, True])
@settings(max_examples=60)
@given(data=st.data())
def test_rows_of_every_table_and_kind_come_back(data: st.DataObject, fractional: bool) -> None:
    catalog = Catalog((*TABLES, EVERY), fractional)
    symbols = Symbols()
    written = data.draw(messages([EVERY, *TABLES], symbols, fractional=fractional))
    reader = Symbols()
    read = _read(_log(written, symbols, fractional=fractional), catalog, reader)
    assert [rows.table.name for rows in read] == [rows.table.name for rows in written]
    assert [_plain(rows, reader) for rows in read] == [_plain(rows, symbols) for rows in written]
    for rows in read:
        for column in rows.table.columns:
            expected = surface_dtype(column.kind, fractional=fractional)
            assert rows.columns[column.name].dtype == np.dtype(expected)


@settings(max_examples=60)
@given(data=st.data())
def test_messages_gathered_into_one_batch_a_table_keep_their_order(data: st.DataObject) -> None:
    symbols = Symbols()
    written = data.draw(messages([EVERY, TABLES[0]], symbols, fractional=False))
    scanner = Scanner(Catalog((*TABLES, EVERY)))
    log = _log(written, symbols, fractional=False)
    found = scanner.scan(log, 0, len(log))
    for rows in Decoder(scanner, symbols).batches(log, found):
        expected = [
            row for batch in written if batch.table is rows.table for row in _plain(batch, symbols)
        ]
        assert _plain(rows, symbols) == expected


@settings(max_examples=60)
@given(data=st.data())
def test_messages_from_before_a_column_existed_read_as_nulls(data: st.DataObject) -> None:
    symbols = Symbols()
    written: list[Batch] = []
    for _ in range(data.draw(st.integers(1, 4))):
        known = data.draw(st.integers(1, len(EVERY.columns) - 1))
        older = Table("every", (*EVERY.columns[:known], EVERY.columns[-1]))
        written += data.draw(messages([older], symbols, fractional=False))
    log = _log([], symbols, fractional=False)
    for rows in written:
        # An encoder keeps one layout a table, so each older form has its own.
        log = np.concatenate([log, _log([rows], symbols, fractional=False)])
    catalog = Catalog((*TABLES, EVERY))
    expected = [row for rows in written for row in _plain(_filled(rows), symbols)]
    separate = _read(log, catalog, symbols)
    assert [row for rows in separate for row in _plain(rows, symbols)] == expected
    scanner = Scanner(catalog)
    found = scanner.scan(log, 0, len(log))
    (joined,) = Decoder(scanner, symbols).batches(log, found)
    assert _plain(joined, symbols) == expected


def _filled(rows: Batch) -> Batch:
    """Add the columns that an older form lacks, as nulls."""
    columns = {
        column.name: rows.columns[column.name]
        if column.name in rows.columns
        else nulls(column.kind, len(rows), dtype=surface_dtype(column.kind))
        for column in EVERY.columns
    }
    return Batch(EVERY, columns)


@pytest.mark.parametrize("kind", Kind)
def test_the_null_of_every_kind_comes_back_as_itself(kind: Kind) -> None:
    table = user_tables.table("one", {"x": kind})
    symbols = Symbols(["A"])
    dtype = surface_dtype(kind)
    rows = Batch(
        table, {c.name: nulls(c.kind, 2, dtype=surface_dtype(c.kind)) for c in table.columns}
    )
    (read,) = _read(_log([rows], symbols, fractional=False), Catalog((table,)), symbols)
    seen = read.columns["x"]
    if kind is Kind.TEXT:
        assert seen.tolist() == [b"", b""]
    else:
        assert seen.tobytes() == np.full(2, null_of(kind, dtype), dtype=dtype).tobytes()
    assert len(symbols) == 1


def test_a_message_of_more_columns_than_are_known_is_foreign() -> None:
    newer = user_tables.table("one", {"x": Kind.LONG, "y": Kind.LONG})
    older = user_tables.table("one", {"x": Kind.LONG})
    symbols = Symbols()
    rows = Batch(
        newer, {c.name: nulls(c.kind, 1, dtype=surface_dtype(c.kind)) for c in newer.columns}
    )
    log = _log([rows], symbols, fractional=False)
    found = Scanner(Catalog((older,))).scan(log, 0, len(log))
    assert (len(found.messages), found.stopped, found.outcome) == (0, 0, Outcome.FOREIGN)


def test_the_longest_name_that_symbols_take_comes_back() -> None:
    table = user_tables.table("one", {})
    symbols, reader = Symbols(), Symbols()
    columns = {c.name: nulls(c.kind, 1, dtype=surface_dtype(c.kind)) for c in table.columns}
    rows = Batch(table, {**columns, "sym": symbols.ids(["x" * 4096])})
    (read,) = _read(_log([rows], symbols, fractional=False), Catalog((table,)), reader)
    assert [reader.name(int(number)) for number in read.columns["sym"]] == ["x" * 4096]
