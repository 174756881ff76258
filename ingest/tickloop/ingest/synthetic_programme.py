"""A synthetic day's timetable: system events, auctions, a halt, broken trades, and busy hours."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.core.hashing import Seed, pick_below, seed_of
from tickloop.ingest.itch_encode import MESSAGE, encode, packed, reg_sho, stock_directory
from tickloop.ingest.synthetic_market import ITEM, MINUTES

if TYPE_CHECKING:
    from tickloop.ingest.synthetic import SyntheticDay

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
FIRST_NS = 7 * HOUR_NS  # first orders
OPEN_NS = 9 * HOUR_NS + 1_800 * SECOND_NS
CLOSE_NS = 16 * HOUR_NS
_AUCTION_GAP_NS = 300_000
_HALT_NS = 300 * SECOND_NS
_CROSS_COST = 5

Item = tuple[int, int, str, str, str, int]


def timetable(day: "SyntheticDay") -> npt.NDArray[Any]:
    """List what the exchange does after the directory, in order of time: ITEM records."""
    seed = seed_of(day.seed, 6)
    items = sorted((*_session(), *_auctions(day), *_halts(day, seed), *_broken(day, seed)))
    rows = [
        (time, symbol, ord(kind), ord(code), packed(text, 4), cost)
        for time, symbol, kind, code, text, cost in items
    ]
    return np.array(rows, dtype=ITEM)


def _session() -> Iterator[Item]:
    for time, code in (
        (4 * HOUR_NS, "S"),
        (OPEN_NS, "Q"),
        (CLOSE_NS, "M"),
        (20 * HOUR_NS, "E"),
        (20 * HOUR_NS + 300 * SECOND_NS, "C"),
    ):
        yield time, -1, "S", code, "", 1


def _auctions(day: "SyntheticDay") -> Iterator[Item]:
    for cross, time in (("O", OPEN_NS), ("C", CLOSE_NS)):
        for symbol in range(day.symbols):
            offset = (1 + symbol) * _AUCTION_GAP_NS
            for before in (90, 60, 30):
                yield time - before * SECOND_NS + offset, symbol, "I", cross, "", 1
            yield time + offset, symbol, "Q", cross, "", _CROSS_COST


def _halts(day: "SyntheticDay", seed: Seed) -> Iterator[Item]:
    for _ in range(day.halts):
        symbol = pick_below(seed, day.symbols)
        start = 11 * HOUR_NS + pick_below(seed, 10_000) * SECOND_NS
        yield start, symbol, "H", "H", "T1", 1
        yield start + _HALT_NS, symbol, "H", "Q", "T3", 1
        yield start + 2 * _HALT_NS, symbol, "H", "T", "", 1
        yield start + 2 * _HALT_NS + _AUCTION_GAP_NS, symbol, "Q", "H", "", _CROSS_COST


def _broken(day: "SyntheticDay", seed: Seed) -> Iterator[Item]:
    for _ in range(day.broken):
        time = 10 * HOUR_NS + pick_below(seed, 20_000) * SECOND_NS
        yield time, pick_below(seed, day.symbols), "B", " ", "", 1


def busy_minutes() -> npt.NDArray[np.int64]:
    """Give how busy each minute since midnight is: a U over the session, thin before and after."""
    minutes = np.zeros(MINUTES, dtype=np.int64)
    start, end = OPEN_NS // (60 * SECOND_NS), CLOSE_NS // (60 * SECOND_NS)
    first = FIRST_NS // (60 * SECOND_NS)
    before = np.arange(start - first)
    minutes[first:start] = 6 + 20 * before // len(before)
    within = np.arange(end - start)
    away = 2 * within - len(within) + 1
    minutes[start:end] = 100 + 200 * away * away // len(within) ** 2
    minutes[start:end] += np.maximum(0, 10 * (30 - within)) + np.maximum(0, 10 * (within - 374))
    minutes[end:] = 5
    return minutes


def directory(day: "SyntheticDay") -> tuple[npt.NDArray[np.uint8], int]:
    """Write what precedes the first order: event O, and R, H, Y of each stock; count messages."""
    start = np.zeros(1, dtype=MESSAGE)
    start["kind"], start["code"], start["timestamp"] = ord("S"), ord("O"), 3 * HOUR_NS
    listed = [
        stock_directory(name, locate=locate, timestamp=_entry_ns(5, locate))
        for locate, name in enumerate(day.names, 1)
    ]
    shorts = [
        reg_sho(
            name,
            locate=locate,
            timestamp=_entry_ns(15, locate),
            action="1" if locate % 25 == 0 else "0",
        )
        for locate, name in enumerate(day.names, 1)
    ]
    blocks = (
        encode(start),
        np.frombuffer(b"".join(listed), dtype=np.uint8),
        encode(_trading_actions(day)),
        np.frombuffer(b"".join(shorts), dtype=np.uint8),
    )
    return np.concatenate(blocks), 1 + 3 * day.symbols


def _trading_actions(day: "SyntheticDay") -> npt.NDArray[Any]:
    actions = np.zeros(day.symbols, dtype=MESSAGE)
    actions["kind"], actions["code"], actions["text"] = ord("H"), ord("T"), packed("", 4)
    actions["stock"] = [packed(name, 8) for name in day.names]
    actions["locate"] = np.arange(1, day.symbols + 1)
    actions["timestamp"] = [_entry_ns(10, locate) for locate in range(1, day.symbols + 1)]
    return actions


def _entry_ns(minute: int, locate: int) -> int:
    """Spread directory entries over the start of a minute after three o'clock."""
    return 3 * HOUR_NS + minute * 60 * SECOND_NS + locate * 10_000
