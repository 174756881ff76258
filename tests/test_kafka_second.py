"""A second machine fed from Kafka alone: it has what the first one has, whatever is killed."""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import ended, good, journal_bytes, running, sql, tickloop, wait_for
from tests.kafka_plants import (
    FEED,
    SHARDS,
    config_file,
    digests,
    drain,
    logged,
    messages_of,
    rewrite,
    written,
)
from tests.plants import mixed, plant_at, publish_trades
from tests.servers import Server
from tests.test_own_tables import example
from tickloop.core.catalog import Catalog
from tickloop.core.errors import SinkError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import subscribe
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.journal import JournalSettings, logs
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.scan import END
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.torn_publication import cut_torn_publication


def kept(data: Path) -> int:
    """Give how many rows of the other plant are told to be in a directory."""
    cursor = CursorFile(data, "feed").peek()
    return 0 if cursor is None else cursor.rows


def followed(kafka: Server, prefix: str, data: Path) -> list[str | Path]:
    return ["run", "--feed", f"kafka:{kafka.address}/{prefix}", "--stay", "--data", data,
            "--port", "0"]  # fmt: skip


def test_a_second_machine_follows_live_and_is_killed_at_random_moments(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    config = config_file(tmp_path, kafka, prefix)
    with running("run", "--data", ours, *FEED, "--messages", "200000", "--config", config) as first:
        wait_for(lambda: CursorFile(ours, "kafka").peek(), first)
        wait_for(lambda: CursorFile(ours, "kafka").peek().rows > 0, first)  # type: ignore[union-attr]
        for _ in range(3):
            before = journal_bytes(theirs) if theirs.exists() else 0
            with running(*followed(kafka, prefix, theirs)) as second:
                wait_for(
                    lambda: journal_bytes(theirs) > before or first.poll() is not None,  # noqa: B023
                    second,
                )
                time.sleep(moments.uniform(0, 0.5))
                second.kill()
                second.communicate()
        out, err = first.communicate(timeout=200)
        assert first.returncode == 0, (out, err)
    expected = digests(ours)
    total = sum(rows for rows, _ in expected.values())
    with running(*followed(kafka, prefix, theirs)) as second:
        wait_for(lambda: kept(theirs) >= total, second)
        done = ended(second, signal.SIGTERM)
    assert done.code == 0, (done.out, done.err)
    assert kept(theirs) == total
    assert digests(theirs) == expected


def test_what_a_kill_left_of_a_publication_is_cut_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    plant, _ = plant_at(data, journal=JournalSettings())
    for start in range(0, 300, 100):
        plant.publish(mixed(plant.symbols, 100, start=start))
    plant.journal.abandon()
    (log,) = logs(data / "journal")
    whole = log.stat().st_size
    assert cut_torn_publication(data / "journal", Catalog(), OS_DOOR) == 0
    assert log.stat().st_size == whole
    seqs = sorted([*logged(data, "trade"), *logged(data, "quote")])
    bounds = [int(each[END]) for each in LogReader(log, Catalog()).scanner.scan(
        LogReader(log, Catalog()).bytes, 8, whole).messages]  # fmt: skip
    with log.open("r+b") as file:
        file.truncate(bounds[-2])  # the last publication's trades, without its quotes
    assert cut_torn_publication(data / "journal", Catalog(), OS_DOOR) == 100
    assert log.stat().st_size == bounds[-3]
    assert sorted([*logged(data, "trade"), *logged(data, "quote")]) == seqs[:400]


def test_stream_rows_are_taken_as_recorded_or_computed_here_but_never_both(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    ours = tmp_path / "ours"
    config = config_file(tmp_path, kafka, prefix)
    config.write_text(config.read_text() + '[stream.b]\noperator = "bars"\n')
    good("run", "--data", ours, *FEED, "--messages", "20000", "--config", config)
    feed = ("--feed", f"kafka:{kafka.address}/{prefix}")
    good("run", "--data", tmp_path / "recorded", *feed)
    streams = tmp_path / "streams.toml"
    streams.write_text('[stream.b]\noperator = "bars"\n')
    good("run", "--data", tmp_path / "computed", *feed, "--config", streams)
    expected = digests(ours)
    assert expected["bar"][0] > 0
    assert digests(tmp_path / "recorded") == expected
    computed = digests(tmp_path / "computed")
    assert computed["bar"][0] == expected["bar"][0]
    assert computed["trade"] == expected["trade"]


def test_tables_that_only_the_first_machine_declares_come_along(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    sink = f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{prefix}"\nshards = 2\n'
    example(tmp_path, sink + '[tables.venue_state]\nnote = "symbol"\n')
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    day = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "5")
    good("run", *day, "--config", "flow.toml", "--data", ours, cwd=tmp_path)
    for _ in range(2):  # the second time, the tables are there already
        good("run", "--feed", f"kafka:{kafka.address}/{prefix}", "--data", theirs)
    question = "SELECT * EXCLUDE (seq) FROM flow ORDER BY cause, ordinal"
    found = sql(theirs, question)
    assert len(found) > 100
    assert {"net", "trades", "last"} < set(found[0])
    assert found == sql(ours, question)
    assert sql(theirs, "SELECT count(*) AS n FROM venue_state") == [{"n": "0"}]


def test_sizes_with_parts_need_no_word_of_the_second_machine_s_configuration(
    kafka: Server, tmp_path: Path, prefix: str, market_data: Callable[[str], Path]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    day = f"binance:{market_data('binance-ws/spot_btcusdt_20240808.gz')}"
    good("run", "--feed", day, "--config", config_file(tmp_path, kafka, prefix), "--data", ours)
    good("run", "--feed", f"kafka:{kafka.address}/{prefix}", "--data", theirs)
    question = "SELECT count(*) AS n, sum(size) AS size, sum(price * size) AS value FROM trade"
    assert sql(theirs, question) == sql(ours, question)
    assert digests(theirs) == digests(ours)


def test_messages_that_come_twice_or_out_of_order_change_nothing(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = written(tmp_path / "data")
    drain(data, Bus(kafka.address), prefix)
    topic = f"{prefix}trade"
    expected = logged(data, "trade")
    disorder = [messages_of(kafka.address, topic, shard) for shard in range(SHARDS)]
    assert min(map(len, disorder)) >= 8
    written_again = []
    for messages in disorder:
        sent = []
        for start in range(0, len(messages), 4):
            some = messages[start : start + 4]
            sent += moments.sample(some, len(some)) + moments.sample(messages[: start + 4], 3)
        written_again.append(sent)
    rewrite(kafka.address, topic, written_again)
    found: list[int] = []
    with subscribe(kafka.address, prefix, tables="trade") as subscription:
        for chunk in subscription.until_now():
            for rows in chunk.batches:
                found += rows.columns["seq"].tolist() if rows.table.name == "trade" else []
        assert subscription.reader.repeated_rows["trade"] > 0
    assert found == sorted(expected)


def test_a_message_that_is_missing_is_noticed(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = written(tmp_path / "data")
    drain(data, Bus(kafka.address), prefix)
    topic = f"{prefix}trade"
    messages = messages_of(kafka.address, topic, 0)
    rewrite(kafka.address, topic, [[*messages[:2], *messages[3:]], [], []])
    reader = KafkaReader(Bus(kafka.address), prefix, tables="trade", symbols=Symbols())
    reader.begin()
    with pytest.raises(SinkError, match="a message is missing; `tickloop kafka verify` counts"):
        list(reader.until(reader.ends()))
    reader.close()


def test_a_subscriber_goes_on_after_the_broker_came_back(
    mortal_kafka: Server, tmp_path: Path, prefix: str
) -> None:
    data = written(tmp_path / "data", 1000)
    bus = Bus(mortal_kafka.address)
    drain(data, bus, prefix)
    found: list[int] = []
    total = [2**62]
    subscription = subscribe(mortal_kafka.address, prefix, tables="trade")

    def follow() -> None:
        for chunk in subscription:
            for rows in chunk.batches:
                found.extend(rows.columns["seq"].tolist() if rows.table.name == "trade" else [])
            if len(found) >= total[0]:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    mortal_kafka.kill()
    plant, _ = plant_at(data)
    publish_trades(plant, 500, start=3000)
    plant.close()
    total[0] = len(logged(data, "trade"))
    mortal_kafka.start()
    drain(data, bus, prefix)
    thread.join(60)
    assert found == sorted(logged(data, "trade"))
    subscription.close()


def test_a_directory_follows_one_plant_and_its_tables_take_no_rows_of_peers(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    first = written(tmp_path / "first", 250)
    drain(first, Bus(kafka.address), prefix)
    theirs = tmp_path / "theirs"
    feed = f"kafka:{kafka.address}/{prefix}"
    good("run", "--feed", feed, "--data", theirs)
    assert kept(theirs) == 500
    second = written(tmp_path / "second", 250)
    drain(second, Bus(kafka.address), f"{prefix}b.", plant="b")
    other = tickloop("run", "--feed", f"{feed}b.", "--data", theirs)
    other.refused(r"follows plant [0-9a-f]+ under .*one plant a directory; give another --data")
    good("run", "--feed", f"{feed}b.", "--data", theirs, "--append")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[feed]\nkafka_start = "sequence 3"\n')
    tickloop("run", "--feed", feed, "--data", tmp_path / "x", "--config", wrong).refused(
        r"start 'sequence 3' seen, seq=N, time=INSTANT"
    )
