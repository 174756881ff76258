"""From the plant to real servers: rows a second, beside each server's bare client.

Kafka and QuestDB are started for it on free ports, and stopped again. A pass of each, sink and
bare client, goes before those that count: a JVM just started compiles what it runs.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from tests.bench.figures import Figure, calibration, figure, table
from tests.servers import CACHE
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.app.sink_processes import SinkProcesses
from tickloop.app.sinks import sink_loop, source_of
from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import monotonic_ns
from tickloop.core.config import Config, KafkaSinkConfig, QuestDbSinkConfig, SinksConfig
from tickloop.core.kernel import warm_up
from tickloop.core.schema import QUOTE, TRADE, Table
from tickloop.infra.servers import Wishes, down, up
from tickloop.tickerplant.journal_tail import JournalTail
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.kafka_client import (
    Bus,
    BusConsumer,
    BusProducer,
    Record,
    ensure_topics,
)
from tickloop.tickerplant.sinks.questdb_client import QuestDbSender
from tickloop.tickerplant.sinks.questdb_columns import Spelled, columns_of
from tickloop.tickerplant.sinks.questdb_rest import QuestDb
from tickloop.tickerplant.sinks.questdb_tables import ensure_tables, is_applied

SYMBOLS = 500
KAFKA_ROWS = 8_000_000
QUESTDB_ROWS = 1_000_000
PACED_ROWS = 1_000_000  # a second, for PACED_S
PACED_S = 8
BATCH_ROWS = 10_000
LAG_REQUESTS = 150
REPEATS = 5
_Longs = npt.NDArray[np.int64]
_START = 850_000_000_000_000_000


class Rows:
    """Trades and quotes of one day, two quotes for every trade, in the plant's inside form."""

    def __init__(self, run: PlantRun, *, rows_a_second: int = 100_000) -> None:
        self._run = run
        self._random = np.random.default_rng(1)
        self._step_ns = 1_000_000_000 // rows_a_second
        self._ids = run.symbols.ids(f"SYM{number}" for number in range(SYMBOLS))
        self._ex = run.symbols.id("XBEN")
        self._time = _START

    def publish(self, count: int) -> None:
        """Publish rows as one slice."""
        ranks = np.arange(count)
        times = self._time + ranks * self._step_ns
        self._time = int(times[-1]) + self._step_ns
        is_trade = ranks % 3 == 0
        self._run.plant.publish(
            Slice(tuple(
                self._of(table, times[picks], ranks[picks])
                for table, picks in ((TRADE, is_trade), (QUOTE, ~is_trade))
            ))
        )  # fmt: skip

    def _of(self, table: object, times: _Longs, ranks: _Longs) -> Batch:
        count = len(times)
        random = self._random
        price = 1_000_000 + random.integers(0, 20_000, count) * 100
        columns: dict[str, npt.NDArray[np.generic]] = {
            "time": times, "venue_time": times - 30_000,
            "sym": random.choice(self._ids, count).astype(np.int32),
            "ex": np.full(count, self._ex, dtype=np.int32), "_place": ranks,
        }  # fmt: skip
        sizes = random.integers(1, 50, (2, count)) * 100
        if table is TRADE:
            return Batch(TRADE, {
                **columns, "price": price, "size": sizes[0], "trade_id": ranks,
                "side": np.where(ranks % 2, 66, 83).astype(np.uint8),
            })  # fmt: skip
        return Batch(QUOTE, {
            **columns, "bid": price, "ask": price + 100, "bsize": sizes[0], "asize": sizes[1],
        })  # fmt: skip


def written(root: Path, rows: int, config: Config) -> None:
    """Capture rows into a directory and close it."""
    run = PlantRun(root, config, RunSettings("UTC", False, False))
    feed = Rows(run)
    for _ in range(rows // BATCH_ROWS):
        feed.publish(BATCH_ROWS)
    run.plant.close()
    run.abandon()


@contextmanager
def servers(*names: str) -> Iterator[dict[str, str]]:
    """Start servers; give their addresses."""
    with TemporaryDirectory() as home:
        wishes = Wishes(Path(home), CACHE, ports=dict.fromkeys(names, 0), tell=lambda _: None)
        try:
            found = {running.server: running.address for running in up(names, wishes)}
            yield {**found, "home": home}
        finally:
            list(down(names, Path(home)))


def config_of(addresses: dict[str, str], *, prefix: str = "bench.") -> Config:
    """Switch on the sinks whose servers are there."""
    sinks = SinksConfig(
        kafka=KafkaSinkConfig(bootstrap=addresses.get("kafka", ""), prefix=prefix),
        questdb=QuestDbSinkConfig(address=addresses.get("questdb", "")),
    )
    return replace(Config(), sinks=sinks)


def drained(name: str, root: Path, config: Config) -> float:
    """Bring a whole directory to a sink; give seconds from when it is connected."""
    loop = sink_loop(name, root, config)
    connect = loop._sink.open
    started = [0]

    def timed(cursor: Cursor) -> int:
        seq = connect(cursor)
        started[0] = monotonic_ns()
        return seq

    loop._sink.open = timed  # type: ignore[method-assign]
    assert loop.run(lambda: False)
    seconds = (monotonic_ns() - started[0]) / 1e9
    CursorFile(root, name).path.unlink()
    return seconds


def _kafka(root: Path, address: str) -> list[Figure]:
    rates, bare = [], []
    for repeat in range(1 + REPEATS):
        prefix = f"bench{repeat}."
        rates.append(
            KAFKA_ROWS / drained("kafka", root, config_of({"kafka": address}, prefix=prefix))
        )
        bare.append(KAFKA_ROWS / _bare_producer(address, prefix))
    rates, bare = rates[1:], bare[1:]
    times = [rate / other for rate, other in zip(rates, bare, strict=True)]
    return [
        figure("journal to Kafka, lz4", "rows/s", rates, at_least=4e6),
        figure("  bare producer, the same messages", "rows/s", bare),
        figure("  times the bare producer", "×", times),
    ]


def _bare_producer(address: str, prefix: str) -> float:
    """Send the messages of two topics again, as they are; give seconds."""
    bus = Bus(address)
    wheres = [(f"{prefix}{name}", shard) for name in ("trade", "quote") for shard in range(8)]
    consumer = BusConsumer(bus)
    ends = {where: consumer.bounds(*where)[1] for where in wheres}
    consumer.assign(dict.fromkeys(wheres, 0))
    messages: list[Record] = []
    while len(messages) < sum(ends.values()):
        messages += consumer.poll(1.0)
    consumer.close()
    again = f"{prefix}again."
    ensure_topics(bus, {f"{again}trade": 8, f"{again}quote": 8}, compacted=(), replication=1)
    started = monotonic_ns()
    producer = BusProducer(bus, compression="lz4", queue_mib=64, linger_ms=2.0)
    for each in messages:
        producer.send(
            each.topic.replace(prefix, again), each.partition, each.value or b"", key=None,
            time_ms=each.time_ms, done=lambda: None,
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(60.0)
    seconds = (monotonic_ns() - started) / 1e9
    producer.close()
    return seconds


def _questdb(root: Path, address: str) -> list[Figure]:
    server = QuestDb(address)
    rates, bare = [], []
    for _ in range(1 + REPEATS):
        _drop(server)
        rates.append(QUESTDB_ROWS / drained("questdb", root, config_of({"questdb": address})))
        _drop(server)
        bare.append(QUESTDB_ROWS / _bare_client(root, server))
    rates, bare = rates[1:], bare[1:]
    times = [rate / other for rate, other in zip(rates, bare, strict=True)]
    return [
        figure("journal to QuestDB, dedup on, until visible", "rows/s", rates),
        figure("  bare client, the same rows in memory", "rows/s", bare),
        figure("  times the bare client", "×", times, at_least=0.7),
        *_visible(root, server),
    ]


def _visible(root: Path, server: QuestDb) -> list[Figure]:
    """Measure from an acknowledged request to a SELECT that sees its rows, which is asked again
    and again; a request holds as many rows as a chunk of the journal has.
    """
    _drop(server)
    ensure_tables(server, [TRADE, QUOTE], fractional=False)
    sender = QuestDbSender(server.address, user="", password="", timeout_s=60.0)
    lags, sent = [], 0
    for which, columns in _frames(root)[:LAG_REQUESTS]:
        if which is not QUOTE:
            continue
        symbols = [each.name for each in which.columns if each.kind.value == "symbol"]
        sender.add(which.name, columns, symbols=symbols, at="time")
        sender.flush()
        acknowledged = monotonic_ns()
        sent += len(np.asarray(columns["seq"]))
        while server.ask("SELECT count() AS n FROM quote")[0]["n"] < sent:
            pass
        lags.append((monotonic_ns() - acknowledged) / 1e6)
    sender.close()
    return [
        figure(
            "QuestDB, from acknowledged to visible, p50", "ms", [float(np.percentile(lags, 50))]
        ),
        figure(
            "QuestDB, from acknowledged to visible, p99", "ms", [float(np.percentile(lags, 99))]
        ),
    ]


def _frames(root: Path) -> list[tuple[Table, dict[str, Spelled]]]:
    """Read trades and quotes of a directory in the client's own form."""
    source = source_of(root, Config())
    tail = JournalTail(root / "journal", source.catalog, source.symbols)
    tail.go_to(-1)
    frames = []
    while (chunk := tail.next(2**62)) is not None:
        frames += [
            (rows.table, columns_of(rows, list(source.symbols))[0])
            for rows in chunk.batches
            if rows.table in (TRADE, QUOTE)
        ]
    return frames


def _drop(server: QuestDb) -> None:
    for row in server.ask("SELECT table_name FROM tables()"):
        server.ask(f"DROP TABLE {row['table_name']}")


def _bare_client(root: Path, server: QuestDb) -> float:
    """Send rows that lie in memory in the client's own form, 100,000 a request; give seconds until
    queries see them.
    """
    frames = _frames(root)
    ensure_tables(server, [TRADE, QUOTE], fractional=False)
    started = monotonic_ns()
    sender = QuestDbSender(server.address, user="", password="", timeout_s=60.0)
    for which, columns in frames:
        symbols = [each.name for each in which.columns if each.kind.value == "symbol"]
        sender.add(which.name, columns, symbols=symbols, at="time")
        sender.flush()
    while not is_applied(server, [TRADE, QUOTE]):
        time.sleep(0.002)
    seconds = (monotonic_ns() - started) / 1e9
    sender.close()
    return seconds


def _paced(folder: Path, addresses: dict[str, str]) -> list[Figure]:
    """Capture at a fixed pace with both sinks beside it."""
    config = config_of(addresses, prefix="paced.")
    run = PlantRun(folder / "paced", config, RunSettings("UTC", False, False))
    sinks = SinkProcesses(folder / "paced", config)
    feed = Rows(run, rows_a_second=PACED_ROWS)
    started = monotonic_ns()
    for number in range(PACED_ROWS * PACED_S // BATCH_ROWS):
        due = started + number * BATCH_ROWS * 1_000_000_000 // PACED_ROWS
        while (left := due - monotonic_ns()) > 0:
            time.sleep(min(left / 1e9, 0.001))
        feed.publish(BATCH_ROWS)
        run.flush_if_full()
    rate = PACED_ROWS * PACED_S * 1e9 / (monotonic_ns() - started)
    run.close()
    told = sinks.finish()
    assert [line for line in told if "waits" in line or "nothing" in line] == []
    share = 100 * rate / PACED_ROWS
    return [
        figure("capture at 1M rows/s with both sinks on", "% of the pace", [share], at_least=99)
    ]


def measure(only: str = "") -> list[Figure]:
    """Measure all, or one of kafka, questdb, paced."""
    warm_up()
    parts: dict[str, Callable[[Path, dict[str, str]], list[Figure]]] = {
        "kafka": lambda folder, at: _kafka(_written(folder, KAFKA_ROWS), at["kafka"]),
        "questdb": lambda folder, at: _questdb(_written(folder, QUESTDB_ROWS), at["questdb"]),
        "paced": _paced,
    }
    found = []
    with TemporaryDirectory() as folder, servers("kafka", "questdb") as addresses:
        for name, part in parts.items():
            if only in ("", name):
                found += part(Path(folder), addresses)
    return found


def _written(folder: Path, rows: int) -> Path:
    root = folder / f"rows-{rows}"
    written(root, rows, Config())
    return root


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    for row in table([calibration(), *measure(*sys.argv[1:2])]):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:13} {row[4]:>11}  {row[5]}")


if __name__ == "__main__":
    main()
