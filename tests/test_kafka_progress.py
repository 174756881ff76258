"""Clock rows on their way to partitions without rows: at once, or together, and never lost."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.manual_time import ManualTime
from tickloop.core.batch import Batch
from tickloop.core.schema import CLOCK
from tickloop.tickerplant.sinks import kafka_progress
from tickloop.tickerplant.sinks.kafka_progress import Progress

EVERY_MS = 100.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> ManualTime:
    return ManualTime().stand_in(kafka_progress, monkeypatch)


def clock(*seqs: int) -> Batch:
    times = np.array(seqs, dtype=np.int64) * 1000
    return Batch(CLOCK, {"time": times, "seq": np.array(seqs, dtype=np.int64)})


def counting(done: list[int], number: int) -> Callable[[], None]:
    return lambda: done.append(number)


def test_a_clock_row_after_a_while_without_one_is_told_at_once(time: ManualTime) -> None:
    progress = Progress(EVERY_MS)
    for seq in (10, 20, 30):
        assert not progress.is_due
        progress.learn(clock(seq))
        assert progress.is_due
        progress.told()
        time.sleep(EVERY_MS / 1000)
        assert progress.is_due  # of silence as well, after so long
        progress.told()


def test_clock_rows_in_quick_succession_are_told_together_and_their_chunks_wait(
    time: ManualTime,
) -> None:
    progress = Progress(EVERY_MS)
    progress.learn(clock(1))
    progress.told()
    done: list[int] = []
    for seq in (5, 9, 14):
        time.sleep(0.02)
        progress.learn(clock(seq))
        assert not progress.is_due
        assert progress.is_holding
        progress.hold(counting(done, seq))
    progress.learn(None)
    assert done == []
    stretch = progress.stretch(3, 20)
    assert (stretch.previous, stretch.through) == (3, 20)
    assert stretch.seqs.tolist() == [5, 9, 14]
    assert stretch.times.tolist() == [5000, 9000, 14000]
    time.sleep(0.04)
    assert progress.is_due
    progress.told()
    assert done == [5, 9, 14]
    assert not progress.is_holding
    assert progress.stretch(20, 21).seqs.tolist() == []
    progress.told()
    assert done == [5, 9, 14]  # each once


def test_so_many_chunks_never_wait_that_the_sink_would(time: ManualTime) -> None:
    progress = Progress(1e9)
    progress.learn(clock(1))
    progress.told()
    held = 0
    while not progress.is_due:
        progress.learn(clock(held + 2))
        progress.hold(lambda: None)
        held += 1
        assert held < 64
    assert held > 1


def test_silence_alone_is_told_of_at_the_interval(time: ManualTime) -> None:
    progress = Progress(EVERY_MS)
    assert not progress.is_due
    time.sleep(0.099)
    assert not progress.is_due
    time.sleep(0.001)
    assert progress.is_due
    assert not progress.is_holding
