"""A function in the plant's process is given rows as any subscriber is: from a seq, then live."""

import logging
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.plants import (
    NOON,
    logged,
    mixed,
    plant_at,
    publish_trades,
    quotes,
    small_journal,
    trades,
)
from tickloop.core.batch import Batch, slice_of
from tickloop.core.errors import SchemaError
from tickloop.core.schema import TRADE
from tickloop.tickerplant.callback_subscriber import CallbackSubscriber
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.log_file import Sync

DAY_NS = 86_400_000_000_000


class Kept:
    """Keeps what a function is given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, rows: Batch) -> None:
        self.batches.append(rows)

    def column(self, name: str, table: str = "trade") -> list[object]:
        found: list[object] = []
        for batch in self.batches:
            if batch.table.name == table:
                found.extend(batch.columns[name].tolist())
        return found


def test_a_function_is_given_rows_of_the_tables_symbols_and_columns_it_asked_for(
    tmp_path: Path,
) -> None:
    plant, _ = plant_at(tmp_path)
    kept, everything = Kept(), Kept()
    plant.subscribe(
        CallbackSubscriber(
            plant, kept, tables=["trade"], symbols=["S1", "S4"], columns=["trade_id", "sym"]
        )
    )
    plant.subscribe(CallbackSubscriber(plant, everything))
    plant.publish(mixed(plant.symbols, 20))
    assert kept.column("trade_id") == [n for n in range(20) if n % 5 in (1, 4)]
    assert all(batch.table.names == ("sym", "trade_id") for batch in kept.batches)
    assert everything.column("trade_id") == list(range(20))
    assert everything.column("bsize", "quote") == [100 + n for n in range(20)]
    assert "journal" in {batch.table.name for batch in everything.batches}
    plant.close()


@pytest.mark.parametrize("back", [0, 1, 7, 1000])
def test_a_function_that_starts_in_the_past_misses_and_repeats_nothing(
    tmp_path: Path, back: int
) -> None:
    plant, _ = plant_at(tmp_path, journal=small_journal(Sync.NONE))
    for start in range(0, 500, 25):
        plant.publish(slice_of(trades(plant.symbols, 25, start=start)))
    records = np.zeros(30, dtype=Layout(TRADE).record_dtype)
    records["time"], records["trade_id"], records["sym"] = NOON, np.arange(500, 530), 0
    # Rows that wait to be logged together are of the past, too.
    last = plant.publish_rows(TRADE, records)
    kept = Kept()
    start = max(last + 1 - back, 1)
    plant.subscribe(CallbackSubscriber(plant, kept, tables=["trade"]), start=start)
    past = kept.column("seq")
    plant.publish_rows(TRADE, records)
    publish_trades(plant, 5, start=600)
    plant.close()
    assert kept.column("seq") == [seq for seq, _ in logged(tmp_path) if seq >= start]
    assert len(past) == len([seq for seq in kept.column("seq") if seq in past])


def test_a_function_hears_of_the_session_s_end_live_and_from_the_log(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    told: list[list[object]] = [[], []]

    def subscribe(place: list[object], start: int | None) -> None:
        plant.subscribe(
            CallbackSubscriber(
                plant, lambda rows: place.append(rows.columns["trade_id"].tolist()),
                tables=["trade"], on_end=place.append,
            ),
            start=start,
        )  # fmt: skip

    subscribe(told[0], None)
    publish_trades(plant, 2)
    plant.publish(slice_of(trades(plant.symbols, 2, start=2, time=NOON + DAY_NS)))
    subscribe(told[1], 0)
    publish_trades(plant, 1, start=4)
    plant.close()
    assert told[0] == told[1] == [[0, 1], date(2025, 12, 31), [2, 3], [4]]


def test_a_function_that_fails_is_stopped_and_said_so_and_the_plant_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant, memory = plant_at(tmp_path)
    calls: list[int] = []

    def fail(rows: Batch) -> None:
        calls.append(len(rows))
        raise ZeroDivisionError("my own mistake")

    kept = Kept()
    failing = CallbackSubscriber(plant, fail, tables=["trade"])
    plant.subscribe(failing)
    plant.subscribe(CallbackSubscriber(plant, kept, tables=["trade"]))
    with caplog.at_level(logging.ERROR):
        publish_trades(plant, 3)
        publish_trades(plant, 3, start=3)
    assert calls == [3]
    assert isinstance(failing.failure, ZeroDivisionError)
    assert "is not called again" in caplog.text
    assert "my own mistake" in caplog.text
    assert kept.column("trade_id") == list(range(6))
    assert memory.rows("trade")["trade_id"].tolist() == list(range(6))
    plant.close()


def test_what_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    with pytest.raises(SchemaError, match="table 'trades' seen, one of bar, book, clock"):
        CallbackSubscriber(plant, Kept(), tables=["trades"])
    subscriber = CallbackSubscriber(plant, Kept())
    with pytest.raises(SchemaError, match="seq 9 asked for, at most 1 expected"):
        plant.subscribe(subscriber, start=9)
    with pytest.raises(SchemaError, match="trade: column 'prize' seen, one of time, sym, price"):
        CallbackSubscriber(plant, Kept(), tables=["trade"], columns=["prize"])


def test_an_unsubscribed_function_is_given_nothing_more(tmp_path: Path) -> None:
    plant, _ = plant_at(tmp_path)
    kept = Kept()
    subscriber = CallbackSubscriber(plant, kept, tables=["trade", "quote"])
    plant.subscribe(subscriber)
    publish_trades(plant, 2)
    plant.unsubscribe(subscriber)
    plant.publish(slice_of(quotes(plant.symbols, 2)))
    assert kept.column("trade_id") == [0, 1]
    assert kept.column("bid", "quote") == []
    plant.close()
