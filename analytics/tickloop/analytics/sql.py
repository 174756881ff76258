"""SQL over a database: DuckDB reads the mapped columns, and nothing else on the machine.

A statement sees one snapshot. Only the tables that it names are mapped, and of those only the
columns, dates and symbols that it asks for. Every kdb+ null is NULL; `time` is TIMESTAMP_NS in
UTC, unless the views are spelled otherwise; every table has a column `date`, the session date,
for history and today's rows alike.
"""

import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickloop.analytics.arrow_parts import DATE
from tickloop.analytics.pruning import Node
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
_WHOLE_DIVISION = "SET GLOBAL integer_division = true"


class Answer:
    """One statement, bound: its columns are known, and its rows flow once they are asked for.

    One thread at a time, except for `interrupt`. QueryError says what went wrong.
    """

    def __init__(
        self, connection: Any, relation: Any, tree: Node, tables: Mapping[str, Table], need: Reading
    ) -> None:
        self.tree = tree
        self.columns = tuple(zip(relation.columns, map(str, relation.types), strict=True))
        self._connection = connection
        self._relation = relation
        self._tables = tables
        self._need = need

    def table(self) -> "pa.Table":
        """Run the statement to its end."""
        import duckdb

        try:
            return self._relation.to_arrow_table()
        except duckdb.Error as error:
            raise _query_error(error, self._tables, self._need) from error

    def batches(self, rows: int) -> Iterator["pa.RecordBatch"]:
        """Run the statement as its rows are taken, `rows` of them at a time."""
        import duckdb

        try:
            yield from self._relation.to_arrow_reader(rows)
        except (duckdb.Error, OSError) as error:
            # Arrow gives what DuckDB says in the middle of a stream as an OSError.
            raise _query_error(error, self._tables, self._need) from error

    def interrupt(self) -> None:
        """Stop the statement; taking its rows ends with QueryError."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let the snapshot go."""
        self._connection.close()


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
        self._starting = threading.Lock()
        self._defined: frozenset[str] = frozenset()
        self._functions: frozenset[str] = frozenset()
        self._known: dict[str, tuple[str, Node, Reading]] = {}
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

    def start(self, text: str) -> Answer:
        """Bind one statement to what the database holds now; nothing runs yet."""
        import duckdb

        with self._starting:
            snapshot = self.database.snapshot()
            # What a query declares is temporary in its own connection, and goes with it.
            connection = self._running = self._connection.cursor()
            need = Reading({}, None)
            try:
                statement, tree, need = self._understood(connection, text)
                self._declare(connection, snapshot, need)
                relation = connection.sql(statement)
                return Answer(connection, relation, tree, snapshot.tables, need)
            except duckdb.Error as error:
                connection.close()
                raise _query_error(error, snapshot.tables, need) from error
            except QueryError:
                connection.close()
                raise

    def _understood(self, connection: Any, text: str) -> tuple[str, Node, Reading]:
        """Parse a statement and find what it reads; what is asked again is parsed once."""
        known = self._known.get(text)
        if known is not None:
            return known
        statement = _single(text)
        tree = _tree(connection, statement)
        found = statement, tree, reading(tree, self._functions)
        if len(text) <= _KEPT_CHARACTERS:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[text] = found
        return found

    def shape(self, text: str) -> Shape:
        """Bind one statement over tables without rows; QueryError as for `start`."""
        import duckdb

        with self._starting, self._connection.cursor() as connection:
            snapshot = self.database.snapshot()
            need = Reading({}, None)
            try:
                statement, tree, need = self._understood(connection, text)
                for name, table in snapshot.tables.items():
                    if name.lower() in need.filters:
                        self._views.declare_empty(connection, snapshot, table)
                relation = connection.sql(statement)
                columns = tuple(zip(relation.columns, map(str, relation.types), strict=True))
                # A limit gives columns of the same name others.
                empty = relation.limit(0).to_arrow_table().rename_columns(relation.columns)
                return Shape(columns, empty.schema, tree)
            except duckdb.Error as error:
                raise _query_error(error, snapshot.tables, need) from error

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
        self._connection.close()

    def _declare(self, connection: Any, snapshot: Snapshot, need: Reading) -> None:
        """Make a view for every table that is named; for all, without rows, if one is unknown."""
        known = {name.lower(): table for name, table in snapshot.tables.items()}
        for name, found in need.filters.items():
            if name in known:
                self._views.declare(connection, snapshot, known[name], found, need.columns)
        unknown = need.filters.keys() - known.keys() - self._defined
        if unknown or not need.filters:
            for name, table in known.items():
                if name not in need.filters:
                    self._views.declare_empty(connection, snapshot, table)


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


def _query_error(error: Exception, tables: Mapping[str, Table], need: Reading) -> QueryError:
    """Add what there is to what DuckDB said; it only knows what the statement named."""
    text = str(error)
    if "Table with name" in text:
        return QueryError(f"{text}\nTables: {', '.join(sorted(tables))}")
    if "Binder Error" in text and "column" in text.lower():
        text = re.sub(r"\nCandidate bindings: .*", "", text)
        listed = [
            f"{name} has: {', '.join((DATE, *table.names))}"
            for name, table in sorted(tables.items())
            if name.lower() in need.filters
        ]
        return QueryError("\n".join([text, *listed]))
    return QueryError(text)


def in_utc(table: "pa.Table") -> "pa.Table":
    """Say that timestamps are UTC, which DuckDB's plain timestamps do not."""
    import pyarrow as pa

    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            aware = table.column(position).cast(pa.timestamp(column.type.unit, tz="UTC"))
            table = table.set_column(position, column.name, aware)
    return table
