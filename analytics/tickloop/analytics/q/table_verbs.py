"""Tables: their columns, keys and types; renamed, reordered, keyed, grouped and ungrouped."""

from collections.abc import Callable, Sequence

import numpy as np

from tickloop.analytics.q.attributes import attribute_of, set_attribute
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import factorize, group
from tickloop.analytics.q.joining import raze
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.selection import pick
from tickloop.analytics.q.table_rows import flat, keyed
from tickloop.analytics.q.taking import column_of
from tickloop.analytics.q.type_letters import letter_of
from tickloop.analytics.q.values import (
    Dictionary,
    Enumerated,
    List,
    Table,
    Value,
    chars,
    collect,
    count_of,
    is_keyed_table,
    is_list,
    items_of,
    name_of,
    names_of,
    symbols,
)

_ATTRIBUTE_LETTERS = ("", "s", "u", "p", "g")


def table_of(session: Interpreter, value: Value) -> Value:
    """Give a table, or the table that a name holds; 'type for anything else."""
    name = name_of(value)
    if name is not None:
        value = session.get(name)
    if not isinstance(value, Table) and not is_keyed_table(value):
        raise type_error("a table, or the name of one, needed")
    return value


def in_place(session: Interpreter, value: Value, change: Callable[[Value], Value]) -> Value:
    """Change a table, or the one that a name holds: then the name is given back."""
    name = name_of(value)
    if name is None:
        return change(table_of(session, value))
    session.set(name, change(table_of(session, value)))
    return value


@register("cols", rank=1, session=True)
def cols(session: Interpreter, value: Value) -> Value:
    """Name the columns of a table, keys first."""
    return symbols(flat(table_of(session, value)).names)


@register("keys", rank=1, session=True)
def keys(session: Interpreter, value: Value) -> Value:
    """Name the key columns of a table."""
    return symbols(key_names(table_of(session, value)))


def key_names(value: Value) -> tuple[str, ...]:
    """Give the names of a table's key columns."""
    if isinstance(value, Dictionary) and isinstance(value.keys, Table):
        return value.keys.names
    return ()


def rekeyed(value: Value, table: Table) -> Value:
    """Give a table as many keys as another has."""
    count = len(key_names(value))
    return keyed(table, count) if count else table


@register("meta", rank=1, session=True)
def meta(session: Interpreter, value: Value) -> Value:
    """Describe a table's columns: type, foreign key, attribute."""
    table = flat(table_of(session, value))
    if isinstance(table, PartitionedTable):
        table = table.sample()
    letters = "".join(letter_of(column) for column in table.columns)
    domains = [_foreign_name(column) for column in table.columns]
    marks = [_ATTRIBUTE_LETTERS[attribute_of(column)] for column in table.columns]
    described = Table(("t", "f", "a"), (chars(letters), symbols(domains), symbols(marks)))
    return Dictionary(Table(("c",), (symbols(table.names),)), described)


def _foreign_name(column: Value) -> str:
    """Name the keyed table that a column points into, nothing for other columns."""
    if isinstance(column, Enumerated) and isinstance(column.domain.target, Dictionary | Table):
        return column.domain.name
    return ""


@register("fkeys", rank=1, session=True)
def fkeys(session: Interpreter, value: Value) -> Value:
    """Map foreign-key columns to the tables that they point into."""
    table = flat(table_of(session, value))
    named = zip(table.names, map(_foreign_name, table.columns), strict=True)
    found = {name: domain for name, domain in named if domain}
    return Dictionary(symbols(found), symbols(found.values()))


@register("xcols", rank=2, operator=True, session=True)
def xcols(session: Interpreter, left: Value, right: Value) -> Value:
    """Put columns first."""
    names = _names(left)
    table = table_of(session, right)
    if not isinstance(table, Table):
        raise type_error("a table without keys needed on the right of xcols")
    order = [*names, *(name for name in table.names if name not in names)]
    return Table(tuple(order), tuple(column_of(table, name) for name in order))


def _names(value: Value) -> list[str]:
    names = names_of(value)
    if names is None:
        raise type_error("column names needed on the left")
    return names


@register("xcol", rank=2, operator=True, session=True)
def xcol(session: Interpreter, left: Value, right: Value) -> Value:
    """Rename the first columns, or by a dictionary those that it names."""
    value = table_of(session, right)
    table = flat(value)
    renamed = _renamed(table, left) if isinstance(left, Dictionary) else _front(table, _names(left))
    return rekeyed(value, Table(tuple(renamed), table.columns))


def _front(table: Table, names: Sequence[str]) -> list[str]:
    if len(names) > len(table.names):
        raise QError("length", f"{len(names)} names seen, the table has {len(table.names)} columns")
    return [*names, *table.names[len(names) :]]


def _renamed(table: Table, changes: Dictionary) -> list[str]:
    old, new = names_of(changes.keys), names_of(changes.values)
    if old is None or new is None:
        raise type_error("a dictionary of column names needed on the left of xcol")
    unknown = [name for name in old if name not in table.names]
    if unknown:
        raise QError("length", f"the table has no column {', '.join(unknown)}")
    names = dict(zip(old, new, strict=True))
    return [names.get(name, name) for name in table.names]


@register("xkey", rank=2, operator=True, session=True)
def xkey(session: Interpreter, left: Value, right: Value) -> Value:
    """Make columns the keys of a table; by its name, in place."""
    names = _names(left)
    return in_place(session, right, lambda value: key_by(flat(value), names))


def key_by(table: Table, names: Sequence[str]) -> Value:
    """Make columns the keys of a table; none unkeys it."""
    if not names:
        return table
    order = [*names, *(name for name in table.names if name not in names)]
    moved = Table(tuple(order), tuple(column_of(table, name) for name in order))
    return keyed(moved, len(names))


@register("xgroup", rank=2, operator=True, session=True)
def xgroup(session: Interpreter, left: Value, right: Value) -> Value:
    """Group a table by columns: the others become lists."""
    names = _names(left)
    return in_place(session, right, lambda value: _grouped(flat(value), names))


def _grouped(table: Table, names: Sequence[str]) -> Value:
    by = Table(tuple(names), tuple(column_of(table, name) for name in names))
    codes = factorize(by)
    groups = group(codes)
    edges = groups.starts.tolist()
    parts = [groups.order[edges[i] : edges[i + 1]] for i in range(len(edges) - 1)]
    others = [name for name in table.names if name not in names]
    lists = tuple(List(tuple(pick(table.column(name), part) for part in parts)) for name in others)
    return Dictionary(pick(by, codes.firsts), Table(tuple(others), lists))


@register("ungroup", rank=1, session=True)
def ungroup(session: Interpreter, value: Value) -> Value:
    """Give every item of a row's lists a row of its own; atoms are repeated."""
    table = flat(table_of(session, value))
    if not len(table):
        return table
    nested = [column for column in table.columns if _is_nested(column)]
    if not nested:
        return table
    counts = np.array([[count_of(i) for i in items_of(column)] for column in nested])
    lists = [[is_list(item) for item in items_of(column)] for column in nested]
    lengths = np.where(lists, counts, 1).max(axis=0, where=np.array(lists), initial=0)
    lengths = np.where(np.any(lists, axis=0), lengths, 1)
    if (np.where(lists, counts, lengths) != lengths).any():
        raise QError("length", "lists of different counts seen in one row")
    rows = np.repeat(np.arange(len(table)), lengths)
    columns = [
        _unrolled(column, lengths.tolist()) if _is_nested(column) else pick(column, rows)
        for column in table.columns
    ]
    return Table(table.names, tuple(columns))


def _is_nested(column: Value) -> bool:
    return isinstance(column, List) and any(is_list(item) for item in column.items)


def _unrolled(column: Value, lengths: list[int]) -> Value:
    parts = [
        item if is_list(item) else collect([item] * length)
        for item, length in zip(items_of(column), lengths, strict=True)
    ]
    return raze(List(tuple(parts)))


@register("tables", rank=1, session=True)
def tables(session: Interpreter, value: Value) -> Value:
    """Name the tables of a namespace, sorted."""
    name = name_of(value)
    space = session.get(name if name and name != "." else ".")
    if not isinstance(space, Dictionary):
        raise type_error("the name of a namespace needed")
    names = names_of(space.keys) or []
    held = zip(names, items_of(space.values), strict=True)
    found = sorted(n for n, item in held if isinstance(item, Table) or is_keyed_table(item))
    return set_attribute("s", symbols(found))
