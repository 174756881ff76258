"""Databento's record objects as rows, and a slow book of their orders: an oracle."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import databento_dbn as vendor
import numpy as np
import pyarrow as pa

from tests.feed_rows import Columns
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_LONG

Data = Callable[[str], Path]


ESH4 = "dbn/nautilus/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


MBP_1 = "dbn/nautilus/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"


LIVE = "dbn/databento-python/LIVE/test_data.live.dbn.zst"


UNDEF_STAMP = 2**64 - 1


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".zst":
        return content
    stream = pa.CompressedInputStream(pa.BufferReader(content), "zstd")
    return bytes(stream.read())


def decoded(content: bytes) -> list[Any]:
    """Decode with the vendor's decoder; versions stay as they are in the file."""
    decoder = vendor.DBNDecoder(
        has_metadata=content[:3] == b"DBN", upgrade_policy=vendor.VersionUpgradePolicy.AS_IS
    )
    decoder.write(content)
    return [record for record in decoder.decode() if not isinstance(record, vendor.Metadata)]


def price(value: int) -> int:
    return NULL_LONG if value == vendor.UNDEF_PRICE else value


def stamp(value: int) -> int:
    return NULL_LONG if value == UNDEF_STAMP else value - EPOCH_UNIX_NS


def side(record: Any) -> str:
    return {"B": "B", "A": "S"}.get(str(record.side), " ")


def characters(column: object) -> list[str]:
    return [chr(value) for value in np.asarray(column).tolist()]


def listed(columns: Columns, *names: str) -> list[tuple[Any, ...]]:
    lists = [
        characters(columns[name])
        if name in ("side", "action", "cross", "put_call")
        else columns[name].tolist()
        for name in names
    ]
    return list(zip(*lists, strict=True))


class SlowBook:
    """An order-by-order book in plain Python: one dict of orders, one of sizes a side."""

    def __init__(self) -> None:
        self.orders: dict[int, list[Any]] = {}
        self.sizes: dict[str, Counter[int]] = {"B": Counter(), "A": Counter()}
        self.unknown = 0

    def apply(self, record: Any) -> None:
        action = str(record.action)
        if action == "A":
            self.orders[record.order_id] = [str(record.side), record.price, record.size]
            self.sizes[str(record.side)][record.price] += record.size
        elif action in "CM" and record.order_id not in self.orders:
            self.unknown += 1
        elif action in "CM":
            order = self.orders.pop(record.order_id)
            self._take(order[0], order[1], order[2])
            left = order[2] - record.size if action == "C" else record.size
            at = order[1] if action == "C" else record.price
            if left > 0:
                self.orders[record.order_id] = [order[0], at, left]
                self.sizes[order[0]][at] += left

    def _take(self, of: str, at: int, size: int) -> None:
        self.sizes[of][at] -= size
        if self.sizes[of][at] == 0:
            del self.sizes[of][at]

    def best(self) -> tuple[int, int, int, int]:
        bid, ask = max(self.sizes["B"], default=None), min(self.sizes["A"], default=None)
        return (
            NULL_LONG if bid is None else bid,
            NULL_LONG if ask is None else ask,
            NULL_LONG if bid is None else self.sizes["B"][bid],
            NULL_LONG if ask is None else self.sizes["A"][ask],
        )


def changed_quotes(records: list[Any]) -> Iterator[tuple[int, ...]]:
    """Give the BBO at event ends where it is not the one before."""
    last = (NULL_LONG,) * 4
    for record in records:
        level = record.levels[0]
        bid, ask = price(level.bid_px), price(level.ask_px)
        best = (
            bid,
            ask,
            NULL_LONG if bid == NULL_LONG else level.bid_sz,
            NULL_LONG if ask == NULL_LONG else level.ask_sz,
        )
        if record.flags & vendor.F_LAST and best != last:
            yield best
            last = best
