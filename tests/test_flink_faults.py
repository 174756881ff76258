"""A cluster that is killed, and messages that come again: no row lost, none repeated."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.feed_rows import new_context
from tests.gateway_process import wait_until
from tests.kafka_plants import symbols_of
from tests.market_log import PRICE_UNITS, market_log
from tests.on_flink import OnFlink, finish, logged, sent
from tests.plants import plant_at
from tests.runtimes import NEVER_AGAIN, embedded, opened, recorded
from tests.servers import Server
from tests.test_operator_runtimes import make
from tickloop.core.batch import Slice
from tickloop.core.errors import ServerError
from tickloop.core.symbols import Symbols
from tickloop.infra.servers import down
from tickloop.ingest.lobster import LobsterFile
from tickloop.streaming.drivers.embedded import Cadence
from tickloop.streaming.drivers.flink import Driver
from tickloop.streaming.finding import find
from tickloop.streaming.flink import deployed
from tickloop.streaming.flink.plan import EXACTLY_ONCE, GUARANTEES, JobPlan
from tickloop.streaming.flink.rest import Rest
from tickloop.streaming.flink.results import read
from tickloop.streaming.job import job
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.sinks.kafka_client import BusConsumer, BusProducer, Record

DAY = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"


def workers(cluster: Server, role: str) -> list[int]:
    """List the processes of a role; each is kept running by another one."""
    keepers = [each.pid for each in cluster.running.processes if each.role.startswith(role)]
    texts = [Path(f"/proc/{pid}/task/{pid}/children").read_text() for pid in keepers]
    return [int(child) for text in texts for child in text.split()]


def followed(on_flink: OnFlink, driver: Driver, plant: Plant, slices: Sequence[Slice]) -> None:
    """Publish and send more, and wait until results of it are in the log."""
    for rows in slices:
        plant.publish(rows)
    plant.journal.log.sync()
    sent(plant.directory.root, on_flink.bus, on_flink.prefix, on_flink.rows_max)
    on_flink.until(driver, plant.journal.next_seq - 1)


def goes_on(on_flink: OnFlink, driver: Driver, plant: Plant, slices: Sequence[Slice]) -> None:
    """Publish and send more, wait until results of it are in the log, and end in order."""
    followed(on_flink, driver, plant, slices)
    finish(driver, plant)


def is_managed(rest: Rest, running: str, *, restored: int) -> bool:
    """Tell whether a job runs, and was taken up so often."""
    try:
        return rest.job(running).is_running and rest.checkpoints(running).restored >= restored
    except ServerError:
        return False


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_killed_task_managers_lose_nothing_and_repeat_nothing(
    kafka: Server, mortal_flink: Server, prefix: str, market_data: Callable[[str], Path],
    tmp_path: Path, guarantee: str,
) -> None:  # fmt: skip
    wanted = job("signals", find("signals"), {"interval": 0})
    context = new_context()
    slices = list(LobsterFile(market_data(DAY), context).slices())
    half = len(slices) // 2
    on_flink = OnFlink(kafka, mortal_flink, prefix, parallelism=2, rows_max=20)
    root = tmp_path / "one"
    last = logged(root, Symbols(context.symbols), slices[:half])
    sent(root, on_flink.bus, prefix, on_flink.rows_max)
    plan = on_flink.plan(wanted, guarantee=guarantee)
    with on_flink.running(plan) as running:
        plant = opened(root, symbols_of(root))
        driver = on_flink.returning(wanted, plan, plant, last // 100)
        for process in workers(mortal_flink, "taskmanager"):
            os.kill(process, signal.SIGKILL)
        # More comes while nobody works, so that the jobs cannot have been done before.
        goes_on(on_flink, driver, plant, slices[half:])
        assert on_flink.operations.rest.checkpoints(running).restored >= 1
        if guarantee == EXACTLY_ONCE:
            assert repeated(on_flink, plan) == 0
    # Equal bytes: as many rows, each with its cause, none lost and none twice.
    assert recorded(wanted, root) == embedded(
        wanted, slices, Symbols(context.symbols), tmp_path / "other"
    )


@pytest.mark.parametrize("role", ["jobmanager", "zookeeper"])
def test_jobs_are_taken_up_where_they_were_once_what_manages_them_is_back(
    kafka: Server, mortal_flink: Server, prefix: str, market_data: Callable[[str], Path],
    tmp_path: Path, role: str,
) -> None:  # fmt: skip
    """The task managers live on; the job keeps its id, its state and its code.

    Nor does it matter if what remembers the jobs dies.
    """
    wanted = job("signals", find("signals"), {"interval": 0})
    context = new_context()
    slices = list(LobsterFile(market_data(DAY), context).slices())
    half, most = len(slices) // 2, 3 * len(slices) // 4
    on_flink = OnFlink(kafka, mortal_flink, prefix, rows_max=20)
    rest, root = on_flink.operations.rest, tmp_path / "one"
    last = logged(root, Symbols(context.symbols), slices[:half])
    sent(root, on_flink.bus, prefix, on_flink.rows_max)
    plan = on_flink.plan(wanted)
    with on_flink.running(plan) as running:
        code = {jar.name for jar in rest.jars()}
        plant = opened(root, symbols_of(root))
        driver = on_flink.returning(wanted, plan, plant, last // 100)
        before, (killed,) = workers(mortal_flink, "taskmanager"), workers(mortal_flink, role)
        os.kill(killed, signal.SIGKILL)
        followed(on_flink, driver, plant, slices[half:most])
        restored = int(role == "jobmanager")
        wait_until(lambda: is_managed(rest, running, restored=restored), 60)
        goes_on(on_flink, driver, plant, slices[most:])
        again = deployed.running(rest, wanted.name)
        assert again is not None and again.line.id == running
        assert workers(mortal_flink, "taskmanager") == before
        assert workers(mortal_flink, role) != [killed]
        # What an upgrade would roll back to is still there.
        assert {jar.name for jar in rest.jars()} == code
    assert recorded(wanted, root) == embedded(
        wanted, slices, Symbols(context.symbols), tmp_path / "other"
    )


def test_a_cluster_that_was_stopped_in_order_goes_on_with_its_jobs_once_it_is_up_again(
    kafka: Server, mortal_flink: Server, prefix: str, tmp_path: Path
) -> None:
    wanted = make("every")
    log = market_log(900, seed=3)
    slices = log.slices(40)
    half = len(slices) // 2
    on_flink = OnFlink(kafka, mortal_flink, prefix, rows_max=5)
    root = tmp_path / "one"
    last = logged(root, Symbols(log.symbols), slices[:half])
    sent(root, on_flink.bus, prefix, on_flink.rows_max)
    plan = on_flink.plan(wanted)
    with on_flink.running(plan) as running:
        plant = opened(root, symbols_of(root))
        driver = on_flink.returning(wanted, plan, plant, last)
        assert [is_gone for _, is_gone in down(["flink"], mortal_flink.home)] == [True]
        mortal_flink.start()
        goes_on(on_flink, driver, plant, slices[half:])
        again = deployed.running(on_flink.operations.rest, wanted.name)
        assert again is not None and again.line.id == running
    made = recorded(wanted, root)
    assert made == embedded(wanted, slices, Symbols(log.symbols), tmp_path / "other")


def repeated(on_flink: OnFlink, plan: JobPlan) -> int:
    """Count the messages of a job that readers of whole transactions get more than once."""
    consumer = BusConsumer(on_flink.bus)
    low, high = consumer.bounds(plan.topic, 0)
    consumer.assign({(plan.topic, 0): low})
    told: list[tuple[int, int, int]] = []
    while not consumer.ended and (found := consumer.poll(2.0)):
        headers = [read(record.value or b"").header for record in found]
        told += [(header.schema, header.shard, header.through) for header in headers]
    consumer.close()
    assert high > low
    assert told
    return len(told) - len(set(told))


def test_messages_that_come_again_and_in_another_order_change_nothing(
    kafka: Server, mortal_flink: Server, prefix: str, tmp_path: Path
) -> None:
    wanted = make("minute")
    log = market_log(900, seed=3)
    slices = log.slices(40)
    on_flink = OnFlink(kafka, mortal_flink, prefix, rows_max=20)
    last = logged(tmp_path / "one", Symbols(log.symbols), slices)
    sent(tmp_path / "one", on_flink.bus, prefix, on_flink.rows_max)
    for table in ("trade", "quote"):
        assert deliver_again(on_flink, f"{prefix}{table}") > 10
    plan = on_flink.plan(wanted)
    with on_flink.running(plan):
        plant = opened(tmp_path / "one", symbols_of(tmp_path / "one"))
        finish(on_flink.returning(wanted, plan, plant, last), plant)
    made = recorded(wanted, tmp_path / "one")
    assert made == embedded(wanted, slices, Symbols(log.symbols), tmp_path / "other")


def deliver_again(on_flink: OnFlink, topic: str) -> int:
    """Send all messages of a topic once more, the last ones first; give how many."""
    consumer = BusConsumer(on_flink.bus)
    producer = BusProducer(on_flink.bus, compression="lz4", queue_mib=8, linger_ms=1.0)
    count = 0
    for partition in range(consumer.topics()[topic]):
        low, high = consumer.bounds(topic, partition)
        consumer.assign({(topic, partition): low})
        found: list[Record] = []
        while len(found) < high - low:
            found += consumer.poll(0.2)
        for record in reversed(found):
            assert record.value is not None
            producer.send(
                topic, partition, record.value, key=None, time_ms=record.time_ms, done=_nothing
            )
        count += len(found)
    assert producer.flush(20.0)
    producer.close()
    consumer.close()
    return count


def _nothing() -> None:
    """What was sent is waited for at the end."""


def durable(root: Path) -> Plant:
    """Open a plant that puts every publication on disk."""
    plant, _ = plant_at(root, symbols=symbols_of(root))
    for symbol, unit in enumerate(PRICE_UNITS):
        plant.instruments.declare(symbol, price_unit=unit, size_unit=0)
    return plant


def test_a_plant_that_is_killed_while_results_come_has_each_of_them_once(
    kafka: Server, mortal_flink: Server, prefix: str, tmp_path: Path
) -> None:
    wanted = make("every")
    log = market_log(900, seed=3)
    slices = log.slices(40)
    on_flink = OnFlink(kafka, mortal_flink, prefix, rows_max=5)
    root = tmp_path / "one"
    last = logged(root, Symbols(log.symbols), slices)
    sent(root, on_flink.bus, prefix, on_flink.rows_max)
    plan = on_flink.plan(wanted)
    with on_flink.running(plan):
        for number, part in enumerate((last // 5, last // 3, last // 2)):
            plant = opened(root, symbols_of(root))
            often = Cadence(snapshot_rows=50) if number % 2 == 0 else NEVER_AGAIN
            on_flink.returning(wanted, plan, plant, part, often)
            plant.journal.abandon()
        plant = durable(root)
        finish(on_flink.returning(wanted, plan, plant, last), plant)
    made = recorded(wanted, root)
    assert made == embedded(wanted, slices, Symbols(log.symbols), tmp_path / "other")
