"""SQL over a database: DuckDB reads the mapped columns, and nothing else on the machine.

A statement sees one snapshot. Only the tables that it names are mapped, and of those only the
columns, dates and symbols that it asks for. Every kdb+ null is NULL; `time` is TIMESTAMP_NS in
UTC; every table has a column `date`, the session date, for history and today's rows alike.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tickloop.analytics.arrow_parts import DATE, Dictionaries, tables_of
from tickloop.analytics.pruning import Filter
from tickloop.analytics.statement import Reading, reading
from tickloop.core.dialects import duckdb as dialect
from tickloop.core.errors import QueryError
from tickloop.core.schema import Column, Table
from tickloop.tickerplant.database import Database, Snapshot
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.parted import Parted

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
    "SET TimeZone = 'UTC'",
)


class SqlSession:
    """Answers SQL text, read-only. One thread at a time; `interrupt` may come from another."""

    def __init__(
        self, database: Database, *, threads: int | None = None, memory: str | None = None
    ) -> None:
        import duckdb

        self.database = database
        self._connection = duckdb.connect(":memory:")
        self._running = self._connection
        self._dictionaries = Dictionaries()
        caps = [f"SET threads = {threads:d}"] if threads else []
        if memory:
            if not _MEMORY.fullmatch(memory):
                raise QueryError(f"memory {memory!r} seen, a size such as 512MB or 4GB expected")
            caps.append(f"SET memory_limit = '{memory}'")
        try:
            for setting in (*_SETTINGS, *caps, "SET lock_configuration = true"):
                self._connection.execute(setting)
        except duckdb.Error as error:
            raise QueryError(f"memory {memory!r} seen, such as 4GB expected: {error}") from error

    def query(self, text: str) -> "pa.Table":
        """Run one SELECT, WITH, FROM, EXPLAIN, DESCRIBE or SHOW; give an Arrow table.

        Instants come back as timestamps with zone UTC, to the nanosecond. QueryError says what
        DuckDB said, and which tables or columns there are.
        """
        import duckdb

        snapshot = self.database.snapshot()
        # What a query declares is temporary in its own connection, and goes with it.
        self._running = self._connection.cursor()
        named: Collection[str] = ()
        try:
            statement = self._single(text)
            need = self._reading(statement)
            named = need.filters.keys()
            self._declare(snapshot, need)
            return _in_utc(self._running.sql(statement).to_arrow_table())
        except duckdb.Error as error:
            raise QueryError(_explained(error, snapshot.tables, named)) from error
        finally:
            self._running.close()

    def interrupt(self) -> None:
        """Stop the running query; it ends with QueryError."""
        self._running.interrupt()

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()

    def _single(self, text: str) -> str:
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

    def _reading(self, statement: str) -> Reading:
        select = _EXPLAIN.sub("", statement, count=1)
        rows = self._running.execute("SELECT json_serialize_sql(?::VARCHAR)", [select]).fetchall()
        tree = json.loads(rows[0][0])
        if tree.get("error", True):
            raise QueryError(f"{tree.get('error_message', 'not understood')}")
        return reading(tree)

    def _declare(self, snapshot: Snapshot, need: Reading) -> None:
        """Make a view for every table that is named; for all, without rows, if one is unknown."""
        known = {name.lower(): table for name, table in snapshot.tables.items()}
        for name, found in need.filters.items():
            if name in known:
                self._declare_table(snapshot, known[name], found, need.columns)
        if any(name not in known for name in need.filters) or not need.filters:
            for name, table in known.items():
                if name not in need.filters:
                    self._view(table, table.columns, (), fractional=snapshot.fractional)

    def _declare_table(
        self, snapshot: Snapshot, table: Table, found: Filter, wanted: frozenset[str] | None
    ) -> None:
        columns = table.columns
        if wanted is not None:
            columns = tuple(c for c in columns if c.name.lower() in wanted) or columns[:1]
        names = {column.name for column in columns}
        has_own_date = DATE in table.names
        dates = None if has_own_date else found.dates
        parts = _pruned(snapshot.parts(table.name, dates=dates, columns=names), found.symbols)
        narrow = Table(table.name, columns)
        arrow = tables_of(
            narrow, parts, with_date=not has_own_date, dictionaries=self._dictionaries
        )
        raw = []
        for number, rows in enumerate(arrow):
            raw.append(f"{table.name}#{number}")
            self._running.register(raw[-1], rows)
        self._view(table, columns, raw, fractional=snapshot.fractional)

    def _view(
        self, table: Table, columns: Sequence[Column], raw: Sequence[str], *, fractional: bool
    ) -> None:
        name = dialect.quoted(table.name)
        has_own_date = DATE in table.names
        listed = [dialect.expression(column, fractional=fractional) for column in columns]
        listed += [] if has_own_date else [dialect.quoted(DATE)]
        # Names are quoted and come from the schema, not from the user.
        selects = [
            f"SELECT {', '.join(listed)} FROM {dialect.quoted(source)}"  # noqa: S608
            for source in raw
        ] or [_no_rows(columns, fractional=fractional, with_date=not has_own_date)]
        self._running.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(selects)}")


def _no_rows(columns: Sequence[Column], *, fractional: bool, with_date: bool) -> str:
    listed = [
        f"NULL::{dialect.type_text(column.kind, fractional=fractional)}"
        f" AS {dialect.quoted(column.name)}"
        for column in columns
    ]
    listed += [f"NULL::DATE AS {dialect.quoted(DATE)}"] if with_date else []
    return f"SELECT {', '.join(listed)} WHERE false"


def _pruned(parts: Iterable[Part], symbols: frozenset[str] | None) -> list[Part]:
    """Leave out rows of other symbols, where a symbol's rows lie together."""
    kept: list[Part] = []
    for part in parts:
        parted = None if symbols is None or "sym" not in part.columns else part.parted
        if symbols is None or parted is None:
            kept.append(part)
        else:
            kept.extend(_of_symbols(part, parted, symbols))
    return kept


def _of_symbols(part: Part, parted: Parted, symbols: frozenset[str]) -> Iterable[Part]:
    names = part.names_of("sym")
    for symbol_id, name in enumerate(names):
        if name in symbols:
            found = parted.rows_of(symbol_id)
            if found.stop > found.start:
                yield part.between(found.start, found.stop)


def _in_utc(table: "pa.Table") -> "pa.Table":
    """Say that timestamps are UTC, which DuckDB's plain timestamps do not."""
    import pyarrow as pa

    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            aware = table.column(position).cast(pa.timestamp(column.type.unit, tz="UTC"))
            table = table.set_column(position, column.name, aware)
    return table


def _explained(error: Exception, tables: Mapping[str, Table], named: Collection[str]) -> str:
    """Add what there is to what DuckDB said; it only knows what the statement named."""
    text = str(error)
    if "Table with name" in text:
        return f"{text}\nTables: {', '.join(sorted(tables))}"
    if "Binder Error" in text and "column" in text.lower():
        text = re.sub(r"\nCandidate bindings: .*", "", text)
        listed = [
            f"{name} has: {', '.join((DATE, *table.names))}"
            for name, table in sorted(tables.items())
            if name.lower() in named
        ]
        return "\n".join([text, *listed])
    return text
