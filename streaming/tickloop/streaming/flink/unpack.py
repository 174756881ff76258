"""The code of a plan, unpacked on the machine that runs it, and loaded in place of older code.

Kernels are cached under a digest of their sources, which have to be files for that. Jobs of one
task manager share an interpreter, which would go on with the modules that it loaded first: after
an upgrade the modules of another archive are let go, and who holds them goes on with them.
"""

import os
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_STEM = "tickloop-code-"
_NAMESPACE = "tickloop"
_one_at_a_time = threading.Lock()


def use(digest: str) -> Path | None:
    """Load modules from the archive of a digest from now on; None if there is no archive here."""
    for archive in _archives():
        _unpack(archive)
    folder = _home() / digest
    if not digest or not folder.exists():
        return None
    with _one_at_a_time:
        _load_from(folder)
    return folder


@contextmanager
def beside(digest: str) -> Iterator[bool]:
    """Load modules from another archive for a while; tell whether it is here."""
    folder = _home() / digest
    if not folder.exists():
        yield False
        return
    with _one_at_a_time:
        modules, path = _ours(), [*sys.path]
        _forget()
        sys.path[:] = [str(folder), *_without_code(path)]
        try:
            yield True
        finally:
            _forget()
            sys.modules.update(modules)
            sys.path[:] = path


def _unpack(archive: Path) -> None:
    """Unpack an archive to where its digest says, if nobody did."""
    home = _home()
    folder = home / archive.name.partition(_STEM)[2].partition(".")[0]
    if folder.exists():
        return
    home.mkdir(mode=0o700, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="part-", dir=home))
    with zipfile.ZipFile(archive) as source:
        source.extractall(fresh)
    try:
        fresh.rename(folder)
    except OSError:
        # Another process was faster; what it unpacked is the same.
        shutil.rmtree(fresh)


def _home() -> Path:
    """Name the folder of unpacked archives."""
    return Path(tempfile.gettempdir()) / f"{_STEM}{os.getuid()}"


def _load_from(folder: Path) -> None:
    # Tasks of a job are opened side by side: what another one is importing is let go only if it
    # is of other code.
    if folder.name not in __file__ and sys.path[0] != str(folder):
        _forget()
    for name, module in [*sys.modules.items()]:
        if name.startswith(f"{_NAMESPACE}.") and hasattr(module, "__path__"):
            module.__path__ = [str(folder.joinpath(*name.split(".")))]
    # Flink deletes archives when their job ends, and a path of one that is gone fails all imports.
    sys.path[:] = [str(folder), *_without_code(sys.path)]


def _without_code(path: Sequence[str]) -> list[str]:
    return [entry for entry in path if _STEM not in entry]


def _archives() -> list[Path]:
    """List the archives that Flink put on the path, by names of its own."""
    found = [Path(entry) for entry in sys.path if _STEM in Path(entry).name]
    return [entry for entry in found if entry.is_file()]


def _ours() -> dict[str, ModuleType]:
    """List the loaded modules that are ours, or from an archive."""
    home = str(_home())
    return {
        name: module
        for name, module in sys.modules.items()
        if name == _NAMESPACE
        or name.startswith(f"{_NAMESPACE}.")
        or home in (getattr(module, "__file__", None) or "")
    }


def _forget() -> None:
    """Let go of those modules, so that the next import looks anew."""
    for name in _ours():
        del sys.modules[name]
