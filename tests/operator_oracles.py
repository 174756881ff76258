"""What operators must give, worked out slowly: plain Python over rows, pandas for bars by time."""

import math
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import pandas as pd

from tests.market_log import NAMES, PRICE_UNITS, MarketLog, Row
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.schema import CLOCK, QUOTE, TRADE

Derived = dict[str, float | int | str]
SIGNALS = ("mid", "microprice", "ofi", "queue_imbalance", "vpin", "volatility", "trade_sign")


def scale(symbol: int) -> int:
    """Give how many inside price steps make one."""
    return int(10 ** -PRICE_UNITS[symbol])


def is_good(trade: Row) -> bool:
    """Tell whether a trade moves volume."""
    return bool(trade["sym"] >= 0 and trade["price"] != NULL_LONG and trade["size"] > 0)


def signed_trades(log: MarketLog) -> Iterator[tuple[Row, int]]:
    """Sign good trades: by the venue, the quote, or the last price change."""
    quotes: dict[int, Row] = {}
    prices: dict[int, int] = {}
    signs: dict[int, int] = defaultdict(int)
    for table, row in log.of(TRADE, QUOTE):
        symbol = row["sym"]
        if table is QUOTE:
            quotes[symbol] = row
        elif is_good(row):
            sign = {ord("B"): 1, ord("S"): -1}.get(row["side"], 0)
            quote = quotes.get(symbol)
            if not sign and quote and NULL_LONG not in (quote["bid"], quote["ask"]):
                middle = Fraction(quote["bid"] + quote["ask"], 2)
                sign = (row["price"] > middle) - (row["price"] < middle)
            if not sign and symbol in prices and row["price"] != prices[symbol]:
                sign = 1 if row["price"] > prices[symbol] else -1
            signs[symbol] = sign or signs[symbol]
            prices[symbol] = row["price"]
            yield row, signs[symbol]


def mean_spread(log: MarketLog, symbol: int, start: int, end: int) -> float:
    """Integrate ask - bid over [start, end) from all of the symbol's quotes."""
    quotes = [row for _, row in log.of(QUOTE) if row["sym"] == symbol and row["time"] < end]
    area, total = Fraction(0), 0
    for row, after in zip(quotes, [*quotes[1:], {"time": end}], strict=True):
        span = max(min(after["time"], end) - max(row["time"], start), 0)
        if NULL_LONG not in (row["bid"], row["ask"]) and row["ask"] >= row["bid"]:
            area += (row["ask"] - row["bid"]) * span
            total += span
    return float(area / total / scale(symbol)) if total else math.nan


def time_bars(log: MarketLog, interval: int) -> pd.DataFrame:
    """Make bars by time with pandas."""
    trades = pd.DataFrame([{**row, "sign": sign} for row, sign in signed_trades(log)])
    trades["start"] = trades["time"] // interval * interval
    bars = []
    for (symbol, start), found in trades.groupby(["sym", "start"], sort=True):
        bars.append(_bar(log, symbol, found, start, start + interval))
    return pd.DataFrame(bars).sort_values(["start", "sym"], ignore_index=True)


def threshold_bars(log: MarketLog, kind: str, threshold: float) -> pd.DataFrame:
    """Make bars by ticks, volume or money: cut where an exact running sum reaches the threshold."""
    open_trades: dict[int, list[Row]] = defaultdict(list)
    bars = []
    for trade, sign in signed_trades(log):
        held = open_trades[trade["sym"]]
        held.append({**trade, "sign": sign})
        reached = {
            "ticks": Fraction(len(held)),
            "volume": Fraction(sum(row["size"] for row in held)),
            "money": Fraction(sum(r["size"] * r["price"] for r in held), scale(trade["sym"])),
        }[kind]
        if reached >= Fraction(threshold):
            found = pd.DataFrame(held)
            first, last = held[0]["time"], held[-1]["time"]
            bars.append(_bar(log, trade["sym"], found, first, last) | {"cause": trade["seq"]})
            held.clear()
    return pd.DataFrame(bars)


def _bar(log: MarketLog, symbol: int, found: pd.DataFrame, start: int, end: int) -> Derived:
    notional = sum(
        Fraction(int(p) * int(s)) for p, s in zip(found.price, found["size"], strict=True)
    )
    bought = int(found["size"][found.sign > 0].sum())
    sold = int(found["size"][found.sign < 0].sum())
    volume = int(found["size"].sum())
    return {
        "sym": symbol, "start": start, "open": found.price.iloc[0], "high": found.price.max(),
        "low": found.price.min(), "close": found.price.iloc[-1], "volume": volume,
        "count": len(found), "vwap": float(notional / volume / scale(symbol)),
        "spread": mean_spread(log, symbol, start, end),
        "imbalance": (bought - sold) / (bought + sold) if bought + sold else math.nan,
    }  # fmt: skip


def signals_at_every_row(log: MarketLog, bucket: int, buckets: int, samples: int) -> list[Derived]:
    """Give every signal after every quote and good trade, each worked out from the whole past."""
    signs = {row["seq"]: sign for row, sign in signed_trades(log)}
    state: dict[int, _Past] = defaultdict(_Past)
    found: list[Derived] = []
    for table, row in log.of(TRADE, QUOTE):
        past = state[row["sym"]]
        if row["sym"] < 0 or (table is TRADE and not is_good(row)):
            continue
        values = past.quoted(row) if table is QUOTE else past.traded(row, signs[row["seq"]])
        values |= past.market(row["sym"], bucket, buckets, samples)
        found += [
            {"sym": row["sym"], "cause": row["seq"], "name": name, "value": values[name]}
            for name in SIGNALS
            if name in values
        ]
    return found


class _Past:
    """One symbol's past."""

    def __init__(self) -> None:
        self.quote: Row | None = None
        self.units: list[int] = []  # one entry a share traded: its sign
        self.mids: list[float] = []
        self.sign = 0

    def quoted(self, row: Row) -> dict[str, float]:
        flow = 0
        before, self.quote = self.quote, row
        if before is not None:
            for price, size, better in (("bid", "bsize", 1), ("ask", "asize", -1)):
                now, then = row[price], before[price]
                if NULL_LONG in (now, then):
                    continue
                if (now - then) * better >= 0:
                    flow += better * row[size]
                if (now - then) * better <= 0:
                    flow -= better * before[size]
        return {"ofi": flow}

    def traded(self, row: Row, sign: int) -> dict[str, float]:
        self.units += [sign] * row["size"]
        self.sign = sign
        return {"ofi": 0}

    def market(self, symbol: int, bucket: int, buckets: int, samples: int) -> dict[str, float]:
        values: dict[str, float] = {"trade_sign": self.sign}
        full = len(self.units) // bucket
        if full >= buckets:
            last = [self.units[n * bucket : (n + 1) * bucket] for n in range(full - buckets, full)]
            values["vpin"] = sum(abs(sum(units)) for units in last) / (buckets * bucket)
        quote = self.quote
        if quote is None or NULL_LONG in (quote["bid"], quote["ask"]):
            return values
        bid, ask, bsize, asize = (Fraction(quote[n]) for n in ("bid", "ask", "bsize", "asize"))
        values["mid"] = float((bid + ask) / 2 / scale(symbol))
        values["microprice"] = float((bid * asize + ask * bsize) / (bsize + asize) / scale(symbol))
        values["queue_imbalance"] = float((bsize - asize) / (bsize + asize))
        self.mids.append(values["mid"])
        if len(self.mids) > samples:
            pairs = zip(self.mids[-samples - 1 :], self.mids[-samples:], strict=False)
            values["volatility"] = math.sqrt(sum(math.log(b / a) ** 2 for a, b in pairs))
        return values


def spread_path(
    log: MarketLog, first: str, second: str, beta: float
) -> list[tuple[int, int, float]]:
    """Give (seq, time, spread) whenever a leg's middle changes and both are known."""
    mids: dict[int, float] = {}
    legs = (NAMES.index(first), NAMES.index(second))
    path = []
    for _, row in log.of(QUOTE):
        symbol, bid, ask = row["sym"], row["bid"], row["ask"]
        if symbol not in legs or NULL_LONG in (bid, ask) or ask < bid or bid <= 0:
            continue
        mid = (bid + ask) / 2 / scale(symbol)
        if mids.get(symbol) == mid:
            continue
        mids[symbol] = mid
        if len(mids) == 2:
            spread = math.log(mids[legs[0]]) - beta * math.log(mids[legs[1]])
            path.append((row["seq"], row["time"], spread))
    return path


def weighted(path: list[tuple[int, int, float]], until: int, half_life: int) -> tuple[float, float]:
    """Give mean and variance of a path at an instant: the integral of weights that halve.

    The first value has all the weight that the time before it would have.
    """
    spans = []
    for (_, since, value), (_, after, _) in zip(path, [*path[1:], (0, until, 0.0)], strict=True):
        ages = [until - since, until - min(after, until)]
        older, newer = (2.0 ** (-age / half_life) for age in ages)
        spans.append((newer - older, value))
    spans[0] = (spans[0][0] + 2.0 ** (-(until - path[0][1]) / half_life), spans[0][1])
    mean = sum(weight * value for weight, value in spans)
    return mean, sum(weight * (value - mean) ** 2 for weight, value in spans)


def feed_counts(log: MarketLog, start: int, end: int) -> dict[int, dict[str, int]]:
    """Count a feed's rows with start <= time, before the clock row at `end`."""
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for table, row in log.rows:
        if "ex" not in row or table is CLOCK or not start <= row["time"] < end:
            continue
        counts[row["ex"]]["rows"] += 1
        counts[row["ex"]]["trades"] += table is TRADE
        if table is QUOTE:
            counts[row["ex"]]["quotes"] += 1
            both = NULL_LONG not in (row["bid"], row["ask"])
            counts[row["ex"]]["crossed"] += both and row["bid"] > row["ask"]
            counts[row["ex"]]["locked"] += both and row["bid"] == row["ask"]
    return counts
