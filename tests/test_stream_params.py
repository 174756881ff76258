"""A stream that goes on with other values of its parameters than it began with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.market_log import market_log
from tests.runtimes import NEVER_AGAIN, attached, finish, logged, opened, plain, recorded, surfaced
from tickloop.analytics.operators.pairs import Pairs
from tickloop.core.batch import Batch, Slice
from tickloop.core.errors import ConfigError, SnapshotError
from tickloop.core.instruments import Instruments
from tickloop.core.operator import State
from tickloop.core.symbols import Symbols
from tickloop.streaming.drivers import batch as in_batch
from tickloop.streaming.finding import find
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import Job, job
from tickloop.tickerplant.inside import Insider

GIVEN = {"pairs": "AAA/BBB CCC/DDD*1.5", "warm_up": "2s", "half_life": "5s", "interval": "3s"}


class Failing(Pairs):
    """Pairs whose every step raises."""

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        raise ZeroDivisionError


def pairs(entry: float, **given: str) -> Job:
    return job("pairs", find("pairs"), {**GIVEN, "entry": entry, **given})


def run(wanted: Job, slices: Sequence[Slice], symbols: Symbols, root: Path) -> int:
    """Publish slices beside a stream and end in order; give the log's next seq then."""
    plant = opened(root, symbols)
    driver = attached(wanted, plant)
    began = plant.journal.next_seq
    for rows in slices:
        plant.publish(rows)
        driver.pump()
    finish(driver, plant)
    return began


def folded(root: Path, began: int) -> dict[str, bytes]:
    """Fold a log's rows with one value up to a seq, and another from there on."""
    symbols = Symbols()
    rows = logged(root, symbols)
    inputs = [row for row in rows if not row.table.is_derived]
    insider, fold, made = Insider(symbols, Instruments()), Fold(pairs(1.0)), list[Batch]()
    is_changed = False
    for group in in_batch.groups_of(rows, {row.table.name for row in inputs}):
        if not is_changed and min(int(each.columns["seq"][0]) for each in group) >= began:
            fold.change({"entry": 0.3})
            is_changed = True
        units_first = sorted(group, key=lambda each: each.table.name != "instrument")
        made += fold.take([insider.inside(each) for each in units_first])
    assert is_changed
    return plain([surfaced(pairs(1.0), each, insider, symbols) for each in made], inputs, symbols)


def test_a_live_parameter_with_another_value_holds_from_the_restart_on(tmp_path: Path) -> None:
    log = market_log(600, seed=3)
    slices, symbols = log.slices(20), Symbols(log.symbols)
    half = len(slices) // 2
    run(pairs(1.0), slices[:half], symbols, tmp_path / "one")
    began = run(pairs(0.3), slices[half:], symbols, tmp_path / "one")
    changed = recorded(pairs(1.0), tmp_path / "one")
    assert changed == folded(tmp_path / "one", began)
    run(pairs(1.0), slices[:half], Symbols(log.symbols), tmp_path / "other")
    run(pairs(1.0), slices[half:], Symbols(log.symbols), tmp_path / "other")
    assert changed != recorded(pairs(1.0), tmp_path / "other")


def test_a_kill_after_the_change_neither_loses_it_nor_moves_it(tmp_path: Path) -> None:
    log = market_log(600, seed=3)
    slices, symbols, root = log.slices(20), Symbols(log.symbols), tmp_path / "one"
    half = len(slices) // 2
    run(pairs(1.0), slices[:half], symbols, root)
    plant = opened(root, symbols)
    driver = attached(pairs(0.3), plant, NEVER_AGAIN)
    began = plant.journal.next_seq
    for rows in slices[half:-5]:
        plant.publish(rows)
        driver.pump()
    plant.journal.abandon()
    run(pairs(0.3), slices[-5:], symbols, root)
    assert recorded(pairs(1.0), root) == folded(root, began)


def test_a_parameter_that_holds_for_the_state_s_life_is_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    log = market_log(50, seed=3)
    symbols = Symbols(log.symbols)
    run(pairs(1.0), log.slices(20), symbols, tmp_path)
    plant = opened(tmp_path, symbols)
    with pytest.raises(ConfigError, match=r"stream\.pairs\.interval: 5000000000 seen, 3000000000"):
        attached(pairs(1.0, interval="5s"), plant)
    with pytest.raises(ConfigError, match=r"another name, or delete .*pairs\.state"):
        attached(pairs(1.0, pairs="AAA/BBB"), plant)
    finish(attached(pairs(1.0), plant), plant)


def test_a_state_from_before_values_were_noted_goes_on_and_a_damaged_note_is_refused(
    tmp_path: Path,
) -> None:
    log = market_log(50, seed=3)
    symbols = Symbols(log.symbols)
    run(pairs(1.0), log.slices(20), symbols, tmp_path)
    note = tmp_path / "cursors" / "pairs.params"
    noted = note.read_bytes()
    note.unlink()
    run(pairs(1.0), [], symbols, tmp_path)
    assert note.read_bytes() == noted
    note.write_bytes(b"{")
    plant = opened(tmp_path, symbols)
    with pytest.raises(SnapshotError, match=r"pairs\.params is damaged"):
        attached(pairs(1.0), plant)
    plant.close()


def test_a_stream_that_fails_as_it_goes_on_keeps_the_state_and_the_values_of_before(
    tmp_path: Path,
) -> None:
    log = market_log(300, seed=3)
    slices, symbols = log.slices(20), Symbols(log.symbols)
    run(pairs(1.0), slices[:5], symbols, tmp_path)
    files = [tmp_path / "cursors" / f"pairs.{end}" for end in ("state", "params")]
    before = [path.read_bytes() for path in files]
    plant = opened(tmp_path, symbols)
    for rows in slices[5:9]:
        plant.publish(rows)
    plant.journal.abandon()
    plant = opened(tmp_path, symbols)
    driver = attached(replace(pairs(0.3), operator=Failing()), plant)
    assert isinstance(driver.failure, ZeroDivisionError)
    assert [path.read_bytes() for path in files] == before
    plant.close()
