"""Functional update and delete: ![t;c;b;a]."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.clause import Scope, evaluate
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.filters import filtered
from tickloop.analytics.q.grouped import GroupedScope
from tickloop.analytics.q.grouping import group
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import as_table, keyed, repeat, take, take_or_null
from tickloop.analytics.q.selecting import trees_of
from tickloop.analytics.q.values import (
    Atom,
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
    items_of,
    names_of,
    plain,
    type_of,
)

Longs = npt.NDArray[np.int64]


def update_rows(
    session: Interpreter,
    table: Value,
    where: Sequence[Value],
    by: Value,
    columns: Value,
) -> Value:
    """Answer an update: the table with columns set, in the rows that pass the filters."""
    whole = _table(table)
    scope = filtered(Scope(session, whole), where)
    names, trees = trees_of(columns)
    if isinstance(by, Dictionary) and len(by):
        groups, _ = group(scope, trees_of(by)[1])
        grouped = GroupedScope(scope, groups)
        values = [grouped.rows_of(leveled) for leveled in grouped.evaluate(trees)]
    else:
        values = [_column(evaluate(tree, scope), scope.count) for tree in trees]
    made = dict(zip(whole.names, whole.columns, strict=True))
    for name, value in zip(names, values, strict=True):
        made[name] = value if scope.rows is None else _amended(made.get(name), scope, value, name)
    return _like(table, Table.of(made))


def _table(value: Value) -> Table:
    table = as_table(value)
    if table is None:
        raise type_error("a table is needed after from")
    return table


def _like(table: Value, rows: Table) -> Value:
    """Key rows as a table was keyed."""
    if not is_keyed_table(table):
        return rows
    assert isinstance(table, Dictionary)
    assert isinstance(table.keys, Table)
    return keyed(rows, sum(name in table.keys.names for name in rows.names))


def _column(value: Value, count: int) -> Value:
    if not is_list(value):
        return repeat(value, count)
    if count_of(value) != count:
        raise length_error(count_of(value), count)
    return value


def _amended(old: Value | None, scope: Scope, values: Value, name: str) -> Value:
    """Put values into some rows of a column; a new column is null in the others."""
    rows = scope.row_numbers().data
    places = np.full(len(scope.table), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows), dtype=np.int64)
    if old is None:
        return take_or_null(values, places)
    if isinstance(old, List) or isinstance(values, List):
        return _amended_list(old, places, values, name)
    old, values = _one_kind(old, values, name)
    assert isinstance(old, Vector | Enumerated)
    assert isinstance(values, Vector | Enumerated)
    data = old.data.copy()
    data[rows] = values.data
    return Vector(old.type, data) if isinstance(old, Vector) else Enumerated(old.domain, data)


def _one_kind(old: Value, values: Value, name: str) -> tuple[Value, Value]:
    enumerated = isinstance(old, Enumerated) and isinstance(values, Enumerated)
    if enumerated and old.domain is values.domain:  # type: ignore[union-attr]
        return old, values
    old, values = plain(old), plain(values)
    if type_of(old) != type_of(values):
        raise QError(
            "type",
            f"column {name} has type {type_of(old)}h, the new values {type_of(values)}h; cast"
            " them, or update every row",
        )
    return old, values


def _amended_list(old: Value, places: Longs, values: Value, name: str) -> Value:
    if isinstance(old, Vector | Enumerated) and count_of(values):
        raise QError("type", f"column {name} has type {type_of(old)}h, the new values are lists")
    kept, new = items_of(old), items_of(values)
    return collect(
        [kept[row] if place < 0 else new[place] for row, place in enumerate(places.tolist())]
    )


def delete_rows(session: Interpreter, table: Value, where: Sequence[Value]) -> Value:
    """Answer a delete of rows: the table without those that pass the filters."""
    whole = _table(table)
    scope = filtered(Scope(session, whole), where)
    if scope.rows is None:
        return _like(table, _taken(whole, slice(0, 0)))
    kept = np.ones(len(whole), dtype=np.bool_)
    kept[scope.row_numbers().data] = False
    return _like(table, _taken(whole, np.flatnonzero(kept)))


def _taken(table: Table, rows: "slice | Longs") -> Table:
    taken = take(table, rows)
    assert isinstance(taken, Table)
    return taken


def delete_columns(table: Value, columns: Value) -> Value:
    """Answer a delete of columns, or of keys of a dictionary."""
    names = names_of(columns)
    if names is None:
        raise type_error("names of columns have to be symbols")
    if isinstance(table, Dictionary) and not is_keyed_table(table):
        return _without_keys(table, names)
    whole = _table(table)
    for name in names:
        if name not in whole.names:
            raise QError(name, f"no such column; there are {', '.join(whole.names)}")
    kept = {n: c for n, c in zip(whole.names, whole.columns, strict=True) if n not in names}
    return _like(table, Table.of(kept))


def _without_keys(table: Dictionary, names: Sequence[str]) -> Value:
    keys = names_of(table.keys)
    if keys is None:
        raise type_error("a dictionary with symbols as keys is needed")
    rows = np.array([row for row, key in enumerate(keys) if key not in names], dtype=np.int64)
    return Dictionary(take(table.keys, rows), take(table.values, rows))


def is_deleting(by: Value, columns: Value) -> bool:
    """Tell whether ![t;c;b;a] deletes: a is a list of names."""
    is_flag = isinstance(by, Atom) and not by.value
    is_names = isinstance(columns, Vector | Atom) or (
        isinstance(columns, List) and not len(columns)
    )
    return is_flag and is_names
