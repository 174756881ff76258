"""Real servers for tests: one start of each a test session, shared by the session's processes.

`python -m tests.servers` installs them before the tests, and says what is left out and why.
`TICKLOOP_SERVERS=0` leaves them all out.
"""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tickloop.core.errors import ServerError
from tickloop.infra.install import installed
from tickloop.infra.java import find_java
from tickloop.infra.pins import PINS
from tickloop.infra.servers import Wishes, answers, down, up
from tickloop.infra.state import Running, read

# Names the folder that all processes of a session share.
SERVERS_FOLDER = "TICKLOOP_SERVERS_FOLDER"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tickloop" / "servers"


def _nothing(_: str) -> None:
    """What is installed and started is of no interest in a test."""


@dataclass
class Server:
    """A server that this session started; tests may kill it and start it again."""

    name: str
    home: Path
    workers: int = 1

    @property
    def running(self) -> Running:
        return read(self.home)[self.name]

    @property
    def address(self) -> str:
        return self.running.address

    @property
    def is_alive(self) -> bool:
        """Whether it was started and has not ended since."""
        found = read(self.home).get(self.name)
        return found is not None and found.is_alive

    def start(self) -> None:
        """Start it, on the ports and the data that it had before; nothing if it runs."""
        wishes = Wishes(self.home, CACHE, ports={self.name: 0}, workers=self.workers, tell=_nothing)
        up([self.name], wishes)

    def kill(self) -> None:
        """End it as a crash does."""
        for process in self.running.processes:
            assert process.is_alive, f"{self.name} is gone already"
            os.kill(process.pid, signal.SIGKILL)
            while process.is_alive:
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
                time.sleep(0.01)
        assert not answers(self.running)


# What the tests start.
SERVERS = ("kafka", "questdb", "flink")


def _install(name: str) -> None:
    """Install a server, or skip: without Java, Maven or a registry there is none to test."""
    if reason := left_out(name, _nothing):
        pytest.skip(reason)


def left_out(name: str, tell: Callable[[str], None]) -> str:
    """Install a server that is not there yet; say why it is left out, if it is."""
    if os.environ.get("TICKLOOP_SERVERS") == "0":
        return f"tests with a real {name} run apart; TICKLOOP_SERVERS=0 leaves them out here"
    pin = PINS[name]
    try:
        find_java(pin.java_min)
        with _alone(CACHE.parent / f"{name}.lock"):
            installed(pin, CACHE, tell)
    except ServerError as error:
        return f"a real {name} is left out, it cannot be installed here: {error}"
    return ""


def main() -> None:
    """Install what the tests start, and say so."""
    for name in SERVERS:
        print(left_out(name, print) or f"{name} {PINS[name].version} is installed", flush=True)


@contextmanager
def _alone(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


@contextmanager
def shared(name: str, base: Path, workers: int = 1) -> Iterator[Server]:
    """Share a server among the processes of a session; the last one to leave stops it."""
    _install(name)
    # What lives for minutes is not worth the second compiler's time: a third of all processors'.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    home = base / f"server-{name}"
    users = home / "users"
    users.mkdir(parents=True, exist_ok=True)
    mine = users / str(os.getpid())
    mine.touch()
    try:
        yield Server(name, home, workers)
    finally:
        with _alone(home / "tests.lock"):
            mine.unlink()
            if not any(users.iterdir()):
                _stop(home)


def session_folder(part: str = "") -> Path:
    """Name the folder of this session's servers, or of those that are apart from the others."""
    return Path(os.environ[SERVERS_FOLDER], part)


def stop_left(base: Path) -> None:
    """Stop servers below a session's folder that nobody stopped."""
    for home in [*base.glob("server-*"), *base.glob("*/server-*")]:
        _stop(home)


def _stop(home: Path) -> None:
    """Stop a server and see that nothing of it goes on."""
    for running, _ in list(down(sorted(read(home)), home)):
        for what, port in running.ports.items():
            with socket.socket() as probe:
                is_open = probe.connect_ex(("127.0.0.1", port)) == 0
            assert not is_open, f"{running.server} was stopped, and its {what} port still answers"


@contextmanager
def alone_with(server: Server) -> Iterator[Server]:
    """Have a running server to oneself: a test is about to kill it, or to change what all see."""
    with ExitStack() as held:
        with _alone(server.home / "door.lock"):
            held.enter_context(_alone(server.home / "tests.lock"))
        server.start()
        yield server


@contextmanager
def beside_others(server: Server) -> Iterator[Server]:
    """Share a running server with tests that leave it, and each other's things, as they are.

    Who wants it alone stands in the door until the others have left; nobody passes him.
    """
    with ExitStack() as held:
        with _alone(server.home / "door.lock"):
            held.enter_context(_alone(server.home / "tests.lock", fcntl.LOCK_SH))
            if not server.is_alive:
                server.start()
        yield server


if __name__ == "__main__":
    main()
