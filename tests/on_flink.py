"""The runtime on a real cluster as tests call it: log, Kafka, Flink, Kafka, log."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kafka_plants import symbols_of
from tests.runtimes import NEVER_AGAIN, opened, recorded
from tests.servers import Server
from tickloop.core.batch import Slice
from tickloop.core.catalog import Catalog
from tickloop.core.symbols import Symbols
from tickloop.streaming.drivers import flink
from tickloop.streaming.drivers.embedded import Cadence
from tickloop.streaming.flink.code_jar import jar_of_zip
from tickloop.streaming.flink.deployed import of_plan
from tickloop.streaming.flink.operations import Operations
from tickloop.streaming.flink.package import archive
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.rest import Rest
from tickloop.streaming.flink.returned import ensure_result_topic
from tickloop.streaming.job import Job
from tickloop.streaming.snapshots import SnapshotFile
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_sink import KafkaSettings, KafkaSink
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop

SHARDS = 2
_COMES_S = 150.0


@dataclass(frozen=True)
class OnFlink:
    """Runs jobs on a cluster, over topics of a prefix that nobody else writes."""

    kafka: Server
    cluster: Server
    prefix: str
    parallelism: int = 1
    rows_max: int = 200  # a message: small, so that a job is given many

    @property
    def bus(self) -> Bus:
        return Bus(self.kafka.address)

    @property
    def operations(self) -> Operations:
        return Operations(Rest(self.cluster.address), tell=_nobody, timeout_s=90.0)

    def __call__(
        self, job: Job, slices: Sequence[Slice], symbols: Symbols, root: Path
    ) -> dict[str, bytes]:
        """Give the derived rows that a log has once a cluster's results are in it."""
        last = logged(root, symbols, slices)
        sent(root, self.bus, self.prefix, self.rows_max)
        plan = self.plan(job)
        with self.running(plan):
            plant = opened(root, symbols_of(root))
            finish(self.returning(job, plan, plant, last), plant)
        return recorded(job, root)

    def plan(self, job: Job, **more: Any) -> JobPlan:
        return JobPlan(**{
            "name": job.name, "operator": job.operator.name, "brokers": self.bus.bootstrap,
            "prefix": self.prefix, "shards": SHARDS, "tables": tuple(job.operator.tables),
            "params": dict(job.params), "parallelism": self.parallelism, "checkpoint_ms": 500,
            "state_version": job.operator.version, **more,
        })  # fmt: skip

    @contextmanager
    def running(self, plan: JobPlan) -> Iterator[str]:
        """Deploy a job, and cancel it at the end; gives its id."""
        ensure_result_topic(plan, self.bus, replication=1)
        given, jar = packed(plan, self.cluster.home)
        job = self.operations.deploy(of_plan(given), jar)
        try:
            yield job
        finally:
            self.operations.cancel(job)

    def returning(
        self, job: Job, plan: JobPlan, plant: Plant, last: int, cadence: Cadence = NEVER_AGAIN
    ) -> flink.Driver:
        """Take results into a plant until they tell of a seq."""
        kept = SnapshotFile(plant.directory.root, f"{job.name}.flink", OS_DOOR)
        driver = flink.Driver(job, plant, kept, cadence, plan, self.bus)
        self.until(driver, last)
        return driver

    def until(self, driver: flink.Driver, last: int) -> None:
        """Wait until results tell of a seq."""
        deadline = time.monotonic() + _COMES_S
        while driver.done < last:
            driver.pump()
            assert driver.failure is None, driver.failure
            assert time.monotonic() < deadline, f"results up to {driver.done} of {last} came"
            time.sleep(0.01)


def _nobody(_: str) -> None:
    """Tests look at what happened, not at what was told."""


def packed(plan: JobPlan, folder: Path) -> tuple[JobPlan, bytes]:
    """Pack the code of a plan; give the plan with its digest."""
    from dataclasses import replace

    found = archive(folder / "code", plan.path or plan.operator)
    return replace(plan, code_digest=found.digest), jar_of_zip(found.path.read_bytes())


def logged(root: Path, symbols: Symbols, slices: Sequence[Slice]) -> int:
    """Log rows; give the last one's seq."""
    plant = opened(root, symbols)
    for rows in slices:
        plant.publish(rows)
    last = plant.journal.next_seq - 1
    plant.close()
    return last


def sent(root: Path, bus: Bus, prefix: str, rows_max: int) -> None:
    """Bring a directory at rest to Kafka; every partition is told how far the log goes."""
    symbols = symbols_of(root)
    settings = KafkaSettings(bus, prefix, SHARDS, "", "", rows_max, "lz4", 8, 1.0, 0.0, 1)
    plant = plant_id("tickloop")
    sink = KafkaSink(settings, Catalog(), symbols, plant)
    (root / "cursors").mkdir(exist_ok=True)
    loop = SinkLoop(sink, root, Catalog(), symbols, plant, LoopSettings(20.0))
    assert loop.run(lambda: False)


def finish(driver: flink.Driver, plant: Plant) -> None:
    """End in order."""
    driver.close()
    plant.close()
    driver.keep()
    assert driver.failure is None, driver.failure
