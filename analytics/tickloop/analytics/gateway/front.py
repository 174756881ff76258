"""The gateway's q port: logs peers in and lends their sockets to workers, evaluating nothing.

A connection is parked until its peer asks. Then a worker gets the socket and answers on it
directly, for as long as nobody else waits or the connection has variables. The gateway only
watches: it ends workers that take too long or whose peer is gone, and says so to the peer.
"""

import select
import socket
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tickloop.analytics.gateway.lease import Lease
from tickloop.analytics.gateway.pool import GRACE_NS, Pool, PoolLimits, WorkerProcess
from tickloop.analytics.gateway.rights import RightsTable
from tickloop.analytics.gateway.slot import Phase
from tickloop.analytics.questdb.place import Place
from tickloop.core.clock import WallClock, monotonic_ns
from tickloop.core.errors import ConfigError, WireError
from tickloop.tickerplant.q_codec import MessageKind
from tickloop.tickerplant.q_connection import response
from tickloop.tickerplant.q_login import NOT_HTTP, is_http, take_login
from tickloop.tickerplant.q_server import Authenticate, is_loopback, listen
from tickloop.tickerplant.q_values import Signal
from tickloop.tickerplant.usage import Asked, UsageLog

_TICK_S = 0.05
_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_USAGE_ROWS = 500
_USAGE_NS = 200_000_000


class State(Enum):
    """Where a connection is."""

    LOGIN = "login"
    PARKED = "parked"
    WAITING = "waiting"
    LENT = "lent"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """Where to listen, who may come in, and what they may cost."""

    host: str
    port: int
    connections: int
    login_s: float
    authenticate: Authenticate | None
    rights: RightsTable
    questdb: Place = field(default_factory=Place)  # where questions go that name it


class Peer:
    """One connection."""

    def __init__(self, sock: socket.socket, host: str, port: int) -> None:
        self.sock = sock
        self.address = f"{host}:{port}"
        self.is_local = is_loopback(host)
        self.user = ""
        self.capability = 0
        self.state = State.LOGIN
        self.since_ns = monotonic_ns()
        self.inbox = bytearray()
        self.worker: WorkerProcess[Peer] | None = None
        self.is_gone = False
        self.is_watched = False


class Front:
    """The port and the pool behind it; `poll` does what there is to do.

    `counts` names what went wrong: refused_login, login_timeout, too_many_connections,
    http_request, bad_login, timeout, gone, crashed, queue_full.
    """

    def __init__(
        self, root: Path, settings: FrontSettings, limits: PoolLimits,
        usage: UsageLog | None = None,
    ) -> None:  # fmt: skip
        if settings.authenticate is None and not is_loopback(settings.host):
            raise ConfigError(
                f"listening on {settings.host} lets other machines in, and no user is checked;"
                " give a password file, or listen on 127.0.0.1"
            )
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._usage = usage
        self._asked: list[Asked] = []
        self._asked_ns = 0
        self._clock = WallClock()
        self._listener = listen(settings.host, settings.port)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._peers: dict[int, Peer] = {}
        self._logins: set[Peer] = set()
        self._lent: set[Peer] = set()
        # Users take turns: each has its own queue, and the next one is the head of the next queue.
        self._waiting: dict[str, deque[Peer]] = {}
        self.pool: Pool[Peer] = Pool(
            root, limits, on_fork=self._watch_worker, on_free=self._freed, on_end=self._ended,
            on_usage=self._asked.extend, more=(settings.questdb.as_text(),),
        )  # fmt: skip

    def start(self) -> None:
        """Wait until workers are ready."""
        self.pool.wait_ready()

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._peers)

    def poll(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for something to do, and do it."""
        busy = self._lent or self._logins or self._asked
        wait_s = min(timeout_s, _TICK_S) if busy else timeout_s
        for fd, events in self._epoll.poll(wait_s):
            if fd == self._listener.fileno():
                self._accept()
            elif fd in self._peers:
                self._happened(self._peers[fd], events)
            else:
                self.pool.hear(fd)
        self._tick()
        self._match()

    def close(self) -> None:
        """Close the port, every connection and every worker."""
        for peer in list(self._peers.values()):
            self._close(peer)
        self._listener.close()
        self.pool.close()
        self._epoll.close()
        self._write_usage()
        if self._usage is not None:
            self._usage.close()

    def _watch_worker(self, control: socket.socket) -> None:
        self._epoll.register(control, select.EPOLLIN)

    # Coming in

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.counts["accept_failed"] += 1
                return
            if len(self._peers) >= self._settings.connections:
                sock.close()
                self.counts["too_many_connections"] += 1
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            peer = Peer(sock, str(address[0]), int(address[1]))
            self._peers[sock.fileno()] = peer
            self._logins.add(peer)
            self._watch(peer, select.EPOLLIN)

    def _watch(self, peer: Peer, events: int) -> None:
        """Hear of these events; with 0 of nothing, not even of an end again and again."""
        if events and peer.is_watched:
            self._epoll.modify(peer.sock, events)
        elif events:
            self._epoll.register(peer.sock, events)
        elif peer.is_watched:
            self._epoll.unregister(peer.sock)
        peer.is_watched = bool(events)

    def _happened(self, peer: Peer, events: int) -> None:
        if peer.state is State.LOGIN:
            self._log_in(peer)
        elif peer.state is State.PARKED:
            self._wake(peer)
        elif events & _GONE:
            # Told once: the socket's worker goes on reading what came before the end.
            self._watch(peer, 0)
            peer.is_gone = True
            self._check_gone(peer)

    def _log_in(self, peer: Peer) -> None:
        try:
            # A login ends with a NUL; what follows it is the worker's to read.
            piece = peer.sock.recv(1024, socket.MSG_PEEK)
            end = piece.find(b"\0")
            taken = peer.sock.recv(len(piece) if end < 0 else end + 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            taken = b""
        peer.inbox += taken
        if not taken:
            self._close(peer)
        elif is_http(peer.inbox):
            self.counts["http_request"] += 1
            self._say(peer, NOT_HTTP)
            self._close(peer)
        else:
            self._take_login(peer)

    def _take_login(self, peer: Peer) -> None:
        try:
            login = take_login(peer.inbox)
        except WireError:
            self.counts["bad_login"] += 1
            self._close(peer)
            return
        if login is None:
            return
        check = self._settings.authenticate
        if check is not None and not check(login.user, login.password):
            self.counts["refused_login"] += 1
            self._close(peer)
            return
        peer.user, peer.capability = login.user, login.capability
        self._say(peer, bytes((login.capability,)))
        self._logins.discard(peer)
        peer.state = State.PARKED

    def _wake(self, peer: Peer) -> None:
        """Queue a peer that has something to say; close it if that is nothing."""
        try:
            if not peer.sock.recv(1, socket.MSG_PEEK):
                self._close(peer)
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(peer)
            return
        queue = self._waiting.setdefault(peer.user, deque())
        if len(queue) >= self._settings.rights.of(peer.user).queue:
            self.counts["queue_full"] += 1
            self._say(peer, response(Signal(_queue_full(len(queue)))))
            self._close(peer)
            return
        peer.state = State.WAITING
        self._watch(peer, select.EPOLLRDHUP | select.EPOLLET)
        queue.append(peer)

    # Lending

    def _match(self) -> None:
        """Lend what waits to idle workers; ask for idle connections back if there are none."""
        while self._waiting:
            worker = self.pool.idle()
            if worker is None:
                self.pool.recall()
                self.pool.fill()
                return
            peer = self._next()
            if peer is None:
                return
            self._lend(peer, worker)

    def _next(self) -> Peer | None:
        """Take the next one in turn, leaving one worker to others than who has all the rest."""
        busy = Counter(peer.user for peer in self._lent if not self._is_pinned(peer))
        most = max(1, self.pool.limits.workers - 1)
        for user in list(self._waiting):
            if busy[user] >= most and len(self._waiting) > 1:
                continue
            queue = self._waiting.pop(user)
            peer = queue.popleft()
            if queue:
                self._waiting[user] = queue  # to the end of the turn
            return peer
        return None

    @staticmethod
    def _is_pinned(peer: Peer) -> bool:
        return peer.worker is not None and peer.worker.is_pinned

    def _lend(self, peer: Peer, worker: WorkerProcess[Peer]) -> None:
        peer.state, peer.worker = State.LENT, worker
        self._lent.add(peer)
        lease = Lease(
            user=peer.user, peer=peer.address, is_local=peer.is_local,
            capability=peer.capability, may_pin=self.pool.may_pin,
            rights=self._settings.rights.of(peer.user),
        )  # fmt: skip
        self.pool.lend(worker, peer, peer.sock, lease)

    def _freed(self, worker: WorkerProcess[Peer], peer: Peer) -> None:
        """Park a connection that its worker gave back."""
        self._lent.discard(peer)
        peer.worker, peer.state = None, State.PARKED
        self._watch(peer, select.EPOLLIN)

    def _ended(self, worker: WorkerProcess[Peer], peer: Peer, is_orderly: bool) -> None:
        """Go on after a connection or its worker ended."""
        self._lent.discard(peer)
        peer.worker = None
        if is_orderly or peer.is_gone:
            self._close(peer)
            return
        reason = worker.reason or "crash: the query ended its worker process; ask for less at once"
        self.counts["crashed"] += not worker.reason
        self._note(worker, peer, reason)
        slot = worker.slot
        # Where part of a request was read or part of an answer sent, no answer can follow.
        if slot.phase is not Phase.RUNNING:
            self._close(peer)
            return
        if slot.kind == MessageKind.SYNC:
            lost = "; the connection's variables are gone" if worker.is_pinned else ""
            self._say(peer, response(Signal(reason + lost)))
        peer.state = State.PARKED
        self._watch(peer, select.EPOLLIN)

    # Watching

    def _tick(self) -> None:
        now = monotonic_ns()
        for peer in list(self._lent):
            self._check_time(peer)
            if peer.is_gone:
                self._check_gone(peer)
        for peer in [p for p in self._logins if now - p.since_ns > self._settings.login_s * 1e9]:
            self.counts["login_timeout"] += 1
            self._close(peer)
        if self._asked and (len(self._asked) >= _USAGE_ROWS or now - self._asked_ns > _USAGE_NS):
            self._write_usage()

    def _check_time(self, peer: Peer) -> None:
        worker = peer.worker
        if worker is None or worker.slot.phase is not Phase.RUNNING:
            return
        if worker.reason:
            self._insist(worker)
            return
        limit_s = self._settings.rights.of(peer.user).timeout_s
        if worker.slot.age_ns > limit_s * 1e9:
            self.counts["timeout"] += 1
            worker.stop(
                f"timeout: the query ran longer than {limit_s:g} s, the limit of this user; ask for"
                " fewer rows or dates"
            )

    @staticmethod
    def _insist(worker: WorkerProcess[Peer]) -> None:
        """Kill a worker that did not stop; forget the wish where another request runs by now."""
        if not worker.slot.reason:
            worker.reason = ""
        elif monotonic_ns() - worker.stopped_ns > GRACE_NS:
            worker.kill()

    def _check_gone(self, peer: Peer) -> None:
        """End a query that nobody waits for any more."""
        worker = peer.worker
        if peer.state is State.WAITING:
            self._unqueue(peer)
            self._close(peer)
        elif (
            worker is not None
            and not worker.reason
            and worker.slot.phase is Phase.RUNNING
            and worker.slot.kind == MessageKind.SYNC
        ):
            self.counts["gone"] += 1
            worker.stop("the peer went away")

    def _unqueue(self, peer: Peer) -> None:
        queue = self._waiting[peer.user]
        queue.remove(peer)
        if not queue:
            del self._waiting[peer.user]

    def _note(self, worker: WorkerProcess[Peer], peer: Peer, reason: str) -> None:
        text = worker.slot.request
        shown = text[6:] if text[:1] == b"\x0a" else text
        query = shown[:2000].decode("utf-8", "replace")
        self._asked.append(
            Asked(
                self._clock.now(), peer.user, peer.address, query, worker.slot.age_ns, 0, 0, reason
            )
        )

    def _write_usage(self) -> None:
        asked, self._asked[:] = list(self._asked), []
        self._asked_ns = monotonic_ns()
        if self._usage is not None:
            self._usage.append(asked)

    # Leaving

    def _say(self, peer: Peer, whole: bytes) -> None:
        """Send a few bytes; a peer whose buffer is full of unread answers does not get them."""
        try:
            peer.sock.send(whole)
        except OSError:
            peer.is_gone = True

    def _close(self, peer: Peer) -> None:
        if peer.state is State.CLOSED:
            return
        if peer.state is State.WAITING and peer.user in self._waiting:
            self._waiting[peer.user] = deque(p for p in self._waiting[peer.user] if p is not peer)
            if not self._waiting[peer.user]:
                del self._waiting[peer.user]
        peer.state = State.CLOSED
        self._logins.discard(peer)
        self._lent.discard(peer)
        del self._peers[peer.sock.fileno()]
        self._watch(peer, 0)
        peer.sock.close()


def _queue_full(waiting: int) -> str:
    return f"limit: {waiting} requests of this user wait already; ask again later"
