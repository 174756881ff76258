"""A data directory: where everything of one plant lies, and who holds it."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.errors import DataDirectoryError


@dataclass(frozen=True, slots=True)
class Run:
    """The process that captures into a directory."""

    pid: int
    started: str  # ISO 8601, UTC
    ports: dict[str, int]


class DataDirectory:
    """Paths of a data directory; `hold` makes this process its only writer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock_fd: int | None = None

    @property
    def journal(self) -> Path:
        """Logs and their sidecars."""
        return self.root / "journal"

    @property
    def rdb(self) -> Path:
        """Today's rows."""
        return self.root / "rdb"

    @property
    def db(self) -> Path:
        """History, as kdb+ mounts it."""
        return self.root / "db"

    @property
    def sym(self) -> Path:
        """The symbol file."""
        return self.db / "sym"

    def create(self) -> None:
        """Make the folders; a file in the way is a DataDirectoryError."""
        try:
            for folder in (self.journal, self.rdb, self.db, self.root / "cursors"):
                folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataDirectoryError(
                f"{self.root}: a file stands where the data directory should be ({error});"
                " give another --data directory"
            ) from error
        except OSError as error:
            raise DataDirectoryError(
                f"{self.root} cannot be written ({error.strerror}); give another --data directory"
            ) from error

    def hold(self) -> None:
        """Take the directory for this process; DataDirectoryError if another one has it."""
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            run = self.run()
            who = f"process {run.pid}, started {run.started}" if run else "another process"
            raise DataDirectoryError(
                f"{self.root} is being written by {who}; stop it first, or give another --data"
                " directory (queries need no lock: `tickloop sql` works beside it)"
            ) from error
        self._lock_fd = fd

    def announce(self, run: Run) -> None:
        """Tell other processes who writes here and on which ports."""
        temporary = self.root / "run.json.new"
        temporary.write_text(json.dumps(asdict(run), indent=1) + "\n")
        temporary.replace(self.root / "run.json")

    def run(self) -> Run | None:
        """Read who announced itself last; a process that is gone counts as nobody."""
        try:
            fields = json.loads((self.root / "run.json").read_text())
            run = Run(int(fields["pid"]), str(fields["started"]), dict(fields["ports"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DataDirectoryError(
                f"{self.root / 'run.json'} is damaged ({error}); no run needs it: delete it"
            ) from error
        return run if self.is_held() else None

    def is_held(self) -> bool:
        """Tell whether a process, this one included, writes here."""
        if self._lock_fd is not None:
            return True
        try:
            fd = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Let the directory go."""
        if self._lock_fd is not None:
            (self.root / "run.json").unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None
