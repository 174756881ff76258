"""Equal, less, greater: numbers by value, floats tolerantly, moments in common units."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tickloop.analytics.q import float_kernels, promotion
from tickloop.analytics.q.arithmetic import Number, conform, numbers_of, result_type
from tickloop.analytics.q.extremes import array_of, in_type
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.lift import Simple, lift, lift2
from tickloop.analytics.q.promotion import FLOATING, TEMPORAL, compared_as
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Atom,
    Enumerated,
    QType,
    Value,
    Vector,
    boolean,
    null,
)
from tickloop.analytics.q.widths import HOLDS_NULL

_COMPARE = promotion.table(promotion.compare)
_VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal, "<>": np.not_equal, "<": np.less,
    ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal,
}  # fmt: skip
_SYMBOL_OR_GUID = (QType.SYMBOL, QType.GUID)


def _compare(verb: str) -> Callable[[Simple, Simple], Simple]:
    native = _VERBS[verb]

    def step(left: Simple, right: Simple) -> Simple:
        result_type(_COMPARE, verb, left, right)
        if isinstance(left, Atom) and isinstance(right, Atom):
            return _atoms(verb, left, right)
        conform(left, right)
        if left.type in _SYMBOL_OR_GUID:
            return Vector(QType.BOOLEAN, native(*_identities(verb, left, right)))
        kind, one, other = _operands(left, right)
        if kind in FLOATING:
            return Vector(QType.BOOLEAN, float_kernels.compare(verb, one, other))
        return Vector(QType.BOOLEAN, native(one, other))

    return step


def _operands(left: Simple, right: Simple) -> tuple[QType, Number, Number]:
    """Give two values as arrays or numbers that compare directly, and what they are."""
    kind = _common_type(left, right)
    if kind is left.type is right.type and kind is not QType.REAL:
        return kind, _raw(left), _raw(right)
    if left.type in TEMPORAL and right.type in TEMPORAL:
        return kind, _scalar(left, in_type(left, kind)), _scalar(right, in_type(right, kind))
    if kind is QType.LONG:
        return kind, *_integers(left, right)
    return kind, numbers_of(left, kind), numbers_of(right, kind)


def _common_type(left: Simple, right: Simple) -> QType:
    if left.type in TEMPORAL and right.type in TEMPORAL:
        kind = compared_as(left.type, right.type)
        assert kind is not None, f"{left.type.name} {right.type.name}"
        return kind
    if left.type in FLOATING or right.type in FLOATING:
        return QType.FLOAT
    return left.type if left.type is right.type else QType.LONG


def _raw(value: Simple) -> Number:
    return value.data if isinstance(value, Vector) else DTYPES[value.type].type(value.value)


def _scalar(value: Simple, data: Array) -> Number:
    return data if isinstance(value, Vector) else data[0]


def _integers(left: Simple, right: Simple) -> tuple[Number, Number]:
    """Give integers of two types in one: an atom goes into the vector's type if it fits."""
    for value, other, turned in ((left, right, False), (right, left, True)):
        if isinstance(value, Vector) and isinstance(other, Atom):
            number = numbers_of(other, QType.LONG)
            if number == NULLS[QType.LONG]:
                number = NULLS[value.type] if value.type in HOLDS_NULL else number
            elif value.type in HOLDS_NULL and number <= NULLS[value.type]:
                break  # what is no null may be as small as the vector's null
            return (number, value.data) if turned else (value.data, number)
    return numbers_of(left, QType.LONG), numbers_of(right, QType.LONG)


def _identities(verb: str, left: Simple, right: Simple) -> tuple[Number, Number]:
    """Give symbols or guids as what compares like them: ids, or ranks where order matters."""
    one, other = array_of(left), array_of(right)
    if left.type is QType.GUID:
        return _guid_order(one), _guid_order(other)
    if verb not in ("=", "<>"):
        ranks = INTERNED.ranks()
        one, other = ranks[one], ranks[other]
    return one, other


def _guid_order(data: Array) -> Array:
    """Give guids as numbers in the order of their bytes."""
    halves = np.ascontiguousarray(data).view(">u8").reshape(-1, 2).tolist()
    wide = np.empty(len(halves), dtype=object)
    wide[:] = [(high << 64) | low for high, low in halves]
    return wide


def _atoms(verb: str, left: Atom, right: Atom) -> Atom:
    one: Any = left.value
    other: Any = right.value
    if left.type is not right.type:
        kind, one, other = _operands(left, right)
        floating = kind in FLOATING
    else:
        floating = left.type in FLOATING
    if floating:
        return boolean(_of_floats(verb, one, other))
    return boolean(_VERBS_OF_ATOMS[verb](one, other))


_VERBS_OF_ATOMS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt,
    ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def _of_floats(verb: str, one: float, other: float) -> bool:
    if float_kernels.equal_one(one, other):
        return verb in ("=", "<=", ">=")
    if verb in ("=", "<>"):
        return verb == "<>"
    less = one != one or one < other  # a null is less than all else
    return less is (verb in ("<", "<="))


def _of_enumerated(column: Enumerated, name: str) -> Array:
    """Flag where an enumeration stands for a symbol, by its position rather than its name."""
    known = column.domain.symbols() == INTERNED.find(name)
    places = np.flatnonzero(known)
    flags = column.data == places[0] if len(places) else np.zeros(len(column), dtype=np.bool_)
    if len(places) > 1:
        flags = np.isin(column.data, places)
    return flags | (column.data < 0) if name == "" else np.asarray(flags)


def _equality(verb: str, left: Value, right: Value) -> Value:
    for column, other in ((left, right), (right, left)):
        if not isinstance(column, Enumerated) or not isinstance(other, Atom):
            continue
        if not column.domain.is_symbolic:
            continue
        if other.type is QType.SYMBOL:
            flags = _of_enumerated(column, str(other.value))
            return Vector(QType.BOOLEAN, flags if verb == "=" else ~flags)
    return lift2(_STEPS[verb], left, right, _ALONE[verb])


_STEPS = {verb: _compare(verb) for verb in _VERBS}


def _against_null(verb: str) -> Callable[[bool, Value], Value]:
    """Compare the values of keys that only one dictionary has with nulls."""

    def one(on_right: bool, simple: Simple) -> Value:
        nothing = null(simple.type)
        step = _STEPS[verb]
        return step(nothing, simple) if on_right else step(simple, nothing)

    return lambda on_right, values: lift(lambda simple: one(on_right, simple), values)


_ALONE = {verb: _against_null(verb) for verb in _VERBS}


@register("=", rank=2, operator=True, atomic=True)
def equal(left: Value, right: Value) -> Value:
    """Tell what is equal, floats tolerantly."""
    return _equality("=", left, right)


@register("<>", rank=2, operator=True, atomic=True)
def not_equal(left: Value, right: Value) -> Value:
    """Tell what is not equal."""
    return _equality("<>", left, right)


@register("<", rank=2, operator=True, atomic=True)
def less(left: Value, right: Value) -> Value:
    """Tell what is less on the left."""
    return lift2(_STEPS["<"], left, right, _ALONE["<"])


@register(">", rank=2, operator=True, atomic=True)
def greater(left: Value, right: Value) -> Value:
    """Tell what is greater on the left."""
    return lift2(_STEPS[">"], left, right, _ALONE[">"])


@register("<=", rank=2, operator=True, atomic=True)
def at_most(left: Value, right: Value) -> Value:
    """Tell what is not greater on the left."""
    return lift2(_STEPS["<="], left, right, _ALONE["<="])


@register(">=", rank=2, operator=True, atomic=True)
def at_least(left: Value, right: Value) -> Value:
    """Tell what is not less on the left."""
    return lift2(_STEPS[">="], left, right, _ALONE[">="])
