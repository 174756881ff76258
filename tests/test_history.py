"""Rows move into history beside the capture; a disk that fails is noticed by the capture."""

import errno
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.capture import Capture, all_rows, told
from tests.test_flush import DAY, FIRST
from tickloop.app.history import History
from tickloop.core.clock import sleep
from tickloop.tickerplant import manifest
from tickloop.tickerplant.database import Database


def _history(root: Path, capture: Capture) -> History:
    adopted = manifest.read(root)
    assert adopted is not None
    return History(root, capture.rdb, adopted)


def _await(history: History) -> None:
    while history.is_moving:
        sleep(0.001)


def test_rows_are_there_once_while_they_move_beside_the_capture(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    history = _history(tmp_path, capture)
    database = Database(tmp_path)
    for round_number in range(1, 13):
        capture.add(DAY // 4)
        history.flush_beside()
        if round_number % 4 == 0:
            history.flush()
            history.merge_beside(before=FIRST + timedelta(days=round_number // 4))
        assert all_rows(database.snapshot()) == [told(seq) for seq in range(capture.next_seq)]
    _await(history)
    assert list(history.merge_all()) == []
    assert [part.session for part in history.manifest.partitions] == [
        FIRST + timedelta(days=days) for days in range(3)
    ]
    assert not list((tmp_path / "rdb" / "1").glob("*.0*"))
    history.close()


def test_a_move_that_fails_is_told_to_the_capture_and_loses_nothing(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.add(100)
    history = _history(tmp_path, capture)
    shutil.rmtree(tmp_path / "intraday", ignore_errors=True)
    (tmp_path / "intraday").write_text("a file where a folder has to be")
    history.flush_beside()
    with pytest.raises(OSError, match=r"directory|exists") as failed:
        _await(history)
    assert failed.value.errno in (errno.ENOTDIR, errno.EEXIST)
    assert all_rows(Database(tmp_path).snapshot()) == [told(seq) for seq in range(100)]
    (tmp_path / "intraday").unlink()
    history.flush()
    assert history.manifest.watermark == 99
    assert all_rows(Database(tmp_path).snapshot()) == [told(seq) for seq in range(100)]
    history.close()
