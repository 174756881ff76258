"""Pump a feed into a plant: at full speed, at its own pace, or live, until its end or a stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from tickloop.app.plant_run import PlantRun
from tickloop.core.batch import Slice
from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.schema import INSTRUMENT, STATUS
from tickloop.ingest.feed import Feed

# How long a paced capture sleeps at most before it looks at its peers again.
_NAP_S = 0.02
_POLL_NS = 1_000_000


@dataclass(slots=True)
class Stop:
    """Set by Ctrl-C or SIGTERM, or by a limit of time; looked at between slices."""

    requested: bool = False
    at_ns: int | None = None  # of the monotonic clock

    @property
    def is_due(self) -> bool:
        """Tell whether to end now."""
        return self.requested or (self.at_ns is not None and monotonic_ns() >= self.at_ns)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a wish; a second one interrupts at once."""
    stop = Stop()

    def wish(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Pace:
    """Holds a replay to the feed's own clock, times a speed; 0 holds nothing."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin: tuple[int, int] | None = None

    def wait_ns(self, rows: Slice) -> int:
        """Give how long to wait before these rows are due."""
        if self._speed <= 0:
            return 0
        due = last_time(rows)
        # Reference data may be stamped hours before the first event: pacing begins with that.
        if due is None or (self._origin is None and not _has_events(rows)):
            return 0
        now = monotonic_ns()
        if self._origin is None:
            self._origin = (now, due)
        started, first = self._origin
        return int(started + (due - first) / self._speed) - now


def _has_events(rows: Slice) -> bool:
    return any(batch.table not in (INSTRUMENT, STATUS) for batch in rows.batches)


def last_time(rows: Slice) -> int | None:
    """Give the latest feed time in a slice."""
    times = [
        int(batch.columns["time"].max())
        for batch in rows.batches
        if len(batch) and "time" in batch.columns
    ]
    return max(times) if times else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a capture is."""

    messages: int
    rows: int
    time: int | None  # the feed's clock


class Keeping(Protocol):
    """What knows which of a feed's rows the directory has."""

    def rest(self, rows: Slice) -> Slice:
        """Give the rows of a slice that are not in the directory yet."""
        ...

    def add(self, rows: Slice) -> None:
        """Take note of rows that the plant took."""
        ...

    def turn(self, feed: str, *, next_seq: int) -> None:
        """Go over to another part of a live feed, which has an end of its own."""
        ...

    def settle(self) -> None:
        """Take everything from here on: the rows that were kept have all come again."""
        ...


def pump(
    feed: Feed,
    run: PlantRun,
    stop: Stop,
    kept: Keeping,
    *,
    speed: float = 0.0,
    tell: Callable[[Progress], None] | None = None,
) -> bool:
    """Publish a feed's rows that are not kept yet; tell whether the feed came to its end.

    Serves peers between slices, and flushes when memory fills. Stops early when asked to.
    """
    pace = Pace(speed)
    polled = monotonic_ns()
    is_open_ended = run.plant.settings.live or getattr(feed, "follows", False)
    slices = _polled(feed, run, stop) if is_open_ended else feed.slices()
    for found in slices:
        chapter = getattr(feed, "chapter", "")
        if chapter:
            kept.turn(f"{feed.name} {chapter}", next_seq=run.plant.journal.next_seq)
        rows = kept.rest(found)
        if getattr(feed, "caught_up", False):
            kept.settle()
        if not _serve_until_due(run, stop, pace.wait_ns(rows)):
            return False
        run.publish(rows)
        kept.add(rows)
        if (time := getattr(feed, "clock", None)) is not None:
            run.advance_to(time)
        run.flush_if_full()
        now = monotonic_ns()
        if now - polled >= _POLL_NS:
            run.poll(0.0)
            polled = now
            if tell is not None:
                tell(Progress(feed.messages, run.plant.rows, last_time(found)))
        if stop.is_due:
            return False
    run.poll(0.0)
    return True


def _polled(feed: Feed, run: PlantRun, stop: Stop) -> Iterator[Slice]:
    """Wait for a live feed in short steps, so that peers, clocks and stops are served meanwhile."""
    poll = getattr(feed, "poll", None)
    if poll is None:
        yield from feed.slices()
        return
    while not stop.is_due and not getattr(feed, "finished", False):
        rows = poll(_NAP_S)
        yield rows if rows is not None else Slice(())
        run.poll(0.0)


def _serve_until_due(run: PlantRun, stop: Stop, wait_ns: int) -> bool:
    """Wait for a paced slice; False if a stop came first."""
    due = monotonic_ns() + wait_ns
    while wait_ns > 0:
        if stop.is_due:
            return False
        run.poll(min(wait_ns / 1e9, _NAP_S)) if run.server else sleep(min(wait_ns / 1e9, _NAP_S))
        wait_ns = due - monotonic_ns()
    return True


def stay(run: PlantRun, stop: Stop) -> None:
    """Serve peers until a stop is requested."""
    while not stop.requested:
        run.poll(0.1)
        run.flush_if_full()
