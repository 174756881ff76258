"""Subscribers that read slowly, late or again get what the log holds: no gap, no duplicate."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.plants import NOON, mixed, publish_trades, quotes, trades
from tests.port import Logged, Port, Reader, Row, is_ascending, logged, wanted
from tickloop.core.batch import slice_of
from tickloop.core.schema import QUOTE, TABLES, TRADE
from tickloop.tickerplant.layout import Layout
from tickloop.tickerplant.wire_subscriber import SlowPolicy

COLUMNS = {table.name: table.names for table in TABLES}
WATCHED = ("trade", "quote", "clock", "symbol", "journal")
DAY_NS = 86_400_000_000_000


@pytest.fixture
def opened() -> Iterator[list[Port]]:
    ports: list[Port] = []
    yield ports
    for port in ports:
        for reader in port.readers:
            reader.close()
        port.close()


def flood(port: Port, *, until: int, start: int = 0) -> int:
    """Publish and poll until that many rows are logged, with nobody reading."""
    number = start
    while port.plant.rows < until:
        port.plant.publish(mixed(port.plant.symbols, 50, start=number))
        number += 50
        port.poll()
    return number


# One slow reader by policy


def test_a_spilled_subscriber_gets_every_row_in_log_order_once(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path)
    opened.append(port)
    reader = Reader(port)
    reader.subscribe(["trade", "quote", "journal"])
    flood(port, until=40_000)
    (subscriber,) = port.service._subscribers.values()
    assert subscriber.overflows == 1
    assert subscriber.is_behind
    assert subscriber.outlet.queued_bytes <= 1 << 15
    number = 40_000
    for _ in range(300):
        # It reads while rows keep coming, so that it crosses from the log to live on the way.
        reader.read(20_000)
        port.plant.publish(mixed(port.plant.symbols, 1, start=number))
        number += 1
        port.poll()
    reader.read_all()
    assert not subscriber.is_behind
    port.plant.publish(mixed(port.plant.symbols, 1, start=number))
    reader.read_all()
    told = logged(tmp_path, COLUMNS)
    # The rows before the subscription were the opening journal row's only.
    first = reader.order[0][1]
    assert reader.order == [
        (table, seq)
        for table, seq in told.order
        if seq >= first and table in ("trade", "quote", "journal")
    ]
    for table in ("trade", "quote"):
        assert reader.rows[table] == told.rows[table]


def test_a_slow_subscriber_is_disconnected_where_the_policy_says_so(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path, slow=SlowPolicy.DISCONNECT)
    opened.append(port)
    slow, quick = Reader(port), Reader(port)
    for reader in (slow, quick):
        reader.subscribe(["trade"])
    for start in range(0, 20_000, 50):
        publish_trades(port.plant, 50, start=start)
        port.poll()
        quick.read()
    assert port.service.subscribers == 1
    slow.read_all()
    quick.read_all()
    assert slow.gone
    assert not quick.gone
    told = logged(tmp_path, COLUMNS).rows["trade"]
    assert quick.rows["trade"] == told
    # What it got before it was cut off has no hole.
    assert slow.rows["trade"] == told[: len(slow.rows["trade"])]


def test_a_conflated_subscriber_gets_the_latest_state_and_every_trade(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path, slow=SlowPolicy.CONFLATE)
    opened.append(port)
    reader = Reader(port)
    reader.subscribe(["trade", "quote"])
    number = flood(port, until=40_000)
    (subscriber,) = port.service._subscribers.values()
    held = sum(latest._rows for latest in subscriber._latest.values())
    assert 0 < held <= 20_000 + 50
    reader.read_all()
    port.plant.publish(mixed(port.plant.symbols, 5, start=number))
    reader.read_all()
    assert not subscriber.is_behind
    told = logged(tmp_path, COLUMNS)
    assert reader.rows["trade"] == told.rows["trade"]
    got = reader.rows["quote"]
    assert len(got) < len(told.rows["quote"]) / 2
    assert is_ascending([seq for seq, _ in got])
    every = dict(told.rows["quote"])
    assert all(every[seq] == values for seq, values in got)
    assert latest(got) == latest(told.rows["quote"])


def latest(rows: list[Row]) -> dict[bytes, dict[str, bytes]]:
    return {values["sym"]: values for _, values in rows}


def test_a_quick_subscriber_is_live_all_the_time_beside_a_slow_one(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path)
    opened.append(port)
    slow, quick = Reader(port), Reader(port)
    for reader in (slow, quick):
        reader.subscribe(["trade"])
    subscribers = list(port.service._subscribers.values())
    for start in range(0, 20_000, 50):
        publish_trades(port.plant, 50, start=start)
        port.poll()
        quick.read()
    assert [subscriber.overflows > 0 for subscriber in subscribers] == [True, False]


def test_a_row_a_message_reaches_a_spilled_subscriber_too(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path)
    opened.append(port)
    reader = Reader(port)
    reader.subscribe(["trade"], ["S1", "S3"])
    everything = Reader(port)
    everything.subscribe(["trade"])
    records = np.zeros(1, dtype=Layout(TRADE).record_dtype)
    symbols = port.plant.symbols.ids(["S0", "S1", "S2", "S3"])
    for number in range(8000):
        records["time"], records["sym"] = NOON + number, symbols[number % 4]
        records["trade_id"] = number
        port.plant.publish_rows(TRADE, records)
        if number % 20 == 0:
            port.poll()
    for one in (reader, everything):
        one.read_all()
    told = logged(tmp_path, COLUMNS).rows["trade"]
    assert everything.rows["trade"] == told
    assert reader.rows["trade"] == wanted(told, ["S1", "S3"], ())
    assert max(peer.overflows for peer in port.service._subscribers.values()) > 0


def test_symbols_that_are_only_asked_for_get_no_id(tmp_path: Path, opened: list[Port]) -> None:
    port = Port(tmp_path)
    opened.append(port)
    reader = Reader(port)
    reader.subscribe(["trade"], [f"ODD{n}" for n in range(1000)])
    assert len(port.plant.symbols) == 0
    rows = trades(port.plant.symbols, 1)
    rows.columns["sym"][:] = port.plant.symbols.id("ODD7")
    port.plant.publish(slice_of(rows))
    reader.read_all()
    assert [values["sym"] for _, values in reader.rows["trade"]] == [b"ODD7"]


def test_a_damaged_log_ends_a_catch_up_with_the_connection_and_not_the_plant(
    tmp_path: Path, opened: list[Port]
) -> None:
    port = Port(tmp_path)
    publish_trades(port.plant, 10)
    port.plant.publish(slice_of(trades(port.plant.symbols, 10, start=10, time=NOON + DAY_NS)))
    opened.append(port)
    old = sorted((tmp_path / "journal").glob("*.log"))[0]
    raw = bytearray(old.read_bytes())
    raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    old.write_bytes(raw)
    reader = Reader(port)
    reader.subscribe(["trade"], start=1)
    reader.read_all()
    assert reader.gone
    assert port.service.lost == 1
    assert "tickloop journal verify" in port.service.last_error
    publish_trades(port.plant, 1, start=20)


# Many at random


@dataclass(repr=False)
class Client:
    """A reader and what it is owed."""

    reader: Reader
    symbols: tuple[str, ...]
    columns: tuple[str, ...]
    # By table: the seq it subscribed from.
    starts: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)  # from before a reconnection

    def next_seq(self, table: str) -> int:
        have = [*self.rows.get(table, []), *self.reader.rows.get(table, [])]
        return have[-1][0] + 1 if have else self.starts[table]


NAMES = st.lists(st.sampled_from(["S0", "S1", "S2", "NEVER"]), unique=True, max_size=3).map(tuple)
SUBSETS = st.sampled_from([(), ("sym", "seq"), ("seq", "time")])
BACK = st.none() | st.integers(0, 4000)
WATCHED_SETS = st.lists(st.sampled_from(WATCHED), unique=True, min_size=1)


class Subscriptions(RuleBasedStateMachine):
    """Rows come, days roll, the plant crashes; clients come late, read little and come again."""

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.port = Port(self.root, queue_bytes=1 << 13)
        self.clients: list[Client] = []
        self.number = 0
        self.day = 0

    @rule(count=st.integers(1, 1500), both=st.booleans())
    def rows_come(self, count: int, both: bool) -> None:
        time = NOON + self.day * DAY_NS
        symbols = self.port.plant.symbols
        if both:
            self.port.plant.publish(
                slice_of(
                    trades(symbols, count, start=self.number, time=time),
                    quotes(symbols, count, start=self.number, time=time),
                )
            )
        else:
            self.port.plant.publish(mixed(symbols, count, start=self.number))
        self.number += count

    @rule(count=st.integers(1, 600))
    def single_rows_come(self, count: int) -> None:
        records = np.zeros(1, dtype=Layout(QUOTE).record_dtype)
        for _ in range(count):
            records["time"] = NOON + self.day * DAY_NS
            records["sym"] = self.port.plant.symbols.id(f"S{self.number % 4}")
            records["bid"] = self.number
            self.port.plant.publish_rows(QUOTE, records)
            self.number += 1

    @rule()
    def a_day_passes(self) -> None:
        self.day += 1

    @precondition(lambda self: len(self.clients) < 4)
    @rule(tables=WATCHED_SETS, symbols=NAMES, columns=SUBSETS, back=BACK)
    def somebody_comes(
        self, tables: list[str], symbols: tuple[str, ...], columns: tuple[str, ...],
        back: int | None,
    ) -> None:  # fmt: skip
        client = Client(Reader(self.port), symbols, columns)
        self.clients.append(client)
        self._subscribe(client, tables, back)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), tables=WATCHED_SETS)
    def somebody_wants_more_tables(self, data: st.DataObject, tables: list[str]) -> None:
        client = data.draw(st.sampled_from(self.clients))
        more = [table for table in tables if table not in client.starts]
        if more:
            self._subscribe(client, more, data.draw(BACK))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def somebody_asks_for_the_same_again(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        table = data.draw(st.sampled_from(sorted(client.starts)))
        client.reader.subscribe([table], client.symbols, columns=client.columns)

    def _subscribe(self, client: Client, tables: list[str], back: int | None) -> None:
        start = None if back is None else max(self.port.plant.journal.next_seq - back, 1)
        client.reader.subscribe(tables, client.symbols, columns=client.columns, start=start)
        first = self.port.plant.journal.next_seq if start is None else start
        client.starts.update(dict.fromkeys(tables, first))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), size=st.integers(1, 60_000))
    def somebody_reads(self, data: st.DataObject, size: int) -> None:
        data.draw(st.sampled_from(self.clients)).reader.read(size)

    @rule()
    def the_plant_polls(self) -> None:
        self.port.poll()

    @rule(crash=st.booleans())
    def the_plant_starts_again(self, crash: bool) -> None:
        (self.port.crash if crash else self.port.close)()
        symbols = self.port.plant.symbols
        for client in self.clients:
            client.reader.read()
            client.reader.close()
        self.port = Port(self.root, queue_bytes=1 << 13, symbols=symbols)
        for client in self.clients:
            for table, rows in client.reader.rows.items():
                client.rows.setdefault(table, []).extend(rows)
            client.reader = Reader(self.port)
            for table in client.starts:
                # As far as each table was received: a slice interleaves the seqs of its tables.
                start = min(client.next_seq(table), self.port.plant.journal.next_seq)
                client.reader.subscribe(
                    [table], client.symbols, columns=client.columns, start=start
                )

    @invariant()
    def queues_are_bounded(self) -> None:
        for peer in self.port.service._subscribers.values():
            # One message larger than the bound may go when nothing else waits.
            assert peer.outlet.queued_bytes <= (1 << 13) + (1 << 17)

    def teardown(self) -> None:
        if not hasattr(self, "port"):
            return
        for client in self.clients:
            client.reader.read_all()
        told = logged(self.root, COLUMNS)
        for client in self.clients:
            self._check(client, told)
            client.reader.close()
        self.port.close()
        self.folder.cleanup()

    def _check(self, client: Client, told: Logged) -> None:
        for table, start in client.starts.items():
            got = [*client.rows.get(table, []), *client.reader.rows.get(table, [])]
            expected = wanted(told.rows.get(table, []), client.symbols, client.columns, start=start)
            seqs, due = [seq for seq, _ in got], [seq for seq, _ in expected]
            pairs = enumerate(zip(seqs, due, strict=False))
            where = next((f"row {n}: {seq} for {d}" for n, (seq, d) in pairs if seq != d), "")
            said = f"{table} from {start}: {len(seqs)} of {len(due)} rows; {where}"
            assert seqs == due, said
            assert got == expected, said


TestSubscriptions = Subscriptions.TestCase
TestSubscriptions.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
