"""The installed command, run as a person runs it: in a process of its own."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickloop.core.clock import monotonic_ns

COMMAND = [sys.executable, "-m", "tickloop.app"]
# The first run on a machine compiles every kernel.
DEADLINE_S = 300.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read what was printed as one JSON value."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Read what was printed as csv."""
        return list(csv.DictReader(io.StringIO(self.out)))

    def refused(self, *pieces: str, code: int = 1) -> None:
        """Assert that it ended with a sentence that holds these pieces, and no traceback."""
        assert self.code == code, (self.code, self.out, self.err)
        assert "Traceback" not in self.err, self.err
        for piece in pieces:
            assert re.search(piece, self.err), (piece, self.err)


def tickloop(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> Done:
    """Run a command to its end."""
    found = subprocess.run(
        [*prefix, *COMMAND, *map(str, arguments)],
        cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip
    return Done(found.returncode, found.stdout.decode(), found.stderr.decode())


def good(*arguments: str | Path, **options: Any) -> Done:
    """Run a command that has to end well."""
    done = tickloop(*arguments, **options)
    assert done.code == 0, (done.code, done.out, done.err)
    return done


def sql(data: Path, statement: str) -> list[dict[str, str]]:
    """Ask a data directory; give rows as text."""
    return good("sql", "--data", data, "--format", "csv", statement).rows


@contextmanager
def running(*arguments: str | Path, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test, and make sure that it is gone afterwards."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        # With what it started: one that is left over would hold the pipes open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(found: Any, process: subprocess.Popen[str]) -> Any:
    """Wait until a function gives something; the process must not end before."""
    deadline = monotonic_ns() + int(DEADLINE_S * 1e9)
    while not (value := found()):
        assert monotonic_ns() < deadline, "waited in vain"
        if process.poll() is not None:
            out, err = process.communicate()
            raise AssertionError(f"ended early with {process.returncode}: {out}{err}")
        time.sleep(0.02)
    return value


def journal_bytes(data: Path) -> int:
    """Measure what a directory's logs hold."""
    return sum(log.stat().st_size for log in (data / "journal").glob("*.log"))


def ended(process: subprocess.Popen[str], number: signal.Signals) -> Done:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    return Done(process.returncode, out, err)
