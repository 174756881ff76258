"""Clients that others wrote ask the gateway as they ask kdb+."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import good
from tests.gateway_process import Serving, serving
from tickloop.core.errors import QueryError
from tickloop.tickerplant import q_values as q

TABLE = "t:([]sym:`a`b`a;price:1.5 2.5 3.5;size:10 20 30)"
BY_SYM = "select vwap:size wavg price by sym from t"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    root = tmp_path_factory.mktemp("clients") / "data"
    root.mkdir()
    with serving(root, "[query]\nworkers = 2\n") as found:
        yield found


@pytest.mark.parametrize("no_ctx", [False, True])
def test_pykx_connects_and_asks_in_both_modes(served: Serving, kx: Any, no_ctx: bool) -> None:
    with kx.SyncQConnection("127.0.0.1", served.port, no_ctx=no_ctx) as asking:
        assert asking("1+1").py() == 2
        assert asking("{x+y}", 3, [1, 2]).py() == [4, 5]
        asking(TABLE)
        frame = asking(f"0!{BY_SYM}").pd().set_index("sym")
        assert frame["vwap"].to_dict() == {"a": 3.0, "b": 2.5}
        assert asking("t").pd()["size"].tolist() == [10, 20, 30]
        with pytest.raises(kx.QError, match="nothing_here"):
            asking("nothing_here")
        if not no_ctx:
            asking["mine"] = 7
            assert asking("mine+1").py() == 8
            assert asking["mine"].py() == 7
        asking("posted:5", wait=False)
        assert asking("posted").py() == 5


def test_pykx_calls_functions_of_its_context(served: Serving, kx: Any) -> None:
    with kx.SyncQConnection("127.0.0.1", served.port) as asking:
        assert asking.q.til(3).py() == [0, 1, 2]


def test_pykx_asks_in_sql(served: Serving, kx: Any) -> None:
    with kx.SyncQConnection("127.0.0.1", served.port) as asking:
        assert asking.sql("select 6*7 as answer").pd()["answer"].tolist() == [42]


async def _ask_pykx(kx: Any, port: int) -> list[Any]:
    async with kx.AsyncQConnection("127.0.0.1", port, no_ctx=True) as asking:
        return [(await asking("1+1")).py(), (await asking("til 3")).py()]


def test_pykx_s_asynchronous_connection_asks(served: Serving, kx: Any) -> None:
    import asyncio

    assert asyncio.run(_ask_pykx(kx, served.port)) == [2, [0, 1, 2]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:qpython")
def test_qpython_connects_and_asks(served: Serving) -> None:
    connection = pytest.importorskip("qpython.qconnection")
    with connection.QConnection(host="127.0.0.1", port=served.port) as asking:
        assert asking.sendSync("1+1") == 2
        assert asking.sendSync("{x+y}", np.int64(1), np.int64(2)) == 3
        assert list(asking.sendSync("`a`b")) == [b"a", b"b"]
        asking.sendSync(TABLE)
        found = asking.sendSync("t")
        assert found["price"].tolist() == [1.5, 2.5, 3.5]
        assert asking.sendSync(BY_SYM).keys["sym"].tolist() == [b"a", b"b"]
        with pytest.raises(Exception, match="nothing_here"):
            asking.sendSync("nothing_here")


def test_kola_connects_and_asks(served: Serving) -> None:
    kola = pytest.importorskip("kola")
    asking = kola.Q("127.0.0.1", served.port)
    asking.connect()
    assert asking.sync("1+1") == 2
    assert asking.sync("{x+y}", 1, 2) == 3
    asking.sync(TABLE)
    frame = asking.sync("t")
    assert frame["price"].to_list() == [1.5, 2.5, 3.5]
    assert frame["sym"].cast(str).to_list() == ["a", "b", "a"]
    asking.asyn("posted:5")
    assert asking.sync("posted") == 5
    with pytest.raises(Exception, match="nothing_here"):
        asking.sync("nothing_here")
    asking.disconnect()


def _dictionary(**fields: q.Value) -> q.Value:
    return q.Dictionary(q.symbols(fields), q.List(tuple(fields.values())))


def grafana(text: str) -> q.Value:
    """Spell a query as the Grafana backend plugin does."""
    window = q.vector(q.QType.TIMESTAMP, [0, 10**18])
    query = _dictionary(
        RefID=q.symbol("A"), Query=q.chars(text), QueryType=q.symbol("QUERY"),
        MaxDataPoints=q.long(100), Interval=q.long(1000), TimeRange=window,
    )  # fmt: skip
    asked = _dictionary(
        AQUAQ_KDB_BACKEND_GRAF_DATASOURCE=q.float_atom(1.0), Time=q.timestamp(5),
        OrgID=q.long(1), Datasource=_dictionary(Name=q.chars("kdb")),
        User=_dictionary(Login=q.chars("admin")), Query=query, Timeout=q.long(10000),
    )  # fmt: skip
    return q.items(q.chars("{[x] value x[`Query;`Query]}"), asked)


def test_the_grafana_plugin_s_messages_are_answered(served: Serving) -> None:
    with served.client() as asking:
        assert asking.call(grafana("1+1")) == q.long(2)
        asking.call(TABLE)
        found = asking.call(grafana("select from t where price>2"))
        assert isinstance(found, q.Table)
        assert found["size"] == q.vector(q.QType.LONG, [20, 30])
        assert q.is_keyed_table(asking.call(grafana(BY_SYM)))
        with pytest.raises(QueryError, match="nothing_here"):
            asking.call(grafana("nothing_here"))


def test_grafana_s_bounds_of_time_are_instants(served: Serving) -> None:
    with served.client() as asking:
        found = asking.call('"P"$.Q.f[3] 1700000000000%1000')
        assert found == q.timestamp((1_700_000_000 - 946_684_800) * 10**9)


def test_a_plain_directory_of_anyone_is_served(tmp_path: Path) -> None:
    with serving(tmp_path, "[query]\nworkers = 2\n") as found, found.client() as asking:
        assert asking.call("count tables[]") in (q.long(0), q.long(1))


# What the first page says


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    root = tmp_path_factory.mktemp("first-page") / "day"
    feed = ("--feed", "synthetic:2024-01-02", "--symbols", "10", "--messages", "20000")
    good("run", *feed, "--data", root)
    with serving(root, "[query]\nworkers = 2\n") as found:
        yield found


FIRST_PAGE = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_first_page_s_q_lines_work_as_they_stand(day: Serving, kx: Any) -> None:
    blocks = re.findall(r"```python\n(.*?)```", FIRST_PAGE, re.DOTALL)
    (typed,) = [block for block in blocks if "wj[" in block]
    assert "5011" in typed, "the default port expected"
    done = subprocess.run(
        [sys.executable, "-c", typed.replace("5011", str(day.port)) + "print(len(q('t')))"],
        env={**os.environ, "PYKX_UNLICENSED": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "100", done.stderr


def test_the_first_page_s_psql_lines_work_as_they_stand(day: Serving) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed here")
    lines = [line for line in FIRST_PAGE.splitlines() if line.startswith("psql ")]
    assert len(lines) == 2
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line.replace("5433", str(day.pg_port))],
            env={**os.environ, "PAGER": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "time" in done.stdout
