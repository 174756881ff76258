"""A made-up log as the messages that a plant's sink would send, in the order of sending."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.market_log import PRICE_UNITS, MarketLog, columns_of
from tickloop.core.batch import Batch
from tickloop.core.hashing import shard_of
from tickloop.core.schema import BOOK, CLOCK, CONTROL, DEPTH, QUOTE, TRADE, Table
from tickloop.tickerplant.sinks.envelope import schema_id
from tickloop.tickerplant.sinks.kafka_pieces import Cutter, Stretch
from tickloop.tickerplant.sinks.shards import Shards

TABLES = (TRADE, QUOTE, DEPTH, BOOK, CONTROL)


@dataclass(frozen=True)
class Sent:
    """A message, and the topic and partition that it is in."""

    table: Table
    shard: int
    raw: bytes


def dictionary(log: MarketLog, shards: int) -> list[bytes]:
    """Spell every symbol's record."""
    records = []
    for id_, name in enumerate(log.symbols):
        unit = PRICE_UNITS[id_] if id_ < len(PRICE_UNITS) else -4
        records.append(json.dumps({
            "id": id_, "name": name, "shard": shard_of(name, shards), "price_unit": unit,
            "size_unit": 0,
        }).encode())  # fmt: skip
    return records


def messages(log: MarketLog, cuts: Sequence[int], shards: int) -> list[Sent]:
    """Cut a log into chunks, and spell each chunk for every table and shard."""
    found, previous = [], -1
    owners = Shards(log.symbols, shards)
    for group in log.groups(cuts):
        by_table = {batch.table.name: batch for batch in group}
        through = max(int(batch.columns["seq"][-1].item()) for batch in group)
        clocks = by_table.get(CLOCK.name)
        nothing = np.empty(0, dtype=np.int64)
        stretch = Stretch(
            previous, through,
            nothing if clocks is None else clocks.columns["time"].astype(np.int64),
            nothing if clocks is None else clocks.columns["seq"].astype(np.int64),
        )  # fmt: skip
        for table in TABLES:
            rows = by_table.get(table.name) or Batch(table, columns_of(table, []))
            shard_of_row = owners.of(rows.columns["sym"])
            for shard in range(shards):
                mine = np.flatnonzero(shard_of_row == shard)
                part = Batch(table, {name: each[mine] for name, each in rows.columns.items()})
                cutter = Cutter(7, schema_id(table), shards, 40)
                found += [
                    Sent(table, shard, piece.value)
                    for piece in cutter.pieces(part, shard=shard, floats=0, stretch=stretch)
                ]
        previous = through
    return found
