"""Queries of our q engine beside a real QuestDB's on the same rows: how many times faster ours is.

Run as `python tests/bench/bench_questdb.py [trades]`: so many trades, twice as many quotes, of 500
symbols; 10,000,000 for the full size, which takes some minutes to load. Ours reads columns in
memory, parted by symbol; QuestDB its own tables, sorted by time, with deduplication as the sink
makes them. QuestDB's as-of join runs with and without its hint, and the faster one counts. Answers
are summed up on each side, so that nothing but the query is timed.
"""

import statistics
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.bench_qsql import NAMES, UNIX_NS, Columns, q_table, rows
from tests.bench.bench_sinks import servers
from tests.bench.figures import Figure, calibration, figure, seconds, table
from tickloop.analytics.gateway.numpy_values import numpy_of
from tickloop.analytics.q.session import Session
from tickloop.core.kernel import warm_up
from tickloop.tickerplant.sinks.questdb_client import QuestDbSender
from tickloop.tickerplant.sinks.questdb_columns import Coded
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

TRADES = 1_000_000
REPEATS = 5
REQUEST_ROWS = 100_000
_TYPES = {"time": "TIMESTAMP_NS", "sym": "SYMBOL CAPACITY 1024 CACHE"}
_KEYS = "TIMESTAMP(time) PARTITION BY DAY WAL DEDUP UPSERT KEYS(time, sym, seq)"
_MINUTE = "timestamp_floor('1m', time)"


@dataclass(frozen=True)
class Contest:
    """One workload: our text, and QuestDB's forms of it."""

    name: str
    ours: str
    theirs: tuple[str, ...]


ASOF = "trade t ASOF JOIN quote q ON (sym)"
CONTESTS = (
    Contest(
        "as-of join",
        "exec (sum bid;sum ask) from aj[`sym`time;trade;quote]",
        (
            f"SELECT sum(bid), sum(ask) FROM {ASOF}",
            f"SELECT /*+ asof_linear(t q) */ sum(bid), sum(ask) FROM {ASOF}",
        ),
    ),
    Contest(
        "bars of a minute by sym",
        "exec (sum o;sum h;sum l;sum c;sum v) from select o:first price,h:max price,l:min price,"
        "c:last price,v:size wavg price by sym,1 xbar time.minute from trade",
        (
            "SELECT sum(o), sum(h), sum(l), sum(c), sum(v) FROM (SELECT sym, time, first(price) o,"
            " max(price) h, min(price) l, last(price) c, sum(price*size)/sum(size) v FROM trade"
            " SAMPLE BY 1m)",
            "SELECT sum(o), sum(h), sum(l), sum(c), sum(v) FROM (SELECT sym,"
            f" {_MINUTE} m, first(price) o, max(price) h, min(price) l, last(price) c,"
            " sum(price*size)/sum(size) v FROM trade GROUP BY sym, m)",
        ),
    ),
    Contest(
        "VWAP by sym",
        "exec sum v from select v:size wavg price by sym from trade",
        ("SELECT sum(v) FROM (SELECT sym, sum(price*size)/sum(size) v FROM trade GROUP BY sym)",),
    ),
    Contest(
        "latest by sym",
        "exec sum price from select by sym from trade",
        ("SELECT sum(price) FROM (SELECT * FROM trade LATEST ON time PARTITION BY sym)",),
    ),
)


def load(server: QuestDb, name: str, columns: Columns) -> None:
    """Put rows into QuestDB in the order of time, and wait until they are visible."""
    order = np.argsort(columns["time"], kind="stable")
    held = {column: values[order] for column, values in columns.items()}
    held["seq"] = np.arange(len(order))
    spelled = ", ".join(
        f"{column} {_TYPES.get(column, 'DOUBLE' if values.dtype.kind == 'f' else 'LONG')}"
        for column, values in held.items()
    )
    server.ask(f"CREATE TABLE {name} ({spelled}) {_KEYS}")
    sender = QuestDbSender(server.address, user="", password="", timeout_s=120.0)
    for start in range(0, len(order), REQUEST_ROWS):
        part = {column: values[start : start + REQUEST_ROWS] for column, values in held.items()}
        sender.add(
            name,
            {
                **part,
                "time": (part["time"] + UNIX_NS).view("datetime64[ns]"),
                "sym": Coded(part["sym"].astype(np.int32), NAMES),
            },
            symbols=["sym"], at="time",
        )  # fmt: skip
        sender.flush()
    sender.close()
    while server.ask(f"SELECT count() AS n FROM {name}")[0]["n"] < len(order):
        time.sleep(0.05)


def compare(contest: Contest, session: Session, server: QuestDb) -> tuple[list[float], list[float]]:
    """Time both in turns, after one run each; give our seconds and QuestDB's best form's."""
    forms = {text: partial(server.ask, text) for text in contest.theirs}
    ours_told = np.atleast_1d(numpy_of(session.eval(contest.ours))).astype(float)
    for text in contest.theirs:
        told = np.array(list(server.ask(text)[0].values()), dtype=float)
        assert np.allclose(ours_told, told, rtol=1e-9), (contest.name, ours_told, told)
    first = {text: seconds(run) for text, run in forms.items()}
    best = min(forms, key=first.__getitem__)
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(seconds(lambda: session.eval(contest.ours)))
        theirs.append(seconds(forms[best]))
    return ours, theirs


def measure(count: int = TRADES) -> list[Figure]:
    """Load both and measure every workload."""
    warm_up()
    trade, quote = rows(count, quotes=False), rows(2 * count, quotes=True)
    session = Session()
    session.set("trade", q_table(trade))
    session.set("quote", q_table(quote))
    size = f"{count / 1e6:g}M trades, {2 * count / 1e6:g}M quotes"
    found = []
    with servers("questdb") as addresses:
        server = replace(QuestDb(addresses["questdb"]), timeout_s=300.0)
        loading = [seconds(lambda: load(server, "trade", trade))]
        loading.append(seconds(lambda: load(server, "quote", quote)))
        found.append(figure("QuestDB: rows loaded, visible", "rows/s", [3 * count / sum(loading)]))
        for contest in CONTESTS:
            ours, theirs = compare(contest, session, server)
            shown = f"{statistics.median(ours) * 1e3:.2f} ms, QuestDB"
            print(f"{contest.name}: {shown} {statistics.median(theirs) * 1e3:.2f}", file=sys.stderr)
            times = [there / here for here, there in zip(ours, theirs, strict=True)]
            found.append(figure(f"q {contest.name}, times QuestDB ({size})", "×", times))
    return found


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    count = int(float(sys.argv[1])) if len(sys.argv) > 1 else TRADES
    for row in table([calibration(), *measure(count)]):
        print(f"{row[0]:72} {row[1]:>12} {row[2]:>24} {row[3]:13}")


if __name__ == "__main__":
    main()
