"""One operator, every runtime: the same bytes, however batches are cut, also after crashes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feed_rows import new_context
from tests.market_log import MarketLog, market_log
from tests.runtimes import (
    ALWAYS,
    Runtime,
    attached,
    batch,
    crashing,
    embedded,
    finish,
    logged,
    opened,
    recomputed,
    recorded,
)
from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import QUOTE
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule
from tickloop.ingest.itch_file import ItchFile
from tickloop.ingest.lobster import LobsterFile
from tickloop.streaming.drivers.batch import Driver, ParallelDriver
from tickloop.streaming.finding import find
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import Job, job

PAIRS = "AAA/BBB CCC/DDD*1.5 AAA/EEE BBB/CCC*0.5"
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "minute": ("bars", {"interval": "10s"}),
    "uneven": ("bars", {"interval": "700ms"}),
    "ticks": ("bars", {"kind": "ticks", "threshold": 7}),
    "volume": ("bars", {"kind": "volume", "threshold": 2500}),
    "money": ("bars", {"kind": "money", "threshold": 300_000}),
    "signals": ("signals", {"bucket": 700, "buckets": 5, "samples": 4}),
    "every": ("signals", {"interval": 0, "bucket": 700, "buckets": 5, "samples": 4}),
    "pairs": (
        "pairs",
        {
            "pairs": PAIRS,
            "warm_up": "2s",
            "half_life": "5s",
            "entry": 1.0,
            "stop": 2.0,
            "interval": "3s",
            "hold": "4s",
        },
    ),
    "quality": ("quality", {"interval": "5s", "gap": "300ms", "stale": "2s"}),
}


def make(name: str) -> Job:
    operator, params = JOBS[name]
    return job(name, find(operator), params)


@pytest.fixture(params=[embedded, crashing], ids=lambda runtime: runtime.__name__)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime but the batch, to which all are compared."""
    found: Runtime = request.param
    return found


@pytest.fixture(params=JOBS)
def wanted(request: pytest.FixtureRequest) -> Job:
    return make(request.param)


def joined(rows: list[Batch]) -> dict[str, bytes]:
    """Spell derived rows in inside form."""
    tables = sorted({row.table.name for row in rows})
    spelled = {}
    for table in tables:
        whole = concatenate([row for row in rows if row.table.name == table])
        # Of names, only the width of the column depends on which rows came together.
        columns = {
            name: values.astype("S40") if values.dtype.kind == "S" else values
            for name, values in sorted(whole.columns.items())
        }
        spelled[table] = b"".join(values.tobytes() for values in columns.values())
    return spelled


def folded(wanted: Job, log: MarketLog, cuts: list[int]) -> tuple[dict[str, bytes], bytes]:
    driver = Driver(wanted, log.groups(cuts))
    return joined(list(driver.rows())), driver.snapshot()


@pytest.mark.parametrize("size", [1, 40])
def test_every_runtime_gives_the_same_bytes(
    runtime: Runtime, wanted: Job, size: int, tmp_path: Path
) -> None:
    log = market_log(120 if size == 1 else 900, seed=3)
    slices = log.slices(size)
    made = runtime(wanted, slices, Symbols(log.symbols), tmp_path / "one")
    assert set(made) == set(wanted.operator.outputs)
    assert made == batch(wanted, slices, Symbols(log.symbols), tmp_path / "other")
    # What a log recorded is also what its own inputs give, seq by seq.
    assert made == recomputed(wanted, tmp_path / "one")
    assert made == recomputed(wanted, tmp_path / "one", at_once=True)


REAL_DAYS = {
    "itch/ex20101224.TEST_ITCH_50.gz": ItchFile,
    "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip": LobsterFile,
}
OF_A_DAY: dict[str, dict[str, str | int | float]] = {
    "bars": {"interval": "10s"}, "signals": {"interval": "1s"}, "quality": {"interval": "10s"},
}  # fmt: skip


@pytest.mark.parametrize("day", REAL_DAYS)
@pytest.mark.parametrize("name", OF_A_DAY)
@pytest.mark.parametrize("cut", [7, 3000])
def test_a_real_day_is_folded_in_the_order_of_its_seqs_however_its_tables_interleave(
    market_data: Callable[[str], Path], day: str, name: str, cut: int, tmp_path: Path
) -> None:
    wanted = job(name, find(name), OF_A_DAY[name])
    context = new_context(cut=CutRule(messages=cut))
    slices = list(REAL_DAYS[day](market_data(day), context).slices())
    made = embedded(wanted, slices, context.symbols, tmp_path)
    assert set(made) == set(wanted.operator.outputs)
    assert made == recomputed(wanted, tmp_path, at_once=True)
    assert made == recomputed(wanted, tmp_path)


@pytest.mark.kernel
@given(cuts=st.lists(st.integers(0, 10**6), max_size=60), seed=st.integers(0, 5))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_batches_are_cut_changes_neither_rows_nor_state(
    wanted: Job, cuts: list[int], seed: int
) -> None:
    log = market_log(150, seed)
    assert folded(wanted, log, cuts) == folded(wanted, log, [])


@pytest.mark.kernel
def test_rows_one_at_a_time_give_what_all_at_once_give(wanted: Job) -> None:
    log = market_log(200, seed=8)
    assert folded(wanted, log, list(range(len(log.rows)))) == folded(wanted, log, [])


@pytest.mark.kernel
@given(cuts=st.lists(st.integers(0, 10**6), min_size=1, max_size=20), seed=st.integers(0, 5))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_going_on_from_a_snapshot_at_every_point_changes_nothing(
    wanted: Job, cuts: list[int], seed: int
) -> None:
    log = market_log(150, seed)
    fold, rows = Fold(wanted), list[Batch]()
    for group in log.groups(cuts):
        fold = Fold(wanted, fold.snapshot())
        rows += fold.take(group)
    assert (joined(rows), fold.snapshot()) == folded(wanted, log, [])


@pytest.mark.kernel
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_any_number_of_shards_gives_the_rows_of_one(wanted: Job, shards: int) -> None:
    log = market_log(600, seed=4)
    cuts = list(range(0, len(log.rows), 17))
    parallel = ParallelDriver(wanted, log.groups(cuts), log.symbols, shards)
    assert joined(list(parallel.rows())) == folded(wanted, log, cuts)[0]


@pytest.mark.parametrize("lost", [1, 40, 200, 1000])
def test_derived_rows_that_a_crash_cut_from_the_log_come_back_once(
    lost: int, wanted: Job, tmp_path: Path
) -> None:
    log = market_log(400, seed=5)
    slices = log.slices(100)
    symbols = Symbols(log.symbols)
    plant = opened(tmp_path, symbols)
    driver = attached(wanted, plant)
    for rows in slices:
        plant.publish(rows)
    inputs_end = plant.journal.log.end
    driver.pump()
    plant.journal.abandon()
    (path,) = (tmp_path / "journal").glob("*.log")
    kept = path.read_bytes()
    # The last rows are derived ones: an end of them is torn off, in the middle of a message.
    path.write_bytes(kept[: max(len(kept) - lost, inputs_end)])
    plant = opened(tmp_path, symbols)
    finish(attached(wanted, plant, ALWAYS), plant)
    assert recorded(wanted, tmp_path) == recomputed(wanted, tmp_path)


def test_a_stream_that_joins_later_takes_units_and_names_from_before(tmp_path: Path) -> None:
    log = market_log(600, seed=6)
    slices = log.slices(200)
    symbols = Symbols(log.symbols)
    plant = opened(tmp_path, symbols)
    plant.publish(slices[0])
    plant.close()
    plant = opened(tmp_path, symbols)
    driver = attached(make("pairs"), plant)
    before = plant.journal.next_seq
    for rows in slices[1:]:
        plant.publish(rows)
        driver.pump()
    finish(driver, plant)
    spreads = [
        (symbols.name(sym), value)
        for rows in _signals(tmp_path)
        for sym, name, value, cause in zip(*rows, strict=True)
        if symbols.name(name) == "spread" and cause >= before
    ]
    assert {name for name, _ in spreads} == {"AAA/BBB", "CCC/DDD", "AAA/EEE", "BBB/CCC"}
    # Prices are near 100, so a unit that was not known would show as a factor of hundreds.
    assert all(abs(value) < 1.0 for name, value in spreads if name in ("AAA/BBB", "AAA/EEE"))


def _signals(root: Path) -> list[list[list[Any]]]:
    names = ("sym", "name", "value", "cause")
    return [
        [rows.columns[name].tolist() for name in names]
        for rows in logged(root, Symbols())
        if rows.table.name == "signal"
    ]


class Broken:
    """An operator with a mistake."""

    def __init__(self) -> None:
        self.inner = find("bars")
        for name in ("name", "version", "scope", "outputs", "parameters", "tables"):
            setattr(self, name, getattr(self.inner, name))
        self.calls = 0

    def initial(self, params: Any) -> Any:
        return self.inner.initial(params)

    def step(self, state: Any, batch: Batch) -> Any:
        self.calls += 1
        if self.calls == 3:
            raise ZeroDivisionError("my own mistake")
        return self.inner.step(state, batch)


def test_an_operator_that_fails_is_stopped_and_said_so_and_the_plant_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = market_log(300, seed=7)
    broken: Any = Broken()
    plant = opened(tmp_path, Symbols(log.symbols))
    driver = attached(job("broken", broken, {}), plant)
    for rows in log.slices(50):
        plant.publish(rows)
        driver.pump()
    driver.close()
    plant.close()
    driver.keep()
    assert isinstance(driver.failure, ZeroDivisionError)
    assert broken.calls == 3
    assert "stream broken failed after seq" in caplog.text
    assert sum(map(len, log.slices(300)[0].batches)) > 0
    assert len(_trades(tmp_path)) == len([1 for table, _ in log.rows if table.name == "trade"])


def _trades(root: Path) -> list[int]:
    return [
        seq
        for rows in logged(root, Symbols())
        if rows.table.name == "trade"
        for seq in rows.columns["seq"].tolist()
    ]


LIGHT = """
import importlib, pkgutil, sys
BEFORE = {name.partition(".")[0] for name in sys.modules}
ALLOWED = {"tickloop", "numpy", "numba", "llvmlite", *sys.stdlib_module_names}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED and not name.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
from tickloop.analytics import operators
prefix = "tickloop.analytics.operators."
names = [m.name for m in pkgutil.walk_packages(operators.__path__, prefix)]
parts = ("entry", "share", "keys", "unpack")
job = [f"tickloop.streaming.flink.{part}" for part in parts]
for name in [*names, *job, "tickloop.core.snapshot", "tickloop.streaming.fold"]:
    importlib.import_module(name)
foreign = {name.partition(".")[0] for name in sys.modules} - ALLOWED - BEFORE
areas = {".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("tickloop.")}
print(len(names) > 10, sorted(n for n in foreign if not n.startswith("_sysconfigdata")
      and sys.modules[n].__spec__ is not None), sorted(areas))
"""


def test_every_operator_and_the_job_need_numpy_and_numba_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIGHT], capture_output=True, text=True, check=True
    )
    areas = [f"tickloop.{area}" for area in ("analytics", "core", "streaming", "tickerplant")]
    assert done.stdout.strip() == f"True [] {areas}"


def test_a_state_has_no_more_bytes_than_its_operator_says() -> None:
    symbols = 600
    rows: dict[str, Any] = {
        "time": np.arange(symbols), "sym": np.arange(symbols, dtype=np.int32),
        "bid": np.full(symbols, 100), "ask": np.full(symbols, 101),
        "bsize": np.full(symbols, 1), "asize": np.full(symbols, 1), "seq": np.arange(symbols),
    }  # fmt: skip
    fold = Fold(make("minute"))
    fold.take([Batch(QUOTE, rows)])
    # 1,024 slots of 160 bytes and as many ids of 4.
    assert len(fold.snapshot()) <= 1024 * (160 + 4) + 4096
