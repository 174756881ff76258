"""ITCH files: framing, dates in names, gzip, and what every kind of damage leaves behind."""

import gzip
import random
import struct
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.errors import FeedError
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest import itch_file
from tickloop.ingest.feed import Feed, FeedContext
from tickloop.ingest.file_date import date_in_name
from tickloop.ingest.itch_file import ItchFile

NAME = "12302019.NASDAQ_ITCH50"


def message(kind: bytes, body: bytes, stamp: int = 0) -> bytes:
    """Write a message of locate code 1."""
    return kind + struct.pack(">HH", 1, 0) + stamp.to_bytes(6, "big") + body


def add(order_id: int) -> bytes:
    """Write an A message."""
    body = struct.pack(">Q1sI8sI", order_id, b"B", 100, b"AAA     ", 10_000 + order_id)
    return message(b"A", body, order_id)


def delete(order_id: int) -> bytes:
    """Write a D message."""
    return message(b"D", struct.pack(">Q", order_id), order_id)


def framed(*messages: bytes) -> bytes:
    """Put lengths before messages."""
    return b"".join(struct.pack(">H", len(body)) + body for body in messages)


def day(orders: int) -> bytes:
    """Write a day of orders that come and go."""
    return framed(*(part for n in range(1, orders + 1) for part in (add(n), delete(n))))


def read(path: Path, session_date: date | None = None) -> tuple[ItchFile, list[int]]:
    """Read a file to its end; give the feed and the order ids of its book rows."""
    feed = ItchFile(path, FeedContext(Symbols(), Instruments(), session_date=session_date))
    found: list[int] = []
    for part in feed.slices():
        for batch in part.batches:
            if batch.table.name == "book":
                found += batch.columns["order_id"].tolist()
    return feed, found


def ids(orders: int) -> list[int]:
    """Give the order ids of a day."""
    return [n for n in range(1, orders + 1) for _ in "AD"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write a file whose name has a date."""

    def to(data: bytes, name: str = NAME) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to


def test_a_file_is_a_feed() -> None:
    feed: type[Feed] = ItchFile
    assert feed is ItchFile


@pytest.mark.parametrize("block", [64, 100, 257, 4096, 1 << 22])
@pytest.mark.parametrize("zipped", [False, True])
def test_rows_do_not_depend_on_where_blocks_end(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, block: int, zipped: bool
) -> None:
    monkeypatch.setattr(itch_file, "BLOCK", block)
    data = day(200)
    feed, found = read(write(gzip.compress(data) if zipped else data))
    assert found == ids(200)
    assert feed.messages == 400
    assert feed.decoder.books.resting_orders == 0
    assert feed.health.damage == []


def test_a_length_of_zero_ends_the_file(write: Callable[[bytes], Path]) -> None:
    for end in (b"\0\0", b"\0", bytes(100)):
        feed, found = read(write(day(5) + end))
        assert (found, bool(feed.health.damage)) == (ids(5), end == b"\0")


def test_messages_after_the_end_of_the_session_are_named(write: Callable[[bytes], Path]) -> None:
    feed, found = read(write(day(5) + b"\0\0" + day(2)))
    assert found == ids(5)
    [damage] = feed.health.damage
    assert f"{NAME} byte {len(day(5))}: length 0 (the end of a session)" in str(damage)


def test_prefixes_of_zero_are_framed_by_the_types_lengths(write: Callable[[bytes], Path]) -> None:
    data = b"".join(b"\0\0" + body for n in range(1, 50) for body in (add(n), delete(n)))
    feed, found = read(write(data))
    assert (found, feed.health.damage) == (ids(49), [])


@pytest.mark.parametrize("kept", range(0, 57, 3))
def test_a_truncated_file_keeps_whole_messages_and_says_where_it_broke(
    write: Callable[[bytes], Path], kept: int
) -> None:
    data = day(3)
    feed, found = read(write(data[: len(data) - 59 + kept]))
    whole = [*ids(2), *([3] if kept >= 38 else [])]
    assert found == whole
    offset = 2 * 59 + (38 if kept >= 38 else 0)
    if kept in (0, 38):
        assert feed.health.damage == []
        return
    [damage] = feed.health.damage
    assert f"byte {offset}: " in str(damage)
    assert f"the {len(whole)} messages before it were kept" in str(damage)


def test_a_wrong_length_prefix_ends_the_feed_with_what_was_expected(
    write: Callable[[bytes], Path],
) -> None:
    bad = struct.pack(">H", 35) + add(9)
    feed, found = read(write(day(4) + bad + day(2)))
    assert found == ids(4)
    [damage] = feed.health.damage
    assert f"byte {len(day(4))}: length 35 before a message of type 'A' seen" in str(damage)
    assert "length 36 expected" in str(damage)


def test_an_unknown_type_in_a_right_frame_is_skipped_and_kept_aside(
    write: Callable[[bytes], Path],
) -> None:
    strange = message(b"Z", bytes(20))
    feed, found = read(write(day(2) + framed(strange, strange, delete(7)) + day(1)))
    assert found == [*ids(2), 7, *ids(1)]
    assert feed.health.counts["unknown_type"] == 2
    assert feed.health.aside == [(len(day(2)) + 2, strange), (len(day(2)) + 35, strange)]
    assert feed.health.damage == []


def test_a_message_of_a_wrong_length_in_a_right_frame_is_skipped(
    write: Callable[[bytes], Path],
) -> None:
    feed, found = read(write(framed(add(1), add(2) + b"xx", add(3), delete(3)[:-1])))
    assert found == [1, 3]
    assert feed.health.counts["wrong_length"] == 2
    assert feed.health.damage == []


def test_an_empty_file_is_named(write: Callable[[bytes], Path]) -> None:
    for data in (b"", gzip.compress(b"")):
        feed, found = read(write(data))
        assert found == []
        [damage] = feed.health.damage
        assert "an empty file seen" in str(damage)


@pytest.mark.parametrize("data", [b"time,sym,price\n" * 99, bytes(range(256)) * 8, b"PK\3\4" * 9])
def test_a_file_of_something_else_is_named_at_its_first_byte(
    write: Callable[[bytes], Path], data: bytes
) -> None:
    feed, found = read(write(data))
    assert found == []
    [damage] = feed.health.damage
    assert "byte 0: " in str(damage)
    assert "expected" in str(damage)


def test_truncated_gzip_keeps_what_unzips(write: Callable[[bytes], Path]) -> None:
    data = gzip.compress(day(3000))
    feed, found = read(write(data[: len(data) // 2]))
    assert 0 < len(found) < 6000
    assert found == ids(3000)[: len(found)]
    [damage] = feed.health.damage
    assert f"gzip data without its end at compressed byte {len(data) // 2}" in str(damage)


def test_damaged_gzip_keeps_what_unzips_before_the_damage(write: Callable[[bytes], Path]) -> None:
    rows = random.Random(3)
    stream = framed(*(add(rows.randrange(1, 2**31)) for _ in range(3000)))
    data = bytearray(gzip.compress(stream))
    at = len(data) // 2
    data[at : at + 40] = b"\xff" * 40
    feed, found = read(write(bytes(data)))
    assert 1000 < len(found) < 2000
    [damage] = feed.health.damage
    assert "damaged gzip data" in str(damage)


def test_a_gzip_whose_checksum_is_wrong_is_named_after_its_rows(
    write: Callable[[bytes], Path],
) -> None:
    data = bytearray(gzip.compress(day(100)))
    data[-6] ^= 1
    feed, found = read(write(bytes(data)))
    assert found == ids(100)
    [damage] = feed.health.damage
    assert "incorrect data check" in str(damage)


def test_gzip_members_follow_one_another(write: Callable[[bytes], Path]) -> None:
    parts = day(300)
    members = gzip.compress(parts[:1001]) + gzip.compress(parts[1001:]) + bytes(512)
    feed, found = read(write(members))
    assert (found, feed.health.damage) == (ids(300), [])


def test_time_that_goes_backwards_is_counted(write: Callable[[bytes], Path]) -> None:
    feed, found = read(write(framed(add(5), add(3), add(9))))
    assert found == [5, 3, 9]
    assert feed.health.counts == {"time_backwards": 1}


@pytest.mark.parametrize(
    ("name", "day_of"),
    [
        ("12302019.NASDAQ_ITCH50", date(2019, 12, 30)),
        ("01302020.NASDAQ_ITCH50.gz", date(2020, 1, 30)),
        ("nasdaq-20191230-start-1000msg.itch50", date(2019, 12, 30)),
        ("S081321-v50.txt.gz", date(2021, 8, 13)),
        ("S081321 -v50", date(2021, 8, 13)),
        ("ex20101224.TEST_ITCH_50.gz", date(2010, 12, 24)),
        ("itch_2019-12-30.bin", date(2019, 12, 30)),
        ("xnas-tvitch-20230822-0930.moldudp64.pcap", date(2023, 8, 22)),
        ("13322019.NASDAQ_ITCH50", None),
        ("itch50.bin", None),
        ("123456789.bin", None),
    ],
)
def test_the_session_date_is_read_from_the_name(name: str, day_of: date | None) -> None:
    assert date_in_name(name) == day_of


def test_a_name_without_a_date_is_refused_before_any_row(write: Callable[..., Path]) -> None:
    path = write(day(1), "today.itch")
    with pytest.raises(FeedError, match="no date in the file's name"):
        read(path)
    assert read(path, date(2020, 1, 2))[1] == ids(1)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="no such file"):
        read(tmp_path / NAME)


@settings(max_examples=60)
@given(st.binary(max_size=600))
def test_random_bytes_end_the_feed_without_raising(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("random") / NAME
    path.write_bytes(data)
    feed, _ = read(path)
    assert feed.health.damage or not data.strip(b"\0")


@settings(max_examples=60)
@given(st.integers(0, 5899), st.integers(0, 255), st.booleans())
def test_one_wrong_byte_keeps_everything_before_it(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, zipped: bool
) -> None:
    data = bytearray(day(100))
    if zipped:
        data = bytearray(gzip.compress(bytes(data), mtime=0))
        at = at % len(data)
    data[at] = value
    path = tmp_path_factory.mktemp("mutated") / NAME
    path.write_bytes(data)
    feed, found = read(path)
    good = 0 if zipped else at // 59 * 2
    assert found[:good] == ids(100)[:good]
    assert feed.messages <= 201


def test_real_files_hold_the_messages_that_were_counted_in_them(
    market_data: Callable[[str], Path],
) -> None:
    wanted = {
        "nasdaq-20191230-start-1000msg.itch50": {"instrument": 993, "status": 7},
        "ex20101224.TEST_ITCH_50.gz": {
            "instrument": 3, "status": 9, "book": 7000, "trade": 5198,
        },
    }  # fmt: skip
    for name, tables in wanted.items():
        feed = ItchFile(market_data(f"itch/{name}"), FeedContext(Symbols(), Instruments()))
        rows: Counter[str] = Counter()
        for part in feed.slices():
            for batch in part.batches:
                rows[batch.table.name] += len(batch)
        assert {table: rows[table] for table in tables} == tables
        assert feed.messages == (1000 if "start" in name else 12_012)
        assert feed.health.damage == []


def test_memory_is_bounded_by_the_block(write: Callable[[bytes], Path]) -> None:
    bomb = gzip.compress(bytes(1 << 26))
    feed, found = read(write(bomb))
    assert found == []
    assert feed._buffer.nbytes == itch_file.BLOCK
    assert np.all(feed._buffer == 0)
