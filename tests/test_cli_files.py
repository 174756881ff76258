"""`tickloop run` on every kind of real file, with counts that were found by other programs."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.command import good, sql

Find = Callable[[str], Path]
LOBSTER = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"


@pytest.fixture(scope="session")
def amazon(market_data: Find, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("lobster") / "day"
    done = good("run", "--feed", f"lobster:{market_data(LOBSTER)}", "--data", data)
    assert "57,515 messages" in done.out
    return data


def events(path: Path) -> list[list[str]]:
    with ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if "_message_" in name)
        return list(csv.reader(io.StringIO(archive.read(name).decode())))


def test_lobster_trades_sum_to_the_file_s_executions(amazon: Path, market_data: Find) -> None:
    traded = [row for row in events(market_data(LOBSTER)) if row[1] in "45"]
    volume = sum(int(row[3]) for row in traded)
    notional = sum(int(row[3]) * int(row[4]) for row in traded)
    assert volume == 810_755
    (found,) = sql(
        amazon, "SELECT count(*) n, sum(size) volume, sum(price*size) notional FROM trade"
    )
    assert (int(found["n"]), int(found["volume"])) == (len(traded), volume)
    assert float(found["notional"]) == pytest.approx(notional / 10_000, rel=1e-12)


def test_lobster_minute_bars_are_the_file_s(amazon: Path, market_data: Find) -> None:
    bars: dict[int, list[int]] = {}
    for time, kind, _, size, price, _ in events(market_data(LOBSTER)):
        if kind in "45":
            bar = bars.setdefault(int(float(time)) // 60, [int(price), 0, 2**60, 0, 0])
            bar[1] = max(bar[1], int(price))
            bar[2] = min(bar[2], int(price))
            bar[3] = int(price)
            bar[4] += int(size)
    found = sql(
        amazon,
        "SELECT time_bucket(INTERVAL 1 minute, time::TIMESTAMP) AS minute, arg_min(price, seq) o,"
        " max(price) h, min(price) l, arg_max(price, seq) c, sum(size) v FROM trade GROUP BY ALL"
        " ORDER BY ALL",
    )
    assert len(found) == len(bars) > 380
    for row, (minute, bar) in zip(found, sorted(bars.items()), strict=True):
        # New York is four hours behind UTC in June.
        assert row["minute"][11:16] == f"{minute // 60 + 4:02}:{minute % 60:02}"
        prices = [round(float(row[name]) * 10_000) for name in "ohlc"]
        assert [*prices, int(row["v"])] == bar


def test_lobster_s_first_time_is_the_market_s_not_midnight(amazon: Path) -> None:
    (found,) = sql(amazon, "SELECT min(time) t FROM instrument")
    assert found["t"] == "2012-06-21T13:30:00.017459617Z"


KNOWN = [
    (
        "itch:itch/xnas-tvitch-20230822-0930.moldudp64.pcap", "pcap", 269,
        {"book": 125 + 99 + 30 + 6 + 3, "imbalance": 5, "status": 1, "trade": 3},
    ),
    ("itch:itch/nasdaq-20191230-start-1000msg.itch50", "itch", 1000, {"trade": 0, "book": 0}),
    ("itch:itch/ex20101224.TEST_ITCH_50.gz", "itch", 12_012, {}),
    ("dbn:dbn/nautilus/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "dbn", 68_792, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "kind", "messages", "rows"), KNOWN, ids=lambda value: str(value)[-12:]
)
def test_a_real_file_is_captured_whole(
    file: str, kind: str, messages: int, rows: dict[str, int], market_data: Find, tmp_path: Path
) -> None:
    path = market_data(file.partition(":")[2])
    found = good("run", "--feed", f"{kind}:{path}", "--data", tmp_path / "day", "--json").json
    assert found["messages"] == messages
    assert found["good"] is True
    assert found["damage"] == []
    assert {table: found["rows"][table] for table in rows} == rows
    assert sum(found["rows"].values()) >= messages


def test_every_binance_trade_is_a_row(market_data: Find, tmp_path: Path) -> None:
    path = market_data("binance-ws/spot_ethusdt_20240808.gz")
    lines = gzip.decompress(path.read_bytes()).splitlines()
    trades = sum(b'"e":"trade"' in line for line in lines)
    tickers = sum(b"@bookTicker" in line for line in lines)
    data = tmp_path / "day"
    found = good("run", "--feed", f"binance:{path}", "--data", data, "--json").json
    assert (found["messages"], len(lines)) == (33_618, 33_618)
    assert (found["rows"]["trade"], found["rows"]["quote"]) == (trades, tickers)
    (volume,) = sql(data, "SELECT sum(size) AS volume FROM trade")
    assert 0 < float(volume["volume"]) < 1e6  # fractional sizes, in ETH
