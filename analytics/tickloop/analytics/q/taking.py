"""Parts of lists: take, reshape, drop, cut, sublist, rotate, reverse."""

import itertools

import numpy as np

from tickloop.analytics.q.attributes import LETTERS, attribute_of, set_attribute, with_attribute
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import first_positions, paired_numbers
from tickloop.analytics.q.kinds import (
    Positions,
    as_list,
    is_null_whole,
    limited,
    whole_atom,
    whole_vector,
)
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.selection import empty_like, nulls_like, pick, repeated, span
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Attribute,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    is_atom,
    is_list,
    name_of,
    names_of,
)

_NULL = NULLS[QType.LONG]


@register("#", rank=2, operator=True)
def take(left: Value, right: Value) -> Value:
    """Take items, round and round where there are too few; reshape; take entries; set `s#."""
    count = whole_atom(left)
    if count is not None and not is_null_whole(left):
        return take_items(count, right)
    letter = name_of(left)
    if letter is not None:
        if letter in LETTERS:
            return set_attribute(letter, right)
        raise type_error(f"`{letter}# seen, one of `s# `u# `p# `g# `# needed")
    if isinstance(right, Dictionary):
        return take_entries(left, right)
    if isinstance(right, Table):
        return _take_columns(left, right)
    shape = whole_vector(left)
    if shape is None:
        raise type_error("a count, a shape, keys or column names needed on the left of #")
    return reshape(shape, right)


def take_items(count: int, value: Value) -> Value:
    """Take items from the front, or with a negative count from the end."""
    limited(abs(count))
    have = count_of(value)
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        return repeated(value, abs(count)) if count else empty_like(value)
    if abs(count) <= have:
        start = 0 if count >= 0 else have + count
        part = span(value, start, start + abs(count))
        kept = attribute_of(value)
        return with_attribute(part, kept) if kept in _KEPT_BY_PARTS else part
    if not have:
        return _nulls(abs(count), value)
    start = 0 if count >= 0 else count % have
    if isinstance(value, Vector):
        rounds = np.tile(value.data, abs(count) // have + 2)
        return Vector(value.type, rounds[start : start + abs(count)])
    return pick(value, (np.arange(abs(count)) + start) % have)


# Any part of a sorted or distinct list is sorted or distinct.
_KEPT_BY_PARTS = (Attribute.SORTED, Attribute.UNIQUE)


def _nulls(count: int, value: Value) -> Value:
    if isinstance(value, Table):
        return Table(value.names, tuple(nulls_like(column, count) for column in value.columns))
    if isinstance(value, Dictionary):
        return Dictionary(_nulls(count, value.keys), _nulls(count, value.values))
    return nulls_like(value, count)


def take_entries(keys: Value, value: Dictionary) -> Dictionary:
    """Take the entries of keys, in their order; absent ones are null, rows are left out."""
    keys = as_list(keys) if not isinstance(keys, Table) else keys
    if isinstance(value.keys, Table) and not isinstance(keys, Table):
        raise type_error("a table of keys needed to take from a keyed table")
    ours, theirs = paired_numbers(value.keys, keys)
    found = first_positions(ours, theirs)
    if isinstance(keys, Table):
        found = found[found < len(ours)]
        return Dictionary(pick(value.keys, found), pick(value.values, found))
    return Dictionary(keys, pick(value.values, found))


def _take_columns(names: Value, table: Table) -> Table:
    wanted = names_of(names)
    if wanted is None:
        raise type_error("a count or column names needed on the left of # with a table")
    return Table(tuple(wanted), tuple(column_of(table, name) for name in wanted))


def column_of(table: Table, name: str) -> Value:
    """Give a column; an error with its name if there is none."""
    try:
        return table.column(name)
    except KeyError:
        raise QError(name, f"the table's columns are {', '.join(table.names)}") from None


def reshape(shape: Positions, value: Value) -> Value:
    """Lay items out by a shape; one dimension of two may be null, for as many as are needed."""
    sizes = shape.tolist()
    if len(sizes) == 2 and _NULL in sizes:
        return _reshape_ragged(sizes, value)
    if any(size < 0 for size in sizes) or (len(sizes) > 2 and 0 in sizes[:-1]):
        raise QError("domain", f"{' '.join(map(str, sizes))}# seen, counts of 1 or more needed")
    total = 1
    for size in sizes:
        total = limited(total * size)
    flat = take_items(total, value)
    return _folded(flat, sizes) if sizes else empty_like(value)


def _folded(flat: Value, sizes: list[int]) -> Value:
    if len(sizes) == 1:
        return flat
    width = count_of(flat) // sizes[0] if sizes[0] else 0
    rows = [span(flat, row * width, (row + 1) * width) for row in range(sizes[0])]
    return List(tuple(_folded(row, sizes[1:]) for row in rows))


def _reshape_ragged(sizes: list[int], value: Value) -> Value:
    value = as_list(value)
    rows, width = sizes
    count = count_of(value)
    if rows == _NULL and width > 0:
        edges = [*range(0, count, width), count] if count else []
    elif width == _NULL and rows > 0:
        edges = [number * count // rows for number in range(rows + 1)]
    else:
        raise QError("domain", "one count of 1 or more and one null needed")
    return _pieces(value, edges)


def _pieces(value: Value, edges: list[int]) -> Value:
    return List(tuple(span(value, start, stop) for start, stop in itertools.pairwise(edges)))


@register("_", rank=2, operator=True)
def drop(left: Value, right: Value) -> Value:
    """Drop items from the front or the end, cut at positions, leave out keys or columns."""
    if isinstance(left, Dictionary):
        if isinstance(right, Vector) and isinstance(left.keys, Vector):
            raise type_error("one key stands on the right of _; several stand on its left")
        return _without_keys(left, right)
    if isinstance(right, Dictionary) and whole_atom(left) is None:
        return _without_keys(right, left)
    if isinstance(right, Table) and (names := names_of(left)) is not None:
        if isinstance(left, Atom):
            raise type_error("a list of columns stands on the left of _: enlist[`a] _ t")
        return without_columns(right, names)
    if isinstance(left, Table) or (is_list(left) and is_atom(right)):
        return _drop_at(left, right)
    count = whole_atom(left)
    if count is not None:
        return drop_items(count, right)
    return cut_at(left, right)


def drop_items(count: int, value: Value) -> Value:
    """Drop items from the front, or with a negative count from the end."""
    have = count_of(value)
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        return value if not count else empty_like(value)
    start, stop = (min(count, have), have) if count >= 0 else (0, max(have + count, 0))
    part = span(value, start, stop)
    kept = attribute_of(value)
    return with_attribute(part, kept) if kept in _KEPT_BY_PARTS else part


def _drop_at(value: Value, at: Value) -> Value:
    """Drop the item or the row at a position."""
    position = whole_atom(at)
    if position is None:
        raise type_error("a position needed on the right of _; keys and columns stand on its left")
    if not 0 <= position < count_of(value):
        return value
    places = np.arange(count_of(value))
    return pick(value, places[places != position])


def without_columns(table: Table, names: list[str]) -> Table:
    """Leave out columns."""
    kept = [
        (name, column)
        for name, column in zip(table.names, table.columns, strict=True)
        if name not in names
    ]
    return Table(tuple(name for name, _ in kept), tuple(column for _, column in kept))


def _without_keys(value: Dictionary, keys: Value) -> Dictionary:
    if isinstance(value.keys, Table) and not isinstance(keys, Table):
        names = names_of(keys)
        if names is None or not isinstance(value.values, Table):
            raise type_error("a table of keys or column names needed with a keyed table")
        return Dictionary(value.keys, without_columns(value.values, names))
    keys = keys if isinstance(keys, Table) else as_list(keys)
    ours, theirs = paired_numbers(value.keys, keys)
    kept = np.flatnonzero(first_positions(np.ascontiguousarray(theirs), ours) == len(theirs))
    return Dictionary(pick(value.keys, kept), pick(value.values, kept))


def cut_at(positions: Value, value: Value) -> Value:
    """Cut a list into pieces that start at positions."""
    starts = whole_vector(positions)
    if starts is None:
        raise type_error("positions needed on the left of _")
    count = count_of(value)
    if not len(starts):
        return List(())
    if (np.diff(starts) < 0).any() or starts[0] < 0:
        raise QError("domain", "positions that ascend from 0 needed")
    if starts[-1] > count:
        raise QError("length", f"position {starts[-1]} seen, the list has {count} items")
    pieces = _pieces(value, [*starts.tolist(), count])
    assert isinstance(pieces, List)
    return pieces


@register("cut", rank=2, operator=True)
def cut(left: Value, right: Value) -> Value:
    """Cut a list at positions, or into pieces of a count."""
    size = whole_atom(left)
    if size is None:
        return cut_at(left, right)
    if size < 1:
        raise QError("domain", f"pieces of {size} items seen, 1 or more needed")
    count = count_of(right)
    return _pieces(right, [*range(0, count, size), count] if count else [])


@register("sublist", rank=2, operator=True)
def sublist(left: Value, right: Value) -> Value:
    """Give at most a count of items from the front or the end, or a count from a start on."""
    have = count_of(right)
    count = whole_atom(left)
    if count is not None:
        return take_items(max(min(count, have), -have), right)
    bounds = whole_vector(left)
    if bounds is None or len(bounds) != 2:
        raise type_error("a count, or a start and a count, needed")
    start, length = bounds.tolist()
    first, last = max(start, 0), min(max(start + length, 0), have)
    return span(right, min(first, have), max(last, min(first, have)))


@register("rotate", rank=2, operator=True)
def rotate(left: Value, right: Value) -> Value:
    """Move items from the front to the end, or with a negative count from the end to the front."""
    count, have = whole_atom(left), count_of(right)
    if count is None:
        raise type_error("a count needed on the left of rotate")
    if not have:
        return right
    return pick(right, (np.arange(have) + count) % have)


@register("reverse", "|:", rank=1, shown="|:")
def reverse(value: Value) -> Value:
    """Turn a list, table or dictionary around."""
    if not is_list(value) and not isinstance(value, Table | Dictionary):
        return value
    return pick(value, np.arange(count_of(value))[::-1])
