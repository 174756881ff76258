"""What a person waits for: help, the first run with an empty kernel cache, the second run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import Figure, figure, seconds

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


def _peak_mib(data: Path, config: Path, repeats: int) -> float:
    """Capture a synthetic day so many times over in one process; give its peak memory."""
    code = (
        "import resource, sys\n"
        "from tickloop.app.cli import exit_code\n"
        "for seed in range(int(sys.argv[3])):\n"
        "    exit_code(['run', '--json', '--data', sys.argv[1], '--config', sys.argv[2],"
        " '--messages', '200000', '--seed', str(seed), '--date', f'2026-01-{5 + seed:02d}'])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data), str(config), str(repeats)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def _memory_ratio(root: Path) -> float:
    config = root / "small.toml"
    config.write_text("[store]\nflush_rows = 200000\n")
    once = _peak_mib(root / "once", config, 1)
    return _peak_mib(root / "ten", config, 10) / once


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
            figure("tickloop run, second: 2M messages", "s", second, at_most=10.0),
            figure("peak memory of 10 days over that of 1, intraday flush", "×",
                   [_memory_ratio(root)], at_most=1.2),
        ]  # fmt: skip
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    for item in measure():
        print(item)
