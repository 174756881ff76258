"""Rows in a real QuestDB server: each once, equal to the log's, whatever is killed."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.command import good, running, tickloop, wait_for
from tests.plants import mixed, plant_at, publish_trades
from tests.servers import Server
from tickloop.core.batch import Batch, slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.clock import to_unix_ns
from tickloop.core.dialects import questdb as dialect
from tickloop.core.errors import SinkError
from tickloop.core.schema import TABLES, Table
from tickloop.core.symbols import Symbols
from tickloop.core.user_tables import from_toml
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.questdb_columns import columns_of
from tickloop.tickerplant.sinks.questdb_rest import QuestDb
from tickloop.tickerplant.sinks.questdb_sink import QuestDbSettings, QuestDbSink
from tickloop.tickerplant.sinks.questdb_tables import is_applied

FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "20")
_TABLES = [table for table in TABLES if table.name in ("trade", "quote", "depth", "book")]
EVERY_TYPE = {
    "every": {
        "flag": "boolean", "guid": "guid", "byte": "byte", "short": "short", "int": "int",
        "long": "long", "real": "real", "float": "float", "char": "char", "name": "symbol",
        "at": "timestamp", "month": "month", "date": "date", "datetime": "datetime",
        "span": "timespan", "minute": "minute", "second": "second", "milli": "time",
        "text": "string",
    }
}  # fmt: skip


@pytest.fixture
def server(questdb: Server) -> Iterator[QuestDb]:
    """Give the server without any table."""
    found = QuestDb(questdb.address)
    for row in found.ask("SELECT table_name FROM tables()"):
        found.ask(f"DROP TABLE {row['table_name']}")
    return found  # type: ignore[return-value]


def drain(root: Path, server: QuestDb, *, tables: str = "trade quote", rows: int = 700) -> None:
    """Bring a directory at rest to QuestDB."""
    (root / "cursors").mkdir(exist_ok=True)
    symbols = Symbols()
    sink = QuestDbSink(QuestDbSettings(server, tables, rows, 20.0), Catalog(), symbols)
    loop = SinkLoop(sink, root, Catalog(), symbols, plant_id("tickloop"), LoopSettings(20.0))
    assert loop.run(lambda: False)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give a directory at rest with trades and quotes."""
    plant, _ = plant_at(tmp_path / "data")
    for start in range(0, 3000, 250):
        plant.publish(mixed(plant.symbols, 250, start=start))
    plant.close()
    return tmp_path / "data"


def counted(server: QuestDb, table: str) -> tuple[int, int]:
    """Count rows and different seqs once everything acknowledged is visible."""
    deadline = time.monotonic() + 60
    while not is_applied(server, [t for t in TABLES if t.name == table]):
        assert time.monotonic() < deadline, "not applied within a minute"
        time.sleep(0.05)
    (row,) = server.ask(f"SELECT count() AS rows, count_distinct(seq) AS seqs FROM {table}")
    return int(row["rows"]), int(row["seqs"])


def logged_counts(root: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rows in JournalReader(root / "journal", Catalog(), Symbols()).tables(-1):
        counts[rows.table.name] = counts.get(rows.table.name, 0) + len(rows)
    return counts


def assert_all_there(root: Path, server: QuestDb) -> None:
    """Compare seqs with the log's: as many rows, each once, and the same sum of numbers."""
    counts = logged_counts(root)
    for table in _TABLES:
        assert counted(server, table.name) == (counts[table.name],) * 2, table.name
    sums = dict.fromkeys(("seq", "size", "price"), 0.0)
    for rows in JournalReader(root / "journal", Catalog(), Symbols()).tables(-1):
        if rows.table.name == "trade":
            for name in sums:
                numbers = rows.columns[name].astype(np.float64)
                sums[name] += float(np.nansum(np.where(numbers == -(2.0**63), 0, numbers)))
    asked = "SELECT sum(seq) AS seq, sum(size) AS size, sum(price) AS price FROM trade"
    (found,) = server.ask(asked)
    assert {name: float(each) for name, each in found.items()} == pytest.approx(sums, rel=1e-9)


def values(rows: Batch, symbols: Symbols) -> list[tuple[object, ...]]:
    """Spell surface rows as QuestDB answers them, slowly."""
    cells = []
    for name in rows.table.names:
        column = rows.columns[name].tolist()
        if name in ("sym", "cond", "ex"):
            column = [symbols.name(value) or None for value in column]
        elif name in ("time", "venue_time"):
            column = [None if value == -(2**63) else to_unix_ns(value) for value in column]
        elif name == "side":
            column = [chr(value) for value in column]
        else:
            column = [None if value != value or value == -(2**63) else value for value in column]
        cells.append(column)
    return list(zip(*cells, strict=True))


def test_rows_read_back_are_the_log_s(server: QuestDb, written: Path) -> None:
    drain(written, server)
    counted(server, "trade")
    symbols = Symbols()
    expected = [
        row
        for rows in JournalReader(written / "journal", Catalog(), symbols).messages(-1)
        if rows.table.name == "trade"
        for row in values(rows, symbols)
    ]
    found = server.ask(
        "SELECT time::LONG AS time, sym, price, size, side, cond, ex, trade_id,"
        " venue_time::LONG AS venue_time, seq FROM trade ORDER BY seq"
    )
    assert [tuple(row.values()) for row in found] == sorted(
        expected, key=lambda row: int(str(row[-1]))
    )


def test_what_comes_again_counts_once_and_a_lost_cursor_loses_nothing(
    server: QuestDb, written: Path
) -> None:
    drain(written, server)
    CursorFile(written, "questdb").path.unlink()
    drain(written, server, rows=90)
    assert counted(server, "trade") == (3000, 3000)
    assert counted(server, "quote") == (3000, 3000)


def test_a_server_that_lost_what_it_had_acknowledged_is_given_it_again(
    server: QuestDb, written: Path
) -> None:
    drain(written, server)
    server.ask("TRUNCATE TABLE trade")
    assert counted(server, "trade") == (0, 0)
    drain(written, server)
    assert counted(server, "trade") == (3000, 3000)


def test_a_log_that_grows_is_continued(server: QuestDb, written: Path) -> None:
    drain(written, server)
    symbols = Symbols()
    for _ in JournalReader(written / "journal", Catalog(), symbols).messages(-1):
        pass
    plant, _ = plant_at(written, symbols=symbols)
    publish_trades(plant, 200, start=3000)
    plant.close()
    drain(written, server)
    assert counted(server, "trade") == (3200, 3200)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("ALTER TABLE trade DROP COLUMN size", "has no column size, LONG expected: ALTER TABLE"),
        ("ALTER TABLE trade ALTER COLUMN size TYPE DOUBLE", "trade.size is DOUBLE, LONG expected"),
        ("ALTER TABLE trade DEDUP DISABLE", "keeps duplicates.* DEDUP ENABLE UPSERT KEYS"),
        (
            "ALTER TABLE trade DEDUP ENABLE UPSERT KEYS(time, seq)",
            "finds duplicates by seq, time, time, sym, seq expected",
        ),
    ],
)
def test_a_table_that_drifted_is_refused(
    server: QuestDb, written: Path, statement: str, sentence: str
) -> None:
    server.ask(dialect.create(next(table for table in TABLES if table.name == "trade")))
    server.ask(statement)
    counted(server, "trade")  # tables are altered a little later
    with pytest.raises(SinkError, match=sentence):
        drain(written, server, tables="trade")


def test_a_table_of_somebody_else_is_refused(server: QuestDb, written: Path) -> None:
    server.ask("CREATE TABLE quote (ts TIMESTAMP, x LONG) TIMESTAMP(ts) PARTITION BY DAY WAL")
    with pytest.raises(SinkError, match="designated timestamp 'ts' and WAL on, 'time' and on"):
        drain(written, server, tables="quote")


def every_row(table: Table, symbols: Symbols) -> Batch:
    """Make one row of values and one of nulls."""
    null_long, null_int = -(2**63), -(2**31)
    guid = np.array([bytes(range(1, 17)), bytes(16)], dtype="|V16")
    texts = np.empty(2, dtype="|O")
    texts[:] = [b"some \xc3\xa9 text", b""]
    return Batch(
        table,
        {
            "time": np.array([10**18, 10**18 + 1]),
            "sym": np.array([symbols.id("A"), null_int], dtype=np.int32),
            "flag": np.array([1, 0], dtype=np.uint8), "guid": guid,
            "byte": np.array([200, 0], dtype=np.uint8),
            "short": np.array([-5, -(2**15)], dtype=np.int16),
            "int": np.array([7, null_int], dtype=np.int32), "long": np.array([9, null_long]),
            "real": np.array([0.5, np.nan], dtype=np.float32), "float": np.array([0.25, np.nan]),
            "char": np.frombuffer(b"x ", dtype=np.uint8),
            "name": np.array([symbols.id("B"), null_int], dtype=np.int32),
            "at": np.array([5, null_long]), "month": np.array([25, null_int], dtype=np.int32),
            "date": np.array([31, null_int], dtype=np.int32), "datetime": np.array([1.5, np.nan]),
            "span": np.array([3, null_long]), "minute": np.array([61, null_int], dtype=np.int32),
            "second": np.array([62, null_int], dtype=np.int32),
            "milli": np.array([63, null_int], dtype=np.int32), "text": texts,
        },
    )  # fmt: skip


def test_every_kind_of_column_arrives_with_its_nulls(server: QuestDb, tmp_path: Path) -> None:
    catalog = Catalog().with_user_tables(from_toml(EVERY_TYPE))
    symbols = Symbols(["A", "B"])
    table = catalog["every"]
    held = every_row(table, symbols)
    rows = Batch(table, {**held.columns, "seq": np.array([1, 2])})
    server.ask(dialect.create(table))
    from tickloop.tickerplant.sinks.questdb_client import QuestDbSender

    sender = QuestDbSender(server.address, user="", password="", timeout_s=10.0)
    columns, unspelled = columns_of(rows, list(symbols))
    sender.add("every", columns, symbols=["sym", "name"], at="time")
    sender.flush()
    sender.close()
    assert unspelled == 0
    deadline = time.monotonic() + 30
    while len(found := server.ask("SELECT * FROM every ORDER BY seq")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first, second = found
    expected = {
        "sym": "A", "flag": True, "guid": "01020304-0506-0708-090a-0b0c0d0e0f10", "byte": 200,
        "short": -5, "int": 7, "long": 9, "real": 0.5, "float": 0.25, "char": "x", "name": "B",
        "at": "2000-01-01T00:00:00.000000005Z", "month": "2002-02-01T00:00:00.000000000Z",
        "date": "2000-02-01T00:00:00.000000000Z", "datetime": "2000-01-02T12:00:00.000000000Z",
        "span": 3, "minute": 61, "second": 62, "milli": 63, "text": "some é text",
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    empty = {"flag": False, "byte": 0, "char": "", "text": ""}
    assert {name: second[name] for name in expected} == dict.fromkeys(expected) | empty


def config_file(folder: Path, server: QuestDb, *, drain_s: int = 60) -> Path:
    path = folder / "run.toml"
    path.write_text(
        f'[sinks.questdb]\naddress = "{server.address}"\ndrain_s = {drain_s}\nrows = 20000\n'
    )
    return path


def test_a_server_that_is_killed_under_load_loses_and_repeats_nothing(
    questdb: Server, server: QuestDb, tmp_path: Path
) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    moments = random.Random(seed)
    data = tmp_path / "data"
    config = config_file(tmp_path, server)
    arguments = ("run", "--data", data, *FEED, "--messages", "200000", "--config", config)
    with running(*arguments) as process:
        cursor = CursorFile(data, "questdb")
        wait_for(lambda: (found := cursor.peek()) is not None and found.rows > 0, process)
        for _ in range(2):
            time.sleep(moments.uniform(0, 0.5))
            questdb.kill()
            questdb.start()
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, (out, err)
    assert_all_there(data, server)


def test_rows_wait_for_a_server_that_is_away_and_the_command_says_so(
    server: QuestDb, tmp_path: Path, written: Path
) -> None:
    away = tickloop("sink", "questdb", "--data", tmp_path / "none", "--address", "127.0.0.1:9")
    away.refused("no such directory")
    data = tmp_path / "captured"
    absent = QuestDb("127.0.0.1:9")
    done = good("run", "--data", data, *FEED, "--messages", "10000",
                "--config", config_file(tmp_path, absent, drain_s=1))  # fmt: skip
    assert "the rest waits in the journal" in done.err or "nothing was sent" in done.err
    good("sink", "questdb", "--data", data, "--address", server.address)
    assert_all_there(data, server)


def test_instants_before_2000_and_rows_of_no_time_keep_their_meaning() -> None:
    table = next(table for table in TABLES if table.name == "trade")
    rows = slice_of(
        Batch(
            table,
            {
                name: np.zeros(1, dtype=np.int64)
                for name in (
                    "time",
                    "sym",
                    "price",
                    "size",
                    "side",
                    "cond",
                    "ex",
                    "trade_id",
                    "seq",
                )
            }
            | {"venue_time": np.array([-946_684_800_000_000_000])},
        )
    ).batches[0]
    columns, _ = columns_of(rows, ["A"])
    assert np.asarray(columns["venue_time"]).astype(np.int64).tolist() == [0]
