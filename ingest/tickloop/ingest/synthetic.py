"""A seeded exchange day in ITCH 5.0: the same settings give the same bytes on every machine."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.errors import ConfigError
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.itch import ItchDecoder
from tickloop.ingest.itch_encode import MESSAGE, encode
from tickloop.ingest.itch_frames import FRAME_MIN, walk_frames
from tickloop.ingest.itch_layout import LAYOUT, LENGTH
from tickloop.ingest.synthetic_flow import run_market
from tickloop.ingest.synthetic_opening import open_exchange, open_stocks
from tickloop.ingest.synthetic_programme import directory, timetable

SECTORS = (
    *("TECH", "BANK", "OILS", "DRUG", "SHOP", "UTIL"),
    *("MINE", "TELE", "AERO", "LAND", "FOOD", "CARS"),
)
SYMBOLS_MAX = 2_000
VENUE = "XSYN"
# Orders that each symbol needs at least for a book to form, so that every message type occurs.
ORDERS_A_SYMBOL = 100
_BLOCK = 16_384


@dataclass(frozen=True)
class SyntheticDay:
    """Settings of one synthetic exchange day; ConfigError where they make no day."""

    seed: int = 1
    symbols: int = 100
    messages: int = 2_000_000  # exactly as many are written
    session_date: date = date(2026, 1, 5)
    sectors: int = 10  # at most; a day of few symbols has fewer
    # Volatility: common factors over a session; a stock's own part around them at any time.
    market_bp: int = 60
    sector_bp: int = 50
    own_bp: int = 5
    own_half_life_s: int = 120
    price_step_ms: int = 50
    halts: int = 1
    broken: int = 3

    def __post_init__(self) -> None:
        _within("symbols", self.symbols, 1, SYMBOLS_MAX)
        _within("sectors", self.sectors, 1, len(SECTORS))
        _within("messages", self.messages, self._fewest, 2**40)
        _within("price_step_ms", self.price_step_ms, 1, 60_000)
        _within("own_half_life_s", self.own_half_life_s, 1, 23_400)
        for name in ("market_bp", "sector_bp", "own_bp"):
            _within(name, getattr(self, name), 0, 1_000)
        _within("halts", self.halts, 0, 100)
        _within("broken", self.broken, 0, 10_000)

    @property
    def _fewest(self) -> int:
        programme = 5 + 16 * self.symbols + 8 * self.halts + self.broken
        return 1 + 3 * self.symbols + programme + ORDERS_A_SYMBOL * self.symbols

    @property
    def sector_count(self) -> int:
        """Give how many sectors have a stock."""
        return min(self.sectors, self.symbols)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Ticker names: a sector's four letters and the stock's letters within it."""
        width = 1 if self.symbols <= 26 * self.sector_count else 2
        return tuple(
            SECTORS[index % self.sector_count] + _letters(index // self.sector_count, width)
            for index in range(self.symbols)
        )

    def sector(self, name: str) -> str:
        """Give the sector of a ticker name."""
        return name[:4]

    def blocks(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the day's bytes in whole messages, each with its 2-byte length in front."""
        opening, written = directory(self)
        yield opening
        programme = timetable(self)
        exchange = open_exchange(self, programme=programme, messages=self.messages - written)
        stocks = open_stocks(self)
        out = np.zeros(_BLOCK, dtype=MESSAGE)
        while made := run_market(exchange, stocks, programme, out):
            yield encode(out[:made])
            out[:made].view(np.uint8).fill(0)

    def write(self, path: Path) -> int:
        """Write the day as an ITCH file, compressed if the name ends in .gz; return its bytes."""
        with path.open("wb") as plain:
            if path.suffix != ".gz":
                return _write_all(self.blocks(), plain)
            # No name and no time in the header, so that the file, too, is the same every time.
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=plain, mtime=0) as packed:
                return _write_all(self.blocks(), cast("BinaryIO", packed))


class SyntheticFeed:
    """A synthetic day as a feed: its bytes go through the ITCH decoder, as a capture's would."""

    def __init__(self, day: SyntheticDay, context: FeedContext) -> None:
        self.name = f"synthetic:{day.session_date.isoformat()}"
        self.venue = VENUE
        self.health = Health()
        self.messages = 0
        self._day = day
        context = replace(context, session_date=day.session_date)
        self._decoder = ItchDecoder(context, self.health, VENUE)

    def slices(self) -> Iterator[Slice]:
        """Yield the day's rows in the exchange's order."""
        result = np.zeros(2, dtype=np.int64)
        for block in self._day.blocks():
            offsets = np.empty(len(block) // FRAME_MIN, dtype=np.int64)
            lengths = np.empty_like(offsets)
            count = walk_frames(
                block, len(block), True, False, LAYOUT[LENGTH], offsets, lengths, result
            )
            assert result[0] == len(block), f"framing stopped at {result[0]} of {len(block)} bytes"
            for rows in self._decoder.decode(block, offsets[:count], lengths[:count]):
                self.messages = self._decoder.messages
                yield rows
        self.messages = self._decoder.messages


def _write_all(blocks: Iterator[npt.NDArray[np.uint8]], out: BinaryIO) -> int:
    return sum(out.write(block.data) for block in blocks)


def _within(name: str, seen: int, low: int, high: int) -> None:
    if not low <= seen <= high:
        raise ConfigError(f"synthetic day: {name} {seen} seen, {low} to {high} expected")


def _letters(index: int, width: int) -> str:
    letters = ""
    for _ in range(width):
        index, letter = divmod(index, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
