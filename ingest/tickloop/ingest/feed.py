"""What a feed is: deterministic slices of rows, and an account of what was wrong with its bytes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.errors import FeedError
from tickloop.core.instruments import Instruments
from tickloop.core.kernel import kernel
from tickloop.core.symbols import Symbols

NO_INTERVAL = 0
ASIDE_MAX = 1000


@dataclass(frozen=True, slots=True)
class CutRule:
    """Where a feed's messages are cut into slices: by count, and by the feed's clock if asked.

    The rule reads only the feed, never the wall clock, so two replays cut alike.
    """

    messages: int = 16_384
    interval_ns: int = NO_INTERVAL


@dataclass(slots=True)
class Health:
    """Counts of named conditions, and damage that ended or interrupted the feed."""

    counts: Counter[str] = field(default_factory=Counter)
    damage: list[FeedError] = field(default_factory=list)
    # Message bodies that were refused, kept for a look: (byte offset, bytes), a bounded number.
    aside: list[tuple[int, bytes]] = field(default_factory=list)

    def count(self, condition: str, times: int = 1) -> None:
        """Add to a condition's count; nothing is recorded for zero times."""
        if times:
            self.counts[condition] += int(times)

    def keep_aside(self, offset: int, body: bytes) -> None:
        """Keep a refused message for a look, up to ASIDE_MAX of them."""
        if len(self.aside) < ASIDE_MAX:
            self.aside.append((offset, body))


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What the plant lends a feed: symbol ids, units, and the session's settings."""

    symbols: Symbols
    instruments: Instruments
    session_date: date | None = None  # the session date, where the file carries none
    zone: str = "America/New_York"  # whose midnight the venue's stamps count from
    depth_levels: int = 5  # best levels a side for which depth rows are made; 0 for none
    cut: CutRule = CutRule()
    symbol: str = ""  # for files that do not name their instrument


class Feed(Protocol):
    """A source of slices. Bad bytes are counted, named and kept aside, never raised from here."""

    @property
    def name(self) -> str:
        """What it is, for people, e.g. "itch:day.gz"."""
        ...

    @property
    def venue(self) -> str:
        """What goes into `ex`."""
        ...

    @property
    def health(self) -> Health:
        """What was wrong with its bytes."""
        ...

    @property
    def messages(self) -> int:
        """Messages decoded so far."""
        ...

    def slices(self) -> Iterator[Slice]:
        """Yield rows in feed order; ends at the end of the feed or at damage."""
        ...


@kernel("int64(int64[::1], int64, int64, int64)")
def _cut_end(times: npt.NDArray[np.int64], start: int, messages: int, interval_ns: int) -> int:
    end = min(len(times), start + messages)
    if interval_ns <= 0 or start >= end:
        return end
    bucket = times[start] // interval_ns
    for row in range(start + 1, end):
        if times[row] // interval_ns != bucket:
            return row
    return end


def cut_end(times: npt.NDArray[np.int64], start: int, rule: CutRule) -> int:
    """Find the row after the last one of the slice that begins at row `start`."""
    return _cut_end(times, start, rule.messages, rule.interval_ns)
