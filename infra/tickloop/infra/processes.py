"""Processes that outlive the command that started them, known by pid and start time."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import ServerError
from tickloop.core.priority import give_way

_STEP_S = 0.1
_TAIL_LINES = 15
_NICE = 5  # sinks and queries give up more


@dataclass(frozen=True, slots=True)
class Known:
    """A process: its pid alone may be another's by now."""

    role: str
    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Tell whether it is this process that still runs."""
        return start_of(self.pid) == self.started


def start_of(pid: int) -> str | None:
    """Give when a process was started, in the system's own words; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _start_by_ps(pid) if not Path("/proc/self/stat").exists() else None
    # The name of the command may hold spaces and brackets: fields count from its end.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _start_by_ps(pid: int) -> str | None:
    done = subprocess.run(  # noqa: S603 - a number
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def spawn(
    role: str, command: Sequence[str], *, log: Path, folder: Path, env: Mapping[str, str]
) -> tuple[Known, "subprocess.Popen[bytes]"]:
    """Start a process in a session of its own; what it prints is appended to its log.

    It gives way to a capture on the same machine, which cannot wait; what a server has to do can.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own words and paths
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
            env={**os.environ, **env}, start_new_session=True,
        )  # fmt: skip
    give_way(_NICE, process.pid)
    return Known(role, process.pid, start_of(process.pid) or ""), process


def wait_healthy(
    process: "subprocess.Popen[bytes]", answers: Callable[[], bool], *, name: str, log: Path,
    timeout_s: float,
) -> None:  # fmt: skip
    """Wait for the first answer; whoever is not waited for to the end is ended.

    Nobody would know of a server that was being started when its user pressed Ctrl-C.
    """
    try:
        _wait(process, answers, name, log, timeout_s)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _wait(
    process: "subprocess.Popen[bytes]", answers: Callable[[], bool], name: str, log: Path,
    timeout_s: float,
) -> None:  # fmt: skip
    """Wait for an answer, then see that the process that was started still lives.

    Another server on the port may have answered while this one ended because of it.
    """
    deadline = monotonic_ns() + int(timeout_s * 1e9)
    while True:
        _check_alive(process, name, log)
        if answers():
            sleep(_STEP_S)
            _check_alive(process, name, log)
            return
        if monotonic_ns() > deadline:
            raise ServerError(
                f"{name} did not answer within {timeout_s:.0f} s; its log {log} ends with\n"
                + tail(log)
            )
        sleep(_STEP_S)


def _check_alive(process: "subprocess.Popen[bytes]", name: str, log: Path) -> None:
    code = process.poll()
    if code is not None:
        raise ServerError(f"{name} ended with {code}; its log {log} ends with\n{tail(log)}")


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Give the last lines of a log, indented."""
    try:
        found = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        found = []
    return "\n".join(f"  {line}" for line in found[-lines:]) or "  nothing"


def stop(known: Known, *, timeout_s: float) -> bool:
    """Ask a process to end, and end it if it does not; False if it was gone already."""
    if not known.is_alive:
        return False
    _signal(known, signal.SIGTERM)
    deadline = monotonic_ns() + int(timeout_s * 1e9)
    while known.is_alive and monotonic_ns() < deadline:
        _reap(known.pid)
        sleep(0.05)
    if known.is_alive:
        _signal(known, signal.SIGKILL)
        while known.is_alive:
            _reap(known.pid)
            sleep(0.05)
    return True


def _signal(known: Known, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(known.pid, number)


def _reap(pid: int) -> None:
    """Take note of the end of a child of ours; others' children are none of our business."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_port(server: str, wanted: int | None, usual: int, taken: set[int]) -> int:
    """Give the port that was asked for, else the usual one if it is free, else any free one."""
    if wanted:
        if not is_free(wanted):
            raise ServerError(
                f"port {wanted} is taken on 127.0.0.1: stop what listens there, give {server}"
                f" another one (--port {server}=0 takes any free one), or, if it is a {server}"
                f" of yours, name it with --external {server}=127.0.0.1:{wanted}"
            )
        return wanted
    if wanted is None and usual not in taken and is_free(usual):
        return usual
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
