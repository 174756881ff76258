"""Starts the Postgres-wire process, and starts it again where it ends by itself."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

from tickloop.analytics.gateway.pg_process import PgSettings
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import ConfigError

_AGAIN_NS = 1_000_000_000


class PgFront:
    """The Postgres-wire port of a gateway."""

    def __init__(self, settings: PgSettings) -> None:
        self._settings = settings
        self.restarts = 0
        self._started_ns = 0
        self._process = self._start()
        self.port = self._port()
        # A process that follows has to take the same port.
        self._settings = replace(settings, port=self.port)

    def _start(self) -> subprocess.Popen[str]:
        self._started_ns = monotonic_ns()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "tickloop.analytics.gateway.pg_process"]
        # Our own interpreter and module, with settings of ours.
        return subprocess.Popen(  # noqa: S603
            [*command, json.dumps(asdict(self._settings))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def _port(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        told = json.loads(line) if line else {"refused": "the Postgres port did not open"}
        if "refused" in told:
            self._process.wait()
            raise ConfigError(str(told["refused"]))
        return int(told["port"])

    def poll(self) -> None:
        """Start the process again where it has ended."""
        if self._process.poll() is None or monotonic_ns() - self._started_ns < _AGAIN_NS:
            return
        self.restarts += 1
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = self._start()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
