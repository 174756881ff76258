"""Kernels that walk the records of pcap and the blocks of pcapng into UDP packets."""

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import NULL_TIME
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.capture_stamp import MICRO, stamp_ns
from tickloop.ingest.frames import (
    CONDITIONS,
    MALFORMED,
    TRUNCATED,
    UDP,
    Bytes,
    byte_at,
    u16_be,
    u32_be,
    udp_payload,
)

Integers = npt.NDArray[np.int64]

# Rows of the packet matrix: one column a UDP packet, so every row is a contiguous vector.
TIME = 0  # capture stamp, ns since 2000
OFFSET = 1  # of the UDP payload, in the buffer
LENGTH = 2
DESTINATION = 3
AT = 4  # byte of the stream at which the packet's record begins
PACKET_ROWS = 5

# Cells of the walk's state.
BIG_ENDIAN = 0
LINK = 1
RESOLUTION = 2
SKIP = 3  # bytes of an uninteresting block still to pass over
STOP = 4  # why the walk returned
NEED = 5  # bytes that the record at the returned position has, or claims
WRITTEN = 6
INTERFACES = 7
LAST_TIME = 8
BASE = 9  # byte of the stream that buffer[0] stands for
STATE_CELLS = 10

# Reasons to stop.
MORE = 0
FULL = 1
TOO_LONG = 2
BAD_BLOCK_SIZE = 3
BAD_TRAILER = 4
BAD_SECTION = 5
TOO_MANY_INTERFACES = 6

# Counts beyond the frame conditions.
PACKETS = len(CONDITIONS)
UNKNOWN_INTERFACE = PACKETS + 1
UNSTAMPED = PACKETS + 2
BAD_STAMP = PACKETS + 3
COUNTS = (*CONDITIONS, "packets", "unknown_interface", "unstamped_packets", "bad_stamps")

# Columns of the interface table.
IF_LINK = 0
IF_SNAPLEN = 1
IF_RESOLUTION = 2
IF_OFFSET = 3
INTERFACES_MAX = 1024

# libpcap's own largest snapshot is 256 KiB.
RECORD_MAX = 1 << 20

BLOCK_SECTION = 0x0A0D0D0A
BLOCK_INTERFACE = 1
BLOCK_PACKET_OBSOLETE = 2
BLOCK_PACKET_SIMPLE = 3
BLOCK_PACKET = 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
OPTION_TSRESOL = 9
OPTION_TSOFFSET = 14


@inline_kernel
def _u16(buffer: Bytes, at: int, big: int) -> int:
    if big:
        return u16_be(buffer, at)
    return byte_at(buffer, at) | byte_at(buffer, at + 1) << 8


@inline_kernel
def _u32(buffer: Bytes, at: int, big: int) -> int:
    if big:
        return u32_be(buffer, at)
    return _u16(buffer, at, 0) | _u16(buffer, at + 2, 0) << 16


@inline_kernel
def _take(
    buffer: Bytes, link: int, start: int, end: int, original: int, high: int, low: int,
    resolution: int, offset_s: int, at: int, state: Integers, packets: Integers, counts: Integers,
) -> None:  # fmt: skip
    """Count one frame, and write it down if it is UDP."""
    counts[PACKETS] += 1
    time = state[LAST_TIME]
    if resolution >= 0:
        stamp = stamp_ns(high, low, resolution, offset_s)
        if stamp == NULL_TIME:
            counts[BAD_STAMP] += 1
        else:
            time = stamp
            state[LAST_TIME] = stamp
    else:
        counts[UNSTAMPED] += 1
    status, offset, length, destination = udp_payload(buffer, link, start, end)
    if status == TRUNCATED and original <= end - start:
        # The capture kept every byte, so it is the frame's own headers that claim too much.
        status = MALFORMED
    counts[status] += 1
    if status != UDP:
        return
    row = state[WRITTEN]
    packets[TIME, row] = time
    packets[OFFSET, row] = offset
    packets[LENGTH, row] = length
    packets[DESTINATION, row] = destination
    packets[AT, row] = state[BASE] + at
    state[WRITTEN] = row + 1


@kernel("int64(uint8[::1], int64, int64, int64[::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def walk_pcap(
    buffer: Bytes, at: int, end: int, state: Integers, interfaces: Integers, packets: Integers,
    counts: Integers,
) -> int:  # fmt: skip
    """Walk pcap records from `at`; return where the first one begins that was not taken.

    `state[STOP]` says why: MORE bytes are needed, `packets` is FULL, or the record is damaged.
    """
    big = state[BIG_ENDIAN]
    # 10**-6 or 10**-9 s; both halves of the stamp become one count of that unit below.
    unit = 1_000_000 if state[RESOLUTION] == MICRO else 1_000_000_000
    while True:
        if state[WRITTEN] >= packets.shape[1]:
            state[STOP] = FULL
            return at
        state[NEED] = 16
        if at + 16 > end:
            state[STOP] = MORE
            return at
        captured = _u32(buffer, at + 8, big)
        state[NEED] += captured
        if captured > RECORD_MAX:
            state[STOP] = TOO_LONG
            return at
        start = at + 16
        if start + captured > end:
            state[STOP] = MORE
            return at
        stamp = _u32(buffer, at, big) * unit + _u32(buffer, at + 4, big)
        _take(
            buffer, state[LINK], start, start + captured, _u32(buffer, at + 12, big),
            stamp >> 32, stamp & 0xFFFFFFFF, state[RESOLUTION], 0, at, state, packets, counts,
        )  # fmt: skip
        at = start + captured


@inline_kernel
def _interface(
    buffer: Bytes, at: int, size: int, big: int, state: Integers, interfaces: Integers
) -> bool:
    """Read an interface block; False if the table is full."""
    row = state[INTERFACES]
    if row >= interfaces.shape[0]:
        return False
    interfaces[row, IF_LINK] = _u16(buffer, at + 8, big)
    interfaces[row, IF_SNAPLEN] = _u32(buffer, at + 12, big)
    interfaces[row, IF_RESOLUTION] = MICRO
    interfaces[row, IF_OFFSET] = 0
    option = at + 16
    while option + 4 <= at + size - 4:
        code = _u16(buffer, option, big)
        length = _u16(buffer, option + 2, big)
        value = option + 4
        if code == 0 or value + length > at + size - 4:
            break
        if code == OPTION_TSRESOL and length == 1:
            interfaces[row, IF_RESOLUTION] = byte_at(buffer, value)
        if code == OPTION_TSOFFSET and length == 8:
            high = _u32(buffer, value + (0 if big else 4), big)
            low = _u32(buffer, value + (4 if big else 0), big)
            interfaces[row, IF_OFFSET] = (high - (high >> 31 << 32)) * (1 << 32) + low
        option = value + (length + 3 & ~3)
    state[INTERFACES] = row + 1
    return True


@inline_kernel
def _packet(
    buffer: Bytes, at: int, size: int, kind: int, big: int, state: Integers,
    interfaces: Integers, packets: Integers, counts: Integers,
) -> None:  # fmt: skip
    """Read an enhanced, simple or obsolete packet block."""
    simple = kind == BLOCK_PACKET_SIMPLE
    row = 0
    if kind == BLOCK_PACKET and size >= 32:
        row = _u32(buffer, at + 8, big)
    elif kind == BLOCK_PACKET_OBSOLETE and size >= 32:
        row = _u16(buffer, at + 8, big)
    elif not simple or size < 16:
        counts[PACKETS] += 1
        counts[MALFORMED] += 1
        return
    if row >= state[INTERFACES]:
        counts[PACKETS] += 1
        counts[UNKNOWN_INTERFACE] += 1
        return
    start = at + (12 if simple else 28)
    room = at + size - 4 - start
    original = _u32(buffer, at + (8 if simple else 24), big)
    captured = original if simple else _u32(buffer, at + 20, big)
    snaplen = interfaces[row, IF_SNAPLEN]
    if simple:
        captured = min(captured, room)
        if snaplen > 0:
            captured = min(captured, snaplen)
    if captured > room:
        counts[PACKETS] += 1
        counts[MALFORMED] += 1
        return
    _take(
        buffer, interfaces[row, IF_LINK], start, start + captured, original,
        0 if simple else _u32(buffer, at + 12, big), 0 if simple else _u32(buffer, at + 16, big),
        -1 if simple else interfaces[row, IF_RESOLUTION], interfaces[row, IF_OFFSET],
        at, state, packets, counts,
    )  # fmt: skip


@inline_kernel
def _block_head(buffer: Bytes, at: int, end: int, state: Integers) -> tuple[int, int]:
    """Give (type, size) of the block at `at`, and set `state[STOP]` if it cannot be read yet."""
    state[NEED] = 12
    state[STOP] = MORE
    if at + 12 > end:
        return -1, 0
    if _u32(buffer, at, 1) == BLOCK_SECTION:
        if u32_be(buffer, at + 8) == BYTE_ORDER_MAGIC:
            state[BIG_ENDIAN] = 1
        elif _u32(buffer, at + 8, 0) == BYTE_ORDER_MAGIC:
            state[BIG_ENDIAN] = 0
        else:
            state[STOP] = BAD_SECTION
            return -1, 0
        state[INTERFACES] = 0
    kind = _u32(buffer, at, state[BIG_ENDIAN])
    size = _u32(buffer, at + 4, state[BIG_ENDIAN])
    state[NEED] = size
    smallest = 28 if kind == BLOCK_SECTION else 20 if kind == BLOCK_INTERFACE else 12
    if size < smallest or size % 4 != 0:
        state[STOP] = BAD_BLOCK_SIZE
        return -1, size
    return kind, size


@inline_kernel
def _whole(buffer: Bytes, at: int, end: int, size: int, state: Integers) -> bool:
    """Tell whether the block is here in full and its trailing size agrees."""
    if size > RECORD_MAX:
        state[STOP] = TOO_LONG
        return False
    if at + size > end:
        state[STOP] = MORE
        return False
    if _u32(buffer, at + size - 4, state[BIG_ENDIAN]) != size:
        state[STOP] = BAD_TRAILER
        return False
    return True


@kernel("int64(uint8[::1], int64, int64, int64[::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def walk_pcapng(
    buffer: Bytes, at: int, end: int, state: Integers, interfaces: Integers, packets: Integers,
    counts: Integers,
) -> int:  # fmt: skip
    """Walk pcapng blocks from `at`; return where the first one begins that was not taken.

    `state[STOP]` says why: MORE bytes are needed, `packets` is FULL, or the block is damaged.
    Blocks that carry neither packets nor interfaces are passed over, however long they are.
    """
    while True:
        passed = min(state[SKIP], end - at)
        state[SKIP] -= passed
        at += passed
        if state[WRITTEN] >= packets.shape[1]:
            state[STOP] = FULL
            return at
        kind, size = _block_head(buffer, at, end, state)
        if kind < 0:
            return at
        if kind in (BLOCK_PACKET, BLOCK_PACKET_SIMPLE, BLOCK_PACKET_OBSOLETE):
            if not _whole(buffer, at, end, size, state):
                return at
            _packet(buffer, at, size, kind, state[BIG_ENDIAN], state, interfaces, packets, counts)
        elif kind == BLOCK_INTERFACE:
            if not _whole(buffer, at, end, size, state):
                return at
            if not _interface(buffer, at, size, state[BIG_ENDIAN], state, interfaces):
                state[STOP] = TOO_MANY_INTERFACES
                return at
        else:
            state[SKIP] = size
            continue
        at += size
