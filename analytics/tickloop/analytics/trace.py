"""What a question does, step by step: choice points report here while somebody wants to know.

Nothing is kept otherwise: `traced` calls straight through, and `note` returns at once.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from tickloop.core.clock import monotonic_ns

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Reading:
    """What of a table was read; a part is rows of one partition that lie together."""

    table: str
    parts_all: int
    partitions_all: int
    by: str  # what partitions are of: date, mostly
    columns_all: int
    parts: set[int] = field(default_factory=set)
    partitions: set[object] = field(default_factory=set)
    columns: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """One step, or several alike: those of every partition, say."""

    name: str
    about: str = ""
    rows_in: int | None = None
    rows_out: int | None = None
    took_ns: int = 0
    times: int = 0
    how: dict[str, int] = field(default_factory=dict)
    reading: Reading | None = None
    steps: dict[tuple[str, str], "Step"] = field(default_factory=dict)

    def add(self, given: int | None, found: int | None, took_ns: int) -> None:
        """Count one more run."""
        self.times += 1
        self.took_ns += took_ns
        if given is not None:
            self.rows_in = given + (self.rows_in or 0)
        if found is not None:
            self.rows_out = found + (self.rows_out or 0)


class Trace:
    """The steps of one question, in the order in which they began."""

    def __init__(self) -> None:
        self.root = Step("")
        self._open = [self.root]

    @contextmanager
    def step(self, name: str, about: str) -> Iterator[Step]:
        """Go into a step; the one there is of the same name, in the same place, if there is one."""
        known = self._open[-1].steps
        step = known.setdefault((name, about), Step(name, about))
        self._open.append(step)
        try:
            yield step
        finally:
            self._open.pop()

    def note(self, how: str) -> None:
        """Say how the step that runs is done."""
        step = self._open[-1]
        step.how[how] = step.how.get(how, 0) + 1

    def read(self, reading: Reading) -> None:
        """Say that the step that runs reads a table."""
        self._open[-1].reading = reading

    def part(self, number: int, partition: object) -> None:
        """Say that the table that is read last is read in a part."""
        reading = self._reading
        if reading is not None:
            reading.parts.add(number)
            reading.partitions.add(partition)

    def column(self, name: str) -> None:
        """Say that a column of the table that is read last is mapped."""
        reading = self._reading
        if reading is not None:
            reading.columns[name] = None

    @property
    def _reading(self) -> Reading | None:
        found = (step.reading for step in reversed(self._open) if step.reading is not None)
        return next(found, None)


_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


def active() -> Trace | None:
    """Give the trace that is kept now; None while nobody wants one."""
    return _TRACE.get()


@contextmanager
def tracing() -> Iterator[Trace]:
    """Keep a trace of what this thread does inside."""
    trace = Trace()
    token = _TRACE.set(trace)
    try:
        yield trace
    finally:
        _TRACE.reset(token)


def note(how: str) -> None:
    """Say how the step that runs is done."""
    trace = _TRACE.get()
    if trace is not None:
        trace.note(how)


def traced(
    name: str,
    *,
    about: Callable[..., str] | None = None,
    given: Callable[..., int] | None = None,
    found: Callable[[Any], int] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function a step: what it is about, rows given to it, rows that it found."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def run(*arguments: P.args, **options: P.kwargs) -> T:
            trace = _TRACE.get()
            if trace is None:
                return function(*arguments, **options)
            with trace.step(name, about(*arguments, **options) if about else "") as step:
                rows = given(*arguments, **options) if given else None
                started = monotonic_ns()
                made = function(*arguments, **options)
                took = monotonic_ns() - started
                step.add(rows, found(made) if found else None, took)
                return made

        return run

    return decorate
