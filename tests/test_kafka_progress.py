"""Clock rows on their way to partitions without rows: at once, or together, and never lost."""

from collections.abc import Callable

import numpy as np
import pytest

from tickloop.core.batch import Batch
from tickloop.core.schema import CLOCK
from tickloop.tickerplant.sinks import kafka_progress
from tickloop.tickerplant.sinks.kafka_progress import Progress

EVERY_MS = 100.0


class Time:
    """A clock that goes on when it is told."""

    now_ns = 5_000_000_000

    def sleep_ms(self, wanted: float) -> None:
        self.now_ns += int(wanted * 1e6)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(kafka_progress, "monotonic_ns", lambda: found.now_ns)
    return found


def clock(*seqs: int) -> Batch:
    times = np.array(seqs, dtype=np.int64) * 1000
    return Batch(CLOCK, {"time": times, "seq": np.array(seqs, dtype=np.int64)})


def counting(done: list[int], number: int) -> Callable[[], None]:
    return lambda: done.append(number)


def test_a_clock_row_after_a_while_without_one_is_told_at_once(time: Time) -> None:
    progress = Progress(EVERY_MS)
    for seq in (10, 20, 30):
        assert not progress.is_due
        progress.learn(clock(seq))
        assert progress.is_due
        progress.told()
        time.sleep_ms(EVERY_MS)
        assert progress.is_due  # of silence as well, after so long
        progress.told()


def test_clock_rows_in_quick_succession_are_told_together_and_their_chunks_wait(
    time: Time,
) -> None:
    progress = Progress(EVERY_MS)
    progress.learn(clock(1))
    progress.told()
    done: list[int] = []
    for seq in (5, 9, 14):
        time.sleep_ms(20)
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
    time.sleep_ms(40)
    assert progress.is_due
    progress.told()
    assert done == [5, 9, 14]
    assert not progress.is_holding
    assert progress.stretch(20, 21).seqs.tolist() == []
    progress.told()
    assert done == [5, 9, 14]  # each once


def test_so_many_chunks_never_wait_that_the_sink_would(time: Time) -> None:
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


def test_silence_alone_is_told_of_at_the_interval(time: Time) -> None:
    progress = Progress(EVERY_MS)
    assert not progress.is_due
    time.sleep_ms(99)
    assert not progress.is_due
    time.sleep_ms(1)
    assert progress.is_due
    assert not progress.is_holding
