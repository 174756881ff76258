"""How far a sink came, durably: it resumes there, and `seq` makes what comes twice harmless."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tickloop.core.errors import SinkError
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor

NO_SEQ = -1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Every row with a seq up to `seq` is in the sink."""

    sink: str
    target: str  # server and names there: a cursor of another place says nothing
    plant: int
    seq: int = NO_SEQ
    rows: int = 0  # given to the sink since it was first started
    # Per stream of the sink, the last seq that it acknowledged: what it has to have still.
    streams: Mapping[str, int] = field(default_factory=dict)
    state: str = "new"  # or: running, away, done, stopped
    note: str = ""


class CursorFile:
    """`cursors/NAME.json`, replaced by one rename."""

    def __init__(self, root: Path, name: str, door: FileDoor = OS_DOOR) -> None:
        self.path = root / "cursors" / f"{name}.json"
        self._door = door

    def read(self, *, target: str, plant: int) -> Cursor:
        """Read the cursor; a new one if there is none for this target and plant."""
        fresh = Cursor(self.path.stem, target, plant)
        found = self.peek()
        if found is None or (found.target, found.plant) != (target, plant):
            return fresh
        return found

    def peek(self) -> Cursor | None:
        """Read whatever cursor there is."""
        try:
            return Cursor(**json.loads(self.path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise SinkError(
                f"{self.path} is damaged ({error}); delete it: the sink then asks its server how"
                " far it came"
            ) from error

    def write(self, cursor: Cursor) -> None:
        """Put a cursor in place, durably."""
        fresh = self.path.with_suffix(".json.new")
        descriptor = self._door.create(fresh)
        try:
            self._door.write(descriptor, [json.dumps(asdict(cursor), indent=1).encode() + b"\n"])
            self._door.sync(descriptor)
        finally:
            self._door.close(descriptor)
        self._door.rename(fresh, self.path)
        self._door.sync_directory(self.path.parent)


def advanced(cursor: Cursor, seq: int, rows: int, streams: Mapping[str, int]) -> Cursor:
    """Move a cursor on."""
    return replace(cursor, seq=seq, rows=cursor.rows + rows, streams=dict(streams))
