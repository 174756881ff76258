"""Every test of a real server runs beside those of the same server, and `make` runs it."""

import re
from pathlib import Path

from tests.server_groups import GROUPS, group_of

ROOT = Path(__file__).parents[1]
# Most of its tests start nothing.
ALONE = {"test_infra"}
TAKES_SERVER = r"from tests\.servers import [^\n]*\bServer\b"


def files_with_servers() -> set[str]:
    """List the files whose tests take a server."""
    paths = [
        path for path in (ROOT / "tests").glob("test_*.py") if path.stem != Path(__file__).stem
    ]
    return {path.stem for path in paths if re.search(TAKES_SERVER, path.read_text())}


def test_files_with_servers_are_those_of_the_groups() -> None:
    grouped = {file for files in GROUPS.values() for file in files}
    assert files_with_servers() - ALONE == grouped
    assert group_of("tests/test_flink_sql.py::test_x[a/b]") == "flink"
    assert group_of("tests/test_infra.py::test_x") == "tests/test_infra.py::test_x"


def test_make_runs_each_of_them() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    lists = re.findall(
        r"^\w+ := \$\(patsubst %,tests/test_%\.py,([\w ]+)\)", makefile, re.MULTILINE
    )
    run = [f"test_{name}" for names in lists for name in names.split()]
    assert sorted(run) == sorted(files_with_servers() | ALONE)
