"""The streams of a configuration: operators that run in the plant, beside a capture."""

from collections.abc import Iterator, Mapping

from tickloop.core.config import Config
from tickloop.core.parameters import Setting
from tickloop.streaming.drivers.embedded import Cadence, Driver, insider_of
from tickloop.streaming.finding import find
from tickloop.streaming.job import Job, job
from tickloop.streaming.snapshots import SnapshotFile
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.plant import Plant

_OPERATOR = "operator"


def jobs_of(config: Config) -> list[Job]:
    """Make the jobs that `[stream.NAME]` sections ask for; the operator is NAME unless given."""
    return [_job(name, section) for name, section in config.stream.items()]


def _job(name: str, section: Mapping[str, Setting]) -> Job:
    given = {key: value for key, value in section.items() if key != _OPERATOR}
    return job(name, find(str(section.get(_OPERATOR, name))), given)


class Streams:
    """The running streams of one plant."""

    def __init__(self, jobs: list[Job], plant: Plant, config: Config) -> None:
        """Take up every stream where it was."""
        cadence = Cadence(snapshot_rows=config.store.snapshot_rows)
        root, insider = plant.directory.root, insider_of(plant)
        self._insider = insider
        self._drivers = [
            Driver(job, plant, SnapshotFile(root, job.name, OS_DOOR), cadence, insider)
            for job in jobs
        ]

    @property
    def are_any(self) -> bool:
        """Tell whether there is one."""
        return bool(self._drivers)

    def pump(self) -> None:
        """Publish what follows from new rows, and what follows from that."""
        while sum(driver.pump() for driver in self._drivers):
            pass

    def close(self) -> None:
        """Leave the plant, which is about to close."""
        self.pump()
        for driver in self._drivers:
            driver.close()

    def keep(self) -> None:
        """Write the last snapshots, after the plant's log was closed."""
        for driver in self._drivers:
            driver.keep()

    def complaints(self) -> Iterator[str]:
        """Say which streams failed, and what values they could not take."""
        for driver in self._drivers:
            name = driver.job.name
            if driver.failure is not None:
                kind = type(driver.failure).__name__
                yield f"stream {name} stopped: {kind}: {driver.failure}"
        for column, count in self._insider.refused.items():
            yield (
                f"streams: {count:,} values of {column} are no whole number of the instrument's"
                " units and were taken as null"
            )
