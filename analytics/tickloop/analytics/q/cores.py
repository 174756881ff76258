"""Work shared by the machine's cores: kernels let go of the interpreter while they run."""

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

# Below this many rows a second core costs more than it gives.
ROWS_MIN = 100_000

_pool: ThreadPoolExecutor | None = None
_pool_of = 0
_lock = Lock()


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cuts(rows: int) -> list[tuple[int, int]]:
    """Cut rows into one span for each core, or into one span if there are few."""
    pieces = cores() if rows >= ROWS_MIN else 1
    edges = [rows * piece // pieces for piece in range(pieces + 1)]
    return list(itertools.pairwise(edges))


def together(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks side by side and give their results in order; the caller runs the first one."""
    if len(tasks) < 2:
        return [task() for task in tasks]
    others: list[Future[T]] = [_threads().submit(task) for task in tasks[1:]]
    try:
        first = tasks[0]()
    finally:
        # Their arrays belong to the caller, so none may outlive the call.
        errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error
    return [first, *(other.result() for other in others)]


def _threads() -> ThreadPoolExecutor:
    """Give the pool; a forked process makes its own."""
    global _pool, _pool_of
    with _lock:
        if _pool is None or _pool_of != os.getpid():
            _pool, _pool_of = ThreadPoolExecutor(max(cores() - 1, 1), "q-core"), os.getpid()
        return _pool
