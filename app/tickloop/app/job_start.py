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


class JobStart:
    """Starts the streams of `[flink] streams`; does nothing without any."""

    def __init__(self, root: Path, config: Config) -> None:
        """Begin; the sinks have written the run's configuration by now."""
        self._process: subprocess.Popen[str] | None = None
        if not away_of(config):
            return
        self.log = root / "cursors" / "flink.log"
        # In a session of its own: Ctrl-C ends the run, not jobs that outlive it.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "tickloop.app", "stream", "deploy", "--missing", "--config",
             str(root / "cursors" / CONFIG)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="flink-start", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Keep what is said, and pass failures on to whoever watches the run."""
        assert self._process is not None and self._process.stdout is not None
        last = ""
        with self.log.open("a") as log:
            for line in self._process.stdout:
                last = line.strip() or last
                log.write(line)
                log.flush()
        if self._process.wait():
            print(
                f"jobs on Flink: {last}; {self.log} has the rest, the capture goes on and"
                " `tickloop stream deploy` tries again",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    @property
    def is_done(self) -> bool:
        """Tell whether every job runs, or was refused."""
        return self._process is None or not self._reader.is_alive()

    def wait(self, stop: Stop) -> None:
        """Wait until every job runs or was refused, or until a stop is wished for."""
        while not self.is_done and not stop.is_due:
            sleep(_POLL_S)
