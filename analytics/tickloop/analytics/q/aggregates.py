"""Aggregates that leave nulls out: sum, prd, avg, max, min, all, any, med.

A dictionary gives the aggregate of its values, a table that of each column; lists of lists are
aggregated item by item, and there nulls count.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.fold_kernels import fold_product, fold_sum
from tickloop.analytics.q.kinds import (
    FLOATING,
    NULLLESS,
    UNRANKED,
    as_floats,
    greatest,
    least,
    null_mask,
)
from tickloop.analytics.q.lists import transposed
from tickloop.analytics.q.order import ascending
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.selection import pick
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Atom,
    Dictionary,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    float_,
    is_atom,
    items_of,
    long,
    plain,
    symbols,
)

OnVector = Callable[[Vector], Value]
OnItems = Callable[[Sequence[Value]], Value]

# Sums of these come out as ints; those of other types keep their type.
_SUMMED_AS_INT = frozenset(
    {QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.CHAR},
)


def aggregate(value: Value, on_vector: OnVector, on_items: OnItems) -> Value:
    """Aggregate a vector by one function, lists of lists by another, tables by column."""
    if isinstance(value, Vector):
        return on_vector(value)
    if isinstance(value, Table):
        columns = [aggregate(column, on_vector, on_items) for column in value.columns]
        return Dictionary(symbols(value.names), collect(columns))
    if isinstance(value, Dictionary):
        return aggregate(value.values, on_vector, on_items)
    if is_atom(value) or isinstance(value, Enumerated):
        return _aggregate_simple(plain(value), on_vector)
    if isinstance(value, List):
        numbers = _numbers(value)
        return on_vector(numbers) if numbers is not None else on_items(value.items)
    raise type_error("a function seen, numbers or lists of them needed")


def _aggregate_simple(value: Value, on_vector: OnVector) -> Value:
    listed = collect([value]) if isinstance(value, Atom) else value
    assert isinstance(listed, Vector)
    return on_vector(listed)


def _numbers(value: List) -> Vector | None:
    """Give mixed numbers as floats, or None for lists of lists; an empty list has no type."""
    items = [plain(item) for item in value.items]
    if not items:
        return Vector(QType.LONG, np.empty(0, dtype=np.int64))
    if not all(isinstance(item, Atom) and item.type not in UNRANKED for item in items):
        return None
    merged = collect(items)
    if isinstance(merged, Vector):
        return merged
    parts = [collect([item]) for item in items]
    return Vector(
        QType.FLOAT, np.concatenate([as_floats(part) for part in parts if isinstance(part, Vector)])
    )


def by_column(on_vector: OnVector) -> OnItems:
    """Aggregate lists of lists column by column."""

    def fold(items: Sequence[Value]) -> Value:
        return collect([aggregate(column, on_vector, fold) for column in columns_of(items)])

    return fold


def columns_of(items: Sequence[Value]) -> list[Value]:
    """Give the columns of a list of lists; the values of dictionaries."""
    if all(isinstance(item, Dictionary) for item in items):
        return transposed([item.values for item in items if isinstance(item, Dictionary)])
    return transposed(items)


def folded(session: Interpreter, verb: str) -> OnItems:
    """Fold lists of lists from left to right with a verb."""

    def fold(items: Sequence[Value]) -> Value:
        total = items[0]
        for item in items[1:]:
            total = call(session, verb, total, item)
        return total

    return fold


def sum_kind(kind: QType) -> QType:
    """Give the type of a sum; 'type for symbols and guids."""
    if kind in UNRANKED:
        raise type_error(f"{kind.name.lower()} seen, numbers or times needed")
    return QType.INT if kind in _SUMMED_AS_INT else kind


def of_kind(kind: QType, value: object) -> Atom:
    """Make an atom of a number, cut to the width of its type as integers wrap."""
    dtype = DTYPES[kind]
    cut = np.array(value).astype(dtype)
    return Atom(kind, cut.item())


@register("sum", rank=1, session=True, aggregate=True)
def sum_(session: Interpreter, value: Value) -> Value:
    """Add up; 0 for nothing."""
    if isinstance(value, List) and _is_mixed(value):
        return folded(session, "+")(value.items)
    return aggregate(value, sum_vector, folded(session, "+"))


def _is_mixed(value: List) -> bool:
    """Tell whether a list holds atoms of several types: the verb itself knows their sum's type."""
    kinds = {item.type for item in value.items if isinstance(item, Atom)}
    known = all(isinstance(item, Atom) for item in value.items)
    return known and len(kinds) > 1 and not _has_null(value)


def _has_null(value: List) -> bool:
    return any(
        isinstance(item, Atom) and (item.value == NULLS[item.type] or item.value != item.value)
        for item in value.items
        if isinstance(item, Atom) and item.type not in NULLLESS
    )


def sum_vector(values: Vector) -> Atom:
    """Add up a vector."""
    kind = sum_kind(values.type)
    if values.type in FLOATING:
        return of_kind(kind, fold_sum(np.ascontiguousarray(values.data, dtype=np.float64)))
    total = int(np.add.reduce(values.data, dtype=DTYPES[kind]))
    if values.type in NULLLESS or values.type is QType.CHAR:
        return Atom(kind, total)
    # Nulls were added as the numbers that they are; sums wrap, so they can be taken out again.
    null = int(NULLS[values.type])
    total -= null * int(np.count_nonzero(values.data == null))
    bits = 8 * DTYPES[kind].itemsize
    return Atom(kind, (total + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1))


def known_or(values: Vector, filler: object) -> Array:
    """Give integers, or floats, with a filler in place of nulls."""
    if values.type in NULLLESS or values.type is QType.CHAR:
        return values.data
    missing = null_mask(values)
    return np.where(missing, values.data.dtype.type(filler), values.data)


@register("prd", rank=1, session=True, aggregate=True)
def prd(session: Interpreter, value: Value) -> Value:
    """Multiply; 1 for nothing, 'type for text."""
    refuse_text(value)
    if isinstance(value, List) and _is_mixed(value):
        return folded(session, "*")(value.items)
    return aggregate(value, prd_vector, folded(session, "*"))


def refuse_text(value: Value) -> None:
    """Signal 'type for chars, which have codes but no product."""
    if isinstance(value, Vector) and value.type is QType.CHAR:
        raise type_error("text seen, numbers needed for a product")


def prd_vector(values: Vector) -> Atom:
    """Multiply the items of a vector."""
    kind = sum_kind(values.type)
    if values.type in FLOATING:
        return of_kind(kind, fold_product(np.ascontiguousarray(values.data, dtype=np.float64)))
    return of_kind(kind, np.multiply.reduce(known_or(values, 1), dtype=DTYPES[kind]))


@register("avg", rank=1, session=True, aggregate=True)
def avg(session: Interpreter, value: Value) -> Value:
    """Give the mean as a float; null for nothing."""

    if isinstance(value, List) and value.items and (numbers := _numbers(value)) is not None:
        # In a mixed list a null adds nothing, but counts.
        return float_(fold_sum(as_floats(numbers)) / len(value))

    def of_lists(items: Sequence[Value]) -> Value:
        return call(session, "%", folded(session, "+")(items), long(len(items)))

    return aggregate(value, avg_vector, of_lists)


def avg_vector(values: Vector) -> Atom:
    """Give the mean of a vector."""
    numbers = as_floats(values)
    count = len(numbers) - int(np.count_nonzero(np.isnan(numbers)))
    return float_(fold_sum(numbers) / count if count else np.nan)


@register("max", rank=1, session=True, aggregate=True)
def max_(session: Interpreter, value: Value) -> Value:
    """Give the greatest item; minus infinity for nothing."""
    return aggregate(value, max_vector, folded(session, "|"))


def max_vector(values: Vector) -> Atom:
    """Give the greatest item of a vector; a null only counts in a char list."""
    kind, floor = values.type, least(values.type)
    if kind in FLOATING:
        found = np.fmax.reduce(values.data, initial=-np.inf)
        return of_kind(kind, found)
    found = values.data.max(initial=floor)
    return of_kind(kind, found)


@register("min", rank=1, session=True, aggregate=True)
def min_(session: Interpreter, value: Value) -> Value:
    """Give the least item; infinity for nothing."""
    return aggregate(value, min_vector, folded(session, "&"))


def min_vector(values: Vector) -> Atom:
    """Give the least item of a vector; a null only counts in a char list."""
    kind, ceiling = values.type, greatest(values.type)
    if kind in FLOATING:
        return of_kind(kind, np.fmin.reduce(values.data, initial=np.inf))
    return of_kind(kind, known_or(values, ceiling).min(initial=ceiling))


@register("med", rank=1, aggregate=True)
def med(value: Value) -> Value:
    """Give the median as a float: the mean of the two in the middle of an even count.

    Of a table it is the row in the middle of the sorted rows, of lists the list in the middle.
    """
    value = value.values if isinstance(value, Dictionary) else value
    if isinstance(value, Table):
        return aggregate(_middle(value), avg_vector, by_column(avg_vector))
    return aggregate(value, med_vector, lambda items: _middle_list(collect(items)))


def _middle(rows: Value) -> Value:
    """Give the one or two in the middle of sorted rows."""
    order = ascending(rows)
    return pick(rows, order[(len(order) - 1) // 2 : len(order) // 2 + 1])


def _middle_list(lists: Value) -> Value:
    middle = _middle(lists)
    fold = by_column(avg_vector)
    return fold(items_of(middle))


def med_vector(values: Vector) -> Atom:
    """Give the median of a vector."""
    numbers = as_floats(values)
    known = numbers[~np.isnan(numbers)]
    count = len(known)
    if not count:
        return float_(np.nan)
    low, high = (count - 1) // 2, count // 2
    middle = np.partition(known, (low, high))
    return float_((middle[low] + middle[high]) / 2)
