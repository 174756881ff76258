"""The lesser, the greater, and what fills nulls: the one of two values that stays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tickloop.analytics.q import promotion
from tickloop.analytics.q.arithmetic import Number, conform, result_type
from tickloop.analytics.q.lift import Simple, lift2
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.units import cast
from tickloop.analytics.q.values import DTYPES, Array, Atom, QType, Value, Vector, atom_at
from tickloop.analytics.q.widths import is_null

_EXTREME = promotion.table(promotion.extreme)
_FILL = promotion.table(promotion.fill)


def array_of(value: Simple) -> Array:
    """Give a vector's array, or an atom as an array of one."""
    if isinstance(value, Vector):
        return value.data
    return np.array([value.item()], dtype=DTYPES[value.type])


def in_type(value: Simple, kind: QType) -> Array:
    """Give a value's items in another type and its units."""
    return cast(array_of(value), value.type, kind)


def shaped(kind: QType, data: Array, *values: Simple) -> Simple:
    """Make a vector, or an atom if all the values it comes from are atoms."""
    vector = Vector(kind, data.astype(DTYPES[kind], copy=False))
    if any(isinstance(value, Vector) for value in values):
        return vector
    return atom_at(vector, 0)


def _extreme(
    verb: str, choose: Callable[[Any, Any], Any], least: bool
) -> Callable[[Simple, Simple], Simple]:
    def step(left: Simple, right: Simple) -> Simple:
        kind = result_type(_EXTREME, verb, left, right)
        if isinstance(left, Atom) and isinstance(right, Atom) and left.type is right.type:
            return _of_atoms(left, right, least)
        conform(left, right)
        return shaped(kind, choose(in_type(left, kind), in_type(right, kind)), left, right)

    return step


def _of_atoms(left: Atom, right: Atom, least: bool) -> Atom:
    one: Number = left.value
    other: Number = right.value
    # A null is less than everything, and NaN does not compare.
    is_less = one != one or (other == other and one <= other)
    return left if is_less is least else right


# A null is the smallest integer, and NaN among floats: fmax prefers what is not null.
_lesser = _extreme("&", np.minimum, True)
_greater = _extreme("|", np.fmax, False)


def _fill(left: Simple, right: Simple) -> Simple:
    kind = result_type(_FILL, "^", left, right)
    conform(left, right)
    nulls = is_null(array_of(right), right.type)
    if left.type is right.type and isinstance(right, Vector) and not nulls.any():
        return right
    filled = np.where(nulls, in_type(left, kind), in_type(right, kind))
    return shaped(kind, filled, left, right)


@register("&", "and", rank=2, operator=True, atomic=True)
def lesser(left: Value, right: Value) -> Value:
    """Give the lesser; logical and of flags."""
    return lift2(_lesser, left, right)


@register("|", "or", rank=2, operator=True, atomic=True)
def greater(left: Value, right: Value) -> Value:
    """Give the greater; logical or of flags."""
    return lift2(_greater, left, right)


@register("^", rank=2, operator=True, atomic=True)
def fill(left: Value, right: Value) -> Value:
    """Replace nulls on the right, and keys it lacks, by what is on the left."""
    return lift2(_fill, left, right)
