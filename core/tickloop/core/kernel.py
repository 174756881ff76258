"""The kernel decorator: compiled loops over arrays, cached on disk, warmed up early."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

import numba
import numpy as np

from tickloop.core import kernel_cache

P = ParamSpec("P")
R = TypeVar("R")

_KERNELS: list[tuple[Any, tuple[object, ...]]] = []


if not numba.config.DISABLE_JIT:
    kernel_cache.install()


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
    return not numba.config.DISABLE_JIT and kernel_cache.is_empty()
