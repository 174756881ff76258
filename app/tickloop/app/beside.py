"""The gateway beside a capture: a process of its own, so that no question can delay a row."""

import json
import os
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the gateway should listen; None for what the configuration says."""

    q_port: int | None
    pg_port: int | None
    config: Path | None


class Beside:
    """A gateway over the directory that this process captures into."""

    def __init__(self, root: Path, wanted: Wanted) -> None:
        self.ports: dict[str, int] = {}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # Our own interpreter, our own command.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "tickloop.app", "serve", "--data", str(root), "--json",
             "--beside", str(os.getpid()), *_options(wanted)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._is_waiting = True

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def poll(self) -> bool:
        """Tell once that the ports are open; a gateway that refused has said why by itself."""
        if not self._is_waiting or not self._selector.select(0):
            return False
        self._is_waiting = False
        line = self._out.readline()
        if not line:
            return False
        told = json.loads(line)["ports"]
        self.ports = {"q": int(told["q"]), "pg": int(told["pg"])}
        return True

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._out.close()


def _options(wanted: Wanted) -> list[str]:
    given = {"--q-port": wanted.q_port, "--pg-port": wanted.pg_port, "--config": wanted.config}
    return [text for name, value in given.items() if value is not None
            for text in (name, str(value))]  # fmt: skip
