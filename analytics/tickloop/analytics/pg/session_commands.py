"""What statements about the session do: transactions, settings, cursors."""

from collections.abc import Sequence

from tickloop.analytics.pg.commands import (
    Begin,
    CloseCursor,
    Command,
    Declare,
    Discard,
    End,
    Savepoint,
    Set,
    Show,
)
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.portal import Portal, Prepared
from tickloop.analytics.pg.settings import Settings
from tickloop.analytics.pg.statements import Question, Statements
from tickloop.analytics.pg.transaction import Transaction

# A warning, the rows to show, and the tag.
Outcome = tuple[PgError | None, list[list[str]], str]


class SessionCommands:
    """Changes the session that it belongs to."""

    def __init__(
        self, settings: Settings, prepared: dict[str, Prepared], portals: dict[str, Portal]
    ) -> None:
        self.transaction = Transaction()
        self._settings = settings
        self._prepared = prepared
        self._portals = portals

    async def run(self, command: Command, *, missing: bool = False) -> Outcome:
        """Do what a statement says; with `missing`, a cursor that is not there is closed too."""
        if isinstance(command, Begin):
            return self.transaction.begin(command), [], command.tag
        if isinstance(command, End):
            return await self._end(command)
        if isinstance(command, Savepoint):
            return None, [], self.transaction.savepoint(command)
        if isinstance(command, Set):
            return self._set(command)
        if isinstance(command, Show):
            return None, self.shown(command)[1], "SHOW"
        if isinstance(command, CloseCursor):
            return await self._close(command.name, missing=missing)
        assert isinstance(command, Discard), f"{command} belongs to the session"
        return await self._discard(command)

    def shown(self, command: Show) -> tuple[Sequence[str], list[list[str]]]:
        """Give the columns and rows of SHOW."""
        if command.name:
            return [command.name], [[self._settings.get(command.name)]]
        listed = sorted(self._settings.values.items(), key=lambda pair: pair[0].lower())
        return ("name", "setting", "description"), [[name, value, ""] for name, value in listed]

    def cursor(self, name: str) -> Portal:
        """Find a cursor."""
        found = self._portals.get(name)
        if found is None:
            raise PgError(SqlState.NO_SUCH_PORTAL, f'cursor "{name}" does not exist')
        return found

    async def declare(self, command: Declare, asked: Portal, statements: Statements) -> str:
        """Make a cursor; it lives as long as its transaction, or as the session if it holds."""
        if not self.transaction.is_open and not command.hold:
            raise PgError(
                SqlState.NO_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks"
            )
        if command.name in self._portals:
            raise PgError(SqlState.DUPLICATE_CURSOR, f'cursor "{command.name}" already exists')
        question = Question(command.query, asked.question.parameters, self._settings.values)
        prepared = Prepared(command.query, (), None, None, 0)
        portal = Portal(prepared, question, (1,) if command.binary else ())
        portal.holds = command.hold
        await portal.start(statements)
        self._portals[command.name] = portal
        return "DECLARE CURSOR"

    async def close_portals(self, *, kept: bool) -> None:
        """Close every portal, but with `kept` those that outlive their transaction."""
        for name, portal in list(self._portals.items()):
            if not (kept and portal.holds):
                del self._portals[name]
                await portal.close()

    async def _end(self, command: End) -> Outcome:
        tag, committed, warning = self.transaction.end(command)
        if warning is None:
            self._settings.end(committed=committed)
            # The portal that runs this very statement has no rows to lose.
            await self.close_portals(kept=True)
        return warning, [], tag

    def _set(self, command: Set) -> Outcome:
        if not command.name:
            self._settings.reset_all()
        else:
            inside = self.transaction.is_open
            self._settings.set(command.name, command.value, local=command.local, inside=inside)
        return None, [], command.tag

    async def _close(self, name: str, *, missing: bool) -> Outcome:
        if not name and not missing:
            await self.close_portals(kept=False)
            return None, [], "CLOSE CURSOR ALL"
        if name not in self._portals and not missing:
            raise PgError(SqlState.NO_SUCH_PORTAL, f'cursor "{name}" does not exist')
        portal = self._portals.pop(name, None)
        if portal is not None:
            await portal.close()
        return None, [], "CLOSE CURSOR"

    async def _discard(self, command: Discard) -> Outcome:
        if command.what == "all":
            if self.transaction.is_open:
                raise PgError(
                    SqlState.ACTIVE_TRANSACTION,
                    "DISCARD ALL cannot run inside a transaction block",
                )
            self._settings.reset_all()
            self._prepared.clear()
            await self.close_portals(kept=False)
        elif command.what == "statements" and command.name:
            if self._prepared.pop(command.name, None) is None:
                raise PgError(
                    SqlState.NO_SUCH_STATEMENT,
                    f'prepared statement "{command.name}" does not exist',
                )
        elif command.what == "statements":
            self._prepared.clear()
            return None, [], "DEALLOCATE ALL"
        return None, [], command.tag
