"""A kdb+ tickerplant's tables, asked before the first row: which of ours fill which of theirs.

A tickerplant tells a publisher whose rows it cannot take nothing, or an error when it is too
late; so names and types are compared at once, and what does not fit is refused with a sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tickloop.core.catalog import Catalog
from tickloop.core.dialects import q as q_dialect
from tickloop.core.errors import QueryError, SinkError
from tickloop.core.schema import LOG_NAMES, Table
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.sinks.kdb_columns import TEXT, Sent, can_send

_WHERE = "[sinks.kdb.names]"


@dataclass(frozen=True, slots=True)
class Target:
    """A table of the tickerplant's, and the columns that it is sent."""

    name: str
    table: Table  # ours
    columns: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """Which names differ: theirs -> ours, TABLE or TABLE.COLUMN; an empty column stands for null.

    `stamped` leaves the first column to the tickerplant, which puts its own time there.
    """

    names: Mapping[str, str]
    tables: str  # ours, divided by spaces; empty: all that the tickerplant has too
    stamped: bool


def targets(client: QClient, catalog: Catalog, matching: Matching, where: str) -> list[Target]:
    """Ask what the tickerplant has; SinkError names the first thing that does not fit."""
    theirs = _names(_asked(client, "tables[]", where), where)
    found = [
        _target(client, catalog, matching, table, name, where)
        for table, name in _pairs(catalog, matching, theirs, where)
    ]
    if not found:
        raise SinkError(
            f"{where} has the tables {', '.join(theirs) or 'none'}, none of ours by name:"
            f' say which is which in {_WHERE}, as trades = "trade"'
        )
    return found


def _asked(client: QClient, request: q.Value | str, where: str) -> q.Value:
    try:
        return client.call(request)
    except QueryError as error:
        raise SinkError(
            f"{where} answers {error} where its tables were asked for; a kdb+ tickerplant that"
            " lets this user ask `tables[]` and `meta` is expected"
        ) from error


def _names(value: q.Value, where: str) -> list[str]:
    names = q.names_of(value)
    if names is None:
        raise SinkError(f"{where} names no tables: a kdb+ tickerplant is expected there")
    return names


def _pairs(
    catalog: Catalog, matching: Matching, theirs: list[str], where: str
) -> list[tuple[Table, str]]:
    """Match our tables with theirs."""
    renamed = {ours: name for name, ours in matching.names.items() if "." not in name}
    wanted = matching.tables.split()
    unknown = [name for name in [*wanted, *renamed] if name not in catalog]
    if unknown:
        raise SinkError(
            f"[sinks.kdb]: no table {unknown[0]!r} here; there are {', '.join(catalog.by_name)}"
        )
    pairs = []
    for table in catalog:
        name = renamed.get(table.name, table.name)
        is_sent = table.name in wanted if wanted else table.name in renamed or name in theirs
        if is_sent:
            if name not in theirs:
                raise SinkError(
                    f"{where} has no table {name}: define it there, as {q_dialect.empty(table)},"
                    f" or say in {_WHERE} which of {', '.join(theirs)} it is"
                )
            if wanted or table.name not in LOG_NAMES:
                pairs.append((table, name))
    return pairs


def _target(
    client: QClient, catalog: Catalog, matching: Matching, table: Table, name: str, where: str
) -> Target:
    meta = _asked(client, q.items(q.chars("meta"), q.symbol(name)), where)
    columns = [
        _sent(catalog, matching, table, name, column, letter)
        for column, letter in _columns(meta, name, where)[int(matching.stamped) :]
    ]
    return Target(name, table, tuple(columns))


def _columns(meta: q.Value, name: str, where: str) -> list[tuple[str, str]]:
    """Read what `meta` answers: columns c, type letters t."""
    if (
        isinstance(meta, q.Dictionary)
        and isinstance(meta.keys, q.Table)
        and isinstance(meta.values, q.Table)
    ):
        columns = q.names_of(meta.keys.columns[0])
        letters = q.text_of(meta.values.columns[0])
        if columns is not None and letters is not None and len(columns) == len(letters):
            # An empty list of strings has no type yet.
            return [(c, TEXT if t == " " else t) for c, t in zip(columns, letters, strict=True)]
    raise SinkError(f"{where} answers something else than a table's columns to meta `{name}")


def _sent(
    catalog: Catalog, matching: Matching, table: Table, name: str, column: str, letter: str
) -> Sent:
    ours = matching.names.get(f"{name}.{column}", column)
    if not ours:
        return Sent(column, letter, None)
    if ours not in table.names:
        raise SinkError(
            f"column {name}.{column} of the tickerplant has no counterpart in {table.name}"
            f' ({", ".join(table.names)}): name one in {_WHERE}, as "{name}.{column}" = "size",'
            ' or "" for nulls'
        )
    source = table.column(ours)
    if not can_send(source.kind, letter, fractional=catalog.fractional):
        kind = q_dialect.type_name(source.kind, fractional=catalog.fractional) or "string"
        raise SinkError(
            f"column {name}.{column} of the tickerplant has q type {letter!r}, {table.name}.{ours}"
            f" is a {kind}, which cannot be sent as one: change the type there, or name another"
            f" column in {_WHERE}"
        )
    return Sent(column, letter, source)
