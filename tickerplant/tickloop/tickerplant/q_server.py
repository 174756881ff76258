"""A q IPC server without threads: its owner calls `poll`, and nothing happens in between."""

import errno
import ipaddress
import selectors
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import ConfigError, TickloopError, WireError
from tickloop.tickerplant.q_codec import (
    COMPRESS_MIN,
    LIMITS,
    DecodeLimits,
    MessageKind,
    compress_message,
    open_message,
)
from tickloop.tickerplant.q_connection import Connection
from tickloop.tickerplant.q_login import NOT_HTTP, Login, is_http, take_login
from tickloop.tickerplant.q_values import Signal, Value

RECEIVE_SIZE = 1 << 18
Authenticate = Callable[[str, str], bool]


class Deferred:
    """Returned by a handler that will answer later, with `Connection.respond`."""


DEFERRED = Deferred()


class Handler(Protocol):
    """What a server does with what arrives; called from within `poll` and `send` only."""

    def opened(self, connection: Connection) -> None:
        """Hear of a peer that logged in."""
        ...

    def closed(self, connection: Connection) -> None:
        """Hear of a peer that went away; called once for each one that was opened."""
        ...

    def sync(self, connection: Connection, value: Value) -> Value | Deferred:
        """Answer a request; a TickloopError becomes the peer's error."""
        ...

    def asynchronous(self, connection: Connection, value: Value) -> None:
        """Take a message that nobody waits for; a TickloopError is counted."""
        ...

    def overflow(self, connection: Connection) -> None:
        """Hear that a message did not fit the queue; sends are refused until `drained`."""
        ...

    def drained(self, connection: Connection) -> None:
        """Hear that a queue that had overflowed is half empty: sends are accepted again."""
        ...


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What peers may cost. A value is an atom, a vector or a list: some 3 us of decoding."""

    message_bytes: int
    message_values: int
    queue_bytes: int
    connections: int
    login_s: float


class Server:
    """Listens, logs peers in, cuts messages, calls the handler and sends what it is given.

    `counts` names what went wrong: refused_login, login_timeout, bad_message, bad_value,
    async_error, too_many_connections, http_request, unasked_response.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        port: int,
        limits: ServerLimits,
        host: str = "127.0.0.1",
        authenticate: Authenticate | None = None,
    ) -> None:
        if authenticate is None and not is_loopback(host):
            raise ConfigError(
                f"listening on {host} lets other machines in, and no user is checked;"
                " configure users and passwords, or listen on 127.0.0.1"
            )
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self._handler = handler
        self._limits = limits
        self._decode_limits = DecodeLimits(LIMITS.depth, limits.message_values)
        self._authenticate = authenticate
        self._listener = listen(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._interest: dict[Connection, int] = {}
        self._logins: dict[Connection, int] = {}  # deadline by peer that has not logged in
        self._touched: dict[Connection, None] = {}
        self._scratch = bytearray(RECEIVE_SIZE)
        self._shrunk: tuple[bytes, bytes] = (b"", b"")
        self._handled = 0

    @property
    def connections(self) -> list[Connection]:
        """Peers that are logged in."""
        return [peer for peer in self._interest if peer not in self._logins]

    def poll(self, timeout_s: float = 0.0) -> int:
        """Wait up to `timeout_s` for traffic and handle it; give how many messages came.

        Costs a few microseconds when nothing happens and the timeout is 0.
        """
        self._handled = 0
        if self._touched:
            self._settle()
        for key, events in self._selector.select(self._wait_s(timeout_s)):
            if key.data is None:
                self._accept()
            else:
                self._serve(key.data, events)
        if self._logins:
            self._expire_logins()
        if self._touched:
            self._settle()
        return self._handled

    def flush(self) -> None:
        """Send what was posted; poll does so too."""
        self._settle()

    def close(self) -> None:
        """Close the port and every connection."""
        for connection in list(self._interest):
            self._drop(connection)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._selector.close()

    def _wait_s(self, timeout_s: float) -> float:
        if self._touched:
            return 0.0
        if self._logins and timeout_s > 0:
            left_s = (min(self._logins.values()) - monotonic_ns()) / 1e9
            return max(0.0, min(timeout_s, left_s))
        return timeout_s

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._count("accept_failed", str(error))
                return
            if len(self._interest) >= self._limits.connections:
                sock.close()
                self._count("too_many_connections", f"{address[0]} was turned away")
                continue
            self._admit(sock, str(address[0]), int(address[1]))

    def _admit(self, sock: socket.socket, host: str, port: int) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = Connection(
            sock,
            peer=f"{host}:{port}",
            is_local=is_loopback(host),
            queue_bytes_max=self._limits.queue_bytes,
            owner=self,
        )
        self._interest[connection] = selectors.EVENT_READ
        self._logins[connection] = monotonic_ns() + int(self._limits.login_s * 1e9)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._touched[connection] = None
        if events & selectors.EVENT_READ and connection.is_open:
            if connection.receive(self._scratch):
                self._advance(connection)
            else:
                self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Handle every whole message that arrived, in order, while none is owed an answer."""
        try:
            if connection in self._logins and not self._log_in(connection):
                return
            while connection.takes_requests:
                whole = connection.next_message(self._limits.message_bytes)
                if whole is None:
                    return
                self._dispatch(connection, whole)
        except WireError as error:
            self._count("bad_message", f"{connection.peer}: {error}")
            self._drop(connection)

    def _log_in(self, connection: Connection) -> bool:
        if is_http(connection.inbox):
            self._count("http_request", connection.peer)
            connection.send(NOT_HTTP)
            self._drop(connection)
            return False
        login = take_login(connection.inbox)
        if login is None:
            return False
        if not self._is_welcome(login):
            self._count("refused_login", f"{login.user!r} from {connection.peer}")
            self._drop(connection)
            return False
        del self._logins[connection]
        connection.user, connection.capability = login.user, login.capability
        connection.send(bytes((login.capability,)))
        self._handler.opened(connection)
        return True

    def _is_welcome(self, login: Login) -> bool:
        return self._authenticate is None or self._authenticate(login.user, login.password)

    def _dispatch(self, connection: Connection, whole: bytes) -> None:
        self._handled += 1
        kind = MessageKind(whole[1])
        try:
            _, value = open_message(
                whole, size_max=self._limits.message_bytes, limits=self._decode_limits
            )
        except WireError as error:
            self._count("bad_value", f"{connection.peer}: {error}")
            if kind is MessageKind.SYNC:
                connection.owes_answer = True
                connection.respond(Signal(str(error)))
            return
        if kind is MessageKind.SYNC:
            self._answer(connection, value)
        elif kind is MessageKind.ASYNC:
            self._take(connection, value)
        else:
            self._count("unasked_response", connection.peer)

    def _answer(self, connection: Connection, value: Value) -> None:
        connection.owes_answer = True
        try:
            answer = self._handler.sync(connection, value)
        except TickloopError as error:
            answer = Signal(str(error))
        if not isinstance(answer, Deferred):
            connection.respond(answer)

    def _take(self, connection: Connection, value: Value) -> None:
        try:
            self._handler.asynchronous(connection, value)
        except TickloopError as error:
            self._count("async_error", f"{connection.peer}: {error}")

    def _expire_logins(self) -> None:
        now = monotonic_ns()
        for connection in [peer for peer, deadline in self._logins.items() if deadline <= now]:
            self._count("login_timeout", connection.peer)
            self._drop(connection)

    def _settle(self) -> None:
        """Flush, close, resume: bring what changed up to date before the next wait."""
        touched, self._touched = self._touched, {}
        for connection in touched:
            connection.flush()
            if connection.is_broken:
                self._drop(connection)
            if connection.is_open and connection.inbox:
                self._advance(connection)
            if connection.is_open:
                self._resume(connection)
                self._watch(connection)

    def _resume(self, connection: Connection) -> None:
        if connection.is_overflowing and connection.queued_bytes <= self._limits.queue_bytes // 2:
            connection.is_overflowing = False
            self._handler.drained(connection)

    def _watch(self, connection: Connection) -> None:
        wanted = selectors.EVENT_READ if connection.wants_input else 0
        if connection.queued_bytes:
            wanted |= selectors.EVENT_WRITE
        if wanted != self._interest[connection]:
            self._interest[connection] = wanted
            self._selector.modify(connection, wanted, connection)

    def _drop(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        self._selector.unregister(connection)
        del self._interest[connection]
        was_logged_in = self._logins.pop(connection, None) is None
        connection.shut()
        if was_logged_in:
            self._handler.closed(connection)

    def _count(self, condition: str, text: str) -> None:
        self.counts[condition] += 1
        self.last_error = f"{condition}: {text}"

    # What connections ask of their server.

    def overflowed(self, connection: Connection) -> None:
        """Tell the handler that a message was refused."""
        self._handler.overflow(connection)

    def changed(self, connection: Connection) -> None:
        """Look at a connection again before the next wait."""
        self._touched[connection] = None

    def for_peer(self, connection: Connection, whole: bytes) -> bytes:
        """Compress for peers on other machines; once for all that get the same message."""
        if connection.is_local or connection.capability < 1 or len(whole) <= COMPRESS_MIN:
            return whole
        if self._shrunk[0] is not whole:
            self._shrunk = (whole, compress_message(whole) or whole)
        return self._shrunk[1]


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Open a port without blocking; ConfigError says what stands in the way."""
    if not 0 <= port <= 65_535:
        raise ConfigError(f"port {port} seen, 0 (any free one) to 65535 expected")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use, perhaps by another tickloop or a kdb+ process;"
                f" stop that one (`ss -ltnp 'sport = :{port}'` shows it) or choose another"
                " port (--port, or [serve] port; 0 takes a free one)"
            ) from error
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error}; choose another address or port"
        ) from error
    listener.setblocking(False)
    return listener
