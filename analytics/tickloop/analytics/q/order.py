"""The order of items: nulls first, symbols by name, mixed lists by type, rows column by column."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.kinds import FLOATING, Positions, order_keys
from tickloop.analytics.q.order_kernels import (
    DIGIT_BITS,
    DIGITS,
    count_digits,
    scatter_by_digit,
)
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
    count_of,
    items_of,
    plain,
    type_of,
)
from tickloop.analytics.trace import note, traced

_RADIX = 4096  # above so many items sorting by digits pays
_COUNTED = 1 << 16  # widest range of integers that is sorted by counting


@traced("sort", given=count_of, found=len)
def ascending(value: Value) -> Positions:
    """Give the positions that sort a list, table or dictionary's values, ties in their order."""
    if isinstance(value, Vector | Enumerated) and value.attribute is Attribute.SORTED:
        note("sorted already")
        return np.arange(len(value), dtype=np.int64)
    return _sorting(value, descending=False)


@traced("sort", given=count_of, found=len)
def descending(value: Value) -> Positions:
    """Give the positions that sort downwards, ties in their order."""
    return _sorting(value, descending=True)


def _sorting(value: Value, *, descending: bool) -> Positions:
    value = plain(value)
    if isinstance(value, Vector):
        return sort_numbers(order_keys(value), descending=descending)
    if isinstance(value, Table):
        return sort_rows([dense(column) for column in value.columns], descending=descending)
    if isinstance(value, Dictionary):
        return _sorting(value.values, descending=descending)
    if isinstance(value, List):
        return sort_numbers(dense(value), descending=descending)
    raise type_error("an atom seen, a list needed")


def sort_numbers(keys: Array, *, descending: bool = False) -> Positions:
    """Give the stable order of integers (or guids as pairs)."""
    if descending:
        # The reverse of a stable sort of the reversed list keeps ties in their order.
        return len(keys) - 1 - sort_numbers(keys[::-1])[::-1]
    if keys.dtype.kind in "iu" and keys.dtype.itemsize > 2 and len(keys):
        low, high = int(keys.min()), int(keys.max())
        if high - low < _COUNTED:
            # NumPy sorts 16-bit integers by radix, in linear time.
            note("radix sort of 16 bits")
            keys = (keys - low).astype(np.uint16)
        elif len(keys) > _RADIX:
            note("radix sort by digits")
            return _by_digits(keys)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def _by_digits(keys: Array) -> Positions:
    """Sort wide integers digit by digit, leaving out digits that are the same in all."""
    count = len(keys)
    # From the least key on, numbers need fewer digits, and their order is that of bit patterns.
    words = keys.astype(np.int64).view(np.uint64) - np.uint64(int(keys.min()) % 2**64)
    counts = np.zeros((DIGITS, 1 << DIGIT_BITS), dtype=np.int64)
    count_digits(words, counts)
    order = np.arange(count, dtype=np.int64)
    moved_words, moved_order = np.empty_like(words), np.empty_like(order)
    for digit in np.flatnonzero(counts.max(axis=1) < count).tolist():
        starts = np.zeros_like(counts[digit])
        np.cumsum(counts[digit][:-1], out=starts[1:])
        scatter_by_digit(words, order, digit, starts, moved_words, moved_order)
        words, moved_words = moved_words, words
        order, moved_order = moved_order, order
    return order


def sorted_vector(value: Vector, *, descending: bool) -> Vector:
    """Sort a vector itself, where no one asks where its items stood."""
    if value.type in (QType.SYMBOL, QType.GUID):
        return Vector(value.type, value.data[_sorting(value, descending=descending)])
    ordered = np.sort(value.data)
    if value.type in FLOATING:
        # NumPy puts NaN last, q puts its null first.
        ordered = np.roll(ordered, int(np.count_nonzero(np.isnan(ordered))))
    return Vector(value.type, np.ascontiguousarray(ordered[::-1]) if descending else ordered)


@traced("sort", found=len)
def sort_rows(columns: Sequence[Array], *, descending: bool = False) -> Positions:
    """Give the stable order of rows, the first column before the others."""
    if not columns:
        return np.empty(0, dtype=np.int64)
    order = sort_numbers(columns[-1], descending=descending)
    for column in columns[-2::-1]:
        order = order[sort_numbers(column[order], descending=descending)]
    return order


def dense(value: Value) -> Array:
    """Give integers in the order of a column's items."""
    value = plain(value)
    if isinstance(value, Vector):
        keys = order_keys(value)
        if value.type is QType.GUID:
            return np.unique(keys, return_inverse=True)[1]
        return keys
    if isinstance(value, Table):
        order = _sorting(value, descending=False)
        return _ranks(order, items_of(value))
    items = items_of(value)
    compared = functools.cmp_to_key(compare)
    order = np.array(sorted(range(len(items)), key=lambda i: compared(items[i])), dtype=np.int64)
    return _ranks(order, items)


def _ranks(order: Positions, items: Sequence[Value]) -> Positions:
    """Number items in their order, equal ones alike."""
    ranks = np.zeros(len(items), dtype=np.int64)
    rank = 0
    for before, position in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
        rank += compare(items[before], items[position]) != 0
        ranks[position] = rank
    return ranks


def compare(left: Value, right: Value) -> int:
    """Compare two values: by type, then items one by one, then length; -1, 0 or 1."""
    left, right = plain(left), plain(right)
    if isinstance(left, Atom) and isinstance(right, Atom):
        if left.type is right.type:
            return _sign(_atom_key(left), _atom_key(right))
        return _sign(left.type, right.type)
    if isinstance(left, Atom) or isinstance(right, Atom):
        return _sign(abs(type_of(left)), abs(type_of(right))) or (
            -1 if isinstance(left, Atom) else 1
        )
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        return compare(left.values, right.values)
    if type_of(left) != type_of(right) and not {type_of(left), type_of(right)} & {0}:
        return _sign(type_of(left), type_of(right))
    return _compare_items(items_of(left), items_of(right))


def _compare_items(left: Sequence[Value], right: Sequence[Value]) -> int:
    for ours, theirs in zip(left, right, strict=False):
        difference = compare(ours, theirs)
        if difference:
            return difference
    return _sign(len(left), len(right))


def _atom_key(atom: Atom) -> tuple[bool, object]:
    if atom.type is QType.SYMBOL:
        return True, str(atom.value).encode("utf-8", "surrogateescape")
    return atom.value == atom.value, 0 if atom.value != atom.value else atom.value


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def is_ascending(value: Value) -> bool:
    """Tell whether no item is less than the one before it."""
    value = plain(value)
    if isinstance(value, Table):
        order = _sorting(value, descending=False)
        return bool((np.diff(order) > 0).all())
    keys = dense(value)
    return bool((keys[1:] >= keys[:-1]).all())
