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


def parted_enum(indexes: Sequence[int], domain: str = "sym") -> bytes:
    """Enumerated symbols with the attribute p, and its index behind them."""
    values = struct.pack(f"<{len(indexes)}q", *indexes)
    head = page(20, values, len(indexes), domain=domain, attribute=3)
    return head + parted_index(indexes)


def parted_index(column: Sequence[int], width: int = 8) -> bytes:
    """Zeros; each group's value in room for a power of two, twice as many slots; first rows.

    Values of 4 bytes are those of kdb+ before 3.6, which has a word less at both ends of them.
    """
    firsts = [row for row, value in enumerate(column) if row == 0 or column[row - 1] != value]
    groups = [column[row] for row in firsts]
    room = 2 if width == 4 else 1
    while room < len(groups):
        room *= 2
    table = {}
    for group, value in enumerate(groups):
        slot = value * 2654435761 % 2**32 // 2**11
        while slot % (2 * room) in table:
            slot += 1
        table[slot % (2 * room)] = group
    spare = 8 if width == 8 else 0
    values = b"".join(value.to_bytes(width, "little") for value in groups)
    body = values + bytes(width * room - len(values) + spare)
    body += b"".join(struct.pack("<q", table.get(slot, -1)) for slot in range(2 * room))
    firsts.append(len(column))
    first_rows = struct.pack(f"<{len(firsts)}q", *firsts)
    lead = bytes(8) if width == 8 else bytes(4)
    return (
        lead + _in_memory(20, 2, len(groups), body) + body
        + _in_memory(7, 0, len(firsts), first_rows) + first_rows
    )  # fmt: skip


def _in_memory(type_number: int, attribute: int, count: int, body: bytes) -> bytes:
    """Power of two of the block, a zero, type, attribute, four zeros, count."""
    power = 0
    while 16 * 2**power < 16 + len(body):
        power += 1
    return bytes([power, 0, type_number, attribute, 0, 0, 0, 0]) + struct.pack("<q", count)


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
