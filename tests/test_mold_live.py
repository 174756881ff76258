"""Live lines over loopback: what is lost is asked for again, and given up within bounds."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import FeedError
from tickloop.core.schema import CONTROL
from tickloop.ingest.feed import Health
from tickloop.ingest.mold_live import Line, MoldLive, MoldLiveConfig
from tickloop.ingest.mold_publisher import MoldPublisher, MoldRewinder, MoldStore

SESSION = b"000010059B"
MESSAGES = [b"message %d" % index * (1 + index % 7) for index in range(600)]
BLOCK = b"".join(struct.pack(">H", len(text)) + text for text in MESSAGES)


class Copies:
    """A decoder that keeps each message's bytes, so tests see what a feed was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.times: list[int] = []

    def decode(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        recv_times: npt.NDArray[np.int64],
    ) -> Iterator[Slice]:
        for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
            self.bodies.append(buffer[offset : offset + length].tobytes())
        self.times += recv_times.tolist()
        yield Slice((Batch(CONTROL, {"time": recv_times.copy()}),))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def config(
    ports: Sequence[int], rewinder: tuple[str, int] | None, *, retries: int = 20
) -> MoldLiveConfig:
    return MoldLiveConfig(
        lines=tuple(Line("127.0.0.1", port) for port in ports),
        rewinder=rewinder,
        patience_ns=2_000_000,
        retry_ns=20_000_000,
        retries=retries,
        request_messages=100,
        receive_buffer_bytes=1 << 20,
        first_sequence=1,
    )


class Loopback:
    """A feed, its decoder, and a rewinder that runs in a thread."""

    def __init__(self, *, lines: int, retries: int = 20, rewinds: bool = True) -> None:
        self.store = MoldStore(SESSION, retain_bytes=1 << 20)
        self.rewinder = MoldRewinder(self.store)
        self.health = Health()
        self.copies = Copies()
        self.ports = free_ports(lines)
        address = self.rewinder.address if rewinds else None
        self.feed = MoldLive(
            config(self.ports, address, retries=retries),
            decoder=self.copies,
            health=self.health,
            venue="XNAS",
        )
        self.publisher = MoldPublisher(
            self.store, [("127.0.0.1", port) for port in self.ports], payload_bytes=200
        )
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rewind)

    def _rewind(self) -> None:
        while not self._stop.is_set():
            self.rewinder.serve(0.05)

    def send(self, packet: bytes, line: int) -> None:
        self._line.sendto(packet, ("127.0.0.1", self.ports[line]))

    def drain(self) -> int:
        """Run the feed to its end, 10 seconds at most; return how many rows it gave."""
        timer = threading.Timer(10, self.feed.stop)
        timer.start()
        rows = sum(step.rows for step in self.feed.slices())
        timer.cancel()
        return rows

    def __enter__(self) -> "Loopback":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.feed.close()
        self.publisher.close()
        self.rewinder.close()
        self._line.close()


def test_a_session_over_one_sound_line_arrives_whole() -> None:
    with Loopback(lines=1) as wire:
        assert wire.publisher.publish(BLOCK) > 100
        wire.publisher.heartbeat()
        wire.publisher.end_session()
        assert wire.drain() == 600
        assert wire.copies.bodies == MESSAGES
        assert wire.feed.messages == 600
        assert dict(wire.health.counts) == {"mold_heartbeats": 1}
        assert wire.copies.times == sorted(wire.copies.times)


def test_what_both_lines_lost_comes_from_the_rewinder() -> None:
    with Loopback(lines=2) as wire:
        draws = np.random.default_rng(5)
        for packet in wire.publisher.packets(BLOCK):
            for line in range(2):
                if draws.random() < 0.6:
                    wire.send(packet, line)
        wire.publisher.end_session()
        wire.drain()
        assert wire.copies.bodies == MESSAGES
        assert wire.rewinder.requests > 0
        assert "gap_messages" not in wire.health.counts
        assert wire.health.counts["rewind_requests"] >= wire.rewinder.requests


def test_repeated_and_reordered_packets_arrive_once_and_in_order() -> None:
    with Loopback(lines=1) as wire:
        packets = list(wire.publisher.packets(BLOCK))
        order = np.random.default_rng(3).permutation(np.repeat(np.arange(len(packets)), 2))
        for index in order:
            wire.send(packets[index], 0)
        wire.publisher.end_session()
        wire.drain()
        assert wire.copies.bodies == MESSAGES
        assert wire.health.counts["duplicate_messages"] >= 600


def test_a_hole_that_nobody_fills_is_counted_and_passed_over_in_bounded_time() -> None:
    with Loopback(lines=1, retries=2) as wire:
        packets = list(wire.publisher.packets(BLOCK))
        wire.store.forget()
        for packet in packets[:5] + packets[7:]:
            wire.send(packet, 0)
        wire.publisher.end_session()
        start = monotonic_ns()
        wire.drain()
        assert monotonic_ns() - start < 2_000_000_000
        lost = sum(struct.unpack(">10sQH", packet[:20])[2] for packet in packets[5:7])
        assert len(wire.copies.bodies) == 600 - lost
        assert wire.health.counts["gap_messages"] == lost
        assert wire.health.counts["gaps"] == 1
        assert wire.health.counts["rewind_requests"] == 2


def test_without_a_rewinder_a_hole_is_given_up_after_the_patience() -> None:
    with Loopback(lines=1, rewinds=False) as wire:
        packets = list(wire.publisher.packets(BLOCK))
        for packet in packets[1:]:
            wire.send(packet, 0)
        wire.publisher.end_session()
        wire.drain()
        assert wire.health.counts["gaps"] == 1
        assert wire.copies.bodies == MESSAGES[-len(wire.copies.bodies) :]


def test_a_rewinder_that_is_not_there_does_not_end_the_feed() -> None:
    line_port, rewinder_port = free_ports(2)
    health, copies = Health(), Copies()
    feed = MoldLive(
        config([line_port], ("127.0.0.1", rewinder_port), retries=3),
        decoder=copies,
        health=health,
        venue="XNAS",
    )
    publisher = MoldPublisher(
        MoldStore(SESSION, retain_bytes=1 << 20), [("127.0.0.1", line_port)], payload_bytes=200
    )
    packets = list(publisher.packets(BLOCK))
    publisher.send(packets[1])
    publisher.end_session()
    timer = threading.Timer(10, feed.stop)
    timer.start()
    list(feed.slices())
    timer.cancel()
    publisher.close()
    assert health.counts["rewinder_unreachable"] > 0
    assert health.counts["gaps"] == 2
    assert 0 < len(copies.bodies) < 20


def test_a_poll_without_packets_gives_nothing_within_its_time() -> None:
    with Loopback(lines=2) as wire:
        start = monotonic_ns()
        assert wire.feed.poll(0.05) is None
        assert 40_000_000 < monotonic_ns() - start < 2_000_000_000


def test_stop_ends_a_silent_feed() -> None:
    with Loopback(lines=1) as wire:
        threading.Timer(0.1, wire.feed.stop).start()
        assert list(wire.feed.slices()) == []
        assert wire.feed.finished


def test_a_multicast_group_is_heard_on_the_loopback_interface() -> None:
    (port,) = free_ports(1)
    health, copies = Health(), Copies()
    group = Line("239.255.77.7", port)
    feed = MoldLive(
        replace(config([port], None), lines=(group,)),
        decoder=copies,
        health=health,
        venue="XNAS",
    )
    store = MoldStore(SESSION, retain_bytes=1 << 20)
    publisher = MoldPublisher(store, [(group.host, port)])
    publisher.publish(BLOCK)
    publisher.end_session()
    timer = threading.Timer(10, feed.stop)
    timer.start()
    list(feed.slices())
    timer.cancel()
    publisher.close()
    assert copies.bodies == MESSAGES


def test_noise_on_a_line_is_counted_and_the_feed_goes_on() -> None:
    with Loopback(lines=1) as wire:
        draws = np.random.default_rng(11)
        for packet in wire.publisher.packets(BLOCK):
            wire.send(draws.bytes(int(draws.integers(0, 300))), 0)
            wire.send(packet, 0)
        wire.publisher.end_session()
        wire.drain()
        assert wire.copies.bodies == MESSAGES
        assert sum(wire.health.counts.values()) > 100


@pytest.mark.parametrize(
    "line", [Line("192.0.2.1", 1), Line("no number", 1), Line("239.1.1.1", 0, "192.0.2.1")]
)
def test_a_line_that_cannot_be_joined_is_refused(line: Line) -> None:
    wrong = replace(config([1], None), lines=(line,))
    with pytest.raises(FeedError, match="name a multicast group or a local IPv4 address"):
        MoldLive(wrong, decoder=Copies(), health=Health(), venue="XNAS")


def test_a_block_that_is_cut_short_is_refused_where_it_is_cut() -> None:
    store = MoldStore(SESSION, retain_bytes=1 << 20)
    publisher = MoldPublisher(store, [])
    with pytest.raises(FeedError, match="byte 6: a message is cut short"):
        publisher.publish(b"\x00\x04good\x00\x04ba")
    publisher.close()
    assert store.next_sequence == 2


def test_the_store_forgets_the_oldest_packets_first() -> None:
    store = MoldStore(SESSION, retain_bytes=3 * 24)
    for _ in range(5):
        store.append(b"\x00\x02ab", count=1)
    assert list(store.rewind(1, 9, packets_max=9)) == []
    answers = list(store.rewind(4, 9, packets_max=9))
    assert [struct.unpack(">10sQH", answer[:20])[1:] for answer in answers] == [(4, 1), (5, 1)]
