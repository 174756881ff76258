"""Kafka's client, wrapped: topics, records, and producers that neither lose nor repeat.

The producer is idempotent, its queue is bounded, and who fills it has to wait. Another one writes
transactions. Consumers see only what was committed.

A broker knows a message that is sent again by what it remembers of the producer, and when it
starts it forgets producers whose last record is stamped more than a day ago. Ours carry event
time, of any year: so a producer that lost its brokers is given up, and whoever opens the next one
looks first what the topics hold.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.tickerplant.sinks.kafka_probe import probe

_LOG = logging.getLogger("tickloop.kafka")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False
_ASK_S = 5.0
_BATCH_BYTES = 1 << 20
# What every topic of ours gets. Replayed history carries stamps of its own day, of any year.
_TOPIC = {
    "retention.ms": "-1",
    "max.message.bytes": str(8 << 20),
    "message.timestamp.after.max.ms": str(2**63 - 1),
    "message.timestamp.type": "CreateTime",
}
_STEP_S = 0.1  # how long a lost broker may go unnoticed
# Between the broker's least and most; while one is open, readers of its partitions wait.
_TRANSACTION_MS = 60_000
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Bus:
    """Which brokers, with what properties (security and the like, as librdkafka names them)."""

    bootstrap: str
    properties: Mapping[str, str] = field(default_factory=dict)

    def config(self, **more: object) -> dict[str, Any]:
        """Give a client's configuration."""
        return {
            "bootstrap.servers": self.bootstrap, "logger": _LOG, "log_level": 4,
            "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 1000,
            "socket.keepalive.enable": True, "error_cb": _nothing,
            **self.properties, **{name.replace("_", "."): value for name, value in more.items()},
        }  # fmt: skip


def _nothing(_: object) -> None:
    """What goes wrong is told where it is asked for."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message of a topic."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None


@contextmanager
def _told(bus: Bus, what: str) -> Iterator[None]:
    """Turn the client's errors into ours."""
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise SinkAwayError(
            f"Kafka at {bus.bootstrap}: {what} failed ({_text(error)}): {probe(bus.bootstrap)}"
        ) from error


def _patiently(ask: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Ask again while a partition that was just made, or a broker that just came, has no leader."""
    from confluent_kafka import KafkaError, KafkaException

    deadline = monotonic_ns() + int(_ASK_S * 1e9)
    passing = (
        KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION,
    )  # fmt: skip
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in passing or monotonic_ns() > deadline:
                raise
            sleep(0.05)


def _text(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    return str(getattr(first, "str", lambda: first)())


# Topics


def ensure_topics(bus: Bus, partitions: Mapping[str, int], *, compacted: Collection[str],
                  replication: int) -> None:  # fmt: skip
    """Make topics that are missing; SinkError if one has another number of partitions."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient(bus.config())
    with _told(bus, "listing topics"):
        known = admin.list_topics(timeout=_ASK_S).topics
    for topic, count in partitions.items():
        seen = len(known[topic].partitions) if topic in known else count
        if seen != count:
            raise SinkError(
                f"topic {topic} has {seen} partitions, {count} expected: a partition is a shard,"
                f" so set [sinks.kafka] shards = {seen}, or another prefix"
            )
    wanted = [
        NewTopic(topic, num_partitions=count, replication_factor=replication,
                 config={**_TOPIC, **({"cleanup.policy": "compact"} if topic in compacted else {})})
        for topic, count in partitions.items() if topic not in known
    ]  # fmt: skip
    if wanted:
        with _told(bus, "making topics"):
            for made in admin.create_topics(wanted, operation_timeout=_ASK_S).values():
                made.result()
    # A reference of its own, or the client is gone before its answers are.
    del admin


def delete_topics(bus: Bus, topics: Sequence[str]) -> None:
    """Remove topics and what is in them."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(bus.config())
    with _told(bus, "deleting topics"):
        for gone in admin.delete_topics(list(topics), operation_timeout=_ASK_S).values():
            gone.result()
    del admin


# Producing


class BusProducer:
    """Sends records; `done` is called, from `poll`, when the brokers have one."""

    def __init__(self, bus: Bus, *, compression: str, queue_mib: int, linger_ms: float) -> None:
        from confluent_kafka import Producer

        self._bus = bus
        self._failure: str | None = None
        self._producer = Producer(
            {
                **bus.config(
                    enable_idempotence=True, compression_codec=compression, linger_ms=linger_ms,
                    batch_size=_BATCH_BYTES, message_timeout_ms=0,
                    queue_buffering_max_kbytes=queue_mib << 10,
                ),
                "message.max.bytes": 8 << 20,
                "error_cb": self._on_error,
            }
        )  # fmt: skip

    def _on_error(self, error: Any) -> None:
        if error.fatal() or _is_lost(error):
            self._failure = self._failure or error.str()

    def send(
        self, topic: str, partition: int, value: bytes, *, key: bytes | None, time_ms: int,
        done: Callable[[], None], headers: Iterable[tuple[str, bytes]] = (),
    ) -> None:  # fmt: skip
        """Queue a record; waits while the queue is full. SinkAwayError if it cannot be sent."""

        def delivered(error: Any, _: object) -> None:
            if error is not None:
                self._failure = self._failure or error.str()
            else:
                done()

        while True:
            self._check()
            try:
                self._producer.produce(
                    topic, value, key, partition, on_delivery=delivered, timestamp=time_ms,
                    headers=list(headers),
                )  # fmt: skip
            except BufferError:
                self._producer.poll(0.1)
                continue
            return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take note of what was delivered."""
        self._producer.poll(timeout_s)
        self._check()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is delivered; False if that took too long."""
        deadline = monotonic_ns() + int(timeout_s * 1e9)
        left = 1
        while left:
            with _told(self._bus, "sending"):
                left = self._producer.flush(_STEP_S)
            self._check()
            if left and monotonic_ns() > deadline:
                return False
        return True

    def _check(self) -> None:
        if self._failure is not None:
            raise SinkAwayError(
                f"Kafka at {self._bus.bootstrap} took no more rows: {self._failure}; they are sent"
                " again once it is known which of them arrived"
            )

    def close(self) -> None:
        """Drop what was not delivered: whoever sent it has it still."""
        self._producer.purge()
        self._producer.flush(1.0)


def _is_lost(error: Any) -> bool:
    from confluent_kafka import KafkaError

    return bool(error.code() == KafkaError._ALL_BROKERS_DOWN)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be sent."""

    topic: str
    partition: int
    value: bytes
    key: bytes | None
    time_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


class BusTransactions:
    """Sends records that readers see all at once or never; one writer a name.

    Making one ends what another of that name left open, and shuts that one out.
    """

    def __init__(self, bus: Bus, name: str, *, compression: str, timeout_s: float) -> None:
        from confluent_kafka import Producer

        self._bus = bus
        self._name = name
        self._timeout_s = timeout_s
        self._failure: str | None = None
        self._producer = Producer(
            {
                **bus.config(
                    compression_codec=compression, linger_ms=0, batch_size=_BATCH_BYTES,
                    transaction_timeout_ms=_TRANSACTION_MS,
                ),
                "transactional.id": name, "message.max.bytes": 8 << 20,
                "error_cb": self._on_error,
            }
        )  # fmt: skip
        self._ask(self._producer.init_transactions)

    def send(self, records: Iterable[Outgoing]) -> None:
        """Write one transaction and wait until it is committed.

        SinkAwayError: nothing of it is seen, and this object is of no use any more. SinkError:
        another writer took over.
        """
        self._ask(lambda _: self._producer.begin_transaction())
        for each in records:
            self._queue(each)
        while not self._is_flushed():
            pass
        self._ask(self._producer.commit_transaction)

    def _is_flushed(self) -> bool:
        left: list[int] = []
        self._ask(lambda _: left.append(self._producer.flush(_STEP_S)))
        self._check()
        return not left[-1]

    def _on_error(self, error: Any) -> None:
        if _is_lost(error):
            self._failure = error.str()

    def _check(self) -> None:
        if self._failure is not None:
            raise SinkAwayError(
                f"Kafka at {self._bus.bootstrap}: transaction {self._name!r} is given up"
                f" ({self._failure}); it is written again as a whole"
            )

    def _queue(self, record: Outgoing) -> None:
        def produce(_: float) -> None:
            self._producer.produce(
                record.topic, record.value, record.key, record.partition,
                timestamp=record.time_ms, headers=list(record.headers),
            )  # fmt: skip

        while True:
            try:
                return self._ask(produce)
            except BufferError:
                self._producer.poll(_STEP_S)
                self._check()

    def _ask(self, what: Callable[[float], None]) -> None:
        """Ask again while that may help, up to the time-out."""
        from confluent_kafka import KafkaException

        deadline = monotonic_ns() + int(self._timeout_s * 1e9)
        while True:
            left = (deadline - monotonic_ns()) / 1e9
            try:
                return what(max(left, 0.1))
            except KafkaException as error:
                told = error.args[0]
                if self._is_shut_out(told):
                    raise SinkError(
                        f"Kafka at {self._bus.bootstrap}: another sink took over"
                        f" {self._name!r}: one sink a prefix; end one of the two"
                    ) from error
                if not told.retriable() or left <= 0:
                    raise SinkAwayError(
                        f"Kafka at {self._bus.bootstrap}: transaction {self._name!r} failed"
                        f" ({_text(error)}); it is written again as a whole"
                    ) from error
            sleep(0.05)

    @staticmethod
    def _is_shut_out(error: Any) -> bool:
        from confluent_kafka import KafkaError

        return error.code() in (
            KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH,
        )  # fmt: skip

    def close(self) -> None:
        """Let go; a transaction that is open ends with the next writer of the name."""
        self._producer.purge()


# Consuming


class BusConsumer:
    """Reads committed records of partitions that it is told; belongs to no group."""

    def __init__(self, bus: Bus, *, queue_mib: int = 64) -> None:
        from confluent_kafka import Consumer

        self._bus = bus
        self._consumer = Consumer(
            {
                **bus.config(
                    group_id="tickloop", enable_auto_commit=False, auto_offset_reset="error",
                    queued_max_messages_kbytes=queue_mib << 10, fetch_wait_max_ms=20,
                    enable_partition_eof=True, isolation_level="read_committed",
                ),
                "allow.auto.create.topics": False,
            }
        )  # fmt: skip
        # The end that each partition was last read to: what ends a transaction is no record.
        self.ended: dict[Partition, int] = {}

    def topics(self) -> dict[str, int]:
        """List topics and how many partitions each has."""
        with _told(self._bus, "listing topics"):
            found = self._consumer.list_topics(timeout=_ASK_S).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Give a partition's first offset and the one after its last."""
        from confluent_kafka import TopicPartition

        where = TopicPartition(topic, partition)
        with _told(self._bus, f"asking for the ends of {topic}/{partition}"):
            low, high = _patiently(
                lambda: self._consumer.get_watermark_offsets(where, timeout=_ASK_S)
            )
        return int(low), int(high)

    def at_time(self, where: Collection[Partition], time_ms: int) -> dict[Partition, int]:
        """Give the first offset whose record is stamped `time_ms` or later; -1: there is none."""
        from confluent_kafka import TopicPartition

        asked = [TopicPartition(topic, partition, time_ms) for topic, partition in where]
        with _told(self._bus, "asking for offsets by time"):
            found = self._consumer.offsets_for_times(asked, timeout=_ASK_S)
        return {(each.topic, each.partition): int(each.offset) for each in found}

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        from confluent_kafka import TopicPartition

        self.ended = {}
        with _told(self._bus, "subscribing"):
            self._consumer.assign(
                [TopicPartition(topic, number, at) for (topic, number), at in offsets.items()]
            )

    def poll(self, timeout_s: float, limit: int = 100) -> list[Record]:
        """Wait for a record, then take what else has arrived."""
        with _told(self._bus, "reading"):
            first = self._consumer.poll(timeout_s)
            if first is None:
                return []
            found = [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]
        return [record for message in found if (record := self._record(message)) is not None]

    def _record(self, message: Any) -> Record | None:
        from confluent_kafka import KafkaError

        error = message.error()
        if error is not None:
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise SinkError(f"Kafka at {self._bus.bootstrap}: {error.str()}")
            if error.code() == KafkaError._PARTITION_EOF:
                self.ended[message.topic(), message.partition()] = message.offset()
            return None  # the client goes on by itself
        return Record(
            message.topic(), message.partition(), message.offset(), message.timestamp()[1],
            message.key(), message.value(),
        )  # fmt: skip

    def read_at(self, offsets: Mapping[Partition, int], timeout_s: float = 30.0) -> list[Record]:
        """Read the one record at or after each offset; none where there is none any more."""
        found: dict[Partition, Record] = {}
        for record in self._to_ends(offsets, timeout_s, found.keys):
            found.setdefault((record.topic, record.partition), record)
        return list(found.values())

    def _to_ends(
        self, offsets: Mapping[Partition, int], timeout_s: float,
        enough: Callable[[], Collection[Partition]],
    ) -> Iterator[Record]:  # fmt: skip
        """Read partitions to their ends, but those of which it is enough."""
        if not offsets:
            return
        self.assign(offsets)
        deadline = monotonic_ns() + int(timeout_s * 1e9)
        while left := set(offsets) - set(self.ended) - set(enough()):
            yield from self.poll(0.2, 1000)
            if monotonic_ns() > deadline:
                raise SinkAwayError(
                    f"Kafka at {self._bus.bootstrap}: {len(left)} of {len(offsets)} partitions"
                    f" gave no record within {timeout_s:.0f} s"
                )

    def last(
        self, bounds: Mapping[Partition, tuple[int, int]], timeout_s: float = 30.0
    ) -> list[Record]:
        """Read each partition's last record, if it has one."""
        found: dict[Partition, Record] = {}
        window = 1
        left = {where: each for where, each in bounds.items() if each[1] > each[0]}
        while left:
            starts = {where: max(low, high - window) for where, (low, high) in left.items()}
            for record in self._to_ends(starts, timeout_s, lambda: _at_last(found, bounds)):
                found[record.topic, record.partition] = record
            # Nothing but the ends of transactions: look further back.
            left = {
                where: each for where, each in left.items()
                if where not in found and starts[where] > each[0]
            }  # fmt: skip
            window *= 16
        return list(found.values())

    def read_all(self, topic: str, timeout_s: float = 60.0) -> list[Record]:
        """Read a small topic of one partition from its begin to its present end."""
        low, high = self.bounds(topic, 0)
        if low == high:
            return []
        return list(self._to_ends({(topic, 0): low}, timeout_s, tuple))

    def close(self) -> None:
        """Let go."""
        self._consumer.close()


def _at_last(
    found: Mapping[Partition, Record], bounds: Mapping[Partition, tuple[int, int]]
) -> list[Partition]:
    return [where for where, record in found.items() if record.offset >= bounds[where][1] - 1]
