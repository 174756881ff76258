"""Lists as sets: distinct, group, union, inter, except, cross, where, differ."""

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.factorize import factorize, group
from tickloop.analytics.q.finding import member_mask, positions_in
from tickloop.analytics.q.joining import join
from tickloop.analytics.q.kinds import Mask, Positions, as_list, limited, longs
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.selection import pick, span
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.values import (
    Attribute,
    Dictionary,
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
    plain,
)


@register("distinct", "?:", rank=1, shown="?:")
def distinct(value: Value) -> Value:
    """Keep the first of equal items or rows."""
    if isinstance(value, Vector | List) and value.attribute is Attribute.UNIQUE:
        return span(value, 0, len(value))
    if is_keyed_table(value):
        raise type_error("a keyed table seen; unkey it with 0! first")
    listed = _listed(value)
    return pick(listed, factorize(listed).firsts)


def _listed(value: Value) -> Value:
    """Give what a set is made of: a dictionary's values, a table's rows, a list's items."""
    if isinstance(value, Dictionary):
        return flat(value) if is_keyed_table(value) else _listed(value.values)
    return value if isinstance(value, Table) else as_list(value)


@register("group", "=:", rank=1, shown="=:")
def group_(value: Value) -> Value:
    """Map every distinct item to its positions, every distinct value to its keys."""
    if isinstance(value, Dictionary):
        grouped = group_(value.values)
        assert isinstance(grouped, Dictionary)
        keys = [pick(value.keys, _positions(places)) for places in items_of(grouped.values)]
        return Dictionary(grouped.keys, collect(keys))
    if not is_list(value) and not isinstance(value, Table):
        raise type_error("an atom seen, a list needed")
    codes = factorize(value)
    groups = group(codes)
    edges = groups.starts.tolist()
    places = [longs(groups.order[edges[i] : edges[i + 1]]) for i in range(len(edges) - 1)]
    return Dictionary(pick(value, codes.firsts), List(tuple(places)))


def _positions(value: Value) -> Positions:
    assert isinstance(value, Vector)
    return value.data


@register("where", "&:", rank=1, shown="&:")
def where(value: Value) -> Value:
    """Give positions as often as counts say: those of 1b in a boolean list."""
    if isinstance(value, Dictionary):
        return pick(value.keys, _repeats(value.values))
    return longs(_repeats(value))


def _repeats(value: Value) -> Positions:
    if isinstance(value, List):
        value = collect(value.items)
        if isinstance(value, List) and not value.items:
            return np.empty(0, dtype=np.int64)
    if isinstance(value, Vector) and value.type is QType.BOOLEAN:
        return np.flatnonzero(value.data).astype(np.int64, copy=False)
    counts = (QType.BYTE, QType.SHORT, QType.INT, QType.LONG)
    if not isinstance(value, Vector) or value.type not in counts:
        raise type_error("a list of booleans or of counts needed")
    repeats = np.maximum(value.data, 0)
    limited(int(repeats.sum(dtype=np.float64)))
    return np.repeat(np.arange(len(value)), repeats)


@register("union", rank=2, operator=True)
def union(left: Value, right: Value) -> Value:
    """Give the distinct items of both lists."""
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        return join(left, right)
    return distinct(join(left, right))


@register("inter", rank=2, operator=True)
def inter(left: Value, right: Value) -> Value:
    """Give the items that stand in both, as the left has them."""
    listed = _listed(left)
    return pick(listed, np.flatnonzero(_members(listed, _listed(right))))


@register("except", rank=2, operator=True)
def except_(left: Value, right: Value) -> Value:
    """Give the items that do not stand on the right."""
    listed = _listed(left)
    is_row = isinstance(right, Dictionary) and not is_keyed_table(right)
    others = collect([right]) if is_row else _listed(right)
    return pick(listed, np.flatnonzero(~_members(listed, others)))


def _members(values: Value, among: Value) -> Mask:
    values, among = plain(values), plain(among)
    if isinstance(values, Vector) and isinstance(among, Vector):
        if not len(among):
            return np.zeros(len(values), dtype=np.bool_)
        return np.asarray(positions_in(among, values) < len(among))
    if isinstance(values, Table) is not isinstance(among, Table):
        if count_of(among):
            raise type_error("a table and a list seen, two tables or two lists needed")
        return np.zeros(count_of(values), dtype=np.bool_)
    return member_mask(values, among)


@register("cross", rank=2, operator=True)
def cross(left: Value, right: Value) -> Value:
    """Join every item of one list to every item of the other."""
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        if is_keyed_table(left) and is_keyed_table(right):
            keys, values = cross(left.keys, right.keys), cross(left.values, right.values)
            return Dictionary(keys, values)
        return Dictionary(cross(left.keys, right.keys), cross(left.values, right.values))
    ours, theirs = _rows(left), _rows(right)
    first, second = count_of(ours), count_of(theirs)
    limited(first * second)
    if isinstance(ours, Table) and isinstance(theirs, Table):
        lefts = pick(ours, np.repeat(np.arange(first), second))
        rights = pick(theirs, np.tile(np.arange(second), first))
        assert isinstance(lefts, Table)
        assert isinstance(rights, Table)
        return Table(lefts.names + rights.names, lefts.columns + rights.columns)
    pairs = [join(one, other) for one in items_of(ours) for other in items_of(theirs)]
    return List(tuple(pairs))


def _rows(value: Value) -> Value:
    if is_keyed_table(value):
        return flat(value)
    return value if isinstance(value, Table) else as_list(value)
