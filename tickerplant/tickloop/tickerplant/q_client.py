"""A small blocking q IPC client for our own tools; any q server will do."""

import socket
from collections import deque
from types import TracebackType
from typing import Self

from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import LoginError, QueryError, WireError
from tickloop.tickerplant.q_codec import (
    HEADER_SIZE,
    MessageKind,
    encode,
    message,
    open_message,
    parse_header,
)
from tickloop.tickerplant.q_login import login_bytes
from tickloop.tickerplant.q_values import Signal, Value, chars

RECEIVE_SIZE = 1 << 18
MESSAGE_BYTES_MAX = 1 << 30


class QClient:
    """One connection to a q server; pushed messages wait while a call is answered."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str = "",
        password: str = "",
        timeout_s: float = 10.0,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        self._name = f"{host}:{port}"
        self._message_bytes_max = message_bytes_max
        self._inbox = bytearray()
        self._scratch = bytearray(RECEIVE_SIZE)
        self._pushed: deque[Value] = deque()
        self._timeout_s = timeout_s
        try:
            self._sock = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as error:
            raise WireError(
                f"no answer from {self._name}: {error}; is the plant running and is this its port?"
            ) from error
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.capability = self._log_in(user, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """Give the socket's descriptor, for a selector."""
        return self._sock.fileno()

    def call(self, request: Value | str) -> Value:
        """Ask and wait; QueryError carries the server's error, WireError a lost connection."""
        self.ask(request)
        return self.answer()

    def ask(self, request: Value | str) -> None:
        """Send a request and do not wait; `answer` gives the answers, in the requests' order."""
        self._send(MessageKind.SYNC, request)

    def answer(self) -> Value:
        """Wait for the next answer; errors as of `call`."""
        deadline = self._deadline(self._timeout_s)
        while True:
            kind, value = self._answer(deadline)
            if kind is MessageKind.RESPONSE:
                if isinstance(value, Signal):
                    raise QueryError(value.text)
                return value
            self._pushed.append(value)

    def _answer(self, deadline: int) -> tuple[MessageKind, Value]:
        try:
            return self._next(deadline)
        except TimeoutError as error:
            # A late answer would be taken for the next one's.
            self.close()
            raise WireError(
                f"{self._name} did not answer within {self._timeout_s} s; connect again"
            ) from error

    def post(self, request: Value | str) -> None:
        """Send without waiting for an answer."""
        self._send(MessageKind.ASYNC, request)

    def receive(self, timeout_s: float) -> Value | None:
        """Give the next pushed message, or None if none comes in time."""
        if self._pushed:
            return self._pushed.popleft()
        try:
            return self._next(self._deadline(timeout_s))[1]
        except TimeoutError:
            return None

    def receive_raw(self, timeout_s: float) -> bytes | None:
        """Give the next message undecoded, header and all, or None if none comes in time."""
        try:
            return self._next_raw(self._deadline(timeout_s))
        except TimeoutError:
            return None

    def _log_in(self, user: str, password: str) -> int:
        self._sock.sendall(login_bytes(user, password))
        try:
            answer = self._sock.recv(1)
        except OSError as error:
            answer = b""
            self._name += f" ({error})"
        if len(answer) != 1:
            self.close()
            raise LoginError(f"{self._name} refused the login of user {user!r}; check the password")
        return answer[0]

    def _send(self, kind: MessageKind, request: Value | str) -> None:
        value = chars(request) if isinstance(request, str) else request
        self._sock.settimeout(self._timeout_s)
        try:
            self._sock.sendall(message(kind, encode(value)))
        except OSError as error:
            raise WireError(f"{self._name} went away: {error}; connect again") from error

    @staticmethod
    def _deadline(timeout_s: float) -> int:
        return monotonic_ns() + int(timeout_s * 1e9)

    def _next(self, deadline: int) -> tuple[MessageKind, Value]:
        return open_message(self._next_raw(deadline), size_max=self._message_bytes_max)

    def _next_raw(self, deadline: int) -> bytes:
        self._fill(HEADER_SIZE, deadline)
        size = parse_header(self._inbox, size_max=self._message_bytes_max).size
        self._fill(size, deadline)
        whole = bytes(memoryview(self._inbox)[:size])
        del self._inbox[:size]
        return whole

    def _fill(self, size: int, deadline: int) -> None:
        while len(self._inbox) < size:
            left_s = (deadline - monotonic_ns()) / 1e9
            self._sock.settimeout(max(left_s, 1e-6))
            try:
                received = self._sock.recv_into(self._scratch)
            except TimeoutError:
                raise
            except OSError as error:
                raise WireError(f"{self._name} went away: {error}; connect again") from error
            if not received:
                raise WireError(f"{self._name} closed the connection; connect again")
            self._inbox += memoryview(self._scratch)[:received]
