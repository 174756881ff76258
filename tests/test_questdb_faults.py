"""QuestDB, the plant and the disk fail under load: no row is lost, and none comes twice."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import good, running, tickloop, wait_for
from tests.gateway_process import wait_until
from tests.servers import Server, shared
from tickloop.app.sinks import source_of
from tickloop.core.config import Config
from tickloop.core.errors import SinkError
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.questdb_rest import QuestDb
from tickloop.tickerplant.sinks.questdb_sink import QuestDbSettings, QuestDbSink
from tickloop.tickerplant.sinks.questdb_tables import is_applied

FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "20")
TABLES = ("trade", "quote", "depth", "book")
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture a synthetic day."""
    root = tmp_path_factory.mktemp("faults") / "day"
    good("run", "--data", root, *FEED, "--messages", "100000")
    return root


@pytest.fixture
def empty(questdb: Server) -> QuestDb:
    """Give the shared server without any table."""
    server = QuestDb(questdb.address)
    for row in server.ask("SELECT table_name FROM tables()"):
        server.ask(f"DROP TABLE {row['table_name']}")
    return server


def loop_of(root: Path, server: QuestDb, *, rows: int, drain_s: float = 120.0) -> SinkLoop:
    """Make what brings a directory at rest to a server, from the beginning."""
    CursorFile(root, "questdb").path.unlink(missing_ok=True)
    source = source_of(root, Config())
    settings = QuestDbSettings(server, " ".join(TABLES), rows, 20.0)
    sink = QuestDbSink(settings, source.catalog, source.symbols)
    return SinkLoop(sink, root, source.catalog, source.symbols, source.plant, LoopSettings(drain_s))


def in_background(loop: SinkLoop) -> threading.Thread:
    thread = threading.Thread(target=lambda: loop.run(lambda: False), daemon=True)
    thread.start()
    return thread


def lost_and_repeated(root: Path, server: QuestDb) -> dict[str, tuple[int, int]]:
    """Count, per table, rows of the database here that are not there, and those there twice."""
    source = source_of(root, Config())
    deadline = time.monotonic() + 60
    while not is_applied(server, [source.catalog[name] for name in TABLES]):
        assert time.monotonic() < deadline, "not applied within a minute"
        time.sleep(0.05)
    found = {}
    for table in TABLES:
        sums = f"SELECT count(*) AS n, sum(seq) AS s, min(seq) AS a, max(seq) AS z FROM {table}"
        done = good("sql", "--data", root, "--format", "json", sums)
        (there,) = server.ask(sums)
        (seqs,) = server.ask(f"SELECT count_distinct(seq) AS n FROM {table}")
        lost = int(done.json["n"]) - int(seqs["n"])
        if not lost:
            assert {name: int(value) for name, value in there.items()} == done.json, table
        found[table] = (lost, int(there["n"]) - int(seqs["n"]))
    print("rows lost and repeated:", found)
    return found


NONE = dict.fromkeys(TABLES, (0, 0))


def test_a_server_killed_at_random_moments_loses_and_repeats_nothing(
    questdb: Server, empty: QuestDb, captured: Path
) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    moments = random.Random(seed)
    loop = loop_of(captured, empty, rows=2000)
    thread = in_background(loop)
    # A server killed while it makes a table keeps half of one, which only a person can drop.
    wait_until(lambda: loop.cursor.rows > 0, 60)
    kills = 0
    while thread.is_alive() and kills < 3:
        time.sleep(moments.uniform(0.05, 0.6))
        questdb.kill()
        questdb.start()
        kills += 1
    thread.join(90)
    assert loop.cursor.state == "done"
    assert kills > 0
    assert lost_and_repeated(captured, empty) == NONE


def test_a_plant_killed_under_load_is_continued_by_both(empty: QuestDb, tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "run.toml"
    config.write_text(
        f'[sinks.questdb]\naddress = "{empty.address}"\nrows = 5000\ndrain_s = 120\n'
        f'tables = "{" ".join(TABLES)}"\n'
    )
    arguments = ("run", "--data", data, *FEED, "--messages", "200000", "--config", config)
    with running(*arguments) as process:
        cursor = CursorFile(data, "questdb")
        wait_for(lambda: (found := cursor.peek()) is not None and found.rows > 0, process)
        process.kill()
        process.wait()
    again = tickloop(*arguments)
    # All of it may have been captured, with the sink alone still behind.
    assert again.code == 0 or "already holds" in again.err, again
    good("sink", "questdb", "--data", data, "--config", config)
    assert lost_and_repeated(data, empty) == NONE


@pytest.fixture
def small_disk(
    mounted: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    questdb_server: Server,
) -> Iterator[tuple[Server, Path]]:
    """Give a server of its own on a small disk, where tables may be suspended by statement."""
    assert questdb_server.name == "questdb"  # it is installed, or this has skipped
    monkeypatch.setenv("QDB_DEV_MODE_ENABLED", "true")
    for file in ("WRITER", "WAL_WRITER"):  # of every column, 16 MiB unless told otherwise
        monkeypatch.setenv(f"QDB_CAIRO_{file}_DATA_APPEND_PAGE_SIZE", "256K")
    disk = mounted("size=900m")
    with shared("questdb", disk) as server:
        server.start()
        yield server, disk


def fill(disk: Path, *, but: int) -> Path:
    """Leave so many bytes free."""
    space = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        for _ in range(max(space.f_bavail * space.f_frsize - but, 0) // MEBIBYTE):
            file.write(bytes(MEBIBYTE))
    return ballast


def notes_of(loop: SinkLoop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the sink says into its cursor file, however briefly it stands there."""
    notes: list[str] = []
    write = loop._file.write

    def written(cursor: Cursor) -> None:
        write(cursor)
        notes.append(cursor.note)

    monkeypatch.setattr(loop._file, "write", written)
    return notes


def noted(notes: list[str], words: tuple[str, ...]) -> None:
    """Wait until the sink has said that it waits, and why."""
    wait_until(lambda: any(word in note for note in notes for word in words), 60)


@pytest.mark.parametrize("free_mib", [24])
def test_a_full_disk_is_waited_for_and_loses_nothing(
    small_disk: tuple[Server, Path], captured: Path, free_mib: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server, disk = small_disk
    place = QuestDb(server.address)
    ballast = fill(disk, but=free_mib * MEBIBYTE)
    loop = loop_of(captured, place, rows=5000)
    notes = notes_of(loop, monkeypatch)
    thread = in_background(loop)
    noted(notes, ("No space left", "suspended", "allocate", "errno"))
    ballast.unlink()
    deadline = time.monotonic() + 90
    while thread.is_alive() and time.monotonic() < deadline:
        if not server.is_alive:  # a full disk may end it, and not at once
            server.start()
        thread.join(0.2)
    assert loop.cursor.state == "done"
    assert lost_and_repeated(captured, place) == NONE


def test_a_table_suspended_by_a_full_disk_is_resumed_once_there_is_room(
    small_disk: tuple[Server, Path], captured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = small_disk
    place = QuestDb(server.address)
    loop = loop_of(captured, place, rows=500)
    suspend = loop._sink.open

    def opened(cursor: object) -> int:
        start = suspend(cursor)  # type: ignore[arg-type]
        if not stops:
            stops.append(1)
            place.ask("ALTER TABLE quote SUSPEND WAL WITH 'DISK FULL', 'No space left on device'")
        return start

    stops: list[int] = []
    loop._sink.open = opened  # type: ignore[method-assign]
    notes = notes_of(loop, monkeypatch)
    thread = in_background(loop)
    noted(notes, ("quote is suspended",))
    thread.join(90)
    assert loop.cursor.state == "done"
    assert lost_and_repeated(captured, place) == NONE


def test_a_table_suspended_for_another_reason_is_refused(
    small_disk: tuple[Server, Path], captured: Path
) -> None:
    server, _ = small_disk
    place = QuestDb(server.address)
    assert loop_of(captured, place, rows=100_000).run(lambda: False)
    place.ask("ALTER TABLE quote SUSPEND WAL WITH 'TOO MANY OPEN FILES', 'out of descriptors'")
    with pytest.raises(SinkError, match=r"out of descriptors.*then ALTER TABLE quote RESUME WAL"):
        loop_of(captured, place, rows=100_000).run(lambda: False)
