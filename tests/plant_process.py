"""A plant with its q port in a process of its own, as a user starts it.

PyKX holds the interpreter's lock while it connects, so a server in its process never answers.
"""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tickloop.app.capture import stay, stopping
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.core.config import load


@dataclass
class PlantProcess:
    """A running plant."""

    port: int
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """End it in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(30)


@contextmanager
def plant_process(
    root: Path, config: str = "", *, live: bool = False, fractional: bool = False
) -> Iterator[PlantProcess]:
    """Start a plant on a free port; whatever still runs at the end is killed."""
    path = root.with_name(f"{root.name}.toml")
    path.write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(root), str(path), str(live), str(fractional)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield PlantProcess(_port_of(process), process)
    finally:
        process.kill()
        process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(120), "no port within two minutes"
    line = process.stdout.readline()
    assert line.startswith("port "), f"{line!r} where a port was expected"
    return int(line.removeprefix("port "))


def main() -> None:
    """Serve until SIGTERM."""
    root, config, live, fractional = sys.argv[1:]
    with stopping() as stop:
        settings = RunSettings("UTC", fractional == "True", live == "True")
        run = PlantRun(Path(root), load(Path(config)), settings)
        try:
            print("port", run.serve(0), flush=True)
            run.announce()
            stay(run, stop)
        except BaseException:
            run.abandon()
            raise
        run.close()


if __name__ == "__main__":
    main()
