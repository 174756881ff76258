"""Messages of several topics and shards, back in one order: up to what all of them told.

Every message says which stretch of seqs it tells of. Rows go out when each input has told of
their seqs, so how inputs are interleaved on their way changes nothing; what comes again is
recognised by its stretch and passed over.
"""

import itertools
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

from tickloop.core.batch import Batch
from tickloop.core.errors import WireError
from tickloop.core.seq_cuts import taken, up_to
from tickloop.streaming.merge import in_seq_order
from tickloop.streaming.order import one_per_table
from tickloop.tickerplant.sinks.envelope import Header, Message

# A table's schema id, and a shard of its topic.
Input = tuple[int, int]
Tag = TypeVar("Tag")


class Gather(Generic[Tag]):
    """Holds rows back until every input has told of what comes before them.

    A tag is what its user needs to come back to a message: its bytes, or where they are.
    """

    def __init__(
        self, inputs: Collection[Input], done: int, told: Mapping[Input, int] | None = None, *,
        ordered: Callable[[Batch], Batch] = in_seq_order,
    ) -> None:  # fmt: skip
        """Begin after the seq `done`; `told` is what inputs told before, as of `settled`.

        `ordered` puts rows of one table, from several shards, in order.
        """
        self._inputs = frozenset(inputs)
        is_divided = len({schema for schema, _ in self._inputs}) < len(self._inputs)
        # What one shard tells is in order as it is.
        self._ordered = ordered if is_divided else _as_it_is
        # Clock rows are told by every input; one's are enough.
        self._clock_of = min(self._inputs)
        self._told: dict[Input, int] = dict(told or {})
        # What each input told past `done`, in order: so each row is looked at twice, however far
        # one input is ahead of another. Under None, the clock's rows.
        self._rows: dict[Input | None, deque[Batch]] = {}
        # Messages with rows or progress past `done`: how far each tells, and when it came.
        self._held: dict[Input, deque[tuple[int, int, Tag]]] = {}
        self._count = 0
        self.done = done
        self.repeated = 0

    def is_new(self, header: Header) -> bool:
        """Tell whether a message tells of anything new; WireError if one before it is missing."""
        where = (header.schema, header.shard)
        told = self._told.get(where, header.previous)
        if header.previous > told:
            raise WireError(
                f"shard {header.shard} of schema {header.schema:x}: rows after seq"
                f" {header.previous} seen, after {told} expected: a message is missing;"
                " `tickloop kafka verify` counts what"
            )
        if where in self._inputs and header.through > told:
            return True
        self.repeated += where in self._inputs
        return False

    def add(self, tag: Tag, message: Message) -> Sequence[Batch]:
        """Take a message that is new; give the group that is complete now, if there is one."""
        header = message.header
        where = (header.schema, header.shard)
        before = self._told.get(where)
        self._told[where] = header.through
        if before is None:
            # Nobody knows all rows before the stretch of the input that begins last.
            before = header.previous
            self._begin_after(before)
        floor = max(before, self.done)
        if where == self._clock_of and len(message.clocks):
            self._rows.setdefault(None, deque()).append(_after(message.clocks, floor))
        if header.rows:
            self._rows.setdefault(where, deque()).append(_after(message.rows, floor))
        self._count += 1
        self._held.setdefault(where, deque()).append((header.through, self._count, tag))
        return self._release()

    def _begin_after(self, seq: int) -> None:
        if seq > self.done:
            self.done = seq
            for rows in self._rows.values():
                deque(taken(rows, seq), maxlen=0)

    def _release(self) -> Sequence[Batch]:
        if len(self._told) < len(self._inputs):
            return ()
        low = min(self._told.values())
        if low <= self.done:
            return ()
        self.done = low
        for held in self._held.values():
            while held and held[0][0] <= low:
                held.popleft()
        ready = [batch for rows in self._rows.values() for batch in taken(rows, low)]
        return [self._ordered(batch) for batch in one_per_table(ready)]

    def settled(self) -> tuple[Mapping[Input, int], Sequence[Tag]]:
        """Give what inputs told up to `done`, and the messages that told more, to add again."""
        told = {where: min(seq, self.done) for where, seq in self._told.items()}
        waiting = sorted(itertools.chain.from_iterable(self._held.values()), key=itemgetter(1))
        return told, [tag for _, _, tag in waiting]


def _as_it_is(rows: Batch) -> Batch:
    return rows


def _after(rows: Batch, seq: int) -> Batch:
    """Leave out rows up to a seq, of which there are seldom any."""
    return rows if int(rows.columns["seq"][0].item()) > seq else up_to(rows, seq)[1]
