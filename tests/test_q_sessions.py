"""Sessions of a market maker: bars, markouts, books, P&L and runs, beside pandas."""

import numpy as np
import pandas as pd
import pytest

from tests.q_lines import refused, typed
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import QType, Value, Vector, plain

COUNT = 400


@pytest.fixture(scope="module")
def market() -> tuple[Session, pd.DataFrame, pd.DataFrame]:
    """Make trades and quotes of three symbols, in q and in pandas."""
    draw = np.random.default_rng(7)
    session = Session()
    frames = []
    for name, prices in (("trade", ("price", "size")), ("quote", ("bid", "ask"))):
        frame = pd.DataFrame(
            {
                "time": np.sort(draw.integers(0, 3_600_000, COUNT)),
                "sym": draw.choice(["a", "b", "c"], COUNT),
                prices[0]: draw.integers(990, 1010, COUNT) / 10,
                prices[1]: draw.integers(1, 50, COUNT) * 100,
            }
        )
        if name == "quote":
            frame["ask"] = frame["bid"] + draw.integers(1, 5, COUNT) / 10
        for column in frame.columns:
            session[column] = frame[column].to_numpy()
        text = "; ".join(f"{column}:{column}" for column in frame.columns if column != "time")
        session.eval(f"{name}:([]time:09:30:00.000+`time$time; {text})")
        session.eval(f"{name}:update sym:`$string sym from {name}")
        frames.append(frame)
    return session, frames[0], frames[1]


def column(session: Session, text: str) -> list[object]:
    """Evaluate a vector; symbols by name, nulls of floats as None."""
    value: Value = plain(session.eval(text))
    assert isinstance(value, Vector)
    if value.type is QType.SYMBOL:
        return list(INTERNED.names(value.data))
    return [None if item != item else item for item in value.data.tolist()]


def close(seen: list[object], expected: "pd.Series[float]") -> bool:
    """Tell whether floats agree, null where pandas has NaN."""
    return np.allclose(
        np.array(seen, dtype=float), expected.to_numpy(dtype=float), rtol=1e-9, equal_nan=True
    )


Market = tuple[Session, pd.DataFrame, pd.DataFrame]


def test_bars_of_open_high_low_close(market: Market) -> None:
    session, trade, _ = market
    session.eval(
        "b:0!select o:first price,h:max price,l:min price,c:last price,v:sum size,"
        "w:size wavg price by sym,bar:5 xbar time.minute from trade"
    )
    minute = (trade.time // 60_000 + 570) // 5 * 5
    groups = trade.assign(value=trade.price * trade["size"]).groupby(["sym", minute])
    for name, expected in {
        "o": groups.price.first(), "h": groups.price.max(), "l": groups.price.min(),
        "c": groups.price.last(), "v": groups["size"].sum(),
        "w": groups.value.sum() / groups["size"].sum(),
    }.items():  # fmt: skip
        assert close(column(session, f"b`{name}"), expected), name


@pytest.mark.parametrize("seconds", [0, 1, 30, 300])
def test_a_markout_is_the_mid_some_time_later(market: Market, seconds: int) -> None:
    session, trade, quote = market
    later = trade.assign(time=trade.time + 1000 * seconds)
    mids = quote.assign(mid=(quote.bid + quote.ask) / 2)[["time", "sym", "mid"]]
    # Of equal times, the last quote counts.
    joined = pd.merge_asof(later, mids, on="time", by="sym")
    session.eval(f"m:aj[`sym`time;update time+{1000 * seconds} from trade;quote]")
    assert close(column(session, "exec 0.5*bid+ask from m"), joined.mid)


def test_position_and_cash_run_by_symbol(market: Market) -> None:
    session, trade, _ = market
    session.eval("p:update pos:sums q,cash:sums neg q*price by sym from "
                 "update q:size*-1+2*0=i mod 2 from trade")  # fmt: skip
    signed = trade["size"] * np.where(np.arange(COUNT) % 2 == 0, 1, -1)
    assert close(column(session, "p`pos"), signed.groupby(trade.sym).cumsum())
    assert close(column(session, "p`cash"), (-signed * trade.price).groupby(trade.sym).cumsum())


def test_returns_averages_and_changes_by_symbol(market: Market) -> None:
    session, trade, _ = market
    session.eval("r:update r:-1+price%prev price,e:ema[0.1;price],m:5 mavg price,"
                 "d:price-prev price by sym from trade")  # fmt: skip
    by = trade.groupby("sym").price
    smooth = by.transform(lambda one: one.ewm(alpha=0.1, adjust=False).mean())
    assert close(column(session, "r`r"), by.pct_change())
    assert close(column(session, "r`e"), smooth)
    assert close(column(session, "r`m"), by.transform(lambda one: one.rolling(5, 1).mean()))
    assert close(column(session, "r`d"), by.diff())


def test_the_largest_trades_of_each_symbol(market: Market) -> None:
    session, trade, _ = market
    rank = trade.groupby("sym")["size"].rank(method="first", ascending=False)
    seen = column(session, "exec i from trade where 3>(rank;neg size) fby sym")
    assert seen == np.flatnonzero(rank <= 3).tolist()


def test_sessions_begin_after_a_pause(market: Market) -> None:
    session, trade, _ = market
    starts = trade.groupby("sym").time.diff().fillna(0) > 60_000
    seen = column(
        session, "exec s from update s:sums 00:01:00.000<time-prev time by sym from trade"
    )
    assert seen == starts.groupby(trade.sym).cumsum().tolist()


def test_a_pivot_has_a_column_for_each_symbol(market: Market) -> None:
    session, trade, _ = market
    session.eval("t:select sum size by sym,h:10 xbar time.minute from trade")
    session.eval("P:asc exec distinct sym from t; v:exec P#(sym!size) by h:h from t")
    minute = (trade.time // 60_000 + 570) // 10 * 10
    pivot = trade.pivot_table(index=minute, columns="sym", values="size", aggfunc="sum")
    for name in "abc":
        seen = np.array(column(session, f"`float$(0!v)`{name}"), dtype=float)
        assert close(seen.tolist(), pivot[name])


def test_a_book_is_rebuilt_from_its_last_levels() -> None:
    lines = (
        "d:([]side:`B`B`S`B`S`B;px:99 98 101 99 102 98f;qty:10 20 5 0 7 25)",
        "b:select from (select last qty by side,px from d) where qty>0",
        "(exec max px from b where side=`B;exec min px from b where side=`S;count b)",
    )
    assert typed(*lines) == "98f\n101f\n3"


def test_queries_are_built_by_functions() -> None:
    lines = (
        "t:([]sym:`a`b`a;px:1 2 3f;sz:10 20 30)",
        "q:{[t;s;c;f]?[t;enlist(in;`sym;enlist s);(enlist`sym)!enlist`sym;c!f,'c]}",
        "q[t;`a`b;`px`sz;(max;sum)]~select px:max px,sz:sum sz by sym from t",
    )
    assert typed(*lines) == "1b"
    assert typed(*lines[:1], '(eval parse"select sum sz from t")~select sum sz from t') == "1b"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("1+`a", "type"), ("1 2+1 2 3", "length"), ("{x+y}[1;2;3]", "rank"), ("til -1", "domain"),
        ("select nosuch from ([]a:1 2)", "nosuch"), ("([]a:1 2),([]b:1 2)", "mismatch"),
        ("`s#3 1 2", "s-fail"), ("`u#1 1", "u-fail"), ("'oops", "oops"),
        ("nosuch[1]", "nosuch"), ("([]a:1 2;b:1 2 3)", "length"),
    ],
)  # fmt: skip
def test_mistakes_have_their_names(line: str, name: str) -> None:
    assert refused(line).name == name
