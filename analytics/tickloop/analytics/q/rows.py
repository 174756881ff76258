"""Rows of values: taken, joined, split and repeated, with no item made on the way."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.gather_kernels import gather
from tickloop.analytics.q.values import (
    DTYPES,
    NIL,
    NULLS,
    Array,
    Atom,
    Attribute,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_keyed_table,
    item_at,
    items_of,
    null,
    plain,
)

Positions = npt.NDArray[np.int64]
Rows: TypeAlias = slice | npt.NDArray[Any]

_GATHER_MIN = 4096


def take(value: Value, rows: Rows) -> Value:
    """Take rows that are there; a slice is not copied. Attributes are lost, but sorted slices."""
    if isinstance(value, Vector):
        return Vector(value.type, _taken(value.data, rows), _kept(value.attribute, rows))
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, _taken(value.data, rows), _kept(value.attribute, rows))
    if isinstance(value, List):
        if isinstance(rows, slice):
            return List(value.items[rows])
        items = value.items
        return List(tuple([items[row] for row in rows.tolist()]))
    if isinstance(value, Table):
        return Table(value.names, tuple(take(column, rows) for column in value.columns))
    if isinstance(value, Dictionary):
        return Dictionary(take(value.keys, rows), take(value.values, rows))
    return value


def _taken(data: Array, rows: Rows) -> Array:
    if isinstance(rows, slice) or len(rows) < _GATHER_MIN:
        return data[rows]
    return gather(data, rows)


def _kept(attribute: Attribute, rows: Rows) -> Attribute:
    ascending = isinstance(rows, slice) and (rows.step is None or rows.step > 0)
    return attribute if ascending and attribute is Attribute.SORTED else Attribute.NONE


def take_or_null(value: Value, rows: npt.NDArray[Any]) -> Value:
    """Take rows of a column or table; row -1 is a null."""
    if isinstance(value, Vector):
        return Vector(value.type, gather(value.data, rows, _null_item(value.type)))
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, gather(value.data, rows, -1))
    if isinstance(value, List):
        missing = null_like(value)
        items = value.items
        return collected([items[row] if row >= 0 else missing for row in rows.tolist()])
    if isinstance(value, Table):
        return Table(value.names, tuple(take_or_null(column, rows) for column in value.columns))
    return value


def collected(items: Sequence[Value]) -> Value:
    """Make a list of items, but keep rows of a table as they are."""
    return collect(items) if not items or not isinstance(items[0], Dictionary) else List(items)


def _null_item(kind: QType) -> Any:
    item = NULLS[kind]
    return np.void(item) if kind is QType.GUID else item


def null_like(value: Value) -> Value:
    """Give the null that stands for an item that a column does not have."""
    if isinstance(value, Vector):
        return null(value.type)
    if isinstance(value, Enumerated):
        return EnumeratedAtom(value.domain, -1)
    if isinstance(value, List) and value.items:
        first = value.items[0]
        if isinstance(first, Vector):
            return Vector(first.type, first.data[:0])
        if isinstance(first, Atom):
            return null(first.type)
    return List(())


def nulls(value: Value, count: int) -> Value:
    """Make a column of nulls of a column's type."""
    return take_or_null(value, np.full(count, -1, dtype=np.int64))


def repeat(value: Value, count: int) -> Value:
    """Make a column that has one value in every row."""
    if isinstance(value, Atom):
        item = np.array([value.item()], dtype=DTYPES[value.type])
        return Vector(value.type, np.repeat(item, count))
    if isinstance(value, EnumeratedAtom):
        return Enumerated(value.domain, np.full(count, value.position, dtype=np.int64))
    return List((value,) * count)


def join(values: Sequence[Value]) -> Value:
    """Put columns of one type one after another; enumerations of several domains are resolved."""
    if len(values) == 1:
        return values[0]
    filled = [value for value in values if count_of(value)] or list(values[:1])
    if len(filled) == 1:
        return filled[0]
    first = filled[0]
    if isinstance(first, Enumerated):
        domain = first.domain
        if all(isinstance(value, Enumerated) and value.domain is domain for value in filled):
            return Enumerated(domain, np.concatenate([v.data for v in filled]))  # type: ignore[union-attr]
    if isinstance(first, Table):
        return _join_tables(first, filled)
    filled = [plain(value) for value in filled]
    first = filled[0]
    if isinstance(first, Vector):
        kind = first.type
        if all(isinstance(value, Vector) and value.type is kind for value in filled):
            return Vector(kind, np.concatenate([v.data for v in filled]))  # type: ignore[union-attr]
    return List(tuple(item for value in filled for item in items_of(value)))


def _join_tables(first: Table, tables: Iterable[Value]) -> Table:
    columns: list[list[Value]] = [[] for _ in first.names]
    for table in tables:
        if not isinstance(table, Table) or table.names != first.names:
            raise QError("mismatch", f"tables with the columns {', '.join(first.names)} needed")
        for pieces, column in zip(columns, table.columns, strict=True):
            pieces.append(column)
    return Table(first.names, tuple(join(pieces) for pieces in columns))


def split(value: Value, starts: Positions, stops: Positions) -> List:
    """Cut a list into lists, one for each span of rows."""
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    return List(tuple([take(value, slice(start, stop)) for start, stop in spans]))


def lay_flat(value: Value, rows: Positions, count: int) -> Value:
    """Give a column of `count` rows whose row rows[k] is the list's item k."""
    places = np.empty(count, dtype=np.int64)
    places[rows] = np.arange(len(rows), dtype=np.int64)
    return take(value, places)


def as_table(value: Value) -> Table | None:
    """Give a table's rows, of a keyed table keys and values side by side; None for others."""
    if isinstance(value, Table):
        return value
    if is_keyed_table(value):
        assert isinstance(value, Dictionary)
        keys, values = value.keys, value.values
        assert isinstance(keys, Table)
        assert isinstance(values, Table)
        return Table(keys.names + values.names, keys.columns + values.columns)
    return None


def keyed(table: Table, keys: int) -> Value:
    """Make the first columns of a table its key."""
    if not keys:
        return table
    return Dictionary(
        Table(table.names[:keys], table.columns[:keys]),
        Table(table.names[keys:], table.columns[keys:]),
    )


def last_item(value: Value) -> Value:
    """Give a list's last item, its null if it is empty."""
    count = count_of(value)
    return item_at(value, count - 1) if count else null_like(value)


def is_nothing(value: Value) -> bool:
    """Tell whether a value is an empty general list or `::`."""
    return value is NIL or (isinstance(value, List) and not value.items)
