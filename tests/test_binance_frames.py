"""Binance frames decode as json reads them, whatever the spelling; other bytes are counted."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binance_oracle import Tables, collect, context, read, rows
from tickloop.ingest.binance import BinanceDecoder

STAMP = b"1723161253937085768 "
TRADE = {
    "e": "trade",
    "E": 1723161255343,
    "s": "BTCUSDT",
    "t": 3735683259,
    "p": "61837.63000000",
    "q": "0.02000000",
    "T": 1723161255342,
    "m": True,
    "M": True,
}
AGGREGATE = {
    "e": "aggTrade",
    "E": 1633998523963,
    "s": "NKNUSDT",
    "a": 15683430,
    "p": "0.35280000",
    "q": "58.00000000",
    "f": 19862790,
    "l": 19862790,
    "T": 1633998523963,
    "m": False,
}
SPOT_TICKER = {
    "u": 50093239212,
    "s": "BTCUSDT",
    "b": "61837.63000000",
    "B": "3.78826000",
    "a": "61837.64000000",
    "A": "1.54698000",
}
FUTURES_TICKER = {**SPOT_TICKER, "e": "bookTicker", "T": 1626992741012, "E": 1626992741017}
DIFF = {
    "e": "depthUpdate",
    "E": 1723161255208,
    "s": "BTCUSDT",
    "U": 50093239189,
    "u": 50093239202,
    "b": [["61737.63000000", "0.00000000"]],
    "a": [["61837.64000000", "1.54698000"], ["61839.85000000", "0"]],
}
FUTURES_DIFF = {**DIFF, "T": 1723161256298, "pu": 50093239180, "b": []}
SNAPSHOT = {"lastUpdateId": 50093239218, "bids": [["1", "2"]], "asks": [["3", "4", []]]}
KLINE = {"e": "kline", "E": 1, "s": "BTCUSDT", "k": {"t": 1, "o": "0.3", "a": [[1, {}], None]}}
FRAMES = [
    *(TRADE, AGGREGATE, SPOT_TICKER, FUTURES_TICKER, DIFF, FUTURES_DIFF, SNAPSHOT, KLINE),
]
CONDITIONS = {"malformed": "malformed_frame", "refused": "refused_value"}


def line(frame: object, **spelling: Any) -> bytes:
    return STAMP + json.dumps(frame, **spelling).encode()


def enveloped(frame: object, stream: str = "btcusdt@any") -> dict[str, object]:
    return {"stream": stream, "data": frame}


def decode(*lines: bytes) -> tuple[BinanceDecoder, Tables]:
    decoder = BinanceDecoder(context())
    return decoder, collect(decoder.decode(b"\n".join(lines)))


def verdict(text: bytes) -> tuple[str, tuple[Any, ...]]:
    """Tell what the decoder made of one line, in the oracle's words."""
    decoder, tables = decode(text)
    counts = decoder.health.counts
    for kind, condition in CONDITIONS.items():
        if counts[condition]:
            return kind, ()
    if "trade" in tables:
        columns = ("price", "size", "side", "trade_id", "venue_time")
        return "trade", rows(tables["trade"], *columns)[0]
    if "quote" in tables and not tables.get("status"):
        return "ticker", rows(tables["quote"], "bid", "bsize", "ask", "asize", "venue_time")[0]
    if any(condition.startswith("other_") for condition in counts):
        return "other", ()
    if "snapshot_without_symbol" in counts or "status" in tables:
        return "snapshot", ()
    return ("diff" if decoder.messages else "nothing"), ()


def expected(text: bytes) -> tuple[str, tuple[Any, ...]]:
    frame = read(text)
    if frame.kind == "trade":
        price, size, side, identity = frame.values
        return "trade", (price, size, ord(side), identity, frame.venue_time)
    if frame.kind == "ticker":
        sides = frame.values[:2], frame.values[2:4]
        empty = (-(2**63), -(2**63))
        bid, ask = (empty if side == (0, 0) else side for side in sides)
        return "ticker", (*bid, *ask, frame.venue_time)
    return frame.kind, ()


@pytest.mark.kernel
@pytest.mark.parametrize("frame", FRAMES, ids="-".join)
@pytest.mark.parametrize("wrapped", [False, True])
@given(seed=st.integers(0, 2**16), indent=st.sampled_from([None, "", " \t"]))
def test_keys_come_in_any_order_and_with_any_space(
    frame: dict[str, Any], wrapped: bool, seed: int, indent: str | None
) -> None:
    shuffled = dict(random.Random(seed).sample(list(frame.items()), len(frame)))
    payload = enveloped(shuffled) if wrapped and frame is not SNAPSHOT else shuffled
    text = line(payload, indent=indent).replace(b"\n", b" \r")
    assert verdict(text) == expected(text)
    assert verdict(text)[0] not in ("malformed", "refused", "nothing")


def mutate(text: bytes, draw: random.Random) -> bytes:
    """Spoil a line in a way or two."""
    content = bytearray(text)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(STAMP), len(content))
        way = draw.randrange(5)
        if way == 0:
            content[at] = draw.choice(b'0123456789"[]{},:.-eE \\tfnabBuUpqsmAT\x00\x7f\xff')
        elif way == 1:
            del content[at : at + draw.randint(1, 12)]
        elif way == 2:
            content[at:at] = content[at : at + draw.randint(1, 20)]
        elif way == 3:
            other = draw.randrange(len(STAMP), len(content))
            content[at], content[other] = content[other], content[at]
        else:
            del content[at:]
        if len(content) <= len(STAMP):
            break
    return bytes(content).replace(b"\n", b"")


@pytest.mark.kernel
@given(seed=st.integers(0, 2**63), frame=st.sampled_from(FRAMES), wrapped=st.booleans())
def test_a_spoilt_line_means_what_json_says_or_nothing(
    seed: int, frame: dict[str, Any], wrapped: bool
) -> None:
    text = mutate(line(enveloped(frame) if wrapped else frame), random.Random(seed))
    found = verdict(text)
    if b"\\" in text or any(byte > 127 for byte in text):
        return  # names with escapes and broken UTF-8 are set aside here, and json differs
    assert found == expected(text)


@pytest.mark.kernel
@given(st.binary(max_size=400))
def test_any_bytes_are_counted_and_nothing_more(content: bytes) -> None:
    decoder = BinanceDecoder(context())
    made = collect(decoder.decode(content))
    lines = [text for text in content.split(b"\n") if text.strip(b" \t\r")]
    assert sum(decoder.health.counts.values()) + decoder.messages >= len(lines)
    assert made == {}


@pytest.mark.parametrize(
    ("price", "units"),
    [
        ("0.00000001", 1),
        ("61837.63", 6183763000000),
        ("1", 100000000),
        ("0.123456780000", 12345678),
        ("92233720368.54775799", 2**63 - 9),
        ("007", 700000000),
    ],
)
def test_decimals_are_exact(price: str, units: int) -> None:
    _, tables = decode(line({**TRADE, "p": price}))
    assert tables["trade"]["price"].tolist() == [units]


@pytest.mark.parametrize(
    "price",
    ["0.000000001", "92233720368.6", "99999999999999999999", "-1", "1e5", "", ".5", "5.", "1.2.3"],
)
def test_a_decimal_that_does_not_fit_is_refused_and_kept_aside(price: str) -> None:
    text = line({**TRADE, "p": price})
    decoder, tables = decode(text)
    assert tables == {}
    assert decoder.health.counts == {"refused_value": 1}
    assert decoder.health.aside == [(0, text)]


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (KLINE, "other_kline"),
        (enveloped([{"e": "24hrTicker"}], "!ticker@arr"), "other_!ticker@arr"),
        (
            enveloped({"lastUpdateId": 1, "bids": [], "asks": []}, "btcusdt@depth20"),
            "other_depth20",
        ),
        ({"result": None, "id": 1}, "other_reply"),
        ({"error": {"code": 2, "msg": "Invalid request"}}, "other_reply"),
    ],
)
def test_other_events_are_counted_by_name(frame: object, name: str) -> None:
    decoder, tables = decode(line(frame))
    assert tables == {}
    assert decoder.health.counts == {name: 1}


def test_stamps_in_microseconds_are_told_by_their_size() -> None:
    _, tables = decode(line({**TRADE, "T": 1723161255342123}), line(TRADE))
    first, second = tables["trade"]["venue_time"].tolist()
    assert first - second == 123_000


def test_deep_nesting_is_refused_not_followed() -> None:
    decoder, _ = decode(STAMP + b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert decoder.health.counts == {"malformed_frame": 1}


def test_symbols_beyond_the_name_table_are_counted() -> None:
    lines = [line({**TRADE, "s": f"S{number}"}) for number in range(5000)]
    decoder, tables = decode(*lines)
    assert len(tables["instrument"]["sym"]) == 4096
    assert decoder.health.counts == {"too_many_symbols": 904}


def test_a_clock_that_steps_back_leaves_time_where_it_was() -> None:
    early = b"1723161253937085767 " + line(TRADE).removeprefix(STAMP)
    decoder, tables = decode(line(TRADE), early)
    assert len(set(tables["trade"]["time"].tolist())) == 1
    assert decoder.health.counts == {"time_went_back": 1}
