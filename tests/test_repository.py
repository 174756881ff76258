"""The repository keeps its own rules."""

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_every_area_is_declared_everywhere() -> None:
    areas = {path.parent.name for path in ROOT.glob("*/tickloop")}
    assert set(PROJECT["hatch"]["build"]["dev-mode-dirs"]) == areas
    assert set(PROJECT["mypy"]["mypy_path"]) == areas
    wheel = PROJECT["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(root).parent.name for root in wheel} == areas
    portions = PROJECT["importlinter"]["root_packages"]
    assert {portion.removeprefix("tickloop.") for portion in portions} == areas


def test_no_package_index_is_named_in_a_committed_file() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    hosts = (b"--index-" + b"url", b"pypi." + b"org", b"/sim" + b"ple/")
    named = [
        path
        for path in map(bytes.decode, filter(None, listed))
        if (ROOT / path).is_file() and any(host in (ROOT / path).read_bytes() for host in hosts)
    ]
    assert named == []
