"""What is on the bus, topic by topic."""

from dataclasses import asdict, dataclass

from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.envelope import NO_SEQ, Header, read_header
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader


@dataclass(frozen=True, slots=True)
class TopicSummary:
    """A table's topic."""

    topic: str
    table: str
    partitions: int
    messages: int
    through: int  # the least of its partitions: everything up to here is told
    last_time: int

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return asdict(self)


def topic_summaries(bus: Bus, prefix: str) -> list[TopicSummary]:
    """Read the ends of every table's topic."""
    reader = KafkaReader(bus, prefix, symbols=Symbols())
    consumer = BusConsumer(bus)
    try:
        bounds = {where: consumer.bounds(*where) for where in reader.partitions}
        last = {where: high - 1 for where, (low, high) in bounds.items() if high > low}
        headers = {
            (record.topic, record.partition): read_header(record.value or b"")
            for record in consumer.read_at(last)
        }
        return [_summary(prefix, name, bounds, headers) for name in reader.tables]
    finally:
        consumer.close()
        reader.close()


def _summary(
    prefix: str, name: str, bounds: dict[tuple[str, int], tuple[int, int]],
    headers: dict[tuple[str, int], Header],
) -> TopicSummary:  # fmt: skip
    topic = f"{prefix}{name}"
    mine = [where for where in bounds if where[0] == topic]
    told = [headers[where] for where in mine if where in headers]
    return TopicSummary(
        topic, name, len(mine), sum(bounds[where][1] - bounds[where][0] for where in mine),
        min((header.through for header in told), default=NO_SEQ),
        max((header.last_time for header in told), default=0),
    )  # fmt: skip
