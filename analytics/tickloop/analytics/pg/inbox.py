"""A client's messages, read ahead: that it went away is noticed while its statement runs."""

import asyncio
from collections import deque
from collections.abc import Callable

from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.wire_in import LOGIN_MESSAGE_BYTES_MAX

_HEAD_BYTES = 5
_HTTP = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI")
NOT_HTTP = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks PostgreSQL's protocol (psql, psycopg, JDBC, Grafana), not HTTP.\n"
)


class Gone(Exception):  # noqa: N818 - an end, not an error
    """The client closed the connection."""


class Inbox:
    """Cuts a stream into messages and keeps a bounded number of bytes ahead of who takes them."""

    def __init__(self, reader: asyncio.StreamReader, *, message_bytes: int) -> None:
        self._reader = reader
        self._message_bytes = message_bytes
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._end: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes, before any message."""
        try:
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone from error

    async def has_more(self) -> bool:
        """Tell whether bytes have arrived that nobody read; they are gone then."""
        try:
            async with asyncio.timeout(0):
                return bool(await self._reader.read(1))
        except TimeoutError:
            return False

    async def first(self) -> bytes:
        """Read a startup message without its length."""
        head = await self.exactly(4)
        if head in _HTTP:
            raise PgError(SqlState.PROTOCOL_VIOLATION, "an HTTP request seen")
        size = int.from_bytes(head, "big")
        if not 8 <= size <= LOGIN_MESSAGE_BYTES_MAX:
            raise PgError(
                SqlState.PROTOCOL_VIOLATION,
                f"a first message of {size} bytes seen: this port speaks PostgreSQL's protocol"
                " (psql, psycopg, asyncpg, JDBC, Grafana)",
            )
        return await self.exactly(size - 4)

    async def login(self) -> tuple[bytes, bytes]:
        """Read a message during the login, which has to be short."""
        return await self._read(LOGIN_MESSAGE_BYTES_MAX)

    def read_ahead(self, gone: Callable[[], None]) -> None:
        """Begin to read before messages are asked for; `gone` is called at the stream's end."""
        self._task = asyncio.get_running_loop().create_task(self._pump(gone))

    async def message(self) -> tuple[bytes, bytes]:
        """Take the next message, its kind and content; Gone after the last one."""
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._changed.clear()
            await self._changed.wait()
        kind, raw = self._waiting.popleft()
        self._waiting_bytes -= len(raw) + _HEAD_BYTES
        self._changed.set()
        return kind, raw

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _pump(self, gone: Callable[[], None]) -> None:
        try:
            while True:
                kind, raw = await self._read(self._message_bytes)
                self._waiting.append((kind, raw))
                self._waiting_bytes += len(raw) + _HEAD_BYTES
                self._changed.set()
                while self._waiting_bytes > self._message_bytes:
                    self._changed.clear()
                    await self._changed.wait()
        except (Gone, PgError) as error:
            self._end = error
            self._changed.set()
            gone()

    async def _read(self, limit: int) -> tuple[bytes, bytes]:
        head = await self.exactly(_HEAD_BYTES)
        size = int.from_bytes(head[1:], "big") - 4
        if not 0 <= size <= limit:
            raise PgError(
                SqlState.PROTOCOL_VIOLATION,
                f"a message of kind {head[:1]!r} and {size} bytes seen, at most {limit} expected",
            )
        return head[:1], await self.exactly(size)
