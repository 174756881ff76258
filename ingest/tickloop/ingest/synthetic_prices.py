"""Fair prices of a synthetic market: common factors, and stocks that always come back to them.

A stock's return since the start is `loading × (beta × market + sector) + own`, where the market
and the sectors walk at random and `own` reverts to zero. So within a sector a hedged pair's
spread is stationary: the pair cointegrates. Across sectors only the market is shared.

All integers: returns in 1/2**32, prices in 1/256 tick, loadings and betas in 1/256, steps in
1/65536 of a bell's.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.hashing import BELL_DEVIATION, draw_bell
from tickloop.core.kernel import inline_kernel
from tickloop.ingest.synthetic_market import PRICE_ONE

PRICE_MIN = 120 * PRICE_ONE  # $1.20: a cent stays the tick only above a dollar
RETURN_BITS = 32
RETURN_ONE = 1 << RETURN_BITS
SESSION_MS = 23_400_000
OWN_UPDATE_MS = 1_000
_LN_2 = 45_426  # ln 2 in 1/65536


def set_pace(
    exchange: npt.NDArray[Any],
    *,
    step_ms: int,
    market_bp: int,
    sector_bp: int,
    own_bp: int,
    own_half_life_s: int,
) -> None:
    """Set the sizes of steps from deviations in basis points: per session, for `own` at rest."""
    own_every = max(1, OWN_UPDATE_MS // step_ms)
    reversion = max(1, _LN_2 * own_every * step_ms // (1_000 * own_half_life_s))
    exchange["step_ns"] = step_ms * 1_000_000
    exchange["market_step"] = _walk_step(market_bp, step_ms)
    # One sector moves a step, in turn, so each does so more rarely.
    exchange["sector_step"] = _walk_step(sector_bp, step_ms * int(exchange["sectors"][0]))
    exchange["own_every"] = own_every
    exchange["reversion"] = reversion
    # An autoregression that keeps 1 - k of itself rests at a deviation of step / sqrt(2 k).
    exchange["own_step"] = (_bell_scale(own_bp) * math.isqrt(2 * reversion << 16)) >> 32


def _bell_scale(deviation_bp: int) -> int:
    """Give a deviation in bells of 1/2**32 return, in 1/2**32."""
    return (deviation_bp << (2 * RETURN_BITS)) // (10_000 * BELL_DEVIATION)


def _walk_step(session_bp: int, step_ms: int) -> int:
    """Give the step of a walk that deviates by `session_bp` over a session."""
    steps = max(1, SESSION_MS // step_ms)
    return _bell_scale(session_bp) // math.isqrt(steps << 32)


@inline_kernel
def advance_prices(exchange: np.void, stocks: npt.NDArray[Any], now: int) -> None:
    """Take the steps that are due at `now`, nanoseconds since midnight."""
    due = now // exchange["step_ns"]
    seed = exchange["price_seed"]
    while exchange["steps"] < due:
        step = exchange["steps"]
        exchange["market_level"] += (draw_bell(seed) * exchange["market_step"]) >> 16
        sector = step % exchange["sectors"]
        exchange["sector_levels"][sector] += (draw_bell(seed) * exchange["sector_step"]) >> 16
        every = exchange["own_every"]
        for index in range(step % every, stocks.shape[0], every):
            own = stocks[index]["own"]
            own -= (own * exchange["reversion"]) >> 16
            stocks[index]["own"] = own + ((draw_bell(seed) * exchange["own_step"]) >> 16)
        exchange["steps"] = step + 1


@inline_kernel
def fair_price(exchange: np.void, stock: np.void) -> int:
    """Give a stock's fair price in 1/256 tick."""
    sector = stock["sector"]
    common = (exchange["market_level"] * exchange["betas"][sector]) >> 8
    common += exchange["sector_levels"][sector]
    change = ((stock["loading"] * common) >> 8) + stock["own"]
    return int(max(PRICE_MIN, (stock["base"] * (RETURN_ONE + change)) >> RETURN_BITS))
