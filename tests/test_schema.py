"""The schema and its spellings: golden text, pinned layouts, and names that never change."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest

from tickloop.core import user_tables
from tickloop.core.catalog import Catalog
from tickloop.core.dialects import arrow, postgres, q, questdb
from tickloop.core.dialects import duckdb as duckdb_dialect
from tickloop.core.dialects import numpy as numpy_dialect
from tickloop.core.errors import SchemaError
from tickloop.core.schema import RESERVED_NAMES, TABLES, Column, Kind, Table, Whose, schema_digest

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "TICKLOOP_UPDATE_GOLDEN"

# The design's table list, spelled out here once more so that no column is lost or moved.
COLUMNS = {
    "trade": "time sym price size side cond ex trade_id venue_time seq",
    "quote": "time sym bid ask bsize asize ex venue_time seq",
    "depth": "time sym side level price size orders ex venue_time seq",
    "book": "time sym action order_id side price size ref_order_id mpid ex venue_time seq",
    "status": "time sym state reason ex venue_time seq",
    "imbalance": "time sym paired imbalance side ref near far cross ex venue_time seq",
    "instrument": "time sym kind price_unit size_unit tick lot currency sector underlying expiry"
    " strike put_call seq",
    "clock": "time sym seq",
    "symbol": "time sym id seq",
    "control": "time sym name value actor seq",
    "journal": "time sym version plant epoch next_seq reserved schema_digest span_start span_end"
    " span_crc seq",
    "bar": "time sym interval open high low close volume vwap count start spread imbalance kind"
    " threshold stream cause_time cause ordinal seq",
    "signal": "time sym name value stream cause_time cause ordinal seq",
    "quality": "time sym interval rows trades quotes rate gaps silence symbols stale crossed locked"
    " disorder delay_p50 delay_p99 delay_max stream cause_time cause ordinal seq",
    "delay": "time sym interval above below count stream cause_time cause ordinal seq",
}
# Record layouts as struct characters: any change breaks row-by-row publishers and old files.
LAYOUTS = {
    "trade": "qidqBiiqqq",
    "quote": "qiddqqiqq",
    "depth": "qiBidqiiqq",
    "book": "qiBqBdqqiiqq",
    "status": "qiiiiqq",
    "imbalance": "qiqqBdddBiqq",
    "instrument": "qiiiiddiiiidBq",
    "clock": "qiq",
    "symbol": "qiiq",
    "control": "qiidiq",
    "journal": "qiiqqqqqqqqq",
    "bar": "qiqddddqdqqddBdiqqqq",
    "signal": "qiidiqqqq",
    "quality": "qiqqqqdqqqqqqqqqqiqqqq",
    "delay": "qiqqqqiqqqq",
}
_WIDTHS = {"q": 8, "d": 8, "i": 4, "B": 1}
_DTYPES = {"q": "<i8", "d": "<f8", "i": "<i4", "B": "|u1"}


def _every_kind() -> Table:
    kinds = {f"c_{kind.value}": kind for kind in Kind}
    return user_tables.table("every", kinds)


def _arrow_text(table: Table, *, fractional: bool) -> str:
    return f"{table.name}\n{arrow.schema(table, fractional=fractional).to_string()}\n"


SPELLINGS: dict[str, Callable[..., str]] = {
    "q": q.empty,
    "duckdb.sql": lambda table, *, fractional: (
        duckdb_dialect.create(table, fractional=fractional) + ";"
    ),
    "questdb.sql": lambda table, *, fractional: questdb.create(table, fractional=fractional) + ";",
    "postgres.sql": lambda table, *, fractional: (
        postgres.create(table, fractional=fractional) + ";"
    ),
    "arrow.txt": _arrow_text,
}


@pytest.mark.parametrize("fractional", [False, True], ids=["whole", "fractional"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_table_is_spelled_as_in_the_golden_file(spelling: str, fractional: bool) -> None:
    made = "\n".join(
        SPELLINGS[spelling](table, fractional=fractional) for table in (*TABLES, _every_kind())
    )
    path = GOLDEN / f"{'fractional' if fractional else 'whole'}.{spelling}"
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made + "\n")
    assert path.read_text() == made + "\n", (
        f"{path.name} differs; if the change is meant: {UPDATE}=1 pytest tests/test_schema.py"
    )


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("kind", Kind)
def test_every_dialect_spells_every_kind(kind: Kind, fractional: bool) -> None:
    assert duckdb_dialect.type_text(kind, fractional=fractional)
    assert postgres.type_text(kind, fractional=fractional)
    assert questdb.type_text(kind, fractional=fractional)
    assert arrow.type_text(kind, fractional=fractional)
    assert q.type_character(kind, fractional=fractional).strip()
    assert -1 < q.type_number(kind, fractional=fractional) < 20
    dtype = numpy_dialect.surface_dtype(kind, fractional=fractional)
    assert len(numpy_dialect.nulls(kind, 3, dtype=dtype)) == 3
    assert numpy_dialect.INSIDE[kind]
    assert duckdb_dialect.expression(Column("x", kind), fractional=fractional).endswith(' AS "x"')


def test_the_tables_have_the_columns_of_the_design_in_its_order() -> None:
    assert {table.name: " ".join(table.names) for table in TABLES} == COLUMNS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_time_and_sym_come_first_and_seq_last(table: Table) -> None:
    assert table.names[:2] == ("time", "sym")
    assert table.names[-1] == "seq"
    assert table.kinds[:2] == (Kind.INSTANT, Kind.SYMBOL)
    assert table.kinds[-1] is Kind.LONG
    for column in table.columns:
        assert (column.kind is Kind.INSTANT) == (column.clock is not None), column.name
    assert table.column("time").clock is Whose.PLANT


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_records_are_packed_at_pinned_offsets(table: Table) -> None:
    dtype = numpy_dialect.record_dtype(table)
    letters = LAYOUTS[table.name]
    offset = 0
    assert dtype.fields is not None
    for name, letter in zip(table.names, letters, strict=True):
        assert (dtype.fields[name][0].str, dtype.fields[name][1]) == (_DTYPES[letter], offset)
        offset += _WIDTHS[letter]
    assert dtype.itemsize == offset


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_sizes_alone_change_where_quantities_are_fractional(table: Table) -> None:
    whole = numpy_dialect.record_dtype(table)
    fractional = numpy_dialect.record_dtype(table, fractional=True)
    changed = {name for name in table.names if whole[name] != fractional[name]}
    assert changed == {column.name for column in table.columns if column.kind is Kind.SIZE}
    assert all(fractional[name] == np.float64 for name in changed)


def test_every_action_of_the_book_is_explained() -> None:
    meaning = next(table for table in TABLES if table.name == "book").column("action").meaning
    words = {part.split()[0] for part in meaning.split(", ")}
    assert words == set("AMXDEFUR")


def test_the_digest_is_what_it_always_was_and_independent_of_order() -> None:
    # A different digest means that older journals were written with another schema.
    assert schema_digest(TABLES) == 2_730_994_210_720_392_968
    shuffled = list(TABLES)
    random.Random(5).shuffle(shuffled)
    assert schema_digest(shuffled) == schema_digest(TABLES)
    assert 0 <= schema_digest(TABLES) < 2**63


def test_the_digest_notices_names_kinds_and_order_of_columns() -> None:
    variants = [
        Table("t", (Column("a", Kind.LONG), Column("b", Kind.LONG))),
        Table("t", (Column("b", Kind.LONG), Column("a", Kind.LONG))),
        Table("t", (Column("a", Kind.LONG), Column("b", Kind.INT))),
        Table("t", (Column("a", Kind.LONG), Column("b", Kind.LONG), Column("c", Kind.LONG))),
        Table("u", (Column("a", Kind.LONG), Column("b", Kind.LONG))),
    ]
    assert len({schema_digest([table]) for table in variants}) == len(variants)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES | set(COLUMNS)))
def test_names_of_present_and_coming_tables_are_not_for_users(name: str) -> None:
    with pytest.raises(SchemaError, match="tickloop's own names"):
        Catalog().with_user_tables([user_tables.table(name, {"x": Kind.LONG})])


def test_a_user_table_defined_twice_is_refused() -> None:
    twice = [user_tables.table("mine", {"x": kind}) for kind in (Kind.LONG, Kind.INT)]
    with pytest.raises(SchemaError, match="'mine' is defined twice"):
        Catalog().with_user_tables(twice)


def test_a_catalog_finds_its_own_and_the_users_tables() -> None:
    mine = user_tables.table("mine", {"x": Kind.LONG})
    catalog = Catalog(fractional=True).with_user_tables([mine])
    assert catalog["mine"] is mine
    assert "mine" in catalog and "yours" not in catalog
    assert catalog.fractional
    assert [table.name for table in catalog] == [*COLUMNS, "mine"]
    assert catalog.digest != Catalog().digest


def test_a_missing_column_is_named_together_with_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"clock has no column 'price'; it has time, sym, seq"):
        next(table for table in TABLES if table.name == "clock").column("price")


@pytest.mark.parametrize("fractional", [False, True])
def test_duckdb_runs_the_statements_and_shows_the_same_types(fractional: bool) -> None:
    connection = duckdb.connect()
    for table in (*TABLES, _every_kind()):
        connection.execute(duckdb_dialect.create(table, fractional=fractional))
        described = connection.execute(f"DESCRIBE {duckdb_dialect.quoted(table.name)}").fetchall()
        assert [(row[0], row[1]) for row in described] == [
            (column.name, duckdb_dialect.type_text(column.kind, fractional=fractional))
            for column in table.columns
        ]


@pytest.mark.parametrize("fractional", [False, True])
def test_q_text_reads_back_as_the_same_columns(tmp_path: Path, fractional: bool) -> None:
    tables = (*TABLES, _every_kind())
    path = tmp_path / "sym.q"
    path.write_text("\n".join(q.empty(table, fractional=fractional) for table in tables))
    for table, read in zip(tables, user_tables.from_q(path), strict=True):
        assert read.name == table.name
        assert read.names == table.names
        assert [q.type_name(kind) for kind in read.kinds] == [
            q.type_name(kind, fractional=fractional) for kind in table.kinds
        ]
