"""Kernels compile once and early, and operators need nothing but NumPy and Numba."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from tickloop.core import kernel_cache as kernels
from tickloop.core import own_imports

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled without the JIT"
)

ALL = """
from tests.compiled import import_all
import_all()
"""

COUNT = """
from tickloop.core import kernel
def signatures():
    return {f.py_func.__module__ + "." + f.py_func.__name__: len(f.signatures)
            for f, _ in kernel._KERNELS}
"""

CAPTURE = (
    ALL
    + COUNT
    + """
import json, sys
from numba.core import event
from tickloop.app.cli import exit_code
kernel.warm_up()
before = signatures()
data = ["--data", sys.argv[1]]
with event.install_recorder("numba:compile") as compiled:
    answers = [
        exit_code(["run", "--messages", "20000", "--symbols", "5", "--port", "0", *data]),
        exit_code(["sql", "select count(*) from trade", *data]),
        exit_code(["journal", "verify", *data]),
    ]
after = signatures()
print(json.dumps({
    "declared": {f.py_func.__module__ + "." + f.py_func.__name__: len(s)
                 for f, s in kernel._KERNELS},
    "before": before,
    "answers": answers, "more": {name: (before[name], count) for name, count in after.items()
             if count != before[name]},
    "compiled": [str(each.data["dispatcher"].py_func) for _, each in compiled.buffer],
}))
"""
)

SMALL = """
import json
from tickloop.core import interleave, kernel, units
cold = kernel.is_cold()
calls = []
compiled = kernel.warm_up(lambda done, total: calls.append((done, total)))
print(json.dumps([cold, compiled, calls, kernel.is_cold()]))
"""

LIGHT = """
import importlib, pkgutil, sys
# Loaded by the interpreter itself as it starts: the system's sitecustomize, say.
BEFORE = {name.partition(".")[0] for name in sys.modules}
ALLOWED = {"tickloop", "numpy", "numba", "llvmlite", *sys.stdlib_module_names}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        # NumPy and Numba look for optional companions, which an ImportError tells are absent.
        if name.partition(".")[0] not in ALLOWED and not name.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
import tickloop.core
names = [m.name for m in pkgutil.walk_packages(tickloop.core.__path__, "tickloop.core.")]
for name in names:
    importlib.import_module(name)
foreign = {name.partition(".")[0] for name in sys.modules} - ALLOWED - BEFORE
foreign = {name for name in foreign if not name.startswith("_sysconfigdata")}
print(len(names), sorted(n for n in foreign if sys.modules[n].__spec__ is not None))
"""


def _python(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_capture_compiles_nothing_once_declared_kernels_are_there(tmp_path: Path) -> None:
    seen: dict[str, Any] = json.loads(_python(CAPTURE, str(tmp_path / "day")))
    assert seen["answers"] == [0, 0, 0]
    assert seen["before"] == seen["declared"]
    assert len(seen["declared"]) > 40
    assert seen["more"] == {}
    assert seen["compiled"] == []  # nor helpers of kernels


def test_a_second_process_loads_what_the_first_one_compiled(tmp_path: Path) -> None:
    first = json.loads(_python(SMALL, XDG_CACHE_HOME=str(tmp_path)))
    second = json.loads(_python(SMALL, XDG_CACHE_HOME=str(tmp_path)))
    total = len(first[2]) - 1
    calls = [[done, total] for done in range(total + 1)]
    assert first == [True, total, calls, False]
    assert second == [False, 0, calls, False]


COLD = """
from tickloop.core import kernel
print(kernel.is_cold())
"""


def test_a_machine_is_cold_until_something_is_compiled_whatever_is_imported(tmp_path: Path) -> None:
    assert _python(COLD, XDG_CACHE_HOME=str(tmp_path)) == "True"
    _python(SMALL, XDG_CACHE_HOME=str(tmp_path))
    assert _python(COLD, XDG_CACHE_HOME=str(tmp_path)) == "False"


def test_without_the_jit_nothing_is_compiled_or_cached(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    assert json.loads(_python(SMALL, **environment)) == [False, 0, [], False]
    assert list(tmp_path.iterdir()) == []


def test_the_core_imports_with_only_numpy_and_numba() -> None:
    count, _, foreign = _python(LIGHT).partition(" ")
    assert int(count) > 15
    assert foreign == "[]"


def forget() -> None:
    """Have sources read again."""
    own_imports.source_of.cache_clear()
    own_imports.text_of.cache_clear()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "tickloop" / "core"
    root.mkdir(parents=True)
    (root / "one.py").write_text(
        "from tickloop.core.two import (\n    LIMIT,\n)\n"
        "from tickloop.core import three\n\n@kernel()\n"
    )
    (root / "two.py").write_text("from tickloop.core.four import FOUR\n\n@inline_kernel\n")
    for name in ("three", "four", "five"):
        (root / f"{name}.py").write_text("LIMIT = 1\n")
    monkeypatch.setattr(own_imports, "source_roots", lambda: [root.parent])
    forget()
    yield root
    forget()


@pytest.mark.parametrize(
    ("name", "counts"),
    [("one", True), ("two", True), ("three", True), ("four", True), ("five", False)],
)
def test_the_cache_follows_kernels_and_the_constants_compiled_into_them(
    sources: Path, name: str, counts: bool
) -> None:
    before = kernels.digest_of("tickloop.core.one")
    assert kernels.digest_of("tickloop.core.one") == before
    path = sources / f"{name}.py"
    path.write_text(path.read_text() + "# changed\n")
    forget()
    assert (kernels.digest_of("tickloop.core.one") != before) == counts


def test_the_same_sources_elsewhere_are_the_same(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kernels.digest_of("tickloop.core.one")
    elsewhere = tmp_path / "unpacked" / "tickloop"
    shutil.copytree(sources.parent, elsewhere)
    monkeypatch.setattr(own_imports, "source_roots", lambda: [elsewhere])
    forget()
    assert kernels.digest_of("tickloop.core.one") == before


OUTSIDE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tickloop.core import kernel
import mine
print(json.dumps([kernel.warm_up(), mine.twice(21)]))
"""


def test_kernels_of_users_are_kept_as_long_as_the_product_s_own_are_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(
        "from tickloop.core.kernel import kernel\n\n"
        '@kernel("int64(int64)")\ndef twice(value):\n    return 2 * value\n'
    )
    seen = [json.loads(_python(OUTSIDE, str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache")))
            for _ in range(2)]  # fmt: skip
    assert seen == [[1, 42], [0, 42]]
    (found,) = (tmp_path / "cache").rglob("mine.twice*.nbi")
    assert found.parent.parent.name.startswith("others-")


@pytest.mark.parametrize(
    ("cache", "home", "expected"),
    [("/c", "/h", "/c/tickloop/kernels"), ("", "/h", "/h/.cache/tickloop/kernels")],
)
def test_the_cache_lies_where_caches_lie(
    monkeypatch: pytest.MonkeyPatch, cache: str, home: str, expected: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("HOME", home)
    assert kernels.cache_directory().parent == Path(expected)


def test_without_a_home_the_cache_is_a_users_own_temporary_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    assert kernels.cache_directory().parent.name == f"tickloop-kernels-{os.getuid()}"
