"""The Postgres port beside a real PostgreSQL: the same columns, types, values, tags and errors."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest

from tests import postgres_server
from tests.capture import CATALOG
from tests.pg_wire import Served, data, opener
from tickloop.core.dialects import postgres

Psycopg = psycopg.Connection[tuple[Any, ...]]
PORT = 54_331


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Psycopg]:
    try:
        with postgres_server.postgres(tmp_path_factory.mktemp("postgres"), PORT) as connection:
            yield connection
    except postgres_server.AbsentError as error:
        pytest.skip(f"the oracle of this test is not there: {error}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = opener(data(tmp_path_factory.mktemp("data")))
    server = Served(made)
    yield server
    server.close()
    made.close()


@pytest.fixture(scope="module")
def both(real: Psycopg, served: Served) -> Iterator[tuple[Psycopg, Psycopg]]:
    with psycopg.connect(served.dsn(), autocommit=True) as ours:
        for table in CATALOG:
            columns = ours.execute(f"SELECT * FROM {table.name} LIMIT 0").description or []
            real.execute(postgres.create(table))
            real.execute(f"ALTER TABLE {table.name} ADD COLUMN date date")
            listed = ", ".join(column.name for column in columns)
            with (
                ours.cursor().copy(f"COPY {table.name} ({listed}) TO STDOUT BINARY") as source,
                real.cursor().copy(f"COPY {table.name} ({listed}) FROM STDIN BINARY") as target,
            ):
                for piece in source:
                    target.write(piece)
        yield real, ours


def seen(connection: Psycopg, text: str, values: Sequence[object], *, binary: bool) -> object:
    """Ask, and give all that a client can tell of the answer."""
    try:
        cursor = connection.execute(text, values or None, binary=binary)
    except psycopg.Error as error:
        return error.sqlstate
    columns = [(c.name, c.type_code, c.internal_size) for c in cursor.description or ()]
    rows = range(cursor.rowcount if columns else 0)
    raw = [[cursor.pgresult.get_value(row, c) for c in range(len(columns))] for row in rows]  # type: ignore[union-attr]  # fmt: skip
    return cursor.statusmessage, columns, raw


QUERIES = [
    "SELECT seq, sym, price, time, date, time_ns FROM trade ORDER BY seq",
    "SELECT count(*), min(time), max(price), sum(price), count(DISTINCT sym) FROM trade",
    "SELECT sym, count(*) AS n, min(price) AS low FROM trade GROUP BY sym ORDER BY sym NULLS LAST",
    "SELECT date_trunc('hour', time) AS hour, max(price) FROM trade GROUP BY 1 ORDER BY 1",
    "SELECT seq FROM trade WHERE time BETWEEN '2024-01-02T01:00:00.123Z' AND '2024-01-02T02:00:00Z' ORDER BY 1",  # noqa: E501
    "SELECT seq FROM trade WHERE time > timestamptz '2024-01-02 03:00:00+01' ORDER BY 1",
    "SELECT seq FROM trade WHERE sym ~ '^A' AND sym !~* 'b' AND sym LIKE 'A%' ORDER BY seq",
    "SELECT 7 / 2, 7 % 3, -7 / 2, 7 / 2.0::float8, 2::smallint, 3::bigint, true, NOT true",
    "SELECT 'a' || 'b', upper('x'), 'äö', 'it''s', E'a\\tb', NULL, $$dollar$$",
    "SELECT 1e15::float8, 1e14::float8, 123456789012345::float8, 1e-4::float8, 1e-5::float8, 0.1::real, 1e6::real, -0.0::float8",  # noqa: E501
    "SELECT 'NaN'::float8, 'Infinity'::float8, '-Infinity'::float8, 1.7976931348623157e308::float8",
    "SELECT '2024-02-29'::date, '0044-03-15'::date, 'infinity'::date, '-infinity'::date",
    "SELECT '2024-02-29 12:00:00.5'::timestamp, '2024-01-01 00:00:00.000001+00'::timestamptz",
    "SELECT 'infinity'::timestamptz, '-infinity'::timestamp, '12:34:56.789'::time",
    "SELECT interval '1 year 2 months 3 days 4 hours 5.5 seconds', interval '-1 day', interval '0'",
    "SELECT time AT TIME ZONE 'America/New_York' AS local FROM trade ORDER BY seq LIMIT 3",
    "SELECT extract(epoch FROM time)::float8 AS e FROM trade ORDER BY seq LIMIT 3",
    "SELECT floor(extract(epoch FROM time)::float8 / 300) * 300 AS t FROM trade ORDER BY 1 LIMIT 3",
    "SELECT true AND NULL, NULL OR true, 1 IS DISTINCT FROM NULL, coalesce(NULL, 5)",
    "SELECT CASE WHEN price > 50 THEN 'high' ELSE 'low' END FROM trade ORDER BY seq",
    "SELECT row_number() OVER (ORDER BY seq) FROM trade ORDER BY seq LIMIT 5",
    "SELECT lag(price) OVER (PARTITION BY sym ORDER BY seq) FROM trade ORDER BY seq",
    "SELECT DISTINCT ON (sym) sym, seq FROM trade ORDER BY sym, seq DESC",
    "WITH a AS (SELECT seq FROM trade WHERE seq < 9) TABLE a UNION ALL SELECT 99 ORDER BY 1",
    "SELECT ARRAY[1, 2, NULL], ARRAY['a b', NULL, 'NULL', '', '\"'], ARRAY[1.5::float8]",
    "SELECT t.seq, q.seq FROM trade t JOIN quote q ON q.seq = t.seq + 1 ORDER BY 1 LIMIT 5",
    "SELECT seq FROM public.trade WHERE seq IN (SELECT max(seq) FROM \"public\".\"trade\")",
    "SELECT 5::numeric(10, 2), -0.001::numeric(6, 3), 123456789.25::numeric(14, 2), 0::numeric(4)",
    "SELECT '\\xdeadbeef'::bytea, ''::bytea, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid",
    "SELECT (SELECT max(seq) FROM trade), EXISTS (SELECT 1), (ARRAY[4, 5])[2]",
    "SELECT string_agg(sym, ',' ORDER BY seq) FROM trade",
    "SELECT max(price) FILTER (WHERE sym = 'AAA') FROM trade",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median FROM trade",
    "SELECT seq FROM trade ORDER BY seq OFFSET 3 LIMIT 2",
    "SELECT",
    "SELECT nothing FROM trade",
    "SELECT * FROM nothing",
    "SELEC 1",
    "SELECT nothing(1)",
    "SELECT 'x'::int",
    "SELECT 40000::smallint",
    "SELECT 9223372036854775807 + 1",
    "SELECT sym, price FROM trade GROUP BY sym",
    "SELECT time FROM trade, quote",
    "SELECT (SELECT seq FROM trade)",
    "SELECT '2024-99-01'::date",
    "SHOW transaction_isolation",
    "SHOW standard_conforming_strings",
    "SET application_name = 'x'",
    "RESET application_name",
    "SET nothing = 1",
    "DISCARD ALL",
    "DEALLOCATE ALL",
    "CLOSE nothing",
    "FETCH nothing",
    "SAVEPOINT a",
]  # fmt: skip


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("text", QUERIES)
def test_queries_answer_as_in_postgresql(
    both: tuple[Psycopg, Psycopg], text: str, binary: bool
) -> None:
    if text == "SELECT":
        pytest.skip("DuckDB has no result without columns")
    expected, found = (seen(connection, text, (), binary=binary) for connection in both)
    assert found == expected


ASKED: list[tuple[str, list[object]]] = [
    ("SELECT seq FROM trade WHERE sym = %s AND price > %s ORDER BY seq", ["AAA", 20.5]),
    ("SELECT count(*) FROM trade WHERE seq = ANY(%s)", [[2, 4, 6]]),
    ("SELECT count(*) FROM trade WHERE sym = ANY(%s)", [["AAA", "BBB"]]),
    ("SELECT count(*) FROM trade WHERE date = %s", ["2024-01-02"]),
    ("SELECT seq FROM trade ORDER BY seq LIMIT %s OFFSET %s", [3, 2]),
    ("SELECT %s::int + 1, %s::text, %s::float8, %s::bool", [1, "x", 0.5, True]),
    ("SELECT count(*) FROM trade WHERE seq < %s + 10", [20]),
    ("SELECT count(*) FROM trade WHERE sym = %s", [None]),
    ("SELECT %s", ["text"]),
    ("SELECT count(*) FROM trade WHERE price = %s", ["nothing"]),
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(("text", "values"), ASKED)
def test_parameters_are_taken_as_in_postgresql(
    both: tuple[Psycopg, Psycopg], text: str, values: list[object], binary: bool
) -> None:
    expected, found = (seen(connection, text, values, binary=binary) for connection in both)
    assert found == expected


@pytest.mark.parametrize(
    "options",
    ["", "CSV", "CSV HEADER", "(FORMAT csv, HEADER true, DELIMITER ';', NULL 'nix', QUOTE '''')",
     "(FORMAT csv, FORCE_QUOTE (sym))", "(FORMAT csv, FORCE_QUOTE *)", "(FORMAT binary)",
     "WITH (DELIMITER '|', NULL '')", "(DELIMITER 'A')", "WITH NULL AS 'x'"],
)  # fmt: skip
def test_copies_are_those_of_postgresql(both: tuple[Psycopg, Psycopg], options: str) -> None:
    query = (
        "SELECT seq, sym, price, time, date, CASE seq WHEN 2 THEN E'a\\tb\\n\\\\' WHEN 4 THEN"
        " 'say \"x\", ''y''; |' WHEN 6 THEN '' WHEN 8 THEN 'nix' END AS note"
        " FROM trade WHERE seq < 40 ORDER BY seq"
    )
    copied = []
    for connection in both:
        with connection.cursor().copy(f"COPY ({query}) TO STDOUT {options}") as copy:
            copied.append(b"".join(bytes(piece) for piece in copy))
    assert copied[1] == copied[0]


@pytest.fixture
def psql(real: Psycopg, served: Served) -> Callable[[str], list[str]]:
    if shutil.which("psql") is None:
        pytest.skip("psql is absent (package postgresql-client)")
    places = [
        f"host={real.info.host} port={PORT} user=postgres dbname=postgres",
        served.dsn(),
    ]

    def run(command: str) -> list[str]:
        done = [
            subprocess.run(
                ["psql", "-X", "-A", "-c", command, place], capture_output=True, text=True,
                check=False, env={**os.environ, "LC_ALL": "C"},
            )
            for place in places
        ]  # fmt: skip
        return [result.stdout + result.stderr for result in done]

    return run


@pytest.mark.parametrize("command", ["\\di", "\\dv", "\\ds", "\\dm", "\\d nothing", "\\df", "\\dD", "\\dRp", "\\drds", "\\dt trade", "\\dx+ nothing", "\\dT", "\\da nothing", "\\dy", "\\des", "\\dew", "\\dP", "\\dX", "\\ddp", "\\dRs", "\\encoding"])  # noqa: E501  # fmt: skip
def test_psql_shows_what_it_shows_of_postgresql(
    both: tuple[Psycopg, Psycopg], psql: Callable[[str], list[str]], command: str
) -> None:
    expected, found = psql(command)
    assert found == expected.replace("postgres", "tickloop")


def test_psql_describes_a_table_as_it_does_one_of_postgresql(
    both: tuple[Psycopg, Psycopg], psql: Callable[[str], list[str]]
) -> None:
    expected, found = (set(text.splitlines()) for text in psql("\\d trade"))
    assert found == expected
