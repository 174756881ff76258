"""A book as only the exchange knows it: every single change, and what it tells of them."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.binance_oracle import Window

STAMP_NS = 1723161253937085768
UNIT = 10**8


def spell(units: int) -> str:
    """Write a whole number of 10^-8."""
    return f"{units // UNIT}.{units % UNIT:08d}"


@dataclass
class ExchangeBook:
    """The history of one symbol: change k has update id `step * k` and sets one price."""

    seed: int
    symbol: str = "BTCUSDT"
    futures: bool = False
    changes: list[tuple[int, int, int]] = field(default_factory=list)  # side, price, size

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    @property
    def step(self) -> int:
        """Futures share one counter among all symbols, so a symbol's ids have holes."""
        return 3 if self.futures else 1

    def trade_on(self, changes: int) -> None:
        """Let the market move prices around 100; bids stay below asks."""
        for _ in range(changes):
            side = self._draw.randrange(2)
            away = self._draw.randrange(1, 15)
            price = 100 * UNIT + (away if side else -away) * UNIT // 100
            size = self._draw.choice([0, 0, 1, 2, 3]) * UNIT
            self.changes.append((side, price, size))

    def sides(self, changes: int) -> tuple[dict[int, int], dict[int, int]]:
        """Give bids and asks after so many changes."""
        book: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, price, size in self.changes[:changes]:
            book[side].pop(price, None)
            if size:
                book[side][price] = size
        return book

    def top(self, changes: int, levels: int) -> Window:
        """Give the best levels after so many changes."""
        bids, asks = self.sides(changes)
        best = tuple(sorted(bids.items(), reverse=True)[:levels])
        return best, tuple(sorted(asks.items())[:levels])

    def diff(self, start: int, stop: int) -> dict[str, Any]:
        """Tell of the changes from `start` to before `stop`, each price once."""
        last: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, price, size in self.changes[start:stop]:
            last[side][price] = size
        bids, asks = ([[spell(p), spell(s)] for p, s in side.items()] for side in last)
        chain = {"pu": start * self.step} if self.futures else {}
        return {
            "e": "depthUpdate",
            "E": STAMP_NS // 10**6 + stop,
            "s": self.symbol,
            "U": start * self.step + 1,
            "u": stop * self.step,
            **chain,
            "b": bids,
            "a": asks,
        }

    def snapshot(self, changes: int) -> dict[str, Any]:
        """Answer a REST request after so many changes."""
        bids, asks = self.sides(changes)
        return {
            "lastUpdateId": changes * self.step,
            "bids": [[spell(p), spell(s)] for p, s in sorted(bids.items(), reverse=True)],
            "asks": [[spell(p), spell(s)] for p, s in sorted(asks.items())],
        }


def stamped(frame: dict[str, Any], number: int) -> bytes:
    """Write a frame as a recording's line."""
    return f"{STAMP_NS + number} {json.dumps(frame)}\n".encode()
