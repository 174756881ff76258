"""Worker processes: started ahead, lent to connections, killed and replaced."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tickloop.analytics.gateway.lease import Lease, Word, read, receive, spell, spell_lease
from tickloop.analytics.gateway.slot import Phase, Slot
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import QueryError
from tickloop.tickerplant.usage import Asked

Holder = TypeVar("Holder")
# The first start on a machine compiles every kernel.
_START_S = 600.0
_STUCK_NS = 1_000_000_000
# How long a worker has to stop by itself, which keeps its connection's variables.
GRACE_NS = 200_000_000
STOP_SIGNAL = signal.SIGUSR1


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many workers answer, and how many processes there may be with those that are kept.

    `nice` is how far all of them give way to other processes, 0 to 19.
    """

    workers: int
    processes: int
    nice: int


@dataclass(eq=False)
class WorkerProcess(Generic[Holder]):
    """One worker as the gateway knows it."""

    control: socket.socket
    slot: Slot
    pidfd: int = -1
    holder: Holder | None = None
    lease: Lease | None = None
    is_pinned: bool = False
    is_recalled: bool = False
    is_ended: bool = False
    reason: str = ""  # why its request has to end
    stopped_ns: int = 0
    recalled_ns: int = 0
    usage: list[Asked] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Tell whether the process has reported for work."""
        return self.pidfd >= 0

    @property
    def is_idle(self) -> bool:
        """Tell whether it can be lent."""
        return self.is_ready and self.holder is None and not self.is_ended

    @property
    def is_stuck(self) -> bool:
        """Tell whether it waits for its peer: it takes no part in answering others then."""
        phase = self.slot.phase
        if phase is Phase.SENDING and self.slot.age_ns > _STUCK_NS:
            return True
        asked_ns = monotonic_ns() - self.recalled_ns
        return self.is_recalled and phase is not Phase.RUNNING and asked_ns > _STUCK_NS

    def stop(self, reason: str) -> None:
        """Ask for the end of the request that runs; `kill` follows where that does not help."""
        self.reason, self.stopped_ns = reason, monotonic_ns()
        self.slot.end(reason)
        self._signal(STOP_SIGNAL)

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.is_ready:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)


class Pool(Generic[Holder]):
    """Keeps enough idle workers; tells `on_end` what became of each lease."""

    def __init__(
        self,
        root: Path,
        limits: PoolLimits,
        *,
        on_fork: Callable[[socket.socket], None],
        on_free: Callable[[WorkerProcess[Holder], Holder], None],
        on_end: Callable[[WorkerProcess[Holder], Holder, bool], None],
        on_usage: Callable[[list[Asked]], None],
        command: tuple[str, ...] = (sys.executable, "-m", "tickloop.analytics.gateway.mother"),
        more: tuple[str, ...] = (),
    ) -> None:
        self._root = root
        self.limits = limits
        self._on_fork = on_fork
        self._on_free, self._on_end, self._on_usage = on_free, on_end, on_usage
        self._command = command
        self._more = more  # what the mother is told after the path and its priority
        self.workers: list[WorkerProcess[Holder]] = []
        self.killed = 0
        self._by_fd: dict[int, WorkerProcess[Holder]] = {}
        self._mother, self._mother_control = self._start_mother()

    def _start_mother(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # One thread, so that forking is safe; a query is answered by one core.
        environment = {
            **os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }  # fmt: skip
        with theirs:
            # Our own interpreter and module, with a number and a path as arguments.
            mother = subprocess.Popen(  # noqa: S603
                [*self._command, str(theirs.fileno()), str(self._root), str(self.limits.nice),
                 *self._more],
                pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return mother, ours

    def wait_ready(self) -> None:
        """Wait until workers can be forked; QueryError if they cannot."""
        self._mother_control.settimeout(_START_S)
        try:
            raw, _ = receive(self._mother_control)
        except TimeoutError:
            raw = b""
        self._mother_control.settimeout(None)
        if not raw:
            raise QueryError("the query workers did not start; what they printed says why")
        self.fill()

    def fill(self) -> None:
        """Start workers until enough can answer."""
        while self._able < self.limits.workers and len(self.workers) < self.limits.processes:
            self._fork()

    @property
    def _able(self) -> int:
        """Workers that answer or could: not those that belong to one connection or hang on one."""
        return sum(
            not worker.is_pinned and not worker.is_stuck and not worker.reason
            for worker in self.workers
        )

    @property
    def may_pin(self) -> bool:
        """Tell whether one more connection may keep a worker."""
        pinned = sum(worker.is_pinned for worker in self.workers)
        return pinned < self.limits.processes - 2 * self.limits.workers

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        slot = Slot.make()
        with theirs:
            try:
                socket.send_fds(
                    self._mother_control, [spell(Word.FORK)], [theirs.fileno(), slot.fd]
                )
            except OSError:
                self._mother_control.close()
                self._mother, self._mother_control = self._start_mother()
                socket.send_fds(
                    self._mother_control, [spell(Word.FORK)], [theirs.fileno(), slot.fd]
                )
        worker: WorkerProcess[Holder] = WorkerProcess(ours, slot)
        self.workers.append(worker)
        self._by_fd[ours.fileno()] = worker
        self._on_fork(ours)

    def idle(self) -> WorkerProcess[Holder] | None:
        """Give a worker that can be lent."""
        return next((worker for worker in self.workers if worker.is_idle), None)

    def lend(
        self, worker: WorkerProcess[Holder], holder: Holder, sock: socket.socket, lease: Lease
    ) -> None:
        """Lend a connection to an idle worker."""
        worker.holder, worker.lease = holder, lease
        worker.is_recalled, worker.reason = False, ""
        with suppress(OSError):  # its end is noticed when its socket is read
            socket.send_fds(worker.control, [spell_lease(lease)], [sock.fileno()])

    def recall(self) -> None:
        """Ask every worker that is not pinned to give its connection back when it is idle."""
        for worker in self.workers:
            if worker.holder is not None and not worker.is_pinned and not worker.is_recalled:
                worker.is_recalled, worker.recalled_ns = True, monotonic_ns()
                with suppress(OSError):
                    worker.control.send(spell(Word.RECALL))

    def hear(self, fd: int) -> None:
        """Read what a worker says."""
        worker = self._by_fd.get(fd)
        if worker is None:
            return
        try:
            raw, fds = receive(worker.control, 1)
        except OSError:
            raw, fds = b"", ()
        if not raw:
            self._ended(worker)
            return
        word, fields = read(raw)
        self._heard(worker, word, fields, fds)

    def _heard(
        self, worker: WorkerProcess[Holder], word: Word, fields: dict[str, Any], fds: Any
    ) -> None:
        if word is Word.READY:
            worker.pidfd = fds[0]
        elif word is Word.PINNED:
            worker.is_pinned = True
            self.fill()
        elif word is Word.USAGE:
            self._on_usage([Asked(*record) for record in fields["asked"]])
        elif word in (Word.FREE, Word.CLOSED):
            self._returned(worker, word)

    def _returned(self, worker: WorkerProcess[Holder], word: Word) -> None:
        holder, worker.holder, worker.lease = worker.holder, None, None
        worker.is_pinned = worker.is_recalled = False
        assert holder is not None, f"{word} from a worker that was lent nothing"
        if word is Word.FREE:
            self._on_free(worker, holder)
        else:
            self._on_end(worker, holder, True)
        self._shrink(worker)

    def _shrink(self, worker: WorkerProcess[Holder]) -> None:
        """Let a worker go that stood in for another."""
        if worker.is_idle and self._able > self.limits.workers:
            self._forget(worker)

    def _ended(self, worker: WorkerProcess[Holder]) -> None:
        holder, worker.holder = worker.holder, None
        worker.is_ended = True
        self.killed += 1
        if holder is not None:
            self._on_end(worker, holder, False)
        self._forget(worker)
        self.fill()

    def _forget(self, worker: WorkerProcess[Holder]) -> None:
        self.workers.remove(worker)
        del self._by_fd[worker.control.fileno()]
        worker.control.close()  # an idle worker ends when its socket does
        worker.slot.close()
        if worker.is_ready:
            os.close(worker.pidfd)
        worker.is_ended = True

    def close(self) -> None:
        """End every worker."""
        for worker in list(self.workers):
            worker.kill()
            self._forget(worker)
        self._mother_control.close()
        try:
            self._mother.wait(5)
        except subprocess.TimeoutExpired:
            self._mother.kill()
            self._mother.wait()
