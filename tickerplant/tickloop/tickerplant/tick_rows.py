"""What another tickerplant publishes as rows of our tables: names matched, types checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import DAY_NS
from tickloop.core.dialects.numpy import NULL_INT, NULL_LONG
from tickloop.core.errors import FeedError, SchemaError
from tickloop.core.schema import Kind, Table, comes_from_feeds
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.wire_rows import rows_from

_WHERE = "[feed] kdb_names"
_OF_DAY_NS = {
    q.QType.TIMESPAN: 1, q.QType.TIME: 10**6, q.QType.SECOND: 10**9, q.QType.MINUTE: 60 * 10**9,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Plan:
    """A table of theirs: ours that it fills, and for each column of theirs ours, or None."""

    table: Table
    theirs: tuple[str, ...]
    ours: tuple[str | None, ...]


class TickRows:
    """Turns a tickerplant's updates into rows, once it is known which tables it has."""

    def __init__(
        self, catalog: Catalog, symbols: Symbols, names: Mapping[str, str], tables: Sequence[str]
    ) -> None:
        """`names` says what differs, theirs -> ours; `tables` are theirs, all where empty."""
        self._catalog = catalog
        self._symbols = symbols
        self._names = names
        self._tables = tables
        self._plans: dict[str, _Plan] = {}
        self.left_out: list[str] = []

    def learn(self, schemas: Mapping[str, q.Table], where: str) -> None:
        """Match tables and columns; FeedError names the first that has no counterpart."""
        absent = [name for name in self._tables if name not in schemas]
        if absent:
            raise FeedError(f"{where}: no table {absent[0]}; it has {', '.join(schemas) or 'none'}")
        self._plans.clear()
        self.left_out = []
        for name, schema in schemas.items():
            ours = self._names.get(name, name)
            if self._tables and name not in self._tables:
                continue
            # Derived rows name causes by another plant's seqs.
            if ours in self._catalog and comes_from_feeds(self._catalog[ours]):
                self._plans[name] = self._plan(self._catalog[ours], name, schema, where)
            elif self._tables:
                raise FeedError(
                    f"{where}: table {name} has no counterpart here: add one to [tables], or say"
                    f' which it is in {_WHERE}, as {name} = "trade"'
                )
            else:
                self.left_out.append(name)
        if not self._plans:
            raise FeedError(
                f"{where}: none of its tables ({', '.join(schemas)}) is known here: say which is"
                f' which in {_WHERE}, as trades = "trade"'
            )

    def _plan(self, table: Table, name: str, schema: q.Table, where: str) -> _Plan:
        theirs = tuple(schema.names.names)
        ours = tuple(self._ours(table, name, column, theirs, where) for column in theirs)
        if "sym" not in ours:
            raise FeedError(f"{where}: table {name} has no column for sym; name one in {_WHERE}")
        plan = _Plan(table, theirs, ours)
        try:
            self._rows(plan, schema, 0)
        except SchemaError as error:
            raise FeedError(
                f"{where}: table {name} does not fit: {error}; leave the column out in {_WHERE},"
                f' as "{name}.COLUMN" = "", or add a table of your own to [tables]'
            ) from error
        return plan

    def _ours(
        self, table: Table, name: str, column: str, theirs: Sequence[str], where: str
    ) -> str | None:
        ours = self._names.get(f"{name}.{column}", column)
        if ours == "time":
            # The plant gives rows its own time; theirs is kept as the venue's if there is room.
            is_free = "venue_time" in table.names and "venue_time" not in theirs
            return "venue_time" if is_free else None
        if ours in ("", "seq"):
            return None
        if ours not in table.names:
            raise FeedError(
                f"{where}: column {name}.{column} has no counterpart in {table.name}"
                f' ({", ".join(table.names)}): name one in {_WHERE}, as "{name}.{column}" ='
                ' "size", or "" to leave it out'
            )
        return ours

    def rows(self, name: str, data: q.Value, midnight_ns: int) -> Batch | None:
        """Give an update's rows; None for a table that is not wanted. SchemaError if they differ.

        A time of day counts from `midnight_ns`.
        """
        plan = self._plans.get(name)
        return None if plan is None else self._rows(plan, data, midnight_ns)

    def _rows(self, plan: _Plan, data: q.Value, midnight_ns: int) -> Batch:
        values = _columns(plan, data)
        given = {
            ours: _fitting(value, plan.table.column(ours).kind, midnight_ns)
            for ours, value in zip(plan.ours, values, strict=True)
            if ours is not None
        }
        return rows_from(
            plan.table, q.Dictionary(q.symbols(given), q.List(tuple(given.values()))),
            self._symbols, fractional=self._catalog.fractional, today_ns=midnight_ns,
        )  # fmt: skip


def _columns(plan: _Plan, data: q.Value) -> Sequence[q.Value]:
    """Give an update's columns in the order of the schema."""
    if isinstance(data, q.Table):
        found = dict(zip(data.names.names, data.columns, strict=True))
        missing = [name for name in plan.theirs if name not in found]
        if missing or len(found) != len(plan.theirs):
            raise SchemaError(
                f"{plan.table.name}: columns {', '.join(found)} seen,"
                f" {', '.join(plan.theirs)} expected, as the tickerplant told at first"
            )
        return [found[name] for name in plan.theirs]
    values = _items(data)
    if len(values) != len(plan.theirs):
        raise SchemaError(
            f"length: {plan.table.name}: {len(values)} columns seen, {len(plan.theirs)} expected"
        )
    return values


def _items(data: q.Value) -> Sequence[q.Value]:
    if isinstance(data, q.List):
        return data.items
    if isinstance(data, q.Vector):  # a row whose values share one type
        return [q.Atom(data.type, value) for value in data.data.tolist()]
    if isinstance(data, q.SymbolVector):
        return [q.symbol(name) for name in data.names]
    raise SchemaError("type: a list of columns, the values of one row, or a table expected")


def _fitting(value: q.Value, kind: Kind, midnight_ns: int) -> q.Value:
    """Bring what other tickerplants have otherwise into a form that the column takes."""
    if kind is Kind.INSTANT and isinstance(value, q.Vector | q.Atom):
        return _instants(value, midnight_ns)
    if kind is Kind.SYMBOL and isinstance(value, q.Vector) and value.type is q.QType.CHAR:
        names = [b"" if code in (0, 0x20) else bytes([code]) for code in value.data.tolist()]
        return q.SymbolVector(b"".join(name + b"\0" for name in names), len(names))
    if kind is Kind.SYMBOL and isinstance(value, q.Atom) and value.type is q.QType.CHAR:
        return q.symbol((q.text_of(value) or "").strip(" \0"))
    return value


def _instants(value: q.Vector | q.Atom, midnight_ns: int) -> q.Value:
    scale = _OF_DAY_NS.get(value.type)
    is_date = value.type is q.QType.DATE
    if scale is None and not is_date:
        return value
    raw = value.data if isinstance(value, q.Vector) else np.array([value.value])
    longs = raw.astype(np.int64)
    is_null = longs == (NULL_LONG if value.type is q.QType.TIMESPAN else NULL_INT)
    found = longs * DAY_NS if is_date else longs * (scale or 1) + midnight_ns
    return q.vector(q.QType.TIMESTAMP, np.where(is_null, NULL_LONG, found))
