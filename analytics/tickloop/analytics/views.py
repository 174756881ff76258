"""Views over mapped columns, spelled for who asks: nulls as NULL, only the rows that count."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tickloop.analytics.arrow_parts import DATE, Dictionaries, tables_of
from tickloop.analytics.pruning import Filter
from tickloop.analytics.trace import Reading, active, traced
from tickloop.core.dialects import duckdb as dialect
from tickloop.core.dialects import postgres
from tickloop.core.schema import Column, Table
from tickloop.tickerplant.database import Snapshot
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.parted import Parted


@dataclass(frozen=True, slots=True)
class Spelled:
    """One column of a view: the raw column that it needs, its type, the SQL that makes it."""

    name: str
    source: str
    type: str
    sql: str


Spelling = Callable[[Table, bool], Sequence[Spelled]]  # of a table and whether sizes are floats
_DATE = Spelled(DATE, DATE, "DATE", dialect.quoted(DATE))


def as_duckdb(table: Table, fractional: bool) -> list[Spelled]:
    """Spell every column in DuckDB's own types, instants to the nanosecond."""
    spelled = [
        Spelled(
            column.name,
            column.name,
            dialect.type_text(column.kind, fractional=fractional),
            dialect.expression(column, fractional=fractional),
        )
        for column in table.columns
    ]
    return spelled if DATE in table.names else [*spelled, _DATE]


def as_postgres(table: Table, fractional: bool) -> list[Spelled]:
    """Spell instants as timestamps with zone, and again as nanoseconds after all else."""
    spelled = [
        Spelled(column.name, column.name, shown.stored, shown.sql)
        for column in table.columns
        for shown in (postgres.shown(column, fractional=fractional),)
    ]
    if DATE not in table.names:
        spelled.append(_DATE)
    for column, extra in postgres.nanoseconds(table):
        spelled.append(Spelled(extra.name, column.name, extra.stored, extra.sql))
    return spelled


class Views:
    """Makes the views that a statement needs, in the connection that runs it."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._dictionaries = Dictionaries()

    def declare(
        self,
        connection: Any,
        snapshot: Snapshot,
        table: Table,
        found: Filter,
        wanted: frozenset[str] | None,
    ) -> None:
        """Make a table's view over the rows that pass; columns that nobody wants are left out."""
        spelled = self._spelling(table, snapshot.fractional)
        if wanted is not None:
            kept = [one for one in spelled if one.name.lower() in wanted]
            spelled = kept if any(one.source != DATE for one in kept) else [spelled[0], *kept]
        sources = {one.source for one in spelled}
        columns = tuple(column for column in table.columns if column.name in sources)
        parts = _parts(snapshot, table, found, columns)
        arrow = tables_of(
            Table(table.name, columns),
            parts,
            with_date=DATE not in table.names,
            dictionaries=self._dictionaries,
        )
        raw = []
        for number, rows in enumerate(arrow):
            raw.append(f"{table.name}#{number}")
            connection.register(raw[-1], rows)
        _create(connection, table, spelled, raw)

    def declare_empty(self, connection: Any, snapshot: Snapshot, table: Table) -> None:
        """Make a table's view without rows: it tells the columns."""
        _create(connection, table, self._spelling(table, snapshot.fractional), ())


def _create(connection: Any, table: Table, spelled: Sequence[Spelled], raw: Sequence[str]) -> None:
    name = dialect.quoted(table.name)
    listed = ", ".join(one.sql for one in spelled)
    # Names are quoted and come from the schema, not from the user.
    selects = [
        f"SELECT {listed} FROM {dialect.quoted(source)}"  # noqa: S608
        for source in raw
    ] or [_no_rows(spelled)]
    connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(selects)}")


def _no_rows(spelled: Sequence[Spelled]) -> str:
    listed = ", ".join(f"NULL::{one.type} AS {dialect.quoted(one.name)}" for one in spelled)
    return f"SELECT {listed} WHERE false"


@traced(
    "parts",
    about=lambda snapshot, table, found, columns: table.name,
    given=lambda snapshot, table, found, columns: sum(
        part.rows for part in snapshot.parts(table.name, columns=())
    ),
    found=lambda parts: sum(part.rows for part in parts),
)
def _parts(
    snapshot: Snapshot, table: Table, found: Filter, columns: Sequence[Column]
) -> list[Part]:
    dates = None if DATE in table.names else found.dates
    names = {column.name for column in columns}
    trace = active()
    if trace is not None:
        everything = [part for part in snapshot.parts(table.name, columns=()) if part.rows]
        sessions = len({part.session for part in everything})
        trace.read(Reading(table.name, len(everything), sessions, DATE, len(table.columns)))
        for column in columns:
            trace.column(column.name)
    kept: list[Part] = []
    for number, part in enumerate(snapshot.parts(table.name, dates=dates, columns=names)):
        some = list(_pruned([part], found.symbols))
        if trace is not None and some:
            trace.part(number, part.session)
        kept += some
    return kept


def _pruned(parts: Iterable[Part], symbols: frozenset[str] | None) -> Iterator[Part]:
    """Leave out rows of other symbols, where a symbol's rows lie together."""
    for part in parts:
        parted = None if symbols is None or "sym" not in part.columns else part.parted
        if symbols is None or parted is None:
            yield part
        else:
            yield from _of_symbols(part, parted, symbols)


def _of_symbols(part: Part, parted: Parted, symbols: frozenset[str]) -> Iterator[Part]:
    names = part.names_of("sym")
    for symbol_id, name in enumerate(names):
        if name in symbols:
            found = parted.rows_of(symbol_id)
            if found.stop > found.start:
                yield part.between(found.start, found.stop)
