"""Messages of several topics and shards, back in one order: up to what all of them told.

Every message says which stretch of seqs it tells of. Rows go out when each input has told of
their seqs, so how inputs are interleaved on their way changes nothing; what comes again is
recognised by its stretch and passed over.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from tickloop.core.batch import Batch
from tickloop.core.errors import WireError
from tickloop.streaming.merge import in_seq_order
from tickloop.streaming.order import one_per_table, up_to
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
        self._rows: list[Batch] = []
        # Messages with rows or progress past `done`, and how far each tells.
        self._held: list[tuple[int, Tag]] = []
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
            self._rows.append(_after(message.clocks, floor))
        if header.rows:
            self._rows.append(_after(message.rows, floor))
        self._held.append((header.through, tag))
        return self._release()

    def _begin_after(self, seq: int) -> None:
        if seq > self.done:
            self.done = seq
            self._rows = [up_to(batch, seq)[1] for batch in self._rows]

    def _release(self) -> Sequence[Batch]:
        if len(self._told) < len(self._inputs):
            return ()
        low = min(self._told.values())
        if low <= self.done:
            return ()
        self.done = low
        self._held = [held for held in self._held if held[0] > low]
        if self._held:
            parts = [up_to(batch, low) for batch in self._rows]
            ready = [first for first, _ in parts]
            self._rows = [rest for _, rest in parts if len(rest)]
        else:
            ready, self._rows = self._rows, []
        return [self._ordered(batch) for batch in one_per_table(ready)]

    def settled(self) -> tuple[Mapping[Input, int], Sequence[Tag]]:
        """Give what inputs told up to `done`, and the messages that told more, to add again."""
        told = {where: min(seq, self.done) for where, seq in self._told.items()}
        return told, [tag for _, tag in self._held]


def _as_it_is(rows: Batch) -> Batch:
    return rows


def _after(rows: Batch, seq: int) -> Batch:
    """Leave out rows up to a seq, of which there are seldom any."""
    return rows if int(rows.columns["seq"][0].item()) > seq else up_to(rows, seq)[1]
