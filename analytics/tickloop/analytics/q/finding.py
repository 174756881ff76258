"""Find, membership and binary search: in vectors, lists, tables and dictionaries."""

from bisect import bisect_left, bisect_right

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.factorize import first_positions, guid_halves, paired_numbers
from tickloop.analytics.q.identity import identity, rank_of
from tickloop.analytics.q.kinds import Mask, Positions, booleans, longs, order_keys
from tickloop.analytics.q.order import sort_numbers
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.selection import null_item, pick
from tickloop.analytics.q.table_rows import rows_from
from tickloop.analytics.q.units import cast
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Attribute,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    count_of,
    is_atom,
    is_list,
    item_at,
    items_of,
    long,
    plain,
)

_WHOLE_KINDS = frozenset({QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.LONG})
_FLOAT_KINDS = frozenset({QType.REAL, QType.FLOAT})


def find(left: Value, right: Value) -> Value:
    """Give the positions at which items first stand, the count of the list where nowhere.

    In a dictionary keys are given, the null of its keys where nowhere.
    """
    if isinstance(left, Dictionary):
        return keys_at(left.keys, find(left.values, right))
    if isinstance(left, Table):
        return _find_rows(left, right)
    if not is_list(left):
        raise type_error("an atom seen on the left of ?, a list, table or dictionary needed")
    if isinstance(right, Dictionary) and not isinstance(left, List):
        return Dictionary(right.keys, find(left, right.values))
    simple = plain(left)
    if isinstance(simple, Vector):
        return _find_in_vector(simple, plain(right))
    assert isinstance(simple, List)
    return _find_in_list(simple, right)


def keys_at(keys: Value, positions: Value) -> Value:
    """Give keys at positions that may lie nested, null keys outside."""
    if isinstance(positions, Atom):
        position = int(positions.value)
        return item_at(keys, position) if 0 <= position < count_of(keys) else null_item(keys)
    if isinstance(positions, Vector):
        return pick(keys, positions.data.astype(np.int64))
    return collect([keys_at(keys, item) for item in items_of(positions)])


def _find_in_vector(left: Vector, right: Value) -> Value:
    if isinstance(right, Atom):
        one = collect([right])
        assert isinstance(one, Vector)
        return long(int(positions_in(left, one)[0]))
    if isinstance(right, Vector):
        return longs(positions_in(left, right))
    if isinstance(right, List):
        return collect(_found_in_vector(left, right))
    raise type_error("items of the list's type needed on the right of ?")


def _found_in_vector(left: Vector, right: List) -> list[Value]:
    """Look for the items of a mixed list; beside lists, an atom is never found."""
    among_lists = bool(right.items) and is_list(right.items[0])
    missing = long(len(left))
    return [
        missing if among_lists and is_atom(item) else _find_in_vector(left, plain(item))
        for item in right.items
    ]


def positions_in(left: Vector, right: Vector) -> Positions:
    """Find items of one type in a vector, by binary search if it is known to be sorted."""
    if left.type is not right.type:
        if not len(right):
            return np.empty(0, dtype=np.int64)
        if _widens(right.type, left.type):
            # Nulls keep their meaning: 0Ni stands among longs where 0N does.
            wide = max(left.type, right.type)
            return positions_in(_widened(left, wide), _widened(right, wide))
        seen = f"{right.type.name.lower()} looked for among {left.type.name.lower()}"
        raise type_error(f"{seen}; cast one to the type of the other")
    if left.attribute is Attribute.SORTED and len(right) < len(left):
        return _sorted_positions(order_keys(left), order_keys(right))
    if left.type is QType.GUID and len(right) == 1:
        return _find_guid(left.data, right.data)
    return first_positions(*paired_numbers(left, right))


def _widens(wanted: QType, held: QType) -> bool:
    """Tell whether items of a type may be looked for among items of another."""
    numbers = _WHOLE_KINDS | _FLOAT_KINDS
    return held in numbers and (wanted in _WHOLE_KINDS or {wanted, held} <= _FLOAT_KINDS)


def _widened(values: Vector, kind: QType) -> Vector:
    if values.type is kind:
        return values
    return Vector(kind, cast(values.data, values.type, kind))


def _find_guid(haystack: Array, needle: Array) -> Positions:
    high, low = guid_halves(haystack)
    first, second = guid_halves(needle)
    hits = np.flatnonzero((high == first[0]) & (low == second[0]))
    return np.array([hits[0] if len(hits) else len(haystack)], dtype=np.int64)


def _sorted_positions(haystack: Array, needles: Array) -> Positions:
    found = np.searchsorted(haystack, needles).astype(np.int64, copy=False)
    near = haystack[np.minimum(found, len(haystack) - 1)]
    return np.where(near == needles, found, len(haystack))


def _find_in_list(left: List, right: Value) -> Value:
    """Find in a general list: its first item says how deep an item is."""
    depth = rank_of(left.items[0]) if left.items else 0
    if rank_of(right) > depth and (is_list(right) or isinstance(right, Table)):
        if depth == 0 and not left.items and is_list(right):
            return longs(np.zeros(count_of(right)))
        return _each_in_list(left, right, depth)
    if rank_of(right) < depth:
        return long(len(left.items))
    wanted = identity(right)
    hits = (number for number, item in enumerate(left.items) if identity(item) == wanted)
    return long(next(hits, len(left.items)))


def _each_in_list(left: List, right: Value, depth: int) -> Value:
    places: dict[object, int] = {}
    for number, item in enumerate(left.items):
        places.setdefault(identity(item), number)
    missing = len(left.items)

    def found(item: Value) -> Value:
        if rank_of(item) > depth and is_list(item):
            return collect([found(part) for part in items_of(item)])
        return long(places.get(identity(item), missing))

    return collect([found(item) for item in items_of(right)])


def _find_rows(left: Table, right: Value) -> Value:
    rows = rows_from(left, right)
    positions = first_positions(*paired_numbers(left, rows))
    return longs(positions) if _are_many(left, right) else long(int(positions[0]))


def _are_many(table: Table, value: Value) -> bool:
    """Tell rows from one row."""
    if isinstance(value, Table):
        return True
    if isinstance(value, Dictionary):
        return isinstance(value.keys, Table)
    return isinstance(value, List) and bool(value.items) and is_list(value.items[0])


@register("in", rank=2, operator=True)
def member(left: Value, right: Value) -> Value:
    """Tell which items stand in a list, rows in a table."""
    if isinstance(right, Dictionary):
        right = right.keys if isinstance(right.keys, Table) else right.values
    if is_atom(right):
        right = collect([right])
    if isinstance(right, Table):
        return _rows_in(left, right)
    if isinstance(left, Dictionary) and not isinstance(right, List):
        return Dictionary(left.keys, member(left.values, right))
    if count_of(right) == 1:
        left, right = _as_alike(left, right)
    return _below(find(right, left), count_of(right))


def _as_alike(left: Value, right: Value) -> tuple[Value, Value]:
    """Turn numbers that are compared to those of another type into floats."""
    kinds = [side.type for side in (left, right) if isinstance(side, Atom | Vector)]
    if len(kinds) < 2 or kinds[0] is kinds[1]:
        return left, right
    if not set(kinds) <= _WHOLE_KINDS | _FLOAT_KINDS or not set(kinds) & _FLOAT_KINDS:
        return left, right
    return _floated(left), _floated(right)


def _floated(value: Value) -> Value:
    if isinstance(value, Vector):
        return _widened(value, QType.FLOAT)
    assert isinstance(value, Atom)
    widened = collect([value])
    assert isinstance(widened, Vector)
    return item_at(_widened(widened, QType.FLOAT), 0)


def _rows_in(left: Value, right: Table) -> Value:
    if is_list(left) and not _are_many(right, left) and len(right.columns) == 1:
        return member(left, right.columns[0])
    return _below(find(right, left), len(right))


def _below(positions: Value, count: int) -> Value:
    if isinstance(positions, Atom):
        return boolean(int(positions.value) < count)
    if isinstance(positions, Vector):
        return booleans(positions.data < count)
    return collect([_below(item, count) for item in items_of(positions)])


def member_mask(values: Value, among: Value) -> Mask:
    """Tell for every item of a list or row of a table whether it stands among others."""
    theirs, ours = paired_numbers(among, values)
    mask = first_positions(np.ascontiguousarray(theirs), np.ascontiguousarray(ours)) < len(theirs)
    return np.asarray(mask)


@register("bin", rank=2, operator=True)
def bin_(left: Value, right: Value) -> Value:
    """Give the position of the last item not above each of others; -1 before the first."""
    return _search(left, right, from_right=False)


@register("binr", rank=2, operator=True)
def binr(left: Value, right: Value) -> Value:
    """Give the position of the first item not below each of others."""
    return _search(left, right, from_right=True)


def _search(left: Value, right: Value, *, from_right: bool) -> Value:
    if isinstance(left, Dictionary):
        return keys_at(left.keys, _search(left.values, right, from_right=from_right))
    if isinstance(left, Table):
        return _search_rows(left, right, from_right=from_right)
    if isinstance(left, List) and left.items:
        return _search_texts(left, right, from_right=from_right)
    if isinstance(right, List):
        return collect([_search(left, item, from_right=from_right) for item in right.items])
    if isinstance(right, Dictionary):
        return Dictionary(right.keys, _search(left, right.values, from_right=from_right))
    ours, theirs = _comparable(left, right)
    positions = np.searchsorted(ours, theirs, side="left" if from_right else "right")
    positions = positions.astype(np.int64, copy=False) - (0 if from_right else 1)
    return long(int(positions[0])) if is_atom(right) else longs(positions)


def _search_texts(left: List, right: Value, *, from_right: bool) -> Value:
    """Search among strings in order, for one or for several of them."""
    texts = [_text(item) for item in left.items]
    find = bisect_left if from_right else bisect_right
    less = 0 if from_right else 1
    if isinstance(right, List):
        return longs([find(texts, _text(item)) - less for item in right.items])
    return long(find(texts, _text(right)) - less)


def _text(item: Value) -> bytes:
    if not isinstance(item, Vector) or item.type is not QType.CHAR:
        raise type_error("a general list is searched if it is of strings")
    return item.data.tobytes()


def _comparable(left: Value, right: Value) -> tuple[Array, Array]:
    """Give a sorted vector and what is looked for as numbers that compare as they do."""
    ours, theirs = plain(left), plain(right)
    theirs = collect([theirs]) if isinstance(theirs, Atom) else theirs
    if not isinstance(ours, Vector) or not isinstance(theirs, Vector):
        raise type_error("a sorted vector needed on the left of bin")
    if ours.type is theirs.type:
        return order_keys(ours), order_keys(theirs)
    unlike = {QType.SYMBOL, QType.GUID, QType.CHAR} & {ours.type, theirs.type}
    if unlike and len(ours):
        raise type_error(f"{theirs.type.name.lower()} looked for among {ours.type.name.lower()}")
    return _as_floats(ours), _as_floats(theirs)


def _as_floats(values: Vector) -> Array:
    """Give numbers of any type as floats, nulls as -infinity so that they come first."""
    numbers = values.data.astype(np.float64)
    null = NULLS[values.type]
    numbers[np.isnan(numbers) | (values.data == null)] = -np.inf
    return numbers


def _search_rows(left: Table, right: Value, *, from_right: bool) -> Value:
    """Search the last column among the rows that agree in the others; null where none do."""
    rows = rows_from(left, right)
    ours, theirs = left.columns[-1], rows.column(left.names[-1])
    low, high = _comparable(ours, theirs)
    numbers = np.unique(np.concatenate([low, high]), return_inverse=True)[1] + 1
    keys = _other_columns(left, rows)
    width = int(numbers.max(initial=0)) + 2
    spots = keys * width + numbers
    known, wanted = spots[: len(left)], spots[len(left) :]
    order = sort_numbers(known)
    at = np.searchsorted(known[order], wanted, side="left" if from_right else "right")
    at = at - (0 if from_right else 1)
    inside = (at >= 0) & (at < len(left))
    found = order[np.where(inside, at, 0)] if len(left) else at
    agree = inside & (keys[found] == keys[len(left) :]) if len(left) else inside
    answer = np.where(agree, found, NULLS[QType.LONG])
    return longs(answer) if _are_many(left, right) else long(int(answer[0]))


def _other_columns(left: Table, rows: Table) -> Positions:
    """Code what all but the last columns of two tables hold, one after the other."""
    if len(left.columns) == 1:
        return np.zeros(len(left) + len(rows), dtype=np.int64)
    ours = Table(left.names[:-1], left.columns[:-1])
    theirs = Table(ours.names, tuple(rows.column(name) for name in ours.names))
    pair = paired_numbers(ours, theirs)
    both = np.concatenate([part.astype(np.int64) for part in pair])
    return np.unique(both, return_inverse=True)[1].astype(np.int64)
