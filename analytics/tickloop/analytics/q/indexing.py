"""Indexing at any depth: x[i], x[i;j], out of range gives nulls."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.ranks import has_missing
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Atom,
    Attribute,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Missing,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_atom,
    is_keyed_table,
    item_at,
    items_of,
    names_of,
    null,
    plain,
    symbols,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

WHOLE = frozenset((QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.LONG))
Indexes = Sequence[Value]


def index(session: "Session", value: Value, indexes: Indexes) -> Value:
    """Index a list, dictionary or table, one index for each level; `::` takes a whole level."""
    if has_missing(indexes):
        indexes = [Nil() if isinstance(item, Missing) else item for item in indexes]
    first = indexes[0]
    if len(indexes) == 1:
        return at(session, value, first)
    return _deep(session, value, first, indexes[1:])


def _deep(session: "Session", value: Value, first: Value, rest: Indexes) -> Value:
    if isinstance(value, Table):
        return _cells(session, value, first, rest)
    if isinstance(first, Nil):
        if isinstance(value, Dictionary) and not is_keyed_table(value):
            return Dictionary(value.keys, _deep(session, value.values, first, rest))
        return _each(session, value, items_of(value), rest)
    chosen = at(session, value, first)
    if _is_one(value, first):
        return _further(session, chosen, rest)
    if isinstance(chosen, Table):
        return _deep(session, chosen, Nil(), rest)
    return _each(session, value, items_of(chosen), rest)


def _each(session: "Session", value: Value, chosen: Sequence[Value], rest: Indexes) -> Value:
    return collect([_further(session, item, rest) for item in chosen])


def _further(session: "Session", item: Value, rest: Indexes) -> Value:
    if is_atom(item):
        raise QError("rank", "more indexes than the list is deep")
    return session.apply(item, rest)


def _is_one(value: Value, first: Value) -> bool:
    """Tell whether an index chooses one item rather than several."""
    if isinstance(value, Dictionary) and is_keyed_table(value):
        return not isinstance(first, Table) and not (
            isinstance(first, List) and any(count_of(item) > 1 for item in first)
        )
    if isinstance(value, Dictionary) and isinstance(value.keys, List):
        return True
    return isinstance(first, Atom | EnumeratedAtom)


def _cells(session: "Session", table: Table, first: Value, rest: Indexes) -> Value:
    """Index a table by rows and columns: the columns are chosen first."""
    if names_of(first) is not None and not isinstance(first, List):
        return session.apply(at(session, table, first), rest)
    columns, deeper = rest[0], rest[1:]
    if isinstance(columns, Nil):
        chosen = at(session, table, first)
        return chosen if not deeper else session.apply(chosen, [columns, *deeper])
    names = names_of(columns)
    if names is None:
        raise QError("type", "t[rows;columns] needs symbols as columns")
    cells = [at(session, column_of(table, name), first) for name in names]
    if isinstance(plain(columns), Atom):
        return cells[0] if not deeper else session.apply(cells[0], deeper)
    if isinstance(first, Atom):
        return collect(cells)
    return Table(tuple(names), tuple(cells)) if _keeps_table(first) else List(tuple(cells))


def _keeps_table(first: Value) -> bool:
    return isinstance(first, Vector | Nil)


def column_of(table: Table, name: str) -> Value:
    """Give a column; QError named by it if the table has none."""
    try:
        return table.column(name)
    except KeyError:
        raise QError(name, f"the table has the columns {', '.join(table.names)}") from None


def at(session: "Session", value: Value, position: Value) -> Value:
    """Index a value by one index, an atom or a list of any shape."""
    if isinstance(position, Nil):
        return value
    if isinstance(value, Dictionary):
        return _lookup(session, value, position)
    position = plain(position)
    if isinstance(value, Table) and isinstance(position, Atom | Vector):
        names = names_of(position)
        if names is not None:
            return _columns(value, position, names)
    if isinstance(position, Atom):
        return _one(value, position)
    if isinstance(position, Vector):
        return _several(value, position)
    return _shaped(session, value, position)


def _columns(table: Table, position: Value, names: Sequence[str]) -> Value:
    columns = [column_of(table, name) for name in names]
    return columns[0] if isinstance(position, Atom) else collect(columns)


def _shaped(session: "Session", value: Value, position: Value) -> Value:
    """Index by a list of lists, a dictionary or a table: the result has its shape."""
    if isinstance(position, List):
        if not position.items and not isinstance(value, Table):
            return _several(value, Vector(QType.LONG, np.zeros(0, np.int64)))
        return collect([at(session, value, item) for item in position])
    if isinstance(position, Dictionary) and not is_keyed_table(position):
        return Dictionary(position.keys, at(session, value, position.values))
    if isinstance(position, Table):
        columns = [at(session, value, column) for column in position.columns]
        return Table(position.names, tuple(columns))
    raise QError("type", "an index is a number or numbers")


def _one(value: Value, position: Atom) -> Value:
    if position.type not in WHOLE:
        raise QError("type", f"a list is indexed by integers, {position.type.name.lower()} seen")
    number = int(position.value)
    if 0 <= number < count_of(value):
        return item_at(value, number)
    return null_item(value)


def null_item(value: Value) -> Value:
    """Give what a list has out of its range: a null like its items."""
    if isinstance(value, Vector):
        return null(value.type)
    if isinstance(value, Enumerated):
        return EnumeratedAtom(value.domain, -1)
    if isinstance(value, Table):
        nulls = [null_item(column) for column in value.columns]
        return Dictionary(symbols(value.names), collect(nulls))
    if isinstance(value, List) and value.items:
        return null_like(value.items[0])
    return List(())


def null_like(item: Value) -> Value:
    """Give the null of an item: an atom's null, an empty list of a list's type."""
    if isinstance(item, Atom):
        return null(item.type)
    if isinstance(item, EnumeratedAtom):
        return EnumeratedAtom(item.domain, -1)
    if isinstance(item, Vector):
        return Vector(item.type, np.zeros(0, dtype=DTYPES[item.type]))
    if isinstance(item, Dictionary):
        values = [null_like(each) for each in items_of(item.values)]
        return Dictionary(item.keys, collect(values))
    if isinstance(item, Table):
        return take(item, np.zeros(0, dtype=np.int64))
    return List(())


def _several(value: Value, positions: Vector) -> Value:
    if positions.type not in WHOLE:
        raise QError("type", f"a list is indexed by integers, {positions.type.name.lower()} seen")
    return take(value, positions.data.astype(np.int64, copy=False))


def take(value: Value, positions: Array) -> Value:
    """Choose items by their positions (int64); out of range gives nulls."""
    if isinstance(value, Vector):
        return Vector(value.type, _taken(value.data, positions, NULLS[value.type]))
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, _taken(value.data, positions, -1))
    if isinstance(value, Table):
        columns = tuple(take(column, positions) for column in value.columns)
        return Table(value.names, columns)
    if isinstance(value, Dictionary):
        return take(value.values, positions)
    count = count_of(value)
    items = items_of(value)
    missing = null_item(value)
    return collect([items[at] if 0 <= at < count else missing for at in positions.tolist()])


def _taken(data: Array, positions: Array, missing: object) -> Array:
    count = len(data)
    if len(positions) == 0:
        return data[:0]
    if positions.min() >= 0 and positions.max() < count:
        return data[positions]
    outside = (positions < 0) | (positions >= count)
    if count == 0:
        return np.full(len(positions), np.array(missing, dtype=data.dtype))
    taken = data[np.where(outside, 0, positions)]
    taken[outside] = np.array(missing, dtype=data.dtype)
    return taken


# -- dictionaries -----------------------------------------------------------------------------


def _lookup(session: "Session", value: Dictionary, key: Value) -> Value:
    keys = value.keys
    if value.attribute is Attribute.SORTED:
        return _step(session, value, key)
    if isinstance(keys, Table):
        return _keyed_row(session, value, keys, key)
    place = position_of(session, keys, key)
    if place is not None:
        if 0 <= place < len(value):
            return item_at(value.values, place)
        return null_item(value.values)
    if isinstance(key, Dictionary):
        return Dictionary(key.keys, _lookup(session, value, key.values))
    if isinstance(key, List) and not isinstance(keys, List):
        return collect([_lookup(session, value, item) for item in key])
    found = call(session, "?", keys, key)
    if isinstance(found, Atom):
        return _one(value.values, found)
    if isinstance(found, Vector):
        return take(value.values, found.data)
    return at(session, value.values, found)


def _step(session: "Session", value: Dictionary, key: Value) -> Value:
    """Look up in a step function: what the last key that is not above a key maps to."""
    keys = value.keys
    sought = _as_keys(keys, key) if isinstance(keys, Table) else key
    if isinstance(sought, Dictionary) and not isinstance(keys, Table):
        return Dictionary(sought.keys, _step(session, value, sought.values))
    found = call(session, "bin", keys, sought)
    return (
        _one(value.values, found) if isinstance(found, Atom) else at(session, value.values, found)
    )


def position_of(session: "Session", keys: Value, key: Value) -> int | None:
    """Find an atom among keys that are a vector: its position or their count, else None."""
    if isinstance(key, EnumeratedAtom):
        key = plain(key)
    if isinstance(keys, Enumerated):
        keys = plain(keys)
    if not isinstance(key, Atom) or not isinstance(keys, Vector):
        return None
    if key.type is not keys.type:
        found = call(session, "?", keys, key)
        return int(found.value) if isinstance(found, Atom) else None
    if key.type in (QType.REAL, QType.FLOAT, QType.GUID, QType.DATETIME):
        found = call(session, "?", keys, key)
        return int(found.value) if isinstance(found, Atom) else None
    data = keys.data
    if keys.attribute is Attribute.SORTED and key.type is not QType.SYMBOL:
        place = int(np.searchsorted(data, key.item()))
        return place if place < len(data) and data[place] == key.item() else len(data)
    same = data == key.item()
    place = int(same.argmax()) if len(data) else 0
    return place if len(data) and same[place] else len(data)


def _keyed_row(session: "Session", value: Dictionary, keys: Table, key: Value) -> Value:
    """Look rows of a keyed table up by a key, several keys, a dictionary or a table."""
    if isinstance(key, Atom | EnumeratedAtom) and len(keys.columns) == 1:
        place = position_of(session, keys.columns[0], key)
        if place is not None:
            return item_at(value.values, place) if place < len(keys) else null_item(value.values)
    found = call(session, "?", keys, _as_keys(keys, key))
    if isinstance(found, Atom):
        return _one(value.values, found)
    assert isinstance(found, Vector)
    return take(value.values, found.data)


def _as_keys(keys: Table, key: Value) -> Value:
    """Turn what indexes a keyed table into rows of its keys."""
    if isinstance(key, Table):
        return Table(keys.names, tuple(column_of(key, name) for name in keys.names))
    if isinstance(key, Dictionary):
        return key
    width = len(keys.columns)
    items = items_of(key)
    if width == 1 and isinstance(key, Vector | Enumerated) and len(key) != 1:
        raise QError(
            "length",
            f"a key of one column needed, {len(key)} items seen; rows are looked up by a table:"
            f" t([]{keys.names[0]}:...)",
        )
    if width == 1 and all(count_of(item) == 1 for item in items):
        flat = [item_at(item, 0) if not isinstance(item, Atom) else item for item in items]
        if isinstance(key, Atom) or (len(items) == 1 and isinstance(items[0], Atom)):
            return Dictionary(symbols(keys.names), collect(flat))
        return Table(keys.names, (collect(flat),))
    if items and all(not isinstance(item, Atom | EnumeratedAtom) for item in items):
        columns = tuple(collect([item_at(item, at) for item in items]) for at in range(width))
        return Table(keys.names, columns)
    if len(items) != width:
        raise QError("length", f"a key of {width} columns needed, {len(items)} items seen")
    return Dictionary(symbols(keys.names), collect(items))
