"""What tools look up over the Postgres port: Grafana's queries, JDBC's metadata, psql's \\d."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.capture import CATALOG
from tests.pg_wire import Served, data, opener

JDBC = "org.postgresql:postgresql:42.7.4"
COPY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
Psycopg = psycopg.Connection[tuple[Any, ...]]
COLUMNS = ["time", "sym", "price", "size", "side", "cond", "ex", "trade_id", "venue_time", "seq"]
SHOWN = [*COLUMNS, "date", "time_ns", "venue_time_ns"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = opener(data(tmp_path_factory.mktemp("data")))
    server = Served(made)
    yield server
    assert server.server.counts["internal"] == 0
    server.close()
    made.close()


@pytest.fixture(scope="module")
def connection(served: Served) -> Iterator[Psycopg]:
    # Grafana sends simple queries with texts in place.
    with psycopg.connect(
        served.dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as made:
        yield made


def rows(connection: Psycopg, text: str) -> list[tuple[Any, ...]]:
    return connection.execute(text).fetchall()


SEARCHED = """(
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(
        array_lower(string_to_array(current_setting('search_path'),','),1),
        array_upper(string_to_array(current_setting('search_path'),','),1)
    ) as i, string_to_array(current_setting('search_path'),',') s
)"""


def test_grafana_finds_versions_schemas_tables_and_columns(connection: Psycopg) -> None:
    assert connection.execute("-- ping").description is None
    version = "SELECT current_setting('server_version_num')::int/100 as version"
    assert rows(connection, version) == [(1500,)]
    assert rows(connection, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'") == []  # noqa: E501  # fmt: skip
    schemas = "SELECT quote_ident(schema_name) FROM information_schema.schemata WHERE schema_name NOT LIKE 'pg_%' AND schema_name <> 'information_schema'"  # noqa: E501  # fmt: skip
    assert rows(connection, schemas) == [("public",)]
    tables = f"""select case when table_schema IN {SEARCHED} then quote_ident(table_name)
        else quote_ident(table_schema) || '.' || quote_ident(table_name) end as "table"
        from information_schema.tables
        where quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog',
        '_timescaledb_cache') and table_type = 'BASE TABLE' and table_schema IN {SEARCHED}"""
    assert {name for (name,) in rows(connection, tables)} == {table.name for table in CATALOG}
    for spelled in ("trade", "public.trade", '"public"."trade"'):
        columns = f"""select quote_ident(column_name) as "column", data_type as "type"
            from information_schema.columns where
            CASE WHEN array_length(parse_ident('{spelled}'),1) = 2
            THEN quote_ident(table_schema) = (parse_ident('{spelled}'))[1]
              AND quote_ident(table_name) = (parse_ident('{spelled}'))[2]
            ELSE quote_ident(table_name) = '{spelled}' AND table_schema IN {SEARCHED} END"""
        found = rows(connection, columns)
        assert [name for name, _ in found] == SHOWN
        assert dict(found)["time"] == "timestamp with time zone"


def test_grafanas_time_macros_find_the_rows_of_their_range(connection: Psycopg) -> None:
    first, last = "'2024-01-02T01:00:00.123Z'", "'2024-01-02T02:00:00Z'"
    kept = rows(connection, f"SELECT seq FROM trade WHERE time BETWEEN {first} AND {last}")
    assert [seq for (seq,) in kept] == [seq for seq in range(61, 121) if seq % 2 == 0]
    nanos = rows(
        connection,
        "SELECT count(*) FROM trade"
        " WHERE time_ns >= 1704157200123000000 AND time_ns <= 1704160800000000000",
    )
    assert nanos == [(30,)]
    micros = rows(
        connection,
        "SELECT count(*) FROM trade WHERE time >= cast(1704157200123000 as timestamp)"
        " AND time <= cast(1704160800000000 as timestamp)",
    )
    assert micros == [(30,)]
    grouped = (
        'SELECT floor(extract(epoch from time)/3600)*3600 AS "time", count(*) AS value'
        " FROM trade GROUP BY 1 ORDER BY 1"
    )
    hours = [(1704153600 + 3600 * hour, 30) for hour in range(6)]
    assert rows(connection, grouped) == [*hours, (1704153600 + 6 * 3600, 20)]
    bucket = "SELECT time_bucket('3600.000s', time) AS \"time\", count(*) FROM trade GROUP BY 1 ORDER BY 1"  # noqa: E501  # fmt: skip
    assert [(int(time.timestamp()), n) for time, n in rows(connection, bucket)][:6] == hours


def test_questdbs_plugin_finds_its_tables_and_columns(connection: Psycopg) -> None:
    tables = rows(connection, "select table_name, partitionBy, designatedTimestamp, walEnabled, dedup from tables()")  # noqa: E501  # fmt: skip
    assert {(name, time) for name, _, time, _, _ in tables} == {(t.name, "time") for t in CATALOG}
    columns = rows(connection, "select \"column\", type, designated from table_columns('trade')")
    assert [name for name, _, _ in columns] == SHOWN
    assert [name for name, _, designated in columns if designated] == ["time"]


def test_names_and_numbers_of_relations_and_types_lead_to_each_other(connection: Psycopg) -> None:
    ((oid, name),) = rows(connection, "SELECT 'trade'::regclass::oid, 'trade'::regclass")
    assert name == "trade"
    assert rows(connection, f"SELECT relname, {oid}::regclass FROM pg_class WHERE oid = {oid}") == [("trade", "trade")]  # noqa: E501  # fmt: skip
    types = (
        "SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
        " WHERE a.attrelid = 'public.trade'::regclass AND a.attnum > 0 ORDER BY a.attnum"
    )
    described = connection.execute("SELECT * FROM trade LIMIT 0").description or ()
    spelled = [rows(connection, f"SELECT {c.type_code}::regtype::text") for c in described]
    assert rows(connection, types) == [found[0] for found in spelled]


def test_a_table_that_comes_later_is_found(tmp_path: Path) -> None:
    made = opener(data(tmp_path, rows=8))
    server = Served(made)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        count = "SELECT count(*) FROM pg_tables"
        assert connection.execute(count).fetchone() == (len(CATALOG.tables),)
    server.close()
    made.close()


@pytest.mark.parametrize("command", ["\\l", "\\dn", "\\dt", "\\d", "\\d trade", "\\d+ trade", "\\df", "\\du", "\\dp", "\\dS pg_class", "\\dt *.*", "\\dT+", "\\dO", "\\dC", "\\dd", "\\dL", "\\do", "\\dconfig", "\\l+", "\\dt+", "\\dn+", "\\db+"])  # noqa: E501  # fmt: skip
def test_psql_finds_its_way(served: Served, command: str) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is absent (package postgresql-client)")
    done = subprocess.run(
        ["psql", "-X", "-A", "-t", "-c", command, served.dsn()],
        capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    if command in ("\\dt", "\\d"):
        names = sorted(table.name for table in CATALOG)
        assert [line.split("|")[1] for line in lines] == names
    if command.endswith(" trade"):
        assert [line.split("|")[0] for line in lines[: len(SHOWN)]] == SHOWN


@pytest.fixture(scope="module")
def jdbc(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compile the program and give its class path."""
    if not all(map(shutil.which, ("java", "javac", "mvn"))):
        pytest.skip("java, javac or mvn, which fetches the driver, is absent")
    folder = tmp_path_factory.mktemp("jdbc")
    got = subprocess.run(
        ["mvn", "-q", "-B", COPY_PLUGIN, f"-Dartifact={JDBC}", f"-DoutputDirectory={folder}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    jars = list(folder.glob("*.jar"))
    if not jars:
        pytest.skip(f"the driver {JDBC} cannot be fetched: {got.stdout[-300:]}")
    source = Path(__file__).parent / "java" / "JdbcProbe.java"
    subprocess.run(["javac", "-d", folder, source], check=True)
    return os.pathsep.join(map(str, (folder, *jars)))


def test_jdbc_programs_and_tools_find_all_that_they_ask_for(served: Served, jdbc: str) -> None:
    place = f"jdbc:postgresql://127.0.0.1:{served.port}/tickloop"
    done = subprocess.run(
        ["java", "-Duser.timezone=America/New_York", "-cp", jdbc, "JdbcProbe", place, "ana", "x"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert [what for what, seen in found.items() if "FAILED" in seen] == []
    assert found["tables"] == "clock,note,quote,trade"
    assert found["columns"].startswith(
        "time timestamptz 93,sym text 12,price float8 8,size int8 -5"
    )
    assert found["schemas"] == "information_schema,pg_catalog,public"
    assert found["catalogs"] == "tickloop"
    assert found["prepared"] == "float8 " + " ".join(["10/21.5"] * 7)
    assert found["types"] == (
        "2024-01-02T00:02Z null 0.5 null null 2024-01-02 2 1.25 true 10:11:12"
        " 6ba7b810-9dad-11d1-80b4-00c04fd430c8 2 39800"
    )
    assert found["fetch size"] == "200"
    assert found["result metadata"] == "sym text, price float8 2"
    assert (found["error"], found["timeout"], found["valid"]) == ("42703", "57014", "true")
