"""SQL over today's rows and history alike: nulls are NULL, and nothing else is in reach."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture import CATALOG, DOOR, NAMES, START, STEP_NS, Capture, Told, batches, told
from tickloop.analytics.sql import SqlSession
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import EPOCH_UNIX_NS, to_datetime
from tickloop.core.dialects.numpy import NULL_SYMBOL, surface_dtype
from tickloop.core.errors import QueryError
from tickloop.core.schema import Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import flush
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.kdb_names import extend_names
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.rdb import Rdb

FIRST = date(2024, 1, 2)
ROWS = 3000


def _nowhere(root: Path) -> None:
    """Leave every row with today's."""


def _chunks(root: Path) -> None:
    flush.flush(root, DOOR, watermark=ROWS - 1)


def _mixed(root: Path) -> None:
    flush.flush(root, DOOR, watermark=1600)
    flush.finish(root, DOOR, FIRST)
    flush.flush(root, DOOR, watermark=2000)


def _history(root: Path) -> None:
    flush.flush(root, DOOR, watermark=ROWS - 1)
    for day in (2, 3, 4):
        flush.finish(root, DOOR, date(2024, 1, day))


PLACES = [_nowhere, _chunks, _mixed, _history]


@pytest.fixture(scope="module", params=PLACES, ids=lambda f: f.__name__)
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlSession]:
    root = tmp_path_factory.mktemp("data")
    capture = Capture(root)
    capture.add(ROWS)
    request.param(root)
    session = SqlSession(Database(root), threads=2)
    yield session
    session.close()


def trades() -> list[Told]:
    return [row for row in map(told, range(ROWS)) if row.table == "trade"]


def rows(session: SqlSession, text: str) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in session.query(text).columns), strict=True))


def test_counts_and_sums_leave_nulls_out(session: SqlSession) -> None:
    prices = [row.detail for row in trades() if isinstance(row.detail, float)]
    found = rows(session, "SELECT count(*), count(price), sum(price), count(size) FROM trade")
    assert found == [(len(trades()), len(prices), math.fsum(prices), 0)]


def test_a_null_symbol_is_null_and_never_the_first_one(session: SqlSession) -> None:
    expected = {name: sum(row.sym == name for row in trades()) for name in ("", *NAMES)}
    found = dict(rows(session, "SELECT coalesce(sym, ''), count(*) FROM trade GROUP BY ALL"))
    assert found == expected
    assert rows(session, "SELECT count(*) FROM trade WHERE sym IS NULL") == [(expected[""],)]


def test_dates_are_session_dates_everywhere(session: SqlSession) -> None:
    found = rows(session, "SELECT date, count(*) FROM trade GROUP BY date ORDER BY date")
    assert found == [(date(2024, 1, 2), 720), (date(2024, 1, 3), 720), (date(2024, 1, 4), 60)]


def test_time_is_utc_to_the_nanosecond(session: SqlSession) -> None:
    result = session.query("SELECT min(time) AS first, max(time) AS last FROM trade")
    assert [str(field.type) for field in result.schema] == ["timestamp[ns, tz=UTC]"] * 2
    nanoseconds = [column[0].value for column in result.columns]
    last = max(row.time for row in trades())
    assert nanoseconds == [START + EPOCH_UNIX_NS, last + EPOCH_UNIX_NS]


def test_text_comes_through(session: SqlSession) -> None:
    found = rows(session, "SELECT body FROM note WHERE seq < 12 ORDER BY seq")
    assert found == [("note 3",), ("note 7",), ("note 11",)]


def test_average_price_by_symbol_and_day(session: SqlSession) -> None:
    text = "SELECT sym, date, avg(price) FROM trade GROUP BY ALL"
    expected: dict[tuple[str | None, date], list[float]] = {}
    for row in trades():
        if isinstance(row.detail, float):
            expected.setdefault((row.sym or None, row.session), []).append(row.detail)
    found = {(sym, day): value for sym, day, value in rows(session, text)}
    for key, values in expected.items():
        assert found[key] == pytest.approx(math.fsum(values) / len(values))


def test_bars_by_time_bucket(session: SqlSession) -> None:
    text = """
        SELECT time_bucket(INTERVAL '15 minutes', time) AS bucket,
               arg_min(price, seq) AS open, max(price) AS high, count(*) AS rows
        FROM trade WHERE sym = 'BBB' AND date = '2024-01-03' GROUP BY ALL ORDER BY ALL
    """
    expected: dict[datetime, list[Told]] = {}
    for row in trades():
        if row.sym == "BBB" and row.session == date(2024, 1, 3):
            at = to_datetime(row.time)
            bucket = at.replace(minute=at.minute // 15 * 15)
            expected.setdefault(bucket, []).append(row)
    found = rows(session, text)
    assert [row[0] for row in found] == sorted(expected)
    for bucket, opening, high, count in found:
        priced = [
            (row.seq, row.detail) for row in expected[bucket] if isinstance(row.detail, float)
        ]
        assert count == len(expected[bucket])
        assert opening == (min(priced)[1] if priced else None)
        assert high == max((price for _, price in priced), default=None)


@pytest.mark.parametrize(
    "where", ["true", "t.date = '2024-01-03'", "t.sym IN ('AAA', 'CCC')", "t.sym = 'none'"]
)
@pytest.mark.parametrize("on", ["USING (sym, time)", "ON t.sym = q.sym AND t.time >= q.time"])
def test_as_of_join_finds_the_last_quote(session: SqlSession, on: str, where: str) -> None:
    text = f"""
        SELECT t.seq, q.seq FROM trade t ASOF LEFT JOIN quote q {on}
        WHERE t.sym IS NOT NULL AND {where} ORDER BY t.seq
    """
    keep: dict[str, Callable[[Told], bool]] = {
        "true": lambda _: True,
        "t.date = '2024-01-03'": lambda row: row.session == date(2024, 1, 3),
        "t.sym IN ('AAA', 'CCC')": lambda row: row.sym in ("AAA", "CCC"),
        "t.sym = 'none'": lambda _: False,
    }
    expected = []
    last: dict[str, int] = {}
    for row in map(told, range(ROWS)):
        if row.table == "quote":
            last[row.sym] = row.seq
        elif row.table == "trade" and row.sym and keep[where](row):
            expected.append((row.seq, last.get(row.sym)))
    assert rows(session, text) == expected


column = st.sampled_from(["date", "sym", "t.date", "t.sym"])
days = st.sampled_from(["'2024-01-02'", "DATE '2024-01-03'", "'2024-01-09'", "'2024-1-2'"])
syms = st.sampled_from(["'AAA'", "'CCC'", "'zzz'", "''"])
comparisons = st.sampled_from(["=", "<", "<=", ">", ">=", "<>"])
terms = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["date", "t.date"]), comparisons, days),
    st.builds("{1} {0} t.date".format, comparisons, days),
    st.builds("date BETWEEN {} AND {}".format, days, days),
    st.builds("date NOT BETWEEN {} AND {}".format, days, days),
    st.builds("t.date IN ({}, {})".format, days, days),
    st.builds("sym {} {}".format, comparisons, syms),
    st.builds("sym IN ({}, {})".format, syms, syms),
    st.builds("t.sym NOT IN ({}, {})".format, syms, syms),
    st.just("sym IS NULL"),
    st.just("seq % 3 = 0"),
)
conditions = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("(NOT {})".format, inner),
    ),
    max_leaves=5,
)


@given(condition=conditions)
def test_reading_less_changes_no_answer(session: SqlSession, condition: str) -> None:
    pruned = f"SELECT count(*), sum(t.seq) FROM trade t WHERE {condition}"
    # Filters of an outer SELECT are not looked into, so here every row is read.
    whole = f"SELECT count(*), sum(t.seq) FROM (SELECT * FROM trade) t WHERE {condition}"
    assert rows(session, pruned) == rows(session, whole)


@pytest.mark.parametrize(
    "join",
    [
        "trade t JOIN quote q ON t.sym = q.sym AND t.date = q.date",
        "trade t LEFT JOIN quote q ON t.sym = q.sym AND t.seq + 1 = q.seq",
        "trade t RIGHT JOIN quote q ON t.sym = q.sym AND t.seq + 1 = q.seq",
        "trade t FULL JOIN quote q ON t.sym = q.sym AND t.seq + 1 = q.seq",
        "trade t ASOF JOIN quote q ON t.time >= q.time",
        "trade t ASOF LEFT JOIN quote q ON t.date = q.date AND t.time >= q.time",
        "trade t CROSS JOIN (SELECT * FROM quote WHERE sym = 'BBB' LIMIT 3) q",
    ],
)
@pytest.mark.parametrize(
    "where", ["t.sym = 'AAA'", "q.sym = 'AAA'", "t.date = '2024-01-02' AND q.sym IN ('BBB')"]
)
def test_reading_less_changes_no_join(session: SqlSession, join: str, where: str) -> None:
    columns = "t.seq AS a, q.seq AS b, t.sym AS s, q.sym AS r, t.date AS d"
    everything = f"(SELECT {columns} FROM {join})"
    for_outer = where.replace("t.sym", "s").replace("q.sym", "r").replace("t.date", "d")
    pruned = rows(session, f"SELECT count(*), sum(t.seq), sum(q.seq) FROM {join} WHERE {where}")
    whole = rows(session, f"SELECT count(*), sum(a), sum(b) FROM {everything} WHERE {for_outer}")
    assert pruned == whole


def test_names_in_common_table_expressions_hide_tables(session: SqlSession) -> None:
    text = "WITH trade AS (SELECT * FROM trade WHERE sym = 'AAA') SELECT count(*) FROM trade"
    assert rows(session, text) == [(sum(row.sym == "AAA" for row in trades()),)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT t FROM trade t LIMIT 1",
        "SELECT #4 FROM trade LIMIT 1",
        "SELECT COLUMNS('.*id') FROM trade LIMIT 1",
        "SELECT count(*) FROM trade NATURAL JOIN quote",
        "FROM trade LIMIT 1",
        "TABLE clock",
        "SUMMARIZE trade",
        "FROM trade PIVOT (count(*) FOR sym IN ('AAA', 'BBB') GROUP BY date)",
        "SELECT a, b FROM trade AS t(a, b) LIMIT 1",
        "EXPLAIN SELECT price FROM trade",
        "EXPLAIN ANALYZE SELECT price FROM trade",
        "VALUES (1)",
        "SELECT Price FROM Trade WHERE SYM = 'AAA' LIMIT 1",
        "SELECT * FROM trade t, LATERAL (SELECT count(*) FROM quote WHERE sym = t.sym) LIMIT 1",
        "SELECT * FROM trade WHERE seq IN (SELECT max(seq) FROM trade)",
        "SELECT count(*) FROM trade TABLESAMPLE 50%",
        "SELECT count(*) FROM trade USING SAMPLE 10 ROWS",
        "SELECT seq, row_number() OVER (PARTITION BY sym ORDER BY time) FROM trade QUALIFY seq < 9",
        "SELECT sym, sum(size) FROM trade GROUP BY GROUPING SETS ((sym), ()) HAVING count(*) > 1",
        "SELECT list_transform([1, 2], lambda x: x + 1), {'a': 1}.a, [1, 2][1]",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r",
        "SELECT * EXCLUDE (seq) REPLACE (1 AS price) FROM trade LIMIT 1",
        "FROM (UNPIVOT (SELECT price, size::DOUBLE AS s FROM trade) ON price, s) LIMIT 1",
        "SELECT seq FROM trade UNION ALL SELECT seq FROM quote ORDER BY seq LIMIT 1",
    ],
)
def test_statements_of_many_shapes_run(session: SqlSession, text: str) -> None:
    assert session.query(text).num_columns > 0


def test_tables_can_be_listed_and_described(session: SqlSession) -> None:
    assert ("trade",) in rows(session, "SHOW TABLES")
    described = rows(session, "DESCRIBE trade")
    assert ("time", "TIMESTAMP_NS") in [row[:2] for row in described]
    assert ("date", "DATE") in [row[:2] for row in described]
    found = rows(session, "SELECT table_name FROM information_schema.tables ORDER BY ALL")
    assert [name for (name,) in found] == sorted(table.name for table in CATALOG)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE x (a INT)", "INSERT INTO trade VALUES (1)", "DROP VIEW trade",
        "COPY trade TO '/tmp/never.csv'", "COPY trade FROM '/etc/passwd'",
        "SET threads = 1", "RESET threads", "PRAGMA database_list", "ATTACH '/tmp/never.db'",
        "INSTALL httpfs", "LOAD json", "CALL pragma_version()", "CHECKPOINT", "BEGIN",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", "EXPLAIN COPY trade TO '/tmp/never.csv'",
        "EXPORT DATABASE '/tmp/never'", "USE memory", "VACUUM", "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2", "", ";",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'", "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('trade')",
        "SELECT * FROM json_execute_serialized_sql('{}')", "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM pandas_scan(1)", "SELECT * FROM enable_logging()",
        "SELECT * FROM duckdb_secrets()", "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM rows", "SELECT * FROM session", "SELECT getenv('HOME')",
        "SELECT * FROM (SELECT * FROM (SELECT * FROM read_blob('/etc/passwd')))",
        "WITH a AS (SELECT * FROM glob('/*')) SELECT * FROM a",
        "DESCRIBE SELECT * FROM read_csv('/etc/passwd')", "SUMMARIZE '/etc/passwd.csv'",
    ],
)  # fmt: skip
def test_nothing_is_written_and_nothing_else_is_read(session: SqlSession, text: str) -> None:
    with pytest.raises(QueryError):
        session.query(text)
    assert rows(session, "SELECT 1") == [(1,)]


def test_an_error_says_what_there_is(session: SqlSession) -> None:
    with pytest.raises(QueryError, match=r"(?s)trad does not exist.*Tables: .*quote.*trade"):
        session.query("SELECT * FROM trad")
    with pytest.raises(QueryError, match=r"(?s)prise.*trade has: date, time, sym, price"):
        session.query("SELECT prise FROM trade")
    with pytest.raises(QueryError, match="syntax error"):
        session.query("SELEC 1")


def test_the_empty_name_of_a_symbol_file_is_null(tmp_path: Path) -> None:
    DataDirectory(tmp_path).create()
    (tmp_path / "db" / "sym").write_bytes(b"\xff\x01\x0b\0\0\0\0\0AAA\0\0b\xffd\0")
    rdb = Rdb(tmp_path / "rdb" / "1", CATALOG)
    flush.adopt(tmp_path, DOOR, Manifest(CATALOG, rdb="rdb/1"))
    given_rows = next(iter(batches([0, 2, 4])))
    rdb.append(Batch(given_rows.table, {**given_rows.columns, "sym": np.array([0, 1, 2], "i4")}))
    rdb.publish(4)
    session = SqlSession(Database(tmp_path))
    assert rows(session, "SELECT sym FROM trade ORDER BY seq") == [("AAA",), (None,), ("b?d",)]
    assert rows(session, "SELECT count(sym), count(DISTINCT sym) FROM trade") == [(2, 2)]
    assert rows(session, "SELECT seq FROM trade WHERE sym IS NULL") == [(2,)]
    assert sorted(rows(session, "SELECT sym, count(*) FROM trade GROUP BY sym"), key=str) == [
        ("AAA", 1), ("b?d", 1), (None, 1),
    ]  # fmt: skip


def test_a_query_that_needs_too_much_memory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="4GB expected"):
        SqlSession(Database(tmp_path), memory="1'; SET threads = 3")
    session = SqlSession(Database(tmp_path), memory="30MB", threads=1)
    with pytest.raises(QueryError, match="Out of Memory"):
        session.query("SELECT list(i) FROM range(20_000_000) t(i)")
    assert rows(session, "SELECT 1") == [(1,)]


def test_an_interrupted_query_ends(tmp_path: Path) -> None:
    session = SqlSession(Database(tmp_path))
    timer = threading.Timer(0.3, session.interrupt)
    timer.start()
    with pytest.raises(QueryError, match=r"(?i)interrupt"):
        session.query("SELECT count(*) FROM range(100_000_000_000) a, range(1000) b")
    timer.join()
    assert rows(session, "SELECT 1") == [(1,)]


def test_vwap_of_a_real_kdb_day(market_data: Callable[[str], Path]) -> None:
    database = Database(market_data("kdb/hdb"))
    (part,) = database.snapshot().parts("trade", columns=["sym", "price", "size"])
    notional: dict[str, list[float]] = {}
    volume: dict[str, int] = {}
    columns = [np.asarray(part.columns[name]).tolist() for name in ("sym", "price", "size")]
    for symbol_id, price, size in zip(*columns, strict=True):
        name = part.names_of("sym")[symbol_id]
        notional.setdefault(name, []).append(price * size)
        volume[name] = volume.get(name, 0) + size
    text = (
        "SELECT sym, sum(price * size) / sum(size) FROM trade WHERE date = '2015-01-07' GROUP BY 1"
    )
    found = dict(rows(SqlSession(database), text))
    assert found.keys() == volume.keys()
    for name, value in found.items():
        assert value == pytest.approx(math.fsum(notional[name]) / volume[name])
    one = rows(SqlSession(database), "SELECT sum(size) FROM trade WHERE sym = 'IBM'")
    assert one == [(volume["IBM"],)]


def test_a_session_beside_a_live_writer_sees_new_rows(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    session = SqlSession(Database(tmp_path))
    for count in range(8, 80, 8):
        capture.add(8)
        assert rows(session, "SELECT count(*) FROM trade") == [(count // 2,)]
    session.close()


# Every kind


def _guid(text: str) -> bytes:
    return UUID(text).bytes


_INT_MAX, _LONG_MAX = 2**31 - 1, 2**63 - 1
_CODE = "00010203-0405-0607-0809-0a0b0c0d0e0f"
# By kind: stored values (a value, null, then infinities or limits) and what SQL shows.
VALUES: dict[Kind, tuple[list[object], list[object]]] = {
    Kind.INSTANT: (
        [0, -(2**63), _LONG_MAX, -_LONG_MAX, 1],
        ["2000-01-01 00:00:00", None, "infinity", "-infinity", "2000-01-01 00:00:00.000000001"],
    ),
    Kind.SPAN: ([5, -(2**63), _LONG_MAX], ["5", None, str(_LONG_MAX)]),
    Kind.SYMBOL: ([1, NULL_SYMBOL, 0, -1, 2], ["BBB", None, "AAA", None, "CCC"]),
    Kind.PRICE: ([1.5, math.nan, math.inf, -math.inf], ["1.5", None, "inf", "-inf"]),
    Kind.SIZE: ([7, -(2**63), _LONG_MAX], ["7", None, str(_LONG_MAX)]),
    Kind.FLOAT: ([1.5, math.nan, math.inf, -math.inf], ["1.5", None, "inf", "-inf"]),
    Kind.REAL: ([1.5, math.nan, math.inf, -math.inf], ["1.5", None, "inf", "-inf"]),
    Kind.LONG: (
        [7, -(2**63), _LONG_MAX, -_LONG_MAX],
        ["7", None, *map(str, (_LONG_MAX, -_LONG_MAX))],
    ),
    Kind.INT: ([7, -(2**31), _INT_MAX], ["7", None, str(_INT_MAX)]),
    Kind.SHORT: ([7, -(2**15), 32767], ["7", None, "32767"]),
    Kind.BYTE: ([7, 0, 255], ["7", "0", "255"]),
    Kind.FLAG: ([1, 0], ["true", "false"]),
    Kind.CHAR: ([66, 32, 83], ["B", None, "S"]),
    Kind.GUID: ([_guid(_CODE), bytes(16)], [_CODE, None]),
    Kind.DATE: (
        [1, -(2**31), _INT_MAX, -_INT_MAX, -1],
        ["2000-01-02", None, "infinity", "-infinity", "1999-12-31"],
    ),
    Kind.MONTH: (
        [1, -(2**31), _INT_MAX, -_INT_MAX, -1],
        ["2000-02-01", None, "infinity", "-infinity", "1999-12-01"],
    ),
    Kind.DATETIME: (
        [0.5, math.nan, math.inf, -math.inf],
        ["2000-01-01 12:00:00", None, "infinity", "-infinity"],
    ),
    Kind.MINUTE: ([61, -(2**31), _INT_MAX, 1440], ["01:01:00", None, None, None]),
    Kind.SECOND: ([61, -(2**31), _INT_MAX, 86_400], ["00:01:01", None, None, None]),
    Kind.MILLI: ([61, -(2**31), _INT_MAX, 86_400_000], ["00:00:00.061", None, None, None]),
    Kind.TEXT: ([b"x", b"", b"caf\xc3\xa9", b"\xff\xfe"], ["x", "", "café", "\ufffd\ufffd"]),
}
EVERY = Table(
    "every",
    (
        Column("time", Kind.INSTANT),
        Column("sym", Kind.SYMBOL),
        *(Column(f"c_{kind.value}", kind) for kind in Kind),
        Column("seq", Kind.LONG),
    ),
)
EVERY_ROWS = 5


def _every_column(kind: Kind) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    stored = (VALUES[kind][0] * EVERY_ROWS)[:EVERY_ROWS]
    if kind is Kind.GUID:
        return np.frombuffer(b"".join(bytes(value) for value in stored), dtype="V16")  # type: ignore[call-overload]
    return np.array(stored, dtype=surface_dtype(kind))


@pytest.fixture(scope="module", params=["today", "history"])
def every(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlSession]:
    root = tmp_path_factory.mktemp("every")
    catalog = Catalog().with_user_tables([EVERY])
    DataDirectory(root).create()
    extend_names(root / "db" / "sym", Symbols(NAMES))
    rdb = Rdb(root / "rdb" / "1", catalog)
    flush.adopt(root, DOOR, Manifest(catalog, rdb="rdb/1"))
    columns = {f"c_{kind.value}": _every_column(kind) for kind in Kind}
    columns["time"] = START + np.arange(EVERY_ROWS) * STEP_NS
    columns["sym"] = np.full(EVERY_ROWS, NULL_SYMBOL, dtype=np.int32)
    columns["seq"] = np.arange(EVERY_ROWS)
    rdb.append(Batch(EVERY, columns))
    rdb.publish(EVERY_ROWS - 1)
    if request.param == "history":
        flush.flush(root, DOOR, watermark=EVERY_ROWS - 1)
        flush.finish(root, DOOR, FIRST)
    session = SqlSession(Database(root))
    yield session
    session.close()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_null_and_its_limits(every: SqlSession, kind: Kind) -> None:
    found = rows(every, f"SELECT c_{kind.value}::VARCHAR FROM every ORDER BY seq")
    shown = (VALUES[kind][1] * EVERY_ROWS)[:EVERY_ROWS]
    assert [value for (value,) in found] == shown


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_counts_its_nulls(every: SqlSession, kind: Kind) -> None:
    shown = (VALUES[kind][1] * EVERY_ROWS)[:EVERY_ROWS]
    ((nulls,),) = rows(every, f"SELECT count(*) - count(c_{kind.value}) FROM every")
    assert nulls == shown.count(None)


def test_a_symbol_id_without_a_name_is_null(tmp_path: Path) -> None:
    rows_of_one = next(iter(batches([0])))
    rdb = Rdb(tmp_path / "rdb" / "1", CATALOG)
    flush.adopt(tmp_path, DOOR, Manifest(CATALOG, rdb="rdb/1"))
    rdb.append(Batch(rows_of_one.table, {**rows_of_one.columns, "sym": np.array([77], "i4")}))
    rdb.publish(0)
    assert rows(SqlSession(Database(tmp_path)), "SELECT sym FROM trade") == [(None,)]


def test_a_sum_of_longs_leaves_the_null_out(every: SqlSession) -> None:
    expected = 7 + (2**63 - 1) - (2**63 - 1) + 7
    assert rows(every, "SELECT sum(c_long) FROM every") == [(expected,)]


def test_times_of_day_are_times(every: SqlSession) -> None:
    assert rows(every, "SELECT c_minute FROM every WHERE seq = 0") == [(time(1, 1),)]


def test_the_machines_own_zone_changes_nothing(tmp_path: Path) -> None:
    Capture(tmp_path).add(8)
    program = (
        "import sys; from pathlib import Path; from tickloop.analytics.sql import SqlSession;"
        "from tickloop.tickerplant.database import Database; session = SqlSession(Database(Path("
        "sys.argv[1]))); print(session.query(\"SELECT current_setting('TimeZone') AS zone,"
        ' min(time)::TIMESTAMPTZ::VARCHAR AS first FROM trade").to_pylist()); session.close()'
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "TZ": "America/New_York"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[{'zone': 'UTC', 'first': '2024-01-02 00:00:00+00'}]"


def test_a_statement_streams_its_rows_and_knows_its_columns_before(session: SqlSession) -> None:
    answer = session.start("SELECT seq, price FROM trade ORDER BY seq")
    assert answer.columns == (("seq", "BIGINT"), ("price", "DOUBLE"))
    seqs = [seq for batch in answer.batches(100) for seq in batch.column(0).to_pylist()]
    answer.close()
    assert seqs == [row.seq for row in trades()]


def test_a_statement_that_is_interrupted_midway_ends_in_words(session: SqlSession) -> None:
    answer = session.start("SELECT * FROM range(100000000)")
    batches = answer.batches(1000)
    next(batches)
    answer.interrupt()
    with pytest.raises(QueryError, match=r"(?i)interrupt"):
        for _ in batches:
            pass
    answer.close()
