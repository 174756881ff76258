"""What was started here: one small file, read and replaced under a lock."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.errors import ServerError
from tickloop.infra.processes import Known

NAME = "servers.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A server: its processes if we started it, none if it is the user's own."""

    server: str
    version: str
    ports: Mapping[str, int]
    processes: tuple[Known, ...] = ()
    host: str = "127.0.0.1"

    @property
    def is_external(self) -> bool:
        """Tell whether somebody else started it."""
        return not self.processes

    @property
    def is_alive(self) -> bool:
        """Tell whether every process that was started still runs."""
        return all(known.is_alive for known in self.processes)

    @property
    def address(self) -> str:
        """Where its clients connect."""
        return f"{self.host}:{next(iter(self.ports.values()))}"


def read(home: Path) -> dict[str, Running]:
    """Read which servers were started, in the order of their start."""
    path = home / NAME
    try:
        entries = json.loads(path.read_text())
        return {entry["server"]: _running(entry) for entry in entries}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(
            f"{path} is damaged ({error!r}); end what still runs by hand, then delete it"
        ) from error


def _running(entry: dict[str, object]) -> Running:
    raw: dict[str, list] = entry  # type: ignore[type-arg,assignment]
    return Running(
        server=str(raw["server"]), version=str(raw["version"]),
        ports={str(name): int(port) for name, port in dict(raw["ports"]).items()},
        processes=tuple(Known(**process) for process in raw["processes"]), host=str(raw["host"]),
    )  # fmt: skip


def write(home: Path, running: Mapping[str, Running]) -> None:
    """Replace the file by one rename."""
    fresh = home / f"{NAME}.new"
    fresh.write_text(json.dumps([asdict(each) for each in running.values()], indent=1) + "\n")
    fresh.replace(home / NAME)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Let one command at a time start and stop servers."""
    home.mkdir(parents=True, exist_ok=True)
    fd = os.open(home / "servers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
