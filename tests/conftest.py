"""Where real market data is, and how tests that need it skip without it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The first call of a kernel compiles it, so no example may have a deadline. The suite draws the
# same examples every time, so that it says the same of the same code; `make fuzz` draws new ones.
settings.register_profile(
    "tickloop",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=not os.environ.get("TICKLOOP_FUZZ"),
)
settings.load_profile("tickloop")

DATA = Path(os.environ.get("TICKLOOP_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def market_data() -> Callable[[str], Path]:
    """Give the path of a real data file, or skip the test with the reason."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"real market data absent: {path}; set TICKLOOP_DATA to its folder")
        return path

    return find


@pytest.fixture(scope="session")
def kx() -> Any:
    """Give PyKX, KX's own serialisation code, which needs no licence for this."""
    os.environ["PYKX_UNLICENSED"] = "1"
    return pytest.importorskip("pykx")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount small file systems in memory with the given options; skip where that is not allowed."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mounted-{len(made)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mounting a file system is not allowed here: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=True)
