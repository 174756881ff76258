"""Views over mapped columns, spelled for who asks: nulls as NULL, only the rows that count."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickloop.analytics.arrow_parts import DATE, Dictionaries, tables_of
from tickloop.analytics.pruning import Filter
from tickloop.analytics.trace import Reading, active, traced
from tickloop.core.dialects import duckdb as dialect
from tickloop.core.dialects import postgres
from tickloop.core.schema import Column, Table
from tickloop.tickerplant.database import Snapshot
from tickloop.tickerplant.part import Part

if TYPE_CHECKING:
    import pyarrow as pa


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


@dataclass(slots=True)
class View:
    """A view as it stands in a connection: the names of its raw rows, and where these lie."""

    table: Table
    raw: list[str]
    rows: "list[tuple[object, pa.Table]]"


class Views:
    """Makes the views that a statement needs, in the connection that runs it."""

    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling
        self.dictionaries = Dictionaries()

    def declare(
        self,
        connection: Any,
        snapshot: Snapshot,
        table: Table,
        found: Filter,
        wanted: frozenset[str] | None,
    ) -> "View":
        """Make a table's view over the rows that pass; columns that nobody wants are left out."""
        spelled = self._spelled(snapshot, table, wanted)
        arrow = self._rows(snapshot, table, found, spelled)
        raw = [f"{table.name}#{number}" for number in range(len(arrow))]
        for name, (_, rows) in zip(raw, arrow, strict=True):
            connection.register(name, rows)
        _create(connection, table, spelled, raw)
        return View(table, raw, arrow)

    def renew(
        self,
        connection: Any,
        snapshot: Snapshot,
        view: "View",
        found: Filter,
        wanted: frozenset[str] | None,
    ) -> bool:
        """Give a view a newer snapshot's rows; False if the view would have to be another one."""
        arrow = self._rows(snapshot, view.table, found, self._spelled(snapshot, view.table, wanted))
        if [rows.schema for _, rows in arrow] != [rows.schema for _, rows in view.rows]:
            return False
        for name, new, old in zip(view.raw, arrow, view.rows, strict=True):
            if new[0] != old[0]:
                connection.register(name, new[1])
        view.rows = arrow
        return True

    def _spelled(
        self, snapshot: Snapshot, table: Table, wanted: frozenset[str] | None
    ) -> Sequence[Spelled]:
        spelled = self.spelling(table, snapshot.fractional)
        if wanted is None:
            return spelled
        kept = [one for one in spelled if one.name.lower() in wanted]
        return kept if any(one.source != DATE for one in kept) else [spelled[0], *kept]

    def _rows(
        self, snapshot: Snapshot, table: Table, found: Filter, spelled: Sequence[Spelled]
    ) -> "list[tuple[object, pa.Table]]":
        """Give the raw columns, each storage form with what tells where its parts lie."""
        sources = {one.source for one in spelled}
        columns = tuple(column for column in table.columns if column.name in sources)
        return tables_of(
            Table(table.name, columns),
            parts_of(snapshot, table, found, columns, self.dictionaries),
            with_date=DATE not in table.names,
            dictionaries=self.dictionaries,
        )

    def declare_empty(self, connection: Any, snapshot: Snapshot, table: Table) -> None:
        """Make a table's view without rows: it tells the columns."""
        _create(connection, table, self.spelling(table, snapshot.fractional), ())


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
    about=lambda snapshot, table, *_: table.name,
    given=lambda snapshot, table, *_: sum(
        part.rows for part in snapshot.parts(table.name, columns=())
    ),
    found=lambda parts: sum(part.rows for part in parts),
)
def parts_of(
    snapshot: Snapshot,
    table: Table,
    found: Filter,
    columns: Sequence[Column],
    dictionaries: Dictionaries,
) -> list[Part]:
    """List the parts of a table that can pass a filter, cut to its symbols where they lie so."""
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
        some = list(_pruned(part, found.symbols, dictionaries))
        if trace is not None and some:
            trace.part(number, part.session)
        kept += some
    return kept


def _pruned(
    part: Part, symbols: frozenset[str] | None, dictionaries: Dictionaries
) -> Iterator[Part]:
    """Leave out rows of other symbols, where a symbol's rows lie together."""
    parted = None if symbols is None or "sym" not in part.columns else part.parted
    if symbols is None or parted is None:
        yield part
        return
    ids = dictionaries.ids(part.names_of("sym"))
    for symbol_id in sorted(one for symbol in symbols for one in ids.get(symbol, ())):
        found = parted.rows_of(symbol_id)
        if found.stop > found.start:
            yield part.between(found.start, found.stop)
