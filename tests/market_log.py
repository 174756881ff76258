"""A small log of a made-up market in inside form: what operators read, with its traps."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.plants import NOON
from tickloop.core.batch import Batch, Slice
from tickloop.core.dialects.numpy import INSIDE, NULL_LONG, NULL_SYMBOL, null_of
from tickloop.core.interleave import interleave
from tickloop.core.schema import (
    BOOK,
    CLOCK,
    DEPTH,
    INSTRUMENT,
    QUOTE,
    SYMBOL,
    TRADE,
    Kind,
    Table,
)
from tickloop.core.symbols import Symbols

NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE")
VENUES = ("XONE", "XTWO")
PRICE_UNITS = (-4, -2, -4, -3, -4)
SECOND = 1_000_000_000
START = NOON - NOON % (60 * SECOND)

Row = dict[str, Any]


@dataclass(frozen=True)
class MarketLog:
    """Rows in seq order; each names its table."""

    symbols: Symbols
    rows: list[tuple[Table, Row]]

    def batches(self, first: int = 0, stop: int | None = None) -> list[Batch]:
        """Give a stretch of rows as one batch a table."""
        return [
            Batch(table, columns_of(table, [row for other, row in part if other is table]))
            for part in [self.rows[first:stop]]
            for table in dict.fromkeys(other for other, _ in part)
        ]

    def groups(self, cuts: Sequence[int]) -> list[list[Batch]]:
        """Cut the rows before some of them."""
        bounds = [0, *sorted({cut % len(self.rows) for cut in cuts} - {0}), len(self.rows)]
        return [self.batches(*pair) for pair in itertools.pairwise(bounds)]

    def slices(self, size: int) -> list[Slice]:
        """Give what a feed would publish: slices of so many rows, without the log's own."""
        rows = [row for row in self.rows if row[0] not in (CLOCK, SYMBOL)]
        log = MarketLog(self.symbols, rows)
        return [
            interleave([_without_seq(batch) for batch in log.batches(at, at + size)])
            for at in range(0, len(rows), size)
        ]

    def of(self, *tables: Table) -> list[tuple[Table, Row]]:
        """List the rows of some tables."""
        return [(table, row) for table, row in self.rows if table in tables]


def _without_seq(batch: Batch) -> Batch:
    columns = dict(batch.columns)
    columns["_place"] = columns.pop("seq")
    columns.pop("name", None)
    return Batch(batch.table, columns)


def columns_of(table: Table, rows: Sequence[Row]) -> dict[str, npt.NDArray[np.generic]]:
    """Turn rows into inside columns; what a row leaves out is null."""
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for column in table.columns:
        dtype = "<i8" if column.kind in (Kind.PRICE, Kind.SIZE) else INSIDE[column.kind]
        null = null_of(column.kind, dtype)
        values = [row.get(column.name, null) for row in rows]
        columns[column.name] = np.array(values, dtype=dtype)
    if table is SYMBOL:
        columns["name"] = np.array([row["name"] for row in rows], dtype=np.bytes_)
    return columns


def market_log(count: int, seed: int, *, step_ns: int = 40_000_000) -> MarketLog:
    """Draw a log of about `count` rows, `step_ns` apart in the mean, with silences between."""
    draw = np.random.default_rng(seed)
    symbols = Symbols([*NAMES, *VENUES])
    rows: list[tuple[Table, Row]] = []
    time = START
    for id_, name in enumerate([*NAMES, *VENUES]):
        rows.append((SYMBOL, {"time": time, "sym": id_, "id": id_, "name": name.encode()}))
    for id_, unit in enumerate(PRICE_UNITS):
        rows.append((INSTRUMENT, {"time": time, "sym": id_, "price_unit": unit, "size_unit": 0}))
    mids = [100 * 10**-unit for unit in PRICE_UNITS]
    tick = time // SECOND
    for _ in range(count):
        # A silence now and then: whole intervals without a row but the clock's.
        time += int(draw.exponential(step_ns)) * (60 if draw.random() < 0.01 else 1)
        if time // SECOND > tick:
            tick = time // SECOND
            rows.append((CLOCK, {"time": tick * SECOND, "sym": NULL_SYMBOL}))
        rows.append(_drawn(draw, mids, time))
    rows.append((CLOCK, {"time": (tick + 200) * SECOND, "sym": NULL_SYMBOL}))
    for seq, (_, row) in enumerate(rows):
        row["seq"] = seq + 1
    return MarketLog(symbols, rows)


def _drawn(draw: np.random.Generator, mids: list[int], time: int) -> tuple[Table, Row]:
    id_ = int(draw.integers(len(NAMES)))
    cent = max(10 ** (-PRICE_UNITS[id_] - 2), 1)
    mids[id_] = max(mids[id_] + int(draw.integers(-3, 4)) * cent, 50 * cent)
    mid = mids[id_]
    venue = int(draw.choice([len(NAMES), len(NAMES) + 1, NULL_SYMBOL]))
    stamp = NULL_LONG if draw.random() < 0.1 else time - int(draw.integers(-1000, 10**6))
    row: Row = {"time": time, "sym": id_, "ex": venue, "venue_time": stamp}
    if draw.random() < 0.02:
        row["sym"] = NULL_SYMBOL
    chance = draw.random()
    size = int(draw.integers(1, 900))
    if chance < 0.45:
        row |= {"price": mid + int(draw.integers(-2, 3)) * cent, "size": size}
        row["side"] = int(draw.choice([ord("B"), ord("S"), ord(" ")]))
        row |= {"size": 0} if chance < 0.02 else {"price": NULL_LONG} if chance < 0.04 else {}
        return TRADE, row
    if chance < 0.9:
        half = int(draw.integers(-1, 4)) * cent  # crossed and locked now and then
        row |= {"bid": mid - half, "ask": mid + half}
        row |= {"bsize": size, "asize": int(draw.integers(1, 900))}
        row |= {"bid": NULL_LONG, "bsize": NULL_LONG} if chance < 0.48 else {}
        return QUOTE, row
    if chance < 0.95:
        return DEPTH, row | {"side": ord("B"), "level": 1, "price": mid, "size": size}
    return BOOK, row | {"action": ord("A"), "side": ord("S"), "price": mid, "size": size}
