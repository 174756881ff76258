"""Bytes that the encoder writes are the exchange's own."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.errors import SchemaError
from tickloop.core.symbols import Symbols
from tickloop.ingest.events import ADD, EVENT, EXECUTE_AT, NOT_PRINTABLE, REPLACE, TRADE_ONLY
from tickloop.ingest.itch_encode import (
    MESSAGE,
    encode,
    from_events,
    packed,
    reg_sho,
    stock_directory,
)

# Field names and struct codes after the common eleven bytes, from the specification's tables.
FIELDS: dict[str, tuple[str, str]] = {
    "S": ("c", "code"),
    "H": ("8sc1s4s", "stock code reserved text"),
    "A": ("QcI8sI", "order_id side shares stock price"),
    "F": ("QcI8sI4s", "order_id side shares stock price text"),
    "E": ("QIQ", "order_id shares match"),
    "C": ("QIQcI", "order_id shares match code price"),
    "X": ("QI", "order_id shares"),
    "D": ("Q", "order_id"),
    "U": ("QQII", "order_id new_order_id shares price"),
    "P": ("QcI8sIQ", "order_id side shares stock price match"),
    "Q": ("Q8sIQc", "shares stock price match code"),
    "B": ("Q", "match"),
    "I": ("QQc8sIIIcc", "shares imbalance side stock far near price code variation"),
}


def _record(body: bytes) -> dict[str, Any]:
    """Read one message with struct into MESSAGE's fields."""
    kind = chr(body[0])
    codes, names = FIELDS[kind]
    locate, tracking = struct.unpack_from(">HH", body, 1)
    fields = dict(zip(names.split(), struct.unpack(">" + codes, body[11:]), strict=True))
    values: dict[str, Any] = {
        "kind": body[0],
        "locate": locate,
        "tracking": tracking,
        "timestamp": int.from_bytes(body[5:11], "big"),
    }
    for name, value in fields.items():
        values[name] = int.from_bytes(value, "big") if isinstance(value, bytes) else value
    return values


def _records(bodies: list[bytes]) -> npt.NDArray[Any]:
    messages = np.zeros(len(bodies), dtype=MESSAGE)
    for row, body in enumerate(bodies):
        for name, value in _record(body).items():
            if name in (MESSAGE.names or ()):
                messages[name][row] = value
    return messages


def _framed(bodies: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def _mold_bodies(capture: bytes) -> Iterator[bytes]:
    """Find the MoldUDP64 messages of a classic little-endian pcap of VLAN-tagged UDP frames."""
    at = 24
    while at < len(capture):
        size = struct.unpack_from("<I", capture, at + 8)[0]
        payload = capture[at + 16 : at + 16 + size][46:]
        at += 16 + size
        place = 20
        for _ in range(struct.unpack_from(">H", payload, 18)[0]):
            length = struct.unpack_from(">H", payload, place)[0]
            yield payload[place + 2 : place + 2 + length]
            place += 2 + length


def test_a_real_multicast_capture_is_written_again_byte_for_byte(
    market_data: Callable[[str], Path],
) -> None:
    path = market_data("itch/xnas-tvitch-20230822-0930.moldudp64.pcap")
    bodies = [body for body in _mold_bodies(path.read_bytes()) if chr(body[0]) in FIELDS]
    assert len(bodies) == 269
    written = encode(_records(bodies)).tobytes()
    # The record has no place for the NOII's last byte, the price variation indicator.
    expected = _framed([body[:49] + b" " if body[:1] == b"I" else body for body in bodies])
    assert written == expected


def test_a_real_directory_is_written_again_byte_for_byte(
    market_data: Callable[[str], Path],
) -> None:
    raw = market_data("itch/nasdaq-20191230-start-1000msg.itch50").read_bytes()
    at, seen = 0, 0
    while at < len(raw):
        length = struct.unpack_from(">H", raw, at)[0]
        body = raw[at + 2 : at + 2 + length]
        at += 2 + length
        if body[:1] not in b"RY" or (body[:1] == b"R" and body[19:] != _COMMON_STOCK):
            continue
        seen += 1
        locate = struct.unpack_from(">H", body, 1)[0]
        stamp, name = int.from_bytes(body[5:11], "big"), body[11:19].decode().rstrip()
        if body[:1] == b"R":
            again = stock_directory(name, locate=locate, timestamp=stamp)
        else:
            again = reg_sho(name, locate=locate, timestamp=stamp, action=chr(body[19]))
        assert again[2:] == body
    assert seen > 3


# What a Global Select Market common stock's directory entry looks like after its name.
_COMMON_STOCK = b"QN\x00\x00\x00dNCZ PNN1N\x00\x00\x00\x00N"

_NUMBERS = {"Q": st.integers(0, 2**63 - 1), "I": st.integers(0, 2**32 - 1)}
_LETTERS = st.sampled_from("ABCDEFGH")


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(sorted(FIELDS)))
    body = kind.encode() + struct.pack(">HH", draw(st.integers(0, 65_535)), 0)
    body += draw(st.integers(0, 2**48 - 1)).to_bytes(6, "big")
    for code in FIELDS[kind][0].replace("1s", "r").replace("8s", "e").replace("4s", "f"):
        if code in _NUMBERS:
            body += struct.pack(">" + code, draw(_NUMBERS[code]))
        else:
            width = {"c": 1, "r": 1, "e": 8, "f": 4}[code]
            text = "".join(draw(st.lists(_LETTERS, min_size=width, max_size=width)))
            body += b" " if code == "r" else text.encode()
    return body[:49] + b" " if kind == "I" else body


@pytest.mark.kernel
@given(bodies=st.lists(_bodies(), max_size=8))
def test_any_message_is_written_as_the_specification_lays_it_out(bodies: list[bytes]) -> None:
    assert encode(_records(bodies)).tobytes() == _framed(bodies)


def test_an_unknown_type_is_refused_with_its_row() -> None:
    messages = np.zeros(2, dtype=MESSAGE)
    messages["kind"] = [ord("D"), ord("?")]
    with pytest.raises(SchemaError, match=r"message 1: type 63 seen, one of S H A"):
        encode(messages)


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", 2**32), ("price", -1), ("shares", 2**32), ("shares", -5), ("timestamp", 2**48)],
)
def test_a_number_too_large_for_its_field_is_refused_rather_than_cut(
    field: str, value: int
) -> None:
    messages = np.zeros(1, dtype=MESSAGE)
    messages["kind"] = ord("A")
    messages[field] = value
    with pytest.raises(SchemaError, match=f"message 0: {field} {value} seen"):
        encode(messages)


def test_a_cross_may_print_more_shares_than_fit_32_bits() -> None:
    messages = np.zeros(1, dtype=MESSAGE)
    messages["kind"] = ord("Q")
    messages["shares"] = 2**40
    assert int.from_bytes(encode(messages)[13:21].tobytes(), "big") == 2**40


def test_text_too_long_for_its_field_is_refused() -> None:
    with pytest.raises(SchemaError, match="'TOOLONG'"):
        packed("TOOLONG", 4)


def test_book_events_become_the_messages_that_the_exchange_would_send() -> None:
    symbols = Symbols(["AAA", "MMKR", "cross"])
    events = np.zeros(5, dtype=EVENT)
    events["action"] = [ADD, ADD, REPLACE, EXECUTE_AT, TRADE_ONLY]
    events["venue_time"] = np.arange(1_000, 1_005)
    events["order_id"] = [1, 2, 3, 3, 0]
    events["ref_order_id"] = [0, 0, 1, 0, 0]
    events["mpid"] = [-1, 1, -1, -1, -1]
    events["cond"] = [-1, -1, -1, -1, 2]
    events["flags"] = [0, 0, 0, NOT_PRINTABLE, 0]
    events["side"] = ord("B")
    events["size"] = 100
    events["price"] = 50_000
    events["trade_id"] = [0, 0, 0, 7, 8]
    messages = from_events(
        events, midnight_ns=990, symbols=symbols, locates={0: 5}, crosses={2: "O"}
    )
    tail = struct.pack(">cI8sI", b"B", 100, b"AAA     ", 50_000)
    head = [b"\x00\x05\x00\x00" + (10 + row).to_bytes(6, "big") for row in range(5)]
    assert encode(messages).tobytes() == _framed(
        [
            b"A" + head[0] + struct.pack(">Q", 1) + tail,
            b"F" + head[1] + struct.pack(">Q", 2) + tail + b"MMKR",
            b"U" + head[2] + struct.pack(">QQII", 1, 3, 100, 50_000),
            b"C" + head[3] + struct.pack(">QIQcI", 3, 100, 7, b"N", 50_000),
            b"Q" + head[4] + struct.pack(">Q8sIQc", 100, b"AAA     ", 50_000, 8, b"O"),
        ]
    )
