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
from pathlib import Path

_STEM = "tickloop-code-"
_NAMESPACE = "tickloop"
_one_at_a_time = threading.Lock()


def use(digest: str) -> Path | None:
    """Load modules from the archive of a digest from now on; None if there is no archive here."""
    home = _home()
    folder = home / digest
    archive = _archive(digest)
    if archive is None and not folder.exists():
        return None
    if archive is not None and not folder.exists():
        home.mkdir(mode=0o700, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="part-", dir=home))
        with zipfile.ZipFile(archive) as source:
            source.extractall(fresh)
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster; what it unpacked is the same.
            shutil.rmtree(fresh)
    with _one_at_a_time:
        _load_from(folder)
    return folder


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
    others = [entry for entry in sys.path if _STEM not in entry]
    sys.path[:] = [str(folder), *others]


def _archive(digest: str) -> Path | None:
    """Find an archive among those that Flink put on the path, by names of its own."""
    wanted = f"{_STEM}{digest}."
    return next(
        (Path(entry) for entry in sys.path if wanted in Path(entry).name and Path(entry).is_file()),
        None,
    )


def _forget() -> None:
    """Let go of our modules, and of any from an archive, so that the next import looks anew."""
    for name, module in [*sys.modules.items()]:
        is_ours = name == _NAMESPACE or name.startswith(f"{_NAMESPACE}.")
        if is_ours or str(_home()) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]
