"""The kernel decorator: compiled loops over arrays, cached on disk, warmed up early."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast, overload

import numba
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

_HOLDS_KERNELS = re.compile(rb"^@(?:inline_)?kernel\b", re.MULTILINE)
_IMPORTED = re.compile(rb"^from (tickloop(?:\.\w+)+) import (\([^)]*\)|.*)", re.MULTILINE)
_KERNELS: list[tuple[Any, tuple[object, ...]]] = []


def _source_roots() -> list[Path]:
    import tickloop

    return [Path(root) for root in tickloop.__path__]


def _sources() -> Iterator[bytes]:
    """Read every module with kernels, and what they import: its constants are compiled in."""
    texts: dict[str, bytes] = {}
    for root in _source_roots():
        for path in root.rglob("*.py"):
            module = ".".join((root.name, *path.relative_to(root).with_suffix("").parts))
            texts[module] = path.read_bytes()
    kernels = {name for name, text in texts.items() if _HOLDS_KERNELS.search(text)}
    imported = {name for kernel in kernels for name in _imports(texts[kernel])}
    for name in sorted(kernels | imported & texts.keys()):
        yield name.encode() + b"\n" + texts[name]


def _imports(text: bytes) -> Iterator[str]:
    for module, names in _IMPORTED.findall(text):
        yield module.decode()
        yield from (f"{module.decode()}.{name.decode()}" for name in re.findall(rb"\w+", names))


def _cache_home() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME")
    if not home:
        return Path(tempfile.gettempdir()) / f"tickloop-kernels-{os.getuid()}"
    base = Path(home) if os.environ.get("XDG_CACHE_HOME") else Path(home) / ".cache"
    return base / "tickloop" / "kernels"


def cache_directory() -> Path:
    """Name the folder of compiled kernels: a digest of every kernel source, Numba and the CPU.

    Numba does not notice a change in a kernel or a constant that was compiled in from another
    file, so all these sources count towards the name.
    """
    import llvmlite.binding

    digest = hashlib.blake2b(digest_size=10)
    digest.update(f"{numba.__version__} {llvmlite.binding.get_host_cpu_name()}".encode())
    for text in _sources():
        digest.update(text)
    return _cache_home() / digest.hexdigest()


if not numba.config.DISABLE_JIT:
    numba.config.CACHE_DIR = str(cache_directory())


def records(dtype: np.dtype[Any], dimensions: int = 1) -> Any:
    """Give Numba's type of a contiguous array of records, for use in a kernel's signature."""
    return numba.typeof(np.empty((0,) * dimensions, dtype=dtype))


def kernel(
    *signatures: object, allocates: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function over arrays and scalars; the Python body is the specification.

    `signatures` are Numba signatures such as ``"int64(uint8[::1], int64)"``, or, where records
    are passed, ``types.int64(records(EVENT), types.int64)``; they are what `warm_up` compiles.
    A kernel must not hold objects, do I/O, read a clock or log.

    Arrays belong to the caller, so none is counted where it is viewed or passed on: that would
    cost more than most helpers do. A kernel that makes arrays, or assigns one slice to another
    (Numba copies what may overlap), has to say that it `allocates`; otherwise Numba refuses it
    with "NRT required but not enabled".
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=allocates)(function)
        _KERNELS.append((compiled, signatures))
        return cast("Callable[P, R]", compiled)

    return decorate


@overload
def inline_kernel(function: Callable[P, R]) -> Callable[P, R]: ...


@overload
def inline_kernel(*, allocates: bool) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def inline_kernel(
    function: Callable[P, R] | None = None, *, allocates: bool = False
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a helper that is only called from other kernels; it, too, tells if it `allocates`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = numba.njit(nogil=True, error_model="numpy", _nrt=allocates)(function)
        return cast("Callable[P, R]", compiled)

    return decorate if function is None else decorate(function)


def warm_up(progress: Callable[[int, int], None] | None = None) -> int:
    """Compile or load every imported kernel; return how many had to be compiled.

    `progress(done, total)` is called before each kernel and once at the end.
    """
    if numba.config.DISABLE_JIT:
        return 0
    compiled = 0
    for done, (function, signatures) in enumerate(_KERNELS):
        if progress is not None:
            progress(done, len(_KERNELS))
        for signature in signatures:
            function.compile(signature)
        compiled += sum(function.stats.cache_misses.values())
    if progress is not None:
        progress(len(_KERNELS), len(_KERNELS))
    return compiled


def is_cold() -> bool:
    """Tell whether this machine has not compiled these sources yet."""
    if numba.config.DISABLE_JIT:
        return False
    # Numba makes the folder when a kernel is declared; an index file comes with the first compile.
    return next(cache_directory().rglob("*.nbi"), None) is None
