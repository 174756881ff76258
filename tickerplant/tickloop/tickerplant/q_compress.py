"""q IPC compression: a whole message in, a whole message out, never more than was asked for.

After the header and the original length, the stream holds groups of eight items behind a flag
byte. A clear flag is one literal byte. A set flag is two bytes: a slot (the exclusive or of two
neighbouring bytes, where they were last seen) and how many more than two bytes to copy from
there. Both sides keep the same table of 256 slots over the message from its ninth byte on.
"""

import struct

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import WireError
from tickloop.core.kernel import inline_kernel, kernel

HEADER_SIZE = 8
PREFIX_SIZE = 12  # header and original length
# Peers compress nothing shorter than this.
COMPRESS_MIN = 2000
# Two bytes and an eighth of a flag byte give at most 2 + 255 bytes.
EXPANSION_MAX = 128

Bytes = npt.NDArray[np.uint8]
Slots = npt.NDArray[np.int64]
READ_ONLY = "Array(uint8, 1, 'C', readonly=True)"


@inline_kernel
def _note(seen: Slots, plain: Bytes, first: int, last: int) -> None:
    """Note where the pairs that begin at bytes `first` to `last` - 1 were seen."""
    for position in range(first, last):
        seen[plain[position] ^ plain[position + 1]] = position


@inline_kernel
def _copy(plain: Bytes, source: int, target: int, count: int) -> None:
    """Copy byte by byte: where the two overlap, what was just written is read again."""
    for offset in range(count):
        plain[target + offset] = plain[source + offset]


@kernel(f"int64({READ_ONLY}, uint8[::1])", allocates=True)
def _expand(packed: Bytes, plain: Bytes) -> int:
    """Fill `plain` from byte 8; return -1, or the byte of `packed` where it makes no sense."""
    seen = np.zeros(256, dtype=np.int64)
    size = plain.shape[0]
    source = PREFIX_SIZE
    target = HEADER_SIZE
    noted = HEADER_SIZE
    bit = 256
    flags = np.int64(0)
    while target < size:
        if bit == 256:
            if source >= packed.shape[0]:
                return source
            flags = np.int64(packed[source])
            source += 1
            bit = 1
        is_copy = flags & bit != 0
        if source + is_copy >= packed.shape[0]:
            return source
        if is_copy:
            start = int(seen[packed[source]])
            count = int(2 + np.int64(packed[source + 1]))
            if start == 0 or target + count > size:
                return source
            source += 2
            _copy(plain, start, target, 2)
            # Pairs are noted before the rest is copied and not within it, as the sender did.
            _note(seen, plain, noted, target + 1)
            _copy(plain, start + 2, target + 2, count - 2)
            target += count
            noted = target
        else:
            plain[target] = packed[source]
            source += 1
            target += 1
            if noted < target - 1:
                _note(seen, plain, noted, target - 1)
                noted = target - 1
        bit <<= 1
    return -1


@kernel(f"int64({READ_ONLY}, uint8[::1])", allocates=True)
def _shrink(plain: Bytes, packed: Bytes) -> int:
    """Fill `packed` from byte 12; return its length, or 0 where it does not fit."""
    seen = np.zeros(256, dtype=np.int64)
    size = plain.shape[0]
    room = packed.shape[0]
    source = HEADER_SIZE
    flag_at = PREFIX_SIZE
    target = PREFIX_SIZE
    flags = 0
    bit = 256
    pending_slot = np.int64(0)
    pending = 0  # a literal's slot counts only once its neighbour is known
    while source < size:
        if bit == 256:
            # A group is at most a flag byte and eight pairs.
            if target > room - 17:
                return 0
            if target > PREFIX_SIZE:
                packed[flag_at] = flags
            flag_at = target
            target += 1
            flags = 0
            bit = 1
        slot = np.int64(0)
        start = 0
        if source <= size - 3:
            slot = np.int64(plain[source] ^ plain[source + 1])
            start = int(seen[slot])
        matched = start > 0 and plain[start] == plain[source]
        if pending:
            seen[pending_slot] = pending
            pending = 0
        if matched:
            seen[slot] = source
            flags |= bit
            first = source + 2
            last = min(first + 255, size)
            start += 2
            source = first
            while source < last and plain[start] == plain[source]:
                start += 1
                source += 1
            packed[target] = slot
            packed[target + 1] = source - first
            target += 2
        else:
            if source <= size - 3:
                pending_slot = slot
                pending = source
            packed[target] = plain[source]
            source += 1
            target += 1
        bit <<= 1
    packed[flag_at] = flags
    return target


def _read_only(buffer: bytes | bytearray | memoryview) -> Bytes:
    return np.frombuffer(memoryview(buffer).toreadonly(), dtype=np.uint8)


def compress_message(message: bytes | bytearray | memoryview) -> bytes | None:
    """Compress a little-endian message, or None if it does not come to less than half."""
    plain = _read_only(message)
    packed = np.zeros(max(len(plain) // 2, PREFIX_SIZE), dtype=np.uint8)
    length = _shrink(plain, packed)
    if length == 0:
        return None
    head = bytes(message[:2]) + b"\1\0" + struct.pack("<ii", length, len(plain))
    packed[:PREFIX_SIZE] = np.frombuffer(head, dtype=np.uint8)
    return packed[:length].tobytes()


def decompress_message(
    message: bytes | bytearray | memoryview, *, limit: int = 2**31 - 1
) -> bytearray:
    """Undo compression; the result is a whole message that says it is not compressed.

    `limit` is the largest result in bytes. WireError if the bytes are no compressed message.
    """
    packed = _read_only(message)
    if len(packed) < PREFIX_SIZE or packed[2] != 1:
        raise WireError(
            f"{len(packed)} bytes beginning {bytes(packed[:4]).hex()} seen, a compressed message"
            " of at least 12 bytes with 01 as its third expected"
        )
    order = "<" if packed[0] == 1 else ">"
    (size,) = struct.unpack_from(f"{order}i", message, HEADER_SIZE)
    most = min(limit, EXPANSION_MAX * len(packed))
    if not HEADER_SIZE <= size <= most:
        raise WireError(
            f"compressed message of {len(packed)} bytes claims to hold {size}, at most {most}"
            " accepted; send it in smaller pieces if it is true"
        )
    plain = bytearray(size)
    where = _expand(packed, np.frombuffer(plain, dtype=np.uint8))
    if where >= 0:
        raise WireError(f"compressed message: byte {where} of {len(packed)} points nowhere")
    plain[:HEADER_SIZE] = bytes(packed[:2]) + b"\0\0" + struct.pack(f"{order}i", size)
    return plain
