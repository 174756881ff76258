"""Captures are read like a slow plain reader reads them, and damage is named, never raised."""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.errors import FeedError
from tickloop.ingest.feed import Health
from tickloop.ingest.frames import destination_name
from tickloop.ingest.pcap import PcapReader

EPOCH_2000 = 946_684_800 * 10**9
ITCH = "itch/xnas-tvitch-20230822-0930.moldudp64.pcap"
TOPS = "iex/TOPS16.pcapng.gz"
CME = "cme-mdp3/Cme.Mdp3.Sbe.v6.1.pcap"
GROUP = (233, 54, 12, 111)
Packet = tuple[int, bytes, int]  # ns since 1970, UDP payload, destination port


# --- the slow reader ------------------------------------------------------------------------


def slow_udp(link: int, frame: bytes) -> tuple[bytes, int] | None:
    at = {0: 4, 108: 4, 101: 0, 228: 0, 229: 0}.get(link)
    if at is None:
        at = {1: 12, 113: 14, 276: 0}[link]
        (kind,) = struct.unpack_from(">H", frame, at)
        at = {1: 14, 113: 16, 276: 20}[link]
        while kind in (0x8100, 0x88A8, 0x9100):
            (kind,) = struct.unpack_from(">H", frame, at + 2)
            at += 4
        if kind not in (0x800, 0x86DD):
            return None
    if frame[at] >> 4 == 4:
        if frame[at + 9] != 17 or struct.unpack_from(">H", frame, at + 6)[0] & 0x3FFF:
            return None
        at += (frame[at] & 15) * 4
    else:
        kind, at = frame[at + 6], at + 40
        while kind in (0, 43, 60):
            kind, at = frame[at], at + 8 + 8 * frame[at + 1]
        if kind != 17:
            return None
    _, port, length, _ = struct.unpack_from(">HHHH", frame, at)
    payload = frame[at + 8 : at + length]
    return (payload, port) if len(payload) == length - 8 else None


def slow_pcap(data: bytes) -> Iterator[Packet]:
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1000 if struct.unpack_from(order + "I", data)[0] == 0xA1B2C3D4 else 1
    (link,) = struct.unpack_from(order + "I", data, 20)
    at = 24
    while at < len(data):
        seconds, fraction, captured, _ = struct.unpack_from(order + "IIII", data, at)
        found = slow_udp(link, data[at + 16 : at + 16 + captured])
        if found:
            yield seconds * 10**9 + fraction * unit, *found
        at += 16 + captured


def slow_pcapng(data: bytes) -> Iterator[Packet]:
    at, order = 0, "<"
    interfaces: list[tuple[int, int, int]] = []
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8] == 0x4D else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            interfaces.append(slow_interface(order, body))
        if kind == 6:
            number, high, low, captured, _ = struct.unpack_from(order + "IIIII", body)
            link, resolution, offset = interfaces[number]
            found = slow_udp(link, body[20 : 20 + captured])
            ticks = high << 32 | low
            base = 2 if resolution & 128 else 10
            nanos = ticks * 10**9 // base ** (resolution & 127) + offset * 10**9
            if found:
                yield nanos, *found
        at += size


def slow_interface(order: str, body: bytes) -> tuple[int, int, int]:
    (link,) = struct.unpack_from(order + "H", body)
    resolution, offset, at = 6, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 9:
            resolution = body[at + 4]
        if code == 14:
            (offset,) = struct.unpack_from(order + "q", body, at + 4)
        at += 4 + (length + 3) // 4 * 4
    return link, resolution, offset


def slow(path: Path) -> list[Packet]:
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return list(slow_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else slow_pcap(data))


# --- the reader under test ------------------------------------------------------------------


def read(path: Path, health: Health | None = None) -> list[Packet]:
    found = []
    for chunk in PcapReader(path, health=Health() if health is None else health).chunks():
        for time, offset, length, destination, _ in chunk.packets.T.tolist():
            payload = chunk.buffer[offset : offset + length].tobytes()
            found.append((time + EPOCH_2000, payload, destination & 0xFFFF))
    return found


def udp4(payload: bytes, *, options: bytes = b"", flags: int = 0, protocol: int = 17) -> bytes:
    udp = struct.pack(">HHHH", 40_000, 26_477, 8 + len(payload), 0) + payload
    header = 0x45 + len(options) // 4
    total = 20 + len(options) + len(udp)
    address = bytes([233, 54, 12, 111])
    head = struct.pack(
        ">BBHHHBBH4s4s", header, 0, total, 1, flags, 9, protocol, 0, address, address
    )
    return head + options + udp


def udp6(payload: bytes, *, extensions: bytes = b"", first: int = 17) -> bytes:
    udp = struct.pack(">HHHH", 40_000, 26_477, 8 + len(payload), 0) + payload
    length = len(extensions) + len(udp)
    return struct.pack(">IHBB", 6 << 28, length, first, 9) + bytes(32) + extensions + udp


def ethernet(packet: bytes, *, kind: int = 0x800, tags: int = 0) -> bytes:
    return bytes(12) + b"\x81\x00\x00\x05" * tags + struct.pack(">H", kind) + packet


def pcap(
    frames: list[bytes], *, link: int = 1, order: str = "<", nanos: bool = False, short: int = 0
) -> bytes:
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, link)]
    for index, frame in enumerate(frames):
        kept = frame[: len(frame) - short]
        head = (1_692_711_000, index, len(kept), len(frame))
        parts.append(struct.pack(order + "IIII", *head) + kept)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str, *, link: int = 1, resolution: int | None, offset: int | None) -> bytes:
    body = struct.pack(order + "HHI", link, 0, 0)
    if resolution is not None:
        body += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset is not None:
        body += struct.pack(order + "HHq", 14, 8, offset)
    return block(1, body + bytes(4), order)


def enhanced(order: str, frame: bytes, ticks: int, number: int = 0) -> bytes:
    head = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, struct.pack(order + "IIIII", *head) + frame, order)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "capture"
    path.write_bytes(data)
    return path


# --- real captures --------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "packets"), [(ITCH, 100), (TOPS, 13_022), (CME, 10_000)])
def test_real_captures_read_like_the_slow_reader(
    market_data: Callable[[str], Path], name: str, packets: int
) -> None:
    health = Health()
    found = read(market_data(name), health)
    assert len(found) == packets
    assert found == slow(market_data(name))
    assert health == Health()


@pytest.mark.kernel
def test_one_packet_captures_with_vlan_tags_and_nanoseconds_read_like_the_slow_reader(
    market_data: Callable[[str], Path],
) -> None:
    paths = sorted(market_data("itch/omi-single").glob("*.pcap"))
    assert len(paths) == 7
    for path in paths:
        assert read(path) == slow(path)
    replace = next(path for path in paths if path.name.startswith("OrderReplace"))
    assert read(replace)[0][0] == 1_692_711_000_000_001_318


def test_every_one_packet_capture_of_other_venues_is_accounted_for(
    market_data: Callable[[str], Path],
) -> None:
    for path in sorted(market_data("omi-pcaps").rglob("*.pcap")):
        health = Health()
        reader = PcapReader(path, health=health)
        udp = sum(len(chunk) for chunk in reader.chunks())
        assert reader.packets == udp + sum(health.counts.values()), path
        assert not health.damage


def test_both_lines_of_a_capture_are_told_apart_by_destination(
    market_data: Callable[[str], Path],
) -> None:
    counts: dict[str, int] = {}
    for chunk in PcapReader(market_data(CME), health=Health()).chunks():
        for key in chunk.packets[3].tolist():
            counts[destination_name(key)] = counts.get(destination_name(key), 0) + 1
    assert counts == {"224.0.31.64:14340": 5000, "224.0.32.64:15340": 5000}


# --- generated captures ---------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanos", [False, True])
def test_either_byte_order_and_stamp_unit_is_read(tmp_path: Path, order: str, nanos: bool) -> None:
    frames = [ethernet(udp4(bytes([index]) * index)) for index in range(50)]
    path = saved(tmp_path, pcap(frames, order=order, nanos=nanos))
    found = read(path)
    assert found == slow(path)
    assert [payload for _, payload, _ in found] == [bytes([i]) * i for i in range(50)]


EXTENSIONS = bytes([60, 0, *bytes(6), 17, 1, *bytes(14)])
FRAMES = {
    "no tag": (1, ethernet(udp4(b"tick"))),
    "8 tags": (1, ethernet(udp4(b"tick"), tags=8)),
    "IPv4 options": (1, ethernet(udp4(b"tick", options=bytes(40)))),
    "padding and check sequence": (1, ethernet(udp4(b"tick")) + bytes(22)),
    "IPv6": (1, ethernet(udp6(b"tick"), kind=0x86DD)),
    "IPv6 extensions": (1, ethernet(udp6(b"tick", extensions=EXTENSIONS, first=0), kind=0x86DD)),
    "loopback, ours": (0, struct.pack("<I", 2) + udp4(b"tick")),
    "loopback, theirs": (0, struct.pack(">I", 30) + udp6(b"tick")),
    "OpenBSD loopback": (108, struct.pack(">I", 2) + udp4(b"tick")),
    "raw": (101, udp6(b"tick")),
    "raw IPv4": (228, udp4(b"tick")),
    "raw IPv6": (229, udp6(b"tick")),
    "cooked": (113, bytes(14) + b"\x08\x00" + udp4(b"tick")),
    "cooked 2": (276, b"\x08\x00" + bytes(18) + udp4(b"tick")),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", FRAMES)
def test_the_payload_is_found_below_every_link_type(tmp_path: Path, name: str) -> None:
    link, frame = FRAMES[name]
    path = saved(tmp_path, pcap([frame], link=link))
    found = read(path)
    assert [(payload, port) for _, payload, port in found] == [(b"tick", 26_477)]
    assert found == slow(path)


REFUSED = {
    "unsupported_link": (147, ethernet(udp4(b"x")), 0),
    "not_ip": (1, ethernet(bytes(28), kind=0x806), 0),
    "not_udp": (1, ethernet(udp4(b"x", protocol=6)), 0),
    "ip_fragments": (1, ethernet(udp4(b"x", flags=0x2000)), 0),
    "truncated_packets": (1, ethernet(udp4(b"x" * 100)), 50),
    "malformed_packets": (1, ethernet(udp4(b"x" * 100))[:-50], 0),
}


@pytest.mark.kernel
@pytest.mark.parametrize("condition", REFUSED)
def test_a_frame_without_a_whole_udp_payload_is_counted_by_its_reason(
    tmp_path: Path, condition: str
) -> None:
    link, frame, short = REFUSED[condition]
    health = Health()
    assert read(saved(tmp_path, pcap([frame], link=link, short=short)), health) == []
    assert dict(health.counts) == {condition: 1}


@pytest.mark.kernel
def test_more_vlan_tags_than_the_bound_and_later_ipv6_fragments_are_counted(tmp_path: Path) -> None:
    fragment = udp6(b"x", extensions=bytes([17]) + bytes(7), first=44)
    frames = [ethernet(udp4(b"x"), tags=9), ethernet(fragment, kind=0x86DD)]
    health = Health()
    assert read(saved(tmp_path, pcap(frames)), health) == []
    assert dict(health.counts) == {"malformed_packets": 1, "ip_fragments": 1}


@pytest.mark.kernel
@pytest.mark.parametrize("order", ["<", ">"])
@given(
    resolution=st.integers(0, 255),
    offset=st.integers(-1_000_000_000, 1_000_000_000),
    nanos=st.integers(0, 2**61),
    low=st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_every_time_resolution_and_offset_is_exact(
    tmp_path_factory: pytest.TempPathFactory,
    order: str, resolution: int, offset: int, nanos: int, low: int,
) -> None:  # fmt: skip
    base = (2 if resolution & 128 else 10) ** (resolution & 127)
    ticks = min(nanos * base // 10**9 + low, 2**64 - 1)
    data = section(order) + interface(order, resolution=resolution, offset=offset)
    path = saved(
        tmp_path_factory.mktemp("stamp"), data + enhanced(order, ethernet(udp4(b"x")), ticks)
    )
    health = Health()
    found = read(path, health)
    wanted = slow(path)
    # Beyond some 250 years from now an instant cannot be said: it is counted instead.
    if -8 * 10**18 <= wanted[0][0] < 9 * 10**18:
        assert found == wanted
        assert health == Health()
    else:
        assert dict(health.counts) == {"bad_stamps": 1}


@pytest.mark.kernel
def test_sections_interfaces_and_simple_packets_of_mixed_byte_order_are_read(
    tmp_path: Path,
) -> None:
    frame = ethernet(udp4(b"tick"))
    parts = []
    for order in "<>":
        parts += [
            section(order),
            interface(order, resolution=None, offset=None),
            interface(order, link=101, resolution=9, offset=1_000_000_000),
            enhanced(order, frame, 1_692_711_000_000_001),
            block(5, bytes(3_000_000), order),  # statistics, larger than any packet may be
            enhanced(order, udp4(b"tock"), 692_711_000_000_000_002, number=1),
            block(3, struct.pack(order + "I", len(frame)) + frame, order),
            enhanced(order, frame, 5, number=2),
        ]
    health = Health()
    found = read(saved(tmp_path, b"".join(parts)), health)
    stamps = [1_692_711_000_000_001_000, 1_692_711_000_000_000_002, 1_692_711_000_000_000_002]
    expected = [
        (stamp, payload, 26_477)
        for stamp, payload in zip(stamps, [b"tick", b"tock", b"tick"], strict=True)
    ]
    assert found == 2 * expected
    assert dict(health.counts) == {"unstamped_packets": 2, "unknown_interface": 2}
    assert health.damage == []


def test_packets_that_straddle_the_pieces_of_a_long_capture_are_read_once(tmp_path: Path) -> None:
    frames = [ethernet(udp4(struct.pack(">I", index) * (index % 300))) for index in range(20_000)]
    data = pcap(frames)
    path = saved(tmp_path, gzip.compress(data, 1))
    assert len(data) > 8 << 20
    assert read(path) == list(slow_pcap(data))


# --- damage ---------------------------------------------------------------------------------


def damage_of(path: Path) -> tuple[int, str]:
    health = Health()
    found = read(path, health)
    (error,) = health.damage
    assert isinstance(error, FeedError)
    return len(found), str(error)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty, a pcap or pcapng capture expected"),
        (b"seconds,price\n", "byte 0: magic 7365636f is neither pcap"),
        (b"\x0a\x0d", "byte 0: magic 0a0d is neither pcap"),
        (b"\xd4\xc3\xb2\xa1\x02", "byte 5: cut in the middle of the 24-byte file header"),
        (section("<")[:8] + b"????" + section("<")[12:], "byte 0: the record here opens a section"),
        (section("<") + struct.pack("<II", 6, 31), "byte 36: the file ends in the middle"),
        (section("<") + struct.pack("<III", 6, 31, 0), "byte 28: the record here has a block size"),
        (section("<") + struct.pack("<III", 6, 2**31, 0), "claims 2147483648 bytes"),
        (section("<") + block(6, bytes(20), "<")[:-4] + b"abcd", "trailing size contradicts"),
        (gzip.compress(b"", mtime=0)[:10], "uncompressed byte 0: "),
    ],
)
def test_what_is_no_capture_is_named_with_its_byte_and_what_to_do(
    tmp_path: Path, data: bytes, said: str
) -> None:
    packets, text = damage_of(saved(tmp_path, data))
    assert packets == 0
    assert said in text
    assert ";" in text


@pytest.mark.parametrize("zipped", [False, True])
def test_a_capture_cut_anywhere_keeps_every_packet_before_the_cut(
    tmp_path: Path, zipped: bool
) -> None:
    data = pcap([ethernet(udp4(bytes([index]) * 40)) for index in range(3)])
    record = (len(data) - 24) // 3
    for cut in range(25, len(data)):
        health = Health()
        piece = gzip.compress(data[:cut]) if zipped else data[:cut]
        found = read(saved(tmp_path, piece), health)
        assert len(found) == (cut - 24) // record
        if (cut - 24) % record:
            assert f"byte {cut}: the file ends in the middle" in str(health.damage[0])
        else:
            assert health.damage == []


def test_a_cut_gzip_stream_keeps_the_packets_that_can_be_had(
    tmp_path: Path, market_data: Callable[[str], Path]
) -> None:
    whole = market_data(TOPS)
    packets, text = damage_of(saved(tmp_path, whole.read_bytes()[:300_000]))
    assert 5_000 < packets < 13_022
    assert "fetch it again" in text or "the file is cut" in text


def test_a_capture_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="name a readable capture file"):
        PcapReader(tmp_path / "nothing", health=Health())


@given(st.binary(max_size=300), st.sampled_from(["pcap", "pcapng", "nothing"]))
def test_random_bytes_are_read_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: str
) -> None:
    heads = {
        "pcap": pcap([]),
        "pcapng": section("<") + interface("<", resolution=9, offset=None),
        "nothing": b"",
    }
    read(saved(tmp_path_factory.mktemp("noise"), heads[start] + noise))


@pytest.mark.parametrize("name", [ITCH, CME])
def test_real_captures_with_flipped_bytes_are_read_without_a_crash(
    tmp_path: Path, market_data: Callable[[str], Path], name: str
) -> None:
    data = np.frombuffer(market_data(name).read_bytes()[:60_000], dtype=np.uint8)
    draws = np.random.default_rng(20231)
    for _ in range(100):
        mutated = data.copy()
        where = draws.integers(0, len(data), 20)
        mutated[where] = draws.integers(0, 256, 20)
        assert len(read(saved(tmp_path, mutated.tobytes()))) <= 1000
