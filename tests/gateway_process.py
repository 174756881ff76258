"""`tickloop serve` in a process of its own, as a person starts it, and plain clients for it."""

import json
import selectors
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.command import COMMAND
from tickloop.core.clock import monotonic_ns
from tickloop.tickerplant.q_client import QClient

READY_S = 300.0


@dataclass
class Serving:
    """A running gateway."""

    port: int
    pg_port: int
    root: Path
    process: subprocess.Popen[str]

    def client(self, user: str = "", password: str = "") -> QClient:
        """Connect."""
        return QClient("127.0.0.1", self.port, user=user, password=password, timeout_s=60.0)

    def workers(self) -> list[int]:
        """List the processes that answer."""
        return [child for pid in _children(self.process.pid) for child in _children(pid)]


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in path.read_text().split()] if path.exists() else []


def cpu_s(pid: int) -> float:
    """Give the processor time that a process has used; infinite once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def serving(root: Path, config: str = "", *arguments: str) -> Iterator[Serving]:
    """Serve a directory on a free port; it has to end in order."""
    path = root.with_name(f"{root.name}-serve.toml")
    path.write_text(config)
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(root), "--config", str(path), "--q-port", "0",
         "--pg-port", "0", "--json",
         *arguments],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        ports = _ports(process)
        yield Serving(ports["q"], ports["pg"], root, process)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def _ports(process: subprocess.Popen[str]) -> dict[str, int]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(READY_S), "no port in time"
    found: dict[str, int] = json.loads(process.stdout.readline())["ports"]
    return found


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    started = monotonic_ns()
    run()
    return (monotonic_ns() - started) / 1e9


def wait_until(is_so: Callable[[], bool], limit_s: float = 10.0) -> float:
    """Wait for something; give how long it took."""
    started = monotonic_ns()
    while not is_so():
        assert monotonic_ns() - started < limit_s * 1e9, "waited in vain"
    return (monotonic_ns() - started) / 1e9
