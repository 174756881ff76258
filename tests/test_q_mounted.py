"""Databases in a session: partitions of kdb+, and a data directory with rows of today."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capture import DOOR, NAMES, START, STEP_NS, Capture, told
from tests.q_rows import python, same
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.mounted import refresh
from tickloop.analytics.q.session import Session
from tickloop.core.batch import Columns
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import flush
from tickloop.tickerplant.hdb import write_partition

FIRST = date(2024, 3, 4)
DAYS = 4
ROWS = 300
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def hdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write some days of trades, one of them without the symbol that others have."""
    root = tmp_path_factory.mktemp("hdb") / "db"
    names = Symbols(["S0", "S1", "S2", "S3", "rare"])
    for number in range(DAYS):
        draw = np.random.default_rng(number)
        day = FIRST + timedelta(days=number)
        midnight = (day - date(2000, 1, 1)).days * DAY_NS
        time = np.sort(draw.integers(0, DAY_NS // 4, ROWS)) + midnight
        price = np.round(draw.random(ROWS) * 100, 2)
        price[draw.random(ROWS) < 0.1] = np.nan
        sym = draw.integers(-1, 4, ROWS).astype(np.int32)
        if number == 2:
            sym[:5] = 4
        nulls = np.full(ROWS, -1, dtype=np.int32)
        seq = np.arange(ROWS, dtype=np.int64) + number * ROWS
        columns: Columns = {
            "time": time, "sym": sym, "price": price, "size": draw.integers(1, 500, ROWS),
            "side": np.full(ROWS, 66, dtype=np.uint8), "cond": nulls, "ex": nulls,
            "trade_id": seq, "venue_time": time, "seq": seq,
        }  # fmt: skip
        write_partition(root, day, TRADE, columns, names, door=DOOR)
    return root


@pytest.fixture(scope="module")
def session(hdb: Path) -> Session:
    """Mount the days, and hold all rows in memory beside them as `m`."""
    made = Session(database=hdb)
    made.eval("m:select from trade")
    return made


QUERIES = [
    "select from {} where date=2024.03.05",
    "select time,price from {} where date=2024.03.05,sym=`S1",
    "select from {} where date within 2024.03.05 2024.03.06,sym in `S1`rare,price>50",
    "select from {} where sym=`S2,date=2024.03.06",
    "select from {} where date=2031.01.01",
    "select count i from {}",
    "select n:count i,a:avg price,d:dev price,s:sdev price,v:var price from {}",
    "select sum size,max price,min price,last time,first time from {} where sym=`rare",
    "select sum size from {} where sym=`nobody",
    "select size wavg price,size wsum price by sym from {}",
    "select n:count i,a:avg price,d:dev price,v:svar price by sym from {} where price>20",
    "select first price,last price,last seq by sym from {} where date<2024.03.07",
    "select n:count i by date from {}",
    "select hi:max price,lo:min price by date,sym from {} where size>100",
    "select n:count i by sym,60 xbar time.minute from {} where date=2024.03.05",
    "select range:(max price)-min price,half:0.5*sum size by sym from {}",
    "select med price by sym from {}",
    "select price by sym from {} where date=2024.03.05,price>90",
    "select count distinct sym by date from {}",
    "select by sym from {}",
    "select distinct sym from {} where date>2024.03.05",
    "exec sum size from {} where date=2024.03.05",
    "exec sum size by sym from {}",
    "exec price from {} where date=2024.03.06,sym=`rare",
    "exec m:max price,n:min price from {} where sym=`S1",
    "exec a:avg price by date from {}",
    "select[3] from {}",
    "select[-3] from {}",
    "select[5;>price] sym,price from {} where date=2024.03.06",
    "select n:sum price*size,k:sum price>50 by date from {}",
    "select avg price by date.month from {}",
    "select o:any price>99,l:all size>0 by sym from {}",
    "select from {} where date=2024.03.05,price=(max;price) fby sym",
]


@pytest.mark.parametrize("text", QUERIES)
def test_a_partitioned_table_answers_as_its_rows_in_memory_do(session: Session, text: str) -> None:
    found = python(session.eval(text.format("trade")))
    assert same(found, python(session.eval(text.format("m"))))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.integers(-1, DAYS), days=st.integers(0, DAYS), sym=st.sampled_from(["S0", "", "rare"]),
    key=st.sampled_from(["", "by sym ", "by date ", "by sym,date ", "by 10 xbar size "]),
)  # fmt: skip
def test_any_span_of_dates_and_any_key(
    session: Session, first: int, days: int, sym: str, key: str
) -> None:
    low, high = FIRST + timedelta(days=first), FIRST + timedelta(days=first + days)
    text = (
        f"select n:count i,a:avg price,v:size wavg price,m:max size {key}from {{}}"
        f" where date within {low:%Y.%m.%d} {high:%Y.%m.%d},sym<>`{sym}"
    )
    found = python(session.eval(text.format("trade")))
    assert same(found, python(session.eval(text.format("m"))))


def test_the_database_tells_about_its_partitions(session: Session) -> None:
    days = [(FIRST - date(2000, 1, 1)).days + number for number in range(DAYS)]
    assert python(session.eval("date")) == days
    assert python(session.eval(".Q.pv")) == days
    assert python(session.eval(".Q.pf")) == "date"
    assert python(session.eval(".Q.pt")) == ["trade"]
    assert python(session.eval(".Q.cn trade")) == [ROWS] * DAYS
    assert python(session.eval("count trade")) == ROWS * DAYS
    assert python(session.eval("first cols trade")) == "date"
    assert python(session.eval("exec first a from meta trade where c=`sym")) == "p"
    assert python(session.eval("exec t from meta trade where c in `date`sym`price")) == list(b"dsf")


def test_rows_are_taken_by_number_over_all_partitions(session: Session) -> None:
    found = session.eval(".Q.ind[trade;0 299 300 1199]")
    assert python(found) == python(session.eval("m 0 299 300 1199"))
    with pytest.raises(QError, match="index"):
        session.eval(".Q.ind[trade;1200]")


def test_row_numbers_are_those_of_the_partition(session: Session) -> None:
    found = python(session.eval("exec i from trade where seq in 0 300 600"))
    by_day = [python(session.eval(f"exec seq from trade where date=.Q.pv {n}")) for n in range(3)]
    assert found == [rows.index(seq) for rows, seq in zip(by_day, (0, 300, 600), strict=True)]


def test_columns_of_a_partition_are_not_copied(session: Session) -> None:
    found = session.eval("exec price from trade where date=2024.03.05,sym=`S1")
    assert not found.data.flags.owndata  # type: ignore[union-attr]


def test_a_query_that_would_bring_too_much_into_memory_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickloop.analytics.q.partition_queries.CELLS_MAX", 1000)
    with pytest.raises(QError, match="wsfull"):
        session.eval("select from trade")
    assert python(session.eval("exec sum size from trade")) > 0


def test_a_new_partition_is_seen_after_a_refresh(tmp_path: Path, hdb: Path) -> None:
    write = _writer(tmp_path / "db")
    write(FIRST, 3)
    session = Session(database=tmp_path / "db")
    write(FIRST + timedelta(days=1), 5)
    assert python(session.eval("count trade")) == 3
    refresh(session)
    assert python(session.eval("count trade")) == 8
    assert len(python(session.eval("date"))) == 2


def _writer(root: Path) -> Callable[[date, int], object]:
    def write(day: date, rows: int) -> object:
        seq = np.arange(rows, dtype=np.int64)
        nulls = np.full(rows, -1, dtype=np.int32)
        columns: Columns = {
            "time": seq, "sym": np.zeros(rows, dtype=np.int32), "price": seq / 2, "size": seq,
            "side": np.full(rows, 66, dtype=np.uint8), "cond": nulls, "ex": nulls,
            "trade_id": seq, "venue_time": seq, "seq": seq,
        }  # fmt: skip
        return write_partition(root, day, TRADE, columns, Symbols(["A"]), door=DOOR)

    return write


def test_a_data_directory_joins_history_chunks_and_rows_of_today(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(3000)
    flush.flush(tmp_path, DOOR, watermark=999)
    flush.finish(tmp_path, DOOR, date(2024, 1, 2))
    flush.flush(tmp_path, DOOR, watermark=1999)
    session = Session(database=tmp_path)
    rows = [row for row in map(told, range(3000)) if row.table == "trade"]
    assert sorted(python(session.eval("exec seq from trade"))) == [row.seq for row in rows]
    counts = python(session.eval("exec count i by sym from trade"))
    assert counts == {
        name: sum(row.sym == name for row in rows) for name in sorted(("", *NAMES))
        if any(row.sym == name for row in rows)
    }  # fmt: skip
    last = python(session.eval("exec last seq by date from trade"))
    days = sorted({row.session for row in rows})
    assert len(last) == len(days)
    top = python(session.eval("exec max seq by date from trade"))
    assert list(top.values()) == [max(r.seq for r in rows if r.session == d) for d in days]
    text = python(session.eval("exec first body from note where seq=3"))
    assert bytes(text) == b"note 3"


def test_rows_that_arrive_are_seen_after_a_refresh(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(8)
    session = Session(database=tmp_path)
    assert python(session.eval("exec seq from trade")) == [0, 2, 4, 6]
    capture.add(4)
    assert python(session.eval("exec seq from trade")) == [0, 2, 4, 6]
    refresh(session)
    assert python(session.eval("exec seq from trade")) == [0, 2, 4, 6, 8, 10]
    times = python(session.eval("exec time from trade where seq>6"))
    assert times == [START + 8 * STEP_NS, START + 10 * STEP_NS]


def test_an_empty_data_directory_has_empty_tables(tmp_path: Path) -> None:
    Capture(tmp_path)
    session = Session(database=tmp_path)
    assert python(session.eval("count trade")) == 0
    assert python(session.eval("select sum size by sym from trade")) == []
    assert python(session.eval("exec t from meta trade where c in `date`time`price")) == list(
        b"dpf"
    )
