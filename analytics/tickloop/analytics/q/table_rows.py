"""Rows for a table: from dictionaries, lists and tables, appended or put where their key stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tickloop.analytics.q.attributes import after_append, with_attribute
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import first_positions, paired_numbers
from tickloop.analytics.q.kinds import Positions
from tickloop.analytics.q.selection import nulls_like, pick
from tickloop.analytics.q.values import (
    Array,
    Atom,
    Attribute,
    Dictionary,
    Enumerated,
    List,
    QType,
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
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where entries go when keys are merged."""

    targets: Positions  # for each new entry, its position in the merged list
    fresh: Positions  # the first entries of keys that were not there
    count: int  # how many entries the merged list has


def flat(value: Value) -> Table:
    """Give a table without keys; 'type for anything but a table."""
    if isinstance(value, Table):
        return value
    if isinstance(value, Dictionary) and is_keyed_table(value):
        keys, values = value.keys, value.values
        assert isinstance(keys, Table)
        assert isinstance(values, Table)
        return Table(keys.names + values.names, keys.columns + values.columns)
    raise type_error("a table needed")


def keyed(table: Table, count: int) -> Dictionary:
    """Make the first columns of a table its keys."""
    return Dictionary(
        Table(table.names[:count], table.columns[:count]),
        Table(table.names[count:], table.columns[count:]),
    )


def rows_from(table: Table, value: Value) -> Table:
    """Make rows of a row or rows; 'type and 'length if they do not fit the table."""
    if isinstance(value, Table):
        return value
    if isinstance(value, Dictionary):
        return flat(value) if is_keyed_table(value) else _row_of_entries(value)
    if not is_list(value):
        raise type_error("an atom seen, a row of the table needed")
    items = items_of(value)
    if items and all(isinstance(item, Dictionary) for item in items):
        return _rows_of_dictionaries(table, items)
    if _are_rows(table, items):
        return _transposed(table, [items_of(item) for item in items])
    return _transposed(table, [items])


def _rows_of_dictionaries(table: Table, items: Sequence[Value]) -> Table:
    rows = collect(items)
    if isinstance(rows, Table):
        return rows
    made = Table(table.names, tuple(nulls_like(column, 0) for column in table.columns))
    for item in items:
        made = append_rows(made, rows_from(table, item), strict=False)
    return made


def _row_of_entries(value: Dictionary) -> Table:
    names = names_of(value.keys)
    if names is None:
        raise type_error("a row with column names as keys needed")
    return Table(tuple(names), tuple(collect([item]) for item in items_of(value.values)))


def _are_rows(table: Table, items: Sequence[Value]) -> bool:
    """Tell a list of rows from one row with lists in it."""
    width = len(table.columns)
    if not items or not all(is_list(item) and count_of(item) == width for item in items):
        return False
    # A row of as many strings as there are columns looks like rows, too: the columns decide.
    nested = all(isinstance(column, List) and len(column) for column in table.columns)
    return not (nested and len(items) == width)


def _transposed(table: Table, rows: Sequence[Sequence[Value]]) -> Table:
    width = len(table.columns)
    for row in rows:
        if len(row) != width:
            raise QError("length", f"a row of {len(row)} items seen, the table has {width} columns")
    columns = [collect([row[number] for row in rows]) for number in range(width)]
    return Table(table.names, tuple(columns))


def columns_from(table: Table, value: Value) -> Table:
    """Make rows of a list of columns, or of one row if one of its items is an atom."""
    if isinstance(value, Table | Dictionary) or not is_list(value):
        return rows_from(table, value)
    items = items_of(value)
    if len(items) != len(table.columns):
        seen = f"{len(items)} columns seen, the table has {len(table.columns)}"
        raise QError("length", seen)
    if not all(is_list(item) for item in items):
        for item, column in zip(items, table.columns, strict=True):
            if is_list(item) and isinstance(column, Vector) and len(column):
                raise QError("length", "atoms beside columns seen, one row or full columns needed")
        return _transposed(table, [items])
    counts = {count_of(item) for item in items}
    if len(counts) > 1:
        raise QError("length", f"columns of {min(counts)} and {max(counts)} items seen")
    return Table(table.names, tuple(items))


def append_rows(table: Table, rows: Table, *, strict: bool) -> Table:
    """Append rows, columns by name; missing ones are null. `strict`: types must fit."""
    unknown = [name for name in rows.names if name not in table.names]
    if unknown:
        raise QError("mismatch", f"the table has no column {', '.join(unknown)}")
    given = dict(zip(rows.names, rows.columns, strict=True))
    columns = []
    for name, column in zip(table.names, table.columns, strict=True):
        more = given.get(name)
        more = more if more is not None else nulls_like(column, len(rows))
        columns.append(append_column(column, more, strict=strict))
    return Table(table.names, tuple(columns))


def append_column(column: Value, more: Value, *, strict: bool) -> Value:
    """Append items to a column, its attribute staying where it remains true."""
    if isinstance(column, Enumerated):
        return _append_enumerated(column, more)
    if isinstance(column, List) and not column.items:
        return more
    more = plain(more)
    if isinstance(column, Vector) and isinstance(more, Vector) and column.type is more.type:
        joined = Vector(column.type, np.concatenate([column.data, more.data]))
        kept = after_append(column, joined) if column.attribute else Attribute.NONE
        return with_attribute(joined, kept) if kept else joined
    if not count_of(more):
        return column
    if strict and isinstance(column, Vector):
        seen = more.type.name if isinstance(more, Vector) else "a mixed list"
        wanted = column.type.name.lower()
        raise type_error(f"{seen.lower()} seen, the column holds {wanted}; cast it first")
    if isinstance(column, Vector) and not len(column):
        return more
    return List((*items_of(column), *items_of(more)))


def _append_enumerated(column: Enumerated, more: Value) -> Enumerated:
    """Append positions, or symbols that the domain holds; 'cast for others."""
    if not (isinstance(more, Enumerated) and more.domain is column.domain):
        more = enumerated_in(column, more)
    joined = np.concatenate([column.data, more.data])
    made = Enumerated(column.domain, joined)
    return Enumerated(column.domain, joined, after_append(column, made))


def enumerated_in(column: Enumerated, more: Value) -> Enumerated:
    """Find symbols in a column's domain; 'cast if one is not there."""
    values = plain(more)
    if isinstance(values, Atom):
        values = collect([values])
    if isinstance(values, Vector) and not column.domain.is_symbolic:
        from tickloop.analytics.q.enumerations import enumerated_by

        return enumerated_by(column.domain, values)
    if not isinstance(values, Vector) or values.type is not QType.SYMBOL:
        raise type_error(f"symbols of {column.domain.name} needed")
    known = column.domain.symbols()
    found = first_positions(known, values.data)
    absent = (found == len(known)) & (values.data != 0)
    if absent.any():
        raise QError("cast", f"{int(absent.sum())} symbols are not in {column.domain.name}")
    return Enumerated(column.domain, np.where(found == len(known), -1, found))


def places(left: Value, right: Value) -> Places:
    """Tell where each key on the right goes: onto its first equal on the left, or behind."""
    ours, theirs = paired_numbers(left, right)
    targets = first_positions(ours, theirs)
    absent = np.flatnonzero(targets == len(ours))
    numbers = theirs[absent]
    first = first_positions(numbers, numbers)
    starts, codes = np.unique(first, return_inverse=True)
    targets[absent] = len(ours) + codes
    return Places(targets, absent[starts], len(ours) + len(starts))


def placed(left: Value, right: Value, spots: Places, *, strict: bool) -> Value:
    """Put items where they go; of several for one place, the last stays."""
    if isinstance(left, Enumerated):
        right = right if isinstance(right, Enumerated) else enumerated_in(left, right)
        if right.domain is left.domain:
            return Enumerated(left.domain, _written(left.data, right.data, spots))
    left, right = plain(left), plain(right)
    if isinstance(left, Vector) and isinstance(right, Vector) and left.type is right.type:
        return Vector(left.type, _written(left.data, right.data, spots))
    if strict and isinstance(left, Vector) and len(left):
        raise type_error(f"the column holds {left.type.name.lower()}; cast the new values first")
    items: list[Value] = [*items_of(left), *[right] * (spots.count - count_of(left))]
    for target, item in zip(spots.targets.tolist(), items_of(right), strict=True):
        items[target] = item
    return List(tuple(items)) if count_of(left) and is_list(left) else collect(items)


def _written(old: Array, new: Array, spots: Places) -> Array:
    written = np.empty(spots.count, dtype=old.dtype)
    written[: len(old)] = old
    written[spots.targets] = new
    return written


def upsert_rows(left: Dictionary, rows: Table, *, strict: bool) -> Dictionary:
    """Put rows into a keyed table: known keys are replaced, others appended."""
    keys, values = left.keys, left.values
    assert isinstance(keys, Table)
    assert isinstance(values, Table)
    rows = _completed(flat(left), rows)
    given = Table(keys.names, tuple(rows.column(name) for name in keys.names))
    spots = places(_typed_like(keys, given), _typed_like(given, keys))
    new_keys = append_rows(keys, _fresh(given, spots), strict=strict)
    columns = [
        placed(column, rows.column(name), spots, strict=strict)
        for name, column in zip(values.names, values.columns, strict=True)
    ]
    return Dictionary(new_keys, Table(values.names, tuple(columns)))


def _fresh(given: Table, spots: Places) -> Table:
    columns = [pick(column, spots.fresh) for column in given.columns]
    return Table(given.names, tuple(columns))


def _typed_like(table: Table, other: Table) -> Table:
    """Give columns that are still without a type the type of another table's."""
    columns = [
        nulls_like(theirs, 0) if isinstance(ours, List) and not ours.items else ours
        for ours, theirs in zip(table.columns, other.columns, strict=True)
    ]
    return Table(table.names, tuple(columns))


def _completed(table: Table, rows: Table) -> Table:
    """Order the columns of rows as the table has them, nulls where they are missing."""
    empty = Table(table.names, tuple(nulls_like(column, 0) for column in table.columns))
    if table.names == rows.names:
        return rows
    return append_rows(empty, rows, strict=False)
