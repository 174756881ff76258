"""Moving rows into history: nothing is lost, nothing is there twice, whenever it stops."""

import random
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.capture import DOOR, Capture, all_rows, told
from tests.forgetful_disk import ForgetfulDisk, PowerCut
from tickloop.core.errors import StoreError
from tickloop.tickerplant import flush, manifest
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.file_door import FileDoor

FIRST = date(2024, 1, 2)
DAY = 1440  # rows


def test_rows_stay_the_same_from_today_to_chunks_to_partitions(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(2 * DAY + 100)
    database = Database(tmp_path)
    expected = [told(seq) for seq in range(2 * DAY + 100)]
    assert all_rows(database.snapshot()) == expected
    flush.flush(tmp_path, DOOR, watermark=DAY + 7)
    assert all_rows(database.snapshot()) == expected
    capture.rdb.release(DAY + 7)
    assert all_rows(database.snapshot()) == expected
    flush.finish(tmp_path, DOOR, FIRST)
    assert all_rows(database.snapshot()) == expected
    flush.flush(tmp_path, DOOR, watermark=2 * DAY + 99)
    capture.rdb.release(2 * DAY + 99)
    for days in range(3):
        flush.finish(tmp_path, DOOR, FIRST + timedelta(days=days))
        assert all_rows(database.snapshot()) == expected
    assert not any((tmp_path / "intraday").iterdir())
    assert not list((tmp_path / "rdb" / "1").glob("*.0*"))


def test_a_finished_date_takes_later_rows(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    for stop in (100, 300, 301):
        capture.add(stop - capture.next_seq)
        flush.flush(tmp_path, DOOR, watermark=stop - 1)
        capture.rdb.release(stop - 1)
        flush.finish(tmp_path, DOOR, FIRST)
    assert all_rows(Database(tmp_path).snapshot()) == [told(seq) for seq in range(301)]


def test_dates_follow_the_zone_and_the_roll(tmp_path: Path) -> None:
    roll_ns = 17 * 3_600_000_000_000
    capture = Capture(tmp_path, zone="America/New_York", roll_ns=roll_ns)
    capture.add(DAY + 500)
    expected = [told(seq, zone="America/New_York", roll_ns=roll_ns) for seq in range(DAY + 500)]
    database = Database(tmp_path)
    assert all_rows(database.snapshot()) == expected
    flush.flush(tmp_path, DOOR, watermark=DAY + 499)
    assert all_rows(database.snapshot()) == expected


def test_partitions_are_parted_by_symbol(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(400)
    flush.flush(tmp_path, DOOR, watermark=399)
    flush.finish(tmp_path, DOOR, FIRST)
    (part,) = Database(tmp_path).snapshot().parts("trade")
    assert part.parted is not None
    rows = part.parted.rows_of(1)
    assert set(part.columns["sym"][rows].tolist()) == {1}  # type: ignore[index]


def test_an_old_snapshot_outlives_flush_release_and_merge(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(200)
    flush.flush(tmp_path, DOOR, watermark=149)
    capture.rdb.release(149)
    held = Database(tmp_path).snapshot()
    capture.add(100)
    flush.flush(tmp_path, DOOR, watermark=299)
    capture.rdb.release(299)
    flush.finish(tmp_path, DOOR, FIRST)
    assert all_rows(held) == [told(seq) for seq in range(200)]


def test_nothing_unpublished_is_flushed(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(10, publish=False)
    with pytest.raises(AssertionError, match="not published"):
        flush.flush(tmp_path, DOOR, watermark=5)


def _flush_again(root: Path, door: FileDoor) -> None:
    flush.flush(root, door, watermark=299)


def _finish(root: Path, door: FileDoor) -> None:
    flush.finish(root, door, FIRST)


def _everything(root: Path, door: FileDoor) -> None:
    flush.flush(root, door, watermark=349)
    flush.finish(root, door, FIRST)


STEPS = [_flush_again, _finish, _everything]


def _prepared(root: Path) -> None:
    """Make a directory with a merged partition, chunks above it, and rows above those."""
    capture = Capture(root)
    capture.add(100)
    flush.flush(root, DOOR, watermark=99)
    flush.finish(root, DOOR, FIRST)
    capture.add(300)
    flush.flush(root, DOOR, watermark=199)
    capture.rdb.close()


def _operations(tmp_path: Path, step: Callable[[Path, FileDoor], None]) -> list[str]:
    root = tmp_path / "count"
    _prepared(root)
    disk = ForgetfulDisk(root)
    step(root, disk)
    return disk.operations


def _turning_points(operations: list[str]) -> list[int]:
    """Name where a crash matters: around changes of names, and at a few others."""
    names = ("rename", "exchange", "sync_directory", "remove_directory")
    found = {n for n, operation in enumerate(operations) if operation.startswith(names)}
    return sorted(found | set(range(0, len(operations), 20)))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lucky", [False, True])
def test_a_power_cut_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, step: Callable[[Path, FileDoor], None], lucky: bool
) -> None:
    expected = [told(seq) for seq in range(400)]
    prepared = tmp_path / "prepared"
    _prepared(prepared)
    for cut_at in _turning_points(_operations(tmp_path, step)):
        root = tmp_path / f"cut{cut_at}"
        shutil.copytree(prepared, root)
        disk = ForgetfulDisk(root, cut_at=cut_at)
        with pytest.raises(PowerCut):
            step(root, disk)
        # A reader that was there when it happened, and one after the restart.
        assert all_rows(Database(root).snapshot()) == expected, f"live, cut at {cut_at}"
        luck = random.Random(cut_at) if lucky else None
        left = disk.leave(tmp_path / f"left{cut_at}", lucky=luck)
        assert all_rows(Database(left).snapshot()) == expected, f"left, cut at {cut_at}"
        flush.recover(left, DOOR)
        assert all_rows(Database(left).snapshot()) == expected, f"recovered, cut at {cut_at}"
        _everything(left, DOOR)
        assert all_rows(Database(left).snapshot()) == expected, f"again, cut at {cut_at}"
        shutil.rmtree(root)
        shutil.rmtree(left)


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_is_an_error_and_the_step_can_be_repeated(
    tmp_path: Path, step: Callable[[Path, FileDoor], None]
) -> None:
    expected = [told(seq) for seq in range(400)]
    prepared = tmp_path / "prepared"
    _prepared(prepared)
    for fail_at in range(0, len(_operations(tmp_path, step)), 20):
        root = tmp_path / f"full{fail_at}"
        shutil.copytree(prepared, root)
        with pytest.raises((OSError, StoreError)):
            step(root, ForgetfulDisk(root, fail_at=fail_at))
        assert all_rows(Database(root).snapshot()) == expected
        step(root, DOOR)
        assert all_rows(Database(root).snapshot()) == expected
        shutil.rmtree(root)


def test_recovery_removes_what_no_manifest_names(tmp_path: Path) -> None:
    _prepared(tmp_path)
    (tmp_path / "intraday" / "2024-01-02" / "777").mkdir()
    (tmp_path / "rdb" / "0").mkdir()
    flush.recover(tmp_path, DOOR)
    assert [path.name for path in (tmp_path / "intraday" / "2024-01-02").iterdir()] == ["199"]
    assert [path.name for path in (tmp_path / "rdb").iterdir()] == ["1"]
    found = manifest.read(tmp_path)
    assert found is not None
    assert found.watermark == 199
