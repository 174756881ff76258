"""`tickloop sql` beside a live run and at rest, against plain Python over the log's bytes."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command import COMMAND, ended, good, running, sql, tickloop, wait_for
from tests.log_oracle import rows

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "5")
TRADE = ("time", "sym", "price", "size", "side", "cond", "ex", "trade_id", "venue_time", "seq")
QUOTE = ("time", "sym", "bid", "ask", "bsize", "asize", "ex", "venue_time", "seq")
MINUTE_NS = 60_000_000_000

VWAP = "SELECT sym, sum(price*size)/sum(size) AS vwap, sum(size) AS volume FROM t GROUP BY sym"
BARS = (
    "SELECT epoch(time_bucket(INTERVAL 1 minute, time::TIMESTAMP)) AS minute, sym,"
    " arg_min(price, seq) AS open, max(price) AS high, min(price) AS low,"
    " arg_max(price, seq) AS close, sum(size) AS volume FROM t GROUP BY ALL"
)
ASOF = (
    "SELECT t.seq AS seq, q.bid, q.ask FROM t ASOF JOIN q ON t.sym = q.sym AND t.seq >= q.seq"
    " WHERE price IS NOT NULL"
)


class Asked:
    """Answers of one directory on the rows up to a seq."""

    def __init__(self, data: Path, seq: int) -> None:
        self.seq = seq
        tables = (
            f"WITH t AS (SELECT * FROM trade WHERE seq <= {seq}),"
            f" q AS (SELECT * FROM quote WHERE seq <= {seq}) "
        )
        self.vwap = sql(data, tables + VWAP)
        self.bars = sql(data, tables + BARS)
        self.asof = sql(data, tables + ASOF)


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Asked]]:
    """Capture a synthetic day at a pace, and ask while it runs; then let it end."""
    data = tmp_path_factory.mktemp("live") / "day"
    pace = ("--speed", "6000", "--cut-ms", "60000", "--port", "0")
    with running("run", *FEED, "--data", data, *pace, "--stay") as process:
        wait_for((data / "run.json").exists, process)
        seq = wait_for(lambda: _seq_of_trades(data, 100), process)
        live = Asked(data, seq)
        assert process.poll() is None, "the run had ended before it was asked"
        done = ended(process, signal.SIGINT)
        assert done.code == 0, (done.out, done.err)
    if "the same command goes on from here" in done.err:
        good("run", *FEED, "--data", data)
    yield data, live


def _seq_of_trades(data: Path, count: int) -> int:
    question = "SELECT count(*) n, max(seq) s FROM trade"
    done = tickloop("sql", "--data", data, "--format", "csv", question)
    if done.code != 0 or int(done.rows[0]["n"]) < count:
        return 0
    return int(done.rows[0]["s"])


@pytest.fixture(scope="module", params=["live", "at rest"])
def asked(request: pytest.FixtureRequest, captured: tuple[Path, Asked]) -> Asked:
    data, live = captured
    return live if request.param == "live" else Asked(data, 2**62)


def _logged(data: Path, table: str, names: Sequence[str], seq: int) -> list[dict[str, Any]]:
    found = rows(sorted((data / "journal").glob("*.log")), table, tuple(names))
    return [row for row in found if row["seq"] <= seq]


@pytest.fixture
def trades(captured: tuple[Path, Asked], asked: Asked) -> list[dict[str, Any]]:
    """Give the trades that were not about breaking an earlier one: those have no price."""
    found = _logged(captured[0], "trade", TRADE, asked.seq)
    assert all((t["price"] != t["price"]) == (t["cond"] == "broken") for t in found)
    return [trade for trade in found if trade["cond"] != "broken"]


@pytest.fixture
def quotes(captured: tuple[Path, Asked], asked: Asked) -> list[dict[str, Any]]:
    return _logged(captured[0], "quote", QUOTE, asked.seq)


def test_vwap_by_symbol(asked: Asked, trades: list[dict[str, Any]]) -> None:
    expected = {}
    for symbol in {trade["sym"] for trade in trades}:
        mine = [trade for trade in trades if trade["sym"] == symbol]
        volume = sum(trade["size"] for trade in mine)
        expected[symbol] = (sum(t["price"] * t["size"] for t in mine) / volume, volume)
    assert len(expected) == len(asked.vwap) > 1
    for row in asked.vwap:
        vwap, volume = expected[row["sym"]]
        assert float(row["vwap"]) == pytest.approx(vwap, rel=1e-12)
        assert int(row["volume"]) == volume


def test_minute_bars(asked: Asked, trades: list[dict[str, Any]]) -> None:
    expected: dict[tuple[int, str], list[float]] = {}
    for trade in trades:  # in seq order within a symbol, as the log is
        key = (trade["time"] // MINUTE_NS * 60 + 946_684_800, trade["sym"])
        price = trade["price"]
        bar = expected.setdefault(key, [price, price, price, price, 0])
        bar[1:] = [max(bar[1], price), min(bar[2], price), price, bar[4] + trade["size"]]
    names = ("open", "high", "low", "close", "volume")
    found = {
        (int(float(row["minute"])), row["sym"]): [float(row[name]) for name in names]
        for row in asked.bars
        if row["open"]  # a minute may have nothing but a broken trade
    }
    assert found == expected


def test_asof_join_of_trades_to_quotes(
    asked: Asked, trades: list[dict[str, Any]], quotes: list[dict[str, Any]]
) -> None:
    expected = {}
    merged = sorted([*trades, *quotes], key=lambda row: int(row["seq"]))
    latest: dict[str, dict[str, Any]] = {}
    for row in merged:
        if "bid" in row:
            latest[row["sym"]] = row
        elif row["sym"] in latest:
            expected[row["seq"]] = latest[row["sym"]]
    assert len(expected) > 50
    found = {int(row["seq"]): row for row in asked.asof}
    assert found.keys() == expected.keys()
    for seq, row in found.items():
        quote = expected[seq]
        for side in ("bid", "ask"):
            # An empty side is NaN in the log and NULL in SQL.
            wanted = "" if quote[side] != quote[side] else str(quote[side])
            assert row[side] == wanted


@pytest.fixture(scope="module")
def day(captured: tuple[Path, Asked]) -> Path:
    return captured[0]


QUESTION = "SELECT sym, count(*) AS trades, max(time) AS last FROM trade GROUP BY sym ORDER BY sym"


def test_every_format_says_the_same(day: Path, tmp_path: Path) -> None:
    table, csv, lines = (
        good("sql", "--data", day, "--format", form, QUESTION) for form in ("table", "csv", "json")
    )
    found = [json.loads(line) for line in lines.out.splitlines()]
    assert [{name: str(value) for name, value in row.items()} for row in found] == csv.rows
    head, rule, *body, count = table.out.splitlines()
    assert head.split() == ["sym", "trades", "last"]
    assert set(rule) == {"-", " "}
    assert [line.split() for line in body] == [list(row.values()) for row in csv.rows]
    assert count == f"({len(found)} rows)"
    path = tmp_path / "answer.parquet"
    good("sql", "--data", day, "--format", "parquet", "--output", path, QUESTION)
    parquet = pq.read_table(path)
    assert parquet.column("sym").to_pylist() == [row["sym"] for row in found]
    assert parquet.column("trades").to_pylist() == [row["trades"] for row in found]


def test_an_answer_goes_into_a_file_and_a_question_comes_from_a_pipe(
    day: Path, tmp_path: Path
) -> None:
    path = tmp_path / "answer.csv"
    subprocess.run(
        [*COMMAND, "sql", "--data", str(day), "--format", "csv", "--output", str(path), "-"],
        input=QUESTION.encode(), check=True, timeout=120,
    )  # fmt: skip
    assert path.read_text() == good("sql", "--data", day, "--format", "csv", QUESTION).out


WRONG = [
    ("SELEC 1", "syntax error"),
    ("SELECT foo FROM trade", "trade has: date, time, sym"),
    ("SELECT * FROM trades", "Tables: bar, book, clock"),
    ("DROP TABLE trade", "read-only"),
    ("SELECT 1; SELECT 2", "2 statements seen, one expected"),
    ("", "0 statements seen, one expected"),
]


@pytest.mark.parametrize(("statement", "sentence"), WRONG)
def test_a_wrong_question_is_refused_with_what_there_is(
    day: Path, statement: str, sentence: str
) -> None:
    tickloop("sql", "--data", day, statement).refused(sentence)
