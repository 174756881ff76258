"""One peer's socket: whole messages in, a bounded queue out, never a blocking call."""

import socket
from collections import deque
from itertools import islice
from typing import Protocol

from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import (
    CAPABILITY,
    HEADER_SIZE,
    MessageKind,
    encode,
    message,
    parse_header,
)
from tickloop.tickerplant.q_values import Signal, Value

# Buffers per system call; far below what any system refuses.
GATHER_MAX = 256
# How much is read ahead of a request whose answer is still owed.
READ_AHEAD = 1 << 18


class Owner(Protocol):
    """What a connection asks of the server that it belongs to."""

    def overflowed(self, connection: "Connection") -> None:
        """Hear that a message was refused because the queue is full."""
        ...

    def changed(self, connection: "Connection") -> None:
        """Hear that the queue, a debt or the socket changed: look again before waiting."""
        ...

    def for_peer(self, connection: "Connection", whole: bytes) -> bytes:
        """Give the message compressed, where the peer can read that and it pays."""
        ...


class Connection:
    """A logged-in peer. All methods return at once.

    A message is sent whole or refused whole. Once one was refused, all are, until the queue has
    drained: what a peer receives has at most one hole, and the handler knows where it begins.
    """

    def __init__(
        self, sock: socket.socket, *, peer: str, is_local: bool, queue_bytes_max: int, owner: Owner
    ) -> None:
        self.peer = peer
        self.is_local = is_local
        self.user = ""
        self.capability = CAPABILITY
        self.is_open = True
        self.is_overflowing = False
        self.owes_answer = False
        self.inbox = bytearray()
        self._sock = sock
        self._owner = owner
        self._queue_bytes_max = queue_bytes_max
        self._queue: deque[memoryview] = deque()
        # Bytes accepted for sending that the system has not taken yet.
        self.queued_bytes = 0
        self.is_broken = False

    def fileno(self) -> int:
        """Give the socket's descriptor, for the selector."""
        return self._sock.fileno()

    @property
    def is_full(self) -> bool:
        """Tell whether the queue is past its bound, as after a large answer."""
        return self.queued_bytes > self._queue_bytes_max

    @property
    def takes_requests(self) -> bool:
        """Tell whether to handle the next message: answers go out in order and are read."""
        return self.is_open and not (self.is_broken or self.owes_answer or self.is_full)

    @property
    def wants_input(self) -> bool:
        """Tell whether to read on: not while the peer leaves answers unread, nor far ahead."""
        return not self.is_full and not (self.owes_answer and len(self.inbox) >= READ_AHEAD)

    def send(self, whole: bytes) -> bool:
        """Send one whole message now, or queue what the system does not take.

        False, and `Handler.overflow`, if the queue's bound would be passed. The same bytes may
        go to many connections: they are not copied.
        """
        if not self._accept(whole):
            return False
        self.flush()
        if self._queue or self.is_broken:
            self._owner.changed(self)
        return True

    def post(self, whole: bytes) -> bool:
        """Queue one whole message for the server's next flush or poll; otherwise as `send`."""
        if not self._accept(whole):
            return False
        self._owner.changed(self)
        return True

    def respond(self, value: Value) -> None:
        """Answer the sync request that is owed an answer; the queue's bound does not apply.

        Reading from the peer stops while the queue is past its bound, so a peer that asks but
        does not read costs one answer of memory, not many.
        """
        if not self.is_open:
            return
        assert self.owes_answer, f"{self.peer} is owed no answer"
        self.owes_answer = False
        self._push(self._owner.for_peer(self, response(value)))
        self.flush()
        self._owner.changed(self)

    def close(self) -> None:
        """Close at the next poll; `Handler.closed` is called then."""
        self.is_broken = True
        self._owner.changed(self)

    def _accept(self, whole: bytes) -> bool:
        if not self.is_open or self.is_broken or self.is_overflowing:
            return False
        whole = self._owner.for_peer(self, whole)
        if not self._has_room(len(whole)):
            self.flush()
            if not self._has_room(len(whole)):
                self.is_overflowing = True
                self._owner.overflowed(self)
                return False
        self._push(whole)
        return True

    def _has_room(self, size: int) -> bool:
        # A message that alone is larger than the bound may go when nothing else waits.
        return not self._queue or self.queued_bytes + size <= self._queue_bytes_max

    def _push(self, whole: bytes) -> None:
        self._queue.append(memoryview(whole))
        self.queued_bytes += len(whole)

    def flush(self) -> None:
        """Hand the system as much of the queue as it takes."""
        while self._queue and not self.is_broken:
            try:
                if len(self._queue) == 1:
                    sent = self._sock.send(self._queue[0])
                else:
                    sent = self._sock.sendmsg(list(islice(self._queue, GATHER_MAX)))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.is_broken = True
                return
            self._drop(sent)

    def _drop(self, sent: int) -> None:
        self.queued_bytes -= sent
        while sent:
            head = self._queue[0]
            if sent < len(head):
                self._queue[0] = head[sent:]
                return
            sent -= len(head)
            self._queue.popleft()

    def receive(self, scratch: bytearray) -> bool:
        """Read once into the inbox; False at the end of the stream."""
        try:
            size = self._sock.recv_into(scratch)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self.inbox += memoryview(scratch)[:size]
        return size > 0

    def next_message(self, size_max: int) -> bytes | None:
        """Take one whole message off the inbox; None while it is incomplete, WireError if none."""
        if len(self.inbox) < HEADER_SIZE:
            return None
        size = parse_header(self.inbox, size_max=size_max).size
        if len(self.inbox) < size:
            return None
        whole = bytes(memoryview(self.inbox)[:size])
        del self.inbox[:size]
        return whole

    def shut(self) -> None:
        """Close the socket and forget what was queued."""
        self.is_open = False
        self._queue.clear()
        self.queued_bytes = 0
        self.inbox.clear()
        self._sock.close()


def response(value: Value) -> bytes:
    """Spell an answer as a message; one that cannot travel becomes its error."""
    try:
        payload = encode(value)
    except WireError as error:
        payload = encode(Signal(str(error)))
    return message(MessageKind.RESPONSE, payload)
