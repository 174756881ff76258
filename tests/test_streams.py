"""Parts of streams by themselves: parameters, snapshots, merges, orders, ticks, finding."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market_log import SECOND, START, columns_of, market_log
from tickloop.analytics.operators.bars import Bars
from tickloop.core.batch import Batch, slice_of
from tickloop.core.errors import ConfigError, OperatorError, SnapshotError
from tickloop.core.hashing import shard_of
from tickloop.core.instruments import Instruments
from tickloop.core.operator import State
from tickloop.core.parameters import Parameter, live_change, settings
from tickloop.core.schema import CLOCK, DEPTH, JOURNAL, QUOTE, TRADE, Table
from tickloop.core.snapshot import Snapshot, as_bytes, from_bytes, restored
from tickloop.core.symbols import Symbols
from tickloop.streaming.finding import find, names
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import job
from tickloop.streaming.merge import Merge, before_clocks
from tickloop.streaming.order import Pending, steps
from tickloop.streaming.ticks import at_ticks
from tickloop.tickerplant.inside import Insider
from tickloop.tickerplant.surface import Surfacer

SPAN = Parameter("interval", 1_000, "length", "ns", minimum=1, maximum=10**15)
NUMBER = Parameter("entry", 2.0, "deviations", minimum=0.0, live=True)
CHOICE = Parameter("kind", "time", "what", choices=("time", "ticks"))


# Parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [("1s", SECOND), ("500ms", SECOND // 2), ("1.5m", 90 * SECOND), ("2h", 7200 * SECOND),
     ("1d", 86_400 * SECOND), ("7", 7), (7, 7), ("3us", 3000), ("9 ns", 9)],
)  # fmt: skip
def test_spans_are_read_with_their_units(text: Any, value: int) -> None:
    assert settings([SPAN], {"interval": text}, "s") == {"interval": value}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"interval": "0s"}, "s.interval: '0s' seen, a span such as 500ms, 1s or 5m of at least 1"),
        ({"interval": "soon"}, "'soon' seen"), ({"interval": 1.5}, "1.5 seen"),
        ({"entry": -1}, "s.entry: -1 seen, a number of at least 0"), ({"entry": "nan"}, "nan"),
        ({"kind": "tick"}, "one of time, ticks expected"), ({"interval": "inf"}, "'inf' seen"),
        ({"intervall": 1}, "did you mean 'interval'.*one of interval, entry, kind"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused_with_what_would_be(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings([SPAN, NUMBER, CHOICE], given, "s")


def test_control_rows_change_live_parameters_within_their_bounds_alone() -> None:
    declared = [SPAN, NUMBER, CHOICE]
    assert live_change(declared, "entry", 3.0) == 3.0
    assert live_change(declared, "entry", -3.0) is None
    assert live_change(declared, "interval", 3.0) is None
    assert live_change(declared, "other", 3.0) is None


def test_a_stream_s_name_can_be_a_file_s() -> None:
    with pytest.raises(ConfigError, match=r"stream '\.\./x' seen"):
        job("../x", Bars(), {})


# Snapshots


ARRAYS = {
    "longs": np.arange(5),
    "records": np.array([(1, 2.5, b"ab")], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "S3")]),
    "rings": np.ones((2, 3)),
    "none": np.empty((0, 4), dtype=np.int64),
    "names": np.array([b"AAA", b""]),
}


def test_a_snapshot_comes_back_as_it_was_and_its_arrays_can_be_written() -> None:
    data = as_bytes(Snapshot("op", 77, State(3, ARRAYS)))
    found = from_bytes(data)
    assert (found.operator, found.seq, found.state.version) == ("op", 77, 3)
    assert as_bytes(found) == data
    for name, array in ARRAYS.items():
        assert found.state.arrays[name].dtype == array.dtype
        assert found.state.arrays[name].shape == array.shape
        assert found.state.arrays[name].tobytes() == array.tobytes()
        assert found.state.arrays[name].flags.writeable


@given(cut=st.integers(0, 10**6), flip=st.integers(0, 10**6))
def test_damaged_bytes_are_refused_or_are_a_snapshot_never_a_crash(cut: int, flip: int) -> None:
    data = bytearray(as_bytes(Snapshot("op", 77, State(3, ARRAYS))))
    data[flip % len(data)] ^= 0x15
    for damaged in (bytes(data), bytes(data[: cut % len(data)])):
        try:
            from_bytes(damaged)
        except SnapshotError as error:
            assert "snapshot" in str(error)


def test_objects_do_not_come_out_of_a_snapshot() -> None:
    data = as_bytes(Snapshot("op", 1, State(1, {"a": np.zeros(1)})))
    with pytest.raises(SnapshotError, match="of objects"):
        from_bytes(data.replace(b'"<f8"', b'"|O8"'))


class Younger(Bars):
    """Bars whose state has another layout."""

    version = 3

    def migrate(self, state: State) -> State:
        """Bring versions 1 and 2 on; others cannot be read."""
        if state.version not in (1, 2):
            raise ValueError(f"nothing knows version {state.version}")
        return State(state.version + 1, {**state.arrays, f"v{state.version}": np.zeros(1)})


def kept(operator: Any, version: int) -> Snapshot:
    state = operator.initial(settings(operator.parameters, {}, "s"))
    return Snapshot("bars", 5, State(version, state.arrays))


def test_older_states_are_migrated_step_by_step() -> None:
    found = restored(Younger(), kept(Bars(), 1))
    assert found.version == 3
    assert {"v1", "v2"} <= set(found.arrays)


@pytest.mark.parametrize(
    ("operator", "version", "said"),
    [
        (Bars(), 0, "state of version 0 seen, 1 expected, and the operator has no migration"),
        (Bars(), 2, "written by newer code"), (Younger(), 0, "nothing knows version 0"),
        (find("signals"), 1, "operator 'bars' seen, 'signals' expected"),
    ],
)  # fmt: skip
def test_states_that_cannot_be_read_are_refused(operator: Any, version: int, said: str) -> None:
    with pytest.raises(SnapshotError, match=said):
        restored(operator, kept(Bars(), version))


# Shards, merges, orders


def test_a_name_s_shard_is_what_it_always_was() -> None:
    assert [shard_of(name, 16) for name in ("", "AAPL", "MSFT", "BTCUSDT", "é")] == SHARDS
    counts = np.bincount([shard_of(f"S{n}", 8) for n in range(8000)])
    assert counts.min() > 850


SHARDS = [0, 0, 12, 3, 6]


@given(seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
def test_shards_merge_to_one_order_however_they_arrive(seed: int, order: Any) -> None:
    log = market_log(200, seed)
    shards = 3
    queues: list[list[Batch]] = []
    for shard in range(shards):
        mine = [
            (table, row)
            for table, row in log.rows
            if row["sym"] < 0 or row["sym"] % shards == shard or table is CLOCK
        ]
        mine = [(t, r) for t, r in mine if t is CLOCK or r["sym"] >= 0 or shard == 0]
        cuts = sorted({order.randrange(len(mine)) for _ in range(9)} | {0})
        bounds = zip(cuts, [*cuts[1:], len(mine)], strict=True)
        queues.append([])
        for first, stop in bounds:
            part = mine[first:stop]
            group = [
                Batch(table, columns_of(table, [row for other, row in part if other is table]))
                for table in dict.fromkeys(table for table, _ in part)
            ]
            queues[-1] += list(before_clocks(group))
    merge, found = Merge(shards), list[tuple[str, int]]()
    while any(queues):
        shard = order.choice([index for index in range(shards) if queues[index]])
        batch = queues[shard].pop(0)
        # What came already may come again.
        for each in (batch, batch) if order.random() < 0.2 else (batch,):
            ready = merge.add(shard, each)
            seqs = sorted((int(seq), b.table.name) for b in ready for seq in b.columns["seq"])
            found += [(name, seq) for seq, name in seqs]
    assert found == [(table.name, row["seq"]) for table, row in log.rows]


def test_steps_are_runs_in_seq_order_of_tables_that_go_together() -> None:
    log = market_log(300, seed=1)
    together = frozenset({"trade", "clock"})
    order = []
    for step in steps(log.batches(), together):
        tables = {batch.table.name for batch in step}
        assert tables <= together or len(tables) == 1
        order += sorted(int(seq) for batch in step for seq in batch.columns["seq"])
    assert order == [row["seq"] for _, row in log.rows]


def rows_of(table: Table, *seqs: int) -> Batch:
    return Batch(table, {"seq": np.array(seqs)})


def seqs_of(group: Sequence[Batch]) -> list[list[int]]:
    return [batch.columns["seq"].tolist() for batch in group]


def test_a_group_is_complete_when_no_seq_of_it_is_out() -> None:
    pending = Pending()
    assert not pending.add(rows_of(TRADE, 1, 4))
    # Past the trades' end, and yet the quotes' rows lie between them.
    assert not pending.add(rows_of(DEPTH, 5, 6))
    assert seqs_of(pending.add(rows_of(QUOTE, 2, 3))) == [[1, 4], [5, 6], [2, 3]]
    assert seqs_of(pending.add(rows_of(TRADE, 7, 8))) == [[7, 8]]
    assert not pending.add(rows_of(TRADE, 10))
    assert seqs_of(pending.rest()) == [[10]]
    assert not pending.rest()
    assert seqs_of(pending.add(rows_of(QUOTE, 11))) == [[11]]


def test_rows_that_are_not_wanted_are_counted_and_left_out() -> None:
    pending = Pending()
    pending.begin(1)
    assert not pending.add(rows_of(TRADE, 2, 5))
    assert not pending.add(rows_of(DEPTH, 4), is_wanted=False)
    assert seqs_of(pending.add(rows_of(QUOTE, 1, 3))) == [[2, 5], [1, 3]]
    assert not pending.add(rows_of(DEPTH, 6, 7), is_wanted=False)
    assert seqs_of(pending.add(rows_of(TRADE, 8))) == [[8]]


@pytest.mark.parametrize("between", [TRADE, JOURNAL])
def test_a_hole_that_a_repair_left_holds_up_only_what_it_is_in(between: Table) -> None:
    pending = Pending()
    assert not pending.add(rows_of(TRADE, 1, 4))  # the quotes 2 and 3 are lost
    assert seqs_of(pending.add(rows_of(between, 9)))[0] == [1, 4]
    assert seqs_of(pending.add(rows_of(TRADE, 10, 11))) == [[10, 11]]


@given(
    data=st.data(),
    sizes=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6),
)
def test_however_tables_interleave_groups_are_what_was_published_in_its_order(
    data: st.DataObject, sizes: list[list[int]]
) -> None:
    pending, seq, found = Pending(), 1, list[int]()
    pending.begin(seq)
    for counts in sizes:
        seqs = data.draw(st.permutations(range(seq, seq + sum(counts))))
        seq += sum(counts)
        ends = np.cumsum(counts).tolist()
        batches = [
            rows_of(table, *sorted(seqs[end - count : end]))
            for table, count, end in zip((TRADE, QUOTE, DEPTH, CLOCK), counts, ends, strict=True)
        ]
        for batch in data.draw(st.permutations(batches)):
            if group := pending.add(batch):
                found += sorted(each for seqs in seqs_of(group) for each in seqs)
    assert found == list(range(1, seq))


def test_a_slice_is_cut_where_the_clock_ticks() -> None:
    times = np.array([START, START + 1, START + SECOND, START + 3 * SECOND, START + 3 * SECOND + 5])
    trades = Batch(TRADE, {"time": times, "trade_id": np.arange(5)})
    quotes = Batch(QUOTE, {"time": times + 1, "bid": np.arange(5)})
    rows = slice_of(trades, quotes)
    last = START + 1
    parts = list(at_ticks(rows, SECOND, last))
    assert [tick for tick, _ in parts] == [None, START + SECOND, START + 3 * SECOND]
    assert [part.rows for _, part in parts] == [4, 2, 4]
    ids = [b.columns["trade_id"].tolist() for _, part in parts for b in part.batches[:1]]
    assert ids == [[0, 1], [2], [3, 4]]
    for whole in (at_ticks(rows, 0, last), at_ticks(rows, SECOND, START + 9 * SECOND)):
        assert [(tick, part.rows) for tick, part in whole] == [(None, 10)]


# Inside rows


@given(seed=st.integers(0, 20))
def test_inside_rows_come_back_from_the_surface(seed: int) -> None:
    log = market_log(60, seed)
    known = Instruments()
    insider = Insider(log.symbols, known)
    for batch in log.batches():
        if batch.table.name == "instrument":
            insider.inside(_surfaced(batch, known))
    for batch in log.batches():
        found = insider.inside(_surfaced(batch, known)).columns
        for name, values in batch.columns.items():
            assert found[name].tobytes() == values.tobytes(), (batch.table.name, name)
    assert not insider.refused


def _surfaced(batch: Batch, known: Instruments) -> Batch:
    stamps = (batch.columns[name].astype(np.int64) for name in ("time", "seq"))
    return Surfacer(known, fractional=False).surface(batch, *stamps)


def test_values_between_units_are_null_and_counted() -> None:
    insider = Insider(Symbols(["A"]), Instruments())
    columns = columns_of(TRADE, [{"time": 1, "sym": 0, "size": 5, "seq": 1}] * 2)
    columns["price"] = np.array([1.5, 1.00001])
    found = insider.inside(Batch(TRADE, columns))
    assert found.columns["price"].tolist() == [15_000, -(2**63)]
    assert insider.refused == {"trade.price": 1}


# Finding


MY_OPERATOR = '''
"""Counts trades."""
import numpy as np
from tickloop.core.batch import Batch
from tickloop.core.operator import Scope, State
from tickloop.core.schema import SIGNAL

class Count:
    """How many trades there were."""
    name, version, scope = "count", 1, Scope.ALL
    tables, outputs, parameters = ("trade",), ("signal",), ()

    def initial(self, params):
        return State(1, {"count": np.zeros(1, dtype=np.int64)})

    def step(self, state, batch):
        rows = len(batch)
        counts = state.arrays["count"][0] + 1 + np.arange(rows)
        state.arrays["count"][0] += rows
        columns = batch.columns
        return state, [Batch(SIGNAL, {
            "time": columns["time"], "cause_time": columns["time"], "cause": columns["seq"],
            "ordinal": np.zeros(rows, dtype=np.int64), "sym": columns["sym"],
            "name": np.full(rows, b"count"), "value": counts.astype(float)})]
'''


def test_an_operator_is_found_by_name_and_in_a_file(tmp_path: Path) -> None:
    assert names()[:4] == ["bars", "signals", "pairs", "quality"]
    path = tmp_path / "my_op.py"
    path.write_text(MY_OPERATOR)
    assert [find(name).name for name in (*names()[:4], str(path))] == [*names()[:4], "count"]


def test_the_page_s_operator_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "streams.md").read_text()
    path = tmp_path / "my_op.py"
    path.write_text(page.split("```python\n")[1].split("```")[0])
    fold = Fold(job("mine", find(str(path)), {"first": 7}))
    log = market_log(200, seed=1)
    values = [
        value for each in fold.take(log.batches()) for value in each.columns["value"].tolist()
    ]
    assert values == [8.0 + n for n in range(len(log.of(TRADE)))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "one class with name, version, .* expected, seen none"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"), ("def", "cannot be loaded: SyntaxError"),
        (MY_OPERATOR + "class Two(Count):\n    pass\n", "seen Count, Two"),
        (MY_OPERATOR.replace('"signal",), ()', '"trade",), ()'), "it reads trade, which it also"),
    ],
)  # fmt: skip
def test_a_file_without_one_operator_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad_op.py"
    path.write_text(text)
    with pytest.raises(OperatorError, match=said):
        find(str(path))


@pytest.mark.parametrize("wanted", ["barz", "no/such.py"])
def test_what_is_not_there_is_refused(wanted: str) -> None:
    with pytest.raises(OperatorError, match=r"there are bars, signals|no such file"):
        find(wanted)
