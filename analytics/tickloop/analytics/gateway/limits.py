"""What a worker may take of the machine."""

import ctypes
import resource
import signal
from pathlib import Path

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def cap_memory(more_bytes: int) -> None:
    """Allow this process so much memory of its own beyond what it has; mapped files are free."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + more_bytes, hard))


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0


def die_with_parent() -> None:
    """Let the system end this process when its parent ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
