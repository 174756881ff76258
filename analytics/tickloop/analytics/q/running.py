"""Running aggregates: sums, prds, maxs, mins, avgs; deltas, ratios, differ."""

from collections.abc import Callable

import numpy as np

from tickloop.analytics.q.aggregates import known_or, refuse_text, sum_kind
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.factorize import factorize
from tickloop.analytics.q.identity import same
from tickloop.analytics.q.kinds import (
    FLOATING,
    as_floats,
    booleans,
    floats,
    greatest,
    least,
    null_mask,
)
from tickloop.analytics.q.lists import transposed
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    DTYPES,
    Array,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_list,
    item_at,
    items_of,
    plain,
)

OnVector = Callable[[Vector], Value]
Scan = Callable[[Value, Value], Value]


def uniform(value: Value, on_vector: OnVector, scan: Scan | None = None) -> Value:
    """Run over a vector, each column of a table, the values of a dictionary.

    Lists of lists are scanned item by item, or, without a `scan`, run over column by column.
    """
    value = plain(value)
    if isinstance(value, Vector):
        return on_vector(value)
    if isinstance(value, Atom):
        return item_at(uniform(collect([value]), on_vector, scan), 0)
    if isinstance(value, Table):
        columns = [uniform(column, on_vector, scan) for column in value.columns]
        return Table(value.names, tuple(columns))
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, uniform(value.values, on_vector, scan))
    if not isinstance(value, List):
        raise type_error("a function seen, a list needed")
    return _over_lists(value, on_vector, scan)


def _over_lists(value: List, on_vector: OnVector, scan: Scan | None) -> Value:
    if not value.items:
        return value
    if scan is None or all(isinstance(item, Vector) for item in value.items):
        widths = {count_of(item) for item in value.items if is_list(item)}
        if len(widths) == 1 and is_list(value.items[0]):
            columns = [uniform(column, on_vector, scan) for column in transposed(value.items)]
            return collect(transposed(columns)) if columns else value
    items = list(value.items)
    if scan is None:
        merged = collect([plain(item) for item in items])
        if isinstance(merged, Vector):
            return on_vector(merged)
        raise type_error("a list of numbers or lists of equal counts needed")
    for number in range(1, len(items)):
        items[number] = scan(items[number - 1], items[number])
    return collect(items)


def _verb(session: Interpreter, name: str) -> Scan:
    return lambda before, item: call(session, name, before, item)


@register("sums", rank=1, shown="+\\", session=True, uniform=True)
def sums(session: Interpreter, value: Value) -> Value:
    """Give running sums; nulls add nothing."""
    return uniform(value, sums_vector, _verb(session, "+"))


def sums_vector(values: Vector) -> Vector:
    """Add up a vector, step by step."""
    kind = sum_kind(values.type)
    return Vector(kind, np.add.accumulate(known_or(values, 0), dtype=DTYPES[kind]))


@register("prds", rank=1, shown="*\\", session=True, uniform=True)
def prds(session: Interpreter, value: Value) -> Value:
    """Give running products; nulls count as 1, 'type for text."""
    refuse_text(value)
    return uniform(value, prds_vector, _verb(session, "*"))


def prds_vector(values: Vector) -> Vector:
    """Multiply a vector, step by step."""
    kind = sum_kind(values.type)
    return Vector(kind, np.multiply.accumulate(known_or(values, 1), dtype=DTYPES[kind]))


@register("maxs", rank=1, shown="|\\", session=True, uniform=True)
def maxs(session: Interpreter, value: Value) -> Value:
    """Give running maxima; nulls before the first value are minus infinity."""
    return uniform(value, maxs_vector, _verb(session, "|"))


def maxs_vector(values: Vector) -> Vector:
    """Give the greatest item up to each."""
    filled = known_or(values, least(values.type))
    return Vector(values.type, np.maximum.accumulate(filled))


@register("mins", rank=1, shown="&\\", session=True, uniform=True)
def mins(session: Interpreter, value: Value) -> Value:
    """Give running minima; nulls before the first value are infinity."""
    return uniform(value, mins_vector, _verb(session, "&"))


def mins_vector(values: Vector) -> Vector:
    """Give the least item up to each."""
    filled = known_or(values, greatest(values.type))
    return Vector(values.type, np.minimum.accumulate(filled))


@register("avgs", rank=1, uniform=True)
def avgs(value: Value) -> Value:
    """Give running means, leaving out nulls."""
    return uniform(value, avgs_vector)


def avgs_vector(values: Vector) -> Vector:
    """Give the mean up to each item."""
    if values.type is QType.CHAR:
        raise type_error("char seen, numbers or times needed")
    numbers = as_floats(values)
    known = ~np.isnan(numbers)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.add.accumulate(np.where(known, numbers, 0.0)) / np.add.accumulate(known)
    return floats(means)


@register("deltas", rank=1, shown="-':", session=True, uniform=True)
def deltas(session: Interpreter, value: Value) -> Value:
    """Give differences between neighbours; the first item stays."""
    return _neighbours(session, "-", value)


@register("deltas", rank=2, shown="-':", session=True)
def deltas_from(session: Interpreter, left: Value, right: Value) -> Value:
    """Give differences between neighbours, with a value before the first."""
    return _neighbours_from(session, "-", left, right)


@register("ratios", rank=1, shown="%':", session=True, uniform=True)
def ratios(session: Interpreter, value: Value) -> Value:
    """Give quotients of neighbours; the first item stays."""
    return _neighbours(session, "%", value)


@register("ratios", rank=2, shown="%':", session=True)
def ratios_from(session: Interpreter, left: Value, right: Value) -> Value:
    """Give quotients of neighbours, with a value before the first."""
    return _neighbours_from(session, "%", left, right)


def _neighbours(session: Interpreter, verb: str, value: Value) -> Value:
    if isinstance(value, Table):
        columns = [_neighbours(session, verb, column) for column in value.columns]
        return Table(value.names, tuple(columns))
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, _neighbours(session, verb, value.values))
    if not is_list(value) or count_of(value) == 0:
        return value
    simple = plain(value)
    if isinstance(simple, Vector):
        return _after_first(session, verb, simple)
    items = items_of(simple)
    pairs = zip(items[1:], items[:-1], strict=True)
    return collect([items[0], *(call(session, verb, item, before) for item, before in pairs)])


def _after_first(session: Interpreter, verb: str, values: Vector) -> Value:
    """Keep the first item as a number of the type that the others come out in."""
    data = values.data
    one = Vector(values.type, data[:1])
    later = call(session, verb, Vector(values.type, data[1:]), Vector(values.type, data[:-1]))
    if not isinstance(later, Vector):
        raise type_error("numbers or times needed")
    head = _as_kind(one, later.type)
    return Vector(later.type, np.concatenate([head, later.data]))


def _as_kind(one: Vector, kind: QType) -> Array:
    if one.type is kind:
        return one.data
    if kind in FLOATING:
        return as_floats(one).astype(DTYPES[kind])
    return one.data.astype(DTYPES[kind])


def _neighbours_from(session: Interpreter, verb: str, left: Value, right: Value) -> Value:
    if isinstance(right, Dictionary):
        return Dictionary(right.keys, _neighbours_from(session, verb, left, right.values))
    before = call(session, ",", left, right)
    count = count_of(right)
    if not is_list(right):
        return call(session, verb, right, left)
    return call(session, verb, right, call(session, "sublist", _first_bounds(count), before))


def _first_bounds(count: int) -> Value:
    return Vector(QType.LONG, np.array([0, count], dtype=np.int64))


@register("differ", rank=1, shown="~~':", session=True, uniform=True)
def differ(session: Interpreter, value: Value) -> Value:
    """Tell which items differ from the one before; the first does. Floats are tolerant."""
    if isinstance(value, Table):
        codes = factorize(value).codes
        return _changes(codes[1:] != codes[:-1], len(value))
    if isinstance(value, Dictionary):
        changed = differ(session, value.values)
        return Dictionary(value.keys, changed)
    simple = plain(value)
    if isinstance(simple, Vector):
        data = simple.data
        if simple.type in FLOATING:
            later = Vector(simple.type, data[1:])
            equal = call(session, "=", later, Vector(simple.type, data[:-1]))
            assert isinstance(equal, Vector)
            nulls = null_mask(simple)
            return _changes(~(equal.data | (nulls[1:] & nulls[:-1])), len(data))
        return _changes(data[1:] != data[:-1], len(data))
    items = items_of(simple)
    changes = [not same(a, b) for a, b in zip(items[1:], items[:-1], strict=True)]
    return _changes(np.array(changes, dtype=np.bool_), len(items))


def _changes(later: Array, count: int) -> Vector:
    return booleans(np.concatenate([np.ones(min(count, 1), dtype=np.bool_), later]))
