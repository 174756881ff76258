"""Sends messages as MoldUDP64 packets and answers requests for those that were lost."""

import socket
import struct
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

from tickloop.core.errors import FeedError
from tickloop.core.kernel import kernel
from tickloop.ingest.frames import Bytes, u16_be
from tickloop.ingest.pcap_walk import Integers

HEADER = struct.Struct(">10sQH")
Address = tuple[str, int]


@kernel("int64(uint8[::1], int64, int64, int64[:, ::1])")
def cut_packets(block: Bytes, start: int, limit: int, cuts: Integers) -> int:
    """Cut length-prefixed messages from `start` into runs of at most `limit` bytes.

    `cuts` gets (start, end, messages) by column; return how many columns were filled. A run
    that ends before the block does means that `cuts` is full or the next message is cut short.
    """
    column = 0
    here = start
    while column < cuts.shape[1]:
        first = here
        count = 0
        while here + 2 <= block.shape[0] and count < 0xFFFE:
            after = here + 2 + u16_be(block, here)
            if after > block.shape[0] or (after - first > limit and count > 0):
                break
            here = after
            count += 1
        if count == 0:
            break
        cuts[0, column] = first
        cuts[1, column] = here
        cuts[2, column] = count
        column += 1
    return column


class MoldStore:
    """The packets of one session, kept for rewinding within `retain_bytes`."""

    def __init__(self, session: bytes, *, retain_bytes: int) -> None:
        assert len(session) == 10, f"session {session!r} is not 10 bytes long"
        self.session = session
        self.next_sequence = 1
        self._retain_bytes = retain_bytes
        self._held_bytes = 0
        self._firsts: list[int] = []
        self._packets: list[bytes] = []
        self._lock = threading.Lock()

    def append(self, messages: bytes, *, count: int) -> bytes:
        """Number `count` length-prefixed messages and return their packet."""
        packet = HEADER.pack(self.session, self.next_sequence, count) + messages
        with self._lock:
            self._firsts.append(self.next_sequence)
            self._packets.append(packet)
            self._held_bytes += len(packet)
            self.next_sequence += count
            while self._held_bytes > self._retain_bytes and len(self._packets) > 1:
                self._held_bytes -= len(self._packets.pop(0))
                self._firsts.pop(0)
        return packet

    def forget(self) -> None:
        """Drop every packet that was kept: no request for them is answered any more."""
        with self._lock:
            self._firsts.clear()
            self._packets.clear()
            self._held_bytes = 0

    def rewind(self, first: int, count: int, *, packets_max: int) -> Iterator[bytes]:
        """Yield packets that hold messages `first` to `first + count - 1`, as far as kept."""
        for _ in range(packets_max):
            with self._lock:
                index = bisect_right(self._firsts, first) - 1
                if count <= 0 or index < 0 or first >= self.next_sequence:
                    return
                packet, start = self._packets[index], self._firsts[index]
            answer, sent = _part(packet, skip=first - start, take=count)
            yield answer
            first += sent
            count -= sent


def _part(packet: bytes, *, skip: int, take: int) -> tuple[bytes, int]:
    """Cut a packet's messages from number `skip` on, at most `take`; (packet, how many)."""
    session, first, count = HEADER.unpack_from(packet)
    here, begin, sent = HEADER.size, HEADER.size, 0
    for index in range(count):
        if index == skip:
            begin = here
        if index >= skip + take:
            break
        here += 2 + int.from_bytes(packet[here : here + 2], "big")
        sent += index >= skip
    return HEADER.pack(session, first + skip, sent) + packet[begin:here], sent


class MoldPublisher:
    """Sends one session's packets to every destination: A and B lines carry the same bytes."""

    def __init__(
        self,
        store: MoldStore,
        destinations: Sequence[Address],
        *,
        payload_bytes: int = 1400,
        interface: str = "127.0.0.1",
    ) -> None:
        self.store = store
        self._destinations = tuple(destinations)
        self._limit = payload_bytes - HEADER.size
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface)
        )

    def packets(self, block: bytes) -> Iterator[bytes]:
        """Number a block of length-prefixed messages and yield its packets, unsent.

        FeedError if the block ends in the middle of a message; what came before was yielded.
        """
        array = np.frombuffer(bytearray(block), dtype=np.uint8)
        cuts = np.empty((3, 256), dtype=np.int64)
        at = 0
        while at < len(block):
            columns = cut_packets(array, at, self._limit, cuts)
            if columns == 0:
                raise FeedError(
                    f"byte {at}: a message is cut short, {len(block) - at} bytes are left of it;"
                    " publish whole length-prefixed messages"
                )
            for start, end, count in cuts[:, :columns].T.tolist():
                yield self.store.append(block[start:end], count=count)
            at = int(cuts[1, columns - 1])

    def publish(self, block: bytes) -> int:
        """Send a block of length-prefixed messages; return how many packets it took."""
        sent = 0
        for packet in self.packets(block):
            self.send(packet)
            sent += 1
        return sent

    def send(self, packet: bytes) -> None:
        """Send one packet to every destination."""
        for destination in self._destinations:
            self._socket.sendto(packet, destination)

    def heartbeat(self) -> None:
        """Tell the next sequence number, as venues do after a second of silence."""
        self.send(HEADER.pack(self.store.session, self.store.next_sequence, 0))

    def end_session(self) -> None:
        """Tell that nothing more will come."""
        self.send(HEADER.pack(self.store.session, self.store.next_sequence, 0xFFFF))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class MoldRewinder:
    """Answers request packets (session, first sequence, count) from a store, by unicast."""

    PACKETS_PER_REQUEST_MAX = 64

    def __init__(self, store: MoldStore, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests = 0
        self.refused = 0
        self._store = store
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))

    @property
    def address(self) -> Address:
        """Where requests go."""
        host, port = self._socket.getsockname()
        return str(host), int(port)

    def serve(self, timeout_s: float) -> bool:
        """Answer one request; False if none came within the time."""
        self._socket.settimeout(timeout_s)
        try:
            request, sender = self._socket.recvfrom(2048)
        except TimeoutError:
            return False
        if len(request) != HEADER.size or request[:10] != self._store.session:
            self.refused += 1
            return True
        self.requests += 1
        _, first, count = HEADER.unpack(request)
        for packet in self._store.rewind(first, count, packets_max=self.PACKETS_PER_REQUEST_MAX):
            self._socket.sendto(packet, sender)
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
