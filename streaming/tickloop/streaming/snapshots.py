"""Snapshots on disk: the newest state of every stream, replaced whole, never half-written.

Beside it, in `STREAM.params`, what values of the stream's parameters it was made with.
"""

import json
from pathlib import Path

from tickloop.core.errors import ConfigError, SnapshotError
from tickloop.core.parameters import Setting, Settings
from tickloop.streaming.job import Job
from tickloop.tickerplant.file_door import FileDoor


class SnapshotFile:
    """One stream's snapshot in a data directory."""

    def __init__(self, root: Path, stream: str, door: FileDoor) -> None:
        self._folder = root / "cursors"
        self.path = self._folder / f"{stream}.state"
        self._door = door

    def read(self) -> bytes | None:
        """Give the bytes; None before the first snapshot."""
        return self.path.read_bytes() if self.path.exists() else None

    def write(self, data: bytes) -> None:
        """Put a snapshot in the place of the last one; it is on disk when this returns."""
        self._replace(self.path, data)

    def params(self) -> dict[str, Setting] | None:
        """Give the values that the state was made with; None where nobody noted them."""
        path = self._params_path
        if not path.exists():
            return None
        try:
            return dict(json.loads(path.read_bytes()))
        except ValueError as error:
            raise SnapshotError(
                f"{path} is damaged ({error}); delete it if the stream's parameters are those that"
                " its state was made with"
            ) from error

    def write_params(self, params: Settings) -> None:
        """Note the values that the state is made with; they are on disk when this returns."""
        self._replace(self._params_path, json.dumps(dict(params)).encode())

    @property
    def _params_path(self) -> Path:
        return self.path.with_suffix(".params")

    def _replace(self, path: Path, data: bytes) -> None:
        self._door.make_directory(self._folder)
        fresh = path.with_name(f"{path.name}.new")
        descriptor = self._door.create(fresh)
        try:
            self._door.write(descriptor, [data])
            self._door.sync(descriptor)
        finally:
            self._door.close(descriptor)
        self._door.rename(fresh, path)
        self._door.sync_directory(self._folder)


def check_lasting(job: Job, before: Settings, path: Path) -> None:
    """Refuse other values of what holds for as long as the state at `path` lives; ConfigError."""
    for each in job.operator.parameters:
        value = job.params[each.name]
        if not each.live and before.get(each.name, value) != value:
            raise ConfigError(
                f"stream.{job.name}.{each.name}: {value!r} seen, {before[each.name]!r} expected,"
                " which its state was made with and which holds for as long as that lives; give"
                f" the stream another name, or delete {path} to begin anew with the next row"
            )
