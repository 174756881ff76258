"""Keeps one command running: what dies is started again, and dies when its keeper does.

A Flink cluster of one machine replaces no process that was killed: without a task manager its jobs
wait for slots, without a job manager for somebody who knows of them.
"""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from tickloop.core.clock import monotonic_ns, sleep

_PR_SET_PDEATHSIG = 1
_DELAY_S = 0.5
# A command that ends so soon, so often in a row, will not run.
_SOON_NS = 5_000_000_000
_TRIES = 5


def command(wrapped: Sequence[str]) -> list[str]:
    """Give the command that keeps another one running."""
    return [sys.executable, "-m", "tickloop.infra.supervise", *wrapped]


def keep(wrapped: Sequence[str]) -> int:
    """Run a command until SIGTERM comes, or until it ends again and again; give its status."""
    children: list[subprocess.Popen[bytes]] = []
    is_over = False

    def end(_: int, __: FrameType | None) -> None:
        nonlocal is_over
        is_over = True
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, end)
    failures, status = 0, 0
    while not is_over and failures < _TRIES:
        began = monotonic_ns()
        children[:] = [subprocess.Popen(wrapped, preexec_fn=_die_with_parent)]  # noqa: S603, PLW1509
        if is_over:
            children[0].terminate()
        status = children[0].wait()
        failures = failures + 1 if monotonic_ns() - began < _SOON_NS else 0
        if not is_over:
            print(f"{wrapped[0]} ended with {status}; it is started again", flush=True)  # noqa: T201
            sleep(_DELAY_S)
    return 0 if is_over else status


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
