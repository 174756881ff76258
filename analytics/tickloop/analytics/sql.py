"""SQL over a database: DuckDB reads the mapped columns, and nothing else on the machine.

A statement sees one snapshot. Only the tables that it names are mapped, and of those only the
columns, dates and symbols that it asks for. Every kdb+ null is NULL; `time` is TIMESTAMP_NS in
UTC, unless the views are spelled otherwise; every table has a column `date`, the session date,
for history and today's rows alike.
"""

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickloop.analytics.declared import Declared, Lent
from tickloop.analytics.direct.answer import DirectAnswer
from tickloop.analytics.direct.plan import Plan
from tickloop.analytics.direct.road import Road
from tickloop.analytics.direct.shape import Constant
from tickloop.analytics.pruning import Node
from tickloop.analytics.query_errors import query_error
from tickloop.analytics.statement import Reading, reading
from tickloop.analytics.views import Spelling, Views, as_duckdb
from tickloop.core.errors import QueryError
from tickloop.core.schema import Table
from tickloop.tickerplant.database import Database, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)? ?[KMGT]i?B")
# In this order: once files are off, no setting that concerns them can be made.
_SETTINGS = (
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    # Global: every statement has a connection of its own.
    "SET GLOBAL TimeZone = 'UTC'",
)
# Texts that a session keeps parsed, and up to what length.
_KEPT = 256
_KEPT_CHARACTERS = 4096
# Rows that are looked at while every other client waits.
_AT_ONCE_ROWS = 1 << 15
_WHOLE_DIVISION = "SET GLOBAL integer_division = true"


class Answer:
    """One statement, bound: its columns are known, and its rows flow once they are asked for.

    One thread at a time, except for `interrupt`. QueryError says what went wrong.
    """

    def __init__(
        self, lent: Lent, relation: Any, tree: Node, tables: Mapping[str, Table], need: Reading
    ) -> None:
        self.tree = tree
        self.columns = tuple(zip(relation.columns, map(str, relation.types), strict=True))
        self._lent = lent
        self._relation = relation
        self._tables = tables
        self._need = need
        self._is_done = False
        self._is_stopped = False

    def table(self) -> "pa.Table":
        """Run the statement to its end."""
        import duckdb

        try:
            found = self._relation.to_arrow_table()
        except duckdb.Error as error:
            raise query_error(error, self._tables, self._need) from error
        self._is_done = True
        return found

    def batches(self, rows: int) -> Iterator["pa.RecordBatch"]:
        """Run the statement as its rows are taken, `rows` of them at a time."""
        import duckdb

        try:
            yield from self._relation.to_arrow_reader(rows)
        except (duckdb.Error, OSError) as error:
            # Arrow gives what DuckDB says in the middle of a stream as an OSError.
            raise query_error(error, self._tables, self._need) from error
        self._is_done = True

    def interrupt(self) -> None:
        """Stop the statement, unless it has ended; taking its rows ends with QueryError."""
        if not self._is_done:
            self._is_stopped = True
            self._lent.connection.interrupt()

    def close(self) -> None:
        """Let the snapshot go; views of a statement that ran to its end serve the next one."""
        self._relation = None
        if self._is_done and not self._is_stopped:
            self._lent.give_back()
        else:
            self._lent.close()


@dataclass(slots=True)
class _Parsed:
    """A statement that was understood; no plan makes it one for DuckDB."""

    statement: str
    tree: Node
    need: Reading
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement would give: its columns with DuckDB's types, and as Arrow has them."""

    columns: tuple[tuple[str, str], ...]
    schema: "pa.Schema"
    tree: Node


class SqlSession:
    """Answers SQL text, read-only. Statements may be started from several threads.

    `spelling` says which columns the views have. With `whole_division`, 7 / 2 is 3 as in
    PostgreSQL. `interrupt` concerns the last statement that was started.
    """

    def __init__(
        self,
        database: Database,
        *,
        threads: int | None = None,
        memory: str | None = None,
        spelling: Spelling = as_duckdb,
        whole_division: bool = False,
    ) -> None:
        import duckdb

        self.database = database
        self._connection = duckdb.connect(":memory:")
        self._running = self._connection
        self._views = Views(spelling)
        self._declared = Declared(self._connection, self._views)
        self._road: Road | None = None
        self._snapshot: Snapshot | None = None
        self._moment: object = None
        self._starting = threading.Lock()
        self._defined: frozenset[str] = frozenset()
        self._functions: frozenset[str] = frozenset()
        self._known: dict[str, _Parsed | None] = {}
        caps = [f"SET threads = {threads:d}"] if threads else []
        caps += [_WHOLE_DIVISION] if whole_division else []
        if memory:
            if not _MEMORY.fullmatch(memory):
                raise QueryError(f"memory {memory!r} seen, a size such as 512MB or 4GB expected")
            caps.append(f"SET memory_limit = '{memory}'")
        try:
            for setting in (*_SETTINGS, *caps, "SET lock_configuration = true"):
                self._connection.execute(setting)
        except duckdb.Error as error:
            raise QueryError(f"memory {memory!r} seen, such as 4GB expected: {error}") from error

    def define(
        self,
        statements: Collection[str],
        tables: Mapping[str, "pa.Table"],
        *,
        functions: Collection[str] = (),
    ) -> None:
        """Run trusted statements, and copy tables in, that every later statement sees.

        `tables` go to the schema `catalogue`; `functions` are table functions that are allowed.
        """
        with self._starting:
            self._connection.execute("CREATE SCHEMA IF NOT EXISTS catalogue")
            for name, rows in tables.items():
                self._connection.register("copied", rows)
                # The names are the program's own.
                self._connection.execute(
                    f'CREATE OR REPLACE TABLE catalogue."{name}" AS FROM copied'
                )
                self._connection.unregister("copied")
            for statement in statements:
                self._connection.execute(statement)
            self._defined |= frozenset(name.lower() for name in tables)
            self._functions |= frozenset(functions)
            self._known.clear()
            self._declared.forget()

    def query(self, text: str) -> "pa.Table":
        """Run one SELECT, WITH, FROM, EXPLAIN, DESCRIBE or SHOW; give an Arrow table.

        Instants come back as timestamps with zone UTC, to the nanosecond. QueryError says what
        DuckDB said, and which tables or columns there are.
        """
        answer = self.start(text)
        try:
            return in_utc(answer.table())
        finally:
            answer.close()

    def start(
        self,
        text: str,
        values: Sequence[Constant] = (),
        *,
        spelled: Callable[[], str] | None = None,
        direct: bool = True,
    ) -> Answer | DirectAnswer:
        """Bind one statement to what the database holds now; nothing runs yet.

        `values` are those of its parameters; `spelled` gives the text with the values in their
        places. Without `direct`, DuckDB answers whatever the statement is.
        """
        if direct:
            with self._starting:
                found = self._directly(text, values, self._pinned())
            if found is not None:
                return found
        # Spelling may ask this session about types.
        text = spelled() if spelled else text
        with self._starting:
            return self._bound(text, self._pinned())

    def start_at_once(self, text: str, values: Sequence[Constant]) -> DirectAnswer | None:
        """Start a statement that was asked before and takes microseconds; None for others.

        Never waits: None as well where another statement is being started.
        """
        if text not in self._known or not self._starting.acquire(blocking=False):
            return None
        try:
            found = self._directly(text, values, self._pinned())
        finally:
            self._starting.release()
        is_quick = found is not None and found.is_short and found.rows_read <= _AT_ONCE_ROWS
        return found if is_quick else None

    def _directly(
        self, text: str, values: Sequence[Constant], snapshot: Snapshot
    ) -> DirectAnswer | None:
        """Answer from the mapped columns, if the statement is as simple as that."""
        import duckdb

        try:
            parsed = self._understood(text, snapshot)
        except (duckdb.Error, QueryError):
            # With its parameters open it may be no statement, or what is wrong is said later.
            self._keep(text, None)
            return None
        if parsed is None or parsed.plan is None or self._road is None:
            return None
        return self._road.start(parsed.plan, parsed.tree, snapshot, values)

    def _bound(self, text: str, snapshot: Snapshot) -> Answer:
        """Bind a statement in DuckDB."""
        import duckdb

        need = Reading({}, None)
        try:
            parsed = self._understood(text, snapshot) or self._parsed(text, snapshot)
            need = parsed.need
            lent = self._declared.lend(snapshot, need, self._defined)
        except duckdb.Error as error:
            raise query_error(error, snapshot.tables, need) from error
        self._running = lent.connection
        try:
            relation = lent.connection.sql(parsed.statement)
            return Answer(lent, relation, parsed.tree, snapshot.tables, need)
        except duckdb.Error as error:
            lent.close()
            raise query_error(error, snapshot.tables, need) from error

    def pinned(self) -> Snapshot:
        """Give what the database holds now."""
        with self._starting:
            return self._pinned()

    def _pinned(self) -> Snapshot:
        """Pin what the database holds now; the same snapshot as before while nothing changed."""
        moment = self.database.moment()
        known = self._snapshot
        # Other databases that are mounted tell of no moment.
        if known is not None and moment == self._moment and not known.mounts:
            return known
        found = self.database.snapshot()
        if known is None or known.tables != found.tables or known.fractional != found.fractional:
            self._known.clear()
        # What changed after the moment was read is found by the next look.
        self._snapshot, self._moment = found, moment
        return found

    def _understood(self, text: str, snapshot: Snapshot) -> _Parsed | None:
        """Parse a statement and find what it reads; what is asked again is parsed once."""
        if text in self._known:
            return self._known[text]
        found = self._parsed(text, snapshot)
        self._keep(text, found)
        return found

    def _keep(self, text: str, found: _Parsed | None) -> None:
        if len(text) <= _KEPT_CHARACTERS:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[text] = found

    def _parsed(self, text: str, snapshot: Snapshot) -> _Parsed:
        statement = _single(text)
        tree = _tree(self._connection, statement)
        need = reading(tree, self._functions)
        if self._road is None:
            found = self._connection.execute("SELECT keyword_name FROM duckdb_keywords()")
            self._road = Road(self._views, frozenset(word for (word,) in found.fetchall()))
        is_plain = _EXPLAIN.match(statement) is None
        plan = self._road.plan(tree, snapshot) if is_plain else None
        return _Parsed(statement, tree, need, plan)

    def shape(self, text: str) -> Shape:
        """Bind one statement over tables without rows; QueryError as for `start`."""
        import duckdb

        with self._starting, self._connection.cursor() as connection:
            snapshot = self.database.snapshot()
            need = Reading({}, None)
            try:
                parsed = self._understood(text, snapshot) or self._parsed(text, snapshot)
                need = parsed.need
                for name, table in snapshot.tables.items():
                    if name.lower() in need.filters:
                        self._views.declare_empty(connection, snapshot, table)
                relation = connection.sql(parsed.statement)
                columns = tuple(zip(relation.columns, map(str, relation.types), strict=True))
                # A limit gives columns of the same name others.
                empty = relation.limit(0).to_arrow_table().rename_columns(relation.columns)
                return Shape(columns, empty.schema, parsed.tree)
            except duckdb.Error as error:
                raise query_error(error, snapshot.tables, need) from error

    def tree(self, text: str) -> Node:
        """Parse a statement to DuckDB's syntax tree, without looking at what it names."""
        import duckdb

        with self._starting, self._connection.cursor() as connection:
            try:
                return _tree(connection, _single(text))
            except duckdb.Error as error:
                raise QueryError(str(error)) from error

    def interrupt(self) -> None:
        """Stop the running query; it ends with QueryError."""
        self._running.interrupt()

    def close(self) -> None:
        """Let the database go."""
        self._declared.close()
        self._connection.close()


def _single(text: str) -> str:
    import duckdb

    statements = duckdb.extract_statements(text)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements seen, one expected")
    statement = statements[0]
    kind = statement.type
    if kind == duckdb.StatementType.EXPLAIN:
        inner = duckdb.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
        kind = inner[0].type if len(inner) == 1 else kind
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(
            f"{kind.name} is not possible: SQL is read-only here (SELECT, WITH, FROM, EXPLAIN,"
            " DESCRIBE, SHOW; spell PIVOT as FROM table PIVOT (...))"
        )
    return str(statement.query)


def _tree(connection: Any, statement: str) -> Node:
    select = _EXPLAIN.sub("", statement, count=1)
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [select]).fetchall()
    tree: Node = json.loads(rows[0][0])
    if tree.get("error", True):
        raise QueryError(f"{tree.get('error_message', 'not understood')}")
    return tree


def in_utc(table: "pa.Table") -> "pa.Table":
    """Say that timestamps are UTC, which DuckDB's plain timestamps do not."""
    import pyarrow as pa

    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            aware = table.column(position).cast(pa.timestamp(column.type.unit, tz="UTC"))
            table = table.set_column(position, column.name, aware)
    return table
