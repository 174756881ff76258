"""Topics compared with the journal: what is wrong with them is counted, and wrong input is told."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.command import good, tickloop
from tests.kafka_plants import (
    FEED,
    SHARDS,
    drain,
    logged,
    messages_of,
    rewrite,
    send,
    verdicts,
    written,
)
from tests.servers import Server
from tickloop.core.batch import Batch
from tickloop.core.errors import SinkError
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.envelope import decode, encode, read_header
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_probe import probe
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader


def altered(message: bytes, **values: int) -> bytes:
    """Write a message again with other values in its header, or one more in a price."""
    found = decode(message, TRADE)
    clocks = (found.clocks.columns["time"], found.clocks.columns["seq"])
    price = found.rows.columns["price"].astype(np.int64)
    price[:1] = price[:1] + values.pop("price", 0)
    rows = Batch(TRADE, {**found.rows.columns, "price": price})
    return encode(found.header._replace(**values), rows, clocks)


def test_every_kind_of_damage_is_counted(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = written(tmp_path / "data")
    drain(data, Bus(kafka.address), prefix)
    topic = f"{prefix}trade"
    good_ones = [messages_of(kafka.address, topic, shard) for shard in range(SHARDS)]
    total = len(logged(data, "trade"))
    size = read_header(good_ones[0][2]).rows
    assert size > 0

    def verdict(first: list[bytes]) -> tuple[int, int, int, int, bool]:
        rewrite(kafka.address, topic, [first, *good_ones[1:]])
        found = verdicts(data, kafka.address, prefix)["trade"]
        assert found.journal == total
        assert not found.is_good
        return found.topic, found.lost, found.repeated, found.foreign, found.is_equal

    whole = good_ones[0]
    assert verdict([*whole[:2], *whole[3:]]) == (total - size, size, 0, 0, False)
    assert verdict([*whole[:3], whole[2], *whole[3:]]) == (total + size, 0, size, 0, True)
    other = altered(whole[2], plant=7)
    assert verdict([*whole[:3], other, *whole[3:]]) == (total + size, 0, 0, size, True)
    assert verdict([*whole[:2], altered(whole[2], price=1), *whole[3:]]) == (total, 0, 0, 0, False)


def test_rows_of_another_plant_stop_a_reader(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = written(tmp_path / "data", 250)
    drain(data, Bus(kafka.address), prefix)
    topic = f"{prefix}trade"
    message = messages_of(kafka.address, topic, 0)[-1]
    send(kafka.address, topic, 0, [altered(message, plant=7)])
    reader = KafkaReader(Bus(kafka.address), prefix, tables="trade", symbols=Symbols())
    reader.begin()
    with pytest.raises(
        SinkError, match=r"rows of plant 7 seen, of [0-9a-f]+ expected: a topic has"
    ):
        list(reader.until(reader.ends()))
    reader.close()
    send(kafka.address, topic, 0, [b"something else"])
    with pytest.raises(SinkError, match="does something else write to this topic"):
        drain(data, Bus(kafka.address), prefix)


def test_topics_of_another_plant_than_the_directory_s_are_told(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    data = tmp_path / "data"
    good("run", "--data", data, *FEED, "--messages", "10000")
    drain(written(tmp_path / "other", 250), Bus(kafka.address), prefix, plant="other")
    done = tickloop("kafka", "verify", "--data", data, "--prefix", prefix,
                    "--bootstrap", kafka.address)  # fmt: skip
    done.refused(r"are of plant [0-9a-f]+, .*journal is of plant .*check --prefix and --data")


@pytest.fixture
def old_broker() -> Iterator[str]:
    """Answer as a broker of Kafka 0.10 does when it is asked what it can."""
    server = socket.create_server(("127.0.0.1", 0))
    body = (
        struct.pack(">ihi", 84, 0, 2) + struct.pack(">hhh", 0, 0, 2) + struct.pack(">hhh", 1, 0, 3)
    )

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(struct.pack(">i", len(body)) + body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_what_is_at_an_address_instead_of_a_broker_is_told(
    kafka: Server, tmp_path: Path, old_broker: str
) -> None:
    assert "too old: Produce version 2 seen, 3 or later expected" in probe(old_broker)
    assert probe(kafka.address).startswith("a broker answers there")
    assert "HOST:PORT such as 127.0.0.1:9092 expected" in probe("localhost")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no Kafka broker" in probe(f"127.0.0.1:{silent.getsockname()[1]}")
        port = silent.getsockname()[1]
    nobody = tickloop("kafka", "topics", "--bootstrap", f"127.0.0.1:{port}")
    nobody.refused(r"listing topics failed .*nothing listens there: is the broker up")
    tickloop("kafka", "topics", "--bootstrap", old_broker).refused("the broker is too old")
    feed = tickloop("run", "--feed", f"kafka:127.0.0.1:{port}/x.", "--data", tmp_path / "data")
    feed.refused("nothing listens there")
    assert not (tmp_path / "data").exists()
