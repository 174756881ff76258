"""The q server against raw sockets, its own client, and hostile or slow peers."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import ConfigError, QueryError, WireError
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import MessageKind, encode, message, open_message
from tickloop.tickerplant.q_connection import Connection
from tickloop.tickerplant.q_server import (
    DEFERRED,
    Authenticate,
    Deferred,
    Server,
    ServerLimits,
)
from tickloop.tickerplant.q_values import (
    QType,
    Value,
    chars,
    items,
    long,
    symbol,
    text_of,
    vector,
)

LIMITS = ServerLimits(
    message_bytes=1 << 20, message_values=1000, queue_bytes=1 << 18, connections=4, login_s=5.0
)
SYNC, ASYNC, RESPONSE = MessageKind.SYNC, MessageKind.ASYNC, MessageKind.RESPONSE


class Echo:
    """Answers with what it was asked; some words make it do more."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.taken: list[Value] = []
        self.peers: list[Connection] = []

    def opened(self, connection: Connection) -> None:
        self.log.append(f"opened {connection.user}")
        self.peers.append(connection)

    def closed(self, connection: Connection) -> None:
        self.log.append(f"closed {connection.user}")
        self.peers.remove(connection)

    def sync(self, connection: Connection, value: Value) -> Value | Deferred:
        word = text_of(value)
        if word == "fail":
            raise QueryError("no such table: fail")
        if word == "later":
            return DEFERRED
        if word == "push":
            connection.send(message(ASYNC, encode(symbol("pushed"))))
        if word == "large":
            return vector(QType.LONG, np.zeros(200_000, dtype=np.int64))
        return value

    def asynchronous(self, connection: Connection, value: Value) -> None:
        if text_of(value) == "fail":
            raise QueryError("nobody hears this")
        self.taken.append(value)

    def overflow(self, connection: Connection) -> None:
        self.log.append("overflow")

    def drained(self, connection: Connection) -> None:
        self.log.append("drained")


@contextmanager
def serving(
    limits: ServerLimits = LIMITS, authenticate: Authenticate | None = None
) -> Iterator[tuple[Server, Echo]]:
    echo = Echo()
    with closing(Server(echo, port=0, limits=limits, authenticate=authenticate)) as server:
        yield server, echo


def poll_until(server: Server, done: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = monotonic_ns() + int(timeout_s * 1e9)
    while not done():
        assert monotonic_ns() < deadline, f"gave up; the server last said {server.last_error!r}"
        server.poll(0.01)


def while_serving(server: Server, work: Callable[[], Any]) -> Any:
    """Run blocking client code on a thread while this one polls the server."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except (WireError, QueryError, OSError) as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        server.poll(0.002)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def connect(server: Server, login: bytes = b"joe:pw\3\0") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.sendall(login)
    return sock


def logged_in(server: Server, echo: Echo) -> socket.socket:
    before = echo.log.count("opened joe")
    sock = connect(server)
    poll_until(server, lambda: echo.log.count("opened joe") > before)
    assert sock.recv(1) == b"\3"
    return sock


def is_closed(server: Server, sock: socket.socket) -> bool:
    """Poll until the peer's end sees the stream end."""
    sock.settimeout(0.01)
    for _ in range(300):
        server.poll(0)
        try:
            if sock.recv(4096) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_calls_are_answered_and_pushes_arrive_beside_them() -> None:
    def talk() -> tuple[Value, Value, Value | None]:
        with QClient("127.0.0.1", port, user="joe", password="pw") as client:
            first = client.call(items(symbol("f"), long(2)))
            client.post(long(7))
            second = client.call("push")
            return first, second, client.receive(1.0)

    with serving() as (server, echo):
        port = server.port
        answers = while_serving(server, talk)
        poll_until(server, lambda: not echo.peers)
    assert answers == (items(symbol("f"), long(2)), chars("push"), symbol("pushed"))
    assert echo.taken == [long(7)]
    assert echo.log == ["opened joe", "closed joe"]


def test_a_handlers_error_is_the_callers_error_and_the_connection_lives() -> None:
    def talk() -> Value:
        with QClient("127.0.0.1", port) as client:
            with pytest.raises(QueryError, match="no such table: fail"):
                client.call("fail")
            client.post("fail")
            return client.call(long(1))

    with serving() as (server, _):
        port = server.port
        assert while_serving(server, talk) == long(1)
        assert server.counts == {"async_error": 1}


@pytest.mark.parametrize(
    ("login", "answer"),
    [(b"joe:pw\6\0", 3), (b"joe:pw\3\0", 3), (b"joe:pw\1\0", 1), (b"joe:pw\0", 0), (b"\0", 0)],
)
def test_the_smaller_capability_is_agreed_on(login: bytes, answer: int) -> None:
    with serving() as (server, echo), closing(connect(server, login)) as sock:
        poll_until(server, lambda: bool(echo.peers))
        assert sock.recv(1) == bytes((answer,))


def test_users_and_passwords_are_checked() -> None:
    def is_joe(user: str, password: str) -> bool:
        return (user, password) == ("joe", "p:w")

    with serving(authenticate=is_joe) as (server, echo):
        with closing(connect(server, b"joe:wrong\3\0")) as sock:
            assert is_closed(server, sock)
        with closing(connect(server, b"joe:p:w\3\0")):
            poll_until(server, lambda: bool(echo.peers))
        assert server.counts["refused_login"] == 1
        assert "p:w" not in server.last_error
        assert "wrong" not in server.last_error


def test_a_refused_client_is_told_so() -> None:
    with (
        serving(authenticate=lambda user, password: False) as (server, _),
        pytest.raises(WireError, match="refused the login of user 'eve'"),
    ):
        while_serving(server, lambda: QClient("127.0.0.1", server.port, user="eve"))


def test_listening_to_other_machines_needs_an_authenticator() -> None:
    with pytest.raises(ConfigError, match="no user is checked"):
        Server(Echo(), port=0, limits=LIMITS, host="0.0.0.0")
    Server(
        Echo(), port=0, limits=LIMITS, host="0.0.0.0", authenticate=lambda user, password: True
    ).close()


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with serving() as (server, _), pytest.raises(ConfigError, match=f"port {server.port}.*in use"):
        Server(Echo(), port=server.port, limits=LIMITS)
    with pytest.raises(ConfigError, match="to 65535 expected"):
        Server(Echo(), port=70_000, limits=LIMITS)
    with pytest.raises(ConfigError, match="cannot listen"):
        Server(Echo(), port=0, limits=LIMITS, host="127.300.0.1", authenticate=lambda u, p: True)


def test_nobody_listening_is_named_with_what_to_do() -> None:
    with serving() as (server, _):
        port = server.port
    with pytest.raises(WireError, match="is the plant running"):
        QClient("127.0.0.1", port)


def test_a_login_that_never_ends_is_cut_off() -> None:
    with serving() as (server, echo), closing(connect(server, b"x" * 5000)) as sock:
        assert is_closed(server, sock)
        assert server.counts == {"bad_message": 1}
        assert echo.log == []


def test_a_login_that_never_comes_times_out() -> None:
    limits = replace(LIMITS, login_s=0.05)
    with serving(limits) as (server, echo), closing(connect(server, b"joe")) as sock:
        assert is_closed(server, sock)
        assert server.counts == {"login_timeout": 1}
        assert echo.log == []


def test_browsers_are_told_what_this_port_is() -> None:
    with serving() as (server, _), closing(connect(server, b"GET / HTTP/1.1\r\n\r\n")) as sock:
        poll_until(server, lambda: server.counts["http_request"] == 1)
        assert b"q IPC" in sock.recv(4096)


def test_connections_are_bounded() -> None:
    with serving() as (server, echo):
        kept = [logged_in(server, echo) for _ in range(4)]
        with closing(connect(server)) as sock:
            assert is_closed(server, sock)
        assert len(echo.peers) == 4
        assert server.counts == {"too_many_connections": 1}
        for sock in kept:
            sock.close()


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_messages_may_be_cut_anywhere_on_the_way(step: int) -> None:
    raw = b"joe:pw\3\0" + b"".join(message(ASYNC, encode(long(i))) for i in range(20))
    with serving() as (server, echo), closing(connect(server, b"")) as sock:
        for at in range(0, len(raw), step):
            sock.sendall(raw[at : at + step])
            server.poll(0)
        poll_until(server, lambda: len(echo.taken) == 20)
        assert echo.taken == [long(i) for i in range(20)]


@pytest.mark.parametrize(
    "raw", [b"\x07" * 8, struct.pack("<BBBBi", 1, 1, 0, 0, 2**31 - 1), b"\1\1\0\0\0\0\0\0"]
)
def test_a_broken_frame_ends_the_connection(raw: bytes) -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        sock.sendall(raw)
        assert is_closed(server, sock)
        assert server.counts == {"bad_message": 1}
        assert echo.log == ["opened joe", "closed joe"]


def test_a_broken_value_in_a_whole_frame_is_answered_with_an_error() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        sock.sendall(message(SYNC, b"\x14\0\0\0\0\0") + message(SYNC, encode(long(5))))
        poll_until(server, lambda: server.counts["bad_value"] == 1)
        first = sock.recv(4096)
        assert b"never travels" in first
        poll_until(server, lambda: True)
        rest = first + (b"" if b"\xf9\5" in first else sock.recv(4096))
        assert rest.endswith(encode(long(5)))


def test_a_message_of_too_many_values_is_answered_with_an_error() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        sock.sendall(message(SYNC, encode(items(*map(long, range(1001))))))
        poll_until(server, lambda: server.counts["bad_value"] == 1)
        assert b"claims 1001 items" in sock.recv(4096)


def test_answers_keep_their_order_when_one_comes_late() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        sock.sendall(message(SYNC, encode(chars("later"))) + message(SYNC, encode(long(2))))
        poll_until(server, lambda: echo.peers[0].owes_answer)
        server.poll(0)
        echo.peers[0].respond(long(1))
        expected = message(RESPONSE, encode(long(1))) + message(RESPONSE, encode(long(2)))
        received = b""
        sock.settimeout(0.01)
        for _ in range(300):
            server.poll(0)
            try:
                received += sock.recv(4096)
            except TimeoutError:
                continue
            if len(received) == len(expected):
                break
        assert received == expected


def drain(server: Server, sock: socket.socket, wanted: int) -> bytes:
    received = bytearray()
    sock.settimeout(0.01)
    for _ in range(2000):
        server.poll(0)
        try:
            received += sock.recv(1 << 20)
        except TimeoutError:
            continue
        if len(received) >= wanted:
            break
    return bytes(received)


def test_a_slow_reader_overflows_its_bound_and_gets_an_unbroken_prefix() -> None:
    rows = [message(ASYNC, encode(vector(QType.LONG, [i] * 500))) for i in range(3000)]
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        peer = echo.peers[0]
        accepted = []
        for row in rows:
            accepted.append(peer.send(row))
            assert peer.queued_bytes <= LIMITS.queue_bytes
        sent = accepted.count(True)
        assert 0 < sent < len(rows)
        assert accepted == [True] * sent + [False] * (len(rows) - sent)
        assert echo.log[-1] == "overflow"
        assert drain(server, sock, sent * len(rows[0])) == b"".join(rows[:sent])
        poll_until(server, lambda: echo.log[-1] == "drained")
        assert peer.send(rows[-1])
        assert drain(server, sock, len(rows[-1])) == rows[-1]
        assert echo.log.count("overflow") == 1


def test_posted_messages_leave_together_and_in_order() -> None:
    rows = [message(ASYNC, encode(long(i))) for i in range(1000)]
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        assert all(echo.peers[0].post(row) for row in rows)
        assert echo.peers[0].queued_bytes == sum(map(len, rows))
        server.flush()
        assert echo.peers[0].queued_bytes == 0
        assert drain(server, sock, sum(map(len, rows))) == b"".join(rows)


def test_a_peer_that_asks_and_does_not_read_costs_one_answer() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        sock.setblocking(False)
        asked = message(SYNC, encode(chars("large"))) * 50
        sock.send(asked)
        for _ in range(200):
            server.poll(0)
        answer = len(message(RESPONSE, encode(vector(QType.LONG, np.zeros(200_000, "<i8")))))
        assert 0 < echo.peers[0].queued_bytes <= LIMITS.queue_bytes + answer
        assert len(drain(server, sock, 50 * answer)) == 50 * answer


def test_peers_on_other_machines_get_compressed_messages() -> None:
    whole = message(ASYNC, encode(vector(QType.LONG, np.zeros(9000, dtype=np.int64))))
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        peer = echo.peers[0]
        peer.is_local = False
        peer.send(whole)
        server.poll(0)
        raw = sock.recv(1 << 20)
        assert len(raw) < len(whole) // 2
        assert open_message(raw, size_max=1 << 20) == open_message(whole, size_max=1 << 20)
        peer.capability = 0
        peer.send(whole)
        assert drain(server, sock, len(whole)) == whole


def test_one_peer_gone_does_not_disturb_the_others() -> None:
    row = message(ASYNC, encode(long(1)))
    with serving() as (server, echo), closing(logged_in(server, echo)) as stays:
        gone = logged_in(server, echo)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        for _ in range(20):
            for peer in list(echo.peers):
                peer.send(row)
            server.poll(0)
        assert len(echo.peers) == 1
        assert drain(server, stays, 20 * len(row)) == row * 20


def test_a_handler_may_close_a_peer() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)) as sock:
        echo.peers[0].close()
        assert is_closed(server, sock)
        assert echo.peers == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    login=st.sampled_from([b"", b"joe:pw\3\0"]),
    raw=st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, 2), st.binary(max_size=60)).map(
            lambda got: message(MessageKind(got[0]), got[1])
        ),
    ),
)
def test_hostile_bytes_never_stop_the_server(login: bytes, raw: bytes) -> None:
    with serving() as (server, echo):
        with closing(connect(server, login + raw)):
            for _ in range(4):
                server.poll(0.001)
        poll_until(server, lambda: not echo.peers)
        with closing(logged_in(server, echo)) as sock:
            sock.sendall(message(SYNC, encode(long(3))))
            whole = message(RESPONSE, encode(long(3)))
            assert drain(server, sock, len(whole)) == whole


def test_an_idle_poll_costs_microseconds() -> None:
    with serving() as (server, echo), closing(logged_in(server, echo)):
        server.poll(0)
        spans = []
        for _ in range(20):
            start = monotonic_ns()
            for _ in range(100):
                server.poll(0)
            spans.append(monotonic_ns() - start)
        assert min(spans) / 100 < 50_000
