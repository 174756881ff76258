"""The streams of a configuration: operators that run in the plant, or on a Flink cluster."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tickloop.app.catalogs import OPERATOR
from tickloop.core.config import Config
from tickloop.core.errors import ConfigError
from tickloop.core.parameters import Setting
from tickloop.streaming.drivers.embedded import Cadence, Driver, insider_of
from tickloop.streaming.finding import find
from tickloop.streaming.job import Job, job
from tickloop.streaming.snapshots import SnapshotFile
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.plant import Plant

if TYPE_CHECKING:
    from tickloop.streaming.drivers import flink


def jobs_of(config: Config) -> list[Job]:
    """Make the jobs that `[stream.NAME]` sections ask for; the operator is NAME unless given."""
    return [_job(name, section) for name, section in config.stream.items()]


def _job(name: str, section: Mapping[str, Setting]) -> Job:
    given = {key: value for key, value in section.items() if key != OPERATOR}
    return job(name, find(str(section.get(OPERATOR, name))), given)


def away_of(config: Config) -> frozenset[str]:
    """Name the streams that run on a cluster; ConfigError for one that is not configured."""
    found = frozenset(config.flink.streams.split())
    if missing := sorted(found - set(config.stream)):
        raise ConfigError(
            f"[flink] streams names {missing[0]!r}; [stream.{missing[0]}] expected, if only an"
            " empty section"
        )
    return found


def _away(job: Job, plant: Plant, cadence: Cadence, config: Config) -> "flink.Driver":
    """Take in what a job on a cluster makes; `tickloop stream deploy` starts the job itself."""
    from tickloop.app.flink_jobs import wanted
    from tickloop.app.sinks import bus_of
    from tickloop.streaming.drivers import flink
    from tickloop.streaming.flink.plan import from_json

    plan = from_json(wanted(config, job.name, {}).what.text)
    kept = SnapshotFile(plant.directory.root, f"{job.name}.flink", OS_DOOR)
    return flink.Driver(job, plant, kept, cadence, plan, bus_of(config.sinks.kafka))


class Streams:
    """The running streams of one plant."""

    def __init__(self, jobs: list[Job], plant: Plant, config: Config) -> None:
        """Take up every stream where it was."""
        cadence = Cadence(snapshot_rows=config.store.snapshot_rows)
        root, insider = plant.directory.root, insider_of(plant)
        self._insider = insider
        self._plant = plant
        away = away_of(config)
        self._drivers = [
            Driver(job, plant, SnapshotFile(root, job.name, OS_DOOR), cadence, insider)
            for job in jobs
            if job.name not in away
        ]
        self._away = [_away(job, plant, cadence, config) for job in jobs if job.name in away]
        self._drain_s = config.sinks.kafka.drain_s
        self._drained = 0  # the next seq when all results so far had come
        self._has_given_up = False

    @property
    def are_any(self) -> bool:
        """Tell whether there is one."""
        return bool(self._drivers or self._away)

    @property
    def are_away(self) -> bool:
        """Tell whether some run on a cluster."""
        return bool(self._away)

    @property
    def _all(self) -> "list[Driver | flink.Driver]":
        return [*self._drivers, *self._away]

    def pump(self) -> None:
        """Publish what follows from new rows, and what follows from that."""
        while sum(driver.pump() for driver in self._all):
            pass

    def drain(self) -> None:
        """Wait for what jobs on a cluster make of the rows so far; the rest comes next time.

        What one makes is waited for by those that read it.
        """
        made = {name for driver in self._all for name in driver.job.operator.outputs}
        reading = [each for each in self._away if made.intersection(each.job.operator.tables)]
        for drivers in (self._away, reading):
            last = self._plant.journal.next_seq - 1
            for driver in drivers:
                self._has_given_up |= not driver.drain(last, self._drain_s)
        self._drained = self._plant.journal.next_seq

    def close(self) -> None:
        """Leave the plant, which is about to close."""
        if self._plant.journal.next_seq > self._drained and not self._has_given_up:
            self.drain()
        self.pump()
        for driver in self._all:
            driver.close()

    def keep(self) -> None:
        """Write the last snapshots, after the plant's log was closed."""
        for driver in self._all:
            driver.keep()

    def complaints(self) -> Iterator[str]:
        """Say which streams failed, and what values they could not take."""
        for driver in self._all:
            name = driver.job.name
            if driver.failure is not None:
                kind = type(driver.failure).__name__
                yield f"stream {name} stopped: {kind}: {driver.failure}"
        for column, count in self._insider.refused.items():
            yield (
                f"streams: {count:,} values of {column} are no whole number of the instrument's"
                " units and were taken as null"
            )
