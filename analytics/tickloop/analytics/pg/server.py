"""A Postgres-wire server on asyncio: listens, lets clients in, answers until they go."""

import asyncio
import errno
import ipaddress
import secrets
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tickloop.analytics.pg import wire_out
from tickloop.analytics.pg.client import Client
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.scram import Verifier
from tickloop.analytics.pg.session import SessionLimits
from tickloop.analytics.pg.statements import Opener
from tickloop.analytics.pg.wire_in import Cancel
from tickloop.core.errors import ConfigError

Verifiers = Callable[[str], Verifier | None]  # of a user; None for nobody of that name


@dataclass(frozen=True, slots=True)
class PgLimits:
    """What clients may cost."""

    connections: int
    message_bytes: int
    login_s: float
    session: SessionLimits


class PgServer:
    """Listens on one address. `counts` names what went wrong, by SQLSTATE's name.

    Without `verifiers` no password is asked for, which is allowed on loopback alone.
    `sessions` gives what a user's session may cost, where that is not the same for all.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        limits: PgLimits,
        host: str = "127.0.0.1",
        port: int,
        verifiers: Verifiers | None = None,
        tls: ssl.SSLContext | None = None,
        sessions: Callable[[str], SessionLimits] | None = None,
    ) -> None:
        if verifiers is None and not is_loopback(host):
            raise ConfigError(
                f"listening on {host} lets other machines in, and no user is checked;"
                " configure users and passwords, or listen on 127.0.0.1"
            )
        self.host = host
        self.port = port
        self.opener = opener
        self.limits = limits
        self.verifiers = verifiers
        self._sessions = sessions
        self.tls = tls
        self.counts: Counter[str] = Counter()
        self.secret = secrets.token_bytes(16)
        self._clients: dict[int, Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_process = 1
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen; `port` is the real one afterwards. ConfigError if it is taken."""
        try:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)
        except OSError as error:
            raise ConfigError(_no_port(self.host, self.port, error)) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection with a word about it."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients.values()):
            client.shut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many clients are there."""
        return len(self._clients)

    def session_limits(self, user: str) -> SessionLimits:
        """Give what a user's session may cost."""
        return self.limits.session if self._sessions is None else self._sessions(user)

    def is_full(self) -> bool:
        """Tell whether one more client would be too many."""
        return len(self._clients) > self.limits.connections

    def cancel(self, request: Cancel) -> None:
        """Stop what a client runs, if the request shows that client's key."""
        client = self._clients.get(request.process)
        shown = request.secret & 0xFFFF_FFFF
        if client is not None and secrets.compare_digest(
            client.key.to_bytes(4, "big"), shown.to_bytes(4, "big")
        ):
            client.stop("canceling statement due to user request")
        else:
            self.counts["wrong_cancel_key"] += 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "connections are served in tasks"
        self._tasks.add(task)
        process = self._next_process
        self._next_process = process % (2**31 - 1) + 1
        client = self._clients[process] = Client(self, process, reader, writer)
        try:
            await client.serve()
        except PgError as error:
            self.counts[error.state.name.lower()] += 1
            client.say(wire_out.failure(error, severity="FATAL"))
        except Exception:
            # A mistake of ours ends one connection, never the server.
            self.counts["internal"] += 1
            client.say(wire_out.failure(_internal(), severity="FATAL"))
            raise
        finally:
            del self._clients[process]
            try:
                await client.close()
            finally:
                # Whoever closes the server waits until then.
                self._tasks.discard(task)


def _internal() -> PgError:
    return PgError(SqlState.INTERNAL, "the server made a mistake; its log says which")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _no_port(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use, perhaps by PostgreSQL or another tickloop;"
            f" stop that one (`ss -ltnp 'sport = :{port}'` shows it) or choose another port"
        )
    return f"cannot listen on {host} port {port}: {error}; choose another address or port"
