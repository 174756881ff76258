"""MoldUDP64 off the wire: A and B lines merged, lost messages asked for again, within bounds."""

import select
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tickloop.core.batch import Slice
from tickloop.core.clock import Clock, WallClock, monotonic_ns
from tickloop.core.errors import FeedError
from tickloop.ingest.feed import Health
from tickloop.ingest.frames import Bytes
from tickloop.ingest.mold_publisher import HEADER
from tickloop.ingest.moldudp64 import HEADROOM, NO_WINDOW, MessageFrames, MoldArbiter
from tickloop.ingest.pcap_walk import AT, DESTINATION, LENGTH, OFFSET, PACKET_ROWS, TIME
from tickloop.ingest.transport import MessageDecoder

DATAGRAM_MAX = 65_536
BATCH_BYTES = 4 << 20
BATCH_PACKETS = 1024
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a feed: a multicast group or a local address, and the interface it is on."""

    host: str
    port: int
    interface: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoldLiveConfig:
    """Where a feed's lines are and how long loss may hold it up; no limit has a default."""

    lines: tuple[Line, ...]
    rewinder: tuple[str, int] | None  # where lost messages are asked for
    patience_ns: int  # how long the other line may take to bring a missing packet
    retry_ns: int  # between requests that bring nothing
    retries: int  # requests that bring nothing before a gap is passed over
    request_messages: int  # most messages of one request
    receive_buffer_bytes: int  # of each socket in the kernel
    session: bytes | None = None  # None: the one that is there
    first_sequence: int | None = None  # None: from the first packet that comes


class MoldLive:
    """A feed from live MoldUDP64 lines.

    `poll` waits for packets and gives what they released; `slices` polls until the session
    ends or `stop` is called. A hole waits `patience_ns` for the other line, is then asked for
    `retries` times, and is then counted (`gap_messages`) and passed over. FeedError if a line
    cannot be joined.
    """

    def __init__(
        self,
        config: MoldLiveConfig,
        *,
        decoder: MessageDecoder,
        health: Health,
        venue: str,
        clock: Clock | None = None,
    ) -> None:
        self.name = "mold:" + ",".join(f"{line.host}:{line.port}" for line in config.lines)
        self.venue = venue
        self.health = health
        self.arbiter = MoldArbiter(
            health=health,
            window_ns=NO_WINDOW,
            session=config.session,
            first_sequence=config.first_sequence,
        )
        self._config = config
        self._decoder = decoder
        self._clock = WallClock() if clock is None else clock
        self._buffer: Bytes = np.empty(HEADROOM + BATCH_BYTES, dtype=np.uint8)
        self._view = memoryview(self._buffer)  # type: ignore[arg-type]
        self._packets = np.zeros((PACKET_ROWS, BATCH_PACKETS), dtype=np.int64)
        self._received = 0
        self._ready: deque[Slice] = deque()
        self._stopped = False
        self._recovery = _Recovery(config, health)
        self._sockets = [_join(line, config.receive_buffer_bytes) for line in config.lines]
        if self._recovery.socket is not None:
            self._sockets.append(self._recovery.socket)
        self._poll = select.poll()
        for line_socket in self._sockets:
            self._poll.register(line_socket, select.POLLIN)

    @property
    def messages(self) -> int:
        """Messages in sequence so far."""
        return self.arbiter.messages

    @property
    def finished(self) -> bool:
        """Whether the session ended, or `stop` was called, and every slice was taken."""
        return (self._stopped or self.arbiter.ended) and not self._ready

    def stop(self) -> None:
        """Let `slices` end after the packets in hand; another thread may call it."""
        self._stopped = True

    def poll(self, timeout_s: float) -> Slice | None:
        """Give the next slice; None if nothing was released within the time."""
        if self._ready:
            return self._ready.popleft()
        if self._poll.poll(self._recovery.wait_ms(timeout_s)):
            self._receive()
        self._recover()
        return self._ready.popleft() if self._ready else None

    def slices(self) -> Iterator[Slice]:
        """Yield slices until the session ends or `stop` is called; then close the sockets."""
        try:
            while not self.finished:
                step = self.poll(POLL_S)
                if step is not None:
                    yield step
            self._decode(self.arbiter.finish(self._buffer))
            yield from self._ready
            self._ready.clear()
        finally:
            self.close()

    def close(self) -> None:
        """Leave the lines."""
        for line_socket in self._sockets:
            line_socket.close()

    def _receive(self) -> None:
        """Take what the sockets hold, up to one batch, and put it into sequence."""
        at = HEADROOM
        column = 0
        share = BATCH_PACKETS // len(self._sockets)
        for index, line_socket in enumerate(self._sockets):
            while column < share * (index + 1) and at + DATAGRAM_MAX <= len(self._buffer):
                try:
                    size = line_socket.recv_into(self._view[at:])
                except BlockingIOError:
                    break
                except OSError:
                    # A rewinder that is not there answers with "connection refused".
                    self.health.count("rewinder_unreachable")
                    break
                self._packets[TIME, column] = self._clock.now()
                self._packets[OFFSET, column] = at
                self._packets[LENGTH, column] = size
                self._packets[DESTINATION, column] = index
                self._packets[AT, column] = self._received
                self._received += size
                at += size
                column += 1
        packets = np.ascontiguousarray(self._packets[:, :column])
        self._decode(self.arbiter.arrange(self._buffer, packets))

    def _recover(self) -> None:
        """Ask for what is missing, or pass over what nobody brought."""
        hole = self.arbiter.missing()
        if self._recovery.is_hopeless(hole, self.arbiter.session, monotonic_ns()):
            self._decode(self.arbiter.give_up(self._buffer))

    def _decode(self, released: Iterable[MessageFrames]) -> None:
        for frames in released:
            self._ready.extend(
                self._decoder.decode(frames.buffer, frames.offsets, frames.lengths, frames.times)
            )


class _Recovery:
    """Decides when to ask for a hole, when to ask again, and when to stop asking."""

    def __init__(self, config: MoldLiveConfig, health: Health) -> None:
        self._config = config
        self._health = health
        self._first: int | None = None
        self._asked = 0
        self._due_ns = 0
        self.socket: socket.socket | None = None
        if config.rewinder is not None:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.setblocking(False)
            self.socket.connect(config.rewinder)

    def wait_ms(self, timeout_s: float) -> float:
        """Give how long to wait for packets: until the next request is due at most."""
        if self._first is None:
            return timeout_s * 1000
        return max(0.0, min(timeout_s * 1000, (self._due_ns - monotonic_ns()) / 1e6))

    def is_hopeless(self, hole: tuple[int, int] | None, session: bytes | None, now_ns: int) -> bool:
        """Ask for the hole if that is due; True once it was asked for often enough."""
        if hole is None or session is None:
            self._first = None
            return False
        first, count = hole
        if first != self._first:
            # An answer brought a part of the hole: ask for the rest at once.
            patience_ns = 0 if self._asked and self._first is not None else self._config.patience_ns
            self._first, self._asked, self._due_ns = first, 0, now_ns + patience_ns
        if now_ns < self._due_ns:
            return False
        if self.socket is None or self._asked >= self._config.retries:
            self._first = None
            self._asked = 0
            return True
        self._ask(session, first, min(count, self._config.request_messages))
        self._asked += 1
        self._due_ns = now_ns + self._config.retry_ns
        return False

    def _ask(self, session: bytes, first: int, count: int) -> None:
        assert self.socket is not None, "asked for a hole without a rewinder"
        self._health.count("rewind_requests")
        try:
            self.socket.send(HEADER.pack(session, first, count))
        except OSError:
            self._health.count("rewinder_unreachable")


def _join(line: Line, receive_buffer_bytes: int) -> socket.socket:
    """Open a line's socket and join its multicast group, if it is one."""
    joined = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        joined.setblocking(False)
        joined.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        # Bound to the group itself, the socket hears no other group on the same port.
        if 224 <= int(line.host.split(".")[0]) <= 239:
            joined.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            joined.bind((line.host, line.port))
            member = socket.inet_aton(line.host) + socket.inet_aton(line.interface)
            joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        else:
            joined.bind((line.host, line.port))
    except (OSError, ValueError) as error:
        joined.close()
        raise FeedError(
            f"line {line.host}:{line.port} on interface {line.interface}: {error}; name a"
            " multicast group or a local IPv4 address, and an interface of this machine"
        ) from error
    return joined
