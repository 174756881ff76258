"""One question after another for a terminal: here over a directory, or at a server."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tickloop.analytics.gateway.connection import ADDRESS, Connection, connect
from tickloop.analytics.gateway.engine import SQL_PREFIX, Engine, Shared
from tickloop.analytics.gateway.result import Result
from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.q.console import show
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import Nil, names_of

_MINE = Rights(outside=True, share=True, memory_mib=1 << 20)


class Asker(Protocol):
    """Answers text as a console does, or as a value."""

    rows: int
    columns: int

    def shown(self, text: str) -> str:
        """Answer as the console prints it; '' where it prints nothing."""
        ...

    def value(self, text: str) -> Result | None:
        """Answer as a value; None where there is nothing to show."""
        ...

    def words(self) -> Iterable[str]:
        """List what may be typed: built-ins, tables, columns, variables."""
        ...

    def interrupt(self) -> None:
        """Stop the question that runs; safe from a signal's handler."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def open_asker(where: str | Path) -> Asker:
    """Ask a directory in this process, or a server given as "host:port"."""
    if isinstance(where, str) and ADDRESS.fullmatch(where):
        return _Far(connect(where))
    return _Near(Path(where))


class _Near:
    """The engine in this process; variables live as long as it does."""

    def __init__(self, root: Path) -> None:
        self.rows, self.columns = 25, 80
        self._shared = Shared(root)
        self._engine = Engine(self._shared, _MINE)

    def shown(self, text: str) -> str:
        if text.startswith(SQL_PREFIX):
            return show(self._engine.text(text), rows=self.rows, columns=self.columns) + "\n"
        session = self._engine.language.session
        session.rows, session.columns = self.rows, self.columns
        return self._engine.language.show(text)

    def value(self, text: str) -> Result | None:
        found = self._engine.text(text)
        return None if isinstance(found, Nil) else Result(found)

    def words(self) -> Iterable[str]:
        tables = self._shared.database(_MINE).tables
        columns = {name for table in tables.values() for name in table.names}
        mine = self._engine.language.session.names.plain
        return {*filter(str.isalpha, BUILTINS), *tables, *columns, *mine}

    def interrupt(self) -> None:
        self._engine.interrupt()

    def close(self) -> None:
        self._shared.close()


class _Far:
    """A server's engine."""

    def __init__(self, connection: Connection) -> None:
        self.rows, self.columns = 25, 80
        self._connection = connection

    def shown(self, text: str) -> str:
        found = self.value(text)
        if found is None or not text.strip():
            return ""
        return show(found.value, rows=self.rows, columns=self.columns) + "\n"

    def value(self, text: str) -> Result | None:
        found = self._connection.q(text)
        return None if isinstance(found.value, Nil) else found

    def words(self) -> Iterable[str]:
        tables = names_of(self._connection.q("tables[]").value) or []
        return {*filter(str.isalpha, BUILTINS), *tables}

    def interrupt(self) -> None:
        # The server ends what nobody waits for.
        self._connection.close()

    def close(self) -> None:
        self._connection.close()
