"""Real clients over the Postgres port: psycopg 3 and 2, asyncpg, SQLAlchemy, pandas."""

import asyncio
import contextlib
import datetime as dt
import io
import uuid
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg
import pandas as pd
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from tests.capture import START, STEP_NS
from tests.pg_wire import ROWS, Served, data, opener
from tickloop.core.clock import to_datetime, to_unix_ns

T = TypeVar("T")
SOME_UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
TRADES = [seq for seq in range(ROWS) if seq % 4 in (0, 2)]
PRICES = {seq: None if seq % 8 == 0 else seq / 4 for seq in TRADES}
SYMS = {seq: (None, "AAA", "BBB", "CCC")[(seq // 4) % 4] for seq in TRADES}


def time_of(seq: int) -> dt.datetime:
    return to_datetime(START + seq * STEP_NS)


def naive(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = opener(data(tmp_path_factory.mktemp("data")))
    server = Served(made, rows=10_000)
    yield server
    assert server.server.counts["internal"] == 0
    server.close()
    made.close()


@pytest.fixture
def connection(served: Served) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(served.dsn()) as made:
        yield made


Psycopg = psycopg.Connection[tuple[Any, ...]]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_rows_come_as_they_are_stored(connection: Psycopg, binary: bool) -> None:
    found = connection.execute(
        "SELECT seq, sym, price, time, date, time_ns, venue_time FROM trade ORDER BY seq",
        binary=binary,
    ).fetchall()
    assert found == [
        (
            seq, SYMS[seq], PRICES[seq], time_of(seq).astimezone(dt.UTC), time_of(seq).date(),
            to_unix_ns(START + seq * STEP_NS), None,
        )
        for seq in TRADES
    ]  # fmt: skip


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("true", True),
        ("(-32768)::smallint", -(2**15)),
        ("2147483647", 2**31 - 1),
        ("(-9223372036854775807 - 1)::bigint", -(2**63)),
        ("170141183460469231731687303715884105727::hugeint", 2**127 - 1),
        ("0.1::float8", 0.1),
        ("1e300::float8", 1e300),
        ("'-Infinity'::float8", float("-inf")),
        ("1.5::real", 1.5),
        ("123456789.0123::decimal(20, 4)", Decimal("123456789.0123")),
        ("-0.00012::decimal(10, 5)", Decimal("-0.00012")),
        ("0::decimal(10, 2)", Decimal(0)),
        ("'it''s ü'", "it's ü"),
        ("''", ""),
        ("'\\x00ff'::bytea", b"\x00\xff"),
        ("date '1999-12-31'", dt.date(1999, 12, 31)),
        ("time '23:59:59.999999'", dt.time(23, 59, 59, 999999)),
        ("timestamp '2024-02-29 12:00:00.5'", naive(2024, 2, 29, 12, 0, 0, 500000)),
        ("timestamp '1969-12-31 23:59:59.999999'", naive(1969, 12, 31, 23, 59, 59, 999999)),
        (
            "timestamptz '2024-06-01 12:00:00.000001+02'",
            dt.datetime(2024, 6, 1, 10, 0, 0, 1, tzinfo=dt.UTC),
        ),
        ("interval '3 days 4 hours 5.25 seconds'", dt.timedelta(3, 5.25, 0, 0, 0, 4)),
        ("interval '-90 seconds'", dt.timedelta(seconds=-90)),
        ("uuid '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", uuid.UUID(SOME_UUID)),
        ("[1, NULL, 3]", [1, None, 3]),
        ("['a', 'b c', '\"', NULL, 'NULL', '']", ["a", "b c", '"', None, "NULL", ""]),
        ("[1.5::float8, 'nan'::float8 + 1e0 - 'nan'::float8][:1]", [1.5]),
        ("[]::bigint[]", []),
        ("{'a': 1, 'b': ['x', NULL]}", {"a": 1, "b": ["x", None]}),
        ("MAP {'k': 2}", {"k": 2}),
        ("[[1], [2, 3]]", [[1], [2, 3]]),
        ("'{\"j\": [1, 2]}'::json", {"j": [1, 2]}),
        ("NULL", None),
        ("NULL::uuid", None),
    ],
)  # fmt: skip
def test_every_type_arrives_as_the_value_it_is(
    connection: Psycopg, spelled: str, value: object, binary: bool
) -> None:
    row = connection.execute(f"SELECT {spelled} AS v", binary=binary).fetchone()
    assert row == (value,)
    assert type(row[0]) is type(value) or isinstance(value, Decimal | int)


@pytest.mark.parametrize("binary", ["%t", "%b"], ids=["text", "binary"])
@pytest.mark.parametrize(
    "value",
    [
        True, 5, -(2**40), 2**62, 0.1, 1e-300, Decimal("12.345"), Decimal("-1000000.5"), "it's",
        "", "ü", b"\x00\xff\\", dt.date(2024, 2, 29),
        dt.datetime(2024, 1, 2, 3, 4, 5, 678901, dt.UTC),
        naive(1969, 7, 20, 20, 17), dt.time(1, 2, 3, 4), dt.timedelta(days=-3, seconds=7),
        uuid.UUID(int=7), [1, 2, 3], [0.5, None], ["a", 'b "c"', "d,e", None],
    ],
    ids=repr,
)  # fmt: skip
def test_every_parameter_arrives_as_the_value_it_is(
    connection: Psycopg, value: object, binary: str
) -> None:
    # Texts, and lists of them, leave their type to the server.
    cast = "::text[]" if isinstance(value, list) and "a" in value else ""
    row = connection.execute(f"SELECT {binary}{cast} AS v", [value]).fetchone()
    assert row is not None
    assert row[0] == value or str(row[0]) == str(value), row


def test_parameters_take_the_type_of_what_they_are_compared_with(connection: Psycopg) -> None:
    wanted = [seq for seq in TRADES if SYMS[seq] == "AAA" and (PRICES[seq] or 0) > 20 and seq < 300]
    for time in (time_of(0).astimezone(dt.UTC), "2024-01-02T00:00:00Z"):
        found = connection.execute(
            "SELECT seq FROM trade WHERE sym = %s AND price > %s AND time >= %s AND seq < %s"
            " AND date = %s ORDER BY seq LIMIT %s",
            ["AAA", "20", time, 300, dt.date(2024, 1, 2), 1000],
        ).fetchall()
        assert [seq for (seq,) in found] == wanted
    some = connection.execute(
        "SELECT count(*) FROM trade WHERE sym = ANY(%s) AND seq = ANY(%s)",
        [["AAA", "x"], [4, 6, 8]],
    ).fetchone()
    assert some == (2,)


def test_null_as_a_parameter_is_null(connection: Psycopg) -> None:
    row = connection.execute("SELECT %s::bigint IS NULL, %s IS NULL, count(*) FROM trade WHERE sym = %s", [None] * 3).fetchone()  # noqa: E501  # fmt: skip
    assert row == (True, True, 0)


def test_a_parameter_cannot_be_more_than_a_value(connection: Psycopg) -> None:
    for text in ("'; DROP TABLE trade; --", "\\'", "$1", "AAA' OR 'a'='a", "$$", "/*"):
        row = connection.execute("SELECT count(*), %s FROM trade WHERE sym = %s", [text, text])
        assert row.fetchone() == (0, text)


def test_statements_prepared_on_the_server_go_on_working(connection: Psycopg) -> None:
    for number in range(8):
        row = connection.execute(
            "SELECT count(*) FROM trade WHERE seq >= %s", [number], prepare=True
        ).fetchone()
        assert row == (sum(seq >= number for seq in TRADES),)


def test_the_transaction_goes_from_idle_to_open_to_failed_and_back(connection: Psycopg) -> None:
    status = connection.pgconn
    assert status.transaction_status == psycopg.pq.TransactionStatus.IDLE
    connection.execute("SELECT 1")
    assert status.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT nothing FROM trade")
    assert status.transaction_status == psycopg.pq.TransactionStatus.INERROR
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("SELECT 1")
    connection.commit()
    assert status.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_savepoints_take_a_failure_back(connection: Psycopg) -> None:
    with connection.transaction():
        with pytest.raises(psycopg.errors.UndefinedTable), connection.transaction():
            connection.execute("SELECT * FROM nothing")
        assert connection.execute("SELECT 42").fetchone() == (42,)
    with pytest.raises(psycopg.errors.InvalidSavepointSpecification):
        connection.execute("BEGIN; ROLLBACK TO nothing")


def test_settings_live_as_long_as_they_should(connection: Psycopg) -> None:
    connection.autocommit = True

    def shown(name: str) -> object:
        return connection.execute(f"SHOW {name}").fetchall()[0][0]

    connection.execute("SET application_name TO 'desk'")
    connection.execute(
        "BEGIN; SET application_name = 'x'; SET LOCAL extra_float_digits = 3; ROLLBACK"
    )
    assert (shown("application_name"), shown("extra_float_digits")) == ("desk", "1")
    connection.execute("BEGIN; SET search_path = a, b; SET LOCAL jit = 'on'; COMMIT")
    assert (shown("search_path"), shown("jit")) == ("a, b", "off")
    assert connection.info.parameter_status("application_name") == "desk"
    connection.execute("DISCARD ALL")
    assert shown("application_name") == ""
    assert shown("transaction_isolation") == "read committed"
    assert shown("time zone") == "UTC"
    assert connection.execute("SELECT current_setting('server_version_num')::int").fetchone() == (150000,)  # noqa: E501  # fmt: skip


@pytest.mark.parametrize(
    ("text", "state", "position"),
    [
        ("SELECT nothing FROM trade", "42703", 8),
        ("SELECT * FROM nothing", "42P01", 15),
        ("SELEC 1", "42601", 1),
        ("SELECT 1 FROM trade WHERE", "42601", 21),
        ("SELECT 1; SELECT 'abc", "42601", 18),
        ("SELECT nothing(1)", "42883", 8),
        ("SELECT 'x'::int", "22P02", 11),
        ("SELECT '2024-99-01'::timestamp", "22008", None),
        ("SELECT sym, price FROM trade GROUP BY sym", "42803", 13),
        ("SELECT time FROM trade, quote", "42702", None),
        ("INSERT INTO trade VALUES (1)", "25006", None),
        ("CREATE TABLE x (a int)", "25006", None),
        ("DROP TABLE trade", "25006", None),
        ("BEGIN READ WRITE", "25006", None),
        ("COPY trade FROM STDIN", "25006", None),
        ("COPY trade TO '/tmp/x'", "42501", None),
        ("SELECT * FROM read_csv('/etc/passwd')", "42501", None),
        ("SELECT 2 ** 'a'", "22P02", None),
        ("SELECT 9223372036854775807 + 1", "22003", None),
        ("SELECT nothing::regclass FROM trade", "42703", 8),
        ("SELECT 'nothing'::regclass", "22023", None),
        ("SET nothing = 1", "42704", None),
        ("SET TIME ZONE 'America/New_York'", "0A000", None),
        ("SHOW nothing", "42704", None),
        ("DEALLOCATE nothing", "26000", None),
        ("FETCH 1 FROM nothing", "34000", None),
        ("DECLARE c CURSOR FOR SELECT 1", "25P01", None),
    ],
)
def test_errors_have_their_code_and_place(
    connection: Psycopg, text: str, state: str, position: int | None
) -> None:
    connection.autocommit = True
    with pytest.raises(psycopg.Error) as error:
        connection.execute(text)
    assert error.value.sqlstate == state, error.value
    if position is not None:
        assert error.value.diag.statement_position == str(position)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_outside_the_database_can_be_read(connection: Psycopg) -> None:
    connection.autocommit = True
    for text in (
        "SELECT * FROM '/etc/passwd'", "SELECT content FROM read_text('/etc/passwd')",
        "SELECT getenv('HOME')", "ATTACH '/tmp/x.db'", "INSTALL httpfs", "PRAGMA database_list",
        "SELECT * FROM pg_catalog.pg_read_file('/etc/passwd')", "EXPORT DATABASE '/tmp/x'",
        "SET enable_external_access = true", "CALL pragma_version()", "LOAD httpfs",
        "COPY (SELECT 1) TO PROGRAM 'sh'", "SELECT * FROM glob('/*')",
    ):  # fmt: skip
        with pytest.raises(psycopg.Error):
            connection.execute(text)


def test_cursors_on_the_server_give_rows_in_parts(connection: Psycopg) -> None:
    with connection.cursor(name="part", binary=True) as cursor:
        cursor.execute("SELECT seq FROM trade WHERE seq >= %s ORDER BY seq", [100])
        first = cursor.fetchmany(7)
        rest = cursor.fetchall()
    assert [seq for (seq,) in first + rest] == [seq for seq in TRADES if seq >= 100]
    assert len(first) == 7
    connection.execute("DECLARE c NO SCROLL CURSOR FOR SELECT seq FROM trade ORDER BY seq")
    assert connection.execute("MOVE FORWARD 3 IN c").statusmessage == "MOVE 3"
    assert connection.execute("FETCH c").fetchall() == [(TRADES[3],)]
    connection.commit()
    with pytest.raises(psycopg.errors.InvalidCursorName):
        connection.execute("FETCH c")


def test_a_cursor_with_hold_outlives_its_transaction(connection: Psycopg) -> None:
    connection.execute("DECLARE h CURSOR WITH HOLD FOR SELECT seq FROM trade ORDER BY seq")
    connection.commit()
    assert connection.execute("FETCH 2 FROM h").fetchall() == [(0,), (2,)]
    connection.execute("CLOSE h")


def test_pipelines_answer_in_order_and_skip_after_an_error(connection: Psycopg) -> None:
    with connection.pipeline():
        asked = [connection.execute("SELECT %s::int + 1", [number]) for number in range(20)]
    assert [cursor.fetchone() for cursor in asked] == [(number + 1,) for number in range(20)]
    connection.rollback()
    with pytest.raises(psycopg.errors.UndefinedColumn), connection.pipeline():
        connection.execute("SELECT 1")
        connection.execute("SELECT nothing")
        connection.execute("SELECT 2")
    connection.rollback()
    assert connection.execute("SELECT 3").fetchone() == (3,)


def test_several_statements_in_one_text_answer_each(connection: Psycopg) -> None:
    cursor = connection.execute("SELECT 1; -- so\n SELECT 'a;b'; /* ; */ SELECT 3;;")
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    assert found == [[(1,)], [("a;b",)], [(3,)]]


def test_an_empty_query_is_no_error(connection: Psycopg) -> None:
    for text in ("", ";", "-- ping", "/* nothing */"):
        assert connection.execute(text).description is None


COPIED = "SELECT seq, sym, price, note FROM (SELECT *, CASE seq WHEN 4 THEN E'a\\tb\\\\\\n' WHEN 6 THEN 'say \"x\", y' WHEN 8 THEN '' END AS note FROM trade) ORDER BY seq LIMIT 5"  # noqa: E501  # fmt: skip
NOTES = {4: "a\tb\\\n", 6: 'say "x", y', 8: ""}


@pytest.mark.parametrize("options", ["", "WITH (DELIMITER '|', NULL 'nix')"])
def test_copy_as_text_reads_back(connection: Psycopg, options: str) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({COPIED}) TO STDOUT {options}") as copy:
        lines = b"".join(bytes(piece) for piece in copy).decode()
    delimiter, null = ("|", "nix") if options else ("\t", "\\N")
    escaped = {4: "a\\tb\\\\\\n", 6: 'say "x", y', 8: ""}

    def spelled(value: object) -> str:
        return null if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    expected = [
        [str(seq), spelled(SYMS[seq]), spelled(PRICES[seq]), escaped.get(seq, null)]
        for seq in TRADES[:5]
    ]
    assert [line.split(delimiter) for line in lines.splitlines()] == expected


def test_copy_as_csv_reads_back_in_pandas(connection: Psycopg) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({COPIED}) TO STDOUT WITH CSV HEADER") as copy:  # noqa: E501  # fmt: skip
        text = b"".join(bytes(piece) for piece in copy).decode()
    found = pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str)
    assert list(found.columns) == ["seq", "sym", "price", "note"]
    assert found["note"].tolist() == ["", "", NOTES[4], NOTES[6], ""]
    # NULL is nothing, and an empty text is quoted, so that they differ.
    assert text.splitlines()[1] == "0,,,"
    assert text.splitlines()[-1].endswith(',""')


def test_copy_in_binary_reads_back(connection: Psycopg) -> None:
    for rows in (5, 0):
        text = f"COPY (SELECT * FROM ({COPIED}) LIMIT {rows}) TO STDOUT (FORMAT binary)"
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            copy.set_types(["int8", "text", "float8", "text"])
            found = list(copy.rows())
        assert found == [(s, SYMS[s], PRICES[s], NOTES.get(s)) for s in TRADES[:rows]]


def test_copy_takes_a_table_with_some_of_its_columns(connection: Psycopg) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY public.trade (seq, sym) TO STDOUT") as copy:  # noqa: E501  # fmt: skip
        found = sorted(int(row[0]) for row in copy.rows())
    assert found == TRADES


def test_psycopg2_reads_rows_whole_and_in_parts(served: Served) -> None:
    connection = psycopg2.connect(served.dsn())
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT sym, price, time FROM trade WHERE sym = %s AND time > %s ORDER BY seq LIMIT 1",
            ("AAA", time_of(100).astimezone(dt.UTC)),
        )
        first = next(seq for seq in TRADES if SYMS[seq] == "AAA" and seq > 100)
        assert cursor.fetchall() == [("AAA", PRICES[first], time_of(first))]
    with connection, connection.cursor(name="parts") as cursor:
        cursor.itersize = 9
        cursor.execute("SELECT seq FROM trade ORDER BY seq")
        assert [seq for (seq,) in cursor] == TRADES
    connection.close()


def with_asyncpg(served: Served, work: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ana", database="tickloop"
        )
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_asyncpg_infers_types_and_reads_binary(served: Served) -> None:
    async def work(connection: Any) -> None:
        statement = await connection.prepare(
            "SELECT seq, time, price FROM trade WHERE sym = $1 AND price > $2 AND time >= $3"
            " AND date = $4 AND seq = ANY($5) ORDER BY seq LIMIT $6"
        )
        kinds = [kind.name for kind in statement.get_parameters()]
        assert kinds == ["text", "float8", "timestamptz", "date", "int8[]", "int8"]
        columns = [column.type.name for column in statement.get_attributes()]
        assert columns == ["int8", "timestamptz", "float8"]
        rows = await statement.fetch(
            "AAA", 1.5, time_of(0).astimezone(dt.UTC), dt.date(2024, 1, 2), TRADES, 3
        )
        wanted = [s for s in TRADES if SYMS[s] == "AAA" and (PRICES[s] or 0) > 1.5][:3]
        assert [tuple(row) for row in rows] == [(s, time_of(s), PRICES[s]) for s in wanted]

    with_asyncpg(served, work)


def test_asyncpg_looks_up_types_that_it_does_not_know(served: Served) -> None:
    async def work(connection: Any) -> None:
        prices = await connection.fetchval("SELECT array_agg(price ORDER BY seq) FROM trade")
        assert prices == [PRICES[seq] for seq in TRADES]
        assert await connection.fetchval("SELECT 12.50::numeric(8, 2)") == Decimal("12.50")

    with_asyncpg(served, work)


def test_asyncpg_cursors_copies_pools_and_resets(served: Served) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction():
            rows = [row["seq"] async for row in connection.cursor("SELECT seq FROM trade ORDER BY seq", prefetch=33)]  # noqa: E501  # fmt: skip
        assert rows == TRADES
        out = io.BytesIO()
        assert await connection.copy_from_query("SELECT seq FROM trade ORDER BY seq", output=out) == "COPY 200"  # noqa: E501  # fmt: skip
        assert [int(line) for line in out.getvalue().split()] == TRADES
        await connection.reset()
        pool = asyncpg.create_pool(host="127.0.0.1", port=served.port, user="ana", min_size=1, max_size=3)  # noqa: E501  # fmt: skip
        async with pool:
            got = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(9)))
        assert got == list(range(9))
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch(
                "SELECT sum(a.range) FROM range(10000000) a, range(10000000) b", timeout=0.2
            )
        assert await connection.fetchval("SELECT 1") == 1

    with_asyncpg(served, work)


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(served: Served, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    made = sa.create_engine(f"postgresql+{request.param}://ana@127.0.0.1:{served.port}/tickloop")
    yield made
    made.dispose()


def test_sqlalchemy_reflects_the_schema_and_selects_with_it(engine: sa.Engine) -> None:
    reflected = sa.MetaData()
    reflected.reflect(engine)
    assert sorted(reflected.tables) == ["clock", "note", "quote", "trade"]
    trade = reflected.tables["trade"]
    kinds = {column.name: str(column.type) for column in trade.columns}
    assert kinds["time"] == "TIMESTAMP"
    assert (kinds["sym"], kinds["price"], kinds["size"]) == ("TEXT", "DOUBLE PRECISION", "BIGINT")
    assert trade.c.sym.comment == "instrument"
    with engine.connect() as connection:
        counts = connection.execute(
            sa.select(trade.c.sym, sa.func.count()).where(trade.c.price > 1.0).group_by(trade.c.sym)
        ).all()
    wanted: dict[str | None, int] = {}
    for seq in TRADES:
        if (PRICES[seq] or 0) > 1.0:
            wanted[SYMS[seq]] = wanted.get(SYMS[seq], 0) + 1
    assert dict(counts) == wanted


def test_sqlalchemy_inspects(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert inspector.get_schema_names() == ["information_schema", "public"]
    assert inspector.has_table("quote")
    assert not inspector.has_table("nothing")
    assert inspector.get_view_names() == []
    assert inspector.get_pk_constraint("trade")["constrained_columns"] == []
    assert inspector.get_foreign_keys("trade") == []
    assert inspector.get_indexes("trade") == []


def test_pandas_reads_queries_tables_and_chunks(engine: sa.Engine) -> None:
    found = pd.read_sql(
        sa.text("SELECT time, sym, price FROM trade WHERE price > :least ORDER BY seq"),
        engine,
        params={"least": 2.0},
    )
    wanted = [seq for seq in TRADES if (PRICES[seq] or 0) > 2.0]
    assert str(found["time"].dtype) == "datetime64[us, UTC]"
    assert found["price"].tolist() == [PRICES[seq] for seq in wanted]
    assert found["time"].tolist() == [pd.Timestamp(time_of(seq)) for seq in wanted]
    assert pd.read_sql_table("trade", engine).shape == (len(TRADES), 13)
    with engine.connect().execution_options(stream_results=True) as connection:
        chunks = pd.read_sql(sa.text("SELECT * FROM trade"), connection, chunksize=70)
        assert [len(chunk) for chunk in chunks] == [70, 70, 60]


def test_a_statement_may_be_long_and_one_that_is_too_deep_is_refused(served: Served) -> None:
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        listed = ", ".join(map(str, range(0, 20_000, 2)))
        row = connection.execute(f"SELECT count(*) FROM trade WHERE seq IN ({listed})").fetchone()
        assert row == (len(TRADES),)
        for text in ("SELECT {}1{}", "SELECT {}1{} FROM pg_class", "SELECT {}time{} FROM trade"):
            with pytest.raises(psycopg.Error) as refused:
                connection.execute(text.format("(" * 20_000, ")" * 20_000))
            assert refused.value.sqlstate == "54001"
        deep = "+1" * 3000
        with contextlib.suppress(psycopg.Error):
            connection.execute(f"SELECT 1{deep} FROM pg_class LIMIT 1")
        assert connection.execute("SELECT 1").fetchone() == (1,)
