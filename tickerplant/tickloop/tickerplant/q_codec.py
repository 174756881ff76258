"""Messages of the q wire: eight bytes of header, then one value, compressed or not."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from tickloop.core.errors import WireError
from tickloop.tickerplant.q_compress import (
    COMPRESS_MIN,
    HEADER_SIZE,
    compress_message,
    decompress_message,
)
from tickloop.tickerplant.q_decode import LIMITS, DecodeLimits, decode, decode_prefix
from tickloop.tickerplant.q_encode import Parts, encode, encode_parts
from tickloop.tickerplant.q_values import Value

__all__ = [
    "CAPABILITY",
    "COMPRESS_MIN",
    "HEADER_SIZE",
    "LIMITS",
    "DecodeLimits",
    "Header",
    "MessageKind",
    "Parts",
    "compress_message",
    "decode",
    "decode_prefix",
    "decompress_message",
    "encode",
    "encode_parts",
    "message",
    "message_header",
    "open_message",
    "parse_header",
]

# Both sides send what they can and use the smaller: 3 has guids, compression, timestamps.
# Above it come messages past 2 GB, which nothing here sends.
CAPABILITY = 3
_HEADER = struct.Struct("<BBBBi")


class MessageKind(IntEnum):
    """What the sender of a message waits for."""

    ASYNC = 0
    SYNC = 1
    RESPONSE = 2


@dataclass(frozen=True, slots=True)
class Header:
    """The first eight bytes of a message; `size` counts them too."""

    kind: MessageKind
    size: int
    compressed: bool
    little_endian: bool


def message(kind: MessageKind, payload: bytes) -> bytes:
    """Put a header before a payload."""
    return message_header(kind, len(payload)) + payload


def message_header(kind: MessageKind, payload_bytes: int) -> bytes:
    """Make the header that goes before so many bytes."""
    return _HEADER.pack(1, kind, 0, 0, HEADER_SIZE + payload_bytes)


def parse_header(raw: bytes | bytearray, offset: int = 0, *, size_max: int) -> Header:
    """Read a header; WireError if it is none or announces more than `size_max` bytes."""
    order, kind, compressed, high = raw[offset : offset + 4]
    if order > 1 or kind > MessageKind.RESPONSE or compressed > 1 or high:
        raise WireError(
            f"message header {bytes(raw[offset : offset + HEADER_SIZE]).hex()} seen; first byte"
            " 0 or 1, second 0 to 2, third 0 or 1, fourth 0 expected: is the peer a q client?"
        )
    (size,) = struct.unpack_from("<i" if order else ">i", raw, offset + 4)
    if not HEADER_SIZE < size <= size_max:
        raise WireError(
            f"message of {size} bytes announced, {HEADER_SIZE + 1} to {size_max} accepted;"
            " send fewer rows at a time"
        )
    return Header(MessageKind(kind), size, bool(compressed), bool(order))


def open_message(
    raw: bytes, *, size_max: int, limits: DecodeLimits = LIMITS
) -> tuple[MessageKind, Value]:
    """Read one whole message; `size_max` bounds it before and after decompression."""
    header = parse_header(raw, size_max=size_max)
    if header.compressed:
        raw = bytes(decompress_message(raw, limit=size_max))
    value, end = decode_prefix(raw, HEADER_SIZE, little_endian=header.little_endian, limits=limits)
    if end != len(raw):
        raise WireError(f"message of {len(raw)} bytes whose value ends at byte {end}")
    return header.kind, value
