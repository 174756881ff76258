"""The process that workers are forked from: everything is imported and compiled here, once."""

import os
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tickloop.analytics.gateway.engine import Shared
from tickloop.analytics.gateway.lease import Word, receive, spell
from tickloop.analytics.gateway.limits import die_with_parent
from tickloop.analytics.gateway.pool import STOP_SIGNAL
from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.gateway.slot import Slot
from tickloop.analytics.gateway.worker import Worker
from tickloop.analytics.q import standard
from tickloop.analytics.questdb.place import Place, place_of
from tickloop.core.errors import TickloopError
from tickloop.core.kernel import warm_up
from tickloop.core.priority import give_way


def main() -> None:
    """Fork a worker for each message on the socket that was inherited; end when it ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    root = Path(sys.argv[2])
    place = place_of(sys.argv[4]) if len(sys.argv) > 4 else Place()
    give_way(int(sys.argv[3]))
    # A person's Ctrl-C is for the gateway, which ends its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    standard.load()
    for vendor in ("duckdb", "pyarrow"):
        import_module(vendor)
    warm_up()
    # pyarrow's allocator keeps a thread that nothing here uses, and takes care of forks itself.
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    with suppress(BrokenPipeError):  # nobody waits any more: the next read says so
        control.send(spell(Word.READY))
    while True:
        raw, fds = receive(control, 2)
        if not raw:
            return
        if os.fork() == 0:
            control.close()
            _be_worker(root, place, *fds)
        _collect(fds)


def _collect(fds: Sequence[int]) -> None:
    """Collect ended children, so that none stays behind."""
    for fd in fds:
        os.close(fd)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _be_worker(root: Path, place: Place, control_fd: int, slot_fd: int) -> None:
    code = 1
    try:
        die_with_parent()
        with socket.socket(fileno=control_fd) as control:
            shared = Shared(root, place)
            with suppress(TickloopError):  # whoever asks first is told what is wrong
                shared.take_back(Rights(), shared.language(Rights()))
            # By this descriptor nobody else can be ended, whoever gets our number after us.
            socket.send_fds(control, [spell(Word.READY)], [os.pidfd_open(os.getpid())])
            worker = Worker(control, Slot(slot_fd), shared)
            signal.signal(STOP_SIGNAL, lambda number, frame: worker.stop())
            worker.run()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
