"""What was acknowledged is on disk; what is torn was not; no seq is ever used twice."""

import os
import random
import shutil
import signal
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.forgetful_disk import ForgetfulDisk, PowerCut
from tests.plants import logged, plant_at, publish_trades, small_journal
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError, JournalError
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.file_door import OS_DOOR, OsFileDoor, Piece
from tickloop.tickerplant.journal import JournalSettings, logs
from tickloop.tickerplant.journal_check import repair, verify
from tickloop.tickerplant.log_file import Sync

ROUNDS = 12


def _write_until_the_power_goes(disk: ForgetfulDisk, root: Path, sync: Sync) -> list[int]:
    """Publish and note each acknowledged trade id; ends when the disk's power goes."""
    acknowledged: list[int] = []
    try:
        plant, _ = plant_at(root, door=disk, journal=small_journal(sync))
        for number in range(ROUNDS):
            publish_trades(plant, 9, start=number * 9)
            acknowledged.extend(range(number * 9, number * 9 + 9))
        plant.close()
    except PowerCut:
        pass
    return acknowledged


def _steps(tmp_path: Path, sync: Sync) -> int:
    root = tmp_path / "count"
    root.mkdir()
    disk = ForgetfulDisk(root)
    _write_until_the_power_goes(disk, root / "data", sync)
    return len(disk.operations)


def _losses(tmp_path: Path, sync: Sync, seed: int) -> int:
    """Cut the power after every step of a run; count the runs that lost acknowledged rows."""
    lost = 0
    luck = random.Random(seed)
    for step in range(_steps(tmp_path, sync)):
        root = tmp_path / f"{sync.value}{step}"
        root.mkdir()
        disk = ForgetfulDisk(root, cut_at=step)
        acknowledged = _write_until_the_power_goes(disk, root / "data", sync)
        left = disk.leave(tmp_path / f"left{sync.value}{step}", lucky=luck) / "data"
        left.mkdir(exist_ok=True)
        plant, _ = plant_at(left, journal=small_journal(sync))
        first_new = publish_trades(plant, 1, start=10_000)
        plant.close()
        rows = logged(left)
        ids = [value for _, value in rows if value < 10_000]
        seqs = [seq for seq, _ in rows]
        assert ids == list(range(len(ids))), f"step {step}: a row repeats or is missing within"
        assert seqs == sorted(set(seqs)), f"step {step}: a seq was used twice"
        assert rows[-1] == (first_new - 1, 10_000) or rows[-1][1] == 10_000
        assert verify(logs(left / "journal")[-1], Catalog()).is_good, f"step {step}"
        lost += len(ids) < len(acknowledged)
        shutil.rmtree(root)
        shutil.rmtree(left.parent)
    return lost


def test_acknowledged_rows_survive_a_power_cut_at_every_step_with_sync_batch(
    tmp_path: Path,
) -> None:
    assert _losses(tmp_path, Sync.BATCH, seed=1) == 0


def test_the_same_power_cuts_lose_rows_with_sync_none(tmp_path: Path) -> None:
    assert _losses(tmp_path, Sync.NONE, seed=1) > 0


@pytest.mark.parametrize("sync", list(Sync))
def test_a_process_killed_at_random_loses_nothing_that_it_acknowledged(
    tmp_path: Path, sync: Sync
) -> None:
    warm, _ = plant_at(tmp_path / "warm")
    publish_trades(warm, 9)
    warm.close()
    luck = random.Random(7)
    for number in range(70):
        root = tmp_path / str(number)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                plant, _ = plant_at(root, journal=small_journal(sync))
                for start in range(0, 10**9, 9):
                    publish_trades(plant, 9, start=start)
                    os.write(tell, b".")
            finally:
                os._exit(1)
        os.close(tell)
        # The child is told nothing: it dies wherever it happens to be.
        acknowledged = 0
        target = luck.randrange(0, 60)
        while acknowledged < target and (dots := os.read(told, target - acknowledged)):
            acknowledged += len(dots)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while dots := os.read(told, 1 << 16):
            acknowledged += len(dots)
        os.close(told)
        root.mkdir(exist_ok=True)
        plant, _ = plant_at(root, journal=small_journal(sync))
        publish_trades(plant, 1, start=10**9)
        plant.close()
        rows = logged(root)
        ids = [value for _, value in rows[:-1]]
        seqs = [seq for seq, _ in rows]
        assert ids == list(range(len(ids)))
        assert len(ids) >= 9 * acknowledged
        assert seqs == sorted(set(seqs))


def _closed_log(tmp_path: Path) -> Path:
    plant, _ = plant_at(tmp_path / "data")
    for start in range(0, 200, 10):
        publish_trades(plant, 10, start=start)
    plant.close()
    return logs(tmp_path / "data" / "journal")[0]


def test_a_log_cut_at_any_byte_opens_with_a_prefix_of_its_rows(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    whole, index = log.read_bytes(), log.with_suffix(".idx").read_bytes()
    everything = [value for _, value in logged(tmp_path / "data")]
    luck = random.Random(3)
    for cut in sorted(luck.sample(range(len(whole)), 60)):
        for with_index in (True, False):
            root = tmp_path / "cut"
            shutil.rmtree(root, ignore_errors=True)
            (root / "journal").mkdir(parents=True)
            torn = root / "journal" / log.name
            torn.write_bytes(whole[:cut])
            if with_index:
                torn.with_suffix(".idx").write_bytes(index)
            plant, _ = plant_at(root)
            publish_trades(plant, 1, start=9999)
            plant.close()
            ids = [value for _, value in logged(root)]
            assert ids[:-1] == everything[: len(ids) - 1]
            assert ids[-1] == 9999


@pytest.mark.parametrize("zeros", [1, 7, 4096, 100_000])
def test_a_zero_filled_tail_is_damage_and_not_data(tmp_path: Path, zeros: int) -> None:
    log = _closed_log(tmp_path)
    with log.open("ab") as file:
        file.write(bytes(zeros))
    plant, _ = plant_at(tmp_path / "data")
    (cut,) = plant.journal.cut_tails
    assert (cut.size, cut.reason) == (zeros, "a zero-filled tail")
    publish_trades(plant, 1, start=200)
    plant.close()
    assert [value for _, value in logged(tmp_path / "data")] == list(range(201))


def test_a_torn_tail_is_kept_beside_the_log(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    with log.open("ab") as file:
        file.write(b"\0\0\3\0\0\0\xf5upd\0\xf5tra")
    plant, _ = plant_at(tmp_path / "data")
    (cut,) = plant.journal.cut_tails
    assert cut.kept_in is not None
    assert cut.kept_in.read_bytes() == b"\0\0\3\0\0\0\xf5upd\0\xf5tra"
    assert "torn message" in str(cut)


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found_and_named(position: int, bit: int) -> None:
    path, whole = _shared_log()
    at = position % len(whole)
    damaged = bytearray(whole)
    damaged[at] ^= 1 << bit
    path.write_bytes(damaged)
    verdict = verify(path, Catalog())
    assert not verdict.is_good
    assert any(item.start <= at < item.end for item in verdict.damage), verdict.damage


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_without_a_sidecar_the_log_s_own_checksums_find_it(position: int, bit: int) -> None:
    path, whole = _shared_log()
    bare = path.with_name("2020-01-01.log")
    bare.write_bytes(whole)
    covered = 8 + verify(bare, Catalog()).covered
    assert len(whole) - covered == verify(bare, Catalog()).unverified
    at = position % covered
    damaged = bytearray(whole)
    damaged[at] ^= 1 << bit
    bare.write_bytes(damaged)
    verdict = verify(bare, Catalog())
    assert any(item.start <= at < item.end for item in verdict.damage), (at, verdict.damage)


_SHARED: list[tuple[Path, bytes]] = []


def _shared_log() -> tuple[Path, bytes]:
    if not _SHARED:
        import tempfile

        log = _closed_log(Path(tempfile.mkdtemp()))
        _SHARED.append((log, log.read_bytes()))
    return _SHARED[0]


def test_a_repair_keeps_everything_but_the_damaged_stretch(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    before = logged(tmp_path / "data")
    damaged = bytearray(log.read_bytes())
    damaged[damaged.find(b"trade", len(damaged) // 2) + 40] ^= 0x10
    log.write_bytes(damaged)
    done = repair(log, Catalog(), OS_DOOR)
    assert done is not None
    assert done.original.read_bytes() == bytes(damaged)
    assert verify(log, Catalog()).is_good
    after = logged(tmp_path / "data")
    assert set(after) < set(before)
    assert len(after) >= len(before) - 40
    plant, _ = plant_at(tmp_path / "data")
    assert plant.journal.next_seq > before[-1][0]
    publish_trades(plant, 1, start=777)
    plant.close()
    assert logged(tmp_path / "data")[-1][1] == 777


def test_bytes_that_do_not_parse_excuse_no_others_of_their_span(tmp_path: Path) -> None:
    # One span for the whole log.
    settings = JournalSettings(sync=Sync.NONE, interval_s=60, span_bytes=1 << 20, reserve=1000)
    plant, _ = plant_at(tmp_path / "data", journal=settings)
    for start in range(0, 200, 10):
        publish_trades(plant, 10, start=start)
    plant.close()
    log = logs(tmp_path / "data" / "journal")[0]
    before = logged(tmp_path / "data")
    log.with_suffix(".idx").unlink()
    damaged = bytearray(log.read_bytes())
    first = damaged.find(b"\xf5trade\0")
    wrong = damaged.find(struct.pack("<qq", 10, 11), damaged.find(b"\xf5trade\0", first + 1))
    damaged[first] ^= 0x01  # no message any more
    damaged[wrong] ^= 0x01  # trade ids of the next one, which parses
    log.write_bytes(damaged)
    done = repair(log, Catalog(), OS_DOOR)
    assert done is not None
    assert set(logged(tmp_path / "data")) <= set(before)
    assert [item.reason for item in done.left_out if item.start <= wrong < item.end] == [
        "checksum differs from the log's own"
    ]


def test_a_repair_tells_the_rows_that_it_left_out(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    before = logged(tmp_path / "data")
    damaged = bytearray(log.read_bytes())
    damaged[damaged.find(b"trade", len(damaged) // 2) + 40] ^= 0x10
    log.write_bytes(damaged)
    done = repair(log, Catalog(), OS_DOOR)
    assert done is not None
    assert done.rows_left_out["trade"] == len(before) - len(logged(tmp_path / "data")) > 0
    # The span's own checksum fails too, yet the sidecar vouches for the rest of the span.
    assert [item.reason for item in done.left_out] == ["checksum differs from the sidecar's"]


def test_a_repair_of_a_good_log_changes_nothing(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    before = log.read_bytes()
    assert repair(log, Catalog(), OS_DOOR) is None
    assert log.read_bytes() == before


def test_a_log_whose_beginning_is_damaged_is_refused_and_not_emptied(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    log.with_suffix(".idx").unlink()
    damaged = bytearray(log.read_bytes())
    damaged[20] ^= 1
    log.write_bytes(damaged)
    with pytest.raises(CorruptJournalError, match="journal repair"):
        plant_at(tmp_path / "data")
    assert log.read_bytes() == bytes(damaged)


def test_a_file_that_is_no_log_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "2024-01-01.log").write_bytes(b"time,sym,price\n" * 400)
    with pytest.raises(CorruptJournalError, match="ff01000000000000 expected"):
        plant_at(tmp_path)


def test_another_plant_s_log_is_refused(tmp_path: Path) -> None:
    _closed_log(tmp_path)
    with pytest.raises(JournalError, match=r"set \[plant\] name"):
        plant_at(tmp_path / "data", journal=JournalSettings(plant="other"))


class _FullDisk(OsFileDoor):
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, pieces: Sequence[Piece]) -> int:
        size = sum(len(bytes(piece)) for piece in pieces)
        if size > self.room:
            part = b"".join(bytes(piece) for piece in pieces)[: self.room]
            os.write(fd, part)
            self.room = 0
            raise OSError(28, "No space left on device")
        self.room -= size
        return super().write(fd, pieces)


def test_a_full_disk_refuses_with_a_sentence_and_loses_nothing_acknowledged(
    tmp_path: Path,
) -> None:
    door = _FullDisk(20_000)
    plant, _ = plant_at(tmp_path, door=door)
    acknowledged = 0
    with pytest.raises(JournalError, match=r"disk is full.*free some space"):
        while True:
            publish_trades(plant, 9, start=acknowledged)
            acknowledged += 9
    plant.journal.abandon()
    assert [value for _, value in logged(tmp_path)][:acknowledged] == list(range(acknowledged))
    door.room = 10**9
    again, _ = plant_at(tmp_path, door=door)
    publish_trades(again, 1, start=acknowledged)
    again.close()
    ids = [value for _, value in logged(tmp_path)]
    assert ids == list(range(acknowledged + 1))


def test_a_lost_sidecar_is_rebuilt_and_the_log_goes_on(tmp_path: Path) -> None:
    log = _closed_log(tmp_path)
    log.with_suffix(".idx").unlink()
    plant, _ = plant_at(tmp_path / "data")
    assert plant.journal.unindexed_bytes == log.stat().st_size - 8
    publish_trades(plant, 5, start=200)
    plant.close()
    assert [value for _, value in logged(tmp_path / "data")] == list(range(205))
    entries = sidecar.load(log, first_offset=8, log_bytes=log.stat().st_size)
    assert int((entries["offset"] + entries["length"])[-1]) == log.stat().st_size


def test_seqs_go_on_after_a_clean_close_without_a_hole(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for start in range(3):
        plant, _ = plant_at(root)
        publish_trades(plant, 4, start=4 * start)
        plant.close()
    seqs = sorted(
        seq for table in ("trade", "symbol", "clock", "journal") for seq, _ in logged(root, table)
    )
    assert (np.diff(seqs) == 1).all()
