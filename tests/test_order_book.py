"""Order books against a slow one: a dictionary of orders, summed up anew for every level."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.batch import Batch
from tickloop.ingest.events import EVENT
from tickloop.ingest.feed import Health
from tickloop.ingest.order_book import OrderBooks

NULL = -(2**63)
NO_SYMBOL = -(2**31)
VENUE, BROKEN = 77, 78
LAST, NOT_PRINTABLE = 1, 2
NAMED = "XDECUMF"  # actions that name a resting order

Row = dict[str, Any]


def event(action: str, order_id: int = 0, **fields: Any) -> Row:
    """Spell one event; what is not given is null."""
    row: Row = {
        "time": 0, "venue_time": 0, "order_id": order_id, "ref_order_id": NULL, "trade_id": NULL,
        "price": NULL, "size": NULL, "message": 0, "sym": 0, "cond": NO_SYMBOL, "mpid": NO_SYMBOL,
        "action": ord(action), "side": ord(" "), "flags": LAST,
    }  # fmt: skip
    return row | {name: ord(v) if name == "side" else v for name, v in fields.items()}


def array(rows: list[Row]) -> npt.NDArray[np.void]:
    """Lay events out as records, one message each."""
    events = np.zeros(len(rows), dtype=EVENT)
    for index, row in enumerate(rows):
        for name, value in row.items():
            events[name][index] = value
        events["message"][index] = index
        events["time"][index] = 1000 + index
        events["venue_time"][index] = 900 + index
    return events


@dataclass
class SlowBooks:
    """The definition of the fold, an event at a time, without any index."""

    depth_levels: int
    orders: dict[int, list[Any]] = field(default_factory=dict)  # id -> [sym, side, price, size]
    quotes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[Row]] = field(
        default_factory=lambda: {name: [] for name in ("book", "trade", "depth", "quote")}
    )

    def levels(self, sym: int, side: str) -> list[tuple[int, int, int]]:
        """Sum a side up, best price first."""
        sizes: Counter[int] = Counter()
        counts: Counter[int] = Counter()
        for at, on, price, size in self.orders.values():
            if (at, on) == (sym, side):
                sizes[price] += size
                counts[price] += 1
        return [(p, sizes[p], counts[p]) for p in sorted(sizes, reverse=side == "B")]

    def emit(self, table: str, rank: int, e: Row, **fields: Any) -> None:
        """Append a row."""
        row = {"_place": e["message"] * 64 + rank, "time": e["time"], "ex": VENUE}
        self.rows[table].append(row | {"venue_time": e["venue_time"]} | fields)

    def change(self, e: Row, order_id: int, order: list[Any] | None) -> None:
        """Set or remove one order, and tell depth rows of the level that it is at."""
        old = self.orders.get(order_id)
        sym, side, price, _ = order or old or []
        before = self.levels(sym, side)
        if order is None:
            del self.orders[order_id]
        else:
            self.orders[order_id] = order
        self.tell(e, sym, side, price, before)

    def tell(self, e: Row, sym: int, side: str, price: int, before: list[Any]) -> None:
        """Write the depth rows of one changed level."""
        after = self.levels(sym, side)
        if before == after:
            return
        found = [rank for rank, level in enumerate(after) if level[0] == price]
        if found:
            shown = [(found[0], *after[found[0]])]
            is_new = price not in [level[0] for level in before]
            if is_new and found[0] < self.depth_levels < len(after):
                # A better level pushes the last one shown out of sight.
                shown.append((self.depth_levels - 1, before[self.depth_levels - 1][0], 0, 0))
        else:
            shown = [([level[0] for level in before].index(price), price, 0, 0)]
            if shown[0][0] < self.depth_levels <= len(after):
                shown.append((self.depth_levels - 1, *after[self.depth_levels - 1]))
        for rank, at, size, orders in shown:
            if rank < self.depth_levels:
                self.emit(
                    "depth", 32, e, sym=sym, side=ord(side), level=rank, price=at, size=size,
                    orders=orders,
                )  # fmt: skip

    def fault(self, sym: int, side: str, price: int, size: int) -> bool:
        """Count why an order cannot rest."""
        if sym < 0:
            self.counts["no_symbol"] += 1
        elif side not in ("B", "S"):
            self.counts["order_without_side"] += 1
        elif size <= 0:
            self.counts["order_without_size"] += 1
        elif price == NULL:
            self.counts["order_without_price"] += 1
        else:
            return False
        return True

    def apply(self, e: Row) -> None:
        """Fold one event."""
        action, sym = chr(e["action"]), e["sym"]
        if action in "PB":
            shown = (
                {"price": NULL, "size": NULL, "side": ord(" "), "cond": BROKEN}
                if action == "B"
                else {name: e[name] for name in ("price", "size", "side", "cond")}
            )
            self.emit("trade", 24, e, sym=sym, trade_id=e["trade_id"], **shown)
        elif action == "R":
            self.clear(e)
        elif action == "A":
            self.book_row(e, sym, "A", chr(e["side"]), e["price"], e["size"])
            if e["order_id"] in self.orders:
                self.counts["duplicate_order"] += 1
                self.change(e, e["order_id"], None)
            if not self.fault(sym, chr(e["side"]), e["price"], e["size"]):
                order = [sym, chr(e["side"]), e["price"], e["size"]]
                self.change(e, e["order_id"], order)
        elif action in NAMED:
            sym = self.named(e, action)
        else:
            self.counts["unknown_action"] += 1
        if e["flags"] & LAST and sym >= 0:
            self.quote(e, sym)

    def book_row(self, e: Row, sym: int, action: str, side: str, price: int, size: int) -> None:
        """Write the event's own row."""
        self.emit(
            "book", 16, e, sym=sym, action=ord(action), side=ord(side), price=price, size=size,
            order_id=e["order_id"], ref_order_id=e["ref_order_id"], mpid=e["mpid"],
        )  # fmt: skip

    def clear(self, e: Row) -> None:
        """Empty a symbol's book, from the worst level shown to the best."""
        self.book_row(e, e["sym"], "R", " ", NULL, NULL)
        if e["sym"] < 0:
            self.counts["no_symbol"] += 1
            return
        for side in "BS":
            shown = self.levels(e["sym"], side)[: self.depth_levels]
            for rank in reversed(range(len(shown))):
                self.emit(
                    "depth", 32, e, sym=e["sym"], side=ord(side), level=rank,
                    price=shown[rank][0], size=0, orders=0,
                )  # fmt: skip
        self.orders = {i: o for i, o in self.orders.items() if o[0] != e["sym"]}

    def named(self, e: Row, action: str) -> int:
        """Fold an event that names an order; give the symbol that it was for."""
        target = e["ref_order_id"] if action == "U" else e["order_id"]
        shown = "E" if action in "EC" else action
        if target not in self.orders:
            self.counts["unknown_order"] += action != "F"
            price = NULL if action == "C" else e["price"]
            self.book_row(e, e["sym"], shown, chr(e["side"]), price, e["size"])
            if shown == "E" and not e["flags"] & NOT_PRINTABLE:
                self.print_trade(e, e["sym"], chr(e["side"]), e["price"])
            return int(e["sym"])
        sym, side, price, resting = self.orders[target]
        if action in "UM":
            self.book_row(e, sym, action, side, e["price"], e["size"])
            self.replace(e, target)
        elif action == "D":
            self.book_row(e, sym, "D", side, price, resting)
            self.change(e, target, None)
        else:
            self.book_row(e, sym, shown, side, price, e["size"])
            if shown == "E" and not e["flags"] & NOT_PRINTABLE:
                self.print_trade(e, sym, side, price if action == "E" else e["price"])
            if action != "F":
                self.take(e, target)
        return int(sym)

    def take(self, e: Row, target: int) -> None:
        """Take the event's size off an order."""
        sym, side, price, resting = self.orders[target]
        if not 0 <= e["size"] <= resting:
            self.counts["negative_size"] += 1
        left = resting - min(max(e["size"], 0), resting)
        self.change(e, target, [sym, side, price, left] if left else None)

    def replace(self, e: Row, target: int) -> None:
        """Give an order another price, size and id."""
        sym, side, price, _ = self.orders[target]
        if e["order_id"] != target and e["order_id"] in self.orders:
            self.counts["duplicate_order"] += 1
            self.change(e, e["order_id"], None)
        if self.fault(sym, side, e["price"], e["size"]):
            self.change(e, target, None)
        elif e["price"] == price:
            before = self.levels(sym, side)
            del self.orders[target]
            self.orders[e["order_id"]] = [sym, side, price, e["size"]]
            self.tell(e, sym, side, price, before)
        else:
            self.change(e, target, None)
            self.change(e, e["order_id"], [sym, side, e["price"], e["size"]])

    def print_trade(self, e: Row, sym: int, resting_side: str, price: int) -> None:
        """Write the trade of an execution."""
        side = {"B": "S", "S": "B"}.get(resting_side, " ")
        self.emit(
            "trade", 24, e, sym=sym, price=price, size=e["size"], side=ord(side), cond=e["cond"],
            trade_id=e["trade_id"],
        )  # fmt: skip

    def best(self, sym: int) -> tuple[int, int, int, int]:
        """Give best bid, size, ask, size."""
        bid = (self.levels(sym, "B") or [(NULL, NULL, 0)])[0]
        ask = (self.levels(sym, "S") or [(NULL, NULL, 0)])[0]
        return (*bid[:2], *ask[:2])

    def quote(self, e: Row, sym: int) -> None:
        """Write a quote row if the best changed."""
        now = self.best(sym)
        if now == self.quotes.get(sym, (NULL,) * 4):
            return
        self.quotes[sym] = now
        bid, bsize, ask, asize = now
        self.emit("quote", 40, e, sym=sym, bid=bid, bsize=bsize, ask=ask, asize=asize)
        if NULL not in (bid, ask):
            self.counts["crossed_book"] += ask < bid
            self.counts["locked_book"] += ask == bid


def rows_of(batch: Batch) -> list[Row]:
    """Spell a batch as rows."""
    names = list(batch.columns)
    columns = [batch.columns[name].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def run(
    events: npt.NDArray[np.void], depth_levels: int, cuts: list[int]
) -> tuple[OrderBooks, dict[str, list[Row]], Counter[str]]:
    """Fold events in the given pieces."""
    health = Health()
    books = OrderBooks(depth_levels=depth_levels, venue_id=VENUE, broken_id=BROKEN, health=health)
    rows: dict[str, list[Row]] = {}
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    for start, end in pairwise(edges):
        for batch in books.apply(events[start:end]):
            rows.setdefault(batch.table.name, []).extend(rows_of(batch))
    return books, rows, health.counts


def check(rows: list[Row], depth_levels: int, cuts: list[int]) -> None:
    """Compare every row and count with the slow books."""
    events = array(rows)
    slow = SlowBooks(depth_levels)
    for record in events:
        slow.apply(dict(zip(EVENT.names or (), record.tolist(), strict=True)))
    books, made, counts = run(events, depth_levels, cuts)
    assert made == slow.rows
    assert counts == +slow.counts
    shown: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
    for row in made.get("depth", []):
        ladder = shown.setdefault((row["sym"], row["side"]), {})
        ladder[row["price"]] = (row["size"], row["orders"])
        if row["size"] == 0:
            del ladder[row["price"]]
    for sym in range(4):
        for side in "BS":
            best = {level[0]: level[1:] for level in slow.levels(sym, side)[:depth_levels]}
            assert shown.get((sym, ord(side)), {}) == best
    assert books.resting_orders == len(slow.orders)
    for sym in range(4):
        assert books.best(sym) == slow.best(sym)
        for side in "BS":
            assert books.levels(sym, sells=side == "S", count=10**6) == slow.levels(sym, side)


EVENTS = st.builds(
    event,
    st.sampled_from("AAAAXDECUMFPBRZ"),
    st.integers(1, 9),
    ref_order_id=st.integers(1, 9),
    trade_id=st.integers(1, 5),
    price=st.sampled_from([*range(96, 106), NULL]),
    size=st.integers(-1, 8),
    sym=st.sampled_from([0, 0, 1, 2, NO_SYMBOL]),
    side=st.sampled_from("BBBSSS "),
    cond=st.integers(50, 52),
    mpid=st.integers(60, 62),
    flags=st.integers(0, 3),
)


@pytest.mark.kernel
@settings(max_examples=150)
@given(
    st.lists(EVENTS, max_size=60),
    st.integers(0, 3),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_books_equal_slow_books_wherever_the_events_are_cut(
    rows: list[Row], depth_levels: int, cuts: list[int]
) -> None:
    check(rows, depth_levels, cuts)


def a_day(seed: int, events: int, prices: int) -> list[Row]:
    """Draw a long stream with many resting orders: growth, deep levels, wide prices."""
    draw = np.random.default_rng(seed)
    rows = []
    for order_id in range(events):
        action = draw.choice(list("AAAAADXEUMR"), p=[*[0.128] * 5, *[0.0718] * 5, 0.001])
        rows.append(
            event(
                str(action),
                order_id if action in "AU" else int(draw.integers(0, order_id + 1)),
                ref_order_id=int(draw.integers(0, order_id + 1)),
                price=int(draw.integers(1, prices)) * 10**9,
                size=int(draw.integers(1, 50)),
                sym=int(draw.integers(0, 3)),
                side=str(draw.choice(["B", "S"])),
            )
        )
    return rows


@pytest.mark.kernel
def test_a_long_day_with_deep_books_equals_slow_books() -> None:
    check(a_day(1, 1500, 400), 5, [11, 700, 701])


def test_levels_outgrow_their_pool_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickloop.ingest.order_book.LEVELS_MIN", 16)
    check(a_day(2, 1200, 3000), 2, [])


def test_more_depth_rows_than_expected_are_kept_in_order() -> None:
    adds = [event("A", n, price=100 + n, size=1, side="B") for n in range(40)]
    clears = [[event("R"), *adds] for _ in range(6)]
    check(list(chain.from_iterable(clears)), 40, [])


def test_an_order_id_may_be_any_number() -> None:
    ids = [0, -1, 2**63 - 1, -(2**63) + 1, 2**62, 1 << 31, 3 << 40]
    adds = [event("A", order_id, price=5, size=1, side="S") for order_id in ids]
    check(adds + [event("D", order_id) for order_id in ids[:4]], 1, [3])


def test_a_not_printable_execution_moves_the_book_and_not_the_tape() -> None:
    rows = [
        event("A", 1, price=100, size=10, side="S"),
        event("C", 1, price=99, size=4, flags=LAST | NOT_PRINTABLE),
        event("C", 1, price=99, size=1),
    ]
    books, made, _ = run(array(rows), 1, [])
    assert [(row["price"], row["size"], chr(row["side"])) for row in made["trade"]] == [
        (99, 1, "B")
    ]
    assert [row["action"] for row in made["book"]] == [ord("A"), ord("E"), ord("E")]
    assert books.best(0) == (NULL, NULL, 100, 5)


def test_a_quote_waits_for_the_last_event_of_a_change() -> None:
    rows = [
        event("A", 1, price=100, size=10, side="B", flags=0),
        event("A", 2, price=101, size=7, side="S", flags=0),
        event("F", 9, flags=LAST),
    ]
    _, made, _ = run(array(rows), 0, [])
    assert [(row["_place"], row["bid"], row["ask"]) for row in made["quote"]] == [(168, 100, 101)]
    assert made["depth"] == []


def test_memory_follows_the_orders_that_rest_and_not_the_events() -> None:
    health = Health()
    books = OrderBooks(depth_levels=0, venue_id=VENUE, broken_id=BROKEN, health=health)
    for turn in range(200):
        pairs = []
        for n in range(50):
            order_id = turn * 1000 + n
            pairs.append(event("A", order_id, price=100 + n, size=1, side="B"))
            pairs.append(event("D", order_id) if turn % 2 else event("R"))
        books.apply(array(pairs))
    assert books.resting_orders == 0
    assert books._orders.nbytes + books._levels.nbytes < 1 << 20
    assert not health.counts
