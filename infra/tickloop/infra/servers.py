"""Servers up and down: what is needed is installed, what was started is known, only that ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tickloop.core.errors import ServerError
from tickloop.infra import flink, kafka, questdb, state
from tickloop.infra.install import installed
from tickloop.infra.java import find_java
from tickloop.infra.launch import Launcher, Place
from tickloop.infra.processes import Known, choose_port, stop
from tickloop.infra.state import Running

LAUNCHERS: dict[str, Launcher] = {
    launcher.pin.server: launcher for launcher in (kafka.LAUNCHER, questdb.LAUNCHER, flink.LAUNCHER)
}
_STOP_S = 20.0


@dataclass(frozen=True)
class Wishes:
    """What `up` was asked for."""

    home: Path  # data, configuration, logs and the list of what runs
    cache: Path  # what was installed
    ports: Mapping[str, int] = field(default_factory=dict)  # of clients, by server; 0: any
    external: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    memory_mib: Mapping[str, int] = field(default_factory=dict)
    workers: int = 1  # Flink's task managers
    tell: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class Health:
    """A server that is known here, and whether it answers."""

    running: Running
    answers: bool

    @property
    def word(self) -> str:
        """Say how it is."""
        if self.answers:
            return "answers"
        if self.running.is_external:
            return "does not answer"
        return "runs, does not answer" if self.running.is_alive else "died"


def up(servers: Sequence[str], wishes: Wishes) -> list[Running]:
    """Start servers, or find that they run; ServerError says what to do about one that cannot."""
    home = wishes.home.resolve()
    with state.locked(home):
        known = state.read(home)
        for server in servers:
            found = known.get(server)
            if server in wishes.external:
                _refuse_second(found, server)
                known[server] = _external(server, *wishes.external[server])
            elif found is None or not _is_well(found):
                _end(found)
                known[server] = _start(LAUNCHERS[server], wishes, home, known)
            state.write(home, known)
        return [known[server] for server in servers]


def _refuse_second(found: Running | None, server: str) -> None:
    if found is not None and not found.is_external and found.is_alive:
        raise ServerError(
            f"{server} was started here and runs on {found.address}: `tickloop down {server}`"
            " first, then name your own"
        )


def _external(server: str, host: str, port: int) -> Running:
    if not LAUNCHERS[server].answers(host, port):
        raise ServerError(
            f"{server}: nothing at {host}:{port} answers as {server} does; check the address, or"
            f" leave --external out and `tickloop up {server}` starts one here"
        )
    return Running(server, "", {"client": port}, (), host)


def _is_well(running: Running) -> bool:
    return running.is_alive and answers(running)


def answers(running: Running) -> bool:
    """Ask a server a question."""
    host, _, port = running.address.rpartition(":")
    return LAUNCHERS[running.server].answers(host, int(port))


def _start(launcher: Launcher, wishes: Wishes, home: Path, known: Mapping[str, Running]) -> Running:
    pin = launcher.pin
    java = find_java(pin.java_min)
    files = installed(pin, wishes.cache, wishes.tell)
    folder = home / pin.server
    folder.mkdir(parents=True, exist_ok=True)
    ports = _ports(launcher, wishes, known)
    memory = wishes.memory_mib.get(pin.server, launcher.memory_mib)
    wishes.tell(f"starting {pin.server} {pin.version} in {folder}")
    processes = launcher.start(Place(files, folder, ports, java, memory, wishes.workers))
    return Running(pin.server, pin.version, ports, processes)


def _ports(launcher: Launcher, wishes: Wishes, known: Mapping[str, Running]) -> dict[str, int]:
    """Choose ports: those it had before, if it was here before and they are free."""
    server = launcher.pin.server
    taken = {port for other in known.values() for port in other.ports.values()}
    before = known.get(server)
    chosen: dict[str, int] = {}
    for index, (name, usual) in enumerate(launcher.ports.items()):
        wanted = wishes.ports.get(server) if index == 0 else None
        if before is not None and not before.is_external and not wanted:
            wanted, usual = None, before.ports.get(name, usual)
            taken.discard(usual)
        # Who asks for a port of his own wants no others of the usual ones to be in his way.
        if index and server in wishes.ports and before is None:
            wanted = 0
        chosen[name] = choose_port(server, wanted, usual, taken)
        taken.add(chosen[name])
    return chosen


def down(servers: Sequence[str], home: Path) -> Iterator[tuple[Running, bool]]:
    """Stop what was started here; yields each with whether it still ran. External ones go on."""
    home = home.resolve()
    if not (home / state.NAME).exists():
        return
    with state.locked(home):
        known = state.read(home)
        for server in reversed([name for name in known if name in servers]):
            running = known.pop(server)
            ended = _end(running)
            state.write(home, known)
            yield running, ended


def _end(running: Running | None) -> bool:
    """End a server's processes, the last started first."""
    found: Sequence[Known] = () if running is None else running.processes
    ended = [stop(known, timeout_s=_STOP_S) for known in reversed(found)]
    return any(ended)


def status(home: Path) -> list[Health]:
    """List the servers that are known here, and ask each."""
    return [Health(running, answers(running)) for running in state.read(home.resolve()).values()]
