"""Truth of values: not, null, and whether all or any items are true."""

from collections.abc import Callable

import numpy as np

from tickloop.analytics.q.arithmetic import map_type
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.extremes import array_of, greater, lesser, shaped
from tickloop.analytics.q.lift import Simple, lift
from tickloop.analytics.q.promotion import TRUTH
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    is_function,
    symbols,
    type_of,
)
from tickloop.analytics.q.widths import is_null


def _not(value: Simple) -> Simple:
    map_type(TRUTH, value)
    return shaped(QType.BOOLEAN, np.asarray(array_of(value) == 0), value)


def _is_true(value: Simple) -> Simple:
    map_type(TRUTH, value)
    return shaped(QType.BOOLEAN, np.asarray(array_of(value) != 0), value)


@register("not", "~:", rank=1, shown="~:", atomic=True)
def negate(value: Value) -> Value:
    """Tell what is zero."""
    return lift(_not, value)


def _is_null(value: Simple) -> Simple:
    return shaped(QType.BOOLEAN, is_null(array_of(value), value.type), value)


@register("null", "^:", rank=1, shown="^:", atomic=True)
def null(value: Value) -> Value:
    """Tell what is null. An enumeration's null is a position outside its domain."""
    if isinstance(value, Enumerated):
        return Vector(QType.BOOLEAN, np.asarray(value.data < 0))
    if isinstance(value, EnumeratedAtom):
        return boolean(value.position < 0)
    if is_function(value):
        return boolean(isinstance(value, Nil))
    if isinstance(value, List):
        return collect([null(item) for item in value.items])
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, null(value.values))
    if isinstance(value, Table):
        return Table(value.names, tuple(null(column) for column in value.columns))
    return lift(_is_null, value)


def _aggregate(
    value: Value,
    of_flags: Callable[[np.ndarray[tuple[int], np.dtype[np.bool_]]], bool],
    combine: Callable[[Value, Value], Value],
) -> Value:
    if isinstance(value, Table):
        columns = [_aggregate(column, of_flags, combine) for column in value.columns]
        return Dictionary(symbols(value.names), collect(columns))
    if isinstance(value, Dictionary):
        return _aggregate(value.values, of_flags, combine)
    if isinstance(value, Atom | Vector):
        map_type(TRUTH, value)
        return boolean(of_flags(array_of(value) != 0))
    if not isinstance(value, List):
        raise type_error(f"a value of type {type_of(value)}h seen, numbers needed")
    if not value.items:
        return boolean(of_flags(np.zeros(0, dtype=np.bool_)))
    result = lift(_is_true, value.items[0])
    for item in value.items[1:]:
        result = combine(result, lift(_is_true, item))
    return result


@register("all", rank=1, aggregate=True)
def every(value: Value) -> Value:
    """Tell whether no item is zero; of lists item by item, of a table column by column."""
    return _aggregate(value, lambda flags: bool(flags.all()), lesser)


@register("any", rank=1, aggregate=True)
def some(value: Value) -> Value:
    """Tell whether an item is not zero."""
    return _aggregate(value, lambda flags: bool(flags.any()), greater)
