"""Sameness of values as `~` means it, except that floats are compared exactly."""

from collections.abc import Hashable

import numpy as np

from tickloop.analytics.q.kinds import FLOATING, exact_bits
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    Composition,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    Iterated,
    Lambda,
    List,
    Projection,
    Table,
    Value,
    Vector,
    plain,
)


def identity(value: Value) -> Hashable:
    """Give a key that is equal for values that are the same in type and content."""
    if isinstance(value, Atom):
        same = value.value if value.value == value.value else "nan"
        return -int(value.type), same
    if isinstance(value, Vector):
        data = exact_bits(value.data) if value.type in FLOATING else value.data
        return int(value.type), data.tobytes()
    if isinstance(value, List):
        return 0, tuple(identity(item) for item in value.items)
    if isinstance(value, Table):
        return 98, value.names, tuple(identity(column) for column in value.columns)
    if isinstance(value, Dictionary):
        return 99, identity(value.keys), identity(value.values)
    if isinstance(value, Enumerated | EnumeratedAtom):
        return identity(plain(value))
    return _function_identity(value)


def _function_identity(value: Value) -> Hashable:
    if isinstance(value, Builtin):
        return 101, value.name
    if isinstance(value, Lambda):
        return 100, value.source, value.namespace
    if isinstance(value, Projection):
        arguments = tuple(identity(argument) for argument in value.arguments)
        return 104, identity(value.function), arguments
    if isinstance(value, Composition):
        return 105, tuple(identity(function) for function in value.functions)
    if isinstance(value, Iterated):
        return 106, value.iterator, identity(value.function)
    return type(value).__name__, getattr(value, "iterator", "")


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are the same, floats exactly."""
    if isinstance(left, Vector) and isinstance(right, Vector):
        if left.type is not right.type or len(left) != len(right):
            return False
        if left.type not in FLOATING:
            return bool(np.array_equal(left.data, right.data))
    return identity(left) == identity(right)


def rank_of(value: Value) -> int:
    """Count how deep a value goes, by its first items: 0 for an atom, 1 for a vector."""
    if isinstance(value, Vector | Enumerated | Table):
        return 1
    if isinstance(value, List):
        return 1 + (rank_of(value.items[0]) if value.items else 0)
    return 0
