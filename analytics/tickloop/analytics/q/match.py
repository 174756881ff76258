"""Match: whether two values are the same in type, shape and every item, floats tolerantly."""

import numpy as np

from tickloop.analytics.q import float_kernels
from tickloop.analytics.q.promotion import FLOATING
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    Adverb,
    Atom,
    Builtin,
    Composition,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    Iterated,
    Lambda,
    List,
    Missing,
    Nil,
    Projection,
    Table,
    Value,
    Vector,
    boolean,
)


def matches(left: Value, right: Value) -> bool:
    """Tell whether two values match; attributes do not count."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, Atom) and isinstance(right, Atom):
        return _atoms(left, right)
    if isinstance(left, Vector) and isinstance(right, Vector):
        return _vectors(left, right)
    if isinstance(left, List) and isinstance(right, List):
        return _all(left.items, right.items)
    if isinstance(left, Table) and isinstance(right, Table):
        return left.names == right.names and _all(left.columns, right.columns)
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        return matches(left.keys, right.keys) and matches(left.values, right.values)
    return _enumerations(left, right) or _functions(left, right)


def _all(left: "tuple[Value, ...] | object", right: "tuple[Value, ...] | object") -> bool:
    assert isinstance(left, tuple | list), type(left)
    assert isinstance(right, tuple | list), type(right)
    if len(left) != len(right):
        return False
    return all(matches(one, other) for one, other in zip(left, right, strict=True))


def _atoms(left: Atom, right: Atom) -> bool:
    if left.type is not right.type:
        return False
    if left.type in FLOATING:
        assert isinstance(left.value, float | int), left
        assert isinstance(right.value, float | int), right
        return float_kernels.equal_one(left.value, right.value)
    return left.value == right.value


def _vectors(left: Vector, right: Vector) -> bool:
    if left.type is not right.type or len(left) != len(right):
        return False
    if left.type not in FLOATING:
        return bool(np.array_equal(left.data, right.data))
    one, other = left.data.astype(np.float64), right.data.astype(np.float64)
    return bool(float_kernels.compare("=", one, other).all())


def _enumerations(left: Value, right: Value) -> bool:
    if isinstance(left, Enumerated) and isinstance(right, Enumerated):
        return left.domain is right.domain and bool(np.array_equal(left.data, right.data))
    if isinstance(left, EnumeratedAtom) and isinstance(right, EnumeratedAtom):
        return left.domain is right.domain and left.position == right.position
    return False


def _functions(left: Value, right: Value) -> bool:
    if isinstance(left, Lambda) and isinstance(right, Lambda):
        return (left.source, left.namespace) == (right.source, right.namespace)
    if isinstance(left, Builtin) and isinstance(right, Builtin):
        return left.name == right.name
    if isinstance(left, Projection) and isinstance(right, Projection):
        return matches(left.function, right.function) and _all(left.arguments, right.arguments)
    if isinstance(left, Composition) and isinstance(right, Composition):
        return _all(left.functions, right.functions)
    if isinstance(left, Iterated) and isinstance(right, Iterated):
        return left.iterator == right.iterator and matches(left.function, right.function)
    if isinstance(left, Adverb) and isinstance(right, Adverb):
        return left.iterator == right.iterator
    return isinstance(left, Nil | Missing)


@register("~", rank=2, operator=True)
def match(left: Value, right: Value) -> Value:
    """Tell whether two values are the same."""
    return boolean(matches(left, right))
