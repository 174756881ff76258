"""Where real market data is, and how tests that need it skip without it."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import (
    SERVERS_FOLDER,
    Server,
    alone_with,
    beside_others,
    session_folder,
    shared,
    stop_left,
)

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


def pytest_configure() -> None:
    """Choose one folder for the servers of all processes of this session, workers included."""
    if SERVERS_FOLDER not in os.environ:
        os.environ[SERVERS_FOLDER] = tempfile.mkdtemp(prefix="tickloop-servers-")


def pytest_sessionfinish(exitstatus: int) -> None:
    """Stop what an interrupted run left: its workers ended without stopping their servers.

    Logs of servers stay where a test failed.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = Path(os.environ.pop(SERVERS_FOLDER))
        stop_left(folder)
        if exitstatus == 0 or not any(folder.iterdir()):
            shutil.rmtree(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give processes whole groups of tests where that is asked for."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from tests.server_groups import ByServer

    return ByServer(config, log)


@pytest.fixture(autouse=True)
def _nothing_denied() -> Iterator[None]:
    """Let no user's rights outlive the test that asked in that user's name in this process."""
    yield
    denial = sys.modules.get("tickloop.analytics.gateway.denial")
    if denial is not None:
        denial.deny(frozenset())


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


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Server]:
    """Share a Kafka broker; skips where it cannot be installed."""
    with shared("kafka", session_folder()) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_kafka_server() -> Iterator[Server]:
    """Share a Kafka broker that tests kill."""
    with shared("kafka", session_folder("mortal")) as server:
        yield server


@pytest.fixture(scope="session")
def questdb_server() -> Iterator[Server]:
    """Share a QuestDB server; skips where it cannot be installed."""
    with shared("questdb", session_folder()) as server:
        yield server


@pytest.fixture(scope="session")
def flink_server() -> Iterator[Server]:
    """Share a Flink cluster of two slots; skips where it cannot be installed."""
    with shared("flink", session_folder(), workers=2) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_flink_server() -> Iterator[Server]:
    """Share a Flink cluster whose parts tests kill."""
    with shared("flink", session_folder("mortal"), workers=2) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_questdb_server() -> Iterator[Server]:
    """Share a QuestDB server that is killed beside others."""
    with shared("questdb", session_folder("mortal")) as server:
        yield server


@pytest.fixture
def kafka(kafka_server: Server) -> Iterator[Server]:
    """Give a running broker; others use it too, under prefixes of their own."""
    with beside_others(kafka_server) as server:
        yield server


@pytest.fixture
def mortal_kafka(mortal_kafka_server: Server) -> Iterator[Server]:
    """Give a running broker that no other test uses meanwhile: it may be killed."""
    with alone_with(mortal_kafka_server) as server:
        yield server


@pytest.fixture
def questdb(questdb_server: Server) -> Iterator[Server]:
    """Give a running QuestDB that no other test uses meanwhile."""
    with alone_with(questdb_server) as server:
        yield server


@pytest.fixture
def flink(flink_server: Server) -> Iterator[Server]:
    """Give a running Flink cluster that no other test uses meanwhile."""
    with alone_with(flink_server) as server:
        yield server


@pytest.fixture
def mortal_flink(mortal_flink_server: Server) -> Iterator[Server]:
    """Give a running Flink cluster that no other test uses meanwhile: it may be killed."""
    with alone_with(mortal_flink_server) as server:
        yield server


@pytest.fixture
def mortal_questdb(mortal_questdb_server: Server) -> Iterator[Server]:
    """Give a running QuestDB that no other test uses meanwhile: it may be killed."""
    with alone_with(mortal_questdb_server) as server:
        yield server


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Give topics that no other test writes."""
    return f"{request.node.originalname[:40]}.{os.urandom(3).hex()}."


@pytest.fixture
def moments() -> random.Random:
    """Give moments that differ from run to run; the seed is shown where a test fails."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return random.Random(seed)
