"""Snapshots on disk: the newest state of every stream, replaced whole, never half-written."""

from pathlib import Path

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
        self._door.make_directory(self._folder)
        fresh = self.path.with_name(f"{self.path.name}.new")
        descriptor = self._door.create(fresh)
        try:
            self._door.write(descriptor, [data])
            self._door.sync(descriptor)
        finally:
            self._door.close(descriptor)
        self._door.rename(fresh, self.path)
        self._door.sync_directory(self._folder)
