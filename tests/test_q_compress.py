"""q IPC compression against KX's decoder, a plain reading of the format, and hostile bytes."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import MessageKind, encode, message, open_message
from tickloop.tickerplant.q_compress import compress_message, decompress_message
from tickloop.tickerplant.q_values import QType, Value, chars, symbols, vector


def expand_plainly(packed: bytes) -> bytes:
    """Expand as the format reads: pairs seen so far by the xor of their bytes, then a copy."""
    out = bytearray(packed[:2] + b"\0\0" + packed[8:12])
    (size,) = struct.unpack_from("<i", packed, 8)
    seen: dict[int, int] = {}
    at, noted = 12, 8
    while len(out) < size:
        flags = packed[at]
        at += 1
        for bit in range(8):
            if len(out) >= size:
                break
            copied = flags >> bit & 1
            if copied:
                start, extra = seen[packed[at]], packed[at + 1]
                at += 2
                out += out[start : start + 2]
            else:
                out.append(packed[at])
                at += 1
                extra = 0
            while noted < len(out) - 1:
                seen[out[noted] ^ out[noted + 1]] = noted
                noted += 1
            if copied:
                for offset in range(extra):
                    out.append(out[start + 2 + offset])
                noted = len(out)
    return bytes(out)


GENERATOR = np.random.default_rng(7)
MESSAGES: dict[str, Value] = {
    "counting": vector(QType.LONG, np.arange(1000)),
    "zeros": vector(QType.LONG, np.zeros(1000, dtype=np.int64)),
    "few values": vector(QType.INT, GENERATOR.integers(0, 9, 1500).astype(np.int32)),
    "symbols": symbols(["AAPL", "MSFT", "GOOG"] * 400),
    "text": chars("the quick brown fox jumps over the lazy dog " * 60),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", MESSAGES)
def test_compressed_messages_expand_to_what_they_were(name: str) -> None:
    raw = message(MessageKind.RESPONSE, encode(MESSAGES[name]))
    packed = compress_message(raw)
    assert packed is not None
    assert len(packed) <= len(raw) // 2
    assert expand_plainly(packed) == raw
    assert bytes(decompress_message(packed)) == raw
    assert open_message(packed, size_max=99_999)[1] == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_kx_reads_compressed_messages(kx: Any, name: str) -> None:
    raw = message(MessageKind.ASYNC, encode(MESSAGES[name]))
    packed = compress_message(raw)
    assert packed is not None
    assert bytes(kx.serialize(kx.deserialize(packed))) == raw


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 600)), min_size=1))
def test_any_message_survives_compression(runs: list[tuple[bytes, int]]) -> None:
    raw = message(MessageKind.ASYNC, b"".join(piece * times for piece, times in runs))
    packed = compress_message(raw)
    if packed is not None:
        assert len(packed) <= len(raw) // 2
        assert bytes(decompress_message(packed)) == raw


def test_noise_is_not_compressed() -> None:
    assert compress_message(message(MessageKind.ASYNC, GENERATOR.bytes(5000))) is None
    assert compress_message(message(MessageKind.ASYNC, b"\xff\1")) is None


@pytest.mark.parametrize("claimed", [-1, 0, 7, 2**31 - 1, 9_000_000])
def test_a_claimed_size_is_bounded_before_it_is_allocated(claimed: int) -> None:
    packed = compress_message(message(MessageKind.ASYNC, bytes(8_000_000)))
    assert packed is not None
    forged = packed[:8] + struct.pack("<i", claimed) + packed[12:]
    with pytest.raises(WireError, match="claims to hold"):
        decompress_message(forged, limit=8_500_000)


def test_a_small_message_cannot_claim_a_huge_result() -> None:
    with pytest.raises(WireError, match="claims to hold"):
        decompress_message(b"\1\0\1\0" + struct.pack("<ii", 13, 2**31 - 1) + b"\0")


def test_uncompressed_bytes_are_refused() -> None:
    with pytest.raises(WireError, match="third expected"):
        decompress_message(message(MessageKind.ASYNC, b"\xff\1" * 9))


@pytest.mark.kernel
@given(st.binary(max_size=60), st.integers(8, 4000))
def test_random_streams_expand_or_are_named_damage(stream: bytes, size: int) -> None:
    packed = b"\1\0\1\0" + struct.pack("<ii", 12 + len(stream), size) + stream
    try:
        assert len(decompress_message(packed)) == size
    except WireError as error:
        assert "compressed message" in str(error)


def test_big_endian_messages_are_expanded(kx: Any) -> None:
    numbers = np.zeros(500, dtype=">i8")
    payload = struct.pack(">bBi", 7, 0, 500) + numbers.tobytes()
    packed = compress_message(b"\0\0\0\0" + struct.pack(">i", 8 + len(payload)) + payload)
    assert packed is not None
    swapped = packed[:4] + b"".join(packed[i : i + 4][::-1] for i in (4, 8)) + packed[12:]
    assert open_message(swapped, size_max=9999)[1] == vector(QType.LONG, numbers.astype("<i8"))
    assert not kx.deserialize(swapped).np().any()
