"""Jobs on Flink beside a capture: those that do not run yet are started by a process of their own.

Starting one takes seconds, in which no row has to wait: a job reads its topics from their
beginning, whenever it starts.
"""

import subprocess
import sys
import threading
from pathlib import Path

from tickloop.app.capture import Stop
from tickloop.app.sink_processes import CONFIG
from tickloop.app.streams import away_of
from tickloop.core.clock import sleep
from tickloop.core.config import Config

_POLL_S = 0.1
_ATTEMPTS = 3  # a cluster that is just being started, or brought back, may refuse the first
_PAUSE_S = 5.0


class JobStart:
    """Starts the streams of `[flink] streams`; does nothing without any."""

    def __init__(self, root: Path, config: Config) -> None:
        """Begin; the sinks have written the run's configuration by now."""
        self._thread: threading.Thread | None = None
        if not away_of(config):
            return
        self.log = root / "cursors" / "flink.log"
        self._command = [
            sys.executable, "-m", "tickloop.app", "stream", "deploy", "--missing", "--config",
            str(root / "cursors" / CONFIG),
        ]  # fmt: skip
        self._thread = threading.Thread(target=self._start, name="flink-start", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        """Try until every job runs; tell whoever watches the run of each failure."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            failure = self._attempt()
            if failure is None:
                return
            next_step = (
                f"the start is tried again in {_PAUSE_S:.0f} s" if attempts_left
                else "`tickloop stream deploy` tries again"
            )  # fmt: skip
            print(
                f"jobs on Flink: {failure}; {self.log} has the rest, the capture goes on and"
                f" {next_step}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            if attempts_left:
                sleep(_PAUSE_S)

    def _attempt(self) -> str | None:
        """Keep what the command says; give its last line if it failed."""
        last = ""
        # In a session of its own: Ctrl-C ends the run, not jobs that outlive it.
        with (
            subprocess.Popen(  # noqa: S603 - our own command
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, start_new_session=True,
            ) as process,
            self.log.open("a") as log,
        ):  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                last = line.strip() or last
                log.write(line)
                log.flush()
        return last if process.returncode else None

    @property
    def is_done(self) -> bool:
        """Tell whether every job runs, or was refused."""
        return self._thread is None or not self._thread.is_alive()

    def wait(self, stop: Stop) -> None:
        """Wait until every job runs or was refused, or until a stop is wished for."""
        while not self.is_done and not stop.is_due:
            sleep(_POLL_S)
