"""Sinks beside a capture: a process each, so that none of them slows it or ends it.

A process ends by itself when the plant has let go of the directory and everything is where it
belongs. One that crashed is started again, a few times; one that refused is not: a person has to
read why.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from tickloop.app.sinks import wanted_sinks
from tickloop.core.config import Config, as_toml
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile

_RESTARTS = 5
_GRACE_S = 30.0  # beside the drain that a sink allows itself
CONFIG = "run.toml"  # in a directory's cursors: how the run was configured


class SinkProcesses:
    """The sinks of one run."""

    def __init__(self, root: Path, config: Config) -> None:
        """Start every sink that the configuration switches on."""
        self._root = root
        self._sinks = wanted_sinks(config)
        sinks = config.sinks
        self._drain_s = max(each.drain_s for each in (sinks.kafka, sinks.questdb, sinks.kdb))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._is_ending = False
        if not self._sinks:
            return
        self._config = root / "cursors" / CONFIG
        self._config.write_text(as_toml(config))
        self._config.chmod(0o600)
        self._watchers = [
            threading.Thread(target=self._watch, args=(name,), name=f"sink-{name}", daemon=True)
            for name in self._sinks
        ]
        for name in self._sinks:
            self._running[name] = self._spawn(name)
        for watcher in self._watchers:
            watcher.start()

    def log_of(self, name: str) -> Path:
        """Name the file of what a sink prints."""
        return self._root / "cursors" / f"{name}.log"

    def _spawn(self, name: str) -> "subprocess.Popen[bytes]":
        with self.log_of(name).open("ab") as log:
            # In a session of its own: Ctrl-C is the run's, whose end the sink waits for.
            return subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "tickloop.app", "sink", name, "--data", str(self._root),
                 "--config", str(self._config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ.copy(),
            )  # fmt: skip

    def _watch(self, name: str) -> None:
        """Wait for a sink's end; start it again if it crashed."""
        for _ in range(_RESTARTS):
            code = self._running[name].wait()
            if code == 0 or self._is_ending:
                return
            self._complain(name, code)
            if code == 1:
                return
            self._running[name] = self._spawn(name)

    def _complain(self, name: str, code: int) -> None:
        lines = self.log_of(name).read_text(errors="replace").splitlines()
        told = lines[-1] if lines and code == 1 else f"it ended with {code}"
        then = "" if code == 1 else "; it is started again"
        print(f"sink {name}: {told}{then}; the capture goes on", file=sys.stderr, flush=True)

    def finish(self) -> list[str]:
        """Wait until every sink has what the journal holds; say for each how far it came.

        Called when the plant has let go of the directory.
        """
        lines = []
        for name in self._sinks:
            process = self._running[name]
            try:
                process.wait(self._drain_s + _GRACE_S)
            except subprocess.TimeoutExpired:
                self._end(name)
            lines.append(self._told(name, CursorFile(self._root, name).peek()))
        self._is_ending = True
        return lines

    def _end(self, name: str) -> None:
        self._is_ending = True
        self._running[name].kill()
        self._running[name].wait()

    def _told(self, name: str, cursor: Cursor | None) -> str:
        if cursor is None:
            return f"{name:9} nothing was sent; {self.log_of(name)} says why"
        if cursor.state == "done":
            return f"{name:9} {cursor.rows:,} rows in {cursor.target}"
        return (
            f"{name:9} {cursor.rows:,} rows in {cursor.target}, the rest waits in the journal:"
            f" tickloop sink {name} --data {self._root} (with this --config) sends it"
        )
