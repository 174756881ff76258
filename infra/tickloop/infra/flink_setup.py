"""Flink's own environment: pinned, checked, and proven to start before anybody relies on it."""

import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tickloop.core.errors import ServerError
from tickloop.infra.install import Tell, damaged, installed
from tickloop.infra.java import find_java
from tickloop.infra.pins import FLINK

_PROOF = (
    "import sys, pyflink.version as v, pemja, numba; print(v.__version__, *sys.version_info[:2])"
)
_PROOF_S = 120


@dataclass(frozen=True, slots=True)
class Environment:
    """What was set up."""

    folder: str
    flink: str
    python: str
    java: int

    def as_json(self) -> Mapping[str, object]:
        """Give it for programs."""
        return asdict(self)


def set_up(cache: Path, tell: Tell) -> Environment:
    """Install what is missing or damaged; ServerError says what is in the way."""
    java = find_java(FLINK.java_min)
    tell(f"[1/3] Java {java.version}: {java.path}")
    folder = cache / FLINK.folder
    state = "there" if not damaged(folder / "lib", FLINK.checksums()) else "to be fetched"
    packages = "there" if (folder / "packages.done").exists() else "to be installed"
    tell(f"[2/3] Flink {FLINK.version}: Kafka connector {state}, Python packages {packages}")
    installed(FLINK, cache, tell)
    tell("[3/3] trying the environment")
    version, python = _proven(folder)
    return Environment(str(folder), version, python, java.version)


def _proven(folder: Path) -> tuple[str, str]:
    """Import what a job needs in the environment; give the versions of Flink and Python."""
    python = folder / "venv" / "bin" / "python"
    advice = f"delete {folder} and run `tickloop stream setup` again"
    try:
        done = subprocess.run(  # noqa: S603 - our own words and paths
            [str(python), "-c", _PROOF], capture_output=True, text=True, check=False,
            timeout=_PROOF_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"{python} does not run ({error}); {advice}") from error
    words = done.stdout.split()
    if done.returncode or len(words) != 3:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ServerError(f"the environment in {folder} does not work: {told}; {advice}")
    return words[0], f"{words[1]}.{words[2]}"
