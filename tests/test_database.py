"""One view over today's rows and history, of our own directories and of any kdb+ database."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from tests.capture import CATALOG, DOOR, Capture, all_rows, told
from tickloop.core.clock import sleep
from tickloop.core.errors import DataDirectoryError, StoreError
from tickloop.core.schema import TABLES, Column, Kind
from tickloop.tickerplant import flush, manifest
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.manifest import Mount


def test_an_absent_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="nowhere"):
        Database(tmp_path / "nowhere")


def test_an_empty_directory_has_all_tables_and_no_rows(tmp_path: Path) -> None:
    snapshot = Database(tmp_path).snapshot()
    assert set(snapshot.tables) == {table.name for table in TABLES}
    assert snapshot.parts("trade") == []


def test_a_directory_at_rest_is_read(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(50)
    capture.rdb.close()
    assert all_rows(Database(tmp_path).snapshot()) == [told(seq) for seq in range(50)]


def test_a_snapshot_does_not_move(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(10)
    held = Database(tmp_path).snapshot()
    capture.add(10)
    assert all_rows(held) == [told(seq) for seq in range(10)]
    assert held.seq == 9


def test_parts_copy_nothing(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(200)
    flush.flush(tmp_path, DOOR, watermark=99)
    flush.finish(tmp_path, DOOR, date(2024, 1, 2))
    flush.flush(tmp_path, DOOR, watermark=149)
    parts = Database(tmp_path).snapshot().parts("trade")
    assert len(parts) >= 3
    for part in parts:
        for values in part.columns.values():
            assert isinstance(values, np.ndarray)
            assert not values.flags.owndata


def test_dates_and_columns_are_left_out_where_asked(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(3000)
    flush.flush(tmp_path, DOOR, watermark=1999)
    flush.finish(tmp_path, DOOR, date(2024, 1, 2))
    snapshot = Database(tmp_path).snapshot()
    parts = snapshot.parts("trade", dates=[date(2024, 1, 3)], columns=["time", "seq"])
    assert {part.session for part in parts} == {date(2024, 1, 3)}
    assert sum(len(part) for part in parts) == 720
    assert {tuple(part.columns) for part in parts} == {("time", "seq")}


def test_an_added_column_is_null_in_older_rows(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(8)
    found = manifest.read(tmp_path)
    assert found is not None
    trade = CATALOG["trade"]
    longer = replace(trade, columns=(*trade.columns, Column("late", Kind.LONG)))
    tables = tuple(longer if table.name == "trade" else table for table in CATALOG)
    manifest.write(tmp_path, replace(found, catalog=replace(CATALOG, tables=tables)), DOOR)
    (part,) = Database(tmp_path).snapshot().parts("trade")
    assert np.asarray(part.columns["late"]).tolist() == [-(2**63)] * 4


def test_a_foreign_kdb_database_is_read(market_data: Callable[[str], Path]) -> None:
    snapshot = Database(market_data("kdb/hdb")).snapshot()
    assert set(snapshot.tables) >= {"trade", "quote_iex"}
    assert "book" not in snapshot.tables
    (part,) = snapshot.parts("trade", columns=["sym", "price"])
    assert part.session == date(2015, 1, 7)
    assert len(part) > 190_000
    assert "AAPL" in part.names_of("sym")
    assert part.parted is not None


def test_a_mounted_database_has_prefixed_tables(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    Capture(tmp_path).add(4)
    found = manifest.read(tmp_path)
    assert found is not None
    mounted = replace(found, mounts=(Mount("torq", str(market_data("kdb/hdb"))),))
    manifest.write(tmp_path, mounted, DOOR)
    snapshot = Database(tmp_path).snapshot()
    assert sum(map(len, snapshot.parts("trade"))) == 2
    assert sum(map(len, snapshot.parts("torq_trade"))) > 190_000


def test_a_chunk_that_went_without_a_new_manifest_is_an_error(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(100)
    flush.flush(tmp_path, DOOR, watermark=99)
    next(tmp_path.glob("intraday/*/*/trade")).unlink()
    with pytest.raises((StoreError, FileNotFoundError)):
        Database(tmp_path).snapshot()


def _capture_and_flush(root: Path, ready: Event, stop: Event) -> None:
    capture = Capture(root)
    ready.set()
    while not stop.is_set() and capture.next_seq < 6000:
        capture.add(60)
        if capture.next_seq % 240 == 0:
            watermark = capture.next_seq - 1
            flush.flush(root, DOOR, watermark=watermark)
            capture.rdb.release(watermark)
        if capture.next_seq % 600 == 0:
            for day in range(2, 8):
                flush.finish(root, DOOR, date(2024, 1, day))


def test_every_snapshot_beside_a_live_run_is_a_prefix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    writer = context.Process(target=_capture_and_flush, args=(tmp_path, ready, stop))
    writer.start()
    try:
        assert ready.wait(30)
        database = Database(tmp_path)
        seen = set()
        while writer.is_alive():
            snapshot = database.snapshot()
            assert all_rows(snapshot) == [told(seq) for seq in range(snapshot.seq + 1)]
            seen.add(snapshot.seq)
            sleep(0.02)
        assert len(seen) > 3
    finally:
        stop.set()
        writer.join()
