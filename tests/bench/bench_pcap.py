"""Nanoseconds a packet: the pcap walk, and MoldUDP64 in sequence on top of it.

Run: `python tests/bench/bench_pcap.py`. The workload is the real 100-packet ITCH capture
repeated to 500,000 packets with sequence numbers that go on, one line, all in the page cache.
"""

import statistics
import struct
import tempfile
from pathlib import Path

from tickloop.core.clock import monotonic_ns
from tickloop.ingest.feed import Health
from tickloop.ingest.moldudp64 import HEADROOM, MoldArbiter
from tickloop.ingest.pcap import PcapReader

DATA = Path(__file__).parents[3] / "shared" / "data"
CAPTURE = DATA / "itch" / "xnas-tvitch-20230822-0930.moldudp64.pcap"
REPEATS = 5_000
RUNS = 5
SEQUENCE_AT = 16 + 46 + 10  # record head; Ethernet with a tag, IPv4, UDP; session


def workload(path: Path) -> int:
    """Write the capture `REPEATS` times over; return how many packets it holds."""
    data = CAPTURE.read_bytes()
    records, at = [], 24
    while at < len(data):
        (captured,) = struct.unpack_from("<I", data, at + 8)
        records.append(bytearray(data[at : at + 16 + captured]))
        at += 16 + captured
    (first,) = struct.unpack_from(">Q", records[0], SEQUENCE_AT)
    with path.open("wb") as file:
        file.write(data[:24])
        for _ in range(REPEATS):
            for record in records:
                struct.pack_into(">Q", record, SEQUENCE_AT, first)
                (count,) = struct.unpack_from(">H", record, SEQUENCE_AT + 8)
                first += count
                file.write(record)
    return REPEATS * len(records)


def walk(path: Path) -> int:
    """Read every packet; return how many."""
    reader = PcapReader(path, health=Health())
    return sum(len(chunk) for chunk in reader.chunks())


def arrange(path: Path) -> int:
    """Read every packet and put its messages into sequence; return how many messages."""
    health = Health()
    arbiter = MoldArbiter(health=health, window_ns=10**12)
    for chunk in PcapReader(path, health=health, headroom=HEADROOM).chunks():
        for _ in arbiter.arrange(chunk.buffer, chunk.packets):
            pass
    assert not health.counts, health.counts
    return arbiter.messages


def main() -> None:
    """Print the median of `RUNS` runs and their spread."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.pcap"
        packets = workload(path)
        for name, step in (("walk", walk), ("walk + sequence", arrange)):
            step(path)
            spans = []
            for _ in range(RUNS):
                start = monotonic_ns()
                items = step(path)
                spans.append((monotonic_ns() - start) / packets)
            middle = statistics.median(spans)
            print(
                f"{name}: {middle:.1f} ns/packet ({min(spans):.1f} to {max(spans):.1f}),"
                f" {packets} packets, {items} items, {path.stat().st_size / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    main()
