"""From a captured frame to its UDP payload: Ethernet, cooked, raw and loopback; IPv4 and IPv6."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

Bytes = npt.NDArray[np.uint8]

# What a frame turned out to be; every value but UDP is a condition that is counted by name.
UDP = 0
UNSUPPORTED_LINK = 1
NOT_IP = 2
NOT_UDP = 3
FRAGMENT = 4
TRUNCATED = 5
MALFORMED = 6
CONDITIONS = (
    "udp_packets",
    "unsupported_link",
    "not_ip",
    "not_udp",
    "ip_fragments",
    "truncated_packets",
    "malformed_packets",
)

# Link types as registered for pcap and pcapng.
LINK_NULL = 0
LINK_ETHERNET = 1
LINK_RAW_BSD = 12
LINK_RAW_OPENBSD = 14
LINK_RAW = 101
LINK_LOOP = 108
LINK_SLL = 113
LINK_IPV4 = 228
LINK_IPV6 = 229
LINK_SLL2 = 276

# A frame with more tags or IPv6 extension headers than this is hostile, not traffic.
VLAN_TAGS_MAX = 8
EXTENSIONS_MAX = 8

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
IPV6_KEY = 1 << 62


@inline_kernel
def byte_at(buffer: Bytes, at: int) -> int:
    """Read one byte as a signed integer: unsigned ones would turn sums into floats."""
    return int(np.int64(buffer[at]))


@inline_kernel
def u16_be(buffer: Bytes, at: int) -> int:
    """Read 2 bytes, big-endian."""
    return byte_at(buffer, at) << 8 | byte_at(buffer, at + 1)


@inline_kernel
def u32_be(buffer: Bytes, at: int) -> int:
    """Read 4 bytes, big-endian."""
    return u16_be(buffer, at) << 16 | u16_be(buffer, at + 2)


@inline_kernel
def _ethertype(buffer: Bytes, link: int, at: int, end: int) -> tuple[int, int]:
    """Give (where the type's payload begins, type); (end, -1) if there is no room for one."""
    if link == LINK_ETHERNET:
        where = at + 12
        after = at + 14
    elif link == LINK_SLL:
        where = at + 14
        after = at + 16
    else:
        where = at
        after = at + 20
    if after > end:
        return end, -1
    kind = u16_be(buffer, where)
    tags = 0
    # 802.1Q, 802.1ad and the older QinQ types; capture taps stack them.
    while kind == 0x8100 or kind == 0x88A8 or kind == 0x9100 or kind == 0x9200:
        tags += 1
        if tags > VLAN_TAGS_MAX:
            return after, -2
        if after + 4 > end:
            return end, -1
        kind = u16_be(buffer, after + 2)
        after += 4
    return after, kind


@inline_kernel
def _ip_start(buffer: Bytes, link: int, at: int, end: int) -> tuple[int, int]:
    """Give (status, where the IP header begins)."""
    if link in (LINK_ETHERNET, LINK_SLL, LINK_SLL2):
        start, kind = _ethertype(buffer, link, at, end)
        if kind == -1:
            return TRUNCATED, end
        if kind == -2:
            return MALFORMED, end
        return (UDP if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else NOT_IP), start
    if link in (LINK_NULL, LINK_LOOP):
        # The address family is in the byte order of a machine that we do not know, and its
        # number for IPv6 differs between systems: the IP version nibble says it better.
        return UDP, at + 4
    if link in (LINK_RAW, LINK_IPV4, LINK_IPV6, LINK_RAW_BSD, LINK_RAW_OPENBSD):
        return UDP, at
    return UNSUPPORTED_LINK, at


@inline_kernel
def _ipv4(buffer: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Give (status, where UDP begins, where the packet ends, destination address)."""
    if at + 20 > end:
        return TRUNCATED, 0, 0, 0
    header = (byte_at(buffer, at) & 15) * 4
    total = u16_be(buffer, at + 2)
    # Zero is what a capture taken before segmentation offload shows: trust what was captured.
    length = total if total > 0 else end - at
    if header < 20 or length < header:
        return MALFORMED, 0, 0, 0
    if byte_at(buffer, at + 9) != 17:
        return NOT_UDP, 0, 0, 0
    if u16_be(buffer, at + 6) & 0x3FFF:
        return FRAGMENT, 0, 0, 0
    return UDP, at + header, at + length, u32_be(buffer, at + 16)


@inline_kernel
def _ipv6(buffer: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Give (status, where UDP begins, where the packet ends, folded destination address)."""
    if at + 40 > end:
        return TRUNCATED, 0, 0, 0
    limit = at + 40 + u16_be(buffer, at + 4)
    kind = byte_at(buffer, at + 6)
    start = at + 40
    for _ in range(EXTENSIONS_MAX):
        if kind not in (0, 43, 60):
            break
        if start + 8 > limit:
            return MALFORMED, 0, 0, 0
        if start + 8 > end:
            return TRUNCATED, 0, 0, 0
        kind = byte_at(buffer, start)
        start += 8 * (byte_at(buffer, start + 1) + 1)
    if kind == 44:
        return FRAGMENT, 0, 0, 0
    if kind != 17:
        return (MALFORMED if kind in (0, 43, 60) else NOT_UDP), 0, 0, 0
    folded = 0
    for index in range(4):
        folded ^= u32_be(buffer, at + 24 + 4 * index) << index
    return UDP, start, limit, IPV6_KEY >> 16 | folded


@inline_kernel
def udp_payload(buffer: Bytes, link: int, at: int, end: int) -> tuple[int, int, int, int]:
    """Give (status, offset, length, destination) of the UDP payload in bytes `at` to `end`.

    The destination is address << 16 | port; an IPv6 address is folded and marked by bit 62, so
    it tells lines apart but does not spell the address. Where status is not UDP the rest is 0.
    """
    status, start = _ip_start(buffer, link, at, end)
    if status != UDP:
        return status, 0, 0, 0
    if start >= end:
        return TRUNCATED, 0, 0, 0
    version = byte_at(buffer, start) >> 4
    if version == 4:
        status, udp, limit, address = _ipv4(buffer, start, end)
    elif version == 6:
        status, udp, limit, address = _ipv6(buffer, start, end)
    else:
        return NOT_IP, 0, 0, 0
    if status != UDP:
        return status, 0, 0, 0
    if udp + 8 > limit:
        return MALFORMED, 0, 0, 0
    if udp + 8 > end:
        return TRUNCATED, 0, 0, 0
    length = u16_be(buffer, udp + 4)
    if length < 8 or udp + length > limit:
        return MALFORMED, 0, 0, 0
    if udp + length > end:
        return TRUNCATED, 0, 0, 0
    return UDP, udp + 8, length - 8, address << 16 | u16_be(buffer, udp + 2)


def destination_name(destination: int) -> str:
    """Spell a destination for people: `233.54.12.111:26477`."""
    port = destination & 0xFFFF
    if destination & IPV6_KEY:
        return f"[ipv6 #{(destination >> 16) & 0xFFFFFFFF:08x}]:{port}"
    address = destination >> 16
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0)) + f":{port}"
