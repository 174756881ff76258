"""The file door does what the system does; the forgetful disk keeps only what was synced."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.forgetful_disk import ForgetfulDisk, PowerCut
from tickloop.tickerplant.file_door import OS_DOOR, Piece, remove_tree


def test_pieces_are_written_one_after_the_other_even_when_there_are_thousands(
    tmp_path: Path,
) -> None:
    pieces: list[Piece] = [np.arange(3, dtype=np.int16), b"", b"xy", *([b"z"] * 3000)]
    fd = OS_DOOR.create(tmp_path / "file")
    assert OS_DOOR.write(fd, pieces) == 6 + 2 + 3000
    OS_DOOR.sync(fd)
    OS_DOOR.close(fd)
    assert (tmp_path / "file").read_bytes() == b"\0\0\1\0\2\0xy" + b"z" * 3000


def test_appending_goes_on_where_the_file_ends_and_truncate_cuts(tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        fd = OS_DOOR.open_append(tmp_path / "log")
        OS_DOOR.write(fd, [text])
        OS_DOOR.close(fd)
    fd = OS_DOOR.open_append(tmp_path / "log")
    OS_DOOR.truncate(fd, 4)
    OS_DOOR.close(fd)
    assert (tmp_path / "log").read_bytes() == b"onet"


def test_exchange_swaps_two_directories_that_are_not_empty(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    OS_DOOR.exchange(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "file").read_text() == "new"
    assert (tmp_path / "new" / "file").read_text() == "old"
    with pytest.raises(FileNotFoundError):
        OS_DOOR.exchange(tmp_path / "new", tmp_path / "absent")


def test_exchange_without_the_system_call_still_swaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickloop.tickerplant.file_door._RENAME_EXCHANGE", 1 << 30)
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    OS_DOOR.exchange(tmp_path / "one", tmp_path / "two")
    assert ((tmp_path / "one").read_text(), (tmp_path / "two").read_text()) == ("2", "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_remove_tree_removes_everything_below(tmp_path: Path) -> None:
    (tmp_path / "tree" / "branch").mkdir(parents=True)
    (tmp_path / "tree" / "branch" / "leaf").write_text("x")
    remove_tree(OS_DOOR, tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def _live(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "before").write_text("kept")
    return tmp_path / "live"


def test_unsynced_bytes_and_names_are_forgotten(tmp_path: Path) -> None:
    disk = ForgetfulDisk(_live(tmp_path))
    fd = disk.create(disk.root / "file")
    disk.write(fd, [b"synced"])
    disk.sync(fd)
    assert [path.name for path in disk.leave(tmp_path / "1").iterdir()] == ["before"]
    disk.sync_directory(disk.root)
    disk.write(fd, [b" and not"])
    disk.close(fd)
    assert (disk.leave(tmp_path / "2") / "file").read_bytes() == b"synced"
    assert (disk.root / "file").read_bytes() == b"synced and not"


def test_a_rename_that_is_not_synced_may_be_lost(tmp_path: Path) -> None:
    disk = ForgetfulDisk(_live(tmp_path))
    disk.make_directory(disk.root / "sub")
    disk.sync_directory(disk.root)
    disk.rename(disk.root / "before", disk.root / "sub" / "after")
    assert (disk.leave(tmp_path / "1") / "before").read_text() == "kept"
    disk.sync_directory(disk.root / "sub")
    assert (disk.leave(tmp_path / "2") / "sub" / "after").read_text() == "kept"


def test_luck_lets_a_beginning_of_the_unsynced_bytes_survive(tmp_path: Path) -> None:
    disk = ForgetfulDisk(_live(tmp_path))
    fd = disk.open_append(disk.root / "before")
    disk.write(fd, [b"0123456789"])
    disk.close(fd)
    seen = set()
    for seed in range(40):
        left = disk.leave(tmp_path / str(seed), lucky=random.Random(seed)) / "before"
        assert b"kept0123456789".startswith(left.read_bytes())
        seen.add(left.stat().st_size)
    assert min(seen) >= 4
    assert len(seen) > 5


def test_after_the_power_cut_nothing_happens_any_more(tmp_path: Path) -> None:
    disk = ForgetfulDisk(_live(tmp_path), cut_at=1)
    fd = disk.open_append(disk.root / "before")
    for _ in range(2):
        with pytest.raises(PowerCut):
            disk.write(fd, [b"x"])
    disk.close(fd)
    assert (disk.root / "before").read_text() == "kept"


def test_a_disk_may_be_full_for_one_operation(tmp_path: Path) -> None:
    disk = ForgetfulDisk(_live(tmp_path), fail_at=1)
    fd = disk.open_append(disk.root / "before")
    with pytest.raises(OSError, match="No space left"):
        disk.write(fd, [b"x"])
    disk.write(fd, [b"y"])
    disk.close(fd)
    assert (disk.root / "before").read_text() == "kepty"
