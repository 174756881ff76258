"""`tickloop sql`: ask a live or resting data directory."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import data_option, newest_data
from tickloop.core.errors import DataDirectoryError, QueryError

if TYPE_CHECKING:
    import pyarrow as pa

    from tickloop.analytics.questdb.route import Route
    from tickloop.analytics.sql import SqlSession

_ANY_TIME_S = 86_400.0
_FORMS = ("table", "csv", "json", "parquet")
_WORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "ASOF JOIN", "JOIN", "USING",
    "WITH", "AS", "AND", "OR", "NOT", "BETWEEN", "DESC", "count", "sum", "avg", "min", "max",
    "first", "last", "time_bucket", "INTERVAL", "DESCRIBE", "SHOW TABLES", "EXPLAIN", "OVER",
)  # fmt: skip


@click.command()
@click.argument("statement", metavar="[STATEMENT]", required=False)
@data_option
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default="table", show_default=True,
    help="json prints one object a line; parquet needs --output.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there.")
@click.option(
    "--on", type=click.Choice(("hdb", "questdb")), default="hdb", show_default=True,
    help="Who answers: this directory, or the QuestDB that its sink fills.",
)  # fmt: skip
@click.option("--address", metavar="HOST:PORT", help="QuestDB's HTTP port; else [sinks.questdb].")
@click.option("--memory", default="4GB", show_default=True, help="Memory the query may use.")
def sql(
    statement: str | None, data: Path | None, config_path: Path | None, form: str,
    output: Path | None, on: str, address: str | None, memory: str,
) -> None:  # fmt: skip
    """Ask in SQL (DuckDB's dialect): tables such as trade, quote, depth, book, status.

    Works beside a live run, on what it has captured so far, as on a directory at rest, and on
    any kdb+ database directory. Read-only; times are UTC with nanoseconds. Without a statement it
    is a console, where `;` sends.

    \b
    Examples:
      tickloop sql "SELECT sym, sum(price*size)/sum(size) AS vwap FROM trade GROUP BY sym"
      tickloop sql --data day1 --format csv "SELECT * FROM quote WHERE sym = 'AAPL' LIMIT 5"
      tickloop sql "SELECT t.sym, t.time, price, bid, ask FROM trade t
                    ASOF JOIN quote q ON t.sym = q.sym AND t.time >= q.time"
      tickloop sql --on questdb "SELECT * FROM trade LATEST ON time PARTITION BY sym"
    """
    from tickloop.analytics import result
    from tickloop.analytics.sql import SqlSession
    from tickloop.tickerplant.database import Database

    if form == "parquet" and output is None:
        raise click.UsageError("parquet is for files: add --output FILE")
    if statement is None and not sys.stdin.isatty():
        raise click.UsageError("no STATEMENT seen; write one, or - to read it from a pipe")
    if statement is not None:
        given = sys.stdin.buffer.read() if statement == "-" else os.fsencode(statement)
        statement = _decoded(given)
    root = newest_data(data)
    database = Database(root)
    if database.is_empty:
        raise DataDirectoryError(
            f"{root} holds neither a capture nor a kdb+ database; `tickloop run --data DIR` makes"
            " one to ask"
        )
    session = SqlSession(database, memory=memory)
    asked = _Asked(session, _route(root, config_path, address) if on == "questdb" else None)
    if statement is None:
        _console(asked, form)
        return
    try:
        found = asked.query(statement)
    except KeyboardInterrupt as error:
        asked.interrupt()
        raise QueryError("the query was interrupted") from error
    finally:
        session.close()
    if form == "parquet":
        assert output is not None
        result.write_parquet(found, output)
    elif output is not None:
        with output.open("w", newline="") as file:
            result.write(found, form, file)
    else:
        result.write(found, form, sys.stdout)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who answers: the directory, or QuestDB in its stead."""

    session: "SqlSession"
    route: "Route | None"

    def query(self, text: str) -> "pa.Table":
        """Answer one statement."""
        from tickloop.analytics.sql import in_utc
        from tickloop.analytics.views import as_duckdb

        if self.route is None:
            return self.session.query(text)
        answer = self.route.start(self.session, text, spelling=as_duckdb, here=text)
        try:
            return in_utc(answer.table())
        finally:
            answer.close()

    def interrupt(self) -> None:
        """Stop what runs."""
        self.session.interrupt()
        if self.route is not None:
            self.route.interrupt()


def _route(root: Path, config_path: Path | None, address: str | None) -> "Route":
    from tickloop.analytics.questdb.route import Bounds, Route
    from tickloop.app.gateway_run import questdb_place
    from tickloop.core.config import load

    place = questdb_place(load(config_path))
    if address:
        place = replace(place, address=address)
    return Route(place.server(root), Bounds(timeout_s=_ANY_TIME_S))


def _console(asked: _Asked, form: str) -> None:
    from tickloop.analytics import result
    from tickloop.app.console import is_statement, run_console

    def answer(text: str) -> str:
        return result.text(asked.query(text.strip().rstrip(";")), form)

    def words() -> set[str]:
        tables = asked.session.database.tables
        columns = {name for table in tables.values() for name in table.names}
        return {*_WORDS, *tables, *columns}

    try:
        run_console("sql> ", answer, words, complete=is_statement, interrupt=asked.interrupt)
    finally:
        asked.session.close()


def _decoded(statement: bytes) -> str:
    """Read a statement as UTF-8, whatever the terminal says that it speaks."""
    try:
        return statement.decode()
    except UnicodeDecodeError as error:
        raise QueryError(
            f"byte {error.start} of the statement is {statement[error.start]:#04x}, UTF-8 expected"
        ) from error
