"""A feed from a SoupBinTCP server: it logs in again where it stopped when the line drops."""

import select
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tickloop.core.batch import Slice
from tickloop.core.clock import Clock, WallClock, monotonic_ns, sleep
from tickloop.core.errors import FeedError, WireError
from tickloop.ingest.feed import Health
from tickloop.ingest.soupbintcp import Login, SoupSession, SoupState
from tickloop.ingest.transport import MessageDecoder

POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupConfig:
    """Where the server is, who we are, and how often to try; no limit has a default."""

    host: str
    port: int
    login: Login
    connect_timeout_s: float
    retries: int  # connections in a row that bring no message before the feed gives up
    backoff_ns: int  # wait before the second attempt; doubles with every further one
    backoff_max_ns: int


class SoupFeed:
    """Messages of one SoupBinTCP session as slices.

    A dropped or silent connection is opened again with the next sequence number, so nothing is
    lost or repeated. A rejected login, bytes of another protocol, or `retries` connections in a
    row without a message end the feed: the FeedError is in `health.damage`.
    """

    def __init__(
        self,
        config: SoupConfig,
        *,
        decoder: MessageDecoder,
        health: Health,
        venue: str,
        clock: Clock | None = None,
    ) -> None:
        self.name = f"soup:{config.host}:{config.port}"
        self.venue = venue
        self.health = health
        self.messages = 0
        self._config = config
        self._decoder = decoder
        self._clock = WallClock() if clock is None else clock
        self._login = config.login
        self._socket: socket.socket | None = None
        self._session: SoupSession | None = None
        self._failures = 0
        self._due_ns = monotonic_ns()
        self._ready: deque[Slice] = deque()
        self._over = False

    @property
    def finished(self) -> bool:
        """Whether the session is over, for good or by damage, and every slice was taken."""
        return self._over and not self._ready

    @property
    def next_sequence(self) -> int:
        """The number of the next message; 0 before the venue has said it."""
        return self._session.next_sequence if self._session else self._login.sequence

    def stop(self) -> None:
        """Let `slices` end after the messages in hand; another thread may call it."""
        self._over = True

    def poll(self, timeout_s: float) -> Slice | None:
        """Give the next slice; None if no message came within the time.

        Connecting may take up to `connect_timeout_s` on top.
        """
        if self._ready:
            return self._ready.popleft()
        if self._over:
            return None
        if self._socket is None:
            self._connect(timeout_s)
        if self._socket is not None and self._session is not None:
            self._exchange(self._socket, self._session, timeout_s)
        return self._ready.popleft() if self._ready else None

    def slices(self) -> Iterator[Slice]:
        """Yield slices until the session ends or `stop` is called; then log out."""
        try:
            while not self.finished:
                step = self.poll(POLL_S)
                if step is not None:
                    yield step
        finally:
            self.close()

    def close(self) -> None:
        """Log out and close the connection."""
        if self._socket is not None and self._session is not None:
            self._session.log_out()
            try:
                self._socket.sendall(self._session.outgoing(monotonic_ns()))
            except OSError:
                self.health.count("soup_logout_unsent")
            self._socket.close()
            self._socket = None

    def _connect(self, timeout_s: float) -> None:
        wait_s = (self._due_ns - monotonic_ns()) / 1e9
        if wait_s > 0:
            sleep(min(wait_s, timeout_s))
            return
        config = self._config
        try:
            self._session = SoupSession(self._login, health=self.health, now_ns=monotonic_ns())
            self._socket = socket.create_connection(
                (config.host, config.port), timeout=config.connect_timeout_s
            )
        except FeedError as error:
            self._end(error)
        except OSError as error:
            self._drop(f"cannot connect: {error}")

    def _exchange(self, peer: socket.socket, session: SoupSession, timeout_s: float) -> None:
        """Send what is due, take what came, and act on what the session has become."""
        before = self.messages
        try:
            peer.sendall(session.outgoing(monotonic_ns()))
            if select.select([peer], [], [], timeout_s)[0]:
                self._receive(peer, session)
            elif session.is_silent(monotonic_ns()):
                self._drop("no heartbeat for 15 seconds")
        except OSError as error:
            self._drop(str(error))
        except WireError as error:
            self._end(FeedError(f"{self.name}: {error}"))
        if self.messages > before:
            self._failures = 0
        if session.state is SoupState.REJECTED:
            self._end(FeedError(f"{self.name}: {session.error}"))
        elif session.state is SoupState.ENDED:
            self._over = True

    def _receive(self, peer: socket.socket, session: SoupSession) -> None:
        size = peer.recv_into(session.space())
        now = self._clock.now()
        session.filled(size, monotonic_ns())
        for frames in session.frames():
            times = np.full(len(frames), now, dtype=np.int64)
            self._ready.extend(
                self._decoder.decode(frames.buffer, frames.offsets, frames.lengths, times)
            )
            self.messages += len(frames)
        if size == 0 and session.state in (SoupState.ACTIVE, SoupState.LOGGING_IN):
            self._drop("the server closed the connection")

    def _drop(self, why: str) -> None:
        """Close the connection and plan the next one, or give up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._session is not None:
            self._login = replace(
                self._login,
                session=self._session.session,
                sequence=self._session.next_sequence,
            )
        self.health.count("soup_reconnects")
        self._failures += 1
        if self._failures > self._config.retries:
            self._end(
                FeedError(
                    f"{self.name}: {why}; {self._failures} attempts without a message, given up"
                    f" before message {self._login.sequence}; check the server and start again"
                )
            )
            return
        backoff_ns = self._config.backoff_ns << min(self._failures - 1, 30)
        self._due_ns = monotonic_ns() + min(backoff_ns, self._config.backoff_max_ns)

    def _end(self, error: FeedError) -> None:
        self.health.damage.append(error)
        self._over = True
