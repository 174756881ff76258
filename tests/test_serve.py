"""`tickloop serve` and `tickloop run --stay`: q and SQL clients over resting and live data."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ended, good, running, sql, tickloop, wait_for
from tests.gateway_process import Serving, serving, wait_until
from tickloop.analytics import connect
from tickloop.core.errors import QueryError
from tickloop.tickerplant import q_values as q

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "4")
RIGHTS = """
[users.narrow]
tables = ["quote"]
[users.little]
rows = 5
timeout_s = 3.0
[users.quant]
share = true
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("serve") / "day"
    good("run", *FEED, "--data", root)
    return root


@pytest.fixture(scope="module")
def served(captured: Path) -> Iterator[Serving]:
    rights = captured.with_name("rights.toml")
    rights.write_text(RIGHTS)
    with serving(captured, f'[query]\nworkers = 2\nrights = "{rights}"\n') as found:
        yield found


def test_q_and_sql_clients_see_what_was_captured(served: Serving, captured: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    expected = {row["sym"]: int(row["n"]) for row in sql(
        captured, "SELECT sym, count(*) AS n FROM trade GROUP BY sym"
    )}  # fmt: skip
    with served.client() as asking:
        found = asking.call("exec count i by sym from trade")
        assert isinstance(found, q.Dictionary)
        assert isinstance(found.keys, q.SymbolVector)
        assert isinstance(found.values, q.Vector)
        assert dict(zip(found.keys.names, found.values.data.tolist(), strict=True)) == expected
    with psycopg.connect(f"host=127.0.0.1 port={served.pg_port} dbname=tickloop") as connection:
        rows = connection.execute("SELECT sym, count(*) FROM trade GROUP BY sym").fetchall()
        assert dict(rows) == expected


def test_a_user_sees_the_tables_that_rights_name(served: Serving) -> None:
    with served.client("narrow") as narrow, served.client() as other:
        assert q.count_of(narrow.call("select[3] from quote")) == 3
        assert q.count_of(narrow.call("s)select * from quote limit 3")) == 3
        for hidden in ("trade", "select from trade", "count trade", "s)select * from trade",
                       'value "trade"', "usage"):  # fmt: skip
            with pytest.raises(QueryError):
                narrow.call(hidden)
        assert q.count_of(other.call("select[3] from trade")) == 3


def test_sql_clients_have_their_own_user_s_limits(served: Serving) -> None:
    psycopg = pytest.importorskip("psycopg")
    address = f"host=127.0.0.1 port={served.pg_port} dbname=tickloop user="
    endless = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
    with psycopg.connect(address + "little", autocommit=True) as connection:
        assert len(connection.execute("SELECT * FROM quote LIMIT 5").fetchall()) == 5
        for text in ("SELECT * FROM quote LIMIT 6", endless):
            with pytest.raises(psycopg.Error):
                connection.execute(text)
    with psycopg.connect(address + "other", autocommit=True) as connection:
        assert len(connection.execute("SELECT * FROM quote LIMIT 6").fetchall()) == 6


@pytest.mark.parametrize(
    "text",
    [
        "COPY (SELECT 1) TO '/tmp/never-written'", "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY quote FROM '/etc/passwd'", "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT * FROM read_text('/etc/passwd')) TO STDOUT", "ATTACH '/tmp/never-written'",
        "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true; SELECT 1",
        "SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')",
    ],
)  # fmt: skip
def test_sql_clients_reach_no_file(served: Serving, text: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    address = f"host=127.0.0.1 port={served.pg_port} dbname=tickloop"
    with psycopg.connect(address, autocommit=True) as connection:
        with pytest.raises(psycopg.Error), connection.cursor() as cursor:
            if "STDOUT" in text:
                with cursor.copy(text) as copy:
                    list(copy)
            cursor.execute(text)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not Path("/tmp/never-written").exists()


def test_what_one_user_shares_all_workers_have(served: Serving) -> None:
    with served.client("quant") as quant, served.client() as other:
        quant.call("spread:{exec avg ask-bid from quote where sym=x}")
        quant.call(".share.save`spread")
        assert other.call("spread first exec sym from quote") == quant.call(
            "spread first exec sym from quote"
        )
        with pytest.raises(QueryError, match="access: this user may not save shared names"):
            other.call(".share.save[`spread;1]")
        quant.call(".share.drop`spread")
        with pytest.raises(QueryError, match="spread"):
            other.call("spread")


def test_sql_clients_have_the_same_rights_and_are_noted(served: Serving) -> None:
    psycopg = pytest.importorskip("psycopg")
    address = f"host=127.0.0.1 port={served.pg_port} dbname=tickloop user=narrow"
    with psycopg.connect(address, autocommit=True) as connection:
        assert len(connection.execute("SELECT 40001 FROM quote LIMIT 2").fetchall()) == 2
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT * FROM trade")
    with served.client() as asking:
        noted = "s)select rows from usage where query like 'SELECT 40001%'"
        wait_until(lambda: q.count_of(asking.call(noted)) > 0)
        found = asking.call(noted)
        assert isinstance(found, q.Table)
        assert found["rows"] == q.vector(q.QType.LONG, [2])


def test_what_was_asked_can_be_asked_for_in_q(served: Serving) -> None:
    with served.client("accountant") as asking:
        asking.call("1+12345")
        count = 'count select from usage where query like "1+12345"'
        wait_until(lambda: asking.call(count) == q.long(1))


def test_the_banner_shows_lines_that_work(captured: Path) -> None:
    with running("serve", "--data", captured, "--q-port", "0", "--pg-port", "0") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline())
            assert lines[-1], "ended early"
        text = "".join(lines)
        line = re.search(r"connect\('(.*?)'\)\.q\('(.*?)'\)", text)
        assert line, text
        with connect(line[1]) as db:
            assert len(db.q(line[2])) > 0
        assert ended(process, signal.SIGINT).code == 0


def test_a_port_in_use_is_refused(served: Serving, captured: Path) -> None:
    taken = ("--data", captured, "--q-port", str(served.port), "--pg-port", "0")
    tickloop("serve", *taken).refused(f"port {served.port}")
    taken = ("--data", captured, "--q-port", "0", "--pg-port", str(served.pg_port))
    tickloop("serve", *taken).refused(f"{served.pg_port}")


def test_nothing_to_serve_is_refused(tmp_path: Path) -> None:
    tickloop("serve", "--data", tmp_path / "nowhere").refused("no such directory")


def test_a_run_that_stays_answers_on_live_data(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    data = tmp_path / "day"
    pace = ("--speed", "2000", "--cut-ms", "60000", "--port", "0")
    with running("run", *FEED, "--data", data, *pace, "--stay") as process:
        ports = wait_for(lambda: _ports(data), process)
        with connect(f"127.0.0.1:{ports['q']}") as db:
            counts = [db.q("count trade").numpy()]
            wait_until(lambda: db.q("count trade").numpy() > counts[0], 60.0)
            last = db.q("exec max seq from quote").numpy()
            assert last > 0
        with psycopg.connect(f"host=127.0.0.1 port={ports['pg']} dbname=day") as connection:
            row = connection.execute("SELECT max(seq) FROM quote").fetchone()
            assert row[0] >= last
        done = ended(process, signal.SIGINT)
        assert done.code == 0, (done.out, done.err)
    assert f"q clients on port {ports['q']}" in done.err


def test_a_gateway_ends_with_the_run_that_started_it(tmp_path: Path) -> None:
    data = tmp_path / "day"
    with running("run", *FEED, "--data", data, "--port", "0", "--stay") as process:
        ports = wait_for(lambda: _ports(data), process)
        with connect(f"127.0.0.1:{ports['q']}") as db:
            assert db.q("1+1").numpy() == 2
        process.kill()
        wait_until(lambda: not _is_open(ports["q"]) and not _is_open(ports["pg"]), 60.0)


def _is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _ports(data: Path) -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads((data / "run.json").read_text())["ports"]
    except (FileNotFoundError, ValueError):
        return {}
    return found if "q" in found else {}
