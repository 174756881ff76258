"""Queries of q text on parted tables, beside Polars and DuckDB on the same rows and cores.

Run as `python tests/bench/bench_qsql.py [trades]`: so many trades, twice as many quotes, of 500
symbols, parted by symbol, time ascending within each. A figure is how many times faster the q
engine is than the fastest of the others. Each runs from the columns as it likes them best: Polars
on frames in memory, DuckDB on its own tables, the disk queries on Parquet files of 20 days sorted
alike and on our partitions. What takes DuckDB more than a minute is stopped then, and counts as a
minute. Memory is touched before each workload, so that the first to use it does not pay for that.
"""

import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.bench_hdb import UnsyncedDoor
from tests.bench.figures import Figure, figure, seconds, touch_memory
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Attribute, QType, Table, Vector, vector
from tickloop.core.kernel import warm_up
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.hdb import write_partition

TRADES = 10_000_000
SYMBOLS = 500
DAYS = 20
REPEATS = 9
SLOW_S = 3.0  # who takes longer is measured once
ENOUGH_S = 60.0  # and what takes longer than this is stopped
WINDOW = "(max;`ask);(min;`bid);(avg;`bsize)"
TOUCHED_GIB = 4
NAMES = [f"S{number:03}" for number in range(SYMBOLS)]
DAY = date(2024, 3, 5)
SECOND_NS = 10**9
OPEN_NS = int(9.5 * 3600) * SECOND_NS
DAY_NS = (DAY - date(2000, 1, 1)).days * 86400 * SECOND_NS
UNIX_NS = 946_684_800 * SECOND_NS

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Contest:
    """One workload: our text, what the others do, and how many times faster we should be."""

    name: str
    ours: Callable[[], object]
    others: dict[str, Callable[[], object]]
    target: float


def rows(count: int, *, quotes: bool) -> Columns:
    """Make a day of rows, parted by symbol."""
    draw = np.random.default_rng(count)
    sym = np.sort(draw.integers(0, SYMBOLS, count)).astype(np.int32)
    time = draw.integers(0, 6 * 3600 * SECOND_NS, count) + OPEN_NS + DAY_NS
    time = time[np.lexsort((time, sym))]
    middle = 100 + 10 * draw.random(count)
    if not quotes:
        size = draw.integers(1, 1000, count)
        return {"time": time, "sym": sym, "price": np.round(middle, 2), "size": size}
    sizes = {name: draw.integers(1, 1000, count) for name in ("bsize", "asize")}
    return {"time": time, "sym": sym, "bid": middle, "ask": middle + 0.01, **sizes}


def q_table(columns: Columns) -> Table:
    """Give columns as a table of q, parted by symbol."""
    ids = INTERNED.ids(NAMES)
    made = {
        "time": Vector(QType.TIMESTAMP, columns["time"]),
        "sym": Vector(QType.SYMBOL, ids[columns["sym"]], Attribute.PARTED),
    }
    for name, values in columns.items():
        kind = QType.FLOAT if values.dtype.kind == "f" else QType.LONG
        made.setdefault(name, vector(kind, values))
    return Table.of(made)


def frames(trade: Columns, quote: Columns) -> tuple[Any, Any]:
    """Give the rows as Polars frames, with categories, which it groups and joins fastest."""
    import polars as pl

    def frame(columns: Columns) -> Any:
        kind = pl.Enum(NAMES)
        data = {
            name: pl.Series(values + UNIX_NS).cast(pl.Datetime("ns"))
            if name == "time"
            else pl.Series(values.astype(np.uint16)).cat.to(kind)
            if name == "sym"
            else pl.Series(values)
            for name, values in columns.items()
        }
        return pl.DataFrame(data)

    return frame(trade), frame(quote)


def contests(trade: Columns, quote: Columns) -> list[Contest]:
    """Set up the workloads in memory."""
    import duckdb
    import polars as pl

    session = Session()
    session.set("trade", q_table(trade))
    session.set("quote", q_table(quote))
    session.eval("w:-0D00:00:01 0D00:00:01+\\:trade.time")
    trades, quotes = frames(trade, quote)
    duck = duckdb.connect()
    for name, frame in (("trade", trades), ("quote", quotes)):
        duck.register("given", frame.to_arrow())
        duck.execute(f"create table {name} as select * from given")
        duck.unregister("given")

    def sql(text: str) -> Callable[[], object]:
        def run() -> None:
            timer = threading.Timer(ENOUGH_S, duck.interrupt)
            timer.start()
            try:
                duck.sql(text).to_arrow_table()
            except duckdb.InterruptException:
                print(f"stopped after {ENOUGH_S:g} s: {text}", file=sys.stderr)
            finally:
                timer.cancel()

        return run

    def streamed(query: Any) -> Callable[[], object]:
        return lambda: query.collect(engine="streaming")

    by_minute = [pl.col("sym"), pl.col("time").dt.truncate("1m").alias("minute")]
    price, size = pl.col("price"), pl.col("size")
    vwap = (price * size).sum() / size.sum()
    bars = trades.lazy().group_by(by_minute).agg(
        open=price.first(), high=price.max(), low=price.min(), close=price.last(), vwap=vwap
    )  # fmt: skip
    window = """select t.sym, t.time, any_value(price), max(ask), min(bid), avg(bsize) from trade t
        left join quote q on t.sym = q.sym and q.time between t.time - interval 1 second
        and t.time + interval 1 second group by t.sym, t.time"""
    return [
        Contest(
            "aj",
            lambda: session.eval("r:aj[`sym`time;trade;quote]"),
            {
                "polars": lambda: trades.join_asof(
                    quotes, on="time", by="sym", check_sortedness=False
                ),
                "duckdb": sql("select t.*, q.bid, q.ask, q.bsize, q.asize from trade t asof left"
                              " join quote q on t.sym = q.sym and t.time >= q.time"),
            },
            4,
        ),
        Contest(
            "wj of 2 s, max min avg",
            lambda: session.eval("r:wj[w;`sym`time;trade;(quote;" + WINDOW + ")]"),
            {"duckdb": sql(window)},
            4,
        ),
        Contest(
            "bars of a minute with VWAP by sym",
            lambda: session.eval(
                "r:select open:first price,high:max price,low:min price,close:last price,"
                "vwap:size wavg price by sym,1 xbar time.minute from trade"
            ),
            {
                "polars": streamed(bars),
                "duckdb": sql("select sym, time_bucket(interval 1 minute, time) m, first(price),"
                              " max(price), min(price), last(price), sum(price*size)/sum(size)"
                              " from trade group by sym, m"),
            },
            5,
        ),
        Contest(
            "size wavg price by sym",
            lambda: session.eval("r:select size wavg price by sym from trade"),
            {"polars": streamed(trades.lazy().group_by("sym").agg(vwap=vwap))},
            1,
        ),
        Contest(
            "last price by sym",
            lambda: session.eval("r:select last price by sym from trade"),
            {"polars": streamed(trades.lazy().group_by("sym").agg(price.last()))},
            5,
        ),
    ]  # fmt: skip


def write_days(root: Path, count: int) -> None:
    """Write days of trades as our partitions and as Parquet sorted alike."""
    import polars as pl

    symbols = Symbols(NAMES)
    pieces = []
    for number in range(DAYS):
        day = DAY + timedelta(days=number)
        made = rows(count, quotes=False)
        seq = np.arange(count, dtype=np.int64) + number * count
        nulls = np.full(count, -1, dtype=np.int32)
        columns = {
            **made, "time": made["time"] + number * 86400 * SECOND_NS, "cond": nulls, "ex": nulls,
            "side": np.full(count, 66, dtype=np.uint8), "trade_id": seq, "venue_time": seq,
            "seq": seq,
        }  # fmt: skip
        write_partition(root / "db", day, TRADE, columns, symbols, door=UnsyncedDoor())
        frame, _ = frames({**made, "time": columns["time"]}, made)
        pieces.append(frame.with_columns(pl.lit(day).alias("date"), pl.col("sym").cast(pl.String)))
    pl.concat(pieces).write_parquet(root / "trade.parquet", row_group_size=122_880)


def disk_contest(root: Path) -> Contest:
    """Set up a point query over all days."""
    import duckdb

    session = Session(database=root / "db")
    duck = duckdb.connect()
    path = root / "trade.parquet"
    first, last = DAY + timedelta(days=2), DAY + timedelta(days=4)
    spelled = f"{first:%Y.%m.%d} {last:%Y.%m.%d}"
    return Contest(
        f"point query of {DAYS} days on disk",
        lambda: session.eval(f"r:select from trade where date within {spelled},sym=`S123"),
        {
            "duckdb": lambda: duck.sql(
                f"select * from '{path}' where date between '{first}' and '{last}' and sym='S123'"
            ).to_arrow_table()
        },
        10,
    )


def compare(contest: Contest) -> tuple[dict[str, list[float]], list[float]]:
    """Time a workload's engines in turns; give the times, and how many times faster we are.

    Who is slow keeps his first time. The others begin a turn one after another, so that each
    follows each.
    """
    engines = {"q": contest.ours, **contest.others}
    first = {name: seconds(run) for name, run in engines.items()}
    touch_memory(TOUCHED_GIB)
    quick = [name for name in engines if name == "q" or first[name] < SLOW_S]
    times: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(-1, REPEATS if first["q"] < SLOW_S else 2):
        start = turn % len(quick)
        spent = {name: seconds(engines[name]) for name in [*quick[start:], *quick[:start]]}
        if turn >= 0:  # the first turn finds memory as the touching left it
            for name in engines:
                times[name].append(spent.get(name, first[name]))
    others = [min(turn) for turn in zip(*(times[name] for name in contest.others), strict=True)]
    return times, [best / ours for best, ours in zip(others, times["q"], strict=True)]


def measure(count: int = TRADES) -> list[Figure]:
    """Measure all workloads."""
    warm_up()
    trade, quote = rows(count, quotes=False), rows(2 * count, quotes=True)
    folder = Path(tempfile.mkdtemp())
    found = []
    try:
        write_days(folder, max(count // DAYS, 1))
        for contest in [*contests(trade, quote), disk_contest(folder)]:
            times, ratios = compare(contest)
            shown = ", ".join(
                f"{name} {statistics.median(spans) * 1e3:.2f} ms" for name, spans in times.items()
            )
            print(f"{contest.name}: {shown}", file=sys.stderr)
            title = f"q {contest.name}, times the fastest other"
            found.append(figure(title, "×", ratios, at_least=contest.target))
    finally:
        shutil.rmtree(folder)
    return found


if __name__ == "__main__":
    for line in measure(int(float(sys.argv[1])) if len(sys.argv) > 1 else TRADES):
        print(f"{line.workload}: {line.median:.1f} {line.unit} (at least {line.target})")
