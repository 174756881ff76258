"""Amending: a copy of a list, dictionary or table with some of its items replaced."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.indexing import WHOLE, at, column_of, position_of
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.values import (
    Array,
    Atom,
    Builtin,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_atom,
    is_list,
    item_at,
    items_of,
    name_of,
    names_of,
    plain,
    symbol,
    vector,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

# What makes the new item of the old and the given; None is plain assignment.
Change = Callable[[Value, Value], Value] | None
Path = Sequence[Value]


def amend_at_depth(
    session: "Session", value: Value, path: Path, function: Value | None, given: Value
) -> Value:
    """Replace what `path` leads to by `given`, or by function[old;given]."""
    if function is None or (isinstance(function, Builtin) and function.name == ":"):
        if len(path) == 1 and (quick := _quick(value, path[0], given)) is not None:
            return quick
        return _amend(session, value, path, None, given)
    if len(path) == 1 and (joined := _atomic(session, value, path[0], function, given)) is not None:
        return joined
    return _amend(
        session, value, path, lambda old, new: apply(session, function, (old, new)), given
    )


def amend_by(session: "Session", value: Value, path: Path, function: Value) -> Value:
    """Replace what `path` leads to by function[old]."""
    return _amend(session, value, path, lambda old, _: apply(session, function, (old,)), Nil())


def _quick(value: Value, position: Value, given: Value) -> Value | None:
    """Write numbers into a copy of a vector, if index and items are all of the right kind."""
    if not isinstance(value, Vector) or not isinstance(position, Atom | Vector):
        return None
    if not isinstance(given, Atom | Vector) or given.type is not value.type:
        return None
    if position.type not in WHOLE or (isinstance(given, Vector) and isinstance(position, Atom)):
        return None
    where = np.array(position.value if isinstance(position, Atom) else position.data, np.int64)
    if isinstance(given, Vector) and len(given) != len(where):
        raise _uneven(len(where), len(given))
    _check_range(where, len(value))
    data = value.data.copy()
    data[where] = given.data if isinstance(given, Vector) else given.item()
    return Vector(value.type, data)


def _check_range(where: Array, count: int) -> None:
    if where.size and (where.min() < 0 or where.max() >= count):
        raise QError("length", f"an index is outside of a list of {count} items")


def _uneven(indexes: int, items: int) -> QError:
    return QError("length", f"{indexes} indexes seen for {items} items")


def _atomic(
    session: "Session", value: Value, position: Value, function: Value, given: Value
) -> Value | None:
    """Apply an atomic operator to all chosen items at once, if none is chosen twice."""
    if not isinstance(value, Vector) or not isinstance(function, Builtin):
        return None
    if not function.is_atomic or not isinstance(position, Vector) or position.type not in WHOLE:
        return None
    if len(np.unique(position.data)) < len(position):
        return None
    return _quick(value, position, apply(session, function, (at(session, value, position), given)))


def _amend(session: "Session", value: Value, path: Path, change: Change, given: Value) -> Value:
    if not path:
        return given if change is None else change(value, given)
    first, rest = path[0], path[1:]
    if isinstance(value, Table) and rest and names_of(first) is None:
        return _cells(session, value, first, rest, change, given)
    if isinstance(first, Nil):
        first = _all_of(value)
    if _chooses_one(value, first):
        old = at(session, value, first) if rest or change is not None else Nil()
        return put(session, value, first, _amend(session, old, rest, change, given))
    places = items_of(first)
    if is_list(given) or isinstance(given, Table):
        if count_of(given) != len(places):
            raise _uneven(len(places), count_of(given))
        parts = items_of(given)
    else:
        parts = [given] * len(places)
    for place, part in zip(places, parts, strict=True):
        value = _amend(session, value, [place, *rest], change, part)
    return value


def _all_of(value: Value) -> Value:
    if isinstance(value, Dictionary):
        return value.keys
    return vector(QType.LONG, np.arange(count_of(value)))


def _chooses_one(value: Value, first: Value) -> bool:
    if isinstance(value, Dictionary) and isinstance(value.keys, Table):
        items = items_of(first)
        return not isinstance(first, Table) and all(is_atom(item) for item in items)
    if isinstance(value, Dictionary) and isinstance(value.keys, List) and is_list(first):
        keys = value.keys.items
        # Among strings a string is one key, be it there already or not.
        is_row = bool(keys) and is_list(keys[0]) and isinstance(first, Vector)
        return is_row or any(call_match(first, key) for key in keys)
    return not is_list(first) and not isinstance(first, Table | Dictionary)


def call_match(first: Value, second: Value) -> bool:
    """Tell whether two simple lists are the same."""
    if isinstance(first, Vector) and isinstance(second, Vector):
        return first.type is second.type and np.array_equal(first.data, second.data)
    return first == second


def _cells(
    session: "Session", table: Table, rows: Value, rest: Path, change: Change, given: Value
) -> Value:
    """Amend cells of a table: column by column."""
    names = list(table.names) if isinstance(rest[0], Nil) else names_of(rest[0])
    if names is None:
        raise QError("type", "t[rows;columns] needs symbols as columns")
    one = name_of(rest[0]) is not None
    columns = dict(zip(table.names, table.columns, strict=True))
    for place, name in enumerate(names):
        part = given
        if not one and is_list(given):
            by_row = is_list(rows) or isinstance(rows, Nil)
            part = (
                collect([item_at(row, place) for row in items_of(given)])
                if by_row
                else item_at(given, place)
            )
        column = column_of(table, name)
        columns[name] = _amend(session, column, [rows, *rest[1:]], change, part)
    return Table.of(columns)


# -- putting one item ---------------------------------------------------------------------------


def put(session: "Session", value: Value, place: Value, item: Value) -> Value:
    """Give a copy of a list, dictionary or table with one item replaced (or added by key)."""
    if isinstance(value, Dictionary):
        return _put_key(session, value, place, item)
    if isinstance(value, Table):
        return _put_in_table(session, value, place, item)
    place = plain(place)
    if not isinstance(place, Atom) or place.type not in WHOLE:
        raise QError("type", "a list is indexed by integers")
    number = int(place.value)
    _check_range(np.array(number), count_of(value))
    return put_at(value, number, item)


def put_at(value: Value, number: int, item: Value) -> Value:
    """Replace item `number` of a list; 'type if a vector cannot hold it."""
    if isinstance(value, Vector):
        item = plain(item)
        if not isinstance(item, Atom) or item.type is not value.type:
            raise QError("type", f"a list of {value.type.name.lower()} items takes no other type")
        data = value.data.copy()
        data[number] = item.item()
        return Vector(value.type, data)
    if isinstance(value, Enumerated):
        data = value.data.copy()
        data[number] = _position_in_domain(value, item)
        return Enumerated(value.domain, data)
    if isinstance(value, List):
        items = list(value.items)
        items[number] = item
        # A general list whose items have become atoms of one type is a vector again.
        return collect(items)
    raise QError("type", "only lists, dictionaries and tables are amended by index")


def _position_in_domain(value: Enumerated, item: Value) -> int:
    if isinstance(item, EnumeratedAtom) and item.domain is value.domain:
        return item.position
    name = plain(item)
    if not isinstance(name, Atom) or name.type is not QType.SYMBOL:
        raise QError("type", "an enumeration takes symbols of its domain")
    if name.value == "":
        return -1
    found = np.flatnonzero(value.domain.symbols() == name.item())
    if not len(found):
        raise QError("cast", f"{name.value!s} is not in the domain {value.domain.name}")
    return int(found[0])


def _put_key(session: "Session", value: Dictionary, key: Value, item: Value) -> Value:
    if isinstance(value.keys, Table):
        row = collect([*_as_items(key), *_as_items(item)])
        return call(session, "upsert", value, row)
    place = _find(session, value.keys, key)
    if place < len(value):
        return Dictionary(value.keys, put_at(value.values, place, item), value.attribute)
    return Dictionary(append(value.keys, key), append(value.values, item))


def _as_items(value: Value) -> list[Value]:
    return items_of(value.values) if isinstance(value, Dictionary) else items_of(value)


def _find(session: "Session", keys: Value, key: Value) -> int:
    place = position_of(session, keys, key)
    if place is not None:
        return place
    found = call(session, "?", keys, key)
    if isinstance(found, Atom):
        return int(found.value)
    raise QError("type", "the key is not one item")


def append(value: Value, item: Value) -> Value:
    """Add one item to the end of a list; 'type if a vector cannot hold it."""
    if isinstance(value, Vector):
        item = plain(item)
        if isinstance(item, Atom) and item.type is value.type:
            new = np.empty(len(value) + 1, dtype=value.data.dtype)
            new[:-1] = value.data
            new[-1] = item.item()
            return Vector(value.type, new)
        if len(value):
            raise QError("type", f"a list of {value.type.name.lower()} items takes no other type")
        return collect([item])
    if isinstance(value, Enumerated):
        new = np.append(value.data, np.array(_position_in_domain(value, item), value.data.dtype))
        return Enumerated(value.domain, new)
    return collect([*items_of(value), item])


def _put_in_table(session: "Session", table: Table, place: Value, item: Value) -> Value:
    name = name_of(place)
    if name is not None:
        return _put_column(table, name, item)
    number = plain(place)
    if not isinstance(number, Atom) or number.type not in WHOLE:
        raise QError("type", "a table is indexed by rows or by names of columns")
    row = int(number.value)
    _check_range(np.array(row), len(table))
    cells = _row_of(session, table, item)
    columns = [put_at(old, row, cell) for old, cell in zip(table.columns, cells, strict=True)]
    return Table(table.names, tuple(columns))


def _row_of(session: "Session", table: Table, item: Value) -> list[Value]:
    if isinstance(item, Dictionary):
        return [at(session, item, symbol(name)) for name in table.names]
    cells = items_of(item)
    if len(cells) != len(table.names):
        raise QError("length", f"a row of {len(table.names)} cells needed, {len(cells)} seen")
    return cells


def _put_column(table: Table, name: str, item: Value) -> Value:
    columns = dict(zip(table.names, table.columns, strict=True))
    if not is_list(item):
        item = collect([item] * len(table))
    elif count_of(item) != len(table):
        raise QError("length", f"a column of {len(table)} items needed, {count_of(item)} seen")
    columns[name] = item
    return Table.of(columns)
