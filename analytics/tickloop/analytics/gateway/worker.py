"""A worker process: serves one connection at a time, straight from and to the client's socket."""

import os
import select
import socket
from dataclasses import astuple

from tickloop.analytics.gateway.engine import Engine, Shared, shown
from tickloop.analytics.gateway.lease import Lease, Word, read, read_lease, receive, spell
from tickloop.analytics.gateway.limits import cap_memory
from tickloop.analytics.gateway.slot import Phase, Slot
from tickloop.analytics.gateway.stream import Closed, Stream
from tickloop.analytics.q.errors import QError
from tickloop.core.clock import WallClock, monotonic_ns
from tickloop.core.errors import TickloopError, WireError
from tickloop.tickerplant.q_codec import MessageKind, open_message
from tickloop.tickerplant.q_values import IDENTITY, Signal, Value, count_of, symbol_text
from tickloop.tickerplant.usage import Asked

MESSAGE_BYTES_MAX = 1 << 28
# Records of what was asked go out when there is nothing to do, or when so many wait.
_RECORDS_MAX = 200
_QUIET_MS = 20


class Worker:
    """The loop of a worker process."""

    def __init__(self, control: socket.socket, slot: Slot, shared: Shared) -> None:
        self._control = control
        self._slot = slot
        self._shared = shared
        self._records: list[Asked] = []
        self._recalled = False
        self._engine: Engine | None = None
        self._clock = WallClock()

    def run(self) -> None:
        """Serve what is lent until the gateway goes away."""
        while True:
            raw, fds = receive(self._control, 1)
            if not raw:
                return
            word, fields = read(raw)
            if word is Word.LEASE:
                self._serve(read_lease(fields), fds[0])

    def stop(self) -> None:
        """Stop the request that runs; called by a signal."""
        if self._engine is not None:
            self._engine.interrupt()

    def _serve(self, lease: Lease, fd: int) -> None:
        self._recalled = False
        cap_memory(lease.rights.memory_mib << 20)
        with socket.socket(fileno=fd) as sock:
            connection = _Connection(lease, Stream(sock, lease), self._shared)
            self._engine = connection.engine
            try:
                word = self._answer_until_idle(connection)
            except (Closed, WireError):
                word = Word.CLOSED
            connection.engine.forget()
        self._engine = None
        self._slot.enter(Phase.IDLE)
        self._flush()
        self._control.send(spell(word))

    def _answer_until_idle(self, connection: "_Connection") -> Word:
        """Answer while requests come; the connection goes back when the gateway wants it."""
        stream = connection.stream
        poller = select.poll()
        poller.register(stream.fileno(), select.POLLIN)
        poller.register(self._control.fileno(), select.POLLIN)
        while True:
            events = poller.poll(_QUIET_MS if self._records else None)
            if not events:
                self._flush()
            for fd, _ in events:
                if fd == self._control.fileno():
                    self._listen()
                elif stream.receive():
                    self._answer_all(connection)
            if self._recalled and not connection.is_pinned and not stream.has_part:
                return Word.FREE

    def _listen(self) -> None:
        raw, _ = receive(self._control)
        if not raw:
            os._exit(0)
        self._recalled = read(raw)[0] is Word.RECALL or self._recalled

    def _answer_all(self, connection: "_Connection") -> None:
        while (whole := connection.stream.next_message(MESSAGE_BYTES_MAX)) is not None:
            self._answer(connection, whole)
        self._slot.enter(Phase.READING if connection.stream.has_part else Phase.IDLE)

    def _answer(self, connection: "_Connection", whole: bytes) -> None:
        kind = MessageKind(whole[1])
        self._slot.run(kind, memoryview(whole)[8:])
        started = monotonic_ns()
        answer = connection.evaluate(whole)
        if isinstance(answer, Signal) and (reason := self._slot.reason):
            answer = Signal(reason)
        if kind is MessageKind.SYNC:
            # Errors of the answer itself (too large, cannot travel) become the answer.
            parts = connection.stream.spelled(answer)
            self._slot.enter(Phase.SENDING)
            sent = connection.stream.send(parts)
        else:
            sent = 0
        error = answer.text if isinstance(answer, Signal) else ""
        lease = connection.lease
        query, rows = connection.request_shown, 0 if error else count_of(answer)
        took = monotonic_ns() - started
        self._records.append(
            Asked(self._clock.now(), lease.user, lease.peer, query, took, rows, sent, error)
        )
        if len(self._records) >= _RECORDS_MAX:
            self._flush()
        self._tell_if_pinned(connection)

    def _tell_if_pinned(self, connection: "_Connection") -> None:
        if not connection.is_pinned and connection.engine.has_state:
            connection.is_pinned = True
            self._control.send(spell(Word.PINNED))

    def _flush(self) -> None:
        while self._records:
            piece, self._records = self._records[:20], self._records[20:]
            self._control.send(spell(Word.USAGE, {"asked": [astuple(record) for record in piece]}))


class _Connection:
    """A lent connection: its stream and its engine."""

    def __init__(self, lease: Lease, stream: Stream, shared: Shared) -> None:
        self.lease = lease
        self.stream = stream
        self.engine = Engine(shared, lease.rights)
        self.is_pinned = False
        self._request: Value | str = IDENTITY

    @property
    def request_shown(self) -> str:
        """The last request in one line."""
        request = self._request
        return request[:2000] if isinstance(request, str) else shown(request)

    def evaluate(self, whole: bytes) -> Value:
        """Answer a whole message; every failure becomes an answer."""
        self._request = IDENTITY
        try:
            text = text_in(whole)
            if text is not None:
                self._request = text
                answer = self.engine.evaluate_text(text)
            else:
                kind, request = open_message(whole, size_max=MESSAGE_BYTES_MAX)
                self._request = request
                if kind is MessageKind.RESPONSE:
                    return IDENTITY
                answer = self.engine.evaluate(request, self.lease.user)
            self._refuse_state()
        except TickloopError as error:
            return Signal(str(error))
        except MemoryError:
            limit = self.lease.rights.memory_mib
            return Signal(
                f"wsfull: more than {limit} MiB of memory needed, the limit of this user; select"
                " fewer rows or columns"
            )
        except RecursionError:
            return Signal("stack: functions call each other too deeply; is there an end to it?")
        except Exception as error:  # noqa: BLE001 - a verb's fault must not end the connection
            return Signal(f"fault: {type(error).__name__}: {error}; please report this query")
        return answer

    def _refuse_state(self) -> None:
        if not self.lease.may_pin and not self.is_pinned and self.engine.has_state:
            self.engine.forget()
            raise QError(
                "limit",
                "as many connections as allowed hold variables already; close one of them, or ask"
                " in one go without assigning",
            )


_TEXT_AT = 14
_PLAIN = (b"\1\0\0\0", b"\1\1\0\0")


def text_in(whole: bytes) -> str | None:
    """Read the text of a message that is nothing but text, which most are; None for others."""
    if whole[:4] not in _PLAIN or whole[8:10] != b"\x0a\0":
        return None
    size = int.from_bytes(whole[10:_TEXT_AT], "little")
    return symbol_text(whole[_TEXT_AT:]) if len(whole) == _TEXT_AT + size else None
