"""ITCH messages drawn and read slowly, by the words of the specification: an oracle."""

import math
import struct
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tickloop.core.batch import Slice
from tickloop.core.clock import midnight_ns
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, FeedContext, Health
from tickloop.ingest.itch import ItchDecoder

NULL = -(2**63)
WHOLE = CutRule()
DAY = date(2023, 8, 22)
MIDNIGHT = midnight_ns(DAY, "America/New_York")
Row = dict[str, Any]

# Sections 1.1 to 1.8 of the specification, after type, locate, tracking and stamp.
FORMATS = {
    "S": ("1s", "event"),
    "R": ("8s1s1sI1s1s2s1s1s1s1s1sI1s",
          "stock market status lot lots issue sub auth ssti ipo luld etp factor inverse"),
    "H": ("8s1s1s4s", "stock state reserved reason"),
    "Y": ("8s1s", "stock action"),
    "L": ("4s8s1s1s1s", "mpid stock primary mode state"),
    "V": ("QQQ", "one two three"),
    "W": ("1s", "level"),
    "K": ("8sI1sI", "stock release qualifier price"),
    "J": ("8sIIII", "stock reference upper lower extension"),
    "h": ("8s1s1s", "stock market action"),
    "A": ("Q1sI8sI", "ref side shares stock price"),
    "F": ("Q1sI8sI4s", "ref side shares stock price mpid"),
    "E": ("QIQ", "ref shares match"),
    "C": ("QIQ1sI", "ref shares match printable price"),
    "X": ("QI", "ref shares"),
    "D": ("Q", "ref"),
    "U": ("QQII", "old ref shares price"),
    "P": ("Q1sI8sIQ", "ref side shares stock price match"),
    "Q": ("Q8sIQ1s", "shares stock price match cross"),
    "B": ("Q", "match"),
    "I": ("QQ1s8sIII1s1s", "paired imbalance direction stock far near ref_price cross variation"),
    "N": ("8s1s", "stock flag"),
    "O": ("8s1sIIIQII", "stock eligible minimum maximum near time lower upper"),
}  # fmt: skip


def spell(kind: str, locate: int = 1, stamp: int = 0, **fields: Any) -> bytes:
    """Write a message; texts are padded, what is not given is 0 or spaces."""
    format_, names = FORMATS[kind]
    values = []
    for name, code in zip(names.split(), codes(format_), strict=True):
        value = fields.pop(name, "" if code.endswith("s") else 0)
        width = int(code[:-1]) if code.endswith("s") else 0
        values.append(value.ljust(width).encode() if isinstance(value, str) else value)
    assert not fields, f"{kind} has no {fields}"
    head = kind.encode() + struct.pack(">HH", locate, 7) + stamp.to_bytes(6, "big")
    return head + struct.pack(">" + format_, *values)


def codes(format_: str) -> list[str]:
    """Split a struct format into one code a field."""
    found, digits = [], ""
    for letter in format_:
        if letter.isdigit():
            digits += letter
        else:
            found.append(digits + letter)
            digits = ""
    return found


def read(message: bytes) -> Row:
    """Read a message field by field."""
    format_, names = FORMATS[chr(message[0])]
    row: Row = {
        "type": chr(message[0]),
        "locate": int.from_bytes(message[1:3], "big"),
        "stamp": int.from_bytes(message[5:11], "big"),
    }
    values = struct.unpack(">" + format_, message[11:])
    for name, value in zip(names.split(), values, strict=True):
        row[name] = value.decode().rstrip() if isinstance(value, bytes) else value
    return row


class SlowReader:
    """Rows of the order, trade, status, imbalance and instrument tables, message by message."""

    def __init__(self, midnight: int = MIDNIGHT) -> None:
        self.midnight = midnight
        self.rows: dict[str, list[Row]] = {}
        self.orders: dict[int, list[Any]] = {}
        self.stocks: dict[int, str] = {}
        self.known: set[str] = set()
        self.time = NULL

    def put(self, table: str, m: Row, sym: str, **fields: Any) -> None:
        """Append a row."""
        row = {"time": self.time, "sym": sym} | fields
        if table != "instrument":
            row |= {"ex": "XNAS", "venue_time": self.midnight + m["stamp"]}
        self.rows.setdefault(table, []).append(row)

    def name(self, m: Row) -> str:
        """Name the message's instrument, and describe it where nothing has."""
        if m.get("stock"):
            self.stocks[m["locate"]] = m["stock"]
        if not m["locate"]:
            return str(m.get("stock", ""))
        sym = self.stocks.setdefault(m["locate"], f"locate_{m['locate']}")
        if sym not in self.known:
            self.known.add(sym)
            if m["type"] != "R":
                self.instrument(m, sym, kind="", lot=None)
        return sym

    def instrument(self, m: Row, sym: str, *, kind: str, lot: float | None) -> None:
        """Append an instrument row."""
        self.put(
            "instrument", m, sym, kind=kind, lot=lot, price_unit=-4, size_unit=0, currency="USD"
        )

    def feed(self, message: bytes, arrival: int | None = None) -> None:
        """Read one message into rows."""
        m = read(message)
        now = self.midnight + m["stamp"] if arrival is None else arrival
        self.time = max(self.time, now)
        sym = self.name(m)
        kind = m["type"]
        if kind in "AFECXDU":
            self.order(m, kind, sym)
        elif kind in "PQB":
            self.tape(m, kind, sym)
        elif kind == "R":
            tests = m["auth"] == "T"
            issue = {"B": "bond", "T": "bond", "N": "note", "R": "right", "W": "warrant"}
            named = issue.get(m["issue"], "unit" if m["issue"] in ("U", "V") else "equity")
            named = "test" if tests else "etp" if m["etp"] == "Y" else named
            self.instrument(m, sym, kind=named, lot=float(m["lot"]))
        elif kind == "I":
            self.put(
                "imbalance", m, sym, paired=m["paired"], imbalance=m["imbalance"],
                side=m["direction"] if m["direction"] in ("B", "S") else " ",
                ref=m["ref_price"] or NULL, near=m["near"] or NULL, far=m["far"] or NULL,
                cross=m["cross"],
            )  # fmt: skip
        else:
            state, reason = status(m)
            self.put("status", m, sym, state=state, reason=reason)

    def order(self, m: Row, kind: str, sym: str) -> None:
        """Append a book row, and a trade row for an execution."""
        row = {"ref_order_id": NULL, "mpid": m.get("mpid", ""), "order_id": m["ref"]}
        if kind in "AF":
            self.orders[m["ref"]] = [sym, m["side"], m["price"], m["shares"]]
            shown = {"action": "A", "side": m["side"], "price": m["price"], "size": m["shares"]}
            self.put("book", m, sym, **row, **shown)
            return
        key = m["old"] if kind == "U" else m["ref"]
        sym, side, price, rests = self.orders.get(key, [sym, " ", NULL, NULL])
        if kind == "U":
            row["ref_order_id"] = key
            if self.orders.pop(key, None):
                self.orders[m["ref"]] = [sym, side, m["price"], m["shares"]]
            shown = {"action": "U", "side": side, "price": m["price"], "size": m["shares"]}
        elif kind == "D":
            shown = {"action": "D", "side": side, "price": price, "size": rests}
            self.orders.pop(key, None)
        else:
            action = "X" if kind == "X" else "E"
            shown = {"action": action, "side": side, "price": price, "size": m["shares"]}
            if key in self.orders:
                self.orders[key][3] -= m["shares"]
                if self.orders[key][3] <= 0:
                    del self.orders[key]
        self.put("book", m, sym, **row, **shown)
        if kind == "E" or (kind == "C" and m["printable"] != "N"):
            self.put(
                "trade", m, sym, price=m.get("price", price), size=m["shares"], cond="",
                side={"B": "S", "S": "B"}.get(side, " "), trade_id=m["match"],
            )  # fmt: skip

    def tape(self, m: Row, kind: str, sym: str) -> None:
        """Append the trade row of a hidden, cross or broken trade."""
        if kind == "Q" and not m["shares"]:
            return
        crosses = {"O": "cross_open", "C": "cross_close", "H": "cross_halt", "A": "cross_extended"}
        cond = {"P": "hidden", "B": "broken"}.get(kind) or crosses.get(m["cross"], "cross")
        self.put(
            "trade", m, sym, price=m.get("price", NULL), size=m.get("shares", NULL), side=" ",
            cond=cond, trade_id=m["match"],
        )  # fmt: skip


def status(m: Row) -> tuple[str, str]:
    """Name the state and reason of a status message."""
    names = {
        "S": {"O": "start_messages", "S": "start_hours", "Q": "start_market", "M": "end_market",
              "E": "end_hours", "C": "end_messages"},
        "H": {"H": "halted", "P": "paused", "Q": "quotation_only", "T": "trading"},
        "Y": {"0": "none", "1": "intraday_drop", "2": "remains"},
        "K": {"A": "anticipated", "C": "canceled"},
        "h": {"Q": "nasdaq", "B": "bx", "X": "psx", "H": "halt", "T": "trading"},
        "N": {"B": "buy", "S": "sell", "A": "both", "N": "none"},
        "O": {"Y": "eligible", "N": "not_eligible"},
        "A": {"A": "active", "E": "excused", "W": "withdrawn", "S": "suspended", "D": "deleted"},
        "mode": {"N": "", "P": "_passive", "S": "_syndicate", "R": "_pre_syndicate",
                 "L": "_penalty"},
    }  # fmt: skip
    kind = m["type"]
    named = names.get(kind, {})
    if kind == "L":
        primary = "primary_" if m["primary"] == "Y" else ""
        state = names["A"][m["state"]] + names["mode"][m["mode"]]
        return f"{primary}market_maker_{state}", m["mpid"]
    if kind == "V":
        levels = [f"{m[n] // 10**8}.{m[n] % 10**8:08d}" for n in ("one", "two", "three")]
        return "mwcb_levels", "/".join(x.rstrip("0").rstrip(".") for x in levels)
    states: dict[str, Callable[[], tuple[str, str]]] = {
        "S": lambda: ("system_" + named[m["event"]], ""),
        "H": lambda: (named[m["state"]], m["reason"]),
        "Y": lambda: ("reg_sho", named[m["action"]]),
        "W": lambda: ("mwcb_breached", "level_" + m["level"]),
        "K": lambda: ("ipo_quotation", named[m["qualifier"]]),
        "J": lambda: ("luld_collar", f"extension_{m['extension']}"),
        "h": lambda: ("operational_" + named[m["action"]], named[m["market"]]),
        "N": lambda: ("retail_interest", named[m["flag"]]),
        "O": lambda: ("direct_listing", named[m["eligible"]]),
    }
    return states[kind]()


SYMBOLS = ("sym", "ex", "cond", "mpid", "state", "reason", "kind", "currency")
CHARS = ("action", "side", "cross")


def surface(symbols: Symbols, slices: Iterator[Slice]) -> dict[str, list[Row]]:
    """Spell the rows of slices by table, and check that each slice numbers all of its rows."""
    rows: dict[str, list[Row]] = {}
    for part in slices:
        ordinals: list[int] = []
        for batch in part.batches:
            columns = {name: values.tolist() for name, values in batch.columns.items()}
            ordinals += columns.pop("_place")
            for name, values in columns.items():
                if name in SYMBOLS:
                    columns[name] = [symbols.name(value) for value in values]
                elif name in CHARS:
                    columns[name] = [chr(value) for value in values]
                elif name == "lot":
                    columns[name] = [None if math.isnan(value) else value for value in values]
            made = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            rows.setdefault(batch.table.name, []).extend(made)
        assert sorted(ordinals) == list(range(part.rows))
    return rows


def run(
    messages: list[bytes],
    *,
    cut: CutRule = WHOLE,
    arrivals: list[int] | None = None,
    session_date: date = DAY,
    pieces: int = 1,
) -> tuple[ItchDecoder, Health, dict[str, list[Row]]]:
    """Decode messages, handed over in some pieces."""
    symbols = Symbols()
    context = FeedContext(symbols, Instruments(), session_date=session_date, cut=cut)
    health = Health()
    decoder = ItchDecoder(context, health)

    def slices() -> Iterator[Slice]:
        for part in np.array_split(np.arange(len(messages)), pieces):
            body = [messages[index] for index in part]
            lengths = np.array([len(message) for message in body], dtype=np.uint16)
            ends = np.cumsum(lengths, dtype=np.int64)
            stamps = np.array([arrivals[i] for i in part], dtype=np.int64) if arrivals else None
            buffer = np.frombuffer(b"".join(body), dtype=np.uint8)
            yield from decoder.decode(buffer, ends - lengths, lengths, stamps)

    rows = surface(symbols, slices())
    return decoder, health, rows


def by_slow_reader(messages: list[bytes], arrivals: list[int] | None = None) -> SlowReader:
    """Read messages slowly."""
    slow = SlowReader()
    for index, message in enumerate(messages):
        slow.feed(message, arrivals[index] if arrivals else None)
    return slow


def check(messages: list[bytes], arrivals: list[int] | None = None, **how: Any) -> Health:
    """Compare all rows but depth and quote, which the books' own tests compare."""
    slow = by_slow_reader(messages, arrivals)
    decoder, health, rows = run(messages, arrivals=arrivals, **how)
    assert decoder.messages == len(messages)
    assert {name: rows[name] for name in rows if name not in ("depth", "quote")} == slow.rows
    assert decoder.books.resting_orders == len(slow.orders)
    return health


def texts(width: int) -> st.SearchStrategy[str]:
    return st.text("ABCXYZ.1", min_size=1, max_size=width)


CHOICES = {
    "event": "OSQMEC", "auth": "PT", "etp": "YN ", "issue": "ABCFILNOPQRSTUVW", "primary": "YN",
    "mode": "NPSRL", "level": "123", "qualifier": "AC", "printable": "YN", "side": "BS",
    "direction": "BSNOP", "cross": "OCHA", "eligible": "YN", "flag": "BSAN",
}  # fmt: skip
BY_KIND = {
    ("H", "state"): "HPQT", ("L", "state"): "AEWSD", ("Y", "action"): "012", ("h", "action"): "HT",
    ("h", "market"): "QBX",
}  # fmt: skip


@st.composite
def any_message(draw: st.DrawFn) -> bytes:
    """Draw a message of any type, about few orders of few stocks."""
    kind = draw(st.sampled_from([*FORMATS, *"AAAFEECXDU"]))
    format_, names = FORMATS[kind]
    locate = 0 if kind in "SVW" else draw(st.integers(1, 4))
    fields: Row = {}
    for name, code in zip(names.split(), codes(format_), strict=True):
        if name == "stock":
            fields[name] = f"STK{locate}"
        elif (kind, name) in BY_KIND or name in CHOICES:
            fields[name] = draw(st.sampled_from(BY_KIND.get((kind, name)) or CHOICES[name]))
        elif code.endswith("s"):
            fields[name] = draw(texts(int(code[:-1])))
        elif name in ("ref", "old"):
            fields[name] = draw(st.integers(1, 12))
        else:
            fields[name] = draw(st.integers(0, 2**31))
    return spell(kind, locate, draw(st.integers(0, 86_400 * 10**9)), **fields)
