"""Rows on a real Kafka broker: each once, in order, and read from any point."""

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import good, tickloop
from tests.kafka_plants import (
    FEED,
    SHARDS,
    assert_all_there,
    by_seq,
    config_file,
    digests,
    drain,
    logged,
    messages_of,
    send,
    sink_of,
    symbols_of,
)
from tests.kafka_plants import written as write
from tests.plants import NOON, plant_at, publish_trades, trades
from tests.plants import logged as table_rows
from tests.servers import Server
from tickloop.app.sinks import wanted_sinks
from tickloop.core.batch import slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.config import Config, load
from tickloop.core.errors import SinkError
from tickloop.core.schema import QUOTE, TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_tail import JournalTail
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile, advanced
from tickloop.tickerplant.sinks.envelope import decode
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, ensure_topics
from tickloop.tickerplant.sinks.kafka_names import bus_tables
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.kafka_start import Start
from tickloop.tickerplant.sinks.kafka_subscribe import subscribe
from tickloop.tickerplant.sinks.sink import PACKAGES


def ends(address: str, prefix: str) -> dict[tuple[str, int], int]:
    reader = KafkaReader(Bus(address), prefix, symbols=Symbols())
    found = reader.ends()
    reader.close()
    return found


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give a directory at rest with trades and quotes that interleave."""
    return write(tmp_path / "data")


# Without faults


def test_topics_hold_what_the_log_holds_and_a_second_sink_adds_nothing(
    kafka: Server, written: Path, prefix: str
) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix)
    assert_all_there(written, kafka.address, prefix)
    before = ends(kafka.address, prefix)
    drain(written, bus, prefix)
    CursorFile(written, "kafka").path.unlink()
    drain(written, bus, prefix, rows_max=7)
    assert ends(kafka.address, prefix) == before


def test_a_log_that_grows_is_continued_after_what_the_topics_hold(
    kafka: Server, written: Path, prefix: str
) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix)
    plant, _ = plant_at(written, symbols=symbols_of(written))
    publish_trades(plant, 500, start=3000)
    plant.close()
    CursorFile(written, "kafka").path.unlink()  # the topics know
    drain(written, bus, prefix)
    assert_all_there(written, kafka.address, prefix)


def clocks_told(address: str, prefix: str) -> dict[tuple[str, int], list[int]]:
    """List the seqs of the clock rows that each partition of two tables was told of."""
    raw = BusConsumer(Bus(address))
    found = {}
    for table in (TRADE, QUOTE):
        for shard in range(SHARDS):
            where = (f"{prefix}{table.name}", shard)
            low, high = raw.bounds(*where)
            records = [raw.read_at({where: at})[0] for at in range(low, high)]
            told = [decode(each.value or b"", table).clocks for each in records]
            found[where] = [seq for clock in told for seq in clock.columns["seq"].tolist()]
    raw.close()
    return found


def test_every_partition_is_told_of_every_clock_row_once_also_over_a_sink_s_sudden_end(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    root, bus = tmp_path / "data", Bus(kafka.address)
    plant, _ = plant_at(root)
    for start in range(0, 2000, 20):  # two seconds and two clock rows each
        rows = trades(plant.symbols, 20, start=start, step_ns=100_000_000)
        plant.publish(slice_of(rows))
    last = plant.publish(slice_of(trades(plant.symbols, 1, start=2000, step_ns=100_000_000)))
    plant.close()
    written = [seq for seq, _ in table_rows(root, "clock")]
    assert len(written) > 150
    cursor = Cursor("kafka", "", plant_id("tickloop"))
    for chunks in (12, 30, 0):  # 0: to the end
        sink = sink_of(root, bus, prefix)
        tail = JournalTail(root / "journal", Catalog(), symbols_of(root), chunk_bytes=3000)
        tail.go_to(sink.open(cursor))
        taken = 0
        while (taken < chunks or not chunks) and (chunk := tail.next(last)) is not None:
            sink.take(chunk)
            taken += 1
        while not chunks and not sink.settle():
            sink.idle()
        if chunks:
            sink._flush()  # what was sent arrived; what waited is lost with the sink
            sink._poll(0.0)
            assert sink.taken().seq < tail.seq
        told = sink.taken()
        cursor = advanced(cursor, told.seq, told.rows, told.streams)
        sink.close()
    assert cursor.seq >= last
    for where, seqs in clocks_told(kafka.address, prefix).items():
        assert seqs == [seq for seq in written if seq <= cursor.seq], where


@pytest.mark.parametrize("column", ["seq", "time", "offset"])
def test_a_reader_begins_where_it_is_told(
    kafka: Server, written: Path, prefix: str, column: str
) -> None:
    drain(written, Bus(kafka.address), prefix)
    expected = logged(written, "trade")
    middle = sorted(expected)[len(expected) // 2]
    starts = {
        "seq": Start(seq=middle - 1), "time": Start(time=int(str(expected[middle][0]))),
        "offset": Start(offset=1),
    }  # fmt: skip
    reader = KafkaReader(Bus(kafka.address), prefix, tables="trade", symbols=Symbols())
    reader.begin(starts[column])
    found: dict[int, tuple[object, ...]] = {}
    for delivery in reader.until(reader.ends()):
        found |= by_seq(reader.surface(delivery), reader.symbols)
    reader.close()
    if column == "offset":
        assert set(found.items()) < set(expected.items())
        assert len(found) > 100
    else:
        assert found == {seq: row for seq, row in expected.items() if seq >= middle}


def test_a_subscription_gives_the_plant_s_rows_in_its_one_order(
    kafka: Server, written: Path, prefix: str
) -> None:
    drain(written, Bus(kafka.address), prefix)
    found: dict[str, dict[int, tuple[object, ...]]] = {"trade": {}, "quote": {}}
    through = -1
    with subscribe(kafka.address, prefix, tables="quote trade") as subscription:
        for chunk in subscription.until_now():
            assert chunk.after == through
            through = chunk.through
            for rows in chunk.batches:
                seqs = rows.columns["seq"]
                assert chunk.after < seqs[0] <= seqs[-1] <= through
                if rows.table.name != "clock":
                    found[rows.table.name] |= by_seq(rows, subscription.symbols)
    assert found == {table: logged(written, table) for table in found}
    with subscribe(kafka.address, prefix, start=Start(seq=through - 100)) as again:
        late = [rows for chunk in again.until_now() for rows in chunk.batches]
    assert {seq for rows in late for seq in rows.columns["seq"].tolist()} == {
        seq for table in found for seq in found[table] if seq > through - 100
    }


def test_messages_that_come_again_are_passed_over(
    kafka: Server, written: Path, prefix: str
) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix)
    raw = BusConsumer(bus)
    topic = f"{prefix}trade"
    low, high = raw.bounds(topic, 0)
    messages = [raw.read_at({(topic, 0): at})[0] for at in range(low, high)]
    raw.close()
    assert len(messages) >= 4
    reader = KafkaReader(bus, prefix, tables="trade", symbols=Symbols())
    expected = [m for each in messages for m in reader._in_order(each)]
    again = KafkaReader(bus, prefix, tables="trade", symbols=Symbols())
    order = [0, 1, 0, 1, 2, 1, *range(2, len(messages))]
    found = [m for place in order for m in again._in_order(messages[place])]
    count = sum(len(each.message.rows) for each in expected)
    assert sum(len(each.message.rows) for each in found) == count
    assert again.repeated_rows["trade"] > 0
    for each in (reader, again):
        each.close()


def json_seqs(value: bytes) -> list[int]:
    return [json.loads(value)["seq"]]


def arrow_seqs(value: bytes) -> list[int]:
    with pa.ipc.open_stream(value) as stream:
        found: list[int] = stream.read_all()["seq"].to_pylist()
    assert 0 < len(found) <= 50
    return found


FORMATS = {"json": json_seqs, "arrow": arrow_seqs}


def values_of(address: str, topic: str) -> list[list[bytes]]:
    """Read every record's value, partition by partition."""
    return [messages_of(address, topic, shard) for shard in range(SHARDS)]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_in_other_formats_reach_their_topic_once(
    kafka: Server, written: Path, prefix: str, form: str
) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix, **{f"{form}_tables": "trade"})
    CursorFile(written, "kafka").path.unlink()
    drain(written, bus, prefix, **{f"{form}_tables": "trade"})
    seqs = [
        [seq for value in values for seq in FORMATS[form](value)]
        for values in values_of(kafka.address, f"{prefix}trade.{form}")
    ]
    assert all(each == sorted(each) for each in seqs)
    assert sorted(chain.from_iterable(seqs)) == sorted(logged(written, "trade"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("foreign", [b"", b"{}", b"[1]", b"anything else"])
def test_foreign_records_in_such_a_topic_are_refused_with_its_name(
    kafka: Server, written: Path, prefix: str, form: str, foreign: bytes
) -> None:
    bus, topic = Bus(kafka.address), f"{prefix}trade.{form}"
    ensure_topics(bus, {topic: SHARDS}, compacted=(), replication=1)
    send(kafka.address, topic, 1, [foreign])
    wanted: dict[str, Any] = {f"{form}_tables": "trade"}
    sink = sink_of(written, bus, prefix, **wanted)
    with pytest.raises(SinkError, match=rf"topic {topic}: its last record holds no rows"):
        sink.open(Cursor("kafka", "", plant_id("tickloop")))


def test_a_sink_that_ends_suddenly_repeats_no_row_of_an_arrow_stream(
    kafka: Server, written: Path, prefix: str
) -> None:
    bus = Bus(kafka.address)
    wanted: dict[str, Any] = {"arrow_tables": "trade quote", "rows_max": 30}
    cursor = Cursor("kafka", "", plant_id("tickloop"))
    for chunks in (3, 2, 4):
        sink = sink_of(written, bus, prefix, **wanted)
        tail = JournalTail(
            written / "journal", Catalog(), symbols_of(written), chunk_bytes=4000
        )  # fmt: skip
        tail.go_to(sink.open(cursor))
        for _ in range(chunks):
            chunk = tail.next(2**62)
            assert chunk is not None
            sink.take(chunk)
        sink._flush()  # the brokers have it; the cursor does not hear of it
        sink.close()
    drain(written, bus, prefix, **wanted)
    for table in ("trade", "quote"):
        values = chain.from_iterable(values_of(kafka.address, f"{prefix}{table}.arrow"))
        seqs = [seq for value in values for seq in arrow_seqs(value)]
        assert sorted(seqs) == sorted(logged(written, table))


def test_an_arrow_stream_holds_the_rows_as_a_query_gives_them(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    config = config_file(tmp_path, kafka, prefix)
    config.write_text(config.read_text() + 'arrow = "trade instrument"\n')
    data = tmp_path / "day"
    good("run", "--data", data, *FEED, "--messages", "10000", "--config", config)
    for table in ("trade", "instrument"):
        found = []
        for values in values_of(kafka.address, f"{prefix}{table}.arrow"):
            found += [row for value in values for row in rows_of(value)]
        file = tmp_path / f"{table}.parquet"
        question = f"SELECT * FROM {table} ORDER BY seq"
        good("sql", "--data", data, "--format", "parquet", "--output", file, question)
        expected = [
            {name: value for name, value in row.items() if name != "date"}
            for row in pq.read_table(file).to_pylist()
        ]
        assert sorted(found, key=lambda row: row["seq"]) == expected


def rows_of(value: bytes) -> list[dict[str, Any]]:
    with pa.ipc.open_stream(value) as stream:
        found: list[dict[str, Any]] = stream.read_all().to_pylist()
    return found


def test_topics_of_another_plant_or_another_number_of_shards_are_refused(
    kafka: Server, written: Path, prefix: str
) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix)
    with pytest.raises(SinkError, match=r"a topic has one writer; give \[sinks.kafka\] another"):
        drain(written, bus, prefix, plant="another")
    ensure_topics(bus, {"wrong.trade": 2}, compacted=(), replication=1)
    with pytest.raises(SinkError, match=r"wrong.trade has 2 partitions, 3 expected"):
        drain(written, bus, "wrong.")


def test_records_are_stamped_with_the_rows_own_time_and_never_deleted_for_it(
    kafka: Server, written: Path, prefix: str
) -> None:
    drain(written, Bus(kafka.address), prefix)
    raw = BusConsumer(Bus(kafka.address))
    (record,) = raw.read_at({(f"{prefix}trade", 0): 0})
    raw.close()
    noon_ms = (NOON + 946_684_800_000_000_000) // 1_000_000
    assert noon_ms <= record.time_ms < noon_ms + 1000


# Another machine, and the command line


def test_another_machine_is_fed_from_the_topics_alone_and_goes_on_where_it_stopped(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    config = config_file(tmp_path, kafka, prefix)
    good("run", "--data", ours, *FEED, "--messages", "40000", "--config", config)
    feed = ("--feed", f"kafka:{kafka.address}/{prefix}")
    good("run", "--data", theirs, *feed)
    assert digests(ours) == digests(theirs)
    good("run", "--data", ours, "--feed", "synthetic:2024-01-03", "--messages", "10000",
         "--symbols", "20", "--config", config)  # fmt: skip
    good("run", "--data", theirs, *feed)
    assert digests(ours) == digests(theirs)


def test_the_commands_list_follow_and_verify(kafka: Server, tmp_path: Path, prefix: str) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, kafka, prefix)
    done = good("run", "--data", data, *FEED, "--messages", "10000", "--config", config)
    assert f"rows in {kafka.address} {prefix}*" in done.err
    bus = ("--bootstrap", kafka.address, "--prefix", prefix)
    listed = good("kafka", "topics", *bus, "--json").json
    assert {each["table"] for each in listed} >= {"trade", "quote", "book"}
    rows = good("kafka", "tail", "trade", *bus, "--begin", "--rows", "--limit", "1").out
    assert json.loads(rows.splitlines()[0])["ex"] == "XSYN"
    # A table with many more messages of silence than of rows.
    rare = good("kafka", "tail", "status", *bus, "--begin", "--rows", "--limit", "1").out
    assert json.loads(rare.splitlines()[0])["seq"] > 0
    told = good("kafka", "tail", "trade", *bus, "--begin", "--limit", "2").out.splitlines()
    assert len(told) == 2
    assert "trade/" in told[0]
    verified = good("kafka", "verify", "--data", data, *bus)
    equal = verified.out.count("0 lost, 0 repeated, 0 foreign, 0 waiting")
    assert equal == len(bus_tables(Catalog(), "")) == len(listed)
    other = tickloop("kafka", "topics", "--bootstrap", kafka.address, "--prefix", "nobody.")
    other.refused(r"has no topic nobody\.dictionary\.tables; check the prefix")


def test_a_sink_that_refuses_says_why_and_the_capture_goes_on(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    ensure_topics(Bus(kafka.address), {f"{prefix}trade": 2}, compacted=(), replication=1)
    config = config_file(tmp_path, kafka, prefix)
    done = good("run", "--data", tmp_path / "data", *FEED, "--messages", "10000",
                "--config", config)  # fmt: skip
    assert f"topic {prefix}trade has 2 partitions, 3 expected" in done.err
    assert "the capture goes on" in done.err
    assert "34,200 rows" not in done.err


def test_sinks_that_cannot_work_are_refused_before_anything_is_captured(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[plant]\nsync = "none"\n[sinks.kafka]\nbootstrap = "127.0.0.1:9"\n')
    data = tmp_path / "data"
    done = tickloop("run", "--data", data, *FEED, "--messages", "10000", "--config", path)
    done.refused(r'sync = "none" seen, "interval" or "batch" expected with \[sinks.kafka\]')
    assert not data.exists()
    config = load(path)
    on = replace(config, plant=replace(config.plant, sync="interval"))
    assert wanted_sinks(on) == ["kafka"]
    assert wanted_sinks(Config()) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PACKAGES, "kafka", ("no_such_package",))
        with pytest.raises(SinkError, match=r"no-such-package is not installed.*tickloop\[kafka\]"):
            wanted_sinks(on)
