"""The shape of a benchmark's result: a named workload, a figure, and the target it has to meet."""

import mmap
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tickloop.core.clock import monotonic_ns


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: the median of its repeats and how far they lie apart."""

    workload: str
    unit: str
    median: float
    low: float
    high: float
    target: float | None = None  # None: printed beside others, with nothing to reach
    higher_is_better: bool = True

    @property
    def is_reached(self) -> bool | None:
        """Tell whether the target is met by the median; None without a target."""
        if self.target is None:
            return None
        if self.higher_is_better:
            return self.median >= self.target
        return self.median <= self.target

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return {**asdict(self), "reached": self.is_reached}


def figure(
    workload: str, unit: str, values: Sequence[float], *, at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:  # fmt: skip
    """Make a figure of repeated measurements, with a target in one direction at most."""
    assert at_least is None or at_most is None, f"{workload}: two targets"
    target = at_least if at_most is None else at_most
    return Figure(
        workload, unit, statistics.median(values), min(values), max(values), target,
        higher_is_better=at_most is None,
    )  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    started = monotonic_ns()
    run()
    return (monotonic_ns() - started) / 1e9


def calibration() -> Figure:
    """Time a fixed loop in the interpreter, so that runs on busy machines can be told apart."""

    def loop() -> int:
        total = 0
        for number in range(2_000_000):
            total += number * number
        return total

    return figure("calibration loop (interpreter)", "s", [seconds(loop) for _ in range(5)])


def touch_memory(gigabytes: float) -> float:
    """Touch fresh memory and give it back; MB/s.

    A virtual machine gets its pages from its host one by one, at the first touch, and hands back
    what it does not use. Done before a run that fills pages, this leaves the host's part out.
    """
    size = int(gigabytes * (1 << 30))
    with mmap.mmap(-1, size) as memory:
        spent = seconds(lambda: np.frombuffer(memory, dtype=np.uint8)[::4096].fill(1))
    return size / 1e6 / spent


def table(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """Spell figures as rows of text: workload, median, spread, unit, target, reached."""
    rows: list[tuple[str, ...]] = []
    for item in figures:
        sign = "≥" if item.higher_is_better else "≤"
        target = f"{sign} {number(item.target)}" if item.target is not None else ""
        reached = {None: "", True: "yes", False: "no"}[item.is_reached]
        spread = f"{number(item.low)} – {number(item.high)}"
        rows.append((item.workload, number(item.median), spread, item.unit, target, reached))
    return rows


def number(value: float) -> str:
    """Spell a figure with three significant digits or more."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
