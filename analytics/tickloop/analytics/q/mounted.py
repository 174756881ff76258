"""Databases in a session: partitioned tables under their names, and what .Q says of them."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.kdb_source import KdbSource
from tickloop.analytics.q.partitioned import PartitionedTable, Partitions
from tickloop.analytics.q.plant_source import PlantSource
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Dictionary,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_keyed_table,
    items_of,
    long,
    plain,
    symbol,
    symbols,
    vector,
)
from tickloop.tickerplant import manifest


class Source(Protocol):
    """Where tables come from."""

    @property
    def field(self) -> str:
        """The virtual column; nothing where no table is partitioned."""
        ...

    @property
    def kind(self) -> QType:
        """The virtual column's type."""
        ...

    def refresh(self) -> bool:
        """Look anew; tell whether tables, partitions or rows may have changed."""
        ...

    def partitioned(self) -> Mapping[str, tuple[str, ...]]:
        """Give the columns of each partitioned table, without the virtual one."""
        ...

    def partitions(self, table: str) -> Partitions:
        """Give a table's slabs as they were when the source was looked at last."""
        ...

    def others(self) -> Mapping[str, Value]:
        """Give the other values of the database by name: splayed tables, symbol lists."""
        ...


class _Narrowed:
    """Some of a source's tables."""

    def __init__(self, source: Source, only: frozenset[str]) -> None:
        self.field, self.kind = source.field, source.kind
        self.refresh = source.refresh
        self.partitions = source.partitions
        self._source = source
        self._only = only

    def partitioned(self) -> Mapping[str, tuple[str, ...]]:
        """Give the columns of each partitioned table that may be seen."""
        found = self._source.partitioned().items()
        return {name: columns for name, columns in found if name in self._only}

    def others(self) -> Mapping[str, Value]:
        """Give the other tables that may be seen, and the lists that their columns point into."""
        found = self._source.others().items()
        return {
            name: value
            for name, value in found
            if name in self._only or not (isinstance(value, Table) or is_keyed_table(value))
        }


# The keys of the partitions that a session's .Q.view left.
_VIEWS: "weakref.WeakKeyDictionary[object, frozenset[int]]" = weakref.WeakKeyDictionary()
_SOURCES: "weakref.WeakKeyDictionary[object, list[Source]]" = weakref.WeakKeyDictionary()


def mount(session: Interpreter, path: Path, *, only: frozenset[str] | None = None) -> None:
    """Give a session the tables of a kdb+ database, or of a data directory with its live rows.

    With `only`, the other tables do not exist.
    """
    is_plant = (path / manifest.NAME).exists()
    source: Source = PlantSource(path, only) if is_plant else KdbSource(path)
    if only is not None:
        source = _Narrowed(source, only)
    _SOURCES.setdefault(session, []).append(source)
    _publish(session, source)


def refresh(session: Interpreter) -> bool:
    """Look at a session's databases anew, so that the next queries see new rows and dates.

    Tells whether names were set.
    """
    changed = [source for source in _SOURCES.get(session, []) if source.refresh()]
    for source in changed:
        _publish(session, source)
    return bool(changed)


def _publish(session: Interpreter, source: Source) -> None:
    """Set the names of a database: its tables, partitions and symbols."""
    for name, value in source.others().items():
        session.set(name, value)
    tables = source.partitioned()
    for name, columns in tables.items():
        names = (source.field, *(column for column in columns if column != source.field))
        session.set(name, PartitionedTable(name, names, _viewed(session, source)))
    if not source.field:
        return
    values = every = _partition_values(source, list(tables))
    if (chosen := _VIEWS.get(session)) is not None:
        values = vector(source.kind, [key for key in every.data.tolist() if key in chosen])
    session.set(source.field, values)
    session.set(".Q.pf", symbol(source.field))
    session.set(".Q.pv", values)
    session.set(".Q.PV", every)
    session.set(".Q.pt", symbols(sorted(tables)))
    counts = [_counts(source.partitions(name), values) for name in sorted(tables)]
    session.set(".Q.pn", Dictionary(symbols(sorted(tables)), List(tuple(counts))))


def _viewed(session: Interpreter, source: Source) -> Callable[[str], Partitions]:
    """Give a source's partitions by table, those alone that .Q.view chose."""

    def partitions(name: str) -> Partitions:
        every = source.partitions(name)
        chosen = _VIEWS.get(session)
        if chosen is None:
            return every
        slabs = [slab for slab in every.slabs if slab.key in chosen]
        return Partitions(every.kind, every.names, slabs, every.prototype)

    return partitions


@register(".Q.view", rank=1, session=True)
def view(session: Interpreter, values: Value) -> Value:
    """Narrow queries of partitioned tables to some partitions; with :: all are seen again."""
    if not _SOURCES.get(session):
        raise type_error('no database is mounted; system"l directory" mounts one')
    if isinstance(values, Nil) or not count_of(values):
        _VIEWS.pop(session, None)
    else:
        wanted = plain(values)
        keys = items_of(wanted) if isinstance(wanted, Vector) else [wanted]
        if any(not isinstance(key, Atom) or isinstance(key.value, str) for key in keys):
            raise type_error("values of the partition field needed, as in .Q.view 2#date")
        _VIEWS[session] = frozenset(int(key.value) for key in keys if isinstance(key, Atom))
    for source in _SOURCES[session]:
        _publish(session, source)
    return NIL


def _partition_values(source: Source, tables: Sequence[str]) -> Vector:
    keys = {key for name in tables for key in source.partitions(name).keys().data.tolist()}
    return vector(source.kind, sorted(keys))


def _counts(partitions: Partitions, values: Vector) -> Value:
    by_key: dict[int, int] = {}
    for slab in partitions.slabs:
        by_key[slab.key] = by_key.get(slab.key, 0) + slab.rows
    return collect([long(by_key.get(key, 0)) for key in values.data.tolist()])


def splayed(names: Sequence[str], columns: Sequence[Value]) -> Table:
    """Make a table of mapped columns."""
    return Table(tuple(names), tuple(columns))
