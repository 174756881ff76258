"""`connect`: the same questions to a directory, to a server, and to a run that is live."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.command import good
from tests.gateway_process import serving
from tickloop.analytics import Connection, connect
from tickloop.core.errors import DataDirectoryError, QueryError, WireError

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "4")


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("connect") / "day"
    good("run", *FEED, "--data", root)
    return root


@pytest.fixture(scope="module")
def port(captured: Path) -> Iterator[int]:
    with serving(captured, "[query]\nworkers = 2\n") as served:
        yield served.port


@pytest.fixture(params=["directory", "server"])
def db(request: pytest.FixtureRequest, captured: Path) -> Iterator[Connection]:
    if request.param == "directory":
        where: Path | str = captured
    else:
        where = f"127.0.0.1:{request.getfixturevalue('port')}"
    with connect(where) as found:
        yield found


def test_q_and_sql_count_the_same_rows(db: Connection) -> None:
    by_sql = db.sql("select sym, count(*) as rows, sum(size) as volume from trade group by sym")
    expected = by_sql.pandas().set_index("sym").sort_index()
    found = db.q("select rows:count i, volume:sum size by sym from trade").pandas()
    assert found["rows"].to_dict() == expected["rows"].to_dict()
    assert found["volume"].to_dict() == expected["volume"].to_dict()


def test_arguments_are_python_values(db: Connection) -> None:
    assert db.q("{x+y}", 3, np.array([1, 2])).numpy().tolist() == [4, 5]
    assert db.q("{x in y}", "a", ["a", "b"]).numpy() is True
    day = dt.datetime(2024, 1, 2, 9, 30, tzinfo=dt.UTC)
    assert db.q("{x+1}", day).numpy() == np.datetime64("2024-01-02T09:30:00.000000001")
    frame = pd.DataFrame({"sym": ["a", "b"], "price": [1.5, 2.5]})
    found = db.q("{select from x where price>2}", frame).pandas()
    assert found.to_dict("list") == {"sym": ["b"], "price": [2.5]}


def test_sql_arguments_stand_where_question_marks_do(db: Connection) -> None:
    found = db.sql("select '?' as a, ? as b, ? as c -- ?", "o'clock", 1.5).pandas()
    assert found.iloc[0].to_dict() == {"a": "?", "b": "o'clock", "c": 1.5}
    with pytest.raises(QueryError, match="too many"):
        db.sql("select ?", 1, 2)
    with pytest.raises(QueryError, match="more `\\?`"):
        db.sql("select ?, ?", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 0N 3", np.array([1, -(2**63), 3])),
        ("1.5 0n", np.array([1.5, np.nan])),
        ("`a``b", np.array(["a", "", "b"], dtype=object)),
        ("2024.01.02 0Nd", np.array(["2024-01-02", "NaT"], dtype="M8[D]")),
        ("2024.01.02D03:04:05.000000006 0Np",
         np.array(["2024-01-02T03:04:05.000000006", "NaT"], dtype="M8[ns]")),
        ("0D00:00:01 0Nn", np.array([10**9, "NaT"], dtype="m8[ns]")),
        ("09:30 0Nu", np.array([570, "NaT"], dtype="m8[m]")),
        ("`month$2024.03.01 0Nd", np.array(["2024-03", "NaT"], dtype="M8[M]")),
        ("09:30:00.001 0Nt", np.array([34_200_001, "NaT"], dtype="m8[ms]")),
        ("101b", np.array([True, False, True])),
        ("0x0aff", np.array([10, 255], dtype="u1")),
    ],
)  # fmt: skip
def test_lists_are_arrays_with_numpy_s_own_nulls(text: str, expected: Any) -> None:
    with connect(Path(__file__).parent) as db:
        found = db.q(text).numpy()
    assert found.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(found, expected)


def test_tables_are_arrow_with_nulls(captured: Path) -> None:
    with connect(captured) as db:
        found = db.q(
            '([]s:`a`;j:1 0N;p:2024.01.02D00 0Np;d:2024.01.02 0Nd;n:0D00:00:01 0Nn;c:("ab";""))'
        ).arrow()
    assert [column.null_count for column in found.columns] == [1, 1, 1, 1, 1, 0]
    assert found.column("p").to_pylist()[0] == pd.Timestamp("2024-01-02", tz="UTC")
    assert found.column("d").to_pylist()[0] == dt.date(2024, 1, 2)
    assert found.column("s").to_pylist() == ["a", None]
    assert found.column("n").type == pa.duration("ns")
    assert found.column("c").to_pylist() == ["ab", ""]


def test_frames_come_in_pandas_and_polars(db: Connection) -> None:
    pl = pytest.importorskip("polars")
    found = db.q("([sym:`a`b]price:1.5 2.5)")
    assert found.pandas()["price"].to_dict() == {"a": 1.5, "b": 2.5}
    frame = found.polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame["price"].to_list() == [1.5, 2.5]
    assert frame["sym"].cast(pl.String).to_list() == ["a", "b"]


def test_an_answer_shows_itself_as_the_console_does(db: Connection) -> None:
    assert repr(db.q("1 2 3")) == "1 2 3"
    assert repr(db.q("([]a:1 2)")).splitlines() == ["a", "-", "1", "2"]
    html = db.q("([]a:`x`y;b:`<`>)")._repr_html_()
    assert "<th>a</th>" in html and "&lt;" in html and "2 rows" in html


def test_an_answer_draws_itself(db: Connection, tmp_path: Path) -> None:
    found = db.q("([]time:2024.01.02D00+0D00:01*til 3;price:1 3 2f;sym:`a`b`c)")
    chart = found.plot(y="price")
    assert chart._repr_html_().count("<polyline") == 1
    chart.save(tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_text().startswith("<svg")
    with pytest.raises(QueryError, match="cannot be drawn"):
        found.plot(y="sym")


def test_variables_live_as_long_as_the_connection(db: Connection) -> None:
    db.q("mine:42")
    assert db.q("mine").numpy() == 42


def test_errors_are_query_errors(db: Connection) -> None:
    with pytest.raises(QueryError, match="type"):
        db.q("1+`a")
    with pytest.raises(QueryError):
        db.sql("selec")


def test_where_nothing_is_there_is_nothing_to_connect_to(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="no such directory"):
        connect(tmp_path / "nowhere")
    with pytest.raises(WireError, match="no answer"):
        connect("127.0.0.1:1")
