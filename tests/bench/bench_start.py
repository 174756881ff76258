"""What a person waits for: help, the first run with an empty kernel cache, the second run."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import Figure, figure, seconds
from tickloop.core.clock import sleep

REPEATS = 3
_COMMAND = [sys.executable, "-m", "tickloop.app"]


def _run(arguments: list[str], cache: Path | None = None) -> str:
    environment = dict(os.environ)
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    done = subprocess.run(
        [*_COMMAND, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def _synthetic(cache: Path, root: Path, number: int) -> None:
    data = root / str(number)
    found = json.loads(_run(["run", "--data", str(data), "--json"], cache))
    assert found["messages"] == 2_000_000
    shutil.rmtree(data)


def _own_mib(data: Path, config: Path, messages: int) -> float:
    """Capture a synthetic day; give the most memory that the process held of its own.

    Pages of files do not count: the system takes them back when it needs them.
    """
    arguments = ["run", "--json", "--data", str(data), "--config", str(config)]
    process = subprocess.Popen(
        [*_COMMAND, *arguments, "--messages", str(messages)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak = 0
    while process.poll() is None:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) if found else 0)
        sleep(0.003)
    assert process.returncode == 0, f"capture of {messages} messages: exit {process.returncode}"
    shutil.rmtree(data)
    return peak / 1024


def _memory_ratio(root: Path) -> float:
    config = root / "small.toml"
    config.write_text("[store]\nflush_rows = 200000\n")
    small, large = (_own_mib(root / "memory", config, size) for size in (200_000, 2_000_000))
    return large / small


def _compile_seconds(cache: Path) -> float:
    """Compile every kernel of the ITCH and synthetic path into an empty cache."""
    code = (
        "from tickloop.app import feeds, plant_run\n"
        "from tickloop.core.clock import monotonic_ns\n"
        "from tickloop.core.kernel import warm_up\n"
        "feeds.load_kernels(feeds.KINDS['synthetic'])\n"
        "started = monotonic_ns()\n"
        "assert warm_up() > 20\n"
        "print((monotonic_ns() - started) / 1e9)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def measure() -> list[Figure]:
    """Measure everything here."""
    root = Path(tempfile.mkdtemp())
    cache = root / "cache"
    try:
        first = seconds(lambda: _synthetic(cache, root, 0))
        second = [seconds(lambda: _synthetic(cache, root, 1)) for _ in range(REPEATS)]
        return [
            figure("tickloop --help", "s", [seconds(lambda: _run(["--help"])) for _ in range(9)],
                   at_most=0.3),
            figure("tickloop run, first: kernels compiled, 2M messages", "s", [first],
                   at_most=240.0),
            figure("  of it: kernels compiled into an empty cache", "s",
                   [_compile_seconds(root / "empty")]),
            figure("tickloop run, second: 2M messages", "s", second, at_most=10.0),
            figure("own memory, 2M messages over 200k, flushed in the day", "×",
                   [_memory_ratio(root) for _ in range(REPEATS)], at_most=1.2),
        ]  # fmt: skip
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    for item in measure():
        print(item)
