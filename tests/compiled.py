"""Compile every kernel before the tests, side by side: else each of their processes does all.

`python -m tests.compiled` does it once for these sources; a second time it takes seconds.
"""

import importlib
import os
import pkgutil
from concurrent.futures import ProcessPoolExecutor

import tickloop
from tickloop.core import kernel


def import_all() -> int:
    """Import all modules of the product that this environment can; count their kernels."""
    for module in pkgutil.walk_packages(tickloop.__path__, "tickloop."):
        # Flink's own packages are in an environment of their own.
        if not module.name.endswith(("__main__", ".flink.graph")):
            importlib.import_module(module.name)
    return len(kernel._KERNELS)


def compile_one(number: int) -> int:
    """Compile or load one kernel; count what had to be compiled."""
    function, signatures = kernel._KERNELS[number]
    for signature in signatures:
        function.compile(signature)
    return sum(function.stats.cache_misses.values())


def main() -> None:
    """Compile them, and say how many."""
    with ProcessPoolExecutor(os.cpu_count(), initializer=import_all) as pool:
        count = pool.submit(import_all).result()
        misses = sum(pool.map(compile_one, range(count)))
    print(f"{count} kernels, {misses} compiled")


if __name__ == "__main__":
    main()
