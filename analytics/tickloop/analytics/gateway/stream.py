"""One client's socket as a worker uses it: whole messages in, whole answers out, with patience."""

import select
import socket

from tickloop.analytics.gateway.lease import Lease
from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import (
    COMPRESS_MIN,
    HEADER_SIZE,
    MessageKind,
    Parts,
    compress_message,
    encode_parts,
    message_header,
    parse_header,
)
from tickloop.tickerplant.q_values import Signal, Value

# A peer that takes or sends nothing for so long while a message is under way is given up.
STALL_S = 30.0
_RECEIVE_SIZE = 1 << 18
_GATHER_MAX = 64
_JOINED_MAX = 1 << 16


class Closed(Exception):  # noqa: N818 - not an error: clients come and go
    """The peer is gone, or has been given up."""


class Stream:
    """A connection whose socket does not block, shared with the gateway's process."""

    def __init__(self, sock: socket.socket, lease: Lease) -> None:
        self._sock = sock
        self._compresses = not lease.is_local and lease.capability >= 1
        self._inbox = bytearray()
        self._scratch = bytearray(_RECEIVE_SIZE)

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._sock.fileno()

    @property
    def has_part(self) -> bool:
        """Tell whether part of a message has arrived."""
        return bool(self._inbox)

    def receive(self) -> bool:
        """Read once; False if nothing was there, Closed at the end of the stream."""
        try:
            size = self._sock.recv_into(self._scratch)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            raise Closed from error
        if not size:
            raise Closed
        self._inbox += memoryview(self._scratch)[:size]
        return True

    def next_message(self, size_max: int) -> bytes | None:
        """Take one message, waiting for the rest of one that has begun; None if there is none."""
        if not self._inbox:
            return None
        while len(self._inbox) < HEADER_SIZE:
            self._await()
        size = parse_header(self._inbox, size_max=size_max).size
        while len(self._inbox) < size:
            self._await()
        whole = bytes(memoryview(self._inbox)[:size])
        del self._inbox[:size]
        return whole

    def _await(self) -> None:
        while not self.receive():
            self._wait(select.POLLIN)

    def _wait(self, event: int) -> None:
        poller = select.poll()
        poller.register(self._sock, event)
        if not poller.poll(STALL_S * 1000):
            raise Closed

    def spelled(self, answer: Value) -> Parts:
        """Spell an answer as a message in pieces; one that cannot travel becomes its error."""
        try:
            parts = encode_parts(answer)
        except WireError as error:
            parts = encode_parts(Signal(str(error)))
        size = sum(map(len, parts))
        parts.insert(0, message_header(MessageKind.RESPONSE, size))
        if self._compresses and size > COMPRESS_MIN:
            whole = b"".join(parts)
            return [compress_message(whole) or whole]
        return _joined(parts) if size > _JOINED_MAX else [b"".join(parts)]

    def send(self, parts: Parts) -> int:
        """Send a message; give its bytes. Closed if the peer went away or stopped reading."""
        views = [memoryview(part) for part in parts]
        total = sum(map(len, views))
        first = 0
        while first < len(views):
            try:
                sent = self._sock.sendmsg(views[first : first + _GATHER_MAX])
            except (BlockingIOError, InterruptedError):
                self._wait(select.POLLOUT)
                continue
            except OSError as error:
                raise Closed from error
            while first < len(views) and sent >= len(views[first]):
                sent -= len(views[first])
                first += 1
            if sent:
                views[first] = views[first][sent:]
        return total


def _joined(parts: Parts) -> Parts:
    """Join neighbours that are small, so that few system calls send them all."""
    found: Parts = []
    small: Parts = []
    for part in parts:
        if len(part) < _JOINED_MAX:
            small.append(part)
            continue
        found += [b"".join(small), part]
        small = []
    return [*found, b"".join(small)] if small else found
