"""Kafka to Flink to Kafka, beside a bare copy of the same bytes and what others run on Flink.

Kafka and a cluster of one slot are started for it on free ports, and stopped again. Rates are
taken between the first results of a job and its last, so that starting up counts for nobody.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.bench.bench_sinks import servers
from tests.bench.figures import Figure, calibration, figure, table
from tickloop.core.batch import Batch
from tickloop.core.clock import monotonic_ns
from tickloop.core.dialects.numpy import INSIDE, nulls
from tickloop.core.schema import TRADE
from tickloop.infra import processes
from tickloop.infra.state import read as running_servers
from tickloop.streaming.flink import results
from tickloop.streaming.flink.code_jar import as_jar, jar_of_zip
from tickloop.streaming.flink.deployed import of_plan
from tickloop.streaming.flink.operations import Operations
from tickloop.streaming.flink.package import archive
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.rest import Rest
from tickloop.tickerplant.sinks.envelope import schema_id
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, BusProducer, ensure_topics
from tickloop.tickerplant.sinks.kafka_names import Names, SentSymbol
from tickloop.tickerplant.sinks.kafka_pieces import Cutter, Stretch

SYMBOLS = 100
BATCH = 1000
TICKS = 12_000_000
TICKS_A_SECOND = 100_000  # of the market's time
JSON_ROWS = {"textbook": 150_000, "sql": 1_500_000}
PACE = 200  # messages a second
PACED = 4000  # messages
WARM_S = 60
WARM_RUNS = 3
_START = 850_000_000_000_000_000
_LONG_S = 120.0
_NONE = np.empty(0, dtype=np.int64)


@dataclass
class Market:
    """Trades of made-up symbols, in messages of a plant that never was."""

    seq: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._cutter = Cutter(7, schema_id(TRADE), 1, BATCH)

    def message(self) -> bytes:
        """Spell the next batch; a clock row ends it where a second of the market does."""
        seqs = np.arange(self.seq + 1, self.seq + 1 + BATCH)
        times = _START + seqs * (1_000_000_000 // TICKS_A_SECOND)
        columns = {
            column.name: nulls(column.kind, BATCH, dtype=INSIDE[column.kind])
            for column in TRADE.columns
        }
        columns |= {
            "time": times, "seq": seqs, "venue_time": times - 30_000,
            "sym": self._random.integers(0, SYMBOLS, BATCH).astype(np.int32),
            "price": 1_000_000 + self._random.integers(0, 20_000, BATCH) * 100,
            "size": self._random.integers(1, 50, BATCH) * 100, "trade_id": seqs,
        }  # fmt: skip
        previous, self.seq = self.seq, self.seq + BATCH
        clock = _NONE, _NONE
        if self.seq // TICKS_A_SECOND > previous // TICKS_A_SECOND:
            self.seq += 1
            clock = np.array([times[-1]]), np.array([self.seq])
        (piece,) = self._cutter.pieces(
            Batch(TRADE, columns), shard=0, floats=0,
            stretch=Stretch(previous, self.seq, *clock),
        )  # fmt: skip
        return piece.value


@dataclass(frozen=True)
class Bench:
    """A broker and a cluster of one slot."""

    bus: Bus
    rest: Rest
    cluster: Path
    folder: Path

    def topics(self, *names: str) -> None:
        ensure_topics(self.bus, dict.fromkeys(names, 1), compacted=(), replication=1)

    def producer(self, linger_ms: float) -> BusProducer:
        return BusProducer(self.bus, compression="lz4", queue_mib=64, linger_ms=linger_ms)

    def reader(self, topic: str) -> BusConsumer:
        consumer = BusConsumer(self.bus)
        consumer.assign({(topic, 0): 0})
        return consumer

    def tell_symbols(self, prefix: str) -> None:
        topic = Names(prefix).symbols
        self.topics(topic, Names(prefix).table("trade"))
        producer = self.producer(0.0)
        for number in range(SYMBOLS):
            record = SentSymbol(number, f"SYM{number}", 0, -4, 0).record()
            producer.send(topic, 0, record, key=None, time_ms=0, done=_nothing)
        _flushed(producer)

    @contextmanager
    def ours(self, plan: JobPlan) -> Iterator[str]:
        """Run a job of ours."""
        self.topics(plan.topic)
        code = archive(self.folder / "code")
        what = of_plan(replace(plan, code_digest=code.digest))
        operations = Operations(self.rest, tell=lambda _: None)
        job = operations.deploy(what, jar_of_zip(code.path.read_bytes()))
        try:
            yield job
        finally:
            operations.cancel(job)

    @contextmanager
    def theirs(self, which: str, given: str, made: str) -> Iterator[None]:
        """Run a job of a peer."""
        self.topics(made)
        text = Path(__file__).with_name("flink_peers.py").read_bytes()
        uploaded = self.rest.upload(f"peer-{which}.jar", as_jar({"flink_peers.py": text}))
        arguments = ["-pym", "flink_peers", which, self.bus.bootstrap, given, made]
        conf = {"python.files": uploaded, "execution.checkpointing.interval": "1 s"}
        job = self.rest.run_python(uploaded.rpartition("/")[2], arguments, conf, None)
        try:
            yield
        finally:
            self.rest.cancel(job)
            _wait(lambda: not any(line.runs for line in self.rest.jobs()))


def _nothing() -> None:
    """What was sent is waited for at the end."""


def _flushed(producer: BusProducer) -> None:
    assert producer.flush(_LONG_S)
    producer.close()


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = monotonic_ns() + int(_LONG_S * 1e9)
    while not is_so():
        assert monotonic_ns() < deadline, "it did not come"
        time.sleep(0.05)


def _plan(bench: Bench, prefix: str, **params: str | int | float) -> JobPlan:
    return JobPlan(
        name="bars", operator="bars", brokers=bench.bus.bootstrap, prefix=prefix, shards=1,
        tables=("trade", "clock"), params=params,
    )  # fmt: skip


# Rates


def _ours(bench: Bench) -> list[Figure]:
    """Send a day's trades, copy them as they are, then make bars of them."""
    prefix = "rate."
    bench.tell_symbols(prefix)
    topic, market = f"{prefix}trade", Market()
    producer = bench.producer(5.0)
    for _ in range(TICKS // BATCH):
        producer.send(topic, 0, market.message(), key=None, time_ms=0, done=_nothing)
    _flushed(producer)
    copies = [_copied(bench, topic, f"{prefix}copy{n}") for n in range(3)]
    plan = _plan(bench, prefix, interval="1s")
    rates = []
    # The first runs warm the Java machine up, as the messages before do in the paced part.
    for number in range(WARM_RUNS + 3):
        run = replace(plan, name=f"bars{number}")
        bench.topics(run.topic)
        with ThreadPoolExecutor(1) as beside:
            # Results are stamped as they come, and they come before a deployment is verified.
            rate = beside.submit(_rate, bench, run.topic, _last_clock(market), _seq_of)
            with bench.ours(run):
                rates.append(rate.result())
    rates = rates[WARM_RUNS:]
    ratio = float(np.median(rates) / np.median(copies))
    return [
        figure("bare copy, Kafka to Kafka, 1,000-tick messages", "ticks/s", copies),
        figure("bars, Kafka to Flink to Kafka, 1,000-tick messages", "ticks/s", rates),
        figure("  beside the bare copy", "×", [ratio], at_least=0.6),
    ]


def _last_clock(market: Market) -> int:
    """Give the last seq that results are sure to tell of."""
    return market.seq // TICKS_A_SECOND * TICKS_A_SECOND


def _copied(bench: Bench, given: str, made: str) -> float:
    bench.topics(made)
    consumer, producer = bench.reader(given), bench.producer(5.0)
    _, high = consumer.bounds(given, 0)
    started, count = monotonic_ns(), 0
    while count < high:
        for record in consumer.poll(1.0, 1000):
            assert record.value is not None
            producer.send(made, 0, record.value, key=None, time_ms=0, done=_nothing)
            count += 1
    _flushed(producer)
    consumer.close()
    return count * BATCH * 1e9 / (monotonic_ns() - started)


def _seq_of(raw: bytes) -> int:
    return results.header_of(raw)[0].through


def _ms_of(raw: bytes) -> int:
    return int(json.loads(raw)["ms"])


def _rate(bench: Bench, topic: str, last: int, at: Callable[[bytes], int]) -> float:
    """Give places of the log a second, from the first tenth of it to its last result."""
    consumer = bench.reader(topic)
    first: tuple[int, int] | None = None
    place = 0
    deadline = monotonic_ns() + int(_LONG_S * 1e9)
    while place < last:
        assert monotonic_ns() < deadline, f"{topic}: results up to {place} of {last} came"
        for record in consumer.poll(0.2, 1000):
            place = max(place, at(record.value or b""))
            if first is None and place > last // 10:
                first = place, monotonic_ns()
    ended = monotonic_ns()
    consumer.close()
    assert first is not None
    return (place - first[0]) * 1e9 / (ended - first[1])


def _peers(bench: Bench, ours: float) -> list[Figure]:
    found = []
    wanted = {"textbook": ("textbook PyFlink, an event at a time", 100), "sql": ("Flink SQL", 5)}
    for which, (name, times) in wanted.items():
        given, made, rows = f"{which}.trade", f"{which}.bar", JSON_ROWS[which]
        bench.topics(given, made)
        per_ms = 10 if which == "textbook" else TICKS_A_SECOND // 1000
        _send_json(bench, given, rows, per_ms)
        # Whole seconds give results; the last one never ends.
        last = ((rows - 1) // per_ms // 1000 - 1) * 1000
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(_rate, bench, made, last, _ms_of)
            with bench.theirs(which, given, made):
                rate = waiting.result() * per_ms
        found += [
            figure(f"{name}, over JSON rows", "ticks/s", [rate]),
            figure(f"  ours beside {which}", "×", [ours / rate], at_least=times),
        ]
    return found


def _send_json(bench: Bench, topic: str, rows: int, per_ms: int) -> None:
    producer, random = bench.producer(5.0), np.random.default_rng(1)
    symbols = random.integers(0, SYMBOLS, rows).tolist()
    prices = random.integers(10_000, 30_000, rows).tolist()
    sizes = random.integers(1, 50, rows).tolist()
    for row, (symbol, price, size) in enumerate(zip(symbols, prices, sizes, strict=True)):
        fields = {"sym": f"SYM{symbol}", "price": price / 100, "size": size * 100}
        text = json.dumps({**fields, "ms": row // per_ms})
        producer.send(topic, 0, text.encode(), key=None, time_ms=0, done=_nothing)
        if row % 10_000 == 0:
            producer.poll()
    _flushed(producer)


# Latency and recovery


def _paced(bench: Bench) -> list[Figure]:
    """Send messages at a pace, each of which ends a bar; then kill the task manager."""
    prefix = "paced."
    bench.tell_symbols(prefix)
    market = Market()
    plan = _plan(bench, prefix, interval="10ms")
    with bench.ours(plan):
        consumer, producer = bench.reader(plan.topic), bench.producer(0.0)
        # Connections are made, and the Java machines of broker and cluster compile what is hot.
        _spans(producer, market, consumer, PACE * WARM_S)
        spans = _spans(producer, market, consumer, PACED)
        _flushed(producer)
        recovery = _recovery(bench, market, consumer)
        consumer.close()
    middle, late = (float(value) for value in np.quantile(spans, [0.5, 0.99]))
    return [
        figure("message to result at 200 messages/s, median", "ms", [middle], at_most=3),
        figure("message to result at 200 messages/s, 99 in 100", "ms", [late], at_most=10),
        figure("a killed task manager to the next result", "s", [recovery], at_most=20),
    ]


def _spans(producer: BusProducer, market: Market, consumer: BusConsumer, count: int) -> list[float]:
    """Send at the pace; give milliseconds from each message to its result.

    Both sides sleep while there is nothing to do: a client that asks all the time takes one of
    two cores from what is measured.
    """
    sent: dict[int, int] = {}
    with ThreadPoolExecutor(1) as beside:
        heard = beside.submit(_heard, consumer, sent, count)
        started = monotonic_ns()
        for number in range(count):
            raw = market.message()
            due = started + number * 1_000_000_000 // PACE
            while (left := due - monotonic_ns()) > 0:
                time.sleep(left / 1e9)
            sent[market.seq] = monotonic_ns()
            producer.send("paced.trade", 0, raw, key=None, time_ms=0, done=_nothing)
            producer.poll(0.0)
        return heard.result()


def _heard(consumer: BusConsumer, sent: dict[int, int], count: int) -> list[float]:
    spans: list[float] = []
    deadline = monotonic_ns() + int((count / PACE + _LONG_S) * 1e9)
    while len(spans) < count:
        assert monotonic_ns() < deadline, f"{len(spans)} of {count} results came"
        for record in consumer.poll(0.2):
            now = monotonic_ns()
            began = sent.pop(_seq_of(record.value or b""), None)
            if began is not None:
                spans.append((now - began) / 1e6)
    return spans


def _recovery(bench: Bench, market: Market, consumer: BusConsumer) -> float:
    """Kill the task manager, go on sending, and wait for the result of what was sent then."""
    (keeper,) = (
        each for each in running_servers(bench.cluster)["flink"].processes
        if each.role.startswith("taskmanager")
    )  # fmt: skip
    children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
    producer = bench.producer(0.0)
    killed = monotonic_ns()
    os.kill(int(children[0]), signal.SIGKILL)
    assert processes.start_of(keeper.pid) == keeper.started
    raw = market.message()
    producer.send("paced.trade", 0, raw, key=None, time_ms=0, done=_nothing)
    _flushed(producer)
    reached = 0
    while reached < market.seq:
        for record in consumer.poll(0.1):
            reached = max(reached, _seq_of(record.value or b""))
        assert monotonic_ns() - killed < _LONG_S * 1e9, "the job did not recover"
    return (monotonic_ns() - killed) / 1e9


def measure(only: str = "") -> list[Figure]:
    """Measure all, or one of rate and paced."""
    found: list[Figure] = []
    with TemporaryDirectory() as folder, servers("kafka", "flink") as addresses:
        bench = Bench(
            Bus(addresses["kafka"]), Rest(addresses["flink"]), Path(addresses["home"]), Path(folder)
        )
        if only in ("", "rate"):
            found += _ours(bench)
            found += _peers(bench, found[1].median)
        if only in ("", "paced"):
            found += _paced(bench)
    return found


def main() -> None:
    """Measure and print, with the calibration loop that says how busy the machine is."""
    for row in table([calibration(), *measure(*sys.argv[1:2])]):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:13} {row[4]:>11}  {row[5]}")


if __name__ == "__main__":
    main()
