"""Lists made and moved: til, count, first, last, flip, prev, next, fills."""

from collections.abc import Sequence

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.kinds import limited, longs, null_mask, whole_atom
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.selection import null_item, pick, repeated
from tickloop.analytics.q.values import (
    Array,
    Dictionary,
    Enumerated,
    List,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_keyed_table,
    is_list,
    item_at,
    items_of,
    long,
    names_of,
    symbols,
)


@register("til", rank=1)
def til(value: Value) -> Value:
    """Give the whole numbers from 0 on, as many as a count says."""
    count = whole_atom(value)
    if count is None:
        raise type_error("a count needed")
    if count < 0:
        raise QError("domain", f"a count of 0 or more needed, {count} seen")
    return longs(np.arange(limited(count)))


@register("count", "#:", rank=1, shown="#:", aggregate=True)
def count(value: Value) -> Value:
    """Count items, rows or entries; 1 for an atom."""
    return long(count_of(value))


@register("first", "*:", rank=1, shown="*:", aggregate=True)
def first(value: Value) -> Value:
    """Give the first item, row or value; an atom itself."""
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        return value
    return item_at(value, 0) if count_of(value) else null_item(value)


@register("last", rank=1, aggregate=True)
def last(value: Value) -> Value:
    """Give the last item, row or value; an atom itself."""
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        return value
    have = count_of(value)
    return item_at(value, have - 1) if have else null_item(value)


@register("flip", "+:", rank=1, shown="+:")
def flip(value: Value) -> Value:
    """Turn rows into columns, a dictionary of columns into a table and back."""
    if isinstance(value, Table):
        return Dictionary(symbols(value.names), List(value.columns))
    if isinstance(value, Dictionary):
        return _table_of(value)
    if not isinstance(value, List):
        raise QError("rank", "a list of lists, a dictionary of columns or a table needed")
    if not value.items:
        return value
    return List(tuple(transposed(value.items)))


def _table_of(value: Dictionary) -> Table:
    names = names_of(value.keys)
    if is_keyed_table(value) or names is None:
        raise QError("nyi", "flip of a dictionary whose keys are not column names")
    return make_table(names, items_of(value.values))


def make_table(names: Sequence[str], columns: Sequence[Value]) -> Table:
    """Make a table of columns, atoms repeated; 'rank if there are only atoms, 'length."""
    counts = {count_of(column) for column in columns if is_list(column)}
    if not counts:
        raise QError("rank", "only atoms seen; one column at least must be a list: enlist it")
    if len(counts) > 1:
        raise QError("length", f"columns of {min(counts)} and {max(counts)} items seen")
    rows = counts.pop()
    full = [column if is_list(column) else repeated(column, rows) for column in columns]
    return Table(tuple(names), tuple(full))


def transposed(rows: Sequence[Value]) -> list[Value]:
    """Turn rows into columns; atoms are repeated; 'rank without a list, 'length."""
    if all(isinstance(row, Vector) for row in rows):
        kinds = {row.type for row in rows if isinstance(row, Vector)}
        if len(kinds) == 1 and len({len(row) for row in rows if isinstance(row, Vector)}) == 1:
            matrix = np.stack([row.data for row in rows if isinstance(row, Vector)], axis=1)
            kind = kinds.pop()
            return [Vector(kind, np.ascontiguousarray(line)) for line in matrix]
    lists = [row for row in rows if is_list(row) or isinstance(row, Table)]
    if not lists:
        raise QError("rank", "a list of atoms seen, a list of lists needed")
    width = count_of(lists[0])
    if any(count_of(row) != width for row in lists):
        raise QError("length", "rows of different counts seen")
    parts = [
        items_of(row) if is_list(row) or isinstance(row, Table) else [row] * width for row in rows
    ]
    return [collect(column) for column in zip(*parts, strict=True)]


@register("prev", rank=1, uniform=True)
def prev(value: Value) -> Value:
    """Move items one place on; a null comes first."""
    return shifted(value, 1)


@register("next", rank=1, uniform=True)
def next_(value: Value) -> Value:
    """Move items one place back; a null comes last."""
    return shifted(value, -1)


@register("xprev", rank=2, operator=True)
def xprev(left: Value, right: Value) -> Value:
    """Move items some places on, or with a negative count back; nulls come in."""
    places = whole_atom(left)
    if places is None:
        raise type_error("a count needed on the left of xprev")
    return shifted(right, places)


def shifted(value: Value, places: int) -> Value:
    """Move items on, nulls coming in; a dictionary keeps its keys."""
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, shifted(value.values, places))
    if not is_list(value) and not isinstance(value, Table):
        raise type_error("an atom seen, a list needed")
    return pick(value, np.arange(count_of(value)) - places)


@register("fills", rank=1, shown="^\\", uniform=True, session=True)
def fills(session: Interpreter, value: Value) -> Value:
    """Put the last value before it in a null's place."""
    if isinstance(value, Vector):
        return Vector(value.type, value.data[last_known(~null_mask(value))])
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, value.data[last_known(value.data >= 0)])
    if isinstance(value, Table):
        return Table(value.names, tuple(fills(session, column) for column in value.columns))
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, fills(session, value.values))
    items = items_of(value)
    for number in range(1, len(items)):
        items[number] = call(session, "^", items[number - 1], items[number])
    return collect(items) if is_list(value) else value


def last_known(known: Array) -> Array:
    """Give for every position the last known one up to it, itself where there is none."""
    places = np.where(known, np.arange(len(known)), -1)
    found = np.maximum.accumulate(places) if len(places) else places
    return np.where(found < 0, np.arange(len(known)), found)
