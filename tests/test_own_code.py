"""Installed operators: found by entry point or place, and their code travels with a job."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.installed_operator import install
from tickloop.core.errors import OperatorError
from tickloop.streaming.finding import find, in_full, names
from tickloop.streaming.flink.package import archive

PLACE = "desk_ops.counting:Count"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with an operator."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    for name in [each for each in sys.modules if each.partition(".")[0] == "desk_ops"]:
        monkeypatch.delitem(sys.modules, name)
    return install(tmp_path / "site", "desk_ops", "desk-count")


@pytest.mark.usefixtures("package")
def test_an_installed_operator_is_found_by_its_entry_point_and_by_its_place() -> None:
    assert "desk-count" in names()
    assert [find(each).name for each in ("desk-count", PLACE)] == ["count", "count"]
    assert in_full("desk-count") == PLACE
    assert in_full("bars") == "bars"
    assert in_full("mine/op.py") == "mine/op.py"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("desk-counts", "no operator 'desk-counts'; there are bars, .*installed module:class"),
        ("desk_ops.counts:Count", "cannot be loaded .*No module named 'desk_ops.counts'"),
        ("desk_ops.counting:Counts", "cannot be loaded .*no attribute 'Counts'"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("package")
def test_one_that_is_not_there_is_refused_with_what_is(wanted: str, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        find(wanted)


@pytest.mark.usefixtures("package")
def test_what_an_installed_operator_needs_of_its_package_travels_and_nothing_else(
    tmp_path: Path,
) -> None:
    made = archive(tmp_path / "code", "desk-count")
    with zipfile.ZipFile(made.path) as found:
        own = sorted(name for name in found.namelist() if name.startswith("desk_ops/"))
    assert own == [
        "desk_ops/", "desk_ops/__init__.py", "desk_ops/counting.py", "desk_ops/names.py",
        "desk_ops/sizes.py",
    ]  # fmt: skip
    # Where nothing of it is installed.
    code = (
        "import sys, tickloop\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from tickloop.streaming.finding import find\n"
        f"print(find({PLACE!r}).name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(made.path)], capture_output=True, text=True, check=True,
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "count\n"


def test_a_change_of_what_it_imports_is_other_code_and_of_the_rest_is_not(
    package: Path, tmp_path: Path
) -> None:
    before = archive(tmp_path / "code", "desk-count").digest
    (package / "unused.py").write_text("import scipy\n")
    assert archive(tmp_path / "code", "desk-count").digest == before
    (package / "sizes.py").write_text("STEP = 4\n")
    assert archive(tmp_path / "code", "desk-count").digest != before


def test_one_whose_package_needs_more_than_a_cluster_has_is_refused_with_the_place(
    package: Path, tmp_path: Path
) -> None:
    (package / "sizes.py").write_text("STEP = 3\nimport pandas\n")
    with pytest.raises(OperatorError, match=r"sizes\.py:2: import of pandas .*package desk_ops"):
        archive(tmp_path / "code", PLACE)
