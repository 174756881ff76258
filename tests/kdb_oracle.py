"""kdb+ files spelled by hand, with nothing of the code under test: struct and byte strings."""

import struct
import zlib
from collections.abc import Callable, Sequence


def vector(type_number: int, values: bytes, count: int, attribute: int = 0) -> bytes:
    """fe 20, type, attribute, four zeros, count, values."""
    return (
        bytes([0xFE, 0x20, type_number, attribute, 0, 0, 0, 0]) + struct.pack("<q", count) + values
    )


def longs(values: Sequence[int], type_number: int = 7, attribute: int = 0) -> bytes:
    """A vector of 64-bit integers."""
    return vector(type_number, struct.pack(f"<{len(values)}q", *values), len(values), attribute)


def page(
    type_number: int, values: bytes, count: int, *, domain: str = "", attribute: int = 0
) -> bytes:
    """fd 20, a page of zeros with the domain's name at 16, sixteen bytes of header at 4080."""
    head = bytearray(4096)
    head[0:2] = b"\xfd\x20"
    head[16 : 16 + len(domain)] = domain.encode()
    head[4080:4096] = bytes([0xFD, 0, type_number, attribute]) + bytes(4) + struct.pack("<q", count)
    return bytes(head) + values


def enum(indexes: Sequence[int], domain: str = "sym") -> bytes:
    """Enumerated symbols since kdb+ 3.6."""
    return page(20, struct.pack(f"<{len(indexes)}q", *indexes), len(indexes), domain=domain)


def old_enum(indexes: Sequence[int], domain: str = "sym", attribute: int = 0) -> bytes:
    """Enumerated symbols before kdb+ 3.6; names of up to nine letters."""
    head = bytearray(24)
    head[0] = 0xFE
    head[1 : 1 + len(domain)] = domain.encode()
    head[11] = attribute
    head[16:24] = struct.pack("<q", len(indexes))
    return bytes(head) + struct.pack(f"<{len(indexes)}i", *indexes)


def names(listed: Sequence[str], count: int | None = None) -> bytes:
    """A file of symbols."""
    body = b"".join(name.encode() + b"\0" for name in listed)
    told = len(listed) if count is None else count
    return b"\xff\x01\x0b\x00" + struct.pack("<i", told) + body


def nested(rows: Sequence[bytes], type_number: int = 87) -> tuple[bytes, bytes]:
    """Lists of one type: end offsets, and the companion file."""
    ends = [sum(map(len, rows[: row + 1])) for row in range(len(rows))]
    return longs(ends, type_number), b"".join(rows)


def anymap(values: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Lists of any type: places, and the heap that `short` and `long_form` values lie in."""
    places, heap = [], b""
    for value in values:
        places.append(len(heap))
        heap += value + bytes(-len(value) % 8)
    references = struct.pack(f"<{len(places)}q", *(place | 1 << 56 for place in places))
    return page(77, references, len(places)), page(4, heap, 0)


def short_form(type_number: int, data: bytes, count: int) -> bytes:
    """A value of at most 255 items in a heap."""
    return bytes([0x80 | type_number - 1, count]) + data


def long_form(type_number: int, data: bytes, count: int) -> bytes:
    """A value of any number of items in a heap."""
    return b"\xfb\x00" + struct.pack("<BBiq", type_number, 0, 1, count) + data


# -- compression: blocks that any decoder of the format must take -------------------------------


def snappy_block(plain: bytes) -> bytes:
    """The length as a varint, then literals of at most 60 bytes."""
    length, head = len(plain), b""
    while length > 127:
        head += bytes([length & 127 | 128])
        length >>= 7
    head += bytes([length])
    pieces = [plain[at : at + 60] for at in range(0, len(plain), 60)]
    return head + b"".join(bytes([len(piece) - 1 << 2]) + piece for piece in pieces)


def lz4_block(plain: bytes) -> bytes:
    """One sequence of literals."""
    if len(plain) < 15:
        return bytes([len(plain) << 4]) + plain
    rest, head = len(plain) - 15, bytearray([0xF0])
    while rest >= 255:
        head.append(255)
        rest -= 255
    return bytes([*head, rest]) + plain


def zstd_block(plain: bytes) -> bytes:
    """A frame of one raw block, with its size in eight bytes and no checksum."""
    frame = b"\x28\xb5\x2f\xfd" + b"\xe0" + struct.pack("<Q", len(plain))
    return frame + struct.pack("<I", 1 | len(plain) << 3)[:3] + plain


def q_block(plain: bytes) -> bytes:
    """A compressed IPC message of literals only: a flag byte of zero before each eight."""
    body = b"".join(b"\0" + plain[at : at + 8] for at in range(0, len(plain), 8))
    return b"\x01\x00\x01\x00" + struct.pack("<ii", len(body) + 12, len(plain) + 8) + body


BLOCKS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: q_block,
    2: zlib.compress,
    3: snappy_block,
    4: lz4_block,
    5: zstd_block,
}


def zipped(
    plain: bytes,
    algorithm: int,
    block_bytes: int = 4096,
    pack: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The container, with every block packed by one algorithm."""
    parts = [plain[at : at + block_bytes] for at in range(0, len(plain), block_bytes)]
    blocks = [(pack or BLOCKS[algorithm])(part) for part in parts]
    body = b"kxzipped" + b"".join(blocks)
    head = struct.pack("<iiqqq", 2, algorithm, len(plain), len(body), block_bytes)
    table = b"".join(struct.pack("<ii", len(block), algorithm) for block in blocks)
    return body + head + table + struct.pack("<q", len(blocks))
