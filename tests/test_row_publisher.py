"""Rows published one by one wait for one write; the log is as if they had not waited."""

import errno
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.forgetful_disk import ForgetfulDisk
from tests.plants import NOON, Memory, logged, plant_at, publish_trades, small_journal
from tickloop.core.batch import Batch, slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.clock import WallClock, sleep
from tickloop.core.errors import JournalError
from tickloop.core.schema import QUOTE, TRADE, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.row_publisher import STAGE_NS, STAGE_ROWS

DAY_NS = 86_400_000_000_000


def rows(table: Table, count: int, *, start: int = 0, time: int = NOON) -> npt.NDArray[np.void]:
    """Make records that say in `venue_time` which they are."""
    records = np.zeros(count, dtype=Layout(table).record_dtype)
    records["time"] = time + np.arange(start, start + count)
    records["venue_time"] = np.arange(start, start + count)
    return records


def read_back(root: Path, symbols: Symbols) -> list[tuple[str, int, int, int]]:
    """List (table, seq, time, venue_time) of every market data row, in log order."""
    return [
        (batch.table.name, *row)
        for batch in JournalReader(root / "journal", Catalog(), symbols).messages(-1)
        if "venue_time" in batch.columns
        for row in zip(
            *(batch.columns[name].tolist() for name in ("seq", "time", "venue_time")), strict=True
        )
    ]


@pytest.mark.kernel
@pytest.mark.parametrize("sync", [Sync.NONE, Sync.BATCH])
def test_rows_of_several_tables_keep_their_order_and_get_the_seq_that_was_returned(
    tmp_path: Path, sync: Sync
) -> None:
    plant, memory = plant_at(tmp_path, journal=small_journal(sync))
    dice = np.random.default_rng(7)
    given: list[tuple[str, int]] = []
    returned: dict[int, int] = {}
    number = 0
    while number < 900:
        table = (TRADE, QUOTE)[int(dice.integers(2))]
        count = int(dice.choice([1, 1, 1, 2, 5]))
        if dice.random() < 0.02:
            # A new name is told by a `symbol` row, between rows that wait and rows that use it.
            plant.symbols.id(f"NEW{number}")
        records = rows(table, count, start=number)
        records["sym"] = len(plant.symbols) - 1
        last = plant.publish_rows(table, records)
        # Only the last: the log's own rows may stand between rows of one call.
        returned[number + count - 1] = last
        given.extend((table.name, n) for n in range(number, number + count))
        number += count
    plant.close()
    found = read_back(tmp_path, plant.symbols)
    assert [(name, n) for name, _, _, n in found] == given
    assert {n: seq for _, seq, _, n in found if n in returned} == returned
    for table in (TRADE, QUOTE):
        assert memory.rows(table.name)["seq"].tolist() == [
            seq for name, seq, _, _ in found if name == table.name
        ]
    seqs = np.sort(np.concatenate([batch.columns["seq"] for batch in memory.batches]))
    assert seqs.tolist() == list(range(1, len(seqs) + 1)), "every seq is used once"


@pytest.mark.kernel
def test_single_rows_give_the_same_log_as_slices_clock_rows_included(tmp_path: Path) -> None:
    found = []
    for name in ("slices", "rows"):
        (tmp_path / name).mkdir()
        plant, memory = plant_at(tmp_path / name, journal=small_journal(Sync.NONE))
        plant.symbols.id("A")
        records = rows(TRADE, 40)
        records["time"] = NOON + np.arange(40) * 130_000_000
        records["time"][20] -= 500_000_000
        if name == "rows":
            for row in range(30):
                plant.publish_rows(TRADE, records[row : row + 1])
            plant.publish_rows(TRADE, records[30:])
        else:
            columns = {key: records[key].copy() for key in TRADE.names if key != "seq"}
            columns["price"] = columns["price"].astype(np.int64)
            plant.publish(slice_of(Batch(TRADE, columns)))
        plant.close()
        trade, clock = memory.rows("trade"), memory.rows("clock")
        order = sorted(
            [(int(seq), "trade") for seq in trade["seq"]]
            + [(int(seq), "clock") for seq in clock["seq"]]
        )
        found.append(
            (trade["time"].tolist(), clock["time"].tolist(), [table for _, table in order])
        )
    assert found[0] == found[1]
    assert len(found[0][1]) == 6


def test_rows_are_written_within_the_delay_that_is_stated(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    plant.publish_rows(TRADE, rows(TRADE, 1))
    plant.tick()
    size = logs(tmp_path / "journal")[0].stat().st_size
    plant.publish_rows(TRADE, rows(TRADE, 1, start=1))
    assert logs(tmp_path / "journal")[0].stat().st_size == size
    sleep(2 * STAGE_NS / 1e9)
    plant.publish_rows(TRADE, rows(TRADE, 1, start=2))
    assert [n for _, _, _, n in read_back(tmp_path, plant.symbols)] == [0, 1, 2]
    assert len(memory.rows("trade")["seq"]) == 3
    plant.close()


def test_with_sync_batch_a_row_is_on_the_disk_when_publish_rows_returns(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    disk = ForgetfulDisk(root)
    plant, _ = plant_at(root, door=disk)
    for number in range(3):
        records = rows(TRADE, 1, start=number)
        records["trade_id"] = number
        plant.publish_rows(TRADE, records)
        left = disk.leave(tmp_path / f"left{number}")
        assert [value for _, value in logged(left)] == list(range(number + 1))
    plant.close()


def test_rows_that_a_full_disk_refuses_wait_and_keep_their_seqs(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    disk = ForgetfulDisk(root)
    plant, memory = plant_at(root, door=disk, journal=small_journal(Sync.NONE))
    plant.publish_rows(TRADE, rows(TRADE, 1))
    plant.tick()
    given = [plant.publish_rows(TRADE, rows(TRADE, 1, start=n)) for n in (1, 2)]
    disk._fail_at = len(disk.operations)
    disk._failure = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(JournalError, match="the disk is full"):
        plant.tick()
    assert len(memory.rows("trade")["seq"]) == 1, "what is not logged is shown to nobody"
    given.append(plant.publish_rows(TRADE, rows(TRADE, 1, start=3)))
    plant.close()
    found = read_back(root, plant.symbols)
    assert [n for _, _, _, n in found] == [0, 1, 2, 3]
    assert [seq for _, seq, _, _ in found][1:] == given


def test_rows_cross_into_the_next_session_at_its_first_row(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    records = rows(TRADE, 4)
    records["time"][2:] += DAY_NS
    plant.publish_rows(TRADE, records)
    plant.close()
    names = [log.name for log in logs(tmp_path / "journal")]
    assert names == ["2025-12-31.log", "2026-01-01.log"]
    logs(tmp_path / "journal")[0].unlink()
    assert [n for _, _, _, n in read_back(tmp_path, plant.symbols)] == [2, 3]


def test_a_live_plant_stamps_each_row_when_it_comes(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path, journal=small_journal(Sync.NONE), live=True)
    clock = WallClock()
    around = [clock.now()]
    for number in range(3):
        plant.publish_rows(TRADE, rows(TRADE, 1, start=number, time=2**62))
        around.append(clock.now())
    plant.close()
    times = memory.rows("trade")["time"].tolist()
    for number, time in enumerate(times):
        assert around[number] <= time <= around[number + 1]


def test_slices_come_after_the_rows_that_wait(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    records = rows(TRADE, 1, time=NOON + 5)
    records["trade_id"] = 77
    plant.publish_rows(TRADE, records)
    plant.publish_rows(TRADE, records)
    publish_trades(plant, 2)
    plant.close()
    assert memory.rows("trade")["trade_id"].tolist() == [77, 77, 0, 1]
    # Their own times are before the rows that waited, so they are raised to those.
    assert (memory.rows("trade")["time"][:3] - NOON).tolist() == [5, 5, 5]


def test_many_rows_at_once_are_no_different(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    count = 3 * STAGE_ROWS + 1
    plant.publish_rows(TRADE, rows(TRADE, 5))
    last = plant.publish_rows(TRADE, rows(TRADE, count, start=5))
    plant.publish_rows(TRADE, rows(TRADE, 0))
    plant.close()
    assert memory.rows("trade")["venue_time"].tolist() == list(range(count + 5))
    assert memory.rows("trade")["seq"][-1] == last


def test_nothing_is_shown_before_it_is_logged(tmp_path: Path) -> None:
    """Readers and subscribers never see a row that the log does not hold."""
    plant, memory = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    seen: list[int] = []

    class Watch:
        def offer(self, update: object) -> None:
            seen.append(len(read_back(tmp_path, plant.symbols)) - len(memory_rows(memory)))

        def ended(self, session: object) -> None: ...

    plant.subscribe(Watch())
    for number in range(600):
        plant.publish_rows(TRADE, rows(TRADE, 1, start=number))
    plant.close()
    assert seen
    assert min(seen) >= 0


def memory_rows(memory: Memory) -> list[int]:
    found: list[int] = memory.rows("trade")["seq"].tolist() if memory.rows("trade") else []
    return found
