"""What operators compute, against slow oracles that work it out from the whole past."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.market_log import NAMES, SECOND, START, VENUES, MarketLog, columns_of, market_log
from tests.operator_oracles import (
    feed_counts,
    signals_at_every_row,
    spread_path,
    threshold_bars,
    time_bars,
    weighted,
)
from tickloop.analytics.operators.pairs import Pairs
from tickloop.analytics.operators.quality import bucket_bounds
from tickloop.analytics.operators.quality_kernels import BUCKETS, bucket_of
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_LONG, NULL_SYMBOL
from tickloop.core.errors import ConfigError
from tickloop.core.schema import CLOCK, CONTROL, QUOTE, TRADE, Table
from tickloop.streaming.drivers.batch import Driver
from tickloop.streaming.finding import find
from tickloop.streaming.fold import Fold
from tickloop.streaming.job import job

pytestmark = pytest.mark.kernel


def made(operator: str, log: MarketLog, table: str = "", **params: Any) -> pd.DataFrame:
    """Run an operator over a log in one go; derived rows as a frame."""
    rows = Driver(job(operator, find(operator), params), log.groups([])).rows()
    found = [each for each in rows if not table or each.table.name == table]
    frames = [pd.DataFrame(dict(each.columns)) for each in found]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def fed(operator: str, rows: Sequence[tuple[Table, dict[str, Any]]], **params: Any) -> pd.DataFrame:
    """Run an operator over a few rows; their seqs count from 0, times are nanoseconds."""
    fold = Fold(job(operator, find(operator), params))
    frames = []
    for seq, (table, row) in enumerate(rows):
        batch = Batch(table, columns_of(table, [{"time": seq, "sym": 0, **row, "seq": seq}]))
        frames += [pd.DataFrame(dict(each.columns)) for each in fold.take([batch])]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


BAR_VALUES = (
    "sym", "start", "count", "volume", "vwap", "spread", "imbalance", "open", "high", "low",
    "close",
)  # fmt: skip


@pytest.mark.parametrize("interval", [SECOND, 7 * SECOND, 1_300_000_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_bars_by_time_are_those_of_pandas(interval: int, seed: int) -> None:
    log = market_log(700, seed)
    bars = made("bars", log, interval=interval).sort_values(["start", "sym"], ignore_index=True)
    expected = time_bars(log, interval)
    assert len(bars) > 30
    for name in BAR_VALUES:
        np.testing.assert_allclose(
            bars[name].astype(float), expected[name].astype(float), rtol=1e-12, err_msg=name
        )
    assert (bars["interval"] == interval).all()
    assert (bars["kind"] == ord("T")).all()
    assert bars["threshold"].isna().all()


@pytest.mark.parametrize(
    ("kind", "threshold", "letter"),
    [("ticks", 5, "N"), ("volume", 3000, "V"), ("money", 250_000, "M")],
)
def test_bars_by_what_traded_are_cut_where_an_exact_sum_reaches_the_threshold(
    kind: str, threshold: float, letter: str
) -> None:
    log = market_log(800, seed=3)
    bars = made("bars", log, kind=kind, threshold=threshold)
    expected = threshold_bars(log, kind, threshold)
    assert len(bars) > 20
    for name in (*BAR_VALUES, "cause"):
        np.testing.assert_allclose(
            bars[name].astype(float), expected[name].astype(float), rtol=1e-12, err_msg=name
        )
    assert (bars["interval"] == NULL_LONG).all()
    assert (bars["kind"] == ord(letter)).all()
    assert (bars["threshold"] == threshold).all()


def test_a_bar_is_caused_by_the_first_row_past_its_end_and_a_clock_row_closes_a_quiet_symbol() -> (
    None
):
    trade = {"price": 1_000_000, "size": 10, "side": ord("B")}
    clock = {"sym": NULL_SYMBOL}
    bars = fed(
        "bars",
        [
            (TRADE, trade | {"time": 100}),
            (TRADE, trade | {"time": 150, "sym": 1}),
            (QUOTE, {"time": 1001, "bid": 1, "ask": 2}),
            (CLOCK, clock | {"time": 1500}),
            (CLOCK, clock | {"time": 2000}),
        ],
        interval=1000,
    )
    # Symbol 0 by its own quote, symbol 1 by the clock; the empty interval after has no bar.
    assert bars[["sym", "cause", "cause_time", "start"]].to_numpy().tolist() == [
        [0, 2, 1001, 0],
        [1, 3, 1500, 0],
    ]
    assert bars["vwap"].tolist() == [100.0, 100.0]


def test_trades_without_volume_or_price_make_no_bar() -> None:
    rows = [
        (TRADE, {"price": 1_000_000, "size": 0}),
        (TRADE, {"price": NULL_LONG, "size": 5}),
        (TRADE, {"price": 1_000_000, "size": 5, "sym": NULL_SYMBOL}),
        (CLOCK, {"time": 10_000, "sym": NULL_SYMBOL}),
    ]
    assert fed("bars", rows, interval=1000).empty


@pytest.mark.parametrize("seed", [4, 5])
def test_signals_are_those_of_their_formulas(seed: int) -> None:
    log = market_log(500, seed)
    settings: dict[str, Any] = {"bucket": 400, "buckets": 4, "samples": 5}
    signals = made("signals", log, interval=0, **settings)
    expected = pd.DataFrame(signals_at_every_row(log, **settings))
    assert set(expected["name"]) == {
        "mid", "microprice", "ofi", "queue_imbalance", "vpin", "volatility", "trade_sign",
    }  # fmt: skip
    assert [name.decode() for name in signals["name"]] == expected["name"].tolist()
    assert signals["cause"].tolist() == expected["cause"].tolist()
    np.testing.assert_allclose(signals["value"], expected["value"], rtol=1e-12)


def test_signals_of_an_interval_are_the_last_ones_in_it_and_flow_is_summed() -> None:
    log = market_log(600, seed=6)
    every = pd.DataFrame(signals_at_every_row(log, 10**6, 1, 10**4))
    times = {row["seq"]: row["time"] for _, row in log.rows}
    every["start"] = [times[cause] // SECOND * SECOND for cause in every["cause"]]
    flows = every[every["name"] == "ofi"].groupby(["start", "sym"])["value"].sum()
    signals = made("signals", log, interval="1s", only="ofi mid")
    names = [name.decode() for name in signals["name"]]
    assert set(names) == {"ofi", "mid"}
    found = signals[[name == "ofi" for name in names]]
    assert found["value"].tolist() == [float(each) for each in flows.tolist()]


def test_pairs_follow_the_weighted_integral_of_the_spread() -> None:
    log = market_log(900, seed=7)
    half_life = 3 * SECOND
    rows = made("pairs", log, pairs="AAA/BBB*0.7", half_life=half_life, warm_up=0, interval=SECOND)
    path = spread_path(log, "AAA", "BBB", 0.7)
    values = {
        (int(cause), name.decode()): value
        for cause, name, value in zip(rows["cause"], rows["name"], rows["value"], strict=True)
    }
    checked = 0
    for (cause, name), mean in values.items():
        if name != "mean":
            continue
        time = next(row["time"] for _, row in log.rows if row["seq"] == cause)
        past = [point for point in path if point[0] < cause]
        expected, variance = weighted(past, time, half_life)
        assert mean == pytest.approx(expected, rel=1e-9)
        assert values[cause, "deviation"] == pytest.approx(math.sqrt(variance), rel=1e-7)
        z = (past[-1][2] - expected) / math.sqrt(variance)
        assert values[cause, "z"] == pytest.approx(z, rel=1e-6, abs=1e-9)
        checked += 1
    assert checked > 10


def _walk(mids: Sequence[int], *, refreshed: bool = True, **params: Any) -> list[str]:
    """Give the events of a pair whose first leg moves and whose second stands still."""
    fold = Fold(job("pairs", Pairs(), {"pairs": "AAA/BBB", "interval": 0, **params}))
    log = market_log(0, seed=0)
    still = {"sym": 1, "bid": 10_000, "ask": 10_000}
    rows: list[tuple[Table, dict[str, Any]]] = [(QUOTE, still | {"time": START})]
    for step, mid in enumerate(mids):
        at = START + (step + 1) * SECOND
        rows.append((CLOCK, {"time": at, "sym": NULL_SYMBOL}))
        rows += [(QUOTE, still | {"time": at})] if refreshed else []
        rows.append((QUOTE, {"sym": 0, "time": at, "bid": mid, "ask": mid}))
    events: list[str] = []
    fold.take(log.batches())
    for seq, (table, row) in enumerate(rows, start=len(log.rows) + 1):
        for each in fold.take([Batch(table, columns_of(table, [{**row, "seq": seq}]))]):
            events += [name.decode() for name in each.columns["name"].tolist()]
    return events


# The mean is 1,000,050 then, a deviation 50.
CALM = [1_000_000, 1_000_100] * 20
FAST: dict[str, Any] = {"half_life": "10s", "warm_up": "25s"}
ENTRY = [*CALM, 1_000_190]


def test_a_pair_is_entered_far_from_its_mean_and_left_near_it() -> None:
    assert _walk(CALM, **FAST) == []
    assert _walk([*ENTRY, 1_000_050], **FAST) == ["entry_short", "exit"]
    assert _walk([*CALM, 999_910, 1_000_050], **FAST) == ["entry_long", "exit"]


def test_a_pair_is_stopped_further_away_and_entered_again_only_after_it_was_back() -> None:
    stopped = [*ENTRY, 1_000_600]
    assert _walk(stopped, **FAST) == ["entry_short", "stop"]
    assert _walk([*CALM, 1_000_600], **FAST) == []
    assert _walk([*stopped, 999_400, 1_000_700], **FAST) == ["entry_short", "stop"]
    back = [*stopped, *[1_000_080] * 3]
    assert _walk([*back, 999_700], **FAST) == ["entry_short", "stop", "entry_long"]


def test_a_position_that_is_held_too_long_times_out() -> None:
    assert _walk([*ENTRY, *[1_000_190] * 9], **FAST, hold="3s", exit=0) == [
        "entry_short",
        "timeout",
    ]


def test_a_pair_is_not_entered_on_a_stale_leg_or_before_it_is_warm() -> None:
    assert _walk(ENTRY, **FAST, stale=0) == ["entry_short"]
    assert _walk(ENTRY, **FAST, stale="5s", refreshed=False) == []
    assert _walk(ENTRY, half_life="10s", warm_up="1h") == []
    assert _walk(ENTRY, **FAST, entry=3.5) == []


def test_control_rows_change_what_may_change_of_the_stream_they_name() -> None:
    fold = Fold(job("desk", Pairs(), {"pairs": "AAA/BBB"}))
    rows = [
        (b"desk.entry", 3.5), (b"other.entry", 9.0), (b"desk.half_life", 1.0), (b"desk.stop", -1.0),
        (b"desk.exit", math.nan),
    ]  # fmt: skip
    for seq, (name, value) in enumerate(rows):
        columns = columns_of(CONTROL, [{"time": 0, "value": value, "seq": seq}])
        fold.take([Batch(CONTROL, {**columns, "name": np.array([name])})])
    fresh = Fold(job("desk", Pairs(), {"pairs": "AAA/BBB", "entry": 3.5}))
    fresh.seq = fold.seq
    assert fold.snapshot() == fresh.snapshot()


@pytest.mark.parametrize("text", ["AAA", "AAA/", "AAA/BBB/CCC", "AAA/AAA", "AAA/BBB*x", "A/B*nan"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="two symbols as A/B"):
        Fold(job("pairs", Pairs(), {"pairs": text}))


def test_feeds_are_counted_from_close_to_close() -> None:
    log = market_log(900, seed=8)
    interval = 5 * SECOND
    found = made("quality", log, "quality", interval=interval, gap=SECOND, stale=SECOND)
    venue_of = {NULL_SYMBOL: NULL_SYMBOL, **{len(NAMES) + n: len(NAMES) + n for n in range(2)}}
    assert set(found["sym"]) == set(venue_of)
    closes = sorted(set(found["cause_time"]))
    assert len(closes) > 5
    start = START
    for close in closes:
        counts = feed_counts(log, start, close)
        for _, row in found[found["cause_time"] == close].iterrows():
            expected = counts[row["sym"]]
            for name in ("rows", "trades", "quotes", "crossed", "locked"):
                assert row[name] == expected[name], (name, close)
        start = close
    assert found["rows"].sum() == sum("ex" in row for _, row in log.rows)
    assert found["gaps"].sum() > 0
    assert len(VENUES) == 2


def test_delays_are_counted_in_buckets_that_hold_them() -> None:
    log = market_log(500, seed=9)
    rows = made("quality", log, "delay", interval=10**9)
    quality = made("quality", log, "quality", interval=10**9)
    delays = [
        row["time"] - row["venue_time"]
        for _, row in log.rows
        if row.get("venue_time", NULL_LONG) != NULL_LONG
    ]
    assert rows["count"].sum() == len(delays)
    assert quality["delay_max"].max() == max(delays)
    for above, below in {*zip(rows["above"], rows["below"], strict=True)}:
        inside = sum(max(above, -(2**62)) <= delay < below for delay in delays)
        assert rows.loc[rows["below"] == below, "count"].sum() == inside
    for _, row in quality[quality["delay_p50"] != NULL_LONG].iterrows():
        assert row["delay_p50"] <= row["delay_p99"]


@pytest.mark.parametrize(
    "delay", [-(2**40), -1, 0, 7, 8, 15, 16, 1000, 10**9, 2**53 - 1, 2**56 - 1, 2**56, 2**62]
)
def test_every_delay_has_a_bucket_no_wider_than_an_eighth(delay: int) -> None:
    bounds = bucket_bounds().tolist()
    bucket = bucket_of(delay)
    assert 0 <= bucket < BUCKETS == len(bounds) - 1
    assert bounds[bucket] <= delay < bounds[bucket + 1]
    if 16 <= delay < 15 * 2**52:
        assert bounds[bucket + 1] - bounds[bucket] <= bounds[bucket] / 8
