"""The plant gives every row one place in one order, and the log says the same as the store."""

from pathlib import Path

import numpy as np
import pytest

from tests.plants import (
    NOON,
    Memory,
    logged,
    mixed,
    plant_at,
    publish_trades,
    small_journal,
    trades,
)
from tickloop.core.batch import Batch, slice_of
from tickloop.core.catalog import Catalog
from tickloop.core.errors import SchemaError
from tickloop.core.schema import INSTRUMENT, TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.log_file import Sync


def test_rows_of_two_tables_keep_the_feed_s_order_in_seq(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    plant.publish(mixed(plant.symbols, 10))
    trade, quote = memory.rows("trade"), memory.rows("quote")
    assert (quote["seq"] == trade["seq"].astype(np.int64) + 1).all()
    assert (np.diff(trade["seq"]) == 2).all()
    plant.close()


def test_every_seq_is_used_once_over_all_tables(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    for start in range(0, 3000, 100):
        plant.publish(mixed(plant.symbols, 100, start=start))
    plant.close()
    seqs = np.sort(np.concatenate([batch.columns["seq"] for batch in memory.batches]))
    assert (seqs == np.arange(1, len(seqs) + 1)).all()
    assert memory.published == seqs[-1]


def test_the_log_holds_exactly_the_rows_that_the_store_was_given(tmp_path: Path) -> None:
    symbols = Symbols()
    plant, memory = plant_at(tmp_path, symbols=symbols)
    plant.publish(mixed(symbols, 500))
    plant.publish(mixed(symbols, 1, start=500))
    plant.close()
    read = Memory()
    for rows in JournalReader(tmp_path / "journal", Catalog(), symbols).messages(-1):
        read.append(rows)
    for table in ("trade", "quote", "symbol", "clock", "journal"):
        ours, theirs = memory.rows(table), read.rows(table)
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name], err_msg=f"{table}.{name}")


def test_time_never_decreases_in_seq_even_if_the_feed_s_does(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    rows = trades(plant.symbols, 6)
    times = NOON + np.array([5, 3, 9, 1, 9, 10])
    plant.publish(slice_of(Batch(TRADE, {**rows.columns, "time": times})))
    assert (memory.rows("trade")["time"] - NOON).tolist() == [5, 5, 9, 9, 9, 10]
    plant.publish(slice_of(Batch(TRADE, {**rows.columns, "time": times})))
    assert (memory.rows("trade")["time"][6:] - NOON).tolist() == [10] * 6


def test_a_clock_row_stands_before_the_first_row_of_each_second(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    plant.publish(slice_of(trades(plant.symbols, 5, step_ns=700_000_000)))
    clock, trade = memory.rows("clock"), memory.rows("trade")
    merged = sorted(
        [(int(seq), "clock") for seq in clock["seq"]]
        + [(int(seq), "trade") for seq in trade["seq"]]
    )
    # Trades at 0, 0.7, 1.4, 2.1 and 2.8 s.
    assert "".join(name[0] for _, name in merged) == "cttctctt"
    assert ((clock["time"] - NOON) // 1_000_000_000).tolist() == [0, 1, 2]


def test_where_slices_are_cut_changes_no_row(tmp_path: Path) -> None:
    found = []
    for name, cut in (("whole", 400), ("pieces", 7)):
        (tmp_path / name).mkdir()
        plant, memory = plant_at(tmp_path / name)
        plant.symbols.ids(["S0", "S1", "S2", "S3", "S4", "XTST"])
        every = trades(plant.symbols, 400, step_ns=10_000_000)
        for first in range(0, 400, cut):
            part = {name: values[first : first + cut] for name, values in every.columns.items()}
            plant.publish(slice_of(Batch(TRADE, part)))
        plant.close()
        found.append({**memory.rows("trade"), "clock": memory.rows("clock")["time"]})
    for name in ("time", "sym", "price", "trade_id", "clock"):
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_two_replays_of_the_same_slices_give_equal_logs(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        plant, _ = plant_at(tmp_path / name)
        for start in range(0, 1000, 50):
            plant.publish(mixed(plant.symbols, 50, start=start))
        plant.close()
        log = logs(tmp_path / name / "journal")[0]
        written.append((log.name, log.read_bytes(), log.with_suffix(".idx").read_bytes()))
    assert written[0] == written[1]


def test_one_message_a_row_gives_the_same_rows_as_a_batch(tmp_path: Path) -> None:
    symbols = Symbols()
    for name in ("batch", "rows"):
        (tmp_path / name).mkdir()
    plant, expected = plant_at(tmp_path / "batch", symbols=symbols)
    publish_trades(plant, 300)
    plant.close()
    trade = expected.rows("trade")
    records = np.zeros(300, dtype=Layout(TRADE).record_dtype)
    for name, values in trade.items():
        records[name] = values
    records["seq"] = 0
    plant, memory = plant_at(tmp_path / "rows", symbols=symbols)
    for row in range(300):
        plant.publish_rows(TRADE, records[row : row + 1])
    plant.close()
    got = memory.rows("trade")
    for name in trade:
        if name != "seq":
            np.testing.assert_array_equal(got[name], trade[name], err_msg=name)
    assert [value for _, value in logged(tmp_path / "rows")] == list(range(300))
    assert [seq for seq, _ in logged(tmp_path / "rows")] == got["seq"].tolist()


def test_a_session_rolls_into_a_log_of_its_own_that_tells_all_symbols(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    publish_trades(plant, 10)
    day = 86_400_000_000_000
    plant.publish(slice_of(trades(plant.symbols, 10, start=10, time=NOON + day)))
    plant.close()
    found = logs(tmp_path / "journal")
    assert [log.name for log in found] == ["2025-12-31.log", "2026-01-01.log"]
    found[0].unlink()
    assert len(logged(tmp_path, "symbol")) == 6
    assert [value for _, value in logged(tmp_path)] == list(range(10, 20))


def test_reading_from_a_seq_gives_what_comes_after_it_and_nothing_else(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    for start in range(0, 2000, 10):
        publish_trades(plant, 10, start=start)
    plant.close()
    everything = logged(tmp_path)
    for after in (0, 1, 555, 1200, everything[-1][0] - 1, everything[-1][0]):
        assert logged(tmp_path, after=after) == [row for row in everything if row[0] > after]


def test_prices_are_the_nearest_doubles(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    rows = trades(plant.symbols, 3)
    prices = np.array([1_001_000, 3_333, -(2**63)])
    plant.publish(slice_of(Batch(TRADE, {**rows.columns, "price": prices})))
    got = memory.rows("trade")["price"]
    assert got[0] == 100.1
    assert got[1] == 0.3333
    assert np.isnan(got[2])


def test_a_price_too_large_to_be_exact_is_refused_and_counted(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path)
    rows = trades(plant.symbols, 2)
    plant.publish(slice_of(Batch(TRADE, {**rows.columns, "price": np.array([2**53 + 1, 5])})))
    assert np.isnan(memory.rows("trade")["price"][0])
    assert plant.refused == {"trade.price": 1}


def test_fractional_sizes_are_refused_where_sizes_are_longs(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    row = {
        "time": np.array([NOON]),
        "sym": plant.symbols.ids(["BTCUSDT"]),
        "price_unit": np.array([-8], dtype=np.int32),
        "size_unit": np.array([-8], dtype=np.int32),
    }
    with pytest.raises(SchemaError, match="fractional quantities into a new --data directory"):
        plant.publish(slice_of(Batch(INSTRUMENT, row)))


def test_a_live_plant_logs_the_passing_of_time_when_no_rows_come(tmp_path: Path) -> None:
    plant, memory = plant_at(tmp_path, live=True)
    publish_trades(plant, 1)
    plant.tick()
    before = len(memory.rows("clock")["seq"])
    plant._stamper._last_tick -= 5
    plant.tick()
    assert len(memory.rows("clock")["seq"]) == before + 1
    plant.close()


def test_rows_of_a_crashed_session_are_found_after_the_next_session_began(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    publish_trades(plant, 10)
    plant.journal.abandon()
    day = 86_400_000_000_000
    plant, _ = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    plant.publish(slice_of(trades(plant.symbols, 5, start=10, time=NOON + day)))
    plant.close()
    everything = logged(tmp_path)
    assert [value for _, value in everything] == list(range(15))
    # The crashed log's index does not reach its last rows.
    last = everything[9][0]
    assert [value for _, value in logged(tmp_path, after=last - 1)] == list(range(9, 15))
