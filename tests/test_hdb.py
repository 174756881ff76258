"""Partitions: parted by symbol, merged at a watermark, whole after any crash, readable by kdb+."""

import random
import struct
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.forgetful_disk import ForgetfulDisk, PowerCut
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.errors import SchemaError, StoreError
from tickloop.core.schema import QUOTE, STATUS, TRADE, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.file_door import OsFileDoor
from tickloop.tickerplant.hdb import (
    fill_partitions,
    open_partition,
    recover,
    staging_of,
    write_partition,
)
from tickloop.tickerplant.kdb_names import extend_names, read_names
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.partition import Partition, PartitionReplacedError

DAY = date(2024, 3, 5)
NOTE = Table(
    "note",
    (
        Column("time", Kind.INSTANT),
        Column("sym", Kind.SYMBOL),
        Column("text", Kind.TEXT),
        Column("uid", Kind.GUID),
        Column("flag", Kind.FLAG),
        Column("short", Kind.SHORT),
        Column("real", Kind.REAL),
        Column("seq", Kind.LONG),
    ),
)
Array = npt.NDArray[np.generic]


def rows_of(table: Table, ids: list[int], *, first_seq: int = 0, seed: int = 0) -> dict[str, Array]:
    """Make rows of a table with the given symbol ids; other values are drawn."""
    draw = np.random.default_rng(seed + first_seq)
    rows = len(ids)
    seqs = np.arange(first_seq, first_seq + rows, dtype=np.int64)
    columns: dict[str, Array] = {}
    for column in table.columns:
        dtype = surface_dtype(column.kind)
        if column.kind is Kind.TEXT:
            texts = np.empty(rows, dtype=object)
            texts[:] = [bytes(draw.integers(0, 256, seq % 5, dtype="u1")) for seq in seqs]
            columns[column.name] = texts
        elif column.kind is Kind.GUID:
            columns[column.name] = draw.integers(0, 256, 16 * rows, dtype="u1").view("V16")
        else:
            columns[column.name] = draw.integers(0, 100, rows).astype(dtype)
    columns.update(sym=np.array(ids, dtype=np.int32), seq=seqs, time=seqs * 10)
    return columns


def names(count: int) -> Symbols:
    """Make a list of symbols."""
    return Symbols(f"S{number}" for number in range(count))


def read_back(partition: Partition) -> dict[str, list[object]]:
    """Read every column as a list."""
    given_rows: dict[str, list[object]] = {}
    for name in partition.names:
        values = partition.column(name)
        listed = values.tolist() if isinstance(values, np.ndarray) else values.items(0, len(values))
        given_rows[name] = list(listed)
    return given_rows


def expected(*batches: dict[str, Array]) -> dict[str, list[object]]:
    """Sort rows by symbol, then seq, as plain Python does."""
    rows = [
        dict(zip(batch, values, strict=True))
        for batch in batches
        for values in zip(*(column.tolist() for column in batch.values()), strict=True)
    ]
    for row in rows:
        for name in ("sym", "cond", "ex"):
            if name in row and row[name] < 0:
                row[name] = -(2**63)
    rows.sort(key=lambda row: (row["sym"], row["seq"]))
    return {name: [row[name] for row in rows] for name in batches[0]}


IDS = st.lists(st.integers(-1, 6), max_size=60)


@pytest.mark.parametrize("table", [TRADE, NOTE], ids=lambda table: table.name)
@given(ids=IDS)
def test_rows_read_back_by_symbol_then_seq(
    tmp_path_factory: pytest.TempPathFactory, table: Table, ids: list[int]
) -> None:
    root = tmp_path_factory.mktemp("home") / "db"
    columns = rows_of(table, ids)
    written = write_partition(root, DAY, table, columns, names(7))
    assert (written.rows, written.kept_rows) == (len(ids), 0)
    assert read_back(open_partition(root, DAY, table.name)) == expected(columns)


@pytest.mark.kernel
@given(old=IDS, new=IDS, cut=st.integers(0, 60))
def test_merging_keeps_old_rows_up_to_the_watermark_and_adds_the_new_ones(
    tmp_path_factory: pytest.TempPathFactory, old: list[int], new: list[int], cut: int
) -> None:
    root = tmp_path_factory.mktemp("home") / "db"
    watermark = min(cut, len(old)) - 1
    before, after = rows_of(NOTE, old), rows_of(NOTE, new, first_seq=watermark + 1)
    write_partition(root, DAY, NOTE, before, names(7))
    written = write_partition(root, DAY, NOTE, after, names(7), watermark=watermark)
    kept = {name: values[: watermark + 1] for name, values in before.items()}
    assert written.kept_rows == watermark + 1
    assert read_back(open_partition(root, DAY, "note")) == expected(kept, after)


@pytest.mark.kernel
def test_the_index_gives_the_rows_of_each_symbol(tmp_path: Path) -> None:
    ids = [3, -1, 0, 3, 3, 0, -1]
    write_partition(tmp_path / "db", DAY, TRADE, rows_of(TRADE, ids), names(5))
    partition = open_partition(tmp_path / "db", DAY, "trade")
    parted = partition.parted
    assert parted is not None
    symbols = partition.column("sym")
    assert isinstance(symbols, np.ndarray)
    for symbol in (-(2**63), 0, 3):
        assert set(symbols[parted.rows_of(symbol)].tolist()) == {symbol}
    assert parted.rows_of(3) == slice(4, 7)
    assert parted.rows_of(2) == slice(0, 0)
    assert parted.rows == 7


def test_files_are_bytes_that_the_format_says(tmp_path: Path) -> None:
    write_partition(tmp_path / "db", DAY, TRADE, rows_of(TRADE, [1, 0, 1]), names(2))
    home = tmp_path / "db" / "2024.03.05" / "trade"
    assert (tmp_path / "db" / "sym").read_bytes() == b"\xff\x01\x0b\0\0\0\0\0S0\0S1\0"
    order = b"".join(name.encode() + b"\0" for name in TRADE.names)
    assert (home / ".d").read_bytes() == b"\xff\x01\x0b\0\x0a\0\0\0" + order
    seq = (home / "seq").read_bytes()
    assert seq == b"\xfe\x20\x07\0\0\0\0\0" + struct.pack("<q3q", 3, 1, 0, 2)
    sym = (home / "sym").read_bytes()
    assert sym[:16] == b"\xfd\x20" + bytes(14)
    assert sym[16:4080] == b"sym" + bytes(4061)
    assert sym[4080:] == b"\xfd\0\x14\0" + bytes(4) + struct.pack("<q3q", 3, 0, 1, 1)


def test_sorted_is_promised_only_where_it_is_true(tmp_path: Path) -> None:
    def attributes(ids: list[int]) -> dict[str, str]:
        root = tmp_path / f"db{len(list(tmp_path.iterdir()))}"
        write_partition(root, DAY, TRADE, rows_of(TRADE, ids), names(2))
        partition = open_partition(root, DAY, "trade")
        return {name: partition.file(name).layout.attribute for name in partition.names}

    one_symbol, mixed, empty = attributes([1, 1, 1]), attributes([1, 0, 1]), attributes([])
    assert (one_symbol["time"], one_symbol["seq"], one_symbol["sym"]) == ("s", "s", "")
    assert (mixed["time"], mixed["seq"]) == ("", "")
    assert set(empty.values()) == {""}


def test_a_new_date_gets_every_table_at_once(tmp_path: Path) -> None:
    root = tmp_path / "db"
    columns = rows_of(TRADE, [0])
    write_partition(root, DAY, TRADE, columns, names(1), also=[TRADE, QUOTE, NOTE])
    home = root / "2024.03.05"
    assert sorted(path.name for path in home.iterdir()) == ["note", "quote", "trade"]
    assert read_back(open_partition(root, DAY, "note")) == {name: [] for name in NOTE.names}
    assert fill_partitions(root, [TRADE, STATUS]) == [home / "status"]
    assert fill_partitions(root, [TRADE, STATUS]) == []
    assert open_partition(root, DAY, "status").rows == 0
    assert list(staging_of(root).iterdir()) == []


def test_columns_that_an_older_partition_lacks_become_null_when_it_is_merged(
    tmp_path: Path,
) -> None:
    root = tmp_path / "db"
    older = Table("trade", tuple(c for c in TRADE.columns if c.name not in ("cond", "trade_id")))
    write_partition(root, DAY, older, rows_of(older, [0, 0]), names(1))
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0], first_seq=2), names(1))
    rows = read_back(open_partition(root, DAY, "trade"))
    assert rows["cond"][:2] == rows["trade_id"][:2] == [-(2**63)] * 2
    assert rows["seq"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seq": np.array([1], dtype="i8")}, "past the watermark"),
        ({"sym": np.array([9], dtype="i4")}, "only 2 symbols have names"),
    ],
)
def test_rows_that_do_not_belong_are_refused(
    tmp_path: Path, change: dict[str, Array], complaint: str
) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0, 1]), names(2))
    with pytest.raises(StoreError, match=complaint):
        write_partition(root, DAY, TRADE, {**rows_of(TRADE, [0], first_seq=2), **change}, names(2))
    assert open_partition(root, DAY, "trade").rows == 2


def test_columns_of_another_type_or_missing_are_refused(tmp_path: Path) -> None:
    columns = rows_of(TRADE, [0])
    with pytest.raises(SchemaError, match="price"):
        write_partition(tmp_path / "db", DAY, TRADE, {**columns, "price": columns["seq"]}, names(1))
    del columns["size"]
    with pytest.raises(SchemaError, match="size"):
        write_partition(tmp_path / "db", DAY, TRADE, columns, names(1))


def test_sizes_of_a_fractional_directory_are_floats(tmp_path: Path) -> None:
    columns = {**rows_of(TRADE, [0]), "size": np.array([0.25])}
    write_partition(tmp_path / "db", DAY, TRADE, columns, names(1), fractional=True)
    partition = open_partition(tmp_path / "db", DAY, "trade")
    assert partition.kind("size") is Kind.FLOAT
    assert read_back(partition)["size"] == [0.25]
    with pytest.raises(StoreError, match="size"):
        write_partition(tmp_path / "db", DAY, TRADE, rows_of(TRADE, [0], first_seq=1), names(1))


def test_a_partition_replaced_while_open_is_noticed_and_mapped_columns_stay(
    tmp_path: Path,
) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0, 0]), names(1))
    partition = open_partition(root, DAY, "trade")
    held = partition.column("seq")
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0], first_seq=2), names(1))
    assert isinstance(held, np.ndarray)
    assert held.tolist() == [0, 1]
    with pytest.raises(PartitionReplacedError):
        partition.column("price")


def test_columns_of_unequal_length_are_noticed(tmp_path: Path) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0, 0]), names(1))
    price = root / "2024.03.05" / "trade" / "price"
    price.write_bytes(b"\xfe\x20\x09\0\0\0\0\0" + struct.pack("<qd", 1, 1.0))
    with pytest.raises(StoreError, match="price has 1 rows, time has 2"):
        open_partition(root, DAY, "trade").column("price")


@pytest.mark.parametrize("byte", [20, 30, 60, -1])
def test_a_damaged_index_is_refused(tmp_path: Path, byte: int) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0, 1]), names(2))
    path = root / "2024.03.05" / "trade" / ".parted"
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"\.parted"):
        _ = open_partition(root, DAY, "trade").parted


# -- crashes ------------------------------------------------------------------------------------

FIRST = rows_of(NOTE, [1, 0, 1, -1])
SECOND = rows_of(NOTE, [0, 2, 1], first_seq=4)


def write_twice(root: Path, door: OsFileDoor) -> None:
    """Write a day, then merge into it with a further symbol."""
    write_partition(root, DAY, NOTE, FIRST, names(2), door=door, also=[STATUS], threads=1)
    write_partition(root, DAY, NOTE, SECOND, names(3), door=door, watermark=3, threads=1)


def operations_of_two_writes(home: Path) -> int:
    """Count the operations of `write_twice`."""
    home.mkdir()
    disk = ForgetfulDisk(home)
    write_twice(home / "db", disk)
    return len(disk.operations)


def assert_whole(root: Path, *, symbols: int) -> int:
    """Check that the database holds the first write, both, or nothing; give its rows."""
    if not (root / "2024.03.05").exists():
        return 0
    partition = open_partition(root, DAY, "note")
    rows = read_back(partition)
    assert rows in (expected(FIRST), expected(FIRST, SECOND))
    assert open_partition(root, DAY, "status").rows == 0
    parted = partition.parted
    assert parted is not None
    assert parted.rows == len(rows["seq"])
    known = read_names(root / "sym")
    assert len(known) > max(int(str(symbol)) for symbol in rows["sym"])
    assert known == list(names(symbols))[: len(known)]
    return len(rows["seq"])


def test_a_crash_at_any_operation_leaves_the_old_partition_or_the_new(tmp_path: Path) -> None:
    total = operations_of_two_writes(tmp_path / "count")
    seen = []
    for cut_at in range(total + 1):
        home = tmp_path / str(cut_at)
        home.mkdir()
        disk = ForgetfulDisk(home, cut_at=cut_at)
        try:
            write_twice(home / "db", disk)
        except PowerCut:
            assert cut_at < total
        seen.append(assert_whole(disk.leave(tmp_path / f"{cut_at}.left") / "db", symbols=3))
        for seed in range(3):
            left = disk.leave(tmp_path / f"{cut_at}.{seed}", lucky=random.Random(seed))
            assert_whole(left / "db", symbols=3)
    assert seen == sorted(seen)
    assert set(seen) == {0, 4, 7}


def test_after_a_crash_at_any_operation_the_same_writes_go_through(tmp_path: Path) -> None:
    total = operations_of_two_writes(tmp_path / "count")
    for cut_at in range(total):
        home = tmp_path / str(cut_at)
        home.mkdir()
        disk = ForgetfulDisk(home, cut_at=cut_at)
        with pytest.raises(PowerCut):
            write_twice(home / "db", disk)
        root = disk.leave(tmp_path / f"{cut_at}.left", lucky=random.Random(cut_at)) / "db"
        if root.exists():
            recover(root)
        rows = assert_whole(root, symbols=3) if root.exists() else 0
        if not rows:
            write_partition(root, DAY, NOTE, FIRST, names(2), also=[STATUS])
        write_partition(root, DAY, NOTE, SECOND, names(3), watermark=3)
        assert assert_whole(root, symbols=3) == 7
        assert list(staging_of(root).iterdir()) == []


def test_a_disk_that_fails_at_any_operation_is_an_error_that_says_so(tmp_path: Path) -> None:
    total = operations_of_two_writes(tmp_path / "count")
    for fail_at in range(total):
        home = tmp_path / str(fail_at)
        home.mkdir()
        disk = ForgetfulDisk(home, fail_at=fail_at)
        with pytest.raises(StoreError, match="No space left on device"):
            write_twice(home / "db", disk)
        assert_whole(home / "db", symbols=3)


def test_an_exchange_that_stopped_half_way_is_undone(tmp_path: Path) -> None:
    root = tmp_path / "db"
    write_partition(root, DAY, TRADE, rows_of(TRADE, [0]), names(1))
    home = root / "2024.03.05"
    (home / "trade").rename(home / "trade.swap")
    recover(root)
    assert open_partition(root, DAY, "trade").rows == 1


# -- the symbol file ----------------------------------------------------------------------------


def test_a_symbol_that_a_crash_cut_is_removed_before_the_next_is_added(tmp_path: Path) -> None:
    path = tmp_path / "sym"
    extend_names(path, names(2))
    path.write_bytes(path.read_bytes() + b"HALF")
    assert read_names(path) == ["S0", "S1"]
    assert extend_names(path, names(3)) == 1
    assert read_names(path) == ["S0", "S1", "S2"]


def test_a_symbol_file_of_other_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sym"
    extend_names(path, names(3))
    with pytest.raises(StoreError, match="symbol 1 is 'S1' on disk and 'X' here"):
        extend_names(path, Symbols(["S0", "X", "S2"]))
    with pytest.raises(StoreError, match="3 symbols on disk, only 2 known"):
        extend_names(path, names(2))


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = tmp_path / "sym"
    path.write_bytes(b"\xff\x01\x0b\0\0\0\0\0\xe9t\xe9\0\0\xc3\xa9\0")
    listed = read_names(path)
    assert listed[1:] == ["", "é"]
    assert extend_names(path, Symbols(listed)) == 0
    assert path.read_bytes().endswith(b"\xe9t\xe9\0\0\xc3\xa9\0")


# -- kdb+'s own code ----------------------------------------------------------------------------

_PYKX = """
import sys, struct, warnings
warnings.simplefilter("ignore")
import pykx as kx
for path in sys.argv[1:]:
    raw = open(path, "rb").read()
    if raw[:2] == b"\\xff\\x01":
        body = raw[2:]
    else:  # fe 20: the same vector as on the wire, whose count has four bytes
        body = raw[2:4] + raw[8:12] + raw[16:]
    message = struct.pack("<BBBBI", 1, 0, 0, 0, len(body) + 8) + body
    print(kx.deserialize(message).py())
"""


def test_kdbs_own_library_reads_the_bytes(tmp_path: Path) -> None:
    pytest.importorskip("pykx", reason="PyKX is not installed")
    write_partition(tmp_path / "db", DAY, TRADE, rows_of(TRADE, [1, 0, 1]), names(2))
    home = tmp_path / "db" / "2024.03.05" / "trade"
    run = subprocess.run(
        [sys.executable, "-c", _PYKX, home / ".d", home / "seq", home / "side"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    columns, seq, side = run.stdout.splitlines()[-3:]
    assert columns == str(list(TRADE.names))
    assert seq == "[1, 0, 2]"
    assert side.startswith("b'")


def test_text_columns_are_offsets_and_one_companion_file(tmp_path: Path) -> None:
    columns = rows_of(NOTE, [0, 0, 0])
    columns["text"] = np.array([b"one", b"", b"three"], dtype=object)
    write_partition(tmp_path / "db", DAY, NOTE, columns, names(1))
    home = tmp_path / "db" / "2024.03.05" / "note"
    assert (home / "text#").read_bytes() == b"onethree"
    head = b"\xfe\x20\x57\0\0\0\0\0"
    assert (home / "text").read_bytes() == head + struct.pack("<q3q", 3, 3, 3, 8)
    assert isinstance(open_partition(tmp_path / "db", DAY, "note").column("text"), Nested)


def test_nulls_of_every_kind_survive(tmp_path: Path) -> None:
    columns = rows_of(TRADE, [0])
    for column in TRADE.columns[2:-1]:
        columns[column.name] = nulls(column.kind, 1, dtype=surface_dtype(column.kind))
    write_partition(tmp_path / "db", DAY, TRADE, columns, names(1))
    rows = read_back(open_partition(tmp_path / "db", DAY, "trade"))
    null = [-(2**63)]
    assert rows["size"] == rows["cond"] == rows["trade_id"] == null
    assert rows["side"] == [0x20]
    assert str(rows["price"]) == "[nan]"
