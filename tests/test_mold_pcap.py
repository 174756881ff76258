"""A capture of MoldUDP64 lines becomes ITCH rows stamped by the capture."""

import struct
from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tickloop.core.clock import iso
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.mold_pcap import MoldPcap

ITCH = "itch/xnas-tvitch-20230822-0930.moldudp64.pcap"
MIDNIGHT = 1_692_676_800 * 10**9  # 2023-08-22 00:00 in New York, ns since 1970


def context(session: date | None = None) -> FeedContext:
    return FeedContext(Symbols(), Instruments(), session_date=session)


def rows_of(feed: MoldPcap) -> Counter[str]:
    rows: Counter[str] = Counter()
    for step in feed.slices():
        for batch in step.batches:
            rows[batch.table.name] += len(batch)
    return rows


def test_the_real_capture_gives_its_orders_trades_and_imbalances(
    market_data: Callable[[str], Path],
) -> None:
    feed = MoldPcap(market_data(ITCH), context())
    rows = rows_of(feed)
    assert feed.name == "pcap:xnas-tvitch-20230822-0930.moldudp64.pcap"
    assert feed.messages == 269
    # A 125, F 6, U 99, D 30 and E 3 are book rows; S is a status and I an imbalance.
    assert (rows["book"], rows["trade"], rows["imbalance"], rows["status"]) == (263, 3, 5, 1)
    assert feed.gaps == []
    assert feed.health.damage == []


def test_rows_carry_the_captures_stamp_and_the_captures_own_date(
    market_data: Callable[[str], Path],
) -> None:
    times, venue_times = [], []
    for step in MoldPcap(market_data(ITCH), context()).slices():
        for batch in step.batches:
            if batch.table.name == "book":
                times += batch.columns["time"].tolist()
                venue_times += batch.columns["venue_time"].tolist()
    assert iso(times[0]) == "2023-08-22T13:30:00.000001000Z"
    assert iso(venue_times[0]) == "2023-08-22T13:29:59.999836649Z"
    late = np.array(times) - np.array(venue_times)
    assert 160_000 < late.min() <= late.max() < 200_000


def test_a_session_date_in_the_context_wins_over_the_captures(
    market_data: Callable[[str], Path],
) -> None:
    feed = MoldPcap(market_data(ITCH), context(date(2020, 1, 2)))
    (step,) = feed.slices()
    book = next(batch for batch in step.batches if batch.table.name == "book")
    assert iso(int(book.columns["venue_time"][0])) == "2020-01-02T14:29:59.999836649Z"


def test_two_lines_in_one_capture_give_what_one_gives(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    data = market_data(ITCH).read_bytes()
    records, at = [], 24
    while at < len(data):
        (captured,) = struct.unpack_from("<I", data, at + 8)
        records.append(data[at : at + 16 + captured])
        at += 16 + captured
    draws = np.random.default_rng(1)
    b_line = [record[:50] + b"\xe0" + record[51:] for record in records]
    kept = [
        one
        for pair in zip(records, b_line, strict=True)
        for one in ([pair[draws.integers(0, 2)]] if draws.random() < 0.5 else pair)
    ]
    path = tmp_path / "two lines"
    path.write_bytes(data[:24] + b"".join(kept))
    merged = MoldPcap(path, context())
    assert rows_of(merged) == rows_of(MoldPcap(market_data(ITCH), context()))
    assert merged.health.counts["duplicate_messages"] > 50
    assert merged.gaps == []


def test_lost_packets_are_a_gap_in_the_account(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    data = market_data(ITCH).read_bytes()
    first = 24 + 16 + struct.unpack_from("<I", data, 24 + 8)[0]
    second = first + 16 + struct.unpack_from("<I", data, first + 8)[0]
    count = struct.unpack_from(">H", data, first + 16 + 46 + 18)[0]
    path = tmp_path / "lossy"
    path.write_bytes(data[:first] + data[second:])
    feed = MoldPcap(path, context())
    rows_of(feed)
    assert [gap.count for gap in feed.gaps] == [count]
    assert feed.health.counts["gap_messages"] == count
    assert feed.messages == 269 - count


def test_messages_kept_aside_say_where_they_lie_in_the_capture(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    data = bytearray(market_data(ITCH).read_bytes())
    records = record_starts(data)
    # Of the third packet, then of one that has to wait because the ones before it come later.
    for record in (records[2], records[20]):
        data[record + 16 + 46 + 20 + 2] = ord("z")
    first, second = data[records[19] : records[20]], data[records[20] : records[21]]
    data[records[19] : records[21]] = second + first
    path = tmp_path / "strange types.pcap"
    path.write_bytes(data)
    feed = MoldPcap(path, context())
    rows_of(feed)
    assert feed.health.counts["unknown_type"] == 2
    assert feed.health.counts["reordered_packets"] == 1
    assert [body[:1] for _, body in feed.health.aside] == [b"z", b"z"]
    for offset, body in feed.health.aside:
        assert data[offset : offset + len(body)] == body


def record_starts(data: bytes | bytearray) -> list[int]:
    starts, at = [], 24
    while at < len(data):
        starts.append(at)
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return starts


def test_a_capture_without_moldudp64_says_so(market_data: Callable[[str], Path]) -> None:
    feed = MoldPcap(market_data("cme-mdp3/Cme.Mdp3.Sbe.v6.1.pcap"), context())
    assert rows_of(feed) == Counter()
    assert "no MoldUDP64 message in 10000 packets" in str(feed.health.damage[0])


def test_an_empty_file_is_damage_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(b"")
    feed = MoldPcap(path, context())
    assert rows_of(feed) == Counter()
    assert [str(error) for error in feed.health.damage] == [
        f"{path}: empty, a pcap or pcapng capture expected; capture or fetch it again"
    ]


A_LINE, B_LINE = (bytes([233, 54, 12, last]) for last in (111, 112))
C_LINE = bytes([233, 54, 12, 200])


def to(line: bytes, record: bytes, *, shift: int = 0, flip: bool = False) -> bytes:
    """Send a record to another group, its sequence number moved, its messages changed."""
    content = bytearray(record)
    content[50:54] = line
    at = 16 + 46 + 10
    (sequence,) = struct.unpack_from(">Q", content, at)
    struct.pack_into(">Q", content, at, sequence + shift)
    at += 10
    while flip and at < len(content):
        content[at + 2 + 10] ^= 0x01  # the last byte of the message's stamp
        at += 2 + struct.unpack_from(">H", content, at)[0]
    return bytes(content)


def several(tmp_path: Path, real: Path, lines: Callable[[int, bytes], list[bytes]]) -> Path:
    data = real.read_bytes()
    starts = [*record_starts(data), len(data)]
    records = [data[at:end] for at, end in pairwise(starts)]
    sent = [one for number, record in enumerate(records) for one in lines(number, record)]
    path = tmp_path / "several.pcap"
    path.write_bytes(data[:24] + b"".join(sent))
    return path


# Numbers that are the same, that overlap, and that never meet.
@pytest.mark.parametrize("shift", [0, 3, 10**9])
def test_channels_that_share_a_session_name_are_kept_apart(
    tmp_path: Path, market_data: Callable[[str], Path], shift: int
) -> None:
    def sent(number: int, record: bytes) -> list[bytes]:
        other = [to(C_LINE, record, shift=shift, flip=True)] if number % 3 else []
        return [to(A_LINE, record), to(B_LINE, record), *other]

    feed = MoldPcap(several(tmp_path, market_data(ITCH), sent), context())
    assert rows_of(feed) == rows_of(MoldPcap(market_data(ITCH), context()))
    others = {name: n for name, n in feed.health.counts.items() if "other_channel" in name}
    ((name, packets),) = others.items()
    assert name.startswith("other_channel_233.54.12.200:")
    assert packets == sum(1 for number in range(100) if number % 3)
    assert feed.health.counts["duplicate_messages"] == 269
    assert feed.gaps == []


def test_a_named_channel_is_followed_instead_of_the_busiest(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    def sent(number: int, record: bytes) -> list[bytes]:
        return [to(A_LINE, record), *([to(C_LINE, record, flip=True)] if number < 40 else [])]

    path = several(tmp_path, market_data(ITCH), sent)
    port = struct.unpack_from(">H", path.read_bytes(), 24 + 56)[0]
    named = frozenset({int.from_bytes(C_LINE, "big") << 16 | port})
    feed = MoldPcap(path, context(), destinations=named)
    rows_of(feed)
    assert 0 < feed.messages < 269
    assert feed.health.counts[f"other_channel_233.54.12.111:{port}"] == 100
    absent = MoldPcap(path, context(), destinations=frozenset({1}))
    rows_of(absent)
    assert "pcap_channel" in str(absent.health.damage[0])
