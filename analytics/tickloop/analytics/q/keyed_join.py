"""Joins by equal keys: left, inner, plus, union and equi-joins."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.asof_join import columns_named
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.finding import bin_
from tickloop.analytics.q.join_columns import is_null, keyed_like, merged, unkeyed
from tickloop.analytics.q.matching import matched, rows_by_key
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.rows import join, nulls, take, take_or_null
from tickloop.analytics.q.values import (
    DTYPES,
    Attribute,
    Dictionary,
    List,
    Table,
    Value,
    Vector,
    is_keyed_table,
    names_of,
)

Codes = npt.NDArray[np.int32]


@register("lj", rank=2, operator=True)
def lj(left: Value, right: Value) -> Value:
    """Add the columns of a keyed table to the rows whose key it has."""
    return _left(left, right, fill=False)


@register("ljf", rank=2, operator=True)
def ljf(left: Value, right: Value) -> Value:
    """Join as lj does, but keep the left value where the right one is null."""
    return _left(left, right, fill=True)


@register("ij", rank=2, operator=True)
def ij(left: Value, right: Value) -> Value:
    """Join as lj does, and keep only the rows whose key the keyed table has."""
    return _inner(left, right, fill=False)


@register("ijf", rank=2, operator=True)
def ijf(left: Value, right: Value) -> Value:
    """Join as ij does, but keep the left value where the right one is null."""
    return _inner(left, right, fill=True)


def _sides(value: Value) -> tuple[Table, Table]:
    if not isinstance(value, Dictionary) or not is_keyed_table(value):
        raise type_error("the right table has to be keyed, as by 1!t")
    assert isinstance(value.keys, Table)
    assert isinstance(value.values, Table)
    return value.keys, value.values


def _found(left: Table, right: Value, keys: Table) -> Codes:
    if isinstance(right, Dictionary) and right.attribute is Attribute.SORTED:
        # A step function holds from each of its keys up to the next.
        sought = Table(keys.names, tuple(columns_named(left, keys.names)))
        steps = bin_(keys, sought)
        assert isinstance(steps, Vector)
        return np.maximum(steps.data, -1)
    return rows_by_key(columns_named(left, keys.names), keys.columns)


def _columns(table: Table) -> dict[str, Value]:
    return dict(zip(table.names, table.columns, strict=True))


def _left(left: Value, right: Value, *, fill: bool) -> Value:
    keys, values = _sides(right)
    ours = unkeyed(left, "left")
    return keyed_like(left, merged(ours, _columns(values), _found(ours, right, keys), fill=fill))


def _inner(left: Value, right: Value, *, fill: bool) -> Value:
    keys, values = _sides(right)
    ours = unkeyed(left, "left")
    found = _found(ours, right, keys)
    kept = np.flatnonzero(found >= 0)
    rows = take(ours, kept)
    assert isinstance(rows, Table)
    return keyed_like(left, merged(rows, _columns(values), found[kept], fill=fill))


@register("pj", rank=2, operator=True, session=True)
def pj(session: Interpreter, left: Value, right: Value) -> Value:
    """Add the values of a keyed table to those of the rows whose key it has."""
    keys, values = _sides(right)
    ours = unkeyed(left, "left")
    found = _found(ours, right, keys)
    columns = _columns(ours)
    for name, column in _columns(values).items():
        added = _zero_filled(take_or_null(column, found), name)
        columns[name] = call(session, "+", columns[name], added) if name in columns else added
    return keyed_like(left, Table.of(columns))


def _zero_filled(column: Value, name: str) -> Vector:
    if not isinstance(column, Vector) or column.data.dtype.kind not in "iufb":
        raise QError("type", f"column {name} cannot be added")
    zero = DTYPES[column.type].type(0)
    return Vector(column.type, np.where(is_null(column), zero, column.data))


@register("uj", rank=2, operator=True)
def uj(left: Value, right: Value) -> Value:
    """Unite the rows and columns of two tables; of keyed tables by key, the right one winning."""
    return _union(left, right, fill=False)


@register("ujf", rank=2, operator=True)
def ujf(left: Value, right: Value) -> Value:
    """Unite as uj does, but keep the left value where the right one is null."""
    return _union(left, right, fill=True)


def _union(left: Value, right: Value, *, fill: bool) -> Value:
    if is_keyed_table(left) != is_keyed_table(right):
        raise type_error("either both tables are keyed or none")
    if not is_keyed_table(left):
        return stacked(unkeyed(left, "left"), unkeyed(right, "right"))
    keys, values = _sides(left)
    other_keys, other_values = _sides(right)
    names = keys.names
    if set(names) != set(other_keys.names):
        raise QError("mismatch", f"keys {names} and {other_keys.names} seen, the same needed")
    theirs = Table(names, tuple(columns_named(other_keys, names)))
    changed = merged(
        values, _columns(other_values), rows_by_key(keys.columns, theirs.columns), fill=fill
    )
    new = np.flatnonzero(rows_by_key(theirs.columns, keys.columns) < 0)
    new_keys = stacked(keys, take(theirs, new))
    return Dictionary(new_keys, stacked(changed, take(other_values, new)))


def stacked(left: Table, right: Value) -> Table:
    """Put a table's rows under another's; columns that one lacks are null there."""
    assert isinstance(right, Table)
    columns: dict[str, Value] = {}
    for name in dict.fromkeys((*left.names, *right.names)):
        mine = left.column(name) if name in left.names else None
        other = right.column(name) if name in right.names else None
        upper = nulls(other, len(left)) if mine is None and other is not None else mine
        lower = nulls(mine, len(right)) if other is None and mine is not None else other
        assert upper is not None
        assert lower is not None
        columns[name] = _stacked(upper, lower)
    return Table.of(columns)


def _stacked(upper: Value, lower: Value) -> Value:
    if isinstance(upper, List) and not upper.items:
        return lower
    return join([upper, lower])


@register("ej", rank=3)
def ej(names: Value, left: Value, right: Value) -> Value:
    """Join every left row with every right row of the same key."""
    keys = names_of(names)
    if not keys:
        raise type_error("names of columns are needed")
    ours, theirs = unkeyed(left, "left"), unkeyed(right, "right")
    pairs = _pairs(columns_named(ours, keys), columns_named(theirs, keys), len(ours), len(theirs))
    columns = _columns(ours)
    joined = {name: take(column, pairs[0]) for name, column in columns.items()}
    for name, column in _columns(theirs).items():
        if name not in keys:
            joined[name] = take(column, pairs[1])
    return Table.of(joined)


def _pairs(
    ours: Sequence[Value], theirs: Sequence[Value], left: int, right: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    found = matched(ours, theirs, left, right)
    known = np.flatnonzero(found.codes >= 0)
    spans = found.codes[known]
    counts = (found.stops - found.starts)[spans]
    total = int(counts.sum())
    rows = np.repeat(known, counts)
    begins = np.cumsum(counts) - counts
    others = np.arange(total) - np.repeat(begins - found.starts[spans], counts)
    return rows, others if found.order is None else found.order[others]
