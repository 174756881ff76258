"""`tickloop hdb`: a real kdb+ database is described, imported, and then asked in SQL."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import tickloop

FindData = Callable[[str], Path]
# What facts about the real database say; see tests/test_hdb_reader.py for the files themselves.
TOTALS = {"n": "196519", "price": "7281892.74", "size": "9639450", "syms": "10"}
ASK = (
    "SELECT count(*) AS n, round(sum(price), 2) AS price, sum(size) AS size,"
    " count(DISTINCT sym) AS syms FROM trade"
)


@pytest.mark.parametrize("how", [(), ("--copy",)], ids=["mounted", "copied"])
def test_an_imported_database_answers_sql(
    market_data: FindData, tmp_path: Path, how: tuple[str, ...]
) -> None:
    data = tmp_path / "old"
    done = tickloop("hdb", "import", market_data("kdb/hdb"), "--data", data, *how)
    assert done.code == 0, done.err
    assert f'tickloop sql --data {data} "SHOW TABLES"' in done.out
    asked = tickloop("sql", "--data", data, "--format", "csv", ASK)
    assert asked.rows == [TOTALS], asked.err
    feed = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "3")
    run = tickloop("run", *feed, "--data", data)
    run.refused("holds an imported database, which captures do not write into")
    described = tickloop("hdb", "info", "--data", data)
    assert "trade: 196,519 rows" in described.out, described.err


def test_a_description_for_programs_names_kinds_and_keys_in_plain_words(
    market_data: FindData,
) -> None:
    found = tickloop("hdb", "info", market_data("kdb/hdb"), "--json").json
    assert (found["partitioned_by"], found["partitions"]) == ("date", ["2015.01.07"])
    trade = next(table for table in found["tables"] if table["name"] == "trade")
    kinds = {column["name"]: column["kind"] for column in trade["columns"]}
    assert trade["rows"] == 196_519
    assert kinds["time"] == "instant"
    assert (kinds["sym"], kinds["price"], kinds["size"]) == ("symbol", "float", "int")


def test_a_folder_that_is_no_database_is_refused_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    source = tmp_path / "text"
    source.mkdir()
    (source / "readme.txt").write_text("no kdb+ here\n")
    tickloop("hdb", "info", source).refused("no tables there; expected sym, DATE/TABLE")
    done = tickloop("hdb", "import", source, "--data", tmp_path / "new")
    done.refused("no tables there; expected sym, DATE/TABLE")
    assert not (tmp_path / "new").exists()


def test_a_mounted_database_that_has_moved_is_named(tmp_path: Path) -> None:
    data = tmp_path / "old"
    data.mkdir()
    (data / "db.json").write_text(json.dumps({"database": str(tmp_path / "gone")}))
    tickloop("sql", "--data", data, "SELECT 1").refused(f"{tmp_path / 'gone'}")
    tickloop("hdb", "info", "--data", data).refused(f"{tmp_path / 'gone'}")
