"""Rows on a real Kafka broker: each once, in order, whatever is killed."""

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.command import Done, good, journal_bytes, running, tickloop, wait_for
from tests.plants import NOON, mixed, plant_at, publish_trades
from tests.servers import Server
from tickloop.app.sinks import wanted_sinks
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.config import Config, load
from tickloop.core.errors import SinkError
from tickloop.core.schema import DERIVED, MARKET_DATA
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.kafka_client import Bus, BusConsumer, ensure_topics
from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
from tickloop.tickerplant.sinks.kafka_sink import KafkaSettings, KafkaSink
from tickloop.tickerplant.sinks.kafka_start import Start
from tickloop.tickerplant.sinks.kafka_subscribe import subscribe
from tickloop.tickerplant.sinks.kafka_verify import TableVerdict, verify
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.sink import PACKAGES

SHARDS = 3
FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "20")


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Give topics that no other test writes."""
    return f"{request.node.originalname[:40]}.{os.urandom(3).hex()}."


def symbols_of(root: Path) -> Symbols:
    """Give the database's names, which these plants keep in the log alone."""
    symbols = Symbols()
    for _ in JournalReader(root / "journal", Catalog(), symbols).messages(-1):
        pass
    return symbols


def drain(
    root: Path, bus: Bus, prefix: str, *, rows_max: int = 50, json_tables: str = "",
    plant: str = "tickloop",
) -> SinkLoop:  # fmt: skip
    """Bring a directory at rest to Kafka."""
    symbols = symbols_of(root)
    settings = KafkaSettings(
        bus, prefix, SHARDS, "", json_tables, rows_max, "lz4", 8, 1.0, 100.0, 1
    )
    sink = KafkaSink(settings, Catalog(), symbols, plant_id(plant))
    (root / "cursors").mkdir(exist_ok=True)
    loop = SinkLoop(sink, root, Catalog(), symbols, plant_id(plant), LoopSettings(20.0))
    assert loop.run(lambda: False)
    return loop


def verdicts(root: Path, address: str, prefix: str) -> dict[str, TableVerdict]:
    found = verify(
        Bus(address), prefix, journal=root / "journal", catalog=Catalog(), symbols=Symbols()
    )
    return {each.table: each for each in found}


def assert_all_there(root: Path, address: str, prefix: str) -> None:
    """Compare every row of the journal with the topics: lost, repeated and waiting are 0."""
    found = verdicts(root, address, prefix)
    assert [each for each in found.values() if not each.is_good or each.waiting] == []
    assert sum(each.topic for each in found.values()) > 0


def ends(address: str, prefix: str) -> dict[tuple[str, int], int]:
    reader = KafkaReader(Bus(address), prefix, symbols=Symbols())
    found = reader.ends()
    reader.close()
    return found


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give a directory at rest with trades and quotes that interleave."""
    plant, _ = plant_at(tmp_path / "data")
    for start in range(0, 3000, 250):
        plant.publish(mixed(plant.symbols, 250, start=start))
    plant.close()
    return tmp_path / "data"


def logged(root: Path, table: str) -> dict[int, tuple[object, ...]]:
    """Read a table's rows from the log by seq, with names for symbols."""
    symbols = Symbols()
    found = {}
    for rows in JournalReader(root / "journal", Catalog(), symbols).messages(-1):
        if rows.table.name == table:
            found.update(by_seq(rows, symbols))
    return found


def by_seq(rows: Batch, symbols: Symbols) -> dict[int, tuple[object, ...]]:
    columns = [
        [symbols.name(value) for value in rows.columns[name].tolist()]
        if name in ("sym", "ex", "cond")
        else [None if value != value else value for value in rows.columns[name].tolist()]
        for name in rows.table.names
    ]
    return {int(row[-1]): row for row in zip(*columns, strict=True)}


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


def test_rows_as_json_reach_their_topic_once(kafka: Server, written: Path, prefix: str) -> None:
    bus = Bus(kafka.address)
    drain(written, bus, prefix, json_tables="trade")
    CursorFile(written, "kafka").path.unlink()
    drain(written, bus, prefix, json_tables="trade")
    raw = BusConsumer(bus)
    topic = f"{prefix}trade.json"
    seqs: list[int] = []
    raw.assign({(topic, shard): 0 for shard in range(SHARDS)})
    total = sum(raw.bounds(topic, shard)[1] for shard in range(SHARDS))
    while len(seqs) < total:
        seqs += [json.loads(record.value or b"")["seq"] for record in raw.poll(1.0)]
    raw.close()
    assert sorted(seqs) == sorted(logged(written, "trade"))


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
    assert same_rows(ours, theirs)
    good("run", "--data", ours, "--feed", "synthetic:2024-01-03", "--messages", "10000",
         "--symbols", "20", "--config", config)  # fmt: skip
    good("run", "--data", theirs, *feed)
    assert same_rows(ours, theirs)


def same_rows(one: Path, other: Path) -> bool:
    """Compare the databases column by column, without the plants' own seqs."""
    for table in ("trade", "quote", "depth", "book", "status", "imbalance", "instrument"):
        first, second = (_sorted_rows(root, table) for root in (one, other))
        if first != second:
            return False
    return True


def _sorted_rows(root: Path, table: str) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for part in Database(root).snapshot().parts(table):
        columns = []
        for column in part.table.columns:
            if column.name == "seq":
                continue
            values = np.asarray(part.columns[column.name])
            if column.kind.value == "symbol":
                names = part.names_of(column.name)
                columns.append([names[i] if i >= 0 else "" for i in values.tolist()])
            else:
                columns.append([repr(value) for value in values.tolist()])
        rows += list(zip(*columns, strict=True))
    return sorted(rows, key=repr)


def config_file(folder: Path, server: Server, prefix: str, *, drain_s: int = 60) -> Path:
    path = folder / "run.toml"
    path.write_text(
        f'[sinks.kafka]\nbootstrap = "{server.address}"\nprefix = "{prefix}"\nshards = {SHARDS}\n'
        f"drain_s = {drain_s}\nrows = 500\n"
    )
    return path


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
    told = good("kafka", "tail", "trade", *bus, "--begin", "--limit", "2").out.splitlines()
    assert len(told) == 2
    assert "trade/" in told[0]
    verified = good("kafka", "verify", "--data", data, *bus)
    assert verified.out.count("0 lost, 0 repeated, 0 foreign, 0 waiting") == len(
        MARKET_DATA + DERIVED
    )
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


# Faults, at random moments and under load


@pytest.fixture
def moments() -> random.Random:
    """Give moments that differ from run to run; the seed is shown where a test fails."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return random.Random(seed)


def started(data: Path, *arguments: str | Path) -> list[str | Path]:
    return ["run", "--data", data, *FEED, *arguments]


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


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


def sent(data: Path) -> int:
    cursor = CursorFile(data, "kafka").peek()
    return 0 if cursor is None else cursor.rows


def test_a_broker_that_is_killed_under_load_loses_and_repeats_nothing(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, kafka, prefix)
    with running(*started(data, "--messages", "500000", "--config", config)) as process:
        wait_for(lambda: sent(data) > 0, process)
        time.sleep(moments.uniform(0, 1.0))
        kafka.kill()
        kafka.start()
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, (out, err)
    assert_all_there(data, kafka.address, prefix)


def test_a_broker_that_is_away_stops_nobody_and_gets_everything_later(
    kafka: Server, tmp_path: Path, prefix: str
) -> None:
    data = tmp_path / "data"
    good("run", "--data", data, *FEED, "--messages", "10000",
         "--config", config_file(tmp_path, kafka, prefix))  # fmt: skip
    kafka.kill()
    try:
        config = config_file(tmp_path, kafka, prefix, drain_s=1)
        done = good("run", "--data", data, "--feed", "synthetic:2024-01-03", "--symbols", "20",
                    "--messages", "60000", "--config", config)  # fmt: skip
        assert "the rest waits in the journal: tickloop sink kafka" in done.err
        left = tickloop("sink", "kafka", "--data", data, "--config", config)
        left.refused("rows are still waiting")
    finally:
        kafka.start()
    good("sink", "kafka", "--data", data, "--config", config)
    assert_all_there(data, kafka.address, prefix)


def test_plants_and_sinks_that_are_killed_lose_and_repeat_nothing(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, kafka, prefix)
    command = started(data, "--messages", "800000", "--config", config)
    for round_ in range(3):
        with running(*command) as process:
            before = journal_bytes(data) if data.exists() else 0
            wait_for(lambda: journal_bytes(data) > before + 100_000, process)  # noqa: B023
            time.sleep(moments.uniform(0, 0.5))
            if round_ != 1:  # the sink alone, and then the plant beside the one that came for it
                for pid in sink_pids(data):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(moments.uniform(0, 0.4))
            kill(process)
    ended: Done = good(*command)
    assert f"rows in {kafka.address} {prefix}*" in ended.err
    assert_all_there(data, kafka.address, prefix)
