"""Answers in pieces: the same rows as at once, from a directory and a server, in bounded memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.capture import DOOR
from tests.gateway_process import serving
from tickloop.analytics import Connection, connect
from tickloop.analytics.gateway.engine import Engine, Shared
from tickloop.analytics.gateway.rights import Rights
from tickloop.core.batch import Columns
from tickloop.core.errors import QueryError
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.hdb import write_partition

FIRST = date(2024, 3, 4)
ROWS = 1000
DAY_NS = 86_400 * 10**9


def write(root: Path, days: int, rows: int) -> Path:
    """Write days of trades."""
    names = Symbols(["S0", "S1", "S2", "S3"])
    for number in range(days):
        draw = np.random.default_rng(number)
        day = FIRST + timedelta(days=number)
        time = np.sort(draw.integers(0, DAY_NS // 4, rows)) + (day - date(2000, 1, 1)).days * DAY_NS
        nulls = np.full(rows, -1, dtype=np.int32)
        seq = np.arange(rows, dtype=np.int64) + number * rows
        columns: Columns = {
            "time": time, "sym": draw.integers(0, 4, rows).astype(np.int32),
            "price": np.round(draw.random(rows) * 100, 2), "size": draw.integers(1, 500, rows),
            "side": np.full(rows, 66, dtype=np.uint8), "cond": nulls, "ex": nulls,
            "trade_id": seq, "venue_time": time, "seq": seq,
        }  # fmt: skip
        write_partition(root, day, TRADE, columns, names, door=DOOR)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("streams") / "db", 3, ROWS)


@pytest.fixture(scope="module")
def port(root: Path) -> Iterator[int]:
    with serving(root, "[query]\nworkers = 2\n") as served:
        yield served.port


@pytest.fixture(params=["directory", "server"])
def db(request: pytest.FixtureRequest, root: Path) -> Iterator[Connection]:
    if request.param == "directory":
        where: Path | str = root
    else:
        where = f"127.0.0.1:{request.getfixturevalue('port')}"
    with connect(where) as found:
        yield found


QUERIES = [
    "select from trade",
    "select time,sym,price from trade where sym=`S1",
    "select time,sym,twice:2*price from trade where date>2024.03.04,sym in `S1`S2,price>50",
    "select from trade where price>1000",
    "select from trade where date=2031.01.01",
    'select time.minute,sym,n:price*size from trade where sym like "S[01]"',
    # Each row here depends on others, so that pieces by themselves would be wrong.
    "select n:count i,sum size from trade",
    "select sum size by sym from trade",
    "select sums size,prev price from trade",
    "select price,i from trade where i<3",
    "select from trade where price=max price",
    "select[7;>price] time,price from trade",
    "select distinct sym from trade",
    "exec price from trade",
    "til 1000",
    "([sym:`a`b]n:1 2)",
]


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("rows", [64, 100_000])
def test_pieces_of_q_are_the_whole(db: Connection, text: str, rows: int) -> None:
    import polars as pl

    found = [result.polars() for result in db.stream_q(text, rows=rows)]
    assert max(map(len, found)) <= rows
    whole = db.q(text).polars()
    as_text = pl.selectors.by_dtype(pl.Categorical)
    joined = pl.concat([frame.with_columns(as_text.cast(pl.String)) for frame in found])
    assert joined.equals(whole.with_columns(as_text.cast(pl.String)))


def test_arguments_stand_where_the_function_names_them(db: Connection) -> None:
    text = "{[s;low]select time,price from trade where sym in s,price>low}"
    found = [r.numpy()["price"] for r in db.stream_q(text, ["S1", "S3"], 30.0, rows=50)]
    assert len(found) > 10
    expected = db.q(text, ["S1", "S3"], 30.0).numpy()["price"]
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("rows", [64, 5000])
def test_pieces_of_sql_are_the_whole(db: Connection, rows: int) -> None:
    text = "SELECT time, sym, price FROM trade WHERE price > ? ORDER BY seq"
    found = [result.pandas() for result in db.stream_sql(text, 10.0, rows=rows)]
    assert max(map(len, found)) <= rows
    whole = db.sql(text, 10.0).pandas()
    for name in ("time", "price"):
        np.testing.assert_array_equal(
            np.concatenate([frame[name].to_numpy() for frame in found]), whole[name].to_numpy()
        )
    empty = list(db.stream_sql("SELECT sym FROM trade WHERE price < 0"))
    assert [len(result) for result in empty] == [0]
    assert empty[0].arrow().column_names == ["sym"]


def test_a_stream_left_early_or_wrong_leaves_the_connection_as_it_was(db: Connection) -> None:
    for stream in (db.stream_q("select from trade", rows=10),
                   db.stream_sql("SELECT * FROM trade", rows=10)):  # fmt: skip
        assert len(next(stream)) == 10
        assert db.q("1+1").numpy() == 2
        stream.close()
    with pytest.raises(QueryError, match="nowhere"):
        list(db.stream_q("select from nowhere"))
    with pytest.raises(QueryError, match="nowhere"):
        list(db.stream_sql("SELECT * FROM nowhere"))
    with pytest.raises(QueryError, match="one at least"):
        list(db.stream_q("select from trade", rows=0))
    with pytest.raises(QueryError, match="a table or a list expected"):
        list(db.stream_q("1+1"))
    assert db.q("1+1").numpy() == 2


def test_a_user_s_rows_are_counted_over_all_pieces(root: Path) -> None:
    engine = Engine(Shared(root), Rights(rows=150, write=False))
    for call, text in ((".stream.q", "select from trade"), (".stream.sql", "SELECT * FROM trade")):
        engine.evaluate(q.items(q.symbol(call), q.chars(text), q.long(100)), "anyone")
        assert engine.has_state
        following = q.items(q.symbol(".stream.next"), q.IDENTITY)
        assert q.count_of(engine.evaluate(following, "anyone")) == 100
        with pytest.raises(QueryError, match="limit: more than 150 rows"):
            engine.evaluate(following, "anyone")
        assert not engine.has_state
    with pytest.raises(QueryError, match="nothing is streamed"):
        engine.evaluate(following, "anyone")


_BOUNDED = """
import sys
from tickloop.analytics import connect
from tickloop.analytics.gateway.limits import cap_memory
db = connect(sys.argv[1])
asked = {"q": "select from trade where price>1", "sql": "SELECT * FROM trade WHERE price > 1"}
stream, whole = (db.stream_q, db.q) if sys.argv[2] == "q" else (db.stream_sql, db.sql)
text = asked[sys.argv[2]]
next(stream(text, rows=20_000))
cap_memory(int(sys.argv[3]) << 20)
print(sum(len(found) for found in stream(text, rows=20_000)))
try:
    print(len(whole(text)))
except Exception as error:
    print("refused", type(error).__name__)
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize("language", ["q", "sql"])
def test_memory_does_not_grow_with_the_answer(tmp_path: Path, language: str) -> None:
    root = write(tmp_path / "db", 3, 500_000)
    with connect(root) as db:
        expected = int(db.q("exec count i from trade where price>1").numpy())
    # The answer is some 100 MB; DuckDB keeps its own buffers beside it.
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, str(root), language, "32"],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
             "ARROW_DEFAULT_MEMORY_POOL": "system"},
    )  # fmt: skip
    told = done.stdout.split("\n")
    assert told[0] == str(expected), (done.stdout, done.stderr)
    assert told[1].startswith("refused"), (done.stdout, done.stderr)
