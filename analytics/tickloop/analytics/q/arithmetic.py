"""Add, subtract, multiply, divide and what follows from them, on atoms and vectors of any type."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tickloop.analytics.q import promotion
from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.integer_kernels import combine
from tickloop.analytics.q.lift import Simple, lift, lift2
from tickloop.analytics.q.promotion import FLOATING, TEMPORAL
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.units import MOMENTS, SPAN_NS, cast, cast_one
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    TYPE_CHARS,
    Array,
    Atom,
    QType,
    Value,
    Vector,
)
from tickloop.analytics.q.whole_division import bar_arrays, div_arrays, mod_arrays
from tickloop.analytics.q.widths import as_underlying, one_as_underlying

_PLUS = promotion.table(promotion.plus)
_MINUS = promotion.table(promotion.minus)
_TIMES = promotion.table(promotion.times)
_DIVIDE = promotion.table(promotion.divide)
_DIV = promotion.table(promotion.div)
_MOD = promotion.table(promotion.mod)
_XBAR = promotion.table(promotion.xbar)

Types: TypeAlias = dict[tuple[QType, QType], QType]
Number: TypeAlias = Any  # an array, or a Python number for an atom


def result_type(types: Types, verb: str, left: Simple, right: Simple) -> QType:
    """Look up the type of a result; 'type if the verb does not take these."""
    kind = types.get((left.type, right.type))
    if kind is None:
        seen = f"{TYPE_CHARS[left.type]} and {TYPE_CHARS[right.type]}"
        raise type_error(f"{verb} of {seen} seen; cast one of them first, as in `long$")
    return kind


def numbers_of(value: Simple, kind: QType) -> Number:
    """Give a value's numbers as those of another type, whatever their units."""
    if isinstance(value, Atom):
        return one_as_underlying(value.value, value.type, kind)
    return as_underlying(value.data, value.type, kind)


def result_of(kind: QType, numbers: Number) -> Simple:
    """Make an atom or vector of a type out of numbers."""
    if isinstance(numbers, np.ndarray):
        return Vector(kind, numbers.astype(DTYPES[kind], copy=False))
    return Atom(kind, numbers)


def conform(left: Simple, right: Simple) -> None:
    """Refuse vectors of different counts."""
    if isinstance(left, Vector) and isinstance(right, Vector) and len(left) != len(right):
        raise length_error(len(left), len(right))


def _in_units(value: Simple, kind: QType) -> Number:
    """Give a value's numbers in the units of a sum's type."""
    if value.type not in TEMPORAL or kind not in TEMPORAL or value.type is kind:
        return numbers_of(value, kind)
    if value.type in SPAN_NS and kind is QType.TIMESTAMP:
        kind = QType.TIMESPAN
    elif value.type in MOMENTS and kind in SPAN_NS:
        return numbers_of(value, kind)
    if isinstance(value, Atom):
        return cast_one(value.value, value.type, kind)
    return cast(value.data, value.type, kind)


_FLOAT_VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply,
}  # fmt: skip


def _combined(verb: str, kind: QType, left: Number, right: Number) -> Simple:
    """Apply + - or * to numbers of the result's type."""
    if not isinstance(left, np.ndarray) and not isinstance(right, np.ndarray):
        return Atom(kind, _combined_atoms(verb, kind, left, right))
    if kind not in FLOATING:
        return Vector(kind, combine(verb, left, right))
    dtype = DTYPES[kind]
    with np.errstate(all="ignore"):
        numbers = _FLOAT_VERBS[verb](_floats(left, dtype), _floats(right, dtype))
    return Vector(kind, numbers)


def _floats(numbers: Number, dtype: np.dtype[Any]) -> Any:
    return numbers if isinstance(numbers, np.ndarray) else dtype.type(numbers)


def _combined_atoms(verb: str, kind: QType, left: Number, right: Number) -> Any:
    if kind in FLOATING:
        with np.errstate(all="ignore"):
            floating = DTYPES[kind].type
            return _FLOAT_VERBS[verb](floating(left), floating(right)).item()
    null = NULLS[kind]
    if left == null or right == null:
        return null
    total = left + right if verb == "+" else left - right if verb == "-" else left * right
    half = -int(null)
    return (total + half) % (2 * half) - half


def _sum_like(verb: str, types: Types) -> Callable[[Simple, Simple], Simple]:
    def step(left: Simple, right: Simple) -> Simple:
        kind = result_type(types, verb, left, right)
        conform(left, right)
        return _combined(verb, kind, _in_units(left, kind), _in_units(right, kind))

    return step


_plus = _sum_like("+", _PLUS)
_minus = _sum_like("-", _MINUS)


def _times(left: Simple, right: Simple) -> Simple:
    kind = result_type(_TIMES, "*", left, right)
    conform(left, right)
    if kind not in FLOATING and (left.type in FLOATING or right.type in FLOATING):
        # A moment or span times a real: rounded once, after the product.
        product = _combined("*", QType.FLOAT, *_as_floats(left, right))
        return result_of(kind, numbers_of(product, kind))
    return _combined("*", kind, numbers_of(left, kind), numbers_of(right, kind))


def _as_floats(left: Simple, right: Simple) -> tuple[Number, Number]:
    return numbers_of(left, QType.FLOAT), numbers_of(right, QType.FLOAT)


def _divide(left: Simple, right: Simple) -> Simple:
    kind = result_type(_DIVIDE, "%", left, right)
    conform(left, right)
    above, below = _as_floats(left, right)
    with np.errstate(all="ignore"):
        numbers = np.divide(above, below)
    return result_of(kind, numbers if isinstance(numbers, np.ndarray) else float(numbers))


def _shared(left: Simple, right: Simple) -> QType:
    """Give the type in which a whole division is done."""
    if left.type in FLOATING or right.type in FLOATING:
        return QType.FLOAT
    wide = max(DTYPES[left.type].itemsize, DTYPES[right.type].itemsize)
    return QType.LONG if wide == 8 else QType.INT


def _whole(
    left: Simple, right: Simple, kind: QType, step: Callable[[Array, Array], Array]
) -> Simple:
    """Do a whole division in the wider of two types, and give it in the result's."""
    conform(left, right)
    shared = _shared(left, right)
    numbers = [
        np.asarray(numbers_of(value, shared), dtype=DTYPES[shared]) for value in (left, right)
    ]
    result = as_underlying(np.atleast_1d(step(*numbers)), shared, kind)
    if isinstance(left, Vector) or isinstance(right, Vector):
        return Vector(kind, result)
    return Atom(kind, result[0].item())


def _div(left: Simple, right: Simple) -> Simple:
    return _whole(left, right, result_type(_DIV, "div", left, right), div_arrays)


def _mod(left: Simple, right: Simple) -> Simple:
    return _whole(left, right, result_type(_MOD, "mod", left, right), mod_arrays)


def _xbar(width: Simple, values: Simple) -> Simple:
    kind = result_type(_XBAR, "xbar", width, values)
    return _whole(width, values, kind, bar_arrays)


def _alone_in_difference(on_right: bool, values: Value) -> Value:
    """What only the right dictionary has is subtracted from nothing."""
    return lift(_neg, values) if on_right else values


@register("+", rank=2, operator=True, atomic=True)
def plus(left: Value, right: Value) -> Value:
    """Add: moments and spans in their units, keys of either dictionary."""
    return lift2(_plus, left, right)


@register("-", rank=2, operator=True, atomic=True)
def minus(left: Value, right: Value) -> Value:
    """Subtract."""
    return lift2(_minus, left, right, _alone_in_difference)


@register("*", rank=2, operator=True, atomic=True)
def times(left: Value, right: Value) -> Value:
    """Multiply."""
    return lift2(_times, left, right)


@register("%", rank=2, operator=True, atomic=True)
def divide(left: Value, right: Value) -> Value:
    """Divide as floats; by zero it is infinite, nothing by nothing is null."""
    return lift2(_divide, left, right)


@register("div", rank=2, operator=True, atomic=True)
def div(left: Value, right: Value) -> Value:
    """Give the whole part of a quotient, rounded down."""
    return lift2(_div, left, right)


@register("mod", rank=2, operator=True, atomic=True)
def mod(left: Value, right: Value) -> Value:
    """Give the remainder, which has the divisor's sign."""
    return lift2(_mod, left, right)


@register("xbar", rank=2, operator=True, atomic=True)
def xbar(width: Value, values: Value) -> Value:
    """Round down to multiples of a width."""
    return lift2(_xbar, width, values)


def _signed(value: Simple, step: Callable[[Any], Any]) -> Simple:
    """Apply neg or abs; an integer's null is its own negation because it wraps."""
    kind = map_type(promotion.SIGNED, value)
    numbers = np.asarray(numbers_of(value, kind), dtype=DTYPES[kind])
    with np.errstate(over="ignore"):
        result = step(np.atleast_1d(numbers))
    return result_of(kind, result if isinstance(value, Vector) else result[0].item())


def map_type(types: dict[QType, QType], value: Simple) -> QType:
    """Look up the type that a verb of one argument gives; 'type if it does not take this one."""
    kind = types.get(value.type)
    if kind is None:
        raise type_error(f"a {value.type.name.lower()} seen, which this verb does not take")
    return kind


def _neg(value: Simple) -> Simple:
    return _signed(value, np.negative)


def _signum(value: Simple) -> Simple:
    kind = map_type(promotion.SIGN, value)
    data = value.data if isinstance(value, Vector) else np.array([value.item()])
    # A null is below everything, so it is negative.
    result = (data > 0).astype(np.int32) - ((data < 0) | (data != data)).astype(np.int32)
    return result_of(kind, result if isinstance(value, Vector) else result[0].item())


def _reciprocal(value: Simple) -> Simple:
    kind = map_type(promotion.INVERSE, value)
    with np.errstate(all="ignore"):
        numbers = np.divide(1.0, np.atleast_1d(numbers_of(value, QType.FLOAT)))
    result = as_underlying(numbers, QType.FLOAT, kind)
    return result_of(kind, result if isinstance(value, Vector) else result[0].item())


@register("neg", "-:", rank=1, shown="-:", atomic=True)
def neg(value: Value) -> Value:
    """Negate."""
    return lift(_neg, value)


@register("abs", rank=1, atomic=True)
def absolute(value: Value) -> Value:
    """Give the absolute value."""
    return lift(lambda simple: _signed(simple, np.abs), value)


@register("signum", rank=1, atomic=True)
def signum(value: Value) -> Value:
    """Give -1, 0 or 1 as an int; -1 for nulls."""
    return lift(_signum, value)


@register("reciprocal", "%:", rank=1, shown="%:", atomic=True)
def reciprocal(value: Value) -> Value:
    """Divide one by a value."""
    return lift(_reciprocal, value)
