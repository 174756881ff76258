"""One connection: encryption, login, then a session until the client goes."""

import asyncio
import contextlib
import secrets
import socket
from typing import TYPE_CHECKING

from tickloop.analytics.pg import scram, wire_in, wire_out
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.inbox import NOT_HTTP, Gone, Inbox
from tickloop.analytics.pg.session import Session
from tickloop.analytics.pg.settings import Settings

if TYPE_CHECKING:
    from tickloop.analytics.pg.server import PgServer

_QUEUED_BYTES = 1 << 16
_TRIES = 3  # questions about encryption before the login


class Client:
    """Serves one connection; `key` is what a request to cancel must show."""

    def __init__(
        self,
        server: "PgServer",
        process: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.key = secrets.randbits(32)
        self._server = server
        self._process = process
        self._writer = writer
        self._inbox = Inbox(reader, message_bytes=server.limits.message_bytes)
        self._session: Session | None = None
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def serve(self) -> None:
        """Answer until the client goes; PgError for what ends the connection."""
        with contextlib.suppress(Gone, OSError):
            session = await self._session_in_time()
            if session is not None:
                await self._answer(session)

    async def _session_in_time(self) -> Session | None:
        try:
            async with asyncio.timeout(self._server.limits.login_s):
                startup = await self._start()
                return None if startup is None else await self._log_in(startup)
        except TimeoutError as error:
            raise PgError(
                SqlState.INVALID_AUTHORIZATION,
                f"no login within {self._server.limits.login_s:g} s",
            ) from error

    def stop(self, message: str) -> None:
        """Stop the statement that runs."""
        if self._session is not None:
            self._session.stop(message)

    def shut(self) -> None:
        """End the connection because the server ends."""
        error = PgError(
            SqlState.ADMIN_SHUTDOWN, "terminating connection due to administrator command"
        )
        self.say(wire_out.failure(error, severity="FATAL"))
        self.stop(error.message)
        self._writer.close()

    def say(self, data: bytes) -> None:
        """Say a last word, if anybody still listens."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def close(self) -> None:
        """Let the connection and all that it held go."""
        await self._inbox.close()
        if self._session is not None:
            await self._session.close()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def _start(self) -> wire_in.Startup | None:
        for _ in range(_TRIES):
            try:
                raw = await self._inbox.first()
            except PgError as error:
                if "HTTP" in error.message:
                    self._server.counts["http_request"] += 1
                    self.say(NOT_HTTP)
                    return None
                raise
            found = wire_in.startup(raw)
            if isinstance(found, wire_in.Cancel):
                self._server.cancel(found)
                return None
            if isinstance(found, wire_in.Startup):
                return found
            await self._encrypt(found)
        return wire_in.bad(f"{_TRIES} questions about encryption seen, a login expected")

    async def _encrypt(self, asked: wire_in.Encryption) -> None:
        if asked.kind != "S" or self._server.tls is None:
            self._writer.write(wire_out.SSL_NO)
            return
        if await self._inbox.has_more():
            # What came before the encryption could be anybody's.
            wire_in.bad("unencrypted bytes seen after a request for TLS")
        self._writer.write(wire_out.SSL_YES)
        await self._writer.drain()
        await self._writer.start_tls(self._server.tls)

    async def _log_in(self, startup: wire_in.Startup) -> Session:
        user = startup.parameters.get("user", "")
        if not user:
            raise PgError(SqlState.INVALID_AUTHORIZATION, "no PostgreSQL user name specified")
        if self._server.is_full():
            raise PgError(SqlState.TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        if startup.minor or startup.unknown:
            self._writer.write(wire_out.protocol_offer(startup.unknown))
        await self._authenticate(user)
        database = startup.parameters.get("database") or user
        settings = Settings(user)
        settings.start(_options(startup.parameters))
        statements = await self._server.opener(user, database)
        session = self._session = Session(
            _Sink(self._writer), settings, statements, self._server.session_limits(user)
        )
        self._writer.write(wire_out.AUTHENTICATED)
        for name, value in settings.reported:
            self._writer.write(wire_out.parameter_status(name, value))
        self._writer.write(wire_out.key(self._process, self.key))
        self._writer.write(wire_out.ready(b"I"))
        return session

    async def _authenticate(self, user: str) -> None:
        if self._server.verifiers is None:
            return
        verifier = self._server.verifiers(user) or scram.unknown_user(user, self._server.secret)
        exchange = scram.Exchange(verifier)
        self._writer.write(wire_out.sasl_mechanisms([scram.MECHANISM]))
        mechanism, first = wire_in.sasl_initial(await self._secret())
        if mechanism != scram.MECHANISM:
            wire_in.bad(f"{mechanism} seen, {scram.MECHANISM} expected")
        self._writer.write(wire_out.sasl_continue(exchange.challenge(first)))
        proof = exchange.proof(await self._secret())
        if proof is None:
            raise PgError(
                SqlState.LOGIN_REFUSED, f'password authentication failed for user "{user}"'
            )
        self._writer.write(wire_out.sasl_final(proof))

    async def _secret(self) -> bytes:
        kind, raw = await self._inbox.login()
        message = wire_in.message(kind, raw)
        if not isinstance(message, wire_in.Secret):
            wire_in.bad(f"a message of kind {kind!r} seen, a password expected")
        return message.payload

    async def _answer(self, session: Session) -> None:
        gone = "canceling statement because the client has gone"
        self._inbox.read_ahead(lambda: session.stop(gone))
        while not session.is_over:
            kind, raw = await self._inbox.message()
            await session.handle(wire_in.message(kind, raw))


class _Sink:
    """Writes to the client; a client that went away is noticed when its answer is due.

    Messages go out together: each time that the system is asked to send costs more than a small
    question.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._queued: list[bytes | memoryview] = []
        self._queued_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        self._queued.append(data)
        self._queued_bytes += len(data)

    async def drain(self) -> None:
        if self._queued_bytes >= _QUEUED_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if self._queued:
            queued, self._queued, self._queued_bytes = self._queued, [], 0
            self._writer.write(queued[0] if len(queued) == 1 else b"".join(queued))
        await self._writer.drain()


def _options(parameters: dict[str, str]) -> dict[str, str]:
    """Read settings, also those within `options`: -c name=value or --name=value."""
    found = {name: value for name, value in parameters.items() if not name.startswith("_pq_.")}
    words = found.pop("options", "").replace("\\ ", "\0").split()
    pairs = iter(words)
    for word in pairs:
        word = next(pairs, "") if word == "-c" else word.removeprefix("-c").removeprefix("--")
        name, equals, value = word.partition("=")
        if equals:
            found[name.replace("-", "_")] = value.replace("\0", " ")
    for name in ("user", "database", "replication"):
        found.pop(name, None)
    return found
