"""`explain`: what a statement read and how, against what pandas counts in the same rows."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.capture import DOOR
from tests.command import good, tickloop
from tickloop.analytics.explain import Done, explain, is_sql
from tickloop.analytics.q.session import Session
from tickloop.analytics.trace import active, tracing
from tickloop.core.batch import Columns
from tickloop.core.errors import QueryError
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.hdb import write_partition

FIRST = date(2024, 3, 4)
DAYS, ROWS = 3, 200
DAY_NS = 86_400 * 10**9
NAMES = ("S0", "S1", "S2")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Make the rows of some days."""
    draw = np.random.default_rng(5)
    count = DAYS * ROWS
    day = np.repeat(np.arange(DAYS), ROWS)
    time = np.sort(draw.integers(0, DAY_NS // 4, count).reshape(DAYS, ROWS), axis=1).ravel()
    return pd.DataFrame(
        {"day": day, "time": time, "sym": draw.integers(0, len(NAMES), count),
         "price": np.round(draw.random(count) * 100, 2), "size": draw.integers(1, 500, count)}
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the days as a database."""
    where = tmp_path_factory.mktemp("explained") / "db"
    names = Symbols(list(NAMES))
    for number, found in rows.groupby("day"):
        day = FIRST + timedelta(days=int(str(number)))
        time = found["time"].to_numpy() + (day - date(2000, 1, 1)).days * DAY_NS
        empty = np.full(ROWS, -1, dtype=np.int32)
        columns: Columns = {
            "time": time, "sym": found["sym"].to_numpy().astype(np.int32),
            "price": found["price"].to_numpy(), "size": found["size"].to_numpy(),
            "side": np.full(ROWS, 66, dtype=np.uint8), "cond": empty, "ex": empty,
            "trade_id": np.arange(ROWS), "venue_time": time, "seq": np.arange(ROWS),
        }  # fmt: skip
        write_partition(where, day, TRADE, columns, names, door=DOOR)
    return where


def _named(steps: tuple[Done, ...], name: str) -> list[Done]:
    return [step for step in steps if step.name == name]


def test_filters_tell_how_they_were_answered_and_how_many_rows_they_left(
    root: Path, rows: pd.DataFrame
) -> None:
    text = "select price from trade where date within 2024.03.05 2024.03.06,sym=`S1,price>50"
    found = explain(root, text)
    wanted = rows[rows["day"] >= 1]
    of_symbol = wanted[wanted["sym"] == 1]
    left = of_symbol[of_symbol["price"] > 50]
    _, by_symbol, by_price = _named(found.steps, "filter")
    assert (by_symbol.rows_in, by_symbol.rows_out) == (len(wanted), len(of_symbol))
    assert by_symbol.how == "offsets of p# or s#"
    assert by_symbol.about == "sym=`S1"
    assert (by_price.rows_in, by_price.rows_out) == (len(of_symbol), len(left))
    assert by_price.how.startswith("evaluated")
    assert (by_price.about, by_price.times) == ("price>50", 2)
    assert found.rows == len(left)


def test_only_what_was_touched_is_said_to_be_read(root: Path) -> None:
    (read,) = explain(root, "select max price from trade where date=2024.03.05").reads
    assert (read.table, read.by) == ("trade", "date")
    assert (read.partitions, read.partitions_all, read.parts, read.parts_all) == (1, 3, 1, 3)
    assert (read.columns, read.columns_all) == (("price",), len(TRADE.names))
    (read,) = explain(root, "select size wavg price by sym from trade").reads
    assert (read.partitions, set(read.columns)) == (3, {"sym", "price", "size"})


def test_groups_and_joins_tell_their_algorithm(root: Path, rows: pd.DataFrame) -> None:
    found = explain(root, "select sum size by sym from trade where date=2024.03.04")
    groups = _named(found.steps, "group")
    assert groups[0].how.startswith("offsets of p# or s#")
    assert "one part that is left" in _named(found.steps, "query")[0].how
    found = explain(root, "select sum size by sym from trade")
    assert "each part aggregated" in _named(found.steps, "query")[0].how
    found = explain(root, "select sum price by size from trade")
    assert "codes" in _named(found.steps, "group")[0].how
    day = "select sym,time,price from trade where date=2024.03.04"
    found = explain(root, f"aj[`sym`time;{day};{day}]")
    (join,) = _named(found.steps, "as-of")
    assert (join.about, join.rows_in, join.rows_out) == ("sym, time", 2 * ROWS, ROWS)
    ticks = rows["time"].iloc[:50].tolist()
    table = "([]time:" + " ".join(map(str, ticks)) + ";v:til 50)"
    found = explain(root, f"select from (update `s#time from {table}) where time>{ticks[20]}")
    (bisected,) = _named(found.steps, "filter")
    assert bisected.how == "bisection"
    assert bisected.rows_out == sum(tick > ticks[20] for tick in ticks)


def test_a_list_is_sorted_by_digits_only_if_it_is_not_sorted_yet(root: Path) -> None:
    (sort,) = _named(explain(root, "iasc reverse 1000000*til 10000").steps, "sort")
    assert (sort.rows_in, sort.how) == (10_000, "radix sort by digits")
    (sort,) = _named(explain(root, "iasc `s#til 10000").steps, "sort")
    assert sort.how == "sorted already"


def test_sql_tells_its_pruned_parts_and_duckdb_s_plan(root: Path, rows: pd.DataFrame) -> None:
    text = "SELECT size, count(*) FROM trade WHERE date = '2024-03-05' AND sym = 'S2' GROUP BY size"
    found = explain(root, text)
    kept = rows[(rows["day"] == 1) & (rows["sym"] == 2)]
    assert found.language == "sql"
    assert found.rows == kept["size"].nunique()
    (read,) = found.reads
    assert (read.partitions, read.partitions_all) == (1, DAYS)
    assert "price" not in read.columns
    parts, *plan = found.steps
    assert (parts.name, parts.rows_in, parts.rows_out) == ("parts", DAYS * ROWS, len(kept))
    assert any("group" in step.name for step in plan)
    assert all(step.ms >= 0 for step in plan)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("select from trade", False), ("SELECT * FROM trade", True), ("s)select 1", True),
        ("with a as (select 1) select * from a", True), ("from trade", True), ("1+1", False),
        ("fromage:1", False), ("exec price from trade", False),
    ],
)  # fmt: skip
def test_the_language_is_told_by_its_first_word(text: str, sql: bool) -> None:
    assert is_sql(text) is sql


def test_nothing_is_kept_while_nobody_asks(root: Path) -> None:
    session = Session(database=root)
    with tracing() as trace:
        pass
    session.eval("select from trade where date=2024.03.04")
    assert active() is None
    assert not trace.root.steps


def test_a_statement_that_fails_leaves_no_trace_and_says_why(root: Path) -> None:
    with pytest.raises(QueryError, match="nothing_here"):
        explain(root, "select nothing_here from trade")
    with pytest.raises(QueryError, match="Parser Error"):
        explain(root, "EXPLAIN SELECT 1")
    assert active() is None


def test_the_command_prints_a_table_or_json(root: Path) -> None:
    text = "select max price by sym from trade where date=2024.03.05"
    shown = good("explain", "--data", root, text).out
    assert "q: 3 rows in " in shown
    assert "reads trade: 1 of 3 dates, 1 of 3 parts, 2 of 10 columns" in shown
    found = good("explain", "--data", root, "--json", text).json
    assert found["language"] == "q"
    assert {step["name"] for step in found["steps"]} >= {"query", "filter", "group", "aggregate"}
    assert good("explain", "--sql", "--data", root, "--json", "select 1").json["language"] == "sql"
    tickloop("explain", "--data", root, "1+`a").refused("type")


def test_sql_that_needs_no_duckdb_says_so(root: Path, rows: pd.DataFrame) -> None:
    where = "FROM trade WHERE date = '2024-03-05' AND sym = 'S2'"
    kept = rows[(rows["day"] == 1) & (rows["sym"] == 2)]
    found = explain(root, f"SELECT price, size {where} ORDER BY seq")
    (read,) = found.reads
    assert (read.partitions, read.partitions_all) == (1, DAYS)
    parts, answer, sort = found.steps
    assert (parts.name, parts.rows_in, parts.rows_out) == ("parts", DAYS * ROWS, len(kept))
    assert (answer.name, answer.how) == ("answer", "mapped columns, without DuckDB")
    assert (found.rows, answer.rows_out, sort.name) == (len(kept), len(kept), "sort")
    names = [step.name for step in explain(root, f"SELECT max(price), count(*) {where}").steps]
    assert names == ["parts", "answer", "aggregate"]
