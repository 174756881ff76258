"""Join: lists to lists, rows to tables, entries to dictionaries; enlist and raze."""

from collections.abc import Sequence

import numpy as np

from tickloop.analytics.q.attributes import after_append, with_attribute
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.selection import pick
from tickloop.analytics.q.table_rows import (
    append_rows,
    enumerated_in,
    flat,
    placed,
    places,
    rows_from,
    upsert_rows,
)
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_keyed_table,
    is_list,
    items_of,
    plain,
)


@register(",", rank=2, operator=True)
def join(left: Value, right: Value) -> Value:
    """Join two values into one list, table or dictionary."""
    if isinstance(left, Vector) and isinstance(right, Vector | Atom) and left.type is right.type:
        return _join_alike(left, right)
    if isinstance(left, Table):
        return append_rows(left, rows_from(left, right), strict=False)
    if isinstance(left, Dictionary):
        return join_entries(left, right)
    if isinstance(right, Table) and count_of(left):
        return _before_table(left, right)
    if isinstance(right, Dictionary) and (is_list(left) or isinstance(left, Atom)):
        if is_list(left) and not count_of(left):
            return right
        raise type_error("a list and a dictionary seen, two lists or two dictionaries needed")
    return join_lists(left, right)


def _join_alike(left: Vector, right: Vector | Atom) -> Vector:
    """Join what is of one type, as texts are put together item by item."""
    if isinstance(right, Vector):
        return Vector(left.type, np.concatenate((left.data, right.data)))
    count = len(left.data)
    data = np.empty(count + 1, dtype=left.data.dtype)
    data[:count] = left.data
    data[count] = right.item()
    return Vector(left.type, data)


def _before_table(left: Value, right: Table) -> Value:
    """Put rows given as dictionaries before a table."""
    if isinstance(left, List) and not any(isinstance(item, Dictionary) for item in left.items):
        return List((*left.items, *items_of(right)))
    return collect([*items_of(left), *items_of(right)])


def join_lists(left: Value, right: Value) -> Value:
    """Join lists or atoms: a vector if all is of one type, else a general list."""
    if isinstance(left, Enumerated | EnumeratedAtom):
        return _join_enumerated(left, right)
    right = plain(right) if not isinstance(right, List) else right
    ours, theirs = _listed(left), _listed(right)
    if not count_of(theirs):
        return _emptied(ours, theirs)
    if not count_of(ours):
        return theirs
    if isinstance(ours, Vector) and isinstance(theirs, Vector) and ours.type is theirs.type:
        return Vector(ours.type, np.concatenate([ours.data, theirs.data]))
    return List((*items_of(ours), *items_of(theirs)))


def _listed(value: Value) -> Value:
    if isinstance(value, Vector):
        return Vector(value.type, value.data)
    if isinstance(value, List):
        return List(value.items)
    return value if isinstance(value, Table) else collect([value])


def _emptied(ours: Value, theirs: Value) -> Value:
    """Join an empty list: its type counts only where nothing else says one."""
    if count_of(ours) or not isinstance(ours, List):
        return ours
    return theirs


def _join_enumerated(left: Value, right: Value) -> Value:
    """Join positions in one domain; symbols and others make it plain."""
    if isinstance(left, EnumeratedAtom):
        is_alike = isinstance(right, EnumeratedAtom) and right.domain is left.domain
        if isinstance(right, Atom | EnumeratedAtom) and not is_alike:
            return List((left, right))
        left = Enumerated(left.domain, np.array([left.position], dtype=np.int64))
    assert isinstance(left, Enumerated)
    if isinstance(right, EnumeratedAtom):
        right = Enumerated(right.domain, np.array([right.position], dtype=np.int64))
    if isinstance(right, Enumerated) and right.domain is left.domain:
        return Enumerated(left.domain, np.concatenate([left.data, right.data]))
    return join_lists(plain(left), right)


def join_entries(left: Dictionary, right: Value) -> Value:
    """Add a dictionary's entries, those of known keys replacing values."""
    if is_keyed_table(left):
        return upsert_rows(left, rows_from(flat(left), right), strict=False)
    if not isinstance(right, Dictionary):
        raise type_error("a dictionary and a list seen, two dictionaries needed")
    if not len(left):
        return Dictionary(right.keys, right.values)
    return _merged(left, right, strict=False)


def _merged(left: Dictionary, right: Dictionary, *, strict: bool) -> Dictionary:
    spots = places(left.keys, right.keys)
    keys = join_lists(left.keys, pick(right.keys, spots.fresh))
    return Dictionary(keys, placed(left.values, right.values, spots, strict=strict))


def append(value: Value, more: Value) -> Value:
    """Append as `,:` does: a vector takes its own type only, attributes stay where they hold."""
    if isinstance(value, Table):
        return append_rows(value, rows_from(value, more), strict=True)
    if isinstance(value, Dictionary):
        return _append_entries(value, more)
    if isinstance(value, Vector) and len(value) and _is_unfit(value, more):
        raise type_error(f"the list holds {value.type.name.lower()}; cast what is appended first")
    if isinstance(value, Enumerated) and not isinstance(more, Enumerated | EnumeratedAtom | List):
        more = enumerated_in(value, more)
    joined = join(value, more)
    if not isinstance(value, Vector | Enumerated | List) or not value.attribute:
        return joined
    kept = after_append(value, joined)
    return with_attribute(joined, kept) if kept else joined


def _append_entries(value: Dictionary, more: Value) -> Value:
    if is_keyed_table(value):
        return upsert_rows(value, rows_from(flat(value), more), strict=True)
    if not isinstance(more, Dictionary) or not len(value):
        return join_entries(value, more)
    return _merged(value, more, strict=True)


def _is_unfit(value: Vector, more: Value) -> bool:
    """Tell whether what is appended does not fit a vector."""
    more = plain(more)
    if isinstance(more, Vector | Atom):
        return more.type is not value.type and count_of(more) > 0
    return not isinstance(more, List) or any(_is_unfit(value, item) for item in more.items)


@register("enlist", ",:", rank=1)
def enlist(value: Value) -> Value:
    """Make the one-item list of a value; of a dictionary with symbol keys a table."""
    return enlist_all([value])


def enlist_all(values: Sequence[Value]) -> Value:
    """Make a list of values, as `enlist[a;b;c]` does."""
    return collect(values)


for _rank in range(2, 9):
    register("enlist", rank=_rank)(lambda *values: enlist_all(values))


@register("raze", rank=1, shown=",/")
def raze(value: Value) -> Value:
    """Join the items of a list, the values of a dictionary."""
    if isinstance(value, Dictionary):
        return raze(value.values)
    if isinstance(value, Atom | EnumeratedAtom):
        return collect([value])
    if not isinstance(value, List):
        return value
    if not value.items:
        return value
    return _razed(value.items)


def _razed(items: Sequence[Value]) -> Value:
    first = items[0]
    if isinstance(first, Vector | Atom):
        kind = first.type
        if all(isinstance(item, Vector | Atom) and item.type is kind for item in items):
            parts = [_listed(item) for item in items]
            return Vector(kind, np.concatenate([p.data for p in parts if isinstance(p, Vector)]))
    if len(items) == 1:
        return first if not isinstance(first, Atom | EnumeratedAtom) else collect(items)
    if _are_lists(items):
        return _flat(items)
    joined = first
    for item in items[1:]:
        joined = join(joined, item)
    return joined


def _are_lists(items: Sequence[Value]) -> bool:
    return all(isinstance(item, Atom | Vector | List) for item in items)


def _flat(items: Sequence[Value]) -> Value:
    """Join atoms and lists of several types in one pass."""
    filled = [item for item in items if count_of(item)]
    if len(filled) < 2:
        return join(items[0], items[1]) if not filled else _listed(filled[0])
    kinds = {item.type if isinstance(item, Vector | Atom) else None for item in filled}
    if len(kinds) == 1 and None not in kinds:
        return _razed(filled)
    return List(tuple(part for item in filled for part in items_of(item)))
