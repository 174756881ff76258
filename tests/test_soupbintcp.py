"""SoupBinTCP sessions: every message once, over drops, against our own server and Nasdaq's."""

import asyncio
import select
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import FeedError, WireError
from tickloop.core.schema import CONTROL
from tickloop.ingest.feed import Health
from tickloop.ingest.soup_feed import SoupConfig, SoupFeed
from tickloop.ingest.soup_wire import SoupFrames
from tickloop.ingest.soupbintcp import Login, SoupServerSession, SoupSession, SoupState

SECOND = 10**9
MESSAGES = [b"message %d" % index * (1 + index % 9) for index in range(500)]
LOGIN = Login("trader", "secret")


def spell(kind: str, payload: bytes = b"") -> bytes:
    return struct.pack(">Hc", len(payload) + 1, kind.encode()) + payload


def accepted(sequence: int, session: str = "20230822") -> bytes:
    return spell("A", f"{session:>10}{sequence:>20}".encode())


def client(login: Login = LOGIN) -> tuple[SoupSession, Health]:
    health = Health()
    return SoupSession(login, health=health, now_ns=0), health


def give(session: SoupSession | SoupServerSession, data: bytes, now_ns: int = 0) -> None:
    session.space()[: len(data)] = data
    session.filled(len(data), now_ns)


def heard(session: SoupSession, data: bytes) -> list[bytes]:
    give(session, data)
    return [text for frames in session.frames() for text in frames.bodies()]


# --- without sockets ------------------------------------------------------------------------


@pytest.mark.kernel
def test_the_login_is_spelled_as_the_specification_says() -> None:
    session, _ = client(Login("ab", "pw", "S1", 7))
    assert session.outgoing(0) == b"\x00\x2fLab    pw                S1" + b" " * 19 + b"7"


@pytest.mark.kernel
def test_messages_are_framed_in_order_and_numbered() -> None:
    session, health = client(Login("ab", "pw", "", 10))
    data = accepted(10) + spell("+", b"hello") + spell("S", b"one") + spell("H") + spell("S")
    assert heard(session, data + spell("S", b"two")) == [b"one", b"", b"two"]
    assert session.next_sequence == 13
    assert session.session == "20230822"
    assert health == Health()


@pytest.mark.kernel
@given(st.lists(st.binary(max_size=50), max_size=30), st.lists(st.integers(1, 40), max_size=60))
def test_where_the_stream_is_cut_changes_nothing(bodies: list[bytes], sizes: list[int]) -> None:
    data = accepted(1) + b"".join(spell("S", text) for text in bodies) + spell("Z")
    session, _ = client()
    found = []
    for size in [*sizes, len(data)]:
        found += heard(session, data[:size])
        data = data[size:]
    assert found == bodies
    assert session.state is SoupState.ENDED


@pytest.mark.kernel
def test_each_side_beats_after_a_second_of_its_own_silence() -> None:
    session, _ = client()
    server = SoupServerSession(now_ns=0)
    give(server, session.outgoing(0))
    (login,) = server.requests()
    assert login == LOGIN
    server.accept("S1", 1)
    give(session, server.outgoing(0))
    assert list(session.frames()) == []
    assert session.outgoing(SECOND - 1) == b""
    assert session.outgoing(SECOND) == spell("R")
    assert session.outgoing(SECOND + 1) == b""
    assert server.outgoing(SECOND) == spell("H")
    give(server, spell("R"))
    assert list(server.requests()) == []
    assert server.heartbeats == 1
    assert session.is_silent(15 * SECOND + 1)
    assert not session.is_silent(15 * SECOND)


@pytest.mark.kernel
def test_the_server_hears_messages_and_log_out() -> None:
    server = SoupServerSession(now_ns=0)
    give(server, spell("U", b"order") + spell("R") + spell("U", b"cancel") + spell("O"))
    heard_bodies = [
        text for item in server.requests() if isinstance(item, SoupFrames) for text in item.bodies()
    ]
    assert heard_bodies == [b"order", b"cancel"]
    assert server.logged_out


@pytest.mark.kernel
def test_a_server_that_resumes_too_late_makes_a_gap_and_too_early_makes_duplicates() -> None:
    late, health = client(Login("ab", "pw", "", 5))
    assert heard(late, accepted(8) + spell("S", b"eight")) == [b"eight"]
    assert late.next_sequence == 9
    assert dict(health.counts) == {"gaps": 1, "gap_messages": 3}
    early, health = client(Login("ab", "pw", "", 5))
    data = accepted(3) + b"".join(spell("S", b"%d" % index) for index in range(3, 8))
    assert heard(early, data) == [b"5", b"6", b"7"]
    assert early.next_sequence == 8
    assert dict(health.counts) == {"duplicate_messages": 2}


@pytest.mark.kernel
def test_from_the_next_message_on_the_venue_says_the_number() -> None:
    session, health = client(Login("ab", "pw", "", 0))
    assert heard(session, accepted(77) + spell("S", b"x")) == [b"x"]
    assert session.next_sequence == 78
    assert health == Health()


@pytest.mark.kernel
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n" + bytes(20_000),
        b"\x00\x00rest",
        spell("S", b"before login"),
        spell("A", b"short"),
        spell("A", b"x" * 30),
        spell("L", b"x" * 46),
        spell("?"),
    ],
)
def test_bytes_of_another_protocol_are_refused_by_name(data: bytes) -> None:
    session, _ = client()
    with pytest.raises(WireError, match="check"):
        heard(session, data)


@pytest.mark.kernel
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_end_in_a_named_error_or_in_silence(noise: bytes, logged_in: bool) -> None:
    session, _ = client()
    server = SoupServerSession(now_ns=0)
    try:
        heard(session, (accepted(1) if logged_in else b"") + noise)
    except WireError as error:
        assert str(error)
    give(server, noise)
    try:
        list(server.requests())
    except WireError as error:
        assert str(error)


def test_the_password_is_in_no_text() -> None:
    assert "secret" not in repr(LOGIN)
    session, _ = client(replace(LOGIN, user="nobody"))
    heard(session, spell("J", b"A"))
    assert "secret" not in str(session.error)
    with pytest.raises(FeedError) as caught:
        client(Login("trader", "secret-that-is-too-long"))
    assert "secret" not in str(caught.value)


# --- over sockets ---------------------------------------------------------------------------


class Copies:
    """A decoder that keeps each message's bytes, so tests see what a feed was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def decode(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        recv_times: npt.NDArray[np.int64],
    ) -> Iterator[Slice]:
        for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
            self.bodies.append(buffer[offset : offset + length].tobytes())
        yield Slice((Batch(CONTROL, {"time": recv_times.copy()}),))


class Venue:
    """Our own server half on a socket; drops each connection after `drop_after` messages."""

    def __init__(self, *, drop_after: int, password: str = "secret", mute: bool = False) -> None:
        self.logins: list[Login] = []
        self._drop_after = drop_after
        self._password = password
        self._mute = mute
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            with peer:
                self._talk(peer)

    def _talk(self, peer: socket.socket) -> None:
        session = SoupServerSession(now_ns=monotonic_ns())
        while not self._stop.is_set() and not session.logged_out:
            if select.select([peer], [], [], 0.05)[0]:
                size = peer.recv_into(session.space())
                if size == 0:
                    return
                session.filled(size, monotonic_ns())
            for item in session.requests():
                if isinstance(item, Login):
                    self.logins.append(item)
                    self._answer(session, item)
            data = session.outgoing(monotonic_ns())
            peer.sendall(data)
            if data and session.next_sequence and session.next_sequence <= len(MESSAGES):
                # The connection breaks in the middle of a message.
                peer.sendall(spell("S", MESSAGES[session.next_sequence - 1])[:-1])
                return
            if data and not session.next_sequence:
                return

    def _answer(self, session: SoupServerSession, login: Login) -> None:
        if login.password != self._password:
            session.reject(b"A")
            return
        session.accept("S1", login.sequence)
        if self._mute:
            return
        for text in MESSAGES[login.sequence - 1 :][: self._drop_after]:
            session.send(text)
        if session.next_sequence > len(MESSAGES):
            session.end_session()

    def __enter__(self) -> "Venue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()


def feed_from(port: int, login: Login = LOGIN, *, retries: int = 3) -> tuple[SoupFeed, Copies]:
    copies = Copies()
    config = SoupConfig(
        host="127.0.0.1",
        port=port,
        login=login,
        connect_timeout_s=2.0,
        retries=retries,
        backoff_ns=1_000_000,
        backoff_max_ns=20_000_000,
    )
    return SoupFeed(config, decoder=copies, health=Health(), venue="XNAS"), copies


def drain(feed: SoupFeed) -> int:
    timer = threading.Timer(10, feed.stop)
    timer.start()
    rows = sum(step.rows for step in feed.slices())
    timer.cancel()
    return rows


@pytest.mark.parametrize("drop_after", [1000, 100, 30])
def test_every_message_arrives_once_however_often_the_line_drops(drop_after: int) -> None:
    with Venue(drop_after=drop_after) as venue:
        feed, copies = feed_from(venue.port)
        assert drain(feed) == len(MESSAGES)
    assert copies.bodies == MESSAGES
    assert feed.health.damage == []
    drops = (len(MESSAGES) - 1) // drop_after
    assert feed.health.counts["soup_reconnects"] == drops
    assert [login.sequence for login in venue.logins] == [
        1 + drop_after * index for index in range(drops + 1)
    ]
    assert [login.session for login in venue.logins] == ["", *["S1"] * drops]


def test_a_rejected_login_ends_the_feed_and_says_what_to_check() -> None:
    with Venue(drop_after=10, password="other") as venue:
        feed, copies = feed_from(venue.port)
        drain(feed)
    (error,) = feed.health.damage
    assert "login rejected" in str(error)
    assert "check the user and the password" in str(error)
    assert "secret" not in str(error)
    assert copies.bodies == []
    assert len(venue.logins) == 1


def test_connections_that_bring_nothing_are_tried_a_stated_number_of_times() -> None:
    with Venue(drop_after=0, mute=True) as venue:
        feed, _ = feed_from(venue.port, retries=4)
        drain(feed)
    assert len(venue.logins) == 5
    assert "5 attempts without a message" in str(feed.health.damage[0])


def test_a_server_that_is_not_there_is_given_up_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    feed, _ = feed_from(port)
    start = monotonic_ns()
    drain(feed)
    assert monotonic_ns() - start < 2 * SECOND
    assert "cannot connect" in str(feed.health.damage[0])


def test_a_server_of_another_protocol_ends_the_feed_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        feed, _ = feed_from(listener.getsockname()[1])
        assert feed.poll(0.01) is None
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"\x00\x10Nothing of ours")
            drain(feed)
    assert "check that the port" in str(feed.health.damage[0])


def test_the_feed_logs_out_when_it_is_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        feed, _ = feed_from(listener.getsockname()[1])
        feed.poll(0.01)
        peer, _ = listener.accept()
        with peer:
            feed.stop()
            assert list(feed.slices()) == []
            peer.settimeout(2)
            seen = b""
            while piece := peer.recv(1000):
                seen += piece
    assert seen.endswith(spell("O"))


# --- against Nasdaq's own implementation ----------------------------------------------------


class NasdaqServer:
    """The server session of the package that Nasdaq publishes, in a thread of its own."""

    def __init__(self, *, drop_after: int) -> None:
        self.port = 0
        self._drop_after = drop_after
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(self._session, "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())
        leftover = asyncio.all_tasks(self._loop)
        for task in leftover:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        self._loop.close()

    def _session(self) -> Any:
        soup = pytest.importorskip("nasdaq_protocols.soup")
        drop_after = self._drop_after

        class Session(soup.SoupServerSession, session_type="server"):  # type: ignore[misc, name-defined, call-arg]
            async def on_login(self, msg: Any) -> Any:
                if msg.password != "secret":
                    return soup.LoginRejected(soup.LoginRejectReason.NOT_AUTHORIZED)
                asyncio.get_running_loop().call_later(0.01, self.deliver, int(msg.sequence))
                return soup.LoginAccepted("S1", int(msg.sequence))

            def deliver(self, first: int) -> None:
                for text in MESSAGES[first - 1 :][:drop_after]:
                    self.send_seq_msg(text)
                if first - 1 + drop_after >= len(MESSAGES):
                    self.end_session()
                else:
                    self.initiate_close()

            async def on_unsequenced(self, msg: Any) -> None: ...

        return Session()

    def __enter__(self) -> "NasdaqServer":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.mark.parametrize("drop_after", [1000, 200])
def test_nasdaqs_own_server_gives_every_message_once(drop_after: int) -> None:
    pytest.importorskip("nasdaq_protocols")
    with NasdaqServer(drop_after=drop_after) as server:
        feed, copies = feed_from(server.port)
        drain(feed)
    assert copies.bodies == MESSAGES
    assert feed.health.damage == []


def test_nasdaqs_own_server_rejects_a_wrong_password() -> None:
    pytest.importorskip("nasdaq_protocols")
    with NasdaqServer(drop_after=10) as server:
        feed, _ = feed_from(server.port, replace(LOGIN, password="wrong"))
        drain(feed)
    assert "not authorised" in str(feed.health.damage[0])


def test_nasdaqs_own_client_understands_our_server() -> None:
    soup = pytest.importorskip("nasdaq_protocols.soup")

    async def listen(port: int) -> list[bytes]:
        session = await soup.connect_async(("127.0.0.1", port), "trader", "secret", sequence=1)
        bodies: list[bytes] = []
        while len(bodies) < len(MESSAGES):
            message = await asyncio.wait_for(session.receive_msg(), 5)
            if isinstance(message, soup.SequencedData):
                bodies.append(message.data)
        await session.close()
        return bodies

    with Venue(drop_after=1000) as venue:
        assert asyncio.run(listen(venue.port)) == MESSAGES
