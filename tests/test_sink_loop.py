"""What drives a sink: how long one that is slow, or stuck, is waited for."""

from functools import partial
from pathlib import Path

import pytest

from tests.manual_time import ManualTime
from tests.plants import plant_at, publish_trades
from tickloop.core.catalog import Catalog
from tickloop.core.errors import SinkAwayError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_tail import Chunk, JournalTail
from tickloop.tickerplant.sinks import loop as loop_module
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.sink import Taken

DRAIN_S = 10.0
ROWS = 500


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> ManualTime:
    return ManualTime().stand_in(loop_module, monkeypatch)


class SlowSink:
    """A server that acknowledges `rows` of what it was sent each `every_s`, up to `at_most`."""

    name, target = "slow", "nowhere"

    def __init__(self, time: ManualTime, *, rows: int, every_s: float, at_most: int) -> None:
        self._time, self._rows, self._every_s, self._at_most = time, rows, every_s, at_most
        self.sent = self._seq = -1

    def open(self, cursor: Cursor) -> int:
        return cursor.seq

    def take(self, chunk: Chunk) -> None:
        self.sent = chunk.through

    def idle(self) -> None:
        self._time.sleep(self._every_s)
        self._seq = min(self._seq + self._rows, self.sent, self._at_most)

    def settle(self) -> bool:
        return self._seq == self.sent

    def taken(self) -> Taken:
        return Taken(self._seq, self._seq + 1)

    def close(self) -> None:
        """Hold nothing."""


def loop_over(root: Path, sink: SlowSink) -> SinkLoop:
    (root / "cursors").mkdir(exist_ok=True)
    plant = plant_id("tickloop")
    return SinkLoop(sink, root, Catalog(), Symbols(), plant, LoopSettings(DRAIN_S))


@pytest.fixture
def at_rest(tmp_path: Path) -> Path:
    plant, _ = plant_at(tmp_path / "data")
    publish_trades(plant, ROWS)
    plant.close()
    return tmp_path / "data"


def test_over_a_directory_at_rest_a_sink_may_take_as_long_as_it_gets_on(
    at_rest: Path, time: ManualTime
) -> None:
    slow = SlowSink(time, rows=20, every_s=DRAIN_S - 1, at_most=10**9)
    began = time.now_ns
    assert loop_over(at_rest, slow).run(lambda: False)
    assert time.now_ns - began > 10 * DRAIN_S * 1e9
    cursor = CursorFile(at_rest, "slow").peek()
    assert cursor is not None
    assert (cursor.state, cursor.rows) == ("done", slow.taken().rows)


def test_one_that_gets_nowhere_is_given_up_and_says_where_it_stands(
    at_rest: Path, time: ManualTime
) -> None:
    stuck = SlowSink(time, rows=20, every_s=1, at_most=99)
    began = time.now_ns
    assert not loop_over(at_rest, stuck).run(lambda: False)
    assert DRAIN_S <= (time.now_ns - began) / 1e9 < 4 * DRAIN_S
    cursor = CursorFile(at_rest, "slow").peek()
    assert cursor is not None
    assert (cursor.state, cursor.seq) == ("away", 99)
    assert "did not take everything within 10 s" in cursor.note


def test_after_a_capture_s_end_even_one_that_gets_on_is_waited_for_so_long_only(
    tmp_path: Path, time: ManualTime
) -> None:
    plant, _ = plant_at(tmp_path / "data")
    plant.directory.hold()
    publish_trades(plant, ROWS)
    slow = SlowSink(time, rows=1, every_s=1, at_most=10**9)
    began = time.now_ns
    assert not loop_over(tmp_path / "data", slow).run(lambda: True)
    assert (time.now_ns - began) / 1e9 < 4 * DRAIN_S
    plant.close()


class AwaySink(SlowSink):
    """A server that nobody reaches."""

    def open(self, cursor: Cursor) -> int:
        raise SinkAwayError("nobody answers at nowhere")


def test_one_that_is_stopped_over_a_directory_at_rest_takes_nothing_more(
    tmp_path: Path, time: ManualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "JournalTail", partial(JournalTail, chunk_bytes=3000))
    root = tmp_path / "data"
    plant, _ = plant_at(root)
    last = [publish_trades(plant, 20, start=start) for start in range(0, 2000, 20)][-1]
    plant.close()
    slow = SlowSink(time, rows=10**9, every_s=1, at_most=10**9)
    wishes = iter([False, False])
    assert not loop_over(root, slow).run(lambda: next(wishes, True))
    cursor = CursorFile(root, "slow").peek()
    assert cursor is not None
    assert (cursor.state, cursor.note) == ("stopped", "stopped before the log's end")
    # What it had sent by then is vouched for, and another one goes on from there.
    assert 0 < cursor.seq == slow.sent < last
    assert loop_over(root, slow).run(lambda: False)
    assert slow.taken().seq >= last


def test_one_that_is_stopped_after_everything_was_sent_is_done(
    at_rest: Path, time: ManualTime
) -> None:
    slow = SlowSink(time, rows=100, every_s=1, at_most=10**9)
    assert loop_over(at_rest, slow).run(lambda: slow.sent >= 0)


def test_one_that_is_stopped_while_its_server_is_away_does_not_wait_for_it(
    at_rest: Path, time: ManualTime
) -> None:
    began = time.now_ns
    away = AwaySink(time, rows=1, every_s=1, at_most=1)
    assert not loop_over(at_rest, away).run(lambda: time.now_ns > began + 2_000_000_000)
    assert time.now_ns - began < DRAIN_S * 1e9
    cursor = CursorFile(at_rest, "slow").peek()
    assert cursor is not None
    assert (cursor.state, cursor.note) == ("away", "nobody answers at nowhere")
