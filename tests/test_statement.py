"""What a statement reads: never less than it needs, and not much more where it is simple."""

import json
from datetime import date

import duckdb
import pytest

from tickloop.analytics.pruning import Dates, Filter
from tickloop.analytics.statement import Reading, reading

SECOND, THIRD = date(2024, 1, 2), date(2024, 1, 3)
ALL = Filter()


def read(text: str) -> Reading:
    connection = duckdb.connect(":memory:")
    try:
        found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
        return reading(json.loads(found[0][0]))
    finally:
        connection.close()


def on(day: date, *symbols: str) -> Filter:
    return Filter(Dates(day, day, frozenset({day})), frozenset(symbols) if symbols else None)


def of(*symbols: str) -> Filter:
    return Filter(symbols=frozenset(symbols))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("date = '2024-01-02'", on(SECOND)),
        ("'2024-01-02' = date", on(SECOND)),
        ("date = DATE '2024-01-02'", on(SECOND)),
        ("date = '2024-01-02'::DATE AND sym = 'A'", on(SECOND, "A")),
        ("sym IN ('A', 'B') AND price > 3", of("A", "B")),
        ("sym IN ('A', 'B') AND sym = 'B'", of("B")),
        ("date >= '2024-01-02'", Filter(Dates(first=SECOND))),
        ("'2024-01-02' < date", Filter(Dates(first=SECOND))),
        ("date <= '2024-01-03' AND date > '2024-01-02'", Filter(Dates(SECOND, THIRD))),
        ("date BETWEEN '2024-01-02' AND '2024-01-03'", Filter(Dates(SECOND, THIRD))),
        ("date IN ('2024-01-03')", on(THIRD)),
        ("date = '2024-01-02' OR sym = 'A'", ALL),
        ("NOT (date = '2024-01-02')", ALL),
        ("date <> '2024-01-02'", ALL),
        ("date NOT IN ('2024-01-02')", ALL),
        ("sym NOT IN ('A')", ALL),
        ("sym = 'a' COLLATE NOCASE", ALL),
        ("sym > 'A'", ALL),
        ("sym IN (SELECT sym FROM trade)", ALL),
        ("upper(sym) = 'A'", ALL),
        ("date = current_date", ALL),
        ("date = '2 January 2024'", ALL),
        ("sym = NULL", ALL),
    ],
)
def test_a_where_clause_narrows_what_is_read(where: str, expected: Filter) -> None:
    assert read(f"SELECT price FROM trade WHERE {where}").filters == {"trade": expected}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM trade t JOIN quote q ON t.sym = q.sym WHERE t.sym = 'A'", (of("A"), of("A"))),
        ("FROM trade t JOIN quote q USING (sym) WHERE sym = 'A'", (of("A"), of("A"))),
        ("FROM trade t LEFT JOIN quote q ON t.sym = q.sym WHERE t.sym = 'A'", (of("A"), of("A"))),
        ("FROM trade t RIGHT JOIN quote q ON t.sym = q.sym WHERE t.sym = 'A'", (of("A"), ALL)),
        ("FROM trade t JOIN quote q ON t.seq = q.seq WHERE t.sym = 'A'", (of("A"), ALL)),
        ("FROM trade t ASOF JOIN quote q USING (sym, time) WHERE sym = 'A'", (of("A"), of("A"))),
        ("FROM trade t ASOF JOIN quote q ON t.time >= q.time WHERE q.sym = 'A'", (ALL, ALL)),
        (
            "FROM trade t ASOF JOIN quote q ON q.sym = t.sym AND t.time >= q.time"
            " WHERE t.sym = 'A' AND t.date = '2024-01-02'",
            (on(SECOND, "A"), of("A")),
        ),
        ("FROM trade t POSITIONAL JOIN quote q WHERE t.sym = 'A'", (ALL, ALL)),
        ("FROM trade t, quote q WHERE t.sym = 'A' AND q.date = '2024-01-02'",
         (of("A"), on(SECOND))),
        ("FROM trade t TABLESAMPLE 10%, quote q WHERE t.sym = 'A'", (ALL, ALL)),
        ("FROM trade, quote WHERE trade.sym = 'A'", (of("A"), ALL)),
        (
            "FROM trade t JOIN (clock c ASOF JOIN quote q ON c.time >= q.time) ON t.sym = q.sym"
            " WHERE t.sym = 'A'",
            (of("A"), ALL),
        ),
        ("FROM trade t JOIN quote q(a, sym) ON t.sym = q.sym WHERE t.sym = 'A'", (of("A"), ALL)),
        ("FROM trade t ANTI JOIN quote q ON t.seq = q.seq WHERE q.sym = 'A'", (ALL, ALL)),
        ("FROM clock c ASOF JOIN (trade t JOIN quote q USING (sym)) ON c.time >= t.time"
         " WHERE t.sym = 'A'", (ALL, ALL)),
    ],
)  # fmt: skip
def test_joins_narrow_only_where_rows_cannot_change(
    text: str, expected: tuple[Filter, Filter]
) -> None:
    found = read(f"SELECT 1 {text}").filters
    assert (found["trade"], found["quote"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM trade WHERE sym = 'A' UNION FROM trade WHERE sym = 'B'", of("A", "B")),
        ("SELECT 1 FROM trade WHERE sym = 'A' AND seq > (SELECT max(seq) FROM trade)", ALL),
        ("WITH x AS (SELECT * FROM trade WHERE sym = 'A') SELECT * FROM x", of("A")),
        ("WITH trade AS (SELECT * FROM trade WHERE sym = 'A') SELECT * FROM trade", ALL),
        ("SELECT (SELECT max(price) FROM trade WHERE sym = 'A')", of("A")),
        ("DESCRIBE SELECT * FROM trade WHERE sym = 'A'", of("A")),
        ("DESCRIBE trade", ALL),
        ("SHOW trade", ALL),
    ],
)  # fmt: skip
def test_every_mention_of_a_table_counts(text: str, expected: Filter) -> None:
    assert read(text).filters["trade"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT price, t.size FROM trade t WHERE Sym = 'A'", {"price", "size", "sym", "t"}),
        ("SELECT count(*) FROM trade", set()),
        ("SELECT 1 FROM trade JOIN quote USING (sym)", {"sym"}),
        ("SELECT * FROM trade", None),
        ("SELECT trade FROM trade", None),
        ("SELECT x FROM trade AS t(x)", None),
        ("SELECT 1 FROM trade NATURAL JOIN quote", None),
        ("SELECT #1 FROM trade", None),
    ],
)
def test_only_named_columns_are_read(text: str, expected: set[str] | None) -> None:
    assert read(text).columns == expected
