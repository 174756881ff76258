"""Simple SELECTs without DuckDB: the same rows, types and names as DuckDB gives."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture import DOOR, NAMES, START, STEP_NS, Capture
from tickloop.analytics.direct.answer import DirectAnswer
from tickloop.analytics.direct.shape import Constant
from tickloop.analytics.sql import SqlSession
from tickloop.analytics.views import Spelling, as_duckdb, as_postgres
from tickloop.core.batch import Batch
from tickloop.core.clock import to_datetime
from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.errors import QueryError
from tickloop.core.schema import TRADE
from tickloop.tickerplant import flush
from tickloop.tickerplant.database import Database

ROWS = 1200
_DAY_ROWS = 300
_INSTANTS = ("time", "venue_time")
_NUMBERS = ("price",)
_WHOLE = ("size", "trade_id", "seq")
_COLUMNS = ("time", "sym", "price", "size", "side", "cond", "ex", "trade_id", "venue_time", "seq")


def _batch(first: int, rows: int, draw: np.random.Generator) -> Batch:
    """Make trades with nulls and infinities in every column that may have them."""
    seq = np.arange(first, first + rows)
    time = START + seq * (86_400 * 10**9 // _DAY_ROWS)
    whole = draw.integers(-5, 6, rows)
    venue_time = time - draw.integers(0, 2000, rows)
    odd = draw.integers(0, 12, rows)
    venue_time[odd == 0] = NULL_LONG
    venue_time[odd == 1] = 2**63 - 1
    venue_time[odd == 2] = -(2**63) + 1
    price = np.round(draw.random(rows) * 8, 1)
    price[odd == 3] = np.nan
    price[odd == 4] = np.inf
    price[odd == 5] = -0.0
    names = np.array([0, 1, 2, NULL_SYMBOL], dtype=np.int32)
    return Batch(
        TRADE,
        {
            "time": time, "sym": draw.choice(names, rows), "price": price,
            "size": np.where(odd == 6, NULL_LONG, whole),
            "side": draw.choice(np.frombuffer(b"BS ", dtype=np.uint8), rows),
            "cond": draw.choice(names, rows), "ex": draw.choice(names, rows),
            "trade_id": np.where(odd == 7, 2**63 - 1, whole * 10**12), "venue_time": venue_time,
            "seq": seq,
        },
    )  # fmt: skip


def _captured(root: Path) -> Capture:
    """Make three dates of history, a chunk, and live rows after them."""
    capture = Capture(root)
    draw = np.random.default_rng(7)
    capture.rdb.append(_batch(0, ROWS, draw))
    capture.rdb.publish(ROWS - 1)
    flush.flush(root, DOOR, watermark=ROWS - 200)
    for session in sorted({chunk.session for chunk in Database(root).snapshot().chunks})[:2]:
        flush.finish(root, DOOR, session)
    return capture


@pytest.fixture(scope="module", params=[as_duckdb, as_postgres], ids=lambda f: f.__name__)
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlSession]:
    """Open a database of history, a chunk and live rows, in both spellings of its columns."""
    root = tmp_path_factory.mktemp("direct")
    _captured(root)
    made = SqlSession(Database(root), threads=2, spelling=request.param)
    yield made
    made.close()


def _direct(session: SqlSession, text: str, values: tuple[Constant, ...] = ()) -> pa.Table | None:
    answer = session.start(text, values, spelled=lambda: text)
    try:
        return answer.table() if isinstance(answer, DirectAnswer) else None
    finally:
        answer.close()


def _by_duckdb(session: SqlSession, text: str) -> pa.Table:
    answer = session.start(text, direct=False)
    try:
        return answer.table()
    finally:
        answer.close()


def _cells(table: pa.Table) -> list[tuple[Any, ...]]:
    """Give rows with instants as numbers, so that infinite ones compare as well."""
    columns = []
    for column in table.columns:
        is_instant = pa.types.is_timestamp(column.type)
        columns.append((column.cast(pa.int64()) if is_instant else column).to_pylist())
    return list(zip(*columns, strict=True))


def _rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        f"{cell:.9g}" if isinstance(cell, float) and math.isfinite(cell) else repr(cell)
        for cell in row
    )


def _day_text(row: int) -> str:
    return to_datetime(START + row * (86_400 * 10**9 // _DAY_ROWS)).date().isoformat()


def _moment_text(row: int) -> str:
    return to_datetime(START + row * STEP_NS).strftime("%Y-%m-%d %H:%M:%S")


_SIGNS = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "!="])
_ROW = st.integers(0, ROWS)
_SYMBOL = st.sampled_from([*NAMES, "ZZZ"]).map(lambda name: f"'{name}'")


def _compared(columns: tuple[str, ...], constants: st.SearchStrategy[str]) -> Any:
    return st.one_of(
        st.tuples(st.sampled_from(columns), _SIGNS, constants).map(" ".join),
        st.tuples(constants, _SIGNS, st.sampled_from(columns)).map(" ".join),
        st.tuples(st.sampled_from(columns), constants, constants).map(
            lambda drawn: f"{drawn[0]} BETWEEN {drawn[1]} AND {drawn[2]}"
        ),
        st.tuples(st.sampled_from(columns), st.lists(constants, min_size=1, max_size=3)).map(
            lambda drawn: f"{drawn[0]} IN ({', '.join(drawn[1])})"
        ),
    )


_WHOLE_TEXT = st.integers(-6, 6).map(str) | _ROW.map(str) | st.sampled_from(["-3000000000000"])
_NUMBER_TEXT = st.sampled_from(["1", "0", "-0.0", "2.5", "7.10", "1e1", "-1", ".5", "3."])
_MOMENTS = st.one_of(
    _ROW.map(lambda row: f"'{_moment_text(row)}'"),
    _ROW.map(lambda row: f"'{_day_text(row)}'"),
    _ROW.map(lambda row: f"TIMESTAMP '{_moment_text(row)}.000001'"),
    _ROW.map(lambda row: f"DATE '{_day_text(row)}'"),
)
_TERMS = st.one_of(
    st.tuples(_SYMBOL).map(lambda drawn: f"sym = {drawn[0]}"),
    st.lists(_SYMBOL, min_size=1, max_size=3).map(lambda drawn: f"sym IN ({', '.join(drawn)})"),
    st.tuples(st.sampled_from(["ex", "cond", "sym"]), _SYMBOL).map(lambda d: f"{d[0]} <> {d[1]}"),
    st.tuples(st.sampled_from(_COLUMNS), st.sampled_from(["IS NULL", "IS NOT NULL"])).map(" ".join),
    _compared(_WHOLE, _WHOLE_TEXT),
    _compared(_NUMBERS, _NUMBER_TEXT),
    _compared(_INSTANTS, _MOMENTS),
    _compared(("date",), _ROW.map(lambda row: f"DATE '{_day_text(row)}'")),
    st.sampled_from(["side = 'B'", "side IN ('S', 'X')", "side = ' '"]),
)
_WHERE = st.lists(_TERMS, max_size=3).map(
    lambda terms: f" WHERE {' AND '.join(terms)}" if terms else ""
)
_AGGREGATES = st.one_of(
    st.just("count(*)"),
    st.tuples(
        st.sampled_from(["sum", "avg", "min", "max", "count"]), st.sampled_from(("price", *_WHOLE))
    ).map(lambda drawn: f"{drawn[0]}({drawn[1]})"),
    st.tuples(st.sampled_from(["min", "MAX", "count"]), st.sampled_from(_INSTANTS)).map(
        lambda drawn: f"{drawn[0]}(trade.{drawn[1]}) AS x"
    ),
)
_LIMIT = st.sampled_from(["", " LIMIT 1", " LIMIT 7", " LIMIT 0", " LIMIT 50 OFFSET 3"])
_ITEMS = st.just("*") | st.lists(st.sampled_from((*_COLUMNS, "date")), min_size=1, max_size=4).map(
    ", ".join
)


@settings(max_examples=40)
@given(
    data=st.data(),
    where=_WHERE,
    aggregates=st.lists(_AGGREGATES, min_size=1, max_size=3),
)
def test_an_aggregate_is_what_duckdb_says(
    session: SqlSession, data: st.DataObject, where: str, aggregates: list[str]
) -> None:
    text = f"SELECT {', '.join(aggregates)} FROM trade{where}{data.draw(_LIMIT)}"
    _same(session, text, lambda rows: list(map(_rounded, rows)))


@settings(max_examples=40)
@given(items=_ITEMS, where=_WHERE, limit=_LIMIT)
def test_rows_come_as_they_lie(session: SqlSession, items: str, where: str, limit: str) -> None:
    _same(session, f"SELECT {items} FROM trade{where}{limit}", lambda rows: list(map(repr, rows)))


_KEYS = st.lists(
    st.tuples(
        st.sampled_from(["price", "size", "venue_time", "date", "time"]),
        st.sampled_from(["", " DESC", " ASC", " DESC NULLS LAST"]),
    ).map("".join),
    max_size=2,
    unique=True,
)


@settings(max_examples=40)
@given(items=_ITEMS, where=_WHERE, limit=_LIMIT, keys=_KEYS, last=st.sampled_from(["", " DESC"]))
def test_rows_come_in_the_order_that_is_asked_for(
    session: SqlSession, items: str, where: str, limit: str, keys: list[str], last: str
) -> None:
    # The last key tells rows apart: what is alike may come in any order.
    order = f" ORDER BY {', '.join([*keys, f'seq{last}'])}"
    text = f"SELECT {items} FROM trade{where}{order}{limit}"
    _same(session, text, lambda rows: list(map(repr, rows)))


def _same(
    session: SqlSession, text: str, shown: Callable[[list[tuple[Any, ...]]], list[Any]]
) -> None:
    expected = _by_duckdb(session, text)
    found = _direct(session, text)
    if found is None:
        return
    assert found.schema == expected.schema, text
    assert shown(_cells(found)) == shown(_cells(expected)), text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT price FROM trade WHERE sym = 'AAA' ORDER BY seq DESC LIMIT 1",
        "SELECT t.price AS p, SIZE FROM trade t WHERE t.sym IN ('AAA', 'BBB') AND p.x > 1",
        "FROM trade",
        "SELECT count(*), sum(size) FROM trade WHERE 3 <= price AND time < '2024-01-03'",
    ],
)
def test_a_simple_question_goes_without_duckdb(session: SqlSession, text: str) -> None:
    simple = text.replace(" AND p.x > 1", "")
    assert _direct(session, simple) is not None
    if simple != text:
        with pytest.raises(QueryError, match="Binder Error"):
            session.start(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT DISTINCT sym FROM trade",
        "SELECT price + 1 FROM trade",
        "SELECT sym, count(*) FROM trade GROUP BY sym",
        "SELECT price FROM trade WHERE sym = 'AAA' OR sym = 'BBB'",
        "SELECT price FROM trade WHERE size > 1.5",
        "SELECT price FROM trade WHERE sym > 'A'",
        "SELECT price AS size FROM trade ORDER BY size",
        "SELECT price FROM trade ORDER BY sym",
        "SELECT price FROM trade ORDER BY price NULLS FIRST",
        "SELECT price FROM trade LIMIT 10%",
        "SELECT price FROM trade USING SAMPLE 5",
        "SELECT trade FROM trade",
        "SELECT count(DISTINCT sym) FROM trade",
        "SELECT sum(price) FILTER (WHERE size > 0) FROM trade",
        "SELECT sum(price) OVER () FROM trade",
        "EXPLAIN SELECT price FROM trade",
        "DESCRIBE trade",
        "SELECT trade.price FROM trade, trade u",
        "SELECT price FROM (SELECT * FROM trade)",
        "WITH trade AS (SELECT 1 AS price) SELECT price FROM trade",
        "SELECT price FROM trade WHERE price > 123456789.123456789",
        "SELECT price FROM trade WHERE seq > 9223372036854775807",
    ],
)
def test_what_is_not_wholly_understood_goes_to_duckdb(session: SqlSession, text: str) -> None:
    assert _direct(session, text) is None


def test_instants_take_the_forms_that_duckdb_reads(session: SqlSession) -> None:
    for form in (
        "'2024-01-03'", "'2024-01-03 00:00:00'", "'2024-01-03T00:00:00'",
        "'2024-01-02 23:59:59.999999'", "TIMESTAMP '2024-01-03'", "DATE '2024-01-03'",
        "'2024-01-03'::TIMESTAMP", "TIMESTAMPTZ '2024-01-03 00:00:00+00'",
        "TIMESTAMPTZ '2024-01-03 00:00:00Z'", "TIMESTAMP_NS '2024-01-03 00:00:00.000000001'",
        "'2024-01-03 00:00:00+00:00'", "'2024-01-03 02:00:00+02'",
    ):  # fmt: skip
        for sign in ("<", "<=", "=", "<>", ">", ">="):
            text = f"SELECT count(*), max(seq) FROM trade WHERE venue_time {sign} {form}"
            try:
                expected = _by_duckdb(session, text)
            except QueryError:
                assert _direct_or_refused(session, text) is None, text
                continue
            found = _direct(session, text)
            assert found is None or found == expected, text


def _direct_or_refused(session: SqlSession, text: str) -> pa.Table | None:
    try:
        return _direct(session, text)
    except QueryError:
        return None


@pytest.mark.parametrize(
    ("where", "values", "spelled"),
    [
        ("sym = $1 AND price > $2",
         [("STRING", "AAA"), ("DOUBLE", "2")], "sym = 'AAA' AND price > 2"),
        ("size >= $1", [("SMALLINT", "2")], "size >= 2"),
        ("price < $1", [("NUMERIC", "3.70")], "price < 3.70"),
        ("date = $1", [("DATE", "2024-01-03")], "date = DATE '2024-01-03'"),
        ("sym IN ($1, $2)", [("VARCHAR", "AAA"), ("VARCHAR", "CCC")], "sym IN ('AAA', 'CCC')"),
        ("sym = 'AAA' LIMIT $1", [("BIGINT", "3")], "sym = 'AAA' LIMIT 3"),
    ],
)  # fmt: skip
def test_parameters_stand_for_their_values(
    session: SqlSession, where: str, values: list[tuple[str, str]], spelled: str
) -> None:
    given = tuple(Constant(kind, text) for kind, text in values)
    found = _direct(session, f"SELECT seq, price FROM trade WHERE {where}", given)
    assert found is not None
    assert found == _by_duckdb(session, f"SELECT seq, price FROM trade WHERE {spelled}")


def test_a_parameter_of_another_type_goes_to_duckdb(session: SqlSession) -> None:
    text = "SELECT seq FROM trade WHERE size > $1"
    assert session.start_at_once(text, [Constant("BIGINT", "1")]) is None  # never seen
    for kind, value in (("STRING", "1"), ("DOUBLE", "1.5"), ("SMALLINT", "99999")):
        answer = session.start(
            text, [Constant(kind, value)], spelled=lambda: text.replace("$1", "3")
        )
        assert not isinstance(answer, DirectAnswer), kind
        answer.close()


def test_a_question_that_was_asked_before_starts_at_once(session: SqlSession) -> None:
    text = "SELECT seq FROM trade WHERE sym = 'AAA' ORDER BY seq LIMIT 2"
    first = session.query(text)
    found = session.start_at_once(text, ())
    assert found is not None
    assert found.table() == first
    assert session.start_at_once("SELECT count(*) FROM quote", ()) is None


def test_an_answer_that_is_stopped_ends_with_the_error_of_a_cancel(session: SqlSession) -> None:
    answer = session.start("SELECT seq FROM trade")
    assert isinstance(answer, DirectAnswer)
    batches = answer.batches(100)
    assert next(batches).num_rows == 100
    answer.interrupt()
    with pytest.raises(QueryError, match="INTERRUPT"):
        next(batches)


@pytest.mark.parametrize("spelling", [as_duckdb, as_postgres], ids=lambda f: f.__name__)
def test_beside_a_writer_each_statement_sees_one_moment(tmp_path: Path, spelling: Spelling) -> None:
    """A writer appends, publishes, flushes and merges; readers ask on both roads meanwhile."""
    capture = Capture(tmp_path)
    session = SqlSession(Database(tmp_path), spelling=spelling)
    simple = "SELECT count(*) AS n, max(seq) AS last FROM trade"
    # Not simple, and asked again and again: its views stand while rows come in.
    by_symbol = "SELECT sym, count(*) AS n, max(seq) AS last FROM trade GROUP BY sym"
    for step in range(40):
        capture.add(16)
        published = capture.next_seq - 1
        if step % 7 == 3:
            flush.flush(tmp_path, DOOR, watermark=published - 9)
        if step % 13 == 11:
            days = {chunk.session for chunk in Database(tmp_path).snapshot().chunks}
            flush.finish(tmp_path, DOOR, min(days))
        # A trade is every second row.
        expected = (published + 1) // 2
        assert isinstance(session.start(simple), DirectAnswer)
        (row,) = session.query(simple).to_pylist()
        assert (row["n"], row["last"]) == (expected, published - 1)
        groups = session.query(by_symbol).to_pylist()
        assert sum(group["n"] for group in groups) == expected
        assert max(group["last"] for group in groups) == published - 1
    session.close()


def test_views_that_stand_are_not_given_to_two_statements_at_once(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(64)
    session = SqlSession(Database(tmp_path))
    text = "SELECT sym, count(*) AS n FROM trade GROUP BY sym ORDER BY sym"
    first = session.start(text)
    capture.add(64)
    second = session.start(text)
    before, after = first.table().to_pylist(), second.table().to_pylist()
    first.close()
    second.close()
    assert (sum(row["n"] for row in before), sum(row["n"] for row in after)) == (32, 64)
    third = session.start(text)
    assert third.table().to_pylist() == after
    third.close()
    session.close()
