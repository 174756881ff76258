"""Values to and from PyKX, and tickerplants through its connections, all without a licence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import sql
from tests.fake_tickerplant import tickerplant
from tests.plant_process import PlantProcess, plant_process
from tests.plants import trades
from tickloop.analytics import connect, kdb
from tickloop.analytics.gateway.result import Result
from tickloop.analytics.q.session import Session
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import surface_dtype
from tickloop.core.errors import ConfigError, QueryError, SchemaError, WireError
from tickloop.core.schema import TRADE, Kind
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.pykx_link import from_pykx, to_pykx

pytestmark = [
    pytest.mark.usefixtures("kx"),
    # PyKX advises against q's datetime, which old tables have.
    pytest.mark.filterwarnings("ignore:The q datetime type is deprecated:DeprecationWarning"),
]

WHOLE = [kind for kind, dtype in q.DTYPES.items() if dtype[1] in "iu" and kind is not q.QType.CHAR]
FLOATING = [q.QType.REAL, q.QType.FLOAT, q.QType.DATETIME]


@st.composite
def vectors(draw: st.DrawFn) -> q.Value:
    """Vectors of any type, with nulls and infinities; symbols, strings and mixed lists too."""
    kind = draw(st.sampled_from(list(q.QType)))
    if kind is q.QType.SYMBOL:
        return q.symbols(draw(st.lists(st.sampled_from(["", "a", "bc", "é", "a b"]), max_size=5)))
    if kind is q.QType.GUID:
        return q.vector(kind, draw(st.lists(st.binary(min_size=16, max_size=16), max_size=4)))
    if kind is q.QType.CHAR:
        return q.chars(draw(st.binary(max_size=6)))
    dtype = np.dtype(q.DTYPES[kind])
    if kind in FLOATING:
        numbers = st.floats(width=dtype.itemsize * 8)  # type: ignore[arg-type]
        return q.vector(kind, np.array(draw(st.lists(numbers, max_size=5)), dtype=dtype))
    limits = np.iinfo(dtype)
    low, high = (0, 1) if kind is q.QType.BOOLEAN else (int(limits.min), int(limits.max))
    special = st.sampled_from([low, min(low + 1, high), high, 0])
    values = draw(st.lists(st.integers(low, high) | special, max_size=6))
    return q.vector(kind, np.array(values, dtype=dtype))


@given(value=vectors())
def test_vectors_of_every_type_come_back_bit_by_bit(value: q.Value) -> None:
    assert from_pykx(to_pykx(value)) == value


@given(values=st.lists(vectors(), max_size=4))
def test_lists_and_dictionaries_of_them_come_back(values: list[q.Value]) -> None:
    listed = q.List(tuple(values))
    assert from_pykx(to_pykx(listed)) == listed
    named = q.Dictionary(q.symbols([f"k{i}" for i in range(len(values))]), listed)
    assert from_pykx(to_pykx(named)) == named


@pytest.mark.parametrize("kind", [*WHOLE, *FLOATING], ids=lambda kind: kind.name)
def test_atoms_nulls_and_infinities_are_what_pykx_calls_them(kx: Any, kind: q.QType) -> None:
    names = {q.QType.BOOLEAN: "BooleanAtom", q.QType.BYTE: "ByteAtom", q.QType.TIME: "TimeAtom"}
    null = to_pykx(q.null(kind))
    assert type(null).__name__ == names.get(kind, f"{kind.name.title()}Atom")
    if kind in q.INFINITIES and kind is not q.QType.DATETIME:
        assert null.is_null
        assert to_pykx(q.atom(kind, q.INFINITIES[kind])).is_inf
        assert not to_pykx(q.atom(kind, 1)).is_null


FRAME = pd.DataFrame(
    {
        "time": pd.to_datetime(
            ["2024-01-02T09:30:00.000000001", None, "1999-12-31"], format="ISO8601"
        ),
        "sym": ["AAPL", "MSFT", "AAPL"],
        "price": [1.5, np.nan, np.inf],
        "size": np.array([1, 2, -3], dtype=np.int64),
        "lots": np.array([1, 2, 3], dtype=np.int32),
        "flag": [True, False, True],
        "span": pd.to_timedelta([1, 2, None], unit="ns"),
    }
)


def test_a_frame_goes_to_pykx_and_back_with_its_nulls(kx: Any) -> None:
    table = kdb.to_pykx(FRAME)
    assert isinstance(table, kx.Table)
    theirs = table.pd()
    assert theirs["price"].tolist()[0] == 1.5
    assert theirs["sym"].tolist() == ["AAPL", "MSFT", "AAPL"]
    assert theirs["time"].isna().tolist() == [False, True, False]
    assert theirs["time"][0] == pd.Timestamp("2024-01-02T09:30:00.000000001")
    ours = kdb.from_pykx(table).pandas()
    assert list(ours) == list(FRAME)
    assert ours["size"].tolist() == [1, 2, -3]
    assert ours["time"].isna().tolist() == [False, True, False]


def test_a_frame_that_pykx_made_is_the_same_frame_here(kx: Any) -> None:
    frame = FRAME.drop(columns=["span"]).iloc[[0, 2]].reset_index(drop=True)
    ours = kdb.from_pykx(kx.toq(frame)).pandas()
    for name in ("sym", "price", "size", "lots", "flag"):
        assert ours[name].tolist() == frame[name].tolist(), name
    assert [pd.Timestamp(each).tz_localize(None) for each in ours["time"]] == list(frame["time"])


def test_a_pykx_table_is_a_variable_of_a_session_and_an_answer_is_pykx_s(kx: Any) -> None:
    session = Session()
    session["t"] = kx.toq(pd.DataFrame({"sym": ["a", "b", "a"], "size": [1, 2, 3]}))
    shown = session.show("select sum size by sym from t").split()
    assert shown == ["sym|", "size", "---|", "----", "a", "|", "4", "b", "|", "2"]
    keyed = Result(session.eval("select sum size by sym from t")).pykx()
    assert isinstance(keyed, kx.KeyedTable)
    assert kdb.from_pykx(keyed).pandas()["size"].to_dict() == {"a": 4, "b": 2}


def test_a_result_of_q_and_of_sql_is_given_as_pykx(kx: Any, tmp_path: Path) -> None:
    with connect(tmp_path) as db:
        table = db.q("([]sym:`a`b;n:1 0N;at:2024.01.02D09:30 0Np)").pykx()
        assert isinstance(table, kx.Table)
        assert table.pd()["sym"].tolist() == ["a", "b"]
        asked = db.sql("SELECT 1.5 AS x, 'a' AS y").pykx()
        assert asked.py() == {"x": [1.5], "y": ["a"]}


def test_an_argument_of_a_question_may_be_pykx_s(kx: Any, tmp_path: Path) -> None:
    with connect(tmp_path) as db:
        given = kx.toq(pd.DataFrame({"x": [1, 2, 3]}))
        assert int(db.q("{exec sum x from x}", given).numpy()) == 6


def test_batches_go_to_pykx_and_back(kx: Any) -> None:
    symbols = Symbols()
    inside = trades(symbols, 5)
    columns = {
        column.name: np.asarray(inside.columns[column.name]).astype(surface_dtype(column.kind))
        for column in TRADE.columns
        if column.name in inside.columns
    }
    columns["price"] = np.array([1.5, np.nan, 2.0, np.inf, -1.0])
    columns["cond"] = np.full(5, -(2**31), dtype=np.int32)
    columns["seq"] = np.arange(5)
    table = kdb.rows_to_pykx(Batch(TRADE, columns), symbols)
    assert isinstance(table, kx.Table)
    assert table.pd()["sym"].tolist() == [f"S{n}" for n in range(5)]
    fresh = Symbols()
    back = kdb.rows_from_pykx(TRADE, table, fresh)
    assert set(back.columns) == set(TRADE.names) - {"seq"}
    for column in TRADE.columns:
        if column.name == "seq":
            continue
        found, expected = back.columns[column.name].tolist(), columns[column.name].tolist()
        if column.kind is Kind.SYMBOL:
            found, expected = [fresh.name(i) for i in found], [symbols.name(i) for i in expected]
        assert str(found) == str(expected), column.name
    with pytest.raises(SchemaError, match="trade has no column 'px'"):
        kdb.rows_from_pykx(TRADE, kx.toq(pd.DataFrame({"sym": ["a"], "px": [1.0]})), fresh)


# Tickerplants


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    with plant_process(tmp_path_factory.mktemp("plant") / "data", live=True) as running:
        yield running


def test_pykx_publishes_what_pykx_subscribed_to(plant: PlantProcess) -> None:
    address = f"127.0.0.1:{plant.port}"
    frame = pd.DataFrame({"sym": ["A", "B"], "price": [1.5, 2.5], "size": [10, 20]})
    with kdb.Subscriber(address, ["trade"], symbols=["B"]) as feed, kdb.Publisher(address) as tick:
        assert len(feed.schemas["trade"]) == 0
        assert "price" in feed.schemas["trade"].arrow().column_names
        none = [""] * 2
        rows = [frame["sym"].to_numpy(), frame["price"].to_numpy(), frame["size"].to_numpy(),
                b"BS", np.array(none), np.array(["X", "X"]),
                np.array([1, 2]), np.array(["2024-01-02", "NaT"], dtype="M8[ns]")]  # fmt: skip
        tick.publish("trade", rows)
        found = feed.next(10.0)
        assert found is not None
        name, update = found
        shown = update.pandas()
        assert (name, shown["sym"].tolist(), shown["price"].tolist()) == ("trade", ["B"], [2.5])
        assert shown["venue_time"].isna().all()
        assert feed.next(0.01) is None


def test_a_refusal_of_a_tickerplant_is_an_error_with_its_words(plant: PlantProcess) -> None:
    address = f"127.0.0.1:{plant.port}"
    with kdb.Publisher(address) as tick, pytest.raises(QueryError, match=r"\.u\.upd of nothing"):
        tick.publish("nothing", {"a": np.array([1])})
    with pytest.raises(QueryError, match=r"\.u\.sub of nothing: nothing: no such table"):
        kdb.Subscriber(address, ["nothing"])
    with pytest.raises(WireError, match="let PyKX not in"):
        kdb.Publisher("127.0.0.1:9")
    with pytest.raises(WireError, match="let PyKX not in"):
        kdb.Subscriber("127.0.0.1:9", ["trade"])
    with pytest.raises(ConfigError, match="HOST:PORT such as localhost:5010 expected"):
        kdb.Publisher("nowhere")


def test_frames_reach_a_tickerplant_as_columns_in_their_order(tmp_path: Path) -> None:
    """kdb+tick takes no tables in `.u.upd`, and puts a timespan before rows that have none."""
    schema = {"quote": {"time": "n", "sym": "s", "bid": "f", "bsize": "i"}}
    with tickerplant(tmp_path / "tick", schema) as found, kdb.Publisher(found.address) as tick:
        frame = pd.DataFrame(
            {"sym": ["A", "B"], "bid": [1.5, np.nan], "bsize": np.array([3, 4], dtype=np.int32)}
        )
        tick.publish("quote", frame)
        tick.publish("quote", kdb.to_pykx(frame), wait=False)
        tick.publish("quote", frame)
        assert found.logged("quote", "sym") == ["A", "B"] * 3
        assert str(found.logged("quote", "bid")) == str([1.5, np.nan] * 3)


def test_what_arrives_by_pykx_is_asked_in_sql(tmp_path: Path) -> None:
    with plant_process(tmp_path / "data", '[tables.fx]\nbid = "float"\n', live=True) as running:
        with kdb.Publisher(f"127.0.0.1:{running.port}") as tick:
            for start in range(0, 100, 10):
                numbers = np.arange(start, start + 10, dtype=float)
                tick.publish("fx", {"sym": np.array(["EURUSD"] * 10), "bid": numbers})
        running.stop()
    asked = sql(tmp_path / "data", "SELECT count(*) AS n, sum(bid) AS s FROM fx")
    assert asked == [{"n": "100", "s": "4950.0"}]


_ABSENT = """
import sys
sys.modules["pykx"] = None
from tickloop.analytics import kdb
from tickloop.core.errors import ConfigError
try:
    kdb.to_pykx([1, 2])
except ConfigError as error:
    print(error)
"""


def test_without_pykx_the_error_says_how_to_install_it() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _ABSENT], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert "pip install 'tickloop[kdb]'" in found.stdout
