"""Statements of the Postgres wire over a SQL session, in whatever thread or process calls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tickloop.analytics.direct.answer import DirectAnswer
from tickloop.analytics.direct.shape import Constant
from tickloop.analytics.pg import catalogue, functions, questdb_sql
from tickloop.analytics.pg.failures import PgError, SqlState, failure_of
from tickloop.analytics.pg.literals import bound, typed
from tickloop.analytics.pg.parameter_types import inferred
from tickloop.analytics.pg.postgres_sql import in_duckdb
from tickloop.analytics.pg.result_names import result_names
from tickloop.analytics.pg.statements import Described, Parameter, Question, ResultColumn
from tickloop.analytics.pg.tokens import parameter_count, tokens_of
from tickloop.analytics.pg.values_in import items_of_text
from tickloop.analytics.questdb.place import HERE
from tickloop.analytics.sql import Answer, SqlSession
from tickloop.analytics.views import as_postgres
from tickloop.core.errors import QueryError
from tickloop.core.schema import Table
from tickloop.tickerplant.database import Database

if TYPE_CHECKING:
    import pyarrow as pa

    from tickloop.analytics.questdb.route import Route, RoutedAnswer

BATCH_ROWS = 16_384
# Statements whose text is kept, and up to what length.
_KEPT = 1024
_KEPT_CHARACTERS = 4096
_PLAN = ("explain_key", "explain_value")


class Running:
    """A statement that was bound; rows flow as `batches` is walked. One thread at a time."""

    def __init__(self, answer: "Answer | DirectAnswer | RoutedAnswer", statement: str) -> None:
        self._answer = answer
        self._statement = statement
        names = [name for name, _ in answer.columns]
        self._is_plan = tuple(names) == _PLAN
        kinds = [kind for _, kind in answer.columns]
        shown = ["QUERY PLAN"] if self._is_plan else result_names(answer.tree, names)
        self.columns = tuple(
            ResultColumn(name, kind) for name, kind in zip(shown, kinds, strict=False)
        )

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """Give the rows; PgError if the statement fails."""
        try:
            for batch in self._answer.batches(BATCH_ROWS):
                yield _plan(batch) if self._is_plan else batch
        except QueryError as error:
            raise failure_of(error, self._statement) from error

    def interrupt(self) -> None:
        """Stop; may be called from any thread."""
        self._answer.interrupt()

    def close(self) -> None:
        """Let the snapshot go."""
        self._answer.close()


class SqlRunner:
    """Describes and starts statements over one database; from several threads if need be."""

    def __init__(
        self, database: Database, *, threads: int | None = None, memory: str | None = None,
        route: "Callable[[], Route] | None" = None,
    ) -> None:  # fmt: skip
        """`route` opens what answers sessions whose `tickloop.engine` is not this database."""
        self._open_route = route
        self._route: Route | None = None
        self._session = SqlSession(
            database, threads=threads, memory=memory, spelling=as_postgres, whole_division=True
        )
        self._known: tuple[Mapping[str, Table], bool] = ({}, False)
        self._columns: dict[str, dict[str, str]] = {}
        # Statements in which nothing is to be translated, whatever a client's settings are.
        self._translations: dict[str, str] = {}
        self._system = frozenset(catalogue.system_tables())
        self._refresh()
        self._session.define(functions.statements(), {}, functions=functions.TABLE_FUNCTIONS)

    def describe(self, question: Question) -> Described:
        """Find the types of parameters and columns."""
        if self._is_routed(question):
            return self._describe_routed(question)
        sql = self._translated(question)
        try:
            count = max(parameter_count(sql), len(question.parameters))
            given = [parameter.type for parameter in question.parameters]
            types = [*given, *[""] * (count - len(given))]
            if not all(types):
                found = inferred(self._session.tree(sql), self._columns)
                types = [kind or found.get(at, "VARCHAR") for at, kind in enumerate(types, start=1)]
            answer = self._session.start(typed(sql, tuple(types)))
        except QueryError as error:
            raise failure_of(error, question.text) from error
        except RecursionError as error:
            raise _too_deep() from error
        running = Running(answer, question.text)
        running.close()
        return Described(tuple(types), running.columns)

    def start(self, question: Question) -> Running:
        """Bind a statement to its values and to what the database holds now."""
        if self._is_routed(question):
            return self._start_routed(question)
        sql = self._translated(question)

        def spelled() -> str:
            return bound(sql, self._with_lists(sql, question.parameters))

        try:
            values = _constants(question.parameters)
            if values is None:
                return Running(self._session.start(spelled()), question.text)
            return Running(self._session.start(sql, values, spelled=spelled), question.text)
        except QueryError as error:
            raise failure_of(error, question.text) from error
        except RecursionError as error:
            raise _too_deep() from error

    def start_at_once(self, question: Question) -> Running | None:
        """Start a statement that takes microseconds and waits for nothing; None for others."""
        if self._is_routed(question):
            return None
        sql = self._translations.get(question.text)
        values = _constants(question.parameters)
        if sql is None or values is None:
            return None
        answer = self._session.start_at_once(sql, values)
        return None if answer is None else Running(answer, question.text)

    def close(self) -> None:
        """Let the database go."""
        self._session.close()

    # Questions to another engine: those that read tables, and none of the catalogue.

    def _is_routed(self, question: Question) -> bool:
        if question.settings.get("tickloop.engine", HERE) == HERE:
            return False
        words = {token.name for token in tokens_of(question.text)}
        first = next((token.word for token in tokens_of(question.text) if token.text != "("), "")
        return (
            first in ("select", "with", "from", "explain")
            and "from" in words
            and not any(word.startswith(("pg_", "information_schema")) for word in words)
        )

    def _describe_routed(self, question: Question) -> Described:
        """Find types; of parameters as here, or texts where only the other engine knows."""
        count = max(parameter_count(question.text), len(question.parameters))
        try:
            given = self.describe(replace(question, settings={})).parameters
        except PgError:
            given = ("VARCHAR",) * count
        running = self._start_routed(replace(question, text=typed(question.text, given)))
        running.close()
        return Described(given, running.columns)

    def _start_routed(self, question: Question) -> Running:
        if self._route is None:
            if self._open_route is None:
                raise PgError(SqlState.FEATURE_NOT_SUPPORTED, "there is no QuestDB to ask here")
            self._route = self._open_route()
        try:
            parameters = question.parameters
            try:
                here = bound(self._translated(question), parameters)
            except (PgError, QueryError):
                here = None
            text = bound(question.text, parameters) if parameters else question.text
            answer = self._route.start(self._session, text, spelling=as_postgres, here=here)
            return Running(answer, question.text)
        except QueryError as error:
            raise failure_of(error, question.text) from error

    def _with_lists(self, sql: str, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        """Read texts such as {a,b} as lists, where a list is what the statement wants.

        Any other type is read from a text by DuckDB itself.
        """
        if not any(_may_be_list(parameter) for parameter in parameters):
            return parameters
        found = inferred(self._session.tree(sql), self._columns)
        return tuple(
            Parameter(kind, items_of_text(str(parameter.value)))
            if _may_be_list(parameter) and (kind := found.get(at, "")).endswith("[]")
            else parameter
            for at, parameter in enumerate(parameters, start=1)
        )

    def _translated(self, question: Question) -> str:
        """Give the statement as DuckDB reads it; one that depends on no setting is kept."""
        self._refresh()
        known = self._translations.get(question.text)
        if known is not None:
            return known
        sampled = questdb_sql.rewritten(question.text, self._columns_of)
        made = in_duckdb(sampled, question.settings, self._system)
        if made == question.text and len(made) <= _KEPT_CHARACTERS:
            if len(self._translations) >= _KEPT:
                self._translations.clear()
            self._translations[made] = made
        return made

    def _columns_of(self, table: str) -> Sequence[str]:
        return tuple(self._columns.get(table, ()))

    def _refresh(self) -> None:
        """Make the catalogue anew when the database's tables are others."""
        snapshot = self._session.pinned()
        if snapshot.tables == self._known[0] and snapshot.fractional == self._known[1]:
            return
        self._known = (snapshot.tables, snapshot.fractional)
        self._translations.clear()
        self._columns = {
            table.name.lower(): {
                one.name.lower(): one.type for one in as_postgres(table, snapshot.fractional)
            }
            for table in snapshot.tables.values()
        }
        made = catalogue.tables_of(snapshot.tables.values(), fractional=snapshot.fractional)
        self._session.define((), made)


def _too_deep() -> PgError:
    return PgError(SqlState.TOO_COMPLEX, "the statement is nested too deeply")


def _may_be_list(parameter: Parameter) -> bool:
    value = parameter.value
    return not parameter.type and isinstance(value, str) and value.startswith("{")


def _constants(parameters: Sequence[Parameter]) -> list[Constant] | None:
    """Give values as statements without DuckDB take them; None where one is nothing for them."""
    found = []
    for parameter in parameters:
        if not isinstance(parameter.value, str):
            return None
        text = parameter.value.strip() if parameter.type == "NUMERIC" else parameter.value
        found.append(Constant(parameter.type or "STRING", text))
    return found


def _plan(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Give a plan a row for each of its lines."""
    import pyarrow as pa

    lines = [line for text in batch.column(1).to_pylist() for line in text.splitlines()]
    return pa.record_batch({"QUERY PLAN": lines})


__all__ = ["BATCH_ROWS", "PgError", "Running", "SqlRunner"]
