"""Plants on a Kafka broker for tests: written, drained into topics, compared by digest."""

import hashlib
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.plants import mixed, plant_at
from tests.servers import Server
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.schema import DERIVED, MARKET_DATA
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.sinks.kafka_client import (
    Bus,
    BusConsumer,
    BusProducer,
    delete_topics,
    ensure_topics,
)
from tickloop.tickerplant.sinks.kafka_sink import KafkaSettings, KafkaSink
from tickloop.tickerplant.sinks.kafka_verify import TableVerdict, verify
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop

SHARDS = 3
FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "20")


def symbols_of(root: Path) -> Symbols:
    """Give the database's names, which these plants keep in the log alone."""
    symbols = Symbols()
    for _ in JournalReader(root / "journal", Catalog(), symbols).messages(-1):
        pass
    return symbols


def sink_of(
    root: Path, bus: Bus, prefix: str, *, rows_max: int = 50, json_tables: str = "",
    plant: str = "tickloop", ledgers: str = "", arrow_tables: str = "",
) -> KafkaSink:  # fmt: skip
    """Make a sink with small messages."""
    settings = KafkaSettings(
        bus, prefix, SHARDS, "", json_tables, rows_max, "lz4", 8, 1.0, 100.0, 1, ledgers,
        arrow_tables,
    )  # fmt: skip
    return KafkaSink(settings, Catalog(), symbols_of(root), plant_id(plant))


def drain(
    root: Path, bus: Bus, prefix: str, *, plant: str = "tickloop", **settings: Any
) -> SinkLoop:
    """Bring a directory at rest to Kafka, with settings as `sink_of` takes them."""
    sink = sink_of(root, bus, prefix, plant=plant, **settings)
    (root / "cursors").mkdir(exist_ok=True)
    loop = SinkLoop(sink, root, Catalog(), sink._symbols, plant_id(plant), LoopSettings(20.0))
    assert loop.run(lambda: False)
    return loop


def written(root: Path, rows: int = 3000) -> Path:
    """Make a directory at rest with trades and quotes that interleave."""
    plant, _ = plant_at(root)
    for start in range(0, rows, 250):
        plant.publish(mixed(plant.symbols, 250, start=start))
    plant.close()
    return root


def verdicts(root: Path, address: str, prefix: str) -> dict[str, TableVerdict]:
    """Compare the journal with the topics, table by table."""
    found = verify(
        Bus(address), prefix, journal=root / "journal", catalog=Catalog(), symbols=Symbols(),
        plant=plant_id("tickloop"),
    )  # fmt: skip
    return {each.table: each for each in found}


def assert_all_there(root: Path, address: str, prefix: str) -> None:
    """Compare every row of the journal with the topics: lost, repeated and waiting are 0."""
    found = verdicts(root, address, prefix)
    bad = [each for each in found.values() if not each.is_good or each.waiting]
    assert not bad, bad
    assert sum(each.topic for each in found.values()) > 0


def config_file(folder: Path, server: Server, prefix: str, *, drain_s: int = 60) -> Path:
    """Write a configuration with the sink switched on."""
    path = folder / "run.toml"
    path.write_text(
        f'[sinks.kafka]\nbootstrap = "{server.address}"\nprefix = "{prefix}"\nshards = {SHARDS}\n'
        f"drain_s = {drain_s}\nrows = 500\n"
    )
    return path


def logged(root: Path, table: str) -> dict[int, tuple[object, ...]]:
    """Read a table's rows from the log by seq, with names for symbols."""
    symbols = Symbols()
    found = {}
    for rows in JournalReader(root / "journal", Catalog(), symbols).messages(-1):
        if rows.table.name == table:
            found.update(by_seq(rows, symbols))
    return found


def by_seq(rows: Batch, symbols: Symbols) -> dict[int, tuple[object, ...]]:
    """Give rows as tuples by seq, with names for symbols."""
    columns = [
        [symbols.name(value) for value in rows.columns[name].tolist()]
        if name in ("sym", "ex", "cond")
        else [None if value != value else value for value in rows.columns[name].tolist()]
        for name in rows.table.names
    ]
    return {int(row[-1]): row for row in zip(*columns, strict=True)}


def digests(root: Path) -> dict[str, tuple[int, str]]:
    """Give each table's rows and a digest of all their values but the plant's own seq.

    Rows are in the order of the log, so that two plants agree only if their orders do.
    """
    found = {}
    for table in (*MARKET_DATA, *DERIVED):
        parts = [_columns(part) for part in Database(root).snapshot().parts(table.name)]
        if not parts:
            continue
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.argsort(joined.pop("seq"), kind="stable")
        digest = hashlib.blake2b()
        for values in joined.values():
            digest.update(np.ascontiguousarray(values[order]).tobytes())
        found[table.name] = (len(order), digest.hexdigest())
    return found


def _columns(part: Part) -> dict[str, npt.NDArray[np.generic]]:
    """Give columns, with the same number for the same name on every machine."""
    found = {}
    for column in part.table.columns:
        values = np.asarray(part.columns[column.name])
        if column.kind.value == "symbol":
            names = part.names_of(column.name)
            numbers = [0, *(zlib.crc32(name.encode()) for name in names)]
            values = np.array(numbers, dtype=np.int64)[np.maximum(values, -1) + 1]
        found[column.name] = values
    return found


def messages_of(address: str, topic: str, partition: int) -> list[bytes]:
    """Read a partition's messages as they are."""
    raw = BusConsumer(Bus(address))
    low, high = raw.bounds(topic, partition)
    raw.assign({(topic, partition): low})
    found: list[bytes] = []
    while len(found) < high - low:
        found += [record.value or b"" for record in raw.poll(1.0)]
    raw.close()
    return found


def send(address: str, topic: str, partition: int, messages: list[bytes]) -> None:
    """Write messages as another writer does."""
    producer = BusProducer(Bus(address), compression="none", queue_mib=8, linger_ms=0)
    for value in messages:
        producer.send(topic, partition, value, key=None, time_ms=1, done=lambda: None)
    assert producer.flush(30.0)
    producer.close()


def rewrite(address: str, topic: str, shards: list[list[bytes]]) -> None:
    """Put other messages into a topic than there are."""
    bus = Bus(address)
    delete_topics(bus, [topic])
    consumer = BusConsumer(bus)
    deadline = time.monotonic() + 30
    while topic in consumer.topics():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    consumer.close()
    ensure_topics(bus, {topic: len(shards)}, compacted=(), replication=1)
    for shard, messages in enumerate(shards):
        send(address, topic, shard, messages)


def sink_pids(data: Path) -> list[int]:
    """Find the sink processes of a directory by their command lines."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"sink" in words and str(data).encode() in words:
            found.append(int(folder.name))
    return found
