"""The same question asked of the database here and of a real QuestDB that the sink has filled."""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.command import good, tickloop
from tests.gateway_process import seconds, serving
from tests.servers import Server
from tickloop.analytics.gateway.connection import Connection, connect
from tickloop.analytics.questdb.place import Place
from tickloop.analytics.questdb.route import Bounds, Route
from tickloop.analytics.sql import SqlSession
from tickloop.analytics.views import as_duckdb
from tickloop.app.sinks import source_of
from tickloop.core.config import Config
from tickloop.core.errors import QueryError
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.questdb_rest import QuestDb
from tickloop.tickerplant.sinks.questdb_sink import QuestDbSettings, QuestDbSink
from tickloop.tickerplant.sinks.questdb_tables import is_applied

FEEDS = {
    "lobster": ("lobster", "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"),
    "binance": ("binance", "binance-ws/spot_ethusdt_20240808.gz"),
}
TABLES = "trade quote status instrument"
# Sums of floats depend on the order in which they are added.
CLOSE = 1e-11
ENDLESS = "SELECT count(sqrt(a.price * b.price)) FROM trade a JOIN trade b ON a.sym = b.sym"


@dataclass(frozen=True)
class Filled:
    """A directory whose rows are in QuestDB as well."""

    root: Path
    server: QuestDb

    def ask(self) -> Connection:
        return connect(self.root)


@pytest.fixture(scope="module", params=FEEDS)
def captured(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    market_data: Callable[[str], Path],
) -> Path:
    """Capture a real feed."""
    kind, name = FEEDS[request.param]
    root = tmp_path_factory.mktemp(request.param) / "day"
    good("run", "--feed", f"{kind}:{market_data(name)}", "--data", root)
    return root


@pytest.fixture
def filled(captured: Path, questdb: Server) -> Filled:
    """Bring the capture to QuestDB, unless the last test left it there."""
    server = QuestDb(questdb.address)
    cursor = CursorFile(captured, "questdb").peek()
    if cursor is None or _is_other(server, captured):
        for row in server.ask("SELECT table_name FROM tables()"):
            server.ask(f"DROP TABLE {row['table_name']}")
        CursorFile(captured, "questdb").path.unlink(missing_ok=True)
        _drain(captured, server)
    return Filled(captured, server)


def _is_other(server: QuestDb, root: Path) -> bool:
    """Tell whether another test has put other rows there."""
    known = {row["table_name"] for row in server.ask("SELECT table_name FROM tables()")}
    if not known >= set(TABLES.split()):
        return True
    with connect(root) as db:
        sums = "SELECT count(*) AS n, sum(seq) AS s FROM quote"
        (expected,) = db.sql(sums).arrow().to_pylist()
        (found,) = server.ask(sums)
    return {name: int(value) for name, value in found.items()} != {
        name: int(value) for name, value in expected.items()
    }


def _drain(root: Path, server: QuestDb) -> None:
    source = source_of(root, Config())
    settings = QuestDbSettings(server, TABLES, 100_000, 30.0)
    sink = QuestDbSink(settings, source.catalog, source.symbols)
    loop = SinkLoop(sink, root, source.catalog, source.symbols, source.plant, LoopSettings(30.0))
    assert loop.run(lambda: False)
    tables = [source.catalog[name] for name in TABLES.split()]
    while not is_applied(server, tables):
        threading.Event().wait(0.02)


def same(one: Any, other: Any) -> bool:
    """Compare values; floats up to the order of their sums."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and bool(one == other)


def rows(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def assert_equal(here: Any, there: Any) -> None:
    """Compare names, types, nulls and rows."""
    assert there.schema.equals(here.schema), (there.schema, here.schema)
    expected, found = rows(here), rows(there)
    assert len(found) == len(expected)
    wrong = [
        pair
        for pair in zip(expected, found, strict=True)
        if not all(same(*values) for values in zip(*pair, strict=True))
    ]
    assert wrong == []


QUESTIONS = [
    "SELECT * FROM trade ORDER BY seq",
    "SELECT * FROM quote ORDER BY seq",
    "SELECT * FROM status",
    "SELECT * FROM instrument",
    "FROM trade ORDER BY seq LIMIT 7 OFFSET 5",
    "SELECT sym, count(*), sum(size), min(price), max(time), min(venue_time) FROM trade"
    " GROUP BY sym",
    "SELECT seq, time::TIMESTAMP AS time FROM trade ORDER BY seq",
    "SELECT sym, sum(price*size)/sum(size) AS vwap, sum(seq)/count(*) FROM trade GROUP BY sym",
    "SELECT time_bucket(INTERVAL 1 minute, time) AS minute, sym, arg_min(price, seq) AS open,"
    " max(price) AS high, min(price) AS low, arg_max(price, seq) AS close, sum(size) AS volume"
    " FROM trade GROUP BY ALL ORDER BY ALL",
    "SELECT date, side, count(*) FILTER (WHERE price > 200) FROM trade GROUP BY ALL ORDER BY side",
    "SELECT date_trunc('hour', time) AS hour, avg(bid), avg(ask) FROM quote GROUP BY 1 ORDER BY 1",
    "SELECT count(*), count(cond), count(trade_id), count(DISTINCT price) FROM trade",
    "SELECT count(*) FROM trade WHERE cond <> 'hidden'",
    "SELECT count(*) FROM trade WHERE NOT (cond = 'hidden' AND side = 'B')",
    "SELECT count(*) FROM trade WHERE cond NOT IN ('hidden', 'x') OR price NOT BETWEEN 220 AND 225",
    "SELECT count(*) FROM trade WHERE cond IS DISTINCT FROM 'hidden'",
    "SELECT count(*) FROM trade WHERE trade_id = seq OR trade_id <> seq",
    "SELECT seq FROM trade WHERE time BETWEEN '2012-06-21 14:00' AND TIMESTAMP '2012-06-21 14:05'"
    " ORDER BY seq",
    "SELECT count(*) FROM quote WHERE date = DATE '2012-06-21' AND time < '2012-06-21 19:00:00.5'",
    "SELECT time - INTERVAL 1 second AS before, epoch_ns(time) FROM trade ORDER BY seq LIMIT 9",
    "SELECT seq, CASE WHEN side = 'B' THEN size ELSE -size END AS signed FROM trade ORDER BY seq",
    "SELECT sym, price, row_number() OVER (PARTITION BY sym ORDER BY seq) n FROM trade"
    " ORDER BY seq LIMIT 50",
    "SELECT sym, side, sum(size) AS v FROM trade GROUP BY sym, side HAVING count(*) > 10"
    " ORDER BY 2",
    "WITH t AS (SELECT * FROM trade WHERE price > 0) SELECT x.side, x.n, x.date FROM"
    " (SELECT side, date, count(*) AS n FROM t GROUP BY side, date) x ORDER BY x.side",
    "SELECT t.seq, count(*) AS n FROM trade t JOIN quote q ON t.sym = q.sym AND t.time = q.time"
    " GROUP BY t.seq ORDER BY t.seq",
    "SELECT sym, max(price) FROM trade WHERE price < 0 GROUP BY sym",
    "SELECT DISTINCT sym, ex, side FROM trade ORDER BY side",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_names_types_nulls_and_rows_are_equal(filled: Filled, question: str) -> None:
    with filled.ask() as db:
        assert_equal(db.sql(question).arrow(), db.sql(question, on="questdb").arrow())


@pytest.mark.parametrize("how", ["ASOF", "ASOF LEFT"])
@pytest.mark.parametrize("later", ["t.time >= q.time", "q.time < t.time"])
def test_an_as_of_join_finds_the_same_time(filled: Filled, how: str, later: str) -> None:
    question = (
        f"SELECT t.seq, t.sym, price, q.time AS quoted FROM trade t {how} JOIN quote q"
        f" ON t.sym = q.sym AND {later} ORDER BY t.seq"
    )
    with filled.ask() as db:
        assert_equal(db.sql(question).arrow(), db.sql(question, on="questdb").arrow())


def test_values_of_arguments_reach_the_question(filled: Filled) -> None:
    question = "SELECT count(*) FROM trade WHERE size > ? AND time > ? AND side = ?"
    values = (0.5, datetime(2012, 6, 21, 15, tzinfo=UTC), "B")
    with filled.ask() as db:
        assert_equal(
            db.sql(question, *values).arrow(), db.sql(question, *values, on="questdb").arrow()
        )


WIRE_QUESTIONS = [
    "SELECT * FROM trade ORDER BY seq LIMIT 100",
    "SELECT time, time_ns, sym, price FROM trade ORDER BY seq",
    "SELECT time, sym, first(price) AS open, count(*) FROM trade SAMPLE BY 1m",
    "SELECT time, sym, avg(bid) AS bid FROM quote SAMPLE BY 30s FILL(NULL) LIMIT 500",
    "SELECT time, sym, max(ask) AS ask FROM quote SAMPLE BY 1h ALIGN TO CALENDAR",
    "SELECT side, count(*) FROM trade GROUP BY side ORDER BY side",
    "SELECT sum(seq)/count(*), count(*) FROM trade",
    "SELECT version()",
    "SELECT relname FROM pg_class ORDER BY 1",
]


@pytest.fixture
def served(filled: Filled) -> Iterator[tuple[Filled, int, int]]:
    """Serve the directory; the server's address is the configuration's."""
    config = f'[sinks.questdb]\naddress = "{filled.server.address}"\n'
    with serving(filled.root, config) as gateway:
        yield filled, gateway.port, gateway.pg_port


def test_a_session_of_the_postgres_wire_chooses_who_answers(
    served: tuple[Filled, int, int],
) -> None:
    filled, _, port = served
    with psycopg.connect(f"host=127.0.0.1 port={port} dbname=x", autocommit=True) as session:
        answers: dict[str, list[object]] = {}
        for engine in ("hdb", "questdb"):
            session.execute(f"SET tickloop.engine = '{engine}'")
            assert session.execute("SHOW tickloop.engine").fetchall() == [(engine,)]
            for question in WIRE_QUESTIONS:
                found = session.execute(question)
                shape = [(column.name, column.type_code) for column in found.description or ()]
                answers.setdefault(question, []).append((shape, found.fetchall()))
        for question, (here, there) in answers.items():
            assert there == here, question
        asked = "SELECT count(*) FROM trade WHERE price > %s AND sym <> %s AND time > %s"
        given = (1.5, "ZZZ", datetime(2010, 1, 1, tzinfo=UTC))
        (count,) = session.execute(asked, given).fetchall()
        assert count == session.execute("SELECT count(*) FROM trade").fetchone()
        # What reached the server: trades that only it has.
        filled.server.ask("CREATE TABLE IF NOT EXISTS only_there (x INT)")
        filled.server.ask("INSERT INTO only_there VALUES (7)")
        assert session.execute("SELECT x FROM only_there").fetchall() == [(7,)]
        filled.server.ask("DROP TABLE only_there")
        with pytest.raises(psycopg.Error, match="one of hdb, questdb expected"):
            session.execute("SET tickloop.engine = 'kdb'")


def test_a_statement_there_is_stopped_by_its_time_out_and_by_cancel(
    served: tuple[Filled, int, int],
) -> None:
    _, _, port = served
    with psycopg.connect(f"host=127.0.0.1 port={port} dbname=x", autocommit=True) as session:
        session.execute("SET tickloop.engine = 'questdb'")
        session.execute("SET statement_timeout = '500ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="timeout"):
            session.execute(f"{ENDLESS} JOIN quote q ON q.sym = a.sym")
        session.execute("SET statement_timeout = 0")
        threading.Timer(0.5, session.cancel).start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            session.execute(f"{ENDLESS} JOIN quote q ON q.sym = a.sym")
        assert session.execute("SELECT count(*) > 0 FROM trade").fetchall() == [(True,)]


def test_the_q_wire_and_python_route_by_name(served: tuple[Filled, int, int]) -> None:
    _, port, _ = served
    question = "SELECT sym, count(*) AS n, max(price) AS high FROM trade GROUP BY sym"
    with connect(f"127.0.0.1:{port}") as db:
        here = db.sql(question).pandas()
        assert db.sql(question, on="questdb").pandas().equals(here)
        with pytest.raises(QueryError, match="engine 'kdb' seen"):
            db.sql(question, on="kdb")


@pytest.fixture
def bounded(filled: Filled) -> Iterator[Callable[[str, Bounds], Any]]:
    """Ask with a user's limits."""
    session = SqlSession(Database(filled.root))

    def ask(text: str, bounds: Bounds) -> Any:
        route = Route(Place(filled.server.address).server(filled.root), bounds)
        answer = route.start(session, text, spelling=as_duckdb, here=text)
        try:
            return answer.table()
        finally:
            answer.close()

    yield ask
    session.close()


@pytest.mark.parametrize(
    ("text", "bounds", "sentence"),
    [
        ("SELECT * FROM quote", Bounds(frozenset({"trade"})), "Table with name quote"),
        ("SELECT 1 FROM trade, (SELECT 2 FROM quote)", Bounds(frozenset({"trade"})), "quote"),
        ("SELECT * FROM trade LT JOIN quote", Bounds(frozenset({"trade"})), "cannot be told"),
        ("SELECT * FROM trade", Bounds(rows=100), "more than 100 rows"),
        (f"{ENDLESS} JOIN quote q ON q.sym = a.sym", Bounds(timeout_s=0.5), "after 0.5 s"),
        ("DROP TABLE trade", Bounds(), "DROP is not possible"),
        ("SELECT 1; DROP TABLE trade", Bounds(), "several statements"),
        ("WITH x AS (SELECT 1) INSERT INTO trade SELECT * FROM x", Bounds(), "INSERT is not"),
        ("SELECT * FROM tables()", Bounds(), r"tables\(\) of QuestDB is not available"),
        ("SELECT * FROM read_parquet('/etc/passwd')", Bounds(), "not available"),
        ("SELECT flush_query_cache() FROM trade", Bounds(), "not available"),
        ("SELECT nothing FROM trade", Bounds(), "Invalid column: nothing"),
    ],
)
def test_a_user_s_limits_hold_there_too(
    bounded: Callable[[str, Bounds], Any], filled: Filled, text: str, bounds: Bounds, sentence: str
) -> None:
    before = filled.server.ask("SELECT count() AS n FROM trade")
    with pytest.raises(QueryError, match=sentence):
        bounded(text, bounds)
    assert filled.server.ask("SELECT count() AS n FROM trade") == before


def test_a_stopped_statement_ends_at_once(filled: Filled) -> None:
    session = SqlSession(Database(filled.root))
    route = Route(Place(filled.server.address).server(filled.root), Bounds())
    text = f"{ENDLESS} JOIN quote q ON q.sym = a.sym"
    answer = route.start(session, text, spelling=as_duckdb, here=text)
    threading.Timer(0.5, route.interrupt).start()

    def run() -> None:
        with pytest.raises(QueryError, match="Interrupt"):
            answer.table()

    assert seconds(run) < 30
    session.close()


def test_the_command_asks_there_and_says_what_is_wrong(filled: Filled) -> None:
    statement = "SELECT sym, count(*) AS n FROM trade GROUP BY sym"
    asked = ("sql", "--data", filled.root, "--format", "csv", statement)
    assert good(*asked, "--on", "questdb").rows == good(*asked).rows
    latest = "SELECT seq FROM trade LATEST ON time PARTITION BY sym"
    (row,) = good("sql", "--data", filled.root, "--format", "csv", "--on", "questdb", latest).rows
    (highest,) = good(*asked[:-1], "SELECT max(seq) AS seq FROM trade").rows
    assert row == highest
    away = tickloop(*asked, "--on", "questdb", "--address", "127.0.0.1:9")
    away.refused("QuestDB at 127.0.0.1:9 does not answer")


def test_a_directory_without_a_sink_names_the_key_to_set(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    root = tmp_path / "day"
    good("run", "--feed", f"lobster:{market_data(FEEDS['lobster'][1])}", "--data", root)
    tickloop("sql", "--data", root, "--on", "questdb", "SELECT 1 FROM trade").refused(
        r"set \[sinks.questdb\] address"
    )
