"""One connection's questions: q or SQL over a database, with a user's rights."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tickloop.analytics.gateway.arrow_values import whole_sums
from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.gateway.row_streams import (
    STREAM_CALLS,
    STREAM_NEXT,
    STREAM_Q,
    limited,
    sql_tables,
    sql_values,
)
from tickloop.analytics.gateway.sessions import Language
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Dictionary,
    Nil,
    Value,
    count_of,
    is_function,
)
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.analytics.questdb.place import Place, is_elsewhere
from tickloop.core.errors import QueryError
from tickloop.tickerplant import q_values as wire
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.q_probes import CONTEXT_MARKER, FUNCTION_MARKER, SQL_LOADED

if TYPE_CHECKING:
    import pyarrow as pa

    from tickloop.analytics.questdb.route import Route, RoutedAnswer
    from tickloop.analytics.sql import SqlSession

SQL_PREFIX = "s)"
# SQL from q: text, and text with a list of parameters.
SQL_CALLS = frozenset({".s.e", ".s.sp"})
# SQL to an engine by name: (`.s.on; `questdb; text).
SQL_ON = ".s.on"


class Shared:
    """What a process keeps for all connections that it serves: mapped databases, SQL sessions."""

    def __init__(self, root: Path, questdb: Place | None = None) -> None:
        self._root = root
        self._questdb = questdb or Place()
        self._routes: dict[Rights, Route] = {}
        self._databases: dict[frozenset[str] | None, Database] = {}
        self._sql: dict[Rights, SqlSession] = {}
        self._languages: dict[Rights, Language] = {}

    def database(self, rights: Rights) -> Database:
        """Give the database as a user may see it."""
        found = self._databases.get(rights.tables)
        if found is None:
            found = self._databases[rights.tables] = Database(self._root, only=rights.tables)
        return found

    def language(self, rights: Rights) -> Language:
        """Give a q session as new."""
        found = self._languages.pop(rights, None)
        return Language(self.database(rights), rights) if found is None else found

    def take_back(self, rights: Rights, language: Language) -> None:
        """Keep a session for the next connection if it is as new; mounting one takes a while."""
        if not language.has_state:
            self._languages[rights] = language

    def sql(self, rights: Rights) -> "SqlSession":
        """Give the SQL session for users of the same rights."""
        from tickloop.analytics.sql import SqlSession

        found = self._sql.get(rights)
        if found is None:
            memory = f"{rights.memory_mib * 3 // 4}MiB"
            found = SqlSession(self.database(rights), threads=2, memory=memory)
            self._sql[rights] = found
        return found

    def routed(self, rights: Rights, text: str) -> "RoutedAnswer":
        """Start a question in QuestDB, with the rights of a user."""
        from tickloop.analytics.questdb.route import Bounds, Route
        from tickloop.analytics.views import as_duckdb

        route = self._routes.get(rights)
        if route is None:
            bounds = Bounds(rights.tables, rights.rows, rights.memory_mib, rights.timeout_s)
            route = self._routes[rights] = Route(self._questdb.server(self._root), bounds)
        return route.start(self.sql(rights), text, spelling=as_duckdb, here=text)

    def interrupt(self) -> None:
        """Stop what is asked elsewhere; safe from a signal's handler."""
        for route in self._routes.values():
            route.interrupt()

    def close(self) -> None:
        """Let every database go."""
        for session in self._sql.values():
            session.close()
        self._sql.clear()
        self._databases.clear()
        self._languages.clear()


class Engine:
    """Answers one connection; its variables live as long as it does."""

    def __init__(self, shared: Shared, rights: Rights) -> None:
        self._shared = shared
        self._rights = rights
        self._language: Language | None = None
        self._stream: Iterator[Value] | None = None

    @property
    def has_state(self) -> bool:
        """Tell whether the connection has variables, so that only this engine can go on."""
        return self._stream is not None or self._has_variables

    @property
    def _has_variables(self) -> bool:
        return self._language is not None and self._language.has_state

    def evaluate(self, request: object, user: str) -> wire.Value:
        """Answer a decoded request; QueryError becomes the peer's error."""
        assert isinstance(request, wire.Value), type(request)
        text = wire.text_of(request)
        if text is not None:
            return self.evaluate_text(text)
        probe = self._probe(request)
        if probe is not None:
            return probe
        return to_wire(self._checked(lambda: self._answer(request)))

    def evaluate_text(self, text: str) -> wire.Value:
        """Answer q text, or SQL after `s)`, as it travels."""
        if text == SQL_LOADED:
            return wire.boolean(True)
        return to_wire(self._checked(lambda: self.text(text)))

    def _checked(self, answer: Callable[[], Value]) -> Value:
        """Answer within the user's limits; one who may not assign has nothing left of it."""
        try:
            value = answer()
            self._check(value)
        except BaseException:
            if not self._rights.write and self._has_variables:
                self.forget()
            raise
        return value

    def interrupt(self) -> None:
        """Stop what runs, if it can be stopped; safe from a signal's handler."""
        self._shared.interrupt()
        if self._language is not None:
            self._language.interrupt()

    def forget(self) -> None:
        """Drop every variable, and what is streamed."""
        self._stream = None
        if self._language is not None:
            self._shared.take_back(self._rights, self._language)
        self._language = None

    @property
    def language(self) -> Language:
        """The q session, begun when it is first needed."""
        if self._language is None:
            self._language = self._shared.language(self._rights)
        return self._language

    def _answer(self, request: wire.Value) -> Value:
        name = wire.name_of(request)
        if name is not None:
            return self.language.get(name)
        if isinstance(request, wire.List) and request.items:
            return self._call(request)
        self.language.begin()
        return from_wire(request, self._function)

    def text(self, text: str) -> Value:
        """Answer q text, or SQL after `s)`."""
        if text.startswith(SQL_PREFIX):
            return self.sql(text[len(SQL_PREFIX) :])
        return self.language.eval(text)

    def sql(self, statement: str, on: str = "") -> Value:
        """Answer SQL as a q table; `on` names where."""
        from tickloop.analytics.q.convert_arrow import arrow_value

        return arrow_value(whole_sums(self.sql_table(statement, on)))

    def sql_table(self, statement: str, on: str = "") -> "pa.Table":
        """Answer SQL here, or in QuestDB if `on` says so."""
        if not is_elsewhere(on):
            return self._shared.sql(self._rights).query(statement)
        from tickloop.analytics.sql import in_utc

        answer = self._shared.routed(self._rights, statement)
        try:
            return in_utc(answer.table())
        finally:
            answer.close()

    def _call(self, request: wire.List) -> Value:
        """Apply the first item, a name or q text or a function, to the others."""
        head = wire.text_of(request.items[0]) or wire.name_of(request.items[0])
        if head in SQL_CALLS:
            return self._sql_call(request.items[1:])
        if head == SQL_ON:
            return self._sql_on(request.items[1:])
        if head in STREAM_CALLS:
            return self._stream_call(head, request.items[1:])
        # Functions that travel by number are looked up as well.
        self.language.begin()
        arguments = [from_wire(item, self._function) for item in request.items[1:]]
        if wire.text_of(request.items[0]) is not None:
            function = self.language.eval(head or "")
        elif head is not None:
            function = self.language.get(head)
        else:
            function = from_wire(request.items[0], self._function)
        if not arguments:
            return function
        return self.language.apply(function, arguments)

    def _sql_call(self, arguments: Sequence[wire.Value]) -> Value:
        statement = wire.text_of(arguments[0]) if arguments else None
        if statement is None:
            raise QError("type", "SQL text expected as the first argument")
        if len(arguments) > 1 and wire.count_of(arguments[1]):
            raise QError("nyi", "SQL parameters; write the values into the statement")
        return self.sql(statement)

    def _sql_on(self, arguments: Sequence[wire.Value]) -> Value:
        on = wire.name_of(arguments[0]) if arguments else None
        statement = wire.text_of(arguments[1]) if len(arguments) == 2 else None
        if on is None or statement is None:
            raise QError("type", f"({SQL_ON}; an engine's name; SQL text) expected")
        return self.sql(statement, on)

    # Answers in pieces

    def stream_q(self, text: str, arguments: Sequence[Value], rows: int) -> Iterator[Value]:
        """Answer q text in blocks of at most `rows` rows."""
        from tickloop.analytics.q.row_stream import blocks

        language = self.language
        language.begin()
        return limited(blocks(language.session, text, arguments, rows), self._rights.rows)

    def stream_sql(self, text: str, rows: int) -> "Iterator[pa.Table]":
        """Answer SQL in Arrow tables of at most `rows` rows."""
        return sql_tables(self._shared.sql(self._rights), text, rows)

    def _stream_call(self, call: str, given: Sequence[wire.Value]) -> Value:
        if call == STREAM_NEXT:
            return self._next_block()
        text = wire.text_of(given[0]) if given else None
        rows = from_wire(given[1]) if len(given) > 1 else NIL
        if text is None or not isinstance(rows, Atom) or not isinstance(rows.value, int):
            raise QError("type", f"({call}; text; rows of a block) expected")
        if call == STREAM_Q:
            self.language.begin()
            arguments = [from_wire(item, self._function) for item in given[2:]]
            self._stream = self.stream_q(text, arguments, rows.value)
        else:
            session = self._shared.sql(self._rights)
            self._stream = limited(sql_values(session, text, rows.value), self._rights.rows)
        return NIL

    def _next_block(self) -> Value:
        if self._stream is None:
            raise QError("stream", "nothing is streamed; begin with .stream.q or .stream.sql")
        if self._language is not None:
            self._language.begin()
        try:
            block = next(self._stream, NIL)
        except BaseException:
            self._stream = None
            raise
        if isinstance(block, Nil):
            self._stream = None
        return block

    def _function(self, source: str, namespace: str) -> Value:
        return self.language.eval(source)

    def _check(self, value: Value) -> None:
        if not self._rights.write and self._has_variables:
            raise QError("noupdate", "this user may not assign variables; ask without assigning")
        rows = count_of(value)
        if rows > self._rights.rows:
            raise QError(
                "limit",
                f"{rows:,} rows in the answer, at most {self._rights.rows:,} for this user;"
                " select fewer, or take a part with `sublist`",
            )

    # What clients ask on connecting, before a person asked anything.

    def _probe(self, request: object) -> wire.Value | None:
        if not isinstance(request, wire.List) or len(request.items) != 2:
            return None
        text, name = wire.text_of(request.items[0]), wire.name_of(request.items[1])
        if text is None or name is None:
            return None
        if text.startswith("k)") and CONTEXT_MARKER in text and FUNCTION_MARKER in text:
            return self._kind_of(name)
        if text == "key" and name == ".q":
            return wire.symbols(sorted(filter(str.isalpha, BUILTINS)))
        return None

    def _kind_of(self, name: str) -> wire.Value:
        """Answer PyKX, which asks whether a name is a function, a namespace or data."""
        if name == ".q":
            return wire.symbol(CONTEXT_MARKER)
        if name.startswith(".q.") and name[3:] in BUILTINS:
            return wire.symbol(FUNCTION_MARKER)
        try:
            value = self.language.get(name)
        except QueryError:
            return wire.symbol(CONTEXT_MARKER) if name.count(".") == 1 else wire.IDENTITY
        if is_function(value):
            return wire.symbol(FUNCTION_MARKER)
        if isinstance(value, Dictionary) and name.startswith("."):
            return wire.symbol(CONTEXT_MARKER)
        return to_wire(self._checked(lambda: value))


def shown(request: wire.Value) -> str:
    """Spell a request in one line, for a log."""
    text = wire.text_of(request) or wire.name_of(request)
    if text is None and isinstance(request, wire.List) and request.items:
        head = wire.text_of(request.items[0]) or wire.name_of(request.items[0])
        if head is None and isinstance(request.items[0], wire.Lambda):
            head = request.items[0].source
        if head in STREAM_CALLS and len(request.items) > 1:
            asked = wire.text_of(request.items[1])
            return f"{head} {asked or ''}".strip()[:2000]
        text = f"({head or 'a value'}; {len(request.items) - 1} arguments)"
    return (text or "a value")[:2000]
