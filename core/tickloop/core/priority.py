"""How far a process gives way to others of this machine, such as a capture."""

import os
from contextlib import suppress
from pathlib import Path


def give_way(nice: int, process: int = 0) -> None:
    """Let processes of this user that do not give way, such as a capture, run first.

    0 changes nothing, 19 gives up the most; threads and children started from now on give way as
    well. `process` is one's own (0) or one just started.
    """
    if not nice:
        return
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process, os.getpriority(os.PRIO_PROCESS, process) + nice)
        if os.getsid(process) == (process or os.getpid()):
            _give_way_as_session(process, nice)


def _give_way_as_session(process: int, nice: int) -> None:
    """Let other sessions run first.

    Linux shares the processor between sessions, and only inside of one by what its processes give
    up (sched(7), autogroup).
    """
    with suppress(OSError):  # not on this system, or switched off
        Path(f"/proc/{process or 'self'}/autogroup").write_text(str(nice))
