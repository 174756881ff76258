"""A synthetic day is a day that an exchange could have sent, read here by the specification."""

import gzip
import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.batch import Slice, concatenate
from tickloop.core.clock import midnight_ns
from tickloop.core.errors import ConfigError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import QUOTE, TRADE, Table
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.itch_file import ItchFile
from tickloop.ingest.synthetic import SECTORS, SyntheticDay, SyntheticFeed

SECOND = 1_000_000_000
OPEN, CLOSE = 34_200 * SECOND, 57_600 * SECOND

SMALL = SyntheticDay(seed=7, symbols=4, sectors=2, messages=3_000, price_step_ms=5_000)
# Two sectors of five stocks, busy enough that quotes follow the fair price closely.
LIVELY = SyntheticDay(seed=3, symbols=10, sectors=2, messages=250_000)


class Quote(NamedTuple):
    """The best prices of a stock after a message, in 1/10,000 dollar."""

    time: int
    bid: int
    ask: int


@dataclass
class Order:
    """A resting order."""

    locate: int
    side: bytes
    price: int
    size: int


@dataclass
class Exchange:
    """A slow reader of ITCH: books as dicts, and an assertion wherever a venue would be wrong."""

    names: dict[int, bytes] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    levels: dict[tuple[int, bytes], Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    quotes: dict[int, list[Quote]] = field(default_factory=lambda: defaultdict(list))
    kinds: Counter[str] = field(default_factory=Counter)
    trades: dict[int, int] = field(default_factory=dict)  # printed match number: locate
    last_match: int = 0
    unprinted: Counter[int] = field(default_factory=Counter)  # shares by locate, until the cross
    events: list[tuple[str, int]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def read(self, body: bytes) -> None:
        """Apply one message."""
        kind = chr(body[0])
        locate = struct.unpack_from(">H", body, 1)[0]
        self.kinds[kind] += 1
        self.times.append(int.from_bytes(body[5:11], "big"))
        handlers: dict[str, Callable[[str, int, bytes], None]] = {
            **dict.fromkeys("AF", self._add),
            **dict.fromkeys("ECXD", self._reduce),
            **dict.fromkeys("RHYSI", self._state),
            "U": self._replace,
            "P": self._hidden,
            "Q": self._cross,
            "B": self._break,
        }
        handlers[kind](kind, locate, body)
        if kind in "AFECXDU":
            self._check_quote(locate)

    def _rest(self, order_id: int, order: Order) -> None:
        assert order_id not in self.orders, f"order {order_id} added twice"
        assert order.size > 0
        assert order.price > 10_000, "a cent is the tick only above a dollar"
        assert order.price % 100 == 0
        self.orders[order_id] = order
        self.levels[order.locate, order.side][order.price] += order.size

    def _add(self, kind: str, locate: int, body: bytes) -> None:
        order_id, side, size, name, price = struct.unpack_from(">QcI8sI", body, 11)
        assert len(body) == {"A": 36, "F": 40}[kind]
        assert name == self.names[locate]
        if kind == "F":
            assert body[36:40].isalpha()
        self._rest(order_id, Order(locate, side, price, size))

    def _take_away(self, order_id: int, size: int) -> None:
        order = self.orders[order_id]
        assert 0 < size <= order.size, f"{size} of {order.size} resting shares of {order_id}"
        level = self.levels[order.locate, order.side]
        level[order.price] -= size
        order.size -= size
        if not level[order.price]:
            del level[order.price]
        if not order.size:
            del self.orders[order_id]

    def _reduce(self, kind: str, locate: int, body: bytes) -> None:
        order_id = struct.unpack_from(">Q", body, 11)[0]
        order = self.orders[order_id]
        assert order.locate == locate
        if kind == "D":
            self._take_away(order_id, order.size)
            return
        size = struct.unpack_from(">I", body, 19)[0]
        assert kind != "X" or size < order.size, "a cancel of all is a delete"
        if kind in "EC":
            self._execute(kind, order, size, body)
        self._take_away(order_id, size)

    def _execute(self, kind: str, order: Order, size: int, body: bytes) -> None:
        """Check that the best order trades, at its price or better for the one who takes."""
        assert self.states[order.locate] == "T", "a trade while halted"
        best = max if order.side == b"B" else min
        assert order.price == best(self.levels[order.locate, order.side])
        match = struct.unpack_from(">Q", body, 23)[0]
        printable, price = struct.unpack_from(">cI", body, 31) if kind == "C" else (b"Y", 0)
        if printable == b"N":
            assert price == order.price
            self.unprinted[order.locate] += size
            return
        if kind == "C":
            assert price - order.price == (50 if order.side == b"B" else -50)
        self._print(match, order.locate)

    def _print(self, match: int, locate: int) -> None:
        assert match > self.last_match, "match numbers rise"
        self.last_match = match
        self.trades[match] = locate

    def _replace(self, _kind: str, locate: int, body: bytes) -> None:
        old_id, order_id, size, price = struct.unpack_from(">QQII", body, 11)
        old = self.orders[old_id]
        assert old.locate == locate
        self._take_away(old_id, old.size)
        self._rest(order_id, Order(locate, old.side, price, size))

    def _hidden(self, _kind: str, locate: int, body: bytes) -> None:
        _, _, size, name, price, match = struct.unpack_from(">QcI8sIQ", body, 11)
        assert self.states[locate] == "T"
        assert name == self.names[locate]
        assert size > 0
        bids, asks = self.levels[locate, b"B"], self.levels[locate, b"S"]
        assert max(bids) < price < min(asks), "hidden trades are between the quotes"
        self._print(match, locate)

    def _cross(self, _kind: str, locate: int, body: bytes) -> None:
        size, name, price, match, cross = struct.unpack_from(">Q8sIQc", body, 11)
        assert name == self.names[locate]
        assert cross in (b"O", b"C", b"H")
        assert price > 0
        # Executions that printed nothing are part of the cross that follows them.
        assert self.unprinted.pop(locate, 0) < size
        self.events.append(("Q" + cross.decode(), locate))
        self._print(match, locate)

    def _break(self, _kind: str, locate: int, body: bytes) -> None:
        match = struct.unpack_from(">Q", body, 11)[0]
        assert self.trades.pop(match) == locate, "a broken trade was printed before, once"

    def _state(self, kind: str, locate: int, body: bytes) -> None:
        if kind == "R":
            self.names[locate] = body[11:19]
        elif kind == "S":
            self.events.append(("S" + chr(body[11]), locate))
            return
        elif kind == "H":
            self.states[locate] = chr(body[19])
            self.events.append(("H" + chr(body[19]), locate))
        name = body[28:36] if kind == "I" else body[11:19]
        assert name == self.names[locate]

    def _check_quote(self, locate: int) -> None:
        bids, asks = self.levels[locate, b"B"], self.levels[locate, b"S"]
        if bids and asks:
            quote = Quote(self.times[-1], max(bids), min(asks))
            assert quote.bid < quote.ask, f"crossed: {quote}"
            self.quotes[locate].append(quote)


def _bodies(day: SyntheticDay) -> Iterator[bytes]:
    for block in day.blocks():
        text, at = block.tobytes(), 0
        while at < len(text):
            length = struct.unpack_from(">H", text, at)[0]
            yield text[at + 2 : at + 2 + length]
            at += 2 + length
        assert at == len(text), "a block ends with a whole message"


@cache
def _replayed(day: SyntheticDay) -> Exchange:
    exchange = Exchange()
    for body in _bodies(day):
        exchange.read(body)
    return exchange


def _digest(day: SyntheticDay) -> str:
    digest = hashlib.sha256()
    for block in day.blocks():
        digest.update(block.tobytes())
    return digest.hexdigest()[:24]


GOLDEN = "68f5b445e3d2ba23cabc4628"


@pytest.mark.kernel
def test_the_small_day_has_the_bytes_it_always_had() -> None:
    # Compiled and uncompiled, here and elsewhere: a change of this digest is a new version.
    assert _digest(SMALL) == GOLDEN


@pytest.mark.kernel
@pytest.mark.parametrize("day", [SMALL], ids=["small"])
def test_every_message_could_have_come_from_an_exchange(day: SyntheticDay) -> None:
    exchange = _replayed(day)
    assert sum(exchange.kinds.values()) == day.messages
    assert not exchange.unprinted


@pytest.mark.kernel
def test_every_type_of_order_flow_occurs_even_in_a_small_day() -> None:
    assert set(_replayed(SMALL).kinds) == set("SRHYAFECXDUPQBI")


def test_a_lively_day_could_have_come_from_an_exchange() -> None:
    assert sum(_replayed(LIVELY).kinds.values()) == LIVELY.messages


@given(
    seed=st.integers(-(2**70), 2**70),
    symbols=st.integers(1, 40),
    orders=st.integers(0, 3_000),
    factor_bp=st.integers(0, 1_000),
    own_bp=st.integers(0, 1_000),
    half_life_s=st.integers(1, 23_400),
    step_ms=st.sampled_from([40, 777, 60_000]),
    halts=st.integers(0, 20),
)
@settings(max_examples=25)
def test_any_settings_make_a_day_that_an_exchange_could_have_sent(
    seed: int,
    symbols: int,
    orders: int,
    factor_bp: int,
    own_bp: int,
    half_life_s: int,
    step_ms: int,
    halts: int,
) -> None:
    day = SyntheticDay(
        seed=seed,
        symbols=symbols,
        sectors=3,
        messages=130 * symbols + 200 + orders,
        market_bp=factor_bp,
        sector_bp=factor_bp,
        own_bp=own_bp,
        own_half_life_s=half_life_s,
        price_step_ms=step_ms,
        halts=halts,
    )
    exchange = Exchange()
    for body in _bodies(day):
        exchange.read(body)
    assert sum(exchange.kinds.values()) == day.messages
    assert exchange.times == sorted(exchange.times)


def test_stamps_never_decrease_over_all_stocks() -> None:
    times = _replayed(LIVELY).times
    assert times == sorted(times)


def test_another_seed_gives_another_day() -> None:
    assert _digest(SMALL) != _digest(replace(SMALL, seed=8))


def test_the_bytes_do_not_depend_on_how_the_blocks_are_consumed() -> None:
    first, second = LIVELY.blocks(), LIVELY.blocks()
    pairs = [(next(first).tobytes(), next(second).tobytes()) for _ in range(3)]
    assert all(one == other for one, other in pairs)


def test_system_events_and_auctions_come_in_the_order_of_a_day() -> None:
    events = _replayed(LIVELY).events
    system = [kind for kind, _ in events if kind[0] == "S"]
    assert system == ["SO", "SS", "SQ", "SM", "SE", "SC"]
    places = {kind: place for place, (kind, _) in enumerate(events) if kind[0] == "S"}
    opening = [place for place, (kind, _) in enumerate(events) if kind == "QO"]
    closing = [place for place, (kind, _) in enumerate(events) if kind == "QC"]
    assert len(opening) == len(closing) == LIVELY.symbols
    assert places["SQ"] < min(opening) < max(opening) < places["SM"] < min(closing)


def test_a_halted_stock_is_quoted_and_then_trades_again_after_a_cross() -> None:
    events = _replayed(LIVELY).events
    halted = next(locate for kind, locate in events if kind == "HH")
    mine = [kind for kind, locate in events if locate == halted]
    assert mine == ["HT", "QO", "HH", "HQ", "HT", "QH", "QC"]


def test_names_are_a_sector_and_letters() -> None:
    day = SyntheticDay(symbols=600, messages=1_000_000)
    assert len(set(day.names)) == 600
    assert all(len(name) <= 8 and day.sector(name) in SECTORS for name in day.names)
    assert SyntheticDay(symbols=3, sectors=2, messages=9_000).names == ("TECHA", "BANKA", "TECHB")
    assert SyntheticDay(symbols=2, messages=9_000).names == ("TECHA", "BANKA")


def test_spreads_are_mostly_one_to_three_ticks() -> None:
    spreads = [
        (quote.ask - quote.bid) // 100
        for quotes in _replayed(LIVELY).quotes.values()
        for quote in quotes
        if OPEN <= quote.time < CLOSE
    ]
    assert np.mean(np.array(spreads) <= 3) > 0.9
    assert 1 < np.mean(spreads) < 3


def _session_counts(exchange: Exchange) -> npt.NDArray[np.int64]:
    seconds = np.array(exchange.times) // SECOND
    return np.bincount(seconds, minlength=57_600)[34_200:57_600]


def test_orders_come_in_bursts() -> None:
    # A Poisson process has a variance of its mean; within minutes the pace is nearly constant.
    minutes = _session_counts(_replayed(LIVELY)).reshape(-1, 60)
    assert np.median(minutes.var(axis=1) / minutes.mean(axis=1)) > 2.5


def test_the_open_and_the_close_are_busier_than_noon() -> None:
    halves = _session_counts(_replayed(LIVELY)).reshape(13, -1).sum(axis=1)
    assert halves[0] > 2 * halves[6]
    assert halves[-1] > 2 * halves[6]


def _log_mids(day: SyntheticDay, step_s: int) -> npt.NDArray[np.float64]:
    """Sample midpoints over the session: stocks by times."""
    grid = np.arange(34_260, 57_600, step_s) * SECOND
    mids = np.empty((day.symbols, len(grid)))
    for index in range(day.symbols):
        quotes = np.array(_replayed(day).quotes[index + 1], dtype=np.float64)
        last = np.searchsorted(quotes[:, 0], grid, side="right") - 1
        mids[index] = np.log((quotes[last, 1] + quotes[last, 2]) / 2)
    return mids


def test_stocks_of_a_sector_move_together_more_than_with_others() -> None:
    returns = np.diff(_log_mids(LIVELY, 60), axis=1)
    correlation = np.asarray(np.corrcoef(returns), dtype=np.float64)
    sectors = np.arange(LIVELY.symbols) % LIVELY.sectors
    same = sectors[:, None] == sectors[None, :]
    within = np.mean(correlation[same & ~np.eye(LIVELY.symbols, dtype=bool)])
    across = np.mean(correlation[~same])
    assert 0.1 < across < within - 0.1


def _mean_reversion(spread: npt.NDArray[np.float64]) -> float:
    """Give the t-statistic of the Dickey-Fuller regression of changes on levels."""
    level = spread[:-1] - spread[:-1].mean()
    change = np.diff(spread)
    slope = (level @ change) / (level @ level)
    residual = change - change.mean() - slope * level
    error = np.sqrt(residual @ residual / (len(change) - 2) / (level @ level))
    return float(slope / error)


def _pair_statistics(day: SyntheticDay, *, same_sector: bool) -> list[float]:
    mids = _log_mids(day, 30)
    statistics = []
    for one in range(day.symbols):
        for other in range(one + 1, day.symbols):
            if (one % day.sectors == other % day.sectors) == same_sector:
                # Engle and Granger: regress one on the other, then test what is left.
                hedge, base = np.polyfit(mids[other], mids[one], 1)
                statistics.append(_mean_reversion(mids[one] - hedge * mids[other] - base))
    return statistics


def test_pairs_within_a_sector_cointegrate() -> None:
    # The 1 % critical value of Engle and Granger's test for two variables is -3.90.
    assert max(_pair_statistics(LIVELY, same_sector=True)) < -3.90


def test_pairs_across_sectors_mostly_do_not() -> None:
    statistics = _pair_statistics(LIVELY, same_sector=False)
    assert np.median(statistics) > -3.90


def test_prices_do_not_depend_on_how_many_messages_there_are() -> None:
    other = replace(LIVELY, messages=150_000)
    gaps = np.exp(_log_mids(LIVELY, 300)[0]) - np.exp(_log_mids(other, 300)[0])
    assert np.abs(gaps).max() < 500  # five ticks


def _rows(slices: Iterator[Slice], table: Table) -> dict[str, npt.NDArray[np.int64]]:
    found = [batch for rows in slices for batch in rows.batches if batch.table is table]
    columns = concatenate(found).columns
    return {name: np.asarray(values, dtype=np.int64) for name, values in columns.items()}


def test_the_feed_reads_its_own_day_and_has_nothing_to_complain_of() -> None:
    feed = SyntheticFeed(SMALL, FeedContext(Symbols(), Instruments()))
    ordinals = [
        np.sort(np.concatenate([batch.columns["_place"] for batch in rows.batches])).tolist()
        for rows in feed.slices()
    ]
    assert all(rows == list(range(len(rows))) for rows in ordinals)
    assert feed.messages == SMALL.messages
    assert not feed.health.damage
    assert not feed.health.counts
    assert (feed.name, feed.venue) == ("synthetic:2026-01-05", "XSYN")


def test_a_written_day_is_read_as_an_itch_file_of_its_date(tmp_path: Path) -> None:
    SMALL.write(tmp_path / "2026-01-05.itch.gz")
    file = ItchFile(tmp_path / "2026-01-05.itch.gz", FeedContext(Symbols(), Instruments()))
    feed = SyntheticFeed(SMALL, FeedContext(Symbols(), Instruments()))
    trades, expected = _rows(file.slices(), TRADE), _rows(feed.slices(), TRADE)
    assert file.messages == SMALL.messages
    assert trades["trade_id"].tolist() == expected["trade_id"].tolist()
    assert trades["venue_time"].tolist() == expected["venue_time"].tolist()


def test_the_feed_quotes_what_the_slow_reader_sees() -> None:
    symbols = Symbols()
    feed = SyntheticFeed(LIVELY, FeedContext(symbols, Instruments(), depth_levels=0))
    quotes = _rows(feed.slices(), QUOTE)
    midnight = midnight_ns(LIVELY.session_date, "America/New_York")
    for locate, name in enumerate(LIVELY.names, 1):
        mine = quotes["sym"] == symbols.find(name)
        seen = np.stack([quotes[column][mine] for column in ("venue_time", "bid", "ask")], axis=1)
        seen = seen[(seen[:, 1:] > 0).all(axis=1)] - np.array([midnight, 0, 0])
        moved = np.any(np.diff(seen[:, 1:], axis=0) != 0, axis=1)
        expected = np.array(_replayed(LIVELY).quotes[locate])
        changed = np.any(np.diff(expected[:, 1:], axis=0) != 0, axis=1)
        assert seen[1:][moved].tolist() == expected[1:][changed].tolist()


def test_a_file_is_the_same_bytes_plain_or_compressed(tmp_path: Path) -> None:
    plain, compressed, again = (tmp_path / name for name in ("d.itch", "d.itch.gz", "e.itch.gz"))
    assert SMALL.write(plain) == plain.stat().st_size
    SMALL.write(compressed)
    SMALL.write(again)
    assert gzip.decompress(compressed.read_bytes()) == plain.read_bytes()
    assert compressed.read_bytes() == again.read_bytes()
    assert hashlib.sha256(plain.read_bytes()).hexdigest()[:24] == GOLDEN


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        ({"messages": 500}, "messages 500 seen, 11"),
        ({"symbols": 0}, "symbols 0 seen, 1 to 2000"),
        ({"sectors": 13}, "sectors 13 seen, 1 to 12"),
        ({"price_step_ms": 0}, "price_step_ms 0"),
        ({"own_half_life_s": 0}, "own_half_life_s 0"),
        ({"market_bp": -1}, "market_bp -1"),
    ],
)
def test_settings_that_make_no_day_are_refused(settings_: dict[str, int], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SyntheticDay(**settings_)  # type: ignore[arg-type]
