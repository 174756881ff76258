"""Chunks of the log: every row of a stretch of seqs, and a cursor at its end misses nothing."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plants import NOON, mixed, plant_at, publish_trades, small_journal, trades
from tickloop.core.batch import Batch, Slice
from tickloop.core.catalog import Catalog
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.durable_seq import DurableSeq
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.journal_tail import Chunk, JournalTail
from tickloop.tickerplant.log_file import Sync

FOREVER = 2**62


def tail_of(root: Path, *, chunk_bytes: int = 1 << 20) -> JournalTail:
    return JournalTail(root / "journal", Catalog(), Symbols(), chunk_bytes=chunk_bytes)


def chunks(tail: JournalTail, limit: int = FOREVER) -> list[Chunk]:
    found = []
    while (chunk := tail.next(limit)) is not None:
        found.append(chunk)
    return found


def seqs(found: list[Chunk]) -> list[int]:
    return [int(seq) for chunk in found for rows in chunk.batches for seq in rows.columns["seq"]]


def logged_seqs(root: Path) -> list[int]:
    reader = JournalReader(root / "journal", Catalog(), Symbols())
    return sorted(int(seq) for rows in reader.messages(-1) for seq in rows.columns["seq"])


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    chunk_bytes=st.sampled_from([64, 700, 5000, 1 << 20]),
)
def test_chunks_hold_every_row_once_and_end_where_no_earlier_seq_follows(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], chunk_bytes: int
) -> None:
    root = tmp_path_factory.mktemp("tail") / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    start = 0
    for count in counts:
        plant.publish(mixed(plant.symbols, count, start=start))
        start += count
    plant.close()
    found = chunks(tail_of(root, chunk_bytes=chunk_bytes))
    assert sorted(seqs(found)) == logged_seqs(root)
    for chunk in found:
        assert all(chunk.after < seq <= chunk.through for seq in seqs([chunk]))
    assert [chunk.after for chunk in found[1:]] == [chunk.through for chunk in found[:-1]]


def test_a_reader_that_resumes_after_any_chunk_gets_the_rest(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path / "data", journal=small_journal(Sync.NONE))
    for start in range(0, 300, 30):
        plant.publish(mixed(plant.symbols, 30, start=start))
    plant.close()
    whole = chunks(tail_of(tmp_path / "data", chunk_bytes=900))
    assert len(whole) > 5
    for place, chunk in enumerate(whole):
        tail = tail_of(tmp_path / "data", chunk_bytes=3000)
        tail.go_to(chunk.through)
        assert sorted(seqs(chunks(tail))) == sorted(seqs(whole[place + 1 :]))


def test_seqs_that_a_crash_left_unused_end_no_chunk_early(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for start in (0, 50, 100):
        plant, _ = plant_at(root)
        plant.publish(mixed(plant.symbols, 20, start=start))
        plant.journal.abandon()
    found = chunks(tail_of(root, chunk_bytes=600))
    assert sorted(seqs(found)) == logged_seqs(root)
    assert np.diff(logged_seqs(root)).max() > 1  # there were such seqs


def test_a_growing_log_is_followed_over_the_end_of_a_session(tmp_path: Path) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root)
    tail = tail_of(root)
    seen: list[int] = []
    day = 86_400_000_000_000
    for number in range(6):
        rows = trades(plant.symbols, 10, start=10 * number, time=NOON + number // 2 * day)
        plant.publish_batch(rows)
        seen += seqs(chunks(tail))
    plant.close()
    seen += seqs(chunks(tail))
    assert len(logs(root / "journal")) == 3
    assert sorted(seen) == logged_seqs(root)


def test_rows_past_the_limit_are_not_given(tmp_path: Path) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    limits = [publish_trades(plant, 25, start=start) for start in range(0, 100, 25)]
    tail = tail_of(root)
    for limit in limits:
        found = chunks(tail, limit)
        assert found[-1].through == limit
    plant.close()


def test_a_half_written_message_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root)
    publish_trades(plant, 40)
    plant.close()
    (log,) = logs(root / "journal")
    whole = log.read_bytes()
    copy = tmp_path / "copy"
    DataDirectory(copy).create()
    growing = copy / "journal" / log.name
    seen: list[int] = []
    tail = tail_of(copy)
    for size in range(8, len(whole) + 1, 97):
        growing.write_bytes(whole[:size])
        seen += seqs(chunks(tail))
    growing.write_bytes(whole)
    seen += seqs(chunks(tail))
    assert seen == logged_seqs(root)


@pytest.mark.parametrize("chunk_bytes", [300, 1 << 20])
@pytest.mark.parametrize("order", [1, -1], ids=["last row last", "last row first"])
@pytest.mark.parametrize("is_last", [False, True], ids=["and more", "and no more"])
def test_a_publication_that_was_met_half_written_is_read_once_it_is_whole(
    tmp_path: Path, chunk_bytes: int, order: int, is_last: bool
) -> None:
    """A publication is several messages; a reader may come between any two of them.

    Where it is the last one that may be read, a part of it that holds its last row is not all.
    """
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    before = publish_trades(plant, 5)
    plant.publish(Slice(mixed(plant.symbols, 60, start=5).batches[::order]))
    limit = plant.journal.next_seq - 1 if is_last else FOREVER
    plant.close()
    (log,) = logs(root / "journal")
    whole = log.read_bytes()
    for size in range(8, len(whole), 41):
        copy = tmp_path / str(size)
        DataDirectory(copy).create()
        (copy / "journal" / log.name).write_bytes(whole[:size])
        tail = tail_of(copy, chunk_bytes=chunk_bytes)
        found = chunks(tail, before)
        with (copy / "journal" / log.name).open("ab") as growing:
            growing.write(whole[size:])
        found += chunks(tail, limit)
        assert sorted(seqs(found)) == [seq for seq in logged_seqs(root) if seq <= limit]


def test_the_plant_tells_other_processes_what_is_on_disk(tmp_path: Path) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.BATCH))
    plant.directory.hold()
    durable = DurableSeq(DataDirectory(root), Catalog())
    for start in range(0, 50, 10):
        last = publish_trades(plant, 10, start=start)
        assert durable.synced() == plant.journal.synced_seq >= last
    assert durable.rested() is None
    plant.close()
    plant.directory.release()


def test_of_a_plant_that_was_killed_everything_readable_is_durable(tmp_path: Path) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    last = publish_trades(plant, 30)
    plant.journal.abandon()
    durable = DurableSeq(DataDirectory(root), Catalog())
    assert durable.synced() < last == durable.rested()


@pytest.mark.parametrize("cut", range(1, 400, 13))
def test_a_publication_that_a_crash_cut_ends_with_its_log(tmp_path: Path, cut: int) -> None:
    """The messages that were written whole are kept; the next plant's rows follow."""
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    publish_trades(plant, 5)
    plant.publish(mixed(plant.symbols, 4, start=5))
    plant.journal.abandon()
    (log,) = logs(root / "journal")
    os.truncate(log, log.stat().st_size - cut)
    durable = DurableSeq(DataDirectory(root), Catalog())
    tail = tail_of(root)
    limit = durable.rested()
    assert limit is not None
    found = chunks(tail, limit)
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    publish_trades(plant, 7, start=20)
    plant.close()
    found += chunks(tail)
    assert sorted(seqs(found)) == logged_seqs(root)
    again = chunks(tail_of(root, chunk_bytes=300))
    assert sorted(seqs(again)) == logged_seqs(root)


def test_a_plant_that_begins_while_its_log_is_looked_at_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    publish_trades(plant, 30)
    plant.journal.abandon()
    durable = DurableSeq(DataDirectory(root), Catalog())
    other = DataDirectory(root)
    recovered = durable._recovered

    def meanwhile(log: Path) -> int:
        other.hold()
        return recovered(log)

    monkeypatch.setattr(durable, "_recovered", meanwhile)
    assert durable.rested() is None
    other.release()


def test_rows_of_a_publication_stay_together_where_its_messages_are_cut(tmp_path: Path) -> None:
    """Two tables whose first seqs ascend, and a third whose rows lie between them."""
    root = tmp_path / "data"
    plant, _ = plant_at(root, journal=small_journal(Sync.NONE))
    first, second = trades(plant.symbols, 2), mixed(plant.symbols, 2, start=2).batches[1]
    plant.publish(
        Slice(
            (
                Batch(first.table, {**first.columns, "_place": np.array([0, 3])}),
                Batch(second.table, {**second.columns, "_place": np.array([1, 2])}),
            )
        )
    )
    plant.close()
    for chunk in chunks(tail_of(root, chunk_bytes=1)):
        names = {rows.table.name for rows in chunk.batches}
        assert ("trade" in names) == ("quote" in names)
