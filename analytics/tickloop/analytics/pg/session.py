"""One client's session: what each message does, and what is answered."""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tickloop.analytics.pg import wire_out
from tickloop.analytics.pg.commands import CloseCursor, Command, Declare, Fetch, Show, command_of
from tickloop.analytics.pg.copying import Copy, CopyEncoder, copy_of
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.oids import TEXT, WireType, of_duck
from tickloop.analytics.pg.portal import Portal, Prepared, wire_columns
from tickloop.analytics.pg.session_commands import SessionCommands
from tickloop.analytics.pg.settings import Settings
from tickloop.analytics.pg.statements import Described, Parameter, Question, Statements
from tickloop.analytics.pg.tokens import parameter_count, split
from tickloop.analytics.pg.values_in import parameter
from tickloop.analytics.pg.wire_in import (
    Bind,
    Close,
    Describe,
    Execute,
    Message,
    Parse,
    Query,
    Signal,
    bad,
)

T = TypeVar("T")
_LONG_TEXT = 20_000
TEXT_COLUMN = WireType(TEXT.oid, TEXT.size, -1, TEXT, is_array=False)
_FIRST_WORD = re.compile(r"[\s(]*(\w+)")


class Sink(Protocol):
    """Where answers go."""

    def write(self, data: bytes | memoryview) -> None:
        """Queue bytes for the client."""
        ...

    async def drain(self) -> None:
        """Send if much is queued, and wait until the client has taken enough."""
        ...

    async def flush(self) -> None:
        """Send what is queued: nothing more comes until the client asks again."""
        ...


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one session may cost."""

    rows: int  # in a result
    statement_s: float  # for a statement, 0 for any time; SET statement_timeout may shorten it
    kept: int  # prepared statements, and portals


class Session:
    """Answers messages in order. PgErrors never leave it; what the client sees is their text."""

    def __init__(
        self, sink: Sink, settings: Settings, statements: Statements, limits: SessionLimits
    ) -> None:
        self.is_over = False
        self._sink = sink
        self._settings = settings
        self._statements = statements
        self._limits = limits
        self._prepared: dict[str, Prepared] = {}
        self._portals: dict[str, Portal] = {}
        self._commands = SessionCommands(settings, self._prepared, self._portals)
        self._transaction = self._commands.transaction
        self._skips = False  # until Sync, after an error in the extended protocol
        self._stopped: PgError | None = None
        self._is_busy = False
        # When the statement that runs is late, and what looks whether it is.
        self._due = math.inf
        self._watch: asyncio.TimerHandle | None = None

    def stop(self, message: str) -> None:
        """Stop the statement that runs, if one does."""
        if self._is_busy:
            self._stopped = PgError(SqlState.QUERY_CANCELED, message)
            self._statements.cancel()

    async def handle(self, message: Message) -> None:
        """Do what a message asks for."""
        if isinstance(message, Signal):
            await self._signal(message)
            return
        if self._skips:
            return
        # What only reads a message needs no clock.
        if not isinstance(message, Parse | Close):
            self._begin_time()
        self._is_busy = True
        try:
            if isinstance(message, Query):
                await self._query(message)
            else:
                await self._extended(message)
        except PgError as error:
            self._fail(error)
            self._skips = True
            await self._sink.flush()
        finally:
            self._is_busy = False
            self._stopped = None
            self._due = math.inf
        await self._sink.drain()

    async def close(self) -> None:
        """Let everything go."""
        if self._watch is not None:
            self._watch.cancel()
        for portal in self._portals.values():
            await portal.close()
        await self._statements.close()

    def _begin_time(self) -> None:
        """Say when the statement that begins will be late, and have that looked at by then.

        One timer serves many statements: most are over long before it comes.
        """
        wanted = (self._settings.statement_timeout_s, self._limits.statement_s)
        limit_s = min((one for one in wanted if one > 0), default=0.0)
        if not limit_s:
            return
        loop = asyncio.get_running_loop()
        self._due = loop.time() + limit_s
        if self._watch is not None and self._watch.when() > self._due:
            self._watch.cancel()
            self._watch = None
        if self._watch is None:
            self._watch = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._watch = None
        loop = asyncio.get_running_loop()
        if self._due == math.inf:
            return
        if loop.time() < self._due:
            self._watch = loop.call_at(self._due, self._look)
        else:
            self.stop("canceling statement due to statement timeout")

    def _fail(self, error: PgError) -> None:
        self._transaction.fail()
        if error.state is SqlState.QUERY_CANCELED and self._stopped is not None:
            error = self._stopped
        self._sink.write(wire_out.failure(error))

    def _ready(self) -> None:
        for name, value in self._settings.take_changes():
            self._sink.write(wire_out.parameter_status(name, value))
        self._sink.write(wire_out.ready(self._transaction.state))

    async def _signal(self, message: Signal) -> None:
        if message.kind == "X":
            self.is_over = True
        elif message.kind == "S":
            self._skips = False
            if not self._transaction.is_open:
                await self._commands.close_portals(kept=True)
            self._ready()
            await self._sink.flush()
        elif message.kind == "H":
            await self._sink.flush()
        elif message.kind == "F" and not self._skips:
            self._fail(PgError(SqlState.FEATURE_NOT_SUPPORTED, "function calls are not supported"))
            self._ready()
            await self._sink.flush()

    async def _query(self, message: Query) -> None:
        """Run the statements of one simple query; an error ends them all."""
        try:
            texts = await _aside(split, message.text)
            for text in texts:
                await self._simple(text)
            if not texts:
                self._sink.write(wire_out.EMPTY_QUERY)
        except PgError as error:
            self._fail(error)
        if not self._transaction.is_open:
            await self._commands.close_portals(kept=True)
        self._ready()
        await self._sink.flush()

    async def _simple(self, text: str) -> None:
        prepared = await self._parsed(text, ())
        self._transaction.check(prepared.command)
        if prepared.parameters:
            raise PgError(SqlState.UNDEFINED_PARAMETER, "there is no parameter $1")
        portal = Portal(prepared, self._question(prepared, ()), ())
        try:
            await self._describe_portal(portal, only_rows=True)
            await self._run(portal, 0)
        finally:
            await portal.close()

    async def _parsed(self, text: str, oids: tuple[int, ...]) -> Prepared:
        command, copy, count = await _aside(_read, text)
        return Prepared(text, oids, command, copy, count)

    def _question(self, prepared: Prepared, parameters: tuple[Parameter, ...]) -> Question:
        return Question(prepared.text, parameters, self._settings.values)

    async def _extended(self, message: Message) -> None:
        if isinstance(message, Parse):
            await self._parse(message)
        elif isinstance(message, Bind):
            await self._bind(message)
        elif isinstance(message, Describe):
            await self._describe(message)
        elif isinstance(message, Execute):
            await self._run(self._portal(message.portal), message.limit)
        elif isinstance(message, Close):
            await self._close(message)
        else:
            bad("a password seen, after the login was done")

    async def _parse(self, message: Parse) -> None:
        if message.name and message.name in self._prepared:
            raise PgError(
                SqlState.DUPLICATE_PREPARED,
                f'prepared statement "{message.name}" already exists',
            )
        if len(self._prepared) >= self._limits.kept:
            raise PgError(
                SqlState.LIMIT_EXCEEDED,
                f"{self._limits.kept} prepared statements are kept; DEALLOCATE some",
            )
        texts = await _aside(split, message.text)
        if len(texts) > 1:
            raise PgError(
                SqlState.SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement"
            )
        prepared = await self._parsed(texts[0] if texts else "", message.oids)
        self._transaction.check(prepared.command)
        self._prepared[message.name] = prepared
        self._sink.write(wire_out.PARSE_COMPLETE)

    async def _bind(self, message: Bind) -> None:
        prepared = self._statement(message.statement)
        self._transaction.check(prepared.command)
        wanted = max(prepared.parameters, len(prepared.oids))
        if len(message.values) != wanted:
            raise PgError(
                SqlState.PROTOCOL_VIOLATION,
                f"bind message supplies {len(message.values)} parameters, but prepared statement"
                f' "{message.statement}" requires {wanted}',
            )
        if len(message.formats) not in (0, 1, wanted):
            bad(f"bind message has {len(message.formats)} parameter formats but {wanted} values")
        formats = message.formats * wanted if len(message.formats) == 1 else message.formats
        binary = formats or (0,) * wanted
        oids = await self._oids(prepared, binary)
        values = tuple(
            parameter(oid, raw, binary=bool(code))
            for oid, raw, code in zip(oids, message.values, binary, strict=True)
        )
        await self._keep(message, Portal(prepared, self._question(prepared, values), message.result_formats))  # noqa: E501  # fmt: skip
        self._sink.write(wire_out.BIND_COMPLETE)

    async def _keep(self, message: Bind, portal: Portal) -> None:
        old = self._portals.get(message.portal)
        if old is not None and message.portal:
            raise PgError(SqlState.DUPLICATE_CURSOR, f'cursor "{message.portal}" already exists')
        if old is not None:
            await old.close()
        if len(self._portals) >= self._limits.kept:
            raise PgError(SqlState.LIMIT_EXCEEDED, f"{self._limits.kept} portals are kept")
        self._portals[message.portal] = portal

    async def _oids(self, prepared: Prepared, binary: tuple[int, ...]) -> tuple[int, ...]:
        """Give the parameters' types; open ones are inferred where the bytes depend on it."""
        declared = prepared.oids + (0,) * (len(binary) - len(prepared.oids))
        is_open = any(code and not oid for code, oid in zip(binary, declared, strict=True))
        if prepared.described is None and not is_open:
            return declared
        return tuple(self._parameter_oids(prepared, await self._described(prepared)))

    def _parameter_oids(self, prepared: Prepared, described: Described) -> list[int]:
        count = max(prepared.parameters, len(prepared.oids))
        declared = prepared.oids + (0,) * (count - len(prepared.oids))
        found = (*described.parameters, *[""] * count)
        return [
            oid or (of_duck(kind).oid if kind else TEXT.oid)
            for oid, kind in zip(declared, found[:count], strict=True)
        ]

    async def _described(self, prepared: Prepared) -> Described:
        if prepared.described is None:
            if self._takes_no_data(prepared):
                return Described((), ())
            count = max(prepared.parameters, len(prepared.oids))
            declared = prepared.oids + (0,) * (count - len(prepared.oids))
            parameters = tuple(parameter(oid, None, binary=False) for oid in declared)
            text = prepared.copy.query if prepared.copy else self._text(prepared)
            question = Question(text, parameters, self._settings.values)
            prepared.described = await self._statements.describe(question)
        return prepared.described

    def _takes_no_data(self, prepared: Prepared) -> bool:
        is_query = prepared.command is None or isinstance(prepared.command, Declare)
        return prepared.is_empty or not is_query

    def _text(self, prepared: Prepared) -> str:
        command = prepared.command
        return command.query if isinstance(command, Declare) else prepared.text

    async def _describe(self, message: Describe) -> None:
        if message.kind == "P":
            await self._describe_portal(self._portal(message.name), only_rows=False)
            return
        prepared = self._statement(message.name)
        self._transaction.check(prepared.command)
        described = await self._described(prepared)
        oids = self._parameter_oids(prepared, described)
        self._sink.write(wire_out.parameter_description(oids))
        shown = self._command_columns(prepared)
        if shown is None and prepared.command is None and prepared.copy is None:
            shown = wire_columns(described.columns)
        if not shown:
            self._sink.write(wire_out.NO_DATA)
            return
        self._sink.write(wire_out.row_description(shown, [0] * len(shown)))

    def _command_columns(self, prepared: Prepared) -> list[tuple[str, WireType]] | None:
        """Give the columns that a statement about the session shows; none for most."""
        command = prepared.command
        if isinstance(command, Show):
            return [(name, TEXT_COLUMN) for name in self._commands.shown(command)[0]]
        if isinstance(command, Fetch) and command.tag == "FETCH":
            return self._commands.cursor(command.name).columns
        return None

    async def _describe_portal(self, portal: Portal, *, only_rows: bool) -> None:
        prepared = portal.prepared
        self._transaction.check(prepared.command)
        if prepared.command is None and prepared.copy is None and not prepared.is_empty:
            await portal.start(self._statements)
            shown = portal.columns
        else:
            shown = self._command_columns(prepared) or []
            portal.formats = portal.spread(len(shown))
        if shown:
            self._sink.write(wire_out.row_description(shown, portal.formats))
        elif not only_rows:
            self._sink.write(wire_out.NO_DATA)

    async def _run(self, portal: Portal, limit: int) -> None:
        prepared = portal.prepared
        self._transaction.check(prepared.command)
        if prepared.is_empty:
            self._sink.write(wire_out.EMPTY_QUERY)
        elif isinstance(prepared.command, Declare):
            tag = await self._commands.declare(prepared.command, portal, self._statements)
            self._sink.write(wire_out.command_complete(tag))
        elif isinstance(prepared.command, Fetch):
            await self._fetch(prepared.command, portal)
        elif prepared.command is not None:
            self._say(*await self._commands.run(prepared.command))
        elif prepared.copy is not None:
            await self._copy(prepared.copy, portal)
        else:
            await self._rows(portal, limit)

    def _say(self, warning: PgError | None, rows: list[list[str]], tag: str) -> None:
        if warning is not None:
            self._sink.write(wire_out.notice(warning))
        for row in rows:
            self._sink.write(wire_out.text_row(row))
        self._sink.write(wire_out.command_complete(tag))

    async def _rows(self, portal: Portal, limit: int) -> None:
        await portal.start(self._statements)
        sent = await self._send(portal, limit)
        if limit and sent == limit and not portal.is_done:
            self._sink.write(wire_out.PORTAL_SUSPENDED)
            return
        self._sink.write(wire_out.command_complete(_tag(portal.prepared.text, sent)))

    async def _fetch(self, command: Fetch, portal: Portal) -> None:
        cursor = self._commands.cursor(command.name)
        if command.tag == "MOVE":
            sent = await self._pass_over(cursor, command.count)
        else:
            cursor.formats = portal.spread(len(cursor.columns))
            sent = 0 if command.count == 0 else await self._send(cursor, command.count or 0)
        self._sink.write(wire_out.command_complete(f"{command.tag} {sent}"))

    async def _send(self, portal: Portal, limit: int) -> int:
        """Send rows, at most `limit` of them if that is not 0; give how many."""
        sent = 0
        while not portal.is_done and (not limit or sent < limit):
            self._check_stopped()
            batch = await portal.take(limit - sent if limit else 0, self._limits.rows)
            if batch is not None:
                self._sink.write(await portal.encoded(batch))
                sent += batch.num_rows
                await self._sink.drain()
        return sent

    async def _pass_over(self, portal: Portal, limit: int | None) -> int:
        passed = 0
        while not portal.is_done and (limit is None or passed < limit):
            self._check_stopped()
            batch = await portal.take(0 if limit is None else limit - passed, self._limits.rows)
            passed += 0 if batch is None else batch.num_rows
        return passed

    async def _copy(self, copy: Copy, asked: Portal) -> None:
        question = Question(copy.query, asked.question.parameters, self._settings.values)
        portal = Portal(asked.prepared, question, ())
        try:
            await portal.start(self._statements)
            encoder = CopyEncoder(copy, portal.columns)
            binary = copy.form == "binary"
            self._sink.write(wire_out.copy_out(len(portal.columns), binary=binary))
            sent = 0
            while not portal.is_done:
                self._check_stopped()
                batch = await portal.take(0, self._limits.rows)
                pieces = encoder.tail() if batch is None else encoder.batch(batch)
                sent += 0 if batch is None else batch.num_rows
                for piece in pieces:
                    self._sink.write(piece)
                await self._sink.drain()
            self._sink.write(wire_out.COPY_DONE)
            self._sink.write(wire_out.command_complete(f"COPY {sent}"))
        finally:
            await portal.close()

    def _check_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    async def _close(self, message: Close) -> None:
        if message.kind == "S":
            self._prepared.pop(message.name, None)
        else:
            await self._commands.run(CloseCursor(message.name), missing=True)
        self._sink.write(wire_out.CLOSE_COMPLETE)

    def _statement(self, name: str) -> Prepared:
        found = self._prepared.get(name)
        if found is None:
            raise PgError(SqlState.NO_SUCH_STATEMENT, f'prepared statement "{name}" does not exist')
        return found

    def _portal(self, name: str) -> Portal:
        found = self._portals.get(name)
        if found is None:
            raise PgError(SqlState.NO_SUCH_PORTAL, f'portal "{name}" does not exist')
        return found


def _read(text: str) -> tuple[Command | None, Copy | None, int]:
    return command_of(text), copy_of(text), parameter_count(text)


async def _aside(work: Callable[[str], T], text: str) -> T:
    """Read a long text in a thread, so that other clients need not wait for it."""
    return work(text) if len(text) < _LONG_TEXT else await asyncio.to_thread(work, text)


def _tag(text: str, rows: int) -> str:
    first = _FIRST_WORD.match(text)
    word = first[1].upper() if first else ""
    return word if word in ("EXPLAIN", "SHOW") else f"SELECT {rows}"
