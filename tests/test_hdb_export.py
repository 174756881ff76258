"""`tickloop hdb export`: a kdb+ database of its own, byte by byte what kdb+ itself would read."""

import struct
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import kdb_oracle
from tests.capture import NAMES, START, STEP_NS, Capture, Told, all_rows, told
from tests.command import good, running, sql, tickloop
from tickloop.analytics import connect
from tickloop.core.errors import StoreError
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.hdb_export import Wanted, export_database
from tickloop.tickerplant.kdb_file import open_kdb_file
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.kdb_parted import parted_index
from tickloop.tickerplant.parted import Parted

FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "5", "--messages", "20000")
DAY = "2024.01.02"


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


# From a database that kdb+ wrote: a column's groups, and its hash table's taken slots.
FLIGHTS = _numbers(
    "11 208 6 212 137 142 15 12 213 205 215 133 0 141 2 130 136 9 13 16 1 18 14 131 206 20 8 7 "
    "211 17 209 207 214 10 5 132 140 4 210 "
)
SLOTS = _numbers(
    "0 3 4 8 10 14 20 21 24 27 37 41 44 48 49 54 58 60 64 71 72 75 81 82 87 88 91 94 98 102 104 "
    "105 108 111 115 119 121 122 125 "
)
GROUPS = _numbers(
    "12 4 6 8 27 9 16 22 3 2 18 28 34 5 25 7 38 37 13 0 11 30 21 36 35 33 1 14 29 10 17 23 31 "
    "20 19 32 15 26 24 "
)


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a capture at rest."""
    data = tmp_path_factory.mktemp("export") / "data"
    good("run", *FEED, "--data", data)
    return data


@pytest.fixture(scope="module")
def exported(captured: Path) -> Path:
    """Give its export."""
    target = captured.parent / "hdb"
    good("hdb", "export", "--data", captured, "--to", target)
    return target


def test_the_command_says_what_it_wrote_and_every_row_can_be_asked_for(
    captured: Path, tmp_path: Path
) -> None:
    target = tmp_path / "hdb"
    done = good("hdb", "export", "--data", captured, "--to", target, "--json").json
    assert done["dates"] == ["2024-01-02"]
    for table, rows in done["tables"].items():
        counted = sql(target, f"SELECT count(*) AS n FROM {table}")
        assert counted == [{"n": str(rows)}] == sql(captured, f"SELECT count(*) AS n FROM {table}")
    assert not list(tmp_path.glob("*.exporting*"))


@pytest.mark.parametrize("table", ["trade", "quote", "depth", "book", "status", "instrument"])
def test_rows_are_the_capture_s(captured: Path, exported: Path, table: str) -> None:
    asked = f"SELECT * FROM {table} ORDER BY seq"
    rows = sql(exported, asked)
    assert rows
    assert rows == sql(captured, asked)


def test_the_q_engine_mounts_it(captured: Path, exported: Path) -> None:
    with connect(exported) as new, connect(captured) as old:
        for asked in (
            "select n:count i, p:size wavg price by sym from trade where date=2024.01.02",
            "exec distinct date from trade",
            "exec c!t from meta trade",
        ):
            assert repr(new.q(asked)) == repr(old.q(asked))


@pytest.mark.parametrize("table", ["trade", "quote", "status"])
def test_sym_has_the_attribute_p_which_a_mount_shows(
    captured: Path, exported: Path, table: str
) -> None:
    raw = (exported / DAY / table / "sym").read_bytes()
    assert raw[:2] == b"\xfd\x20"
    assert raw[4080:4084] == bytes([0xFD, 0, 20, 3])  # enumerated symbols, p
    (rows,) = struct.unpack("<q", raw[4088:4096])
    ids = struct.unpack(f"<{rows}q", raw[4096 : 4096 + 8 * rows])
    assert raw[4096 + 8 * rows :] == kdb_oracle.parted_index(ids)
    asked = f"select from {table} where date=2024.01.02, sym=`TECHA"
    with connect(exported) as new, connect(captured) as old:
        assert str(new.q(f"(meta {table})[`sym;`a]")) == "`p"
        assert repr(new.q(f"count {asked}")) == repr(old.q(f"count {asked}"))


def test_the_index_is_that_of_a_file_which_kdb_wrote(market_data: Any) -> None:
    """A real column, parted before kdb+ 3.6: 32-bit values, and stale bytes where room was left."""
    file = open_kdb_file(market_data("kdb/hdb") / "2015.01.07" / "trade" / "sym")
    assert file.packed is not None
    assert (file.layout.attribute, file.rows) == ("p", 196_519)
    ids = np.asarray(file.values()).tolist()
    real = bytes(file.packed.unpack()[24 + 4 * file.rows :])
    made = kdb_oracle.parted_index(ids, width=4)
    stale = slice(4 + 16 + 4 * 10, 4 + 16 + 4 * 16)  # room for 16 symbols, 10 of them taken
    assert len(made) == len(real)
    assert made[4 : stale.start] == real[4:5] + b"\0" + real[6 : stale.start]
    assert made[stale.stop : -24 - 80] == real[stale.stop : -24 - 80]
    assert made[-96 + 8 :] == real[-96 + 8 :]


def test_our_index_has_the_slots_of_a_real_hash_table() -> None:
    """Of a day of flights in 39 groups that kdb+ itself parted: symbols, and where each hashed."""
    starts = np.arange(len(FLIGHTS))
    order = np.argsort(FLIGHTS)
    ids = np.array(FLIGHTS, dtype=np.int64)[order]
    index = parted_index(Parted(ids, starts[order], starts[order] + 1))
    assert index == kdb_oracle.parted_index(FLIGHTS)
    slots = np.frombuffer(index, "<i8")[3 + 64 + 1 :][:128].tolist()
    taken = {slot: group for slot, group in enumerate(slots) if group >= 0}
    assert taken == dict(zip(SLOTS, GROUPS, strict=True))


@given(st.lists(st.integers(0, 10_000), unique=True, max_size=80), st.randoms())
def test_every_symbol_is_found_by_its_hash_in_the_index(ids: list[int], dice: Any) -> None:
    counts = [dice.randint(1, 3) for _ in ids]
    column = [each for each, count in zip(ids, counts, strict=True) for _ in range(count)]
    stops = np.cumsum(counts, dtype=np.int64) if ids else np.zeros(0, dtype=np.int64)
    starts = stops - np.array(counts, dtype=np.int64)
    order = np.argsort(ids) if ids else np.zeros(0, dtype=np.int64)
    made = parted_index(Parted(np.array(ids, dtype=np.int64)[order], starts[order], stops[order]))
    assert made == kdb_oracle.parted_index(column)


def test_only_files_that_kdb_knows_are_there(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == [DAY, "sym"]
    for table in (exported / DAY).iterdir():
        columns = read_names(table / ".d")
        assert sorted(path.name for path in table.iterdir()) == sorted([".d", *columns])


def test_files_are_spelled_as_an_encoder_by_hand_spells_them(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "data")
    capture.add(240)
    export_database(capture.root, tmp_path / "hdb", Wanted(["trade"]))
    rows = [row for row in map(told, range(240)) if row.table == "trade"]
    order = [*NAMES, ""]  # the null symbol is a name of its own, as kdb+ enumerates it
    rows.sort(key=lambda row: (order.index(row.sym), row.seq))
    home = tmp_path / "hdb" / DAY / "trade"
    assert (tmp_path / "hdb" / "sym").read_bytes() == kdb_oracle.names(order)
    ids = [order.index(row.sym) for row in rows]
    assert (home / "sym").read_bytes() == kdb_oracle.parted_enum(ids)
    seqs = [row.seq for row in rows]
    assert (home / "seq").read_bytes() == kdb_oracle.longs(seqs)
    times = [START + row.seq * STEP_NS for row in rows]
    assert (home / "time").read_bytes() == kdb_oracle.longs(times, 12)
    prices = [float("nan") if row.detail is None else row.detail for row in rows]
    raw = np.array(prices, dtype="<f8").tobytes()
    assert (home / "price").read_bytes() == kdb_oracle.vector(9, raw, len(rows))
    columns = [
        "time",
        "sym",
        "price",
        "size",
        "side",
        "cond",
        "ex",
        "trade_id",
        "venue_time",
        "seq",
    ]
    assert (home / ".d").read_bytes() == kdb_oracle.names(columns)


def test_today_s_rows_and_text_are_exported_and_every_date_has_every_table(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "data")
    capture.add(1441)  # a day, and one row of the next: a trade
    done = export_database(capture.root, tmp_path / "hdb", Wanted())
    assert done.rows == {"trade": 721, "quote": 360, "note": 360}
    assert [path.name for path in sorted((tmp_path / "hdb").iterdir())] == [
        DAY, "2024.01.03", "sym",
    ]  # fmt: skip
    for session in done.dates:
        home = tmp_path / "hdb" / session.strftime("%Y.%m.%d")
        assert {path.name for path in home.iterdir()} == {"trade", "quote", "note"}
    assert _rows(tmp_path / "hdb") == _rows_of(all_rows(Database(capture.root).snapshot()))


def _rows(root: Path) -> list[tuple[int, str, object]]:
    found = []
    snapshot = Database(root).snapshot()
    for table, column in (("trade", "price"), ("quote", "bid"), ("note", "body")):
        for part in snapshot.parts(table):
            names = part.names_of("sym")
            ids = np.asarray(part.columns["sym"]).tolist()
            values: Any = part.columns[column]
            details = values.to_list() if column == "body" else values.tolist()
            seqs = np.asarray(part.columns["seq"]).tolist()
            for row, symbol, detail in zip(seqs, ids, details, strict=True):
                found.append((row, names[symbol], None if detail != detail else detail))
    return sorted(found, key=lambda each: each[0])


def _rows_of(rows: list[Told]) -> list[tuple[int, str, object]]:
    return [(row.seq, row.sym, row.detail) for row in rows]


def test_tables_and_dates_are_chosen(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "data")
    capture.add(1444 * 2)
    wanted = Wanted(["quote"], date(2024, 1, 3), date(2024, 1, 3))
    done = export_database(capture.root, tmp_path / "hdb", wanted)
    assert (done.dates, set(done.rows)) == ((date(2024, 1, 3),), {"quote"})
    with pytest.raises(StoreError, match="no table trades; there are clock, note, quote, trade"):
        export_database(capture.root, tmp_path / "other", Wanted(["trades"]))
    with pytest.raises(StoreError, match="no rows of these tables and dates; nothing was written"):
        export_database(capture.root, tmp_path / "other", Wanted(first=date(2030, 1, 1)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "hdb"]


def test_refusals_say_what_to_do(captured: Path, exported: Path, tmp_path: Path) -> None:
    again = tickloop("hdb", "export", "--data", captured, "--to", exported)
    again.refused("exists, an export makes a new directory; name another one")
    tickloop(
        "hdb", "export", "--data", captured, "--to", tmp_path / "x", "--dates", "today"
    ).refused("a date or two such as 2024-01-02..2024-01-05 expected", code=2)
    good("hdb", "import", exported, "--data", tmp_path / "old")
    tickloop("hdb", "export", "--data", tmp_path / "old", "--to", tmp_path / "x").refused(
        "an imported kdb\\+ database seen, a capture expected"
    )


@pytest.mark.parametrize("delay_s", [0.2, 0.7, 0.9, 1.1])
def test_a_killed_export_leaves_no_database_and_the_next_one_is_whole(
    captured: Path, tmp_path: Path, delay_s: float
) -> None:
    target = tmp_path / "hdb"
    with running("hdb", "export", "--data", captured, "--to", target) as process:
        time.sleep(delay_s)
        process.kill()
        process.wait()
    if not target.exists():
        good("hdb", "export", "--data", captured, "--to", target)
    asked = "SELECT count(*) AS n, sum(seq) AS s FROM book"
    assert sql(target, asked) == sql(captured, asked)
    assert [path.name for path in tmp_path.iterdir()] == ["hdb"]


def test_kdb_s_own_library_reads_columns_and_names(kx: Any, captured: Path, exported: Path) -> None:
    """PyKX needs q to map files; it takes their values as messages, which differ in the header."""
    home = exported / DAY / "trade"
    names = _deserialized(kx, exported / "sym").py()
    assert "" in names
    ids = np.frombuffer((home / "sym").read_bytes(), "<i8", offset=4096)
    expected = sql(captured, "SELECT sym, seq, price, size FROM trade ORDER BY seq")
    seqs = _deserialized(kx, home / "seq").np()
    rank = np.argsort(seqs)
    assert [names[number] for number in ids[rank].tolist()] == [row["sym"] for row in expected]
    prices = _deserialized(kx, home / "price").np()[rank]
    assert [str(price) for price in prices.tolist()] == [row["price"] or "nan" for row in expected]
    sizes = _deserialized(kx, home / "size").np()[rank].tolist()
    assert sizes == [int(row["size"]) if row["size"] else None for row in expected]
    assert str(_deserialized(kx, home / "time").np().dtype) == "datetime64[ns]"
    assert _deserialized(kx, home / ".d").py()[:2] == ["time", "sym"]


def _deserialized(kx: Any, path: Path) -> Any:
    raw = path.read_bytes()
    body = raw[2:] if raw[:2] == b"\xff\x01" else raw[2:4] + raw[8:12] + raw[16:]
    return kx.deserialize(struct.pack("<BBBBI", 1, 0, 0, 0, len(body) + 8) + body)


def test_a_file_written_by_kdb_begins_as_ours_does(market_data: Any, exported: Path) -> None:
    real = market_data("kdb/hdb")
    home, theirs = exported / DAY / "trade", real / "2015.01.07" / "trade_iex"
    assert (home / "price").read_bytes()[:8] == (theirs / "price").read_bytes()[:8]
    assert (home / "venue_time").read_bytes()[:8] == (theirs / "srctime").read_bytes()[:8]
    assert (exported / "sym").read_bytes()[:4] == (real / "sym").read_bytes()[:4]
    assert (home / ".d").read_bytes()[:4] == (theirs / ".d").read_bytes()[:4]
