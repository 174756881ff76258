"""Sorting: asc and desc, grades, ranks, and tables by columns."""

import numpy as np

from tickloop.analytics.q.attributes import set_attribute, with_attribute
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.kinds import Positions, longs, whole_atom
from tickloop.analytics.q.order import ascending, dense, descending, sort_rows, sorted_vector
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.selection import pick
from tickloop.analytics.q.table_rows import flat, keyed
from tickloop.analytics.q.taking import column_of
from tickloop.analytics.q.values import (
    Attribute,
    Dictionary,
    Table,
    Value,
    Vector,
    count_of,
    is_keyed_table,
    is_list,
    name_of,
    names_of,
    plain,
    type_of,
)


def _needs_items(value: Value) -> Value:
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        raise QError("rank", "an atom seen, a list, table or dictionary needed")
    return value


@register("iasc", "<:", rank=1, shown="<:")
def iasc(value: Value) -> Value:
    """Give the positions (of a dictionary: the keys) that sort upwards."""
    return _graded(value, ascending(_needs_items(value)))


@register("idesc", ">:", rank=1, shown=">:")
def idesc(value: Value) -> Value:
    """Give the positions (of a dictionary: the keys) that sort downwards."""
    return _graded(value, descending(_needs_items(value)))


def _graded(value: Value, order: Positions) -> Value:
    return pick(value.keys, order) if isinstance(value, Dictionary) else longs(order)


@register("asc", rank=1)
def asc(value: Value) -> Value:
    """Sort upwards; mixed lists type by type. The result is marked as sorted."""
    value = _needs_items(plain(value))
    if isinstance(value, Vector):
        if value.attribute is Attribute.SORTED:
            return value
        return with_attribute(sorted_vector(value, descending=False), Attribute.SORTED)
    return _sorted(value, ascending(value), Attribute.SORTED)


@register("desc", rank=1)
def desc(value: Value) -> Value:
    """Sort downwards."""
    value = _needs_items(plain(value))
    if isinstance(value, Vector):
        return sorted_vector(value, descending=True)
    return _sorted(value, descending(value), Attribute.NONE)


def _sorted(value: Value, order: Positions, attribute: Attribute) -> Value:
    moved = pick(value, order)
    if not attribute:
        return moved
    if isinstance(moved, Dictionary):
        if is_keyed_table(moved):
            assert isinstance(moved.values, Table)
            marked = set_attribute("s", moved.values)
            assert isinstance(marked, Table)
            return Dictionary(moved.keys, Table(marked.names, marked.columns))
        return Dictionary(moved.keys, with_attribute(moved.values, attribute))
    if isinstance(moved, Table):
        return set_attribute("s", moved)
    return with_attribute(moved, attribute) if type_of(moved) else moved


@register("rank", rank=1)
def rank(value: Value) -> Value:
    """Give the position that each item would have in the sorted list."""
    return longs(ranks(value))


def ranks(value: Value) -> Positions:
    """Give the position that each item would have in the sorted list."""
    order = ascending(_needs_items(value))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


@register("xrank", rank=2, operator=True)
def xrank(left: Value, right: Value) -> Value:
    """Put items into as many buckets of equal size, by their order."""
    buckets = whole_atom(left)
    if buckets is None:
        raise type_error("a count of buckets needed on the left of xrank")
    return longs(ranks(right) * buckets // max(count_of(right), 1))


@register("xasc", rank=2, operator=True, session=True)
def xasc(session: Interpreter, left: Value, right: Value) -> Value:
    """Sort a table by columns, upwards; by its name, in place. The first column is marked s#."""
    return _by_columns(session, left, right, descending=False)


@register("xdesc", rank=2, operator=True, session=True)
def xdesc(session: Interpreter, left: Value, right: Value) -> Value:
    """Sort a table by columns, downwards; by its name, in place."""
    return _by_columns(session, left, right, descending=True)


def _by_columns(session: Interpreter, left: Value, right: Value, *, descending: bool) -> Value:
    name = name_of(right)
    if name is not None:
        session.set(name, sort_table(session.get(name), _columns(left), descending=descending))
        return right
    return sort_table(right, _columns(left), descending=descending)


def _columns(value: Value) -> list[str]:
    names = names_of(value)
    if names is None:
        raise type_error("column names needed on the left of xasc and xdesc")
    return names


def sort_table(value: Value, names: list[str], *, descending: bool) -> Value:
    """Sort a table or keyed table by columns, ties as they stood."""
    table = flat(value)
    if not names:
        return value
    columns = [column_of(table, name) for name in names]
    if descending or not _is_sorted(columns):
        grades = [dense(column) for column in columns]
        moved = pick(table, sort_rows(grades, descending=descending))
        assert isinstance(moved, Table)
        table = moved if descending else _marked(moved, names[0])
    if isinstance(value, Dictionary) and isinstance(value.keys, Table):
        return keyed(table, len(value.keys.names))
    return table


def _is_sorted(columns: list[Value]) -> bool:
    """Tell whether a table is known to be sorted by its only column."""
    return len(columns) == 1 and getattr(columns[0], "attribute", None) is Attribute.SORTED


def _marked(table: Table, name: str) -> Table:
    columns = [
        with_attribute(column, Attribute.SORTED) if column_name == name else column
        for column_name, column in zip(table.names, table.columns, strict=True)
    ]
    return Table(table.names, tuple(columns))
