"""q sessions as connections get them: the user's tables, and what is denied answers 'access."""

from collections.abc import Sequence

from tickloop.analytics.gateway.denial import deny
from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.gateway.shared_names import SharedNames
from tickloop.analytics.q import mounted
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Value
from tickloop.tickerplant.database import Database

CONSOLE_ROWS, CONSOLE_COLUMNS = 25, 80


class Language:
    """One connection's q session over a database."""

    def __init__(
        self, database: Database, rights: Rights, *, rows: int = CONSOLE_ROWS,
        columns: int = CONSOLE_COLUMNS,
    ) -> None:  # fmt: skip
        self.session = Session(rows=rows, columns=columns, files=rights.outside)
        mounted.mount(self.session, database.root, only=rights.tables)
        self._rights = rights
        self._at_first = self._settings()
        self._names_at_first = dict(self.session.names.plain)
        self._shared = SharedNames(self.session, database.root, rights, self._names_at_first)

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
        self.begin()
        return self.session.eval(text)

    def show(self, text: str) -> str:
        """Evaluate q text and give what the console prints."""
        self.begin()
        return self.session.show(text)

    def apply(self, function: Value, arguments: Sequence[Value]) -> Value:
        """Apply a function, or index a value."""
        self.begin()
        return self.session.apply(function, arguments)

    def get(self, name: str) -> Value:
        """Read a global name."""
        self.begin()
        return self.session.get(name)

    def interrupt(self) -> None:
        """Stop what runs at its next call or loop; safe from a signal's handler."""
        self.session.interrupted = True

    def begin(self) -> None:
        """Make ready for a question: before anything of it is looked up, what is denied is denied.

        Shows what the database and the shared names are by now.
        """
        self.session.interrupted = False
        self.session.calls = 0
        deny(self._rights.denied, self._rights.verbs_denied)
        self._refresh()

    def _refresh(self) -> None:
        """Look anew at what is not this session's; a variable of its own stays in front."""
        names, known = self.session.names.plain, self._names_at_first
        mine = {}
        if names != known:
            mine = {name: value for name, value in names.items() if known.get(name) is not value}
        is_stale = self._shared.is_stale()
        if not mounted.refresh(self.session) and not is_stale:
            return
        for name in mine.keys() - known.keys():
            del names[name]
        if is_stale:
            for name in mine.keys() & known.keys():
                names[name] = known[name]
            self._shared.load()
        known.clear()
        known.update(names)
        names.update(mine)
