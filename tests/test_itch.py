"""ITCH messages to rows, against a slow reader of the specification and a peer's parser."""

import gzip
import struct
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.itch_reader import (
    DAY,
    FORMATS,
    MIDNIGHT,
    SlowReader,
    any_message,
    check,
    read,
    run,
    spell,
)
from tickloop.core.clock import from_unix_ns, midnight_ns
from tickloop.core.errors import FeedError
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, FeedContext, Health
from tickloop.ingest.itch import ItchDecoder


@pytest.mark.kernel
@settings(max_examples=120)
@given(st.lists(any_message(), max_size=40), st.integers(1, 9), st.integers(1, 4))
def test_every_message_type_reads_as_the_specification_says_wherever_it_is_cut(
    drawn: list[bytes], cut: int, pieces: int
) -> None:
    # The slow reader knows no repeated ids, which the books' own tests cover.
    slow = SlowReader()
    messages = []
    for message in drawn:
        m = read(message)
        if m["type"] in "AFU" and m["ref"] in slow.orders:
            continue
        slow.feed(message)
        messages.append(message)
    sizes = [read(message).get("shares", 1) for message in messages]
    if 0 in [size for size, m in zip(sizes, messages, strict=True) if m[:1] in b"AFU"]:
        return
    check(messages, cut=CutRule(messages=cut), pieces=pieces)


def test_every_type_of_the_specification_is_decoded_at_its_length() -> None:
    lengths = {kind: len(spell(kind)) for kind in FORMATS}
    assert lengths == {
        "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21,
        "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19,
        "I": 50, "N": 20, "O": 48,
    }  # fmt: skip
    messages = [spell(kind, side="B") if "side" in FORMATS[kind][1] else spell(kind)
                for kind in FORMATS]  # fmt: skip
    decoder, health, _ = run(messages)
    assert decoder.messages == 23
    assert health.counts["unknown_type"] == health.counts["wrong_length"] == 0


def test_unknown_types_and_wrong_lengths_are_counted_and_kept_aside() -> None:
    bodies = [b"Z" + bytes(20), spell("D")[:-1], b"", spell("D", ref=5)]
    decoder, health, rows = run(bodies)
    assert decoder.messages == 1
    assert (health.counts["unknown_type"], health.counts["wrong_length"]) == (1, 2)
    assert [body for _, body in health.aside] == bodies[:3]
    assert [offset for offset, _ in health.aside] == [0, 21, 39]
    assert [row["order_id"] for row in rows["book"]] == [5]


def test_an_order_of_an_unlisted_stock_is_named_by_its_own_field() -> None:
    add = spell("A", 9, 5, ref=1, side="B", shares=10, stock="ZZT", price=100)
    _, health, rows = run([spell("D", 9, 4, ref=7), add, spell("X", 9, 6, ref=1, shares=3)])
    assert [row["sym"] for row in rows["book"]] == ["locate_9", "ZZT", "ZZT"]
    assert [row["sym"] for row in rows["instrument"]] == ["locate_9", "ZZT"]
    assert health.counts == {"unknown_locate": 1, "unknown_order": 1}


def test_names_whose_bytes_spell_nothing_are_question_marks() -> None:
    blank, control = "\0 \0     ", "A\x01\xe9     "
    messages = [
        spell("A", 9, 5, ref=1, side="B", shares=10, stock=blank, price=100),
        spell("F", 8, 6, ref=2, side="B", shares=10, stock=control[:6], price=9, mpid="\0 \0 "),
        spell("D", 9, 7, ref=1),
    ]
    _, _, rows = run(messages)
    assert [row["sym"] for row in rows["book"]] == ["?", "A???", "?"]
    assert [row["mpid"] for row in rows["book"]] == ["", "?", ""]


def test_orders_keep_their_stock_where_every_locate_code_is_zero() -> None:
    messages = [
        spell("A", 0, 1, ref=1, side="B", shares=10, stock="AAA", price=100),
        spell("A", 0, 2, ref=2, side="S", shares=10, stock="BBB", price=200),
        spell("E", 0, 3, ref=1, shares=4, match=9),
        spell("D", 0, 4, ref=2),
    ]
    _, health, rows = run(messages)
    assert [row["sym"] for row in rows["book"]] == ["AAA", "BBB", "AAA", "BBB"]
    assert [row["sym"] for row in rows["trade"]] == ["AAA"]
    assert not health.counts


def test_a_message_that_contradicts_the_directory_is_believed_for_itself_only() -> None:
    messages = [
        spell("R", 3, 1, stock="AAA"),
        spell("A", 3, 2, ref=1, side="B", shares=10, stock="BBB", price=100),
        spell("P", 3, 3, side="B", shares=1, stock="AAA", price=100),
        spell("R", 3, 4, stock="CCC"),
        spell("B", 3, 5, match=1),
    ]
    _, health, rows = run(messages)
    assert [row["sym"] for row in rows["book"]] == ["BBB"]
    assert [row["sym"] for row in rows["trade"]] == ["AAA", "CCC"]
    assert health.counts == {"locate_mismatch": 1, "locate_changed": 1}


def test_the_clock_stands_still_where_stamps_go_back_or_past_the_day() -> None:
    stamps = [10, 5, 80_000 * 10**9, 2**48 - 1, 80_001 * 10**9]
    messages = [spell("S", 0, stamp, event="Q") for stamp in stamps]
    _, health, rows = run(messages)
    assert [row["time"] - MIDNIGHT for row in rows["status"]] == [
        10, 10, stamps[2], stamps[2], stamps[4],
    ]  # fmt: skip
    assert [row["venue_time"] - MIDNIGHT for row in rows["status"]] == stamps
    assert health.counts == {"time_backwards": 1, "stamp_past_midnight": 1}


def test_a_cross_without_shares_makes_no_trade() -> None:
    messages = [spell("Q", 1, 1, shares=0, stock="AAA", cross="O"),
                spell("Q", 1, 2, shares=5, stock="AAA", cross="C", price=7)]  # fmt: skip
    _, health, rows = run(messages)
    assert [(row["cond"], row["size"]) for row in rows["trade"]] == [("cross_close", 5)]
    assert health.counts == {"cross_without_shares": 1}


def test_hidden_trades_before_july_2014_tell_the_aggressor() -> None:
    messages = [spell("P", 1, 1, side=side, shares=1, stock="A", price=1) for side in "BS"]
    for day, sides in ((date(2014, 7, 13), ["S", "B"]), (date(2014, 7, 14), [" ", " "])):
        _, _, rows = run(messages, session_date=day)
        assert [row["side"] for row in rows["trade"]] == sides


def test_slices_are_cut_by_the_feeds_clock() -> None:
    messages = [spell("S", 0, n * 300, event="Q") for n in range(10)]
    symbols = Symbols()
    rule = CutRule(messages=100, interval_ns=1000)
    context = FeedContext(symbols, Instruments(), session_date=DAY, cut=rule)
    decoder = ItchDecoder(context, Health())
    offsets = np.arange(10, dtype=np.int64) * 12
    buffer = np.frombuffer(b"".join(messages), dtype=np.uint8)
    parts = list(decoder.decode(buffer, offsets, np.full(10, 12)))
    assert [part.rows for part in parts] == [4, 3, 3]


def test_a_decoder_without_a_session_date_is_refused() -> None:
    with pytest.raises(FeedError, match="session date"):
        ItchDecoder(FeedContext(Symbols(), Instruments()), Health())


def test_the_morning_makes_one_name_of_each_code() -> None:
    stocks = [f"S{n:05d}" for n in range(3000)]
    messages = [spell("R", n + 1, 1, stock=s, lot=100, auth="P") for n, s in enumerate(stocks)]
    messages += [spell("H", n + 1, 2, stock=s, state="T") for n, s in enumerate(stocks)]
    messages += [
        spell("L", n + 1, 3, stock=s, mpid=f"M{n % 7}", primary="N", mode="N", state="A")
        for n, s in enumerate(stocks)
    ]
    decoder, health, rows = run(messages)
    assert [row["sym"] for row in rows["instrument"]] == stocks
    assert [row["sym"] for row in rows["status"]] == stocks * 2
    assert Counter(row["state"] for row in rows["status"]) == {
        "trading": 3000, "market_maker_active": 3000,
    }  # fmt: skip
    assert not health.counts
    assert decoder.messages == 9000


@settings(max_examples=150)
@given(st.binary(max_size=400), st.lists(st.integers(0, 60), max_size=20))
def test_random_bytes_never_raise(body: bytes, lengths: list[int]) -> None:
    ends = np.cumsum(lengths, dtype=np.int64)
    sizes = np.array(lengths, dtype=np.int64)[ends <= len(body)]
    offsets = ends[: len(sizes)] - sizes
    context = FeedContext(Symbols(), Instruments(), session_date=DAY)
    decoder = ItchDecoder(context, Health())
    for _ in decoder.decode(np.frombuffer(body, dtype=np.uint8), offsets, sizes):
        pass
    assert 0 <= decoder.messages <= len(sizes)


@settings(max_examples=150)
@given(st.lists(any_message(), min_size=1, max_size=20), st.data())
def test_mutated_messages_never_raise(messages: list[bytes], data: st.DataObject) -> None:
    damaged = []
    for message in messages:
        body = bytearray(message)
        at = data.draw(st.integers(1, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
        damaged.append(bytes(body))
    decoder, _, _ = run(damaged)
    assert decoder.messages == len(damaged)


def pcap_messages(path: Path) -> tuple[list[bytes], list[int]]:
    """Read the ITCH messages and their capture stamps out of a MoldUDP64 pcap, by hand."""
    data = path.read_bytes()
    nano = data[:4] == b"\x4d\x3c\xb2\xa1"
    at, messages, stamps = 24, [], []
    while at < len(data):
        seconds, part, captured, _ = struct.unpack_from("<IIII", data, at)
        packet = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        mold = packet[packet.index(b"\x45\x00", 12) + 28 :]
        count = int.from_bytes(mold[18:20], "big")
        body = mold[20:]
        for _ in range(count):
            length = int.from_bytes(body[:2], "big")
            messages.append(body[2 : 2 + length])
            stamps.append(from_unix_ns(seconds * 10**9 + part * (1 if nano else 1000)))
            body = body[2 + length :]
    return messages, stamps


def file_messages(path: Path, lengths: dict[int, int]) -> list[bytes]:
    """Read a file's messages; where prefixes are 0 the type says the length."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    at, messages = 0, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big") or lengths[data[at + 2]]
        messages.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return messages


LENGTHS = {ord(kind): 11 + struct.calcsize(">" + FORMATS[kind][0]) for kind in FORMATS}


def test_the_captured_market_open_reads_as_the_slow_reader_reads_it(
    market_data: Callable[[str], Path],
) -> None:
    messages, stamps = pcap_messages(market_data("itch/xnas-tvitch-20230822-0930.moldudp64.pcap"))
    kinds = Counter(chr(message[0]) for message in messages)
    assert kinds == {"A": 125, "U": 99, "D": 30, "F": 6, "I": 5, "E": 3, "S": 1}
    health = check(messages, stamps, pieces=7)
    _, _, rows = run(messages, arrivals=stamps)
    delays = [row["time"] - row["venue_time"] for row in rows["book"]]
    assert min(delays) > 0
    assert 150_000 < np.median(delays) < 180_000
    named = {row["sym"] for row in rows["instrument"]}
    # All locate codes but that of the system event are instruments.
    assert len({message[1:3] for message in messages} - {b"\0\0"}) == 113
    assert len({sym for sym in named if sym.startswith("locate_")}) > 0
    assert health.counts["unknown_order"] > 0


def test_captured_single_messages_read_as_the_slow_reader_reads_them(
    market_data: Callable[[str], Path],
) -> None:
    for path in sorted(market_data("itch/omi-single").glob("*.pcap")):
        messages, stamps = pcap_messages(path)
        assert len(messages) == 1
        check(messages, stamps)


def test_the_start_of_a_real_day_reads_as_the_slow_reader_reads_it(
    market_data: Callable[[str], Path],
) -> None:
    path = market_data("itch/nasdaq-20191230-start-1000msg.itch50")
    messages = file_messages(path, LENGTHS)
    assert Counter(chr(message[0]) for message in messages) == {"S": 1, "R": 993, "H": 3, "Y": 3}
    assert not check(messages, cut=CutRule(messages=300)).counts


@pytest.mark.kernel
def test_a_simulated_day_reads_as_the_slow_reader_reads_it(
    market_data: Callable[[str], Path],
) -> None:
    path = market_data("itch/ex20101224.TEST_ITCH_50.gz")
    messages = file_messages(path, LENGTHS)
    kinds = Counter(chr(message[0]) for message in messages)
    assert kinds == {
        "S": 6,
        "R": 3,
        "H": 3,
        "A": 4997,
        "F": 3,
        "E": 198,
        "D": 1745,
        "P": 5000,
        "U": 12,
        "X": 45,
    }
    check(messages, cut=CutRule(messages=1000))


def test_a_peers_parser_reads_the_same_orders(market_data: Callable[[str], Path]) -> None:
    parser = pytest.importorskip("itch.parser")
    messages = file_messages(market_data("itch/ex20101224.TEST_ITCH_50.gz"), LENGTHS)
    stream = b"".join(struct.pack(">H", len(message)) + message for message in messages)
    _, _, rows = run(messages, session_date=date(2020, 1, 1))
    midnight = midnight_ns(date(2020, 1, 1), "America/New_York")
    adds, trades = [], []
    for peer in parser.MessageParser().parse_stream(stream):
        stamp = midnight + peer.timestamp
        if peer.message_type in (b"A", b"F"):
            side = peer.buy_sell_indicator.decode()
            stock = peer.stock.decode().rstrip()
            adds.append((stock, peer.order_reference_number, side, peer.price, peer.shares, stamp))
        elif peer.message_type == b"P":
            trades.append((peer.stock.decode().rstrip(), peer.price, peer.shares, stamp))
    wanted = ("sym", "order_id", "side", "price", "size", "venue_time")
    ours = [tuple(row[name] for name in wanted) for row in rows["book"] if row["action"] == "A"]
    assert ours == adds
    printed = ("sym", "price", "size", "venue_time")
    prints = [row for row in rows["trade"] if row["cond"] == "hidden"]
    assert [tuple(row[name] for name in printed) for row in prints] == trades
