"""q sessions as connections get them: the user's tables, and what is denied answers 'access."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.q import mounted
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Builtin, Value
from tickloop.tickerplant.database import Database

CONSOLE_ROWS, CONSOLE_COLUMNS = 25, 80
_RANKS = range(1, 9)


class Language:
    """One connection's q session over a database."""

    def __init__(
        self, database: Database, rights: Rights, *, rows: int = CONSOLE_ROWS,
        columns: int = CONSOLE_COLUMNS,
    ) -> None:  # fmt: skip
        self.session = Session(rows=rows, columns=columns, files=rights.outside)
        mounted.mount(self.session, database.root, only=rights.tables)
        self._denied = rights.denied
        self._at_first = self._settings()
        self._names_at_first = dict(self.session.names.plain)

    def _settings(self) -> tuple[object, ...]:
        session = self.session
        return session.namespace, session.precision, session.rows, session.columns

    @property
    def has_state(self) -> bool:
        """Tell whether anything was assigned or set that a new session would not have."""
        names = self.session.names
        return bool(
            names.views or names.plain != self._names_at_first or self._settings() != self._at_first
        )

    def eval(self, text: str) -> Value:
        """Evaluate q text."""
        self._begin()
        return self.session.eval(text)

    def show(self, text: str) -> str:
        """Evaluate q text and give what the console prints."""
        self._begin()
        return self.session.show(text)

    def apply(self, function: Value, arguments: Sequence[Value]) -> Value:
        """Apply a function, or index a value."""
        self._begin()
        return self.session.apply(function, arguments)

    def get(self, name: str) -> Value:
        """Read a global name."""
        return self.session.get(name)

    def interrupt(self) -> None:
        """Stop what runs at its next call or loop; safe from a signal's handler."""
        self.session.interrupted = True

    def _refresh(self) -> None:
        """Show what the database holds by now; a variable of the user's own stays in front."""
        names, known = self.session.names.plain, self._names_at_first
        mine = {}
        if names != known:
            mine = {name: value for name, value in names.items() if known.get(name) is not value}
        if not mounted.refresh(self.session):
            return
        self._names_at_first = dict(names)
        for name in mine:
            self._names_at_first.pop(name, None)
        names.update(mine)

    def _begin(self) -> None:
        self.session.interrupted = False
        self.session.calls = 0
        if _Denied.names != self._denied:
            deny(self._denied)
        self._refresh()


class _Denied:
    """What this process refuses now, and what stood in its place."""

    names: frozenset[str] = frozenset()
    known: ClassVar[dict[str, Builtin]] = {}


def deny(names: frozenset[str]) -> None:
    """Let these built-ins answer 'access, and no others any more.

    A process evaluates for one connection at a time, so what it knows by name can change.
    """
    BUILTINS.update(_Denied.known)
    _Denied.known = {name: BUILTINS[name] for name in names if name in BUILTINS}
    _Denied.names = names
    BUILTINS.update({name: _refusing(name) for name in _Denied.known})


_REFUSALS: dict[str, Builtin] = {}


def _refusing(name: str) -> Builtin:
    found = _REFUSALS.get(name)
    if found is None:
        found = _REFUSALS[name] = Builtin(name, dict.fromkeys(_RANKS, _refusal(name)))
    return found


def _refusal(name: str) -> Callable[..., Value]:
    def refuse(*given: object) -> Value:
        raise QError("access", f"this user may not call {name}; an administrator gives rights")

    return refuse
