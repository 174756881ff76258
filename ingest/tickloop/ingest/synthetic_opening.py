"""The synthetic exchange before its first order: made-up stocks, prices, and who is active."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.core.hashing import Seed, pick_below, seed_of
from tickloop.ingest.itch_encode import packed
from tickloop.ingest.synthetic_book import NONE
from tickloop.ingest.synthetic_market import (
    ATTRIBUTIONS,
    EXCHANGE,
    NEVER,
    PICKS,
    PRICE_ONE,
    ROOM,
    SECTORS_MAX,
    STOCK,
    TRADING,
)
from tickloop.ingest.synthetic_prices import set_pace
from tickloop.ingest.synthetic_programme import FIRST_NS, busy_minutes

if TYPE_CHECKING:
    from tickloop.ingest.synthetic import SyntheticDay


def open_exchange(
    day: "SyntheticDay", *, programme: npt.NDArray[Any], messages: int
) -> npt.NDArray[Any]:
    """Make the one EXCHANGE record, with `messages` still to write.

    Prices have their own seed: they do not depend on how many messages a day has.
    """
    exchange = np.zeros(1, dtype=EXCHANGE)
    exchange["left"] = messages
    exchange["reserved"] = programme["cost"].sum()
    exchange["arrival"] = NEVER
    exchange["attributions"] = [packed(text, 4) for text in ATTRIBUTIONS]
    exchange["busyness"] = busy_minutes()
    exchange["ahead"] = np.cumsum(busy_minutes()[::-1])[::-1]
    exchange["picks"] = _picks(_ranks(day))
    exchange["seed"] = seed_of(day.seed, 1)
    exchange["price_seed"] = seed_of(day.seed, 2)
    seed = seed_of(day.seed, 3)
    exchange["betas"] = [205 + pick_below(seed, 103) for _ in range(SECTORS_MAX)]
    exchange["sectors"] = day.sector_count
    exchange["steps"] = FIRST_NS // (day.price_step_ms * 1_000_000)
    set_pace(
        exchange,
        step_ms=day.price_step_ms,
        market_bp=day.market_bp,
        sector_bp=day.sector_bp,
        own_bp=day.own_bp,
        own_half_life_s=day.own_half_life_s,
    )
    return exchange


def open_stocks(day: "SyntheticDay") -> npt.NDArray[Any]:
    """Make a STOCK record for each name: $8 to $90, half of them below $29, with an empty book."""
    seed = seed_of(day.seed, 4)
    ranks = np.array(_ranks(day))
    stocks = np.zeros(day.symbols, dtype=STOCK)
    stocks["locate"] = np.arange(1, day.symbols + 1)
    stocks["name"] = [packed(name, 8) for name in day.names]
    stocks["state"] = TRADING
    dear = np.array([pick_below(seed, 1024) for _ in range(day.symbols)])
    stocks["base"] = (800 + 8_200 * dear * dear // 2**20) * PRICE_ONE
    stocks["loading"] = [205 + pick_below(seed, 103) for _ in range(day.symbols)]
    stocks["sector"] = np.arange(day.symbols) % day.sector_count
    # Quiet stocks are quoted wider.
    stocks["half_spread"] = 64 + 96 * ranks // day.symbols
    stocks["half_spread"] += np.array([pick_below(seed, 96) for _ in range(day.symbols)])
    stocks["slots"] = np.arange(ROOM)
    stocks["head"] = stocks["tail"] = NONE
    return stocks


def _ranks(day: "SyntheticDay") -> list[int]:
    """Rank the stocks by activity, the busiest first."""
    seed: Seed = seed_of(day.seed, 5)
    ranks = list(range(day.symbols))
    for last in range(day.symbols - 1, 0, -1):
        other = pick_below(seed, last + 1)
        ranks[last], ranks[other] = ranks[other], ranks[last]
    return ranks


def _picks(ranks: list[int]) -> npt.NDArray[np.int64]:
    """Share a table out among the stocks so that activity falls with rank as 1 / (rank + 8)."""
    shares = [1_000_000 // (rank + 8) for rank in ranks]
    ends = np.cumsum(shares) * PICKS // sum(shares)
    return np.searchsorted(ends, np.arange(PICKS), side="right").astype(np.int64)
