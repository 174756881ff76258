"""Ledgers on a real Kafka broker: readers see whole publications or nothing, from one writer."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.command import good, running, wait_for
from tests.kafka_plants import (
    FEED,
    SHARDS,
    assert_all_there,
    config_file,
    drain,
    logged,
    sink_of,
    sink_pids,
    written,
)
from tests.plants import plant_at, publish_trades
from tests.servers import Server
from tickloop.core.catalog import Catalog
from tickloop.core.errors import SinkError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_tail import JournalTail
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, BusTransactions, Outgoing
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.kafka_start import Start
from tickloop.tickerplant.sinks.kafka_subscribe import subscribe


def seen(address: str, prefix: str) -> list[int]:
    """Read the seqs of trades that readers see by now."""
    with subscribe(address, prefix, tables="trade") as subscription:
        return [
            seq
            for chunk in subscription.until_now()
            for rows in chunk.batches
            if rows.table.name == "trade"
            for seq in rows.columns["seq"].tolist()
        ]


def test_a_ledger_holds_what_the_log_holds_and_a_second_sink_adds_nothing(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    data = written(tmp_path / "data")
    bus = Bus(kafka.address)
    drain(data, bus, prefix, ledgers="trade", json_tables="trade")
    assert_all_there(data, kafka.address, prefix)
    CursorFile(data, "kafka").path.unlink()
    drain(data, bus, prefix, ledgers="trade", json_tables="trade")
    plant, _ = plant_at(data)
    publish_trades(plant, 500, start=3000)
    plant.close()
    drain(data, bus, prefix, ledgers="trade", json_tables="trade")
    assert_all_there(data, kafka.address, prefix)
    assert seen(kafka.address, prefix) == sorted(logged(data, "trade"))
    consumer = BusConsumer(bus)
    topic = f"{prefix}trade.json"
    bounds = {(topic, shard): consumer.bounds(topic, shard) for shard in range(SHARDS)}
    rows = list(consumer._to_ends({where: low for where, (low, _) in bounds.items()}, 30.0, tuple))
    consumer.close()
    assert len(rows) == len(logged(data, "trade"))


def test_half_a_publication_is_never_seen_and_its_sink_s_successor_sends_it_whole(
    kafka: Server, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = written(tmp_path / "data")
    bus = Bus(kafka.address)
    drain(data, bus, prefix, ledgers="trade")
    before = seen(kafka.address, prefix)
    plant, _ = plant_at(data)
    publish_trades(plant, 500, start=3000)
    plant.close()

    def half(self: BusTransactions, records: list[Outgoing]) -> None:
        self._producer.begin_transaction()
        for record in records[: len(records) // 2]:
            self._queue(record)
        assert self._producer.flush(30.0) == 0
        raise KeyboardInterrupt  # the process ends here

    with monkeypatch.context() as patch:
        patch.setattr(BusTransactions, "send", half)
        with pytest.raises(KeyboardInterrupt):
            drain(data, bus, prefix, ledgers="trade")
    assert seen(kafka.address, prefix) == before
    drain(data, bus, prefix, ledgers="trade")
    assert seen(kafka.address, prefix) == sorted(logged(data, "trade"))
    assert_all_there(data, kafka.address, prefix)


def test_a_second_sink_shuts_the_first_one_out(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = written(tmp_path / "data", 500)
    bus = Bus(kafka.address)
    first, second = (sink_of(data, bus, prefix, ledgers="trade") for _ in range(2))
    cursor = Cursor("kafka", first.target, plant_id("tickloop"))
    tail = JournalTail(data / "journal", Catalog(), Symbols())
    start = first.open(cursor)
    tail.go_to(start)
    chunk = tail.next(2**62)
    assert chunk is not None
    second.open(cursor)
    with pytest.raises(SinkError, match=r"another sink took over .*: one sink a prefix"):
        first.take(chunk)
    second.take(chunk)
    while not second.settle():
        pass
    first.close()
    second.close()
    assert seen(kafka.address, prefix) == sorted(logged(data, "trade"))


def test_readers_begin_anywhere_in_a_ledger(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = written(tmp_path / "data", 1000)
    bus = Bus(kafka.address)
    for start in range(1000, 2000, 250):  # a transaction each
        drain(data, bus, prefix, ledgers="trade")
        plant, _ = plant_at(data)
        publish_trades(plant, 250, start=start)
        plant.close()
    drain(data, bus, prefix, ledgers="trade")
    seqs = sorted(logged(data, "trade"))
    for middle in (seqs[0] - 1, seqs[700], seqs[-2], seqs[-1]):
        reader = KafkaReader(bus, prefix, tables="trade", symbols=Symbols())
        reader.begin(Start(seq=middle))
        found = [
            seq
            for delivery in reader.until(reader.ends())
            for seq in delivery.message.rows.columns["seq"].tolist()
        ]
        reader.close()
        assert sorted(found) == [seq for seq in seqs if seq > middle]


def test_sinks_of_ledgers_that_are_killed_lose_and_repeat_nothing(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, kafka, prefix)
    config.write_text(config.read_text() + 'ledgers = "trade quote"\n')
    command: list[str | Path] = [
        "run",
        "--data",
        data,
        *FEED,
        "--messages",
        "200000",
        "--config",
        config,
    ]
    with running(*command) as process:
        for _ in range(2):
            wait_for(lambda: sink_pids(data), process)
            time.sleep(moments.uniform(0.3, 1.5))
            for pid in sink_pids(data):
                os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, (out, err)
    good("sink", "kafka", "--data", data, "--config", config)
    assert_all_there(data, kafka.address, prefix)
