"""Today's rows: what is published is complete, and nothing else is seen."""

import multiprocessing
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import sleep
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.errors import StoreError
from tickloop.core.schema import QUOTE, TRADE, Column, Kind, Table
from tickloop.tickerplant.rdb import NO_SEQ, Rdb, RdbReader
from tickloop.tickerplant.segment import Text

NEWS = Table(
    "headline",
    (
        Column("time", Kind.INSTANT),
        Column("sym", Kind.SYMBOL),
        Column("body", Kind.TEXT),
        Column("flag", Kind.FLAG),
        Column("code", Kind.GUID),
        Column("seq", Kind.LONG),
    ),
)
CATALOG = Catalog().with_user_tables([NEWS])


def surface(table: Table, seqs: Sequence[int]) -> Batch:
    """Make rows whose time and sym follow from their seq."""
    columns = {
        column.name: nulls(column.kind, len(seqs), dtype=surface_dtype(column.kind))
        for column in table.columns
    }
    columns["seq"] = np.array(seqs, dtype=np.int64)
    columns["time"] = columns["seq"] * 1000
    columns["sym"] = (columns["seq"] % 7).astype(np.int32)
    return Batch(table, columns)


def seqs_of(reader: RdbReader, table: str, *, up_to: int, after: int = NO_SEQ) -> list[int]:
    parts = reader.parts(table, up_to_seq=up_to, after_seq=after)
    return [int(seq) for part in parts for seq in np.asarray(part.columns()["seq"])]


def test_rows_are_seen_only_once_they_are_published(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    rdb.append(surface(TRADE, [0, 1, 2]))
    reader = RdbReader(tmp_path / "rdb")
    assert seqs_of(reader, "trade", up_to=reader.published) == []
    rdb.publish(1)
    assert seqs_of(reader, "trade", up_to=reader.published) == [0, 1]


def test_a_part_copies_nothing(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    rdb.append(surface(TRADE, range(10)))
    rdb.publish(9)
    (part,) = RdbReader(tmp_path / "rdb").parts("trade", up_to_seq=9)
    assert not any(
        values.flags.owndata for values in part.columns().values() if isinstance(values, np.ndarray)
    )


def test_rows_filled_in_place_are_rows(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG, segment_rows=16)
    for first in (0, 40):
        rows = surface(QUOTE, range(first, first + 30))
        views = rdb.reserve(QUOTE, 40)
        for name, values in rows.columns.items():
            views[name][:30] = values
        rdb.commit(QUOTE, 30)
    rdb.publish(100)
    assert seqs_of(RdbReader(tmp_path / "rdb"), "quote", up_to=100) == [*range(30), *range(40, 70)]


def test_a_table_with_text_cannot_be_filled_in_place(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    with pytest.raises(StoreError, match="text"):
        rdb.reserve(NEWS, 1)


def test_release_removes_what_history_has_and_readers_keep_what_they_map(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG, segment_rows=8)
    rdb.append(surface(TRADE, range(20)))
    rdb.publish(19)
    reader = RdbReader(tmp_path / "rdb")
    held = reader.parts("trade", up_to_seq=19)
    rdb.release(15)
    assert len(list((tmp_path / "rdb").glob("trade.*"))) == 1
    assert seqs_of(reader, "trade", up_to=19, after=15) == [16, 17, 18, 19]
    rdb.release(19)
    assert list((tmp_path / "rdb").glob("trade.*")) == []
    seen = [int(seq) for part in held for seq in np.asarray(part.columns()["seq"])]
    assert seen == list(range(20))


def test_a_released_table_goes_on(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    rdb.append(surface(TRADE, [0, 1]))
    rdb.publish(1)
    rdb.release(1)
    rdb.append(surface(TRADE, [2]))
    rdb.publish(2)
    assert seqs_of(RdbReader(tmp_path / "rdb"), "trade", up_to=2) == [2]


def test_rows_of_an_earlier_boot_are_refused_unless_they_were_closed(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    rdb.append(surface(TRADE, [0]))
    rdb.publish(0)
    header = tmp_path / "rdb" / "published"
    other_boot = bytearray(header.read_bytes())
    other_boot[32:40] = b"earlier."
    header.write_bytes(other_boot)
    with pytest.raises(StoreError, match="journal"):
        RdbReader(tmp_path / "rdb")
    rdb.close()
    closed = bytearray(header.read_bytes())
    closed[24:40] = (1).to_bytes(8, "little") + b"earlier."
    header.write_bytes(closed)
    assert seqs_of(RdbReader(tmp_path / "rdb"), "trade", up_to=0) == [0]


@pytest.mark.parametrize("size", [0, 10, 100, 5000])
def test_a_cut_file_is_named(tmp_path: Path, size: int) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG)
    rdb.append(surface(TRADE, range(4000)))
    rdb.publish(3999)
    path = tmp_path / "rdb" / "trade.000000"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match="trade"):
        RdbReader(tmp_path / "rdb").segments()


bodies = st.binary(max_size=40)


@given(
    batches=st.lists(
        st.tuples(st.sampled_from([TRADE, QUOTE, NEWS]), st.lists(bodies, min_size=1, max_size=30)),
        max_size=12,
    ),
    segment_rows=st.integers(1, 32),
    cut=st.data(),
)
def test_what_was_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[Table, list[bytes]]],
    segment_rows: int,
    cut: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("rdb") / "rdb"
    rdb = Rdb(root, CATALOG, segment_rows=segment_rows)
    expected: dict[str, list[tuple[int, bytes | None]]] = {}
    seq = 0
    for table, texts in batches:
        rows = surface(table, range(seq, seq + len(texts)))
        if table is NEWS:
            column = np.empty(len(texts), dtype=object)
            column[:] = texts
            rows = Batch(table, {**rows.columns, "body": column})
        rdb.append(rows)
        for number, body in enumerate(texts):
            told = body if table is NEWS else None
            expected.setdefault(table.name, []).append((seq + number, told))
        seq += len(texts)
    up_to = cut.draw(st.integers(-1, seq))
    after = cut.draw(st.integers(-1, seq))
    rdb.publish(up_to)
    reader = RdbReader(root)
    for name, rows_told in expected.items():
        found: list[tuple[int, bytes | None]] = []
        for part in reader.parts(name, up_to_seq=up_to, after_seq=after):
            columns = part.columns()
            text = columns.get("body")
            texts_found = text.to_list() if isinstance(text, Text) else [None] * len(part)
            seqs = np.asarray(columns["seq"]).tolist()
            assert np.asarray(columns["time"]).tolist() == [seq * 1000 for seq in seqs]
            found.extend(zip(seqs, texts_found, strict=True))
        assert found == [(seq, body) for seq, body in rows_told if after < seq <= up_to]


def _write_while_read(root: Path, stop: Event) -> None:
    rdb = Rdb(root, Catalog(), segment_rows=512)
    seq = 0
    # The bound only ends a writer whose test was killed.
    while not stop.is_set() and seq < 2_000_000_000:
        rdb.append(surface(TRADE, range(seq, seq + 37)))
        rdb.append(surface(QUOTE, range(seq + 37, seq + 100)))
        seq += 100
        rdb.publish(seq - 1)
        if seq % 50_000 == 0:
            rdb.release(seq - 25_000)


def test_a_reader_beside_a_writer_sees_whole_batches_only(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=_write_while_read, args=(tmp_path / "rdb", stop))
    writer.start()
    try:
        while not (tmp_path / "rdb" / "published").exists() and writer.is_alive():
            sleep(0.01)
        seen: set[int] = set()
        reader = RdbReader(tmp_path / "rdb")
        while len(seen) < 40 and writer.is_alive():
            published = reader.published
            trades = seqs_of(reader, "trade", up_to=published)
            quotes = seqs_of(reader, "quote", up_to=published)
            # What was released while we looked is history's; the rest has no hole.
            released = reader.released
            together = sorted(seq for seq in (*trades, *quotes) if seq > released)
            assert together == list(range(released + 1, published + 1))
            seen.add(published)
        assert len(seen) == 40, "the writer came to an end"
    finally:
        stop.set()
        writer.join()


_CAPTURE = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from tickloop.core.batch import Batch
    from tickloop.core.catalog import Catalog
    from tickloop.core.dialects.numpy import nulls, surface_dtype
    from tickloop.core.schema import TRADE
    from tickloop.tickerplant.rdb import Rdb
    rdb = Rdb(Path(sys.argv[1]), Catalog(), segment_rows=65536)
    rows = 10_000
    columns = {c.name: nulls(c.kind, rows, dtype=surface_dtype(c.kind)) for c in TRADE.columns}
    for number in range(int(sys.argv[2])):
        columns["seq"] = np.arange(number * rows, (number + 1) * rows)
        rdb.append(Batch(TRADE, columns))
        rdb.publish((number + 1) * rows - 1)
        if number % 10 == 9:
            rdb.release((number + 1) * rows - 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_day(tmp_path: Path) -> None:
    def peak_kb(name: str, batches: int) -> int:
        command = [sys.executable, "-c", textwrap.dedent(_CAPTURE), str(tmp_path / name)]
        done = subprocess.run(
            [*command, str(batches)], capture_output=True, text=True, check=True, timeout=120
        )
        return int(done.stdout)

    assert peak_kb("long", 300) <= 1.2 * peak_kb("short", 30)
