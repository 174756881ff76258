"""One table's rows of a chunk, cut into one message a shard, or more where there are many rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Header, encode

_Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The seqs that a message tells of, and the clock rows among them."""

    previous: int
    through: int
    times: _Longs
    seqs: _Longs

    def clocks_in(self, previous: int, through: int) -> tuple[_Longs, _Longs]:
        """Give times and seqs of the clock rows of a part of it."""
        first, last = np.searchsorted(self.seqs, [previous, through], side="right")
        return self.times[first:last], self.seqs[first:last]


@dataclass(frozen=True, slots=True)
class Piece:
    """A message ready to be sent."""

    header: Header
    value: bytes


def cut(rows: Batch, first: int, last: int) -> Batch:
    """Give a stretch of rows without copying it."""
    return Batch(rows.table, {name: values[first:last] for name, values in rows.columns.items()})


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts rows of one table and shard into messages."""

    plant: int
    schema: int
    shards: int
    rows_max: int

    def pieces(self, rows: Batch, *, shard: int, floats: int, stretch: Stretch) -> Iterator[Piece]:
        """Yield messages that together tell of the stretch; the last one reaches its end."""
        previous = stretch.previous
        starts = range(0, max(len(rows), 1), self.rows_max)
        for start in starts:
            part = cut(rows, start, start + self.rows_max)
            is_last = start == starts[-1]
            through = stretch.through if is_last else int(part.columns["seq"][-1])
            clocks = stretch.clocks_in(previous, through)
            header = self._header(part, clocks, shard, floats, (previous, through))
            yield Piece(header, encode(header, part, clocks))
            previous = through

    def _header(
        self, part: Batch, clocks: tuple[_Longs, _Longs], shard: int, floats: int,
        reach: tuple[int, int],
    ) -> Header:  # fmt: skip
        times, seqs = part.columns["time"], part.columns["seq"]
        ends = [int(each) for held in (times, clocks[0]) if len(held) for each in held[[0, -1]]]
        return Header(
            shard=shard, shards=self.shards, schema=self.schema, plant=self.plant, rows=len(part),
            clocks=len(clocks[0]), previous=reach[0], through=reach[1],
            first_seq=int(seqs[0]) if len(seqs) else NO_SEQ,
            last_seq=int(seqs[-1]) if len(seqs) else NO_SEQ,
            first_time=min(ends, default=0), last_time=max(ends, default=0), floats=floats,
        )  # fmt: skip
