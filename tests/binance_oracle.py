"""Binance's frames read slowly: json, decimal and dict books, straight from the documents."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import nlargest, nsmallest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, FeedContext

UNIT = Decimal("0.00000001")
MILLION = 1_000_000
INT64 = 2**63
LARGEST = INT64 - 9  # the last digit is not worth a second check
NULL_LONG = -INT64

Level = tuple[int, int]
Window = tuple[tuple[Level, ...], tuple[Level, ...]]
Tables = dict[str, dict[str, npt.NDArray[np.generic]]]


class Number(NamedTuple):
    """A JSON number as it was written."""

    text: str

    def whole(self) -> int | None:
        return int(self.text) if re.fullmatch(r"\d{1,19}", self.text) else None


class Members(list[tuple[str, Any]]):
    """A JSON object's members in order, equal keys and all."""


class RefusedError(ValueError):
    """A value that the inside units cannot hold."""


def units(text: str) -> int:
    """Read a decimal as a whole number of 10^-8."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise RefusedError(text)
    value = Decimal(text).scaleb(8)
    if value != value.to_integral_value() or value > LARGEST:
        raise RefusedError(text)
    return int(value)


def nanoseconds(stamp: int) -> int:
    """Convert a stamp in milliseconds, or microseconds, to ns since 2000."""
    if stamp < INT64 // 10**6:
        return stamp * 10**6 - EPOCH_UNIX_NS
    if 10**14 <= stamp < INT64 // 10**3:
        return stamp * 10**3 - EPOCH_UNIX_NS
    raise RefusedError(str(stamp))


def members_of(text: bytes) -> dict[str, Any]:
    """Load a frame; its payload's members stand beside the envelope's. ValueError if not JSON."""
    pairs = json.loads(
        text, object_pairs_hook=Members, parse_int=Number, parse_float=Number,
        parse_constant=_no_constant,
    )  # fmt: skip
    if not isinstance(pairs, Members):
        raise ValueError("no object")  # noqa: TRY004, as json says it
    flat: dict[str, Any] = {}
    for key, value in pairs:
        if key == "data" and isinstance(value, Members):
            flat["data"] = True
            flat.update((_letter(k), v) for k, v in value if k not in ("stream", "data"))
        else:
            flat[_letter(key)] = value
    return flat


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _letter(key: str) -> str:
    return {"bids": "b", "asks": "a"}.get(key, key)


def levels_of(value: Any) -> list[Level] | None:
    """Read an order book's side; None if it is something else."""
    if not isinstance(value, list) or isinstance(value, Members):
        return None
    for entry in value:
        if not isinstance(entry, list) or isinstance(entry, Members) or len(entry) < 2:
            return None
        if not all(isinstance(text, str) for text in entry[:2]):
            return None
    return [(units(price), units(size)) for price, size, *_ in value]


@dataclass(frozen=True)
class Frame:
    """What a line means."""

    kind: str
    recv: int = 0
    symbol: str = ""
    venue_time: int = NULL_LONG
    values: tuple[Any, ...] = ()


def _number(flat: dict[str, Any], key: str) -> int:
    value = flat.get(key)
    if not isinstance(value, Number):
        raise KeyError(key)
    whole = value.whole()
    if whole is None or whole > LARGEST:
        raise RefusedError(key)
    return whole


def _text(flat: dict[str, Any], key: str) -> str:
    if not isinstance(flat.get(key), str):
        raise KeyError(key)
    return str(flat[key])


def _side(flat: dict[str, Any], key: str) -> list[Level]:
    levels = levels_of(flat.get(key))
    if levels is None:
        raise KeyError(key)
    return levels


def _required(flat: dict[str, Any], event: str | None) -> tuple[str, list[tuple[str, type]]]:
    if event in ("trade", "aggTrade"):
        identity = "t" if event == "trade" else "a"
        return "trade", [("s", str), ("p", str), ("q", str), ("m", bool), (identity, Number)]
    if event == "bookTicker" or (event is None and "lastUpdateId" not in flat):
        return "ticker", [("s", str), ("u", Number), *((key, str) for key in "bBaA")]
    if event == "depthUpdate":
        return "diff", [("s", str), ("U", Number), ("u", Number), ("b", list), ("a", list)]
    return "snapshot", [("lastUpdateId", Number), ("b", list), ("a", list)]


def _has(value: Any, kind: type) -> bool:
    if kind is list:
        try:
            return levels_of(value) is not None
        except RefusedError:
            return True
    return isinstance(value, kind)


def read(line: bytes) -> Frame:
    """Read a line `recv_ns JSON`; kinds are malformed, refused, other and the good ones."""
    stamp, _, text = line.partition(b" ")
    try:
        flat = members_of(text)
        recv = int(stamp) if re.fullmatch(rb"[0-9]{1,19}", stamp) else -1
    except ValueError:
        return Frame("malformed")
    if not EPOCH_UNIX_NS <= recv < INT64:
        return Frame("malformed")
    event = flat.get("e") if isinstance(flat.get("e"), str) else None
    kind, needs = _required(flat, event)
    if event is not None and event not in ("trade", "aggTrade", "bookTicker", "depthUpdate"):
        return Frame("other", recv, values=(event,))
    if kind == "snapshot" and not isinstance(flat["lastUpdateId"], Number):
        kind, needs = "ticker", _required({}, None)[1]
    complete = all(_has(flat.get(key), wanted) for key, wanted in needs)
    stream = flat.get("stream") if isinstance(flat.get("stream"), str) else None
    if kind == "snapshot" and stream is not None and stream.partition("@")[2] != "depthSnapshot":
        return Frame("other", recv, values=(stream.partition("@")[2],))
    if not complete:
        envelope = stream is not None and "data" in flat
        other = event is None and kind == "ticker" and (envelope or {"result", "error"} & set(flat))
        return Frame("other" if other else "malformed", recv)
    try:
        frame = Frame(kind, recv, flat.get("s", ""), _venue_time(flat), _values(kind, flat))
    except RefusedError:
        return Frame("refused", recv)
    return frame if frame.symbol or kind == "snapshot" else Frame("malformed", recv)


def _venue_time(flat: dict[str, Any]) -> int:
    stamps = [_number(flat, key) for key in "TE" if isinstance(flat.get(key), Number)]
    return nanoseconds(stamps[0]) if stamps else NULL_LONG


def _values(kind: str, flat: dict[str, Any]) -> tuple[Any, ...]:
    if kind == "trade":
        identity = _number(flat, "t" if flat["e"] == "trade" else "a")
        side = "S" if flat["m"] else "B"
        return units(flat["p"]), units(flat["q"]), side, identity
    if kind == "ticker":
        return (*(units(_text(flat, key)) for key in "bBaA"), _number(flat, "u"))
    previous = _number(flat, "pu") if isinstance(flat.get("pu"), Number) else None
    ids = [_number(flat, key) for key in ("U", "u", "lastUpdateId") if key in flat]
    return (ids, previous, _side(flat, "b"), _side(flat, "a"))


@dataclass
class DictBook:
    """One symbol's book by the documented procedure."""

    last: int | None = None
    fresh: bool = False
    sides: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    waiting: list[tuple[Any, ...]] = field(default_factory=list)
    gaps: int = 0

    def snapshot(self, last: int, bids: list[Level], asks: list[Level]) -> None:
        self.last, self.fresh = last, True
        self.sides = (dict(bids), dict(asks))
        waiting, self.waiting = self.waiting, []
        for diff in waiting:
            self.diff(*diff)

    def diff(
        self, ids: list[int], previous: int | None, bids: list[Level], asks: list[Level]
    ) -> bool:
        first, last = ids
        if self.last is None:
            self.waiting.append((ids, previous, bids, asks))
            return False
        if last < self.last or (last == self.last and previous is None):
            return False
        if previous is not None:
            follows = previous <= self.last if self.fresh else previous == self.last
        else:
            follows = first <= self.last + 1 if self.fresh else first == self.last + 1
        if not follows:
            self.gaps += 1
            self.last = None
            return False
        self.last, self.fresh = last, False
        for side, changes in zip(self.sides, (bids, asks), strict=True):
            for price, size in changes:
                side.pop(price, None)
                if size:
                    side[price] = size
        return True

    def top(self, levels: int) -> Window:
        bids, asks = self.sides
        best_bids = tuple((price, bids[price]) for price in nlargest(levels, bids))
        return best_bids, tuple((price, asks[price]) for price in nsmallest(levels, asks))


def context(symbol: str = "", *, depth_levels: int = 5, messages: int = 16_384) -> FeedContext:
    """Make what a plant lends."""
    cut = CutRule(messages)
    return FeedContext(Symbols(), Instruments(), depth_levels=depth_levels, cut=cut, symbol=symbol)


def collect(slices: Iterable[Slice]) -> Tables:
    """Join slices to whole columns by table, rows in the order of the log (column `at`)."""
    parts: dict[str, list[dict[str, npt.NDArray[np.generic]]]] = {}
    start = 0
    for step in slices:
        ordinals = np.concatenate([batch.columns["_place"] for batch in step.batches])
        assert sorted(ordinals.tolist()) == list(range(step.rows))
        for batch in step.batches:
            columns = dict(batch.columns)
            columns["at"] = columns.pop("_place").astype(np.int64) + start
            parts.setdefault(batch.table.name, []).append(columns)
        start += step.rows
    return {
        name: {key: np.concatenate([part[key] for part in of]) for key in of[0]}
        for name, of in parts.items()
    }


def rows(table: dict[str, npt.NDArray[np.generic]], *names: str) -> list[tuple[Any, ...]]:
    """List some columns row by row."""
    if not table:
        return []
    return list(zip(*(table[name].tolist() for name in names), strict=True))


class TopOfBook:
    """What a subscriber to `depth` holds: every row sets a level, size 0 takes it away."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, int]] = {ord("B"): {}, ord("S"): {}}

    def apply(self, side: int, price: int, size: int) -> None:
        self.sides[side].pop(price, None)
        if size:
            self.sides[side][price] = size

    def window(self) -> Window:
        bids, asks = self.sides[ord("B")], self.sides[ord("S")]
        return tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items()))


def frames(lines: Iterable[bytes]) -> Iterator[Frame]:
    """Read the lines that are not blank."""
    return (read(line) for line in lines if line.strip())


def kinds(read_frames: Iterable[Frame]) -> Counter[str]:
    """Count frames by kind."""
    return Counter(frame.kind for frame in read_frames)


def write_lines(path: Path, lines: Iterable[bytes]) -> Path:
    """Write a recording."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
