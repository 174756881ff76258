"""What every row takes from its message (times, symbol, venue, place) and the cut into slices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch, Slice
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.interleave import interleave
from tickloop.core.kernel import kernel
from tickloop.core.schema import INSTRUMENT, Table
from tickloop.ingest.book_rows import KEYS_PER_MESSAGE
from tickloop.ingest.feed import CutRule, cut_end

# A message's number times RANKS, plus a rank, orders the rows of all tables. The ranks of book,
# trade, depth and quote rows are the books' own.
RANKS = KEYS_PER_MESSAGE
RANK_INSTRUMENT = 0
RANK_STATUS = 1
RANK_IMBALANCE = 2
RANK_QUOTE_BEFORE = 4  # the BBO that a trade met, where the venue sends both in one message


@dataclass(frozen=True, slots=True)
class Messages:
    """Columns over messages, one element each, in feed order; rows are picked from them."""

    number: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    venue_time: npt.NDArray[np.int64]
    sym: npt.NDArray[np.int32]
    ex: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.number)

    def take(self, picked: npt.NDArray[np.generic]) -> "Messages":
        """Keep the messages at the given positions, or where the given mask is set."""
        return Messages(
            self.number[picked], self.time[picked], self.venue_time[picked],
            self.sym[picked], self.ex[picked],
        )  # fmt: skip

    def rows(
        self, table: Table, rank: int | npt.NDArray[np.int64], **columns: npt.NDArray[np.generic]
    ) -> Batch:
        """Make one row of `table` a message; `rank` places it among the message's other rows."""
        stamps: dict[str, npt.NDArray[np.generic]] = {"time": self.time, "sym": self.sym}
        if table is not INSTRUMENT:
            stamps |= {"ex": self.ex, "venue_time": self.venue_time}
        return Batch(table, {**stamps, **columns, "_place": self.number * RANKS + rank})


@kernel("int64(int64[::1], int64)")
def _never_back(times: npt.NDArray[np.int64], latest: int) -> int:
    back = 0
    for row in range(times.shape[0]):
        if times[row] < latest:
            back += times[row] != NULL_LONG
            times[row] = latest
        latest = times[row]
    return back


def never_back(times: npt.NDArray[np.int64], latest_ns: int) -> int:
    """Raise each time to the latest one before it, in place; return how many ran backwards.

    Null times take the latest one without being counted.
    """
    return _never_back(times, latest_ns)


def slices_of(batches: Sequence[Batch], messages: Messages, rule: CutRule) -> Iterator[Slice]:
    """Cut rows that came from `messages` at message boundaries and give them their ordinals."""
    start = 0
    heads = [0] * len(batches)
    while start < len(messages):
        end = cut_end(messages.time, start, rule)
        limit = (int(messages.number[end - 1]) + 1) * RANKS
        tails = [int(np.searchsorted(batch.columns["_place"], limit)) for batch in batches]
        parts = [
            Batch(batch.table, {name: values[head:tail] for name, values in batch.columns.items()})
            for batch, head, tail in zip(batches, heads, tails, strict=True)
            if head < tail
        ]
        if parts:
            yield interleave(parts)
        start, heads = end, tails
