"""A job's results as they come back from Kafka: each once, in the order of their causes.

Shares of a job run side by side, and after a restart some results come again. Rows go out when
every share has told of their causes, so that they are in the order that one share alone makes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tickloop.core.batch import Batch
from tickloop.core.schema import CLOCK
from tickloop.streaming.flink.gather import Gather, Input
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.results import read
from tickloop.streaming.merge import in_cause_order
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Message, nothing_of, schema_id
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, ensure_topics

_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Position:
    """How far results were given out, and where to read on: nothing before is needed again."""

    done: int = NO_SEQ
    offset: int = 0
    told: Mapping[Input, int] = field(default_factory=dict)


class Returned:
    """Reads the results of one job."""

    def __init__(
        self, plan: JobPlan, outputs: Sequence[str], shares: int, bus: Bus, start: Position
    ) -> None:
        """Read on from a position; SinkAwayError if no broker answers."""
        ensure_result_topic(plan, bus, replication=1)
        known = plan.by_name()
        self._tables = {schema_id(known[name]): known[name] for name in outputs}
        inputs = [(schema, share) for schema in self._tables for share in range(shares)]
        self._gather = Gather[int](inputs, start.done, start.told, ordered=in_order)
        self._consumer = BusConsumer(bus)
        low, _ = self._consumer.bounds(plan.topic, _PARTITION)
        self._next = max(start.offset, low)
        self._consumer.assign({(plan.topic, _PARTITION): self._next})

    @property
    def done(self) -> int:
        """The seq up to which every result was given out."""
        return self._gather.done

    @property
    def repeated(self) -> int:
        """Messages that came again and were passed over."""
        return self._gather.repeated

    @property
    def position(self) -> Position:
        """Where to read on after a restart, with what was not given out yet."""
        told, held = self._gather.settled()
        return Position(self._gather.done, min([self._next, *held]), told)

    def poll(self, timeout_s: float) -> Iterator[Sequence[Batch]]:
        """Yield groups of derived rows that are complete, a batch a table; `seq` is the cause."""
        for record in self._consumer.poll(timeout_s):
            self._next = record.offset + 1
            result = read(record.value or b"", self._tables)
            if not self._gather.is_new(result.header):
                continue
            message = Message(result.header, result.rows, nothing_of(CLOCK))
            group = self._gather.add(record.offset, message)
            if any(len(rows) for rows in group):
                yield group

    def close(self) -> None:
        """Let go."""
        self._consumer.close()


def ensure_result_topic(plan: JobPlan, bus: Bus, *, replication: int) -> None:
    """Make the topic of a job's results, if there is none.

    It has one partition: results are few, and those of a share have to keep their order.
    """
    ensure_topics(bus, {plan.topic: 1}, compacted=(), replication=replication)


def in_order(rows: Batch) -> Batch:
    """Put derived rows of one table, from several shares, in the order of causes."""
    return in_cause_order([rows])
