"""Databases that kdb+ wrote mount read-only, whatever they are partitioned by."""

import struct
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests import kdb_oracle as oracle
from tests.test_hdb import names, rows_of
from tickloop.core.catalog import Catalog
from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import QUOTE, TRADE, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.hdb import write_partition
from tickloop.tickerplant.hdb_info import database_of, describe, import_database, is_read_only
from tickloop.tickerplant.hdb_reader import HdbReader, PartitionedBy
from tickloop.tickerplant.kdb_nested import Nested

DAY = date(2015, 1, 7)
FindData = Callable[[str], Path]


def splay(directory: Path, columns: dict[str, bytes], *, domain: Path | None = None) -> None:
    """Write a splayed table by hand."""
    directory.mkdir(parents=True)
    (directory / ".d").write_bytes(oracle.names([*(name for name in columns if "#" not in name)]))
    for name, content in columns.items():
        (directory / name).write_bytes(content)
    if domain is not None:
        domain.write_bytes(oracle.names(["A", "B"], count=0))


def small(values: list[int]) -> dict[str, bytes]:
    """Give columns of a table of one symbol column and one of longs."""
    return {"sym": oracle.enum([0] * len(values)), "n": oracle.longs(values)}


def test_a_real_database_mounts_with_dates_tables_schema_and_symbols(market_data: FindData) -> None:
    reader = HdbReader(market_data("kdb/hdb"))
    assert reader.partitioned_by is PartitionedBy.DATE
    assert reader.dates == [DAY]
    assert reader.tables == ["quote_iex", "trade", "trade_iex"]
    assert reader.symbols[:3] == ["MSFT", "DOW", "AAPL"]
    schema = [(column.name, column.kind) for column in reader.table("trade").columns]
    assert schema == [
        ("time", Kind.INSTANT), ("sym", Kind.SYMBOL), ("price", Kind.FLOAT), ("size", Kind.INT),
        ("stop", Kind.FLAG), ("cond", Kind.CHAR), ("ex", Kind.CHAR),
    ]  # fmt: skip
    assert reader.rows("trade", DAY) == 196_519
    assert reader.rows("quote_iex", DAY) == 0


def test_rows_of_one_symbol_of_a_database_that_kdb_parted(market_data: FindData) -> None:
    reader = HdbReader(market_data("kdb/hdb"))
    partition = reader.partition("trade", DAY)
    assert partition is not None
    assert partition.parted is not None
    columns = reader.columns("trade", DAY, ["sym", "time", "size"])
    counts = {}
    for number, name in enumerate(reader.symbols):
        rows = partition.parted.rows_of(number)
        symbols, times = np.asarray(columns["sym"])[rows], np.asarray(columns["time"])[rows]
        assert (symbols == number).all()
        assert (np.diff(times) >= 0).all()
        counts[name] = len(times)
    assert sum(counts.values()) == 196_519
    assert min(counts.values()) > 0


def test_a_column_that_older_partitions_lack_reads_as_null(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", small([1, 2]), domain=tmp_path / "sym")
    ends, raw = oracle.nested([b"x"])
    newer = {
        **small([3]), "price": oracle.vector(9, struct.pack("<d", 1.5), 1),
        "who": oracle.enum([1]), "why": ends, "why#": raw,
    }  # fmt: skip
    splay(tmp_path / "2024.01.03" / "t", newer)
    reader = HdbReader(tmp_path)
    wanted = ["n", "price", "who", "why"]
    old = reader.columns("t", date(2024, 1, 2), wanted)
    assert np.asarray(old["n"]).tolist() == [1, 2]
    assert np.isnan(np.asarray(old["price"])).all()
    assert np.asarray(old["who"]).tolist() == [-(2**63)] * 2
    assert np.asarray(old["why"]).tolist() == [b"", b""]
    new = reader.columns("t", date(2024, 1, 3), wanted)
    assert isinstance(new["why"], Nested)
    assert new["why"].item(0) == b"x"


def test_a_table_that_a_partition_lacks_has_no_rows_there(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", small([1]), domain=tmp_path / "sym")
    splay(tmp_path / "2024.01.03" / "u", small([1, 2]))
    reader = HdbReader(tmp_path)
    assert reader.rows("t", date(2024, 1, 3)) == 0
    assert len(np.asarray(reader.columns("t", date(2024, 1, 3), ["n"])["n"])) == 0
    with pytest.raises(StoreError, match="no partition of"):
        reader.rows("t", date(2024, 1, 4))


def test_a_type_that_changed_between_partitions_is_named(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", {"n": oracle.vector(6, struct.pack("<i", 1), 1)})
    splay(tmp_path / "2024.01.03" / "t", {"n": oracle.longs([1])})
    with pytest.raises(StoreError, match="column n is int here and long in the newest"):
        HdbReader(tmp_path).columns("t", date(2024, 1, 2), ["n"])


@pytest.mark.parametrize(
    ("by", "parts", "numbers"),
    [
        (PartitionedBy.MONTH, ["2023.12", "2024.01"], [287, 288]),
        (PartitionedBy.YEAR, ["1999", "2024"], [1999, 2024]),
        (PartitionedBy.INT, ["0", "17", "123456"], [0, 17, 123456]),
    ],
)
def test_partitions_by_month_year_and_number(
    tmp_path: Path, by: PartitionedBy, parts: list[str], numbers: list[int]
) -> None:
    for count, part in enumerate(parts):
        splay(tmp_path / part / "t", small([count]))
    reader = HdbReader(tmp_path)
    assert reader.partitioned_by is by
    assert [key.number for key in reader.partitions] == numbers
    assert reader.dates == []
    values = [reader.columns("t", key, ["n"])["n"] for key in reader.partitions]
    assert [np.asarray(value).tolist() for value in values] == [[n] for n in range(len(parts))]


def test_segments_of_par_txt_are_one_database(tmp_path: Path) -> None:
    root = tmp_path / "root"
    splay(root / "ref", small([7]), domain=root / "sym")
    splay(tmp_path / "disk0" / "2024.01.02" / "t", small([1]))
    splay(tmp_path / "disk1" / "2024.01.03" / "t", small([2, 3]))
    (root / "par.txt").write_text(f"{tmp_path}/disk0\n../disk1\n\n")
    reader = HdbReader(root)
    assert reader.tables == ["ref", "t"]
    assert [reader.rows("t", day) for day in reader.dates] == [1, 2]
    assert reader.is_splayed("ref")
    assert np.asarray(reader.columns("ref", None, ["n"])["n"]).tolist() == [7]
    with pytest.raises(StoreError, match="only read here"):
        write_partition(root, DAY, TRADE, rows_of(TRADE, [0]), names(1))


def test_an_absent_segment_is_named(tmp_path: Path) -> None:
    (tmp_path / "par.txt").write_text("/nowhere/at/all\n")
    with pytest.raises(StoreError, match="/nowhere/at/all"):
        HdbReader(tmp_path)


def test_an_enumeration_over_another_domain_finds_its_names(tmp_path: Path) -> None:
    columns = {"sym": oracle.old_enum([1, 0], "mkt"), "n": oracle.longs([1, 2])}
    splay(tmp_path / "2024.01.02" / "t", columns, domain=tmp_path / "mkt")
    reader = HdbReader(tmp_path)
    assert reader.domain_of("t", "sym") == "mkt"
    ids = np.asarray(reader.columns("t", date(2024, 1, 2), ["sym"])["sym"])
    assert [reader.domain("mkt")[number] for number in ids] == ["B", "A"]
    assert reader.symbols == []


def test_a_domain_is_read_again_when_it_grew(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", small([1]), domain=tmp_path / "sym")
    reader = HdbReader(tmp_path)
    assert reader.symbols == ["A", "B"]
    with (tmp_path / "sym").open("ab") as file:
        file.write(b"C\0")
    assert reader.symbols == ["A", "B", "C"]


@pytest.mark.parametrize("name", ["..", "../x", "", "a/b"])
def test_names_do_not_lead_out_of_the_database(tmp_path: Path, name: str) -> None:
    splay(tmp_path / "db" / "2024.01.02" / "t", small([1]))
    splay(tmp_path / "x", small([1]))
    reader = HdbReader(tmp_path / "db")
    with pytest.raises(StoreError):
        reader.table(name)
    with pytest.raises(StoreError):
        reader.domain(name)


def test_a_column_list_that_leads_out_of_the_table_is_refused(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", {"n": oracle.longs([1])})
    (tmp_path / "2024.01.02" / "t" / ".d").write_bytes(oracle.names(["n", "../../secret"]))
    with pytest.raises(StoreError, match="no list of columns"):
        HdbReader(tmp_path).table("t")


def test_our_own_partitions_know_prices_and_sizes_by_the_catalog(tmp_path: Path) -> None:
    write_partition(tmp_path / "db", DAY, TRADE, rows_of(TRADE, [0]), names(1), also=[TRADE, QUOTE])
    reader = HdbReader(tmp_path / "db", catalog=Catalog())
    assert reader.table("trade").kinds == TRADE.kinds
    assert reader.table("quote").kinds == QUOTE.kinds
    assert HdbReader(tmp_path / "db").table("trade").column("price").kind is Kind.FLOAT


def test_a_reader_survives_a_partition_replaced_under_it(tmp_path: Path) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0]), names(1))
    reader = HdbReader(root)
    assert reader.rows("trade", DAY) == 1
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0, 0], first_seq=1), names(1))
    assert np.asarray(reader.columns("trade", DAY, ["seq"])["seq"]).tolist() == [0, 1, 2]
    write_partition(root, date(2015, 1, 8), TRADE, rows_of(TRADE, [0], first_seq=3), names(1))
    assert reader.dates == [DAY]
    reader.refresh()
    assert reader.dates == [DAY, date(2015, 1, 8)]


def test_a_real_partition_is_copied_into_ours_and_stays_the_same(
    market_data: FindData, tmp_path: Path
) -> None:
    reader = HdbReader(market_data("kdb/hdb"))
    table = Table("trade", (*reader.table("trade").columns, TRADE.columns[-1]))
    columns = dict(reader.columns("trade", DAY, reader.table("trade").names))
    columns["sym"] = np.asarray(columns["sym"], dtype=np.int32)
    columns["seq"] = np.arange(196_519, dtype=np.int64)
    surface = {name: np.asarray(values) for name, values in columns.items()}
    write_partition(tmp_path / "db", DAY, table, surface, Symbols(reader.symbols))
    ours = HdbReader(tmp_path / "db").columns("trade", DAY, table.names)
    for name in table.names:
        assert (np.asarray(ours[name]) == surface[name]).all()


# -- what is in it, and how it gets in -----------------------------------------------------------


def test_a_real_database_is_described(market_data: FindData) -> None:
    info = describe(market_data("kdb/hdb"))
    assert info.partitions == ("2015.01.07",)
    assert info.domains == {"sym": 10}
    assert info.damage == ()
    trade = next(table for table in info.tables if table.name == "trade")
    assert (trade.rows, trade.partitions, trade.splayed) == (196_519, 1, False)
    sym = next(column for column in trade.columns if column.name == "sym")
    assert (sym.type, sym.attribute, sym.domain, sym.compression) == (20, "p", "sym", "q")
    home = market_data("kdb/hdb/2015.01.07/trade")
    assert trade.bytes == sum(path.stat().st_size for path in home.iterdir())


def test_damage_is_told_and_the_rest_described(tmp_path: Path) -> None:
    splay(tmp_path / "2024.01.02" / "t", small([1]), domain=tmp_path / "sym")
    splay(tmp_path / "2024.01.02" / "u", {"n": b"nonsense"})
    info = describe(tmp_path)
    assert [(table.name, table.rows) for table in info.tables] == [("t", 1), ("u", 0)]
    assert len(info.damage) == 1
    assert "no kdb+ file" in info.damage[0]


@pytest.mark.parametrize("copy", [False, True])
def test_a_real_database_becomes_the_history_of_a_data_directory(
    market_data: FindData, tmp_path: Path, copy: bool
) -> None:
    source = market_data("kdb/hdb")
    info = import_database(source, tmp_path / "data", copy=copy)
    assert [table.name for table in info.tables] == ["quote_iex", "trade", "trade_iex"]
    assert is_read_only(tmp_path / "data") is not copy
    root = database_of(tmp_path / "data")
    assert (root == source.resolve()) is not copy
    assert HdbReader(root).rows("trade", DAY) == 196_519
    with pytest.raises(DataDirectoryError, match="history already"):
        import_database(source, tmp_path / "data", copy=copy)


def test_a_directory_without_tables_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="no tables"):
        import_database(tmp_path / "empty", tmp_path / "data", copy=False)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"database": 5}'])
def test_a_damaged_reference_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db.json").write_bytes(content)
    with pytest.raises(DataDirectoryError, match="import the database again"):
        database_of(tmp_path)
