"""Where compiled kernels lie: under a digest of what they are compiled from.

Numba does not notice a change in a kernel or a constant that was compiled in from another file,
and takes sources that lie elsewhere for other ones. Here a module's kernels are found by its text
and that of what it imports, so that a change compiles anew what it concerns and nothing else, and
a task manager that unpacks the same sources into a folder of its own compiles nothing.
"""

import hashlib
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
from numba.core.caching import _CacheLocator

from tickloop.core.own_imports import own_imports, source_roots, text_of

_HOLDS_KERNELS = re.compile(rb"^@(?:inline_)?kernel\b", re.MULTILINE)
_OWN = "tickloop."


def digest_of(module: str) -> str:
    """Digest a module, the modules with kernels that it is made of, and what those import.

    What is imported from elsewhere are constants, which are compiled in.
    """
    texts: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        text = None if name in texts else text_of(name)
        if text is not None:
            texts[name] = text
            if name == module or _HOLDS_KERNELS.search(text):
                waiting.extend(own_imports(text))
    digest = hashlib.blake2b(digest_size=10)
    for name, text in sorted(texts.items()):
        digest.update(name.encode() + b"\n" + text)
    return digest.hexdigest()


def _home() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME")
    if not home:
        return Path(tempfile.gettempdir()) / f"tickloop-kernels-{os.getuid()}"
    base = Path(home) if os.environ.get("XDG_CACHE_HOME") else Path(home) / ".cache"
    return base / "tickloop" / "kernels"


def cache_directory() -> Path:
    """Name the folder of kernels that this interpreter, Numba, NumPy and processor can use."""
    import llvmlite.binding

    return _home() / "-".join((
        f"python{platform.python_version()}", f"numba{numba.__version__}",
        f"numpy{np.__version__}", llvmlite.binding.get_host_cpu_name(),
    ))  # fmt: skip


@cache
def folder_of(module: str) -> Path:
    """Name the folder of one module's kernels."""
    return cache_directory() / f"{module.removeprefix(_OWN)}-{digest_of(module)}"


def modules() -> Iterator[str]:
    """Yield the product's modules that hold kernels, whether or not they are imported."""
    for root in source_roots():
        for path in sorted(root.rglob("*.py")):
            if _HOLDS_KERNELS.search(path.read_bytes()):
                yield ".".join((root.name, *path.relative_to(root).with_suffix("").parts))


def is_empty() -> bool:
    """Tell whether no kernel of these sources has been compiled on this machine."""
    # Numba makes the folder when a kernel is declared; an index file comes with the first compile.
    return all(next(folder_of(module).glob("*.nbi"), None) is None for module in modules())


@cache
def _of_others() -> Path:
    """Name the folder of kernels outside the product, which may hold any of the product's."""
    digest = hashlib.blake2b(digest_size=10)
    for module in modules():
        digest.update(digest_of(module).encode())
    return cache_directory() / f"others-{digest.hexdigest()}"


class ByContent(_CacheLocator):  # type: ignore[misc]
    """Tells Numba where the kernels of the product's own modules lie."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._folder = folder_of(function.__module__)
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        """Name the folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Tell what the source is: the folder's name does already."""
        return self._folder.name

    def get_disambiguator(self) -> str:
        """Tell functions of one name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> Self | None:
        """Serve the product's own modules; leave the others to Numba, in a folder of theirs."""
        if function.__module__.startswith(_OWN):
            return cls(function)
        numba.config.CACHE_DIR = str(_of_others())
        return None


def install() -> None:
    """Have Numba ask here first."""
    numba.config.CACHE_LOCATOR_CLASSES = ",".join((
        f"{__name__}.{ByContent.__name__}", "UserProvidedCacheLocator", "InTreeCacheLocator",
        "UserWideCacheLocator", "IPythonCacheLocator", "ZipCacheLocator",
    ))  # fmt: skip
