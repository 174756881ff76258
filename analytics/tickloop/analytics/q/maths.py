"""Roots, powers, logarithms, angles, floor and ceiling of anything with numbers under it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tickloop.analytics.q import promotion
from tickloop.analytics.q.arithmetic import Types, conform, map_type, result_type
from tickloop.analytics.q.extremes import array_of, shaped
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.lift import Simple, lift, lift2
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.units import cast
from tickloop.analytics.q.values import Array, Atom, QType, Value, Vector, symbol
from tickloop.analytics.q.widths import as_underlying, whole

_POWER = promotion.table(promotion.power)
_LOGARITHM = promotion.table(promotion.logarithm)


def _floats(value: Simple) -> Array:
    return as_underlying(array_of(value), value.type, QType.FLOAT)


def _curve(function: Callable[[Any], Any]) -> Callable[[Simple], Simple]:
    def step(value: Simple) -> Simple:
        kind = map_type(promotion.CURVE, value)
        with np.errstate(all="ignore"):
            return shaped(kind, function(_floats(value)), value)

    return step


def _log(value: Simple) -> Simple:
    # Documented: the logarithm of a datetime is the datetime.
    return value if value.type is QType.DATETIME else _curve(np.log)(value)


_STEPS: dict[str, Callable[[Simple], Simple]] = {
    "sqrt": _curve(np.sqrt), "exp": _curve(np.exp), "log": _log,
    "sin": _curve(np.sin), "cos": _curve(np.cos), "tan": _curve(np.tan),
    "asin": _curve(np.arcsin), "acos": _curve(np.arccos), "atan": _curve(np.arctan),
}  # fmt: skip


def _register_curve(name: str) -> None:
    step = _STEPS[name]

    @register(name, rank=1, atomic=True)
    def curve(value: Value) -> Value:
        return lift(step, value)


for _name in _STEPS:
    _register_curve(_name)


def _binary(
    name: str, types: Types, function: Callable[[Array, Array], Array]
) -> Callable[[Value, Value], Value]:
    def step(left: Simple, right: Simple) -> Simple:
        kind = result_type(types, name, left, right)
        conform(left, right)
        with np.errstate(all="ignore"):
            return shaped(kind, function(_floats(left), _floats(right)), left, right)

    return lambda left, right: lift2(step, left, right)


# Documented as this product, so 2 xexp 3 is not quite 8; nothing to a power of 0 is 1.
_xexp = _binary("xexp", _POWER, lambda base, power: np.exp(_times_log(base, power)))
_xlog = _binary("xlog", _LOGARITHM, lambda base, value: np.log(value) / np.log(base))


def _times_log(base: Array, power: Array) -> Array:
    product = power * np.log(base)
    return np.where((power == 0) & (base >= 0), 0.0, product)


@register("xexp", rank=2, operator=True, atomic=True)
def power(base: Value, exponent: Value) -> Value:
    """Raise to a power; a negative base gives null."""
    return _xexp(base, exponent)


@register("xlog", rank=2, operator=True, atomic=True)
def logarithm(base: Value, value: Value) -> Value:
    """Give the logarithm to a base."""
    return _xlog(base, value)


_TEXT = (QType.CHAR, QType.SYMBOL)


def _lowered(value: Simple) -> Simple:
    """Give text in lower case: floor shares its verb with lower."""
    if value.type is QType.CHAR:
        codes = array_of(value)
        return shaped(QType.CHAR, np.where((codes >= 65) & (codes <= 90), codes + 32, codes), value)
    if isinstance(value, Atom):
        return symbol(str(value.value).lower())
    distinct, places = np.unique(value.data, return_inverse=True)
    lowered = INTERNED.ids(name.lower() for name in INTERNED.names(distinct))
    return Vector(QType.SYMBOL, lowered[places])


def _floor(value: Simple) -> Simple:
    kind = map_type(promotion.FLOOR, value)
    if value.type in _TEXT:
        return _lowered(value)
    return _rounded(value, kind, np.floor)


def _rounded(value: Simple, kind: QType, function: Callable[[Any], Any]) -> Simple:
    data = array_of(value)
    if value.type in promotion.FLOATING:
        return shaped(kind, whole(function(data.astype(np.float64)), kind), value)
    return shaped(kind, cast(data, value.type, kind), value)


@register("floor", "_:", rank=1, shown="_:", atomic=True)
def floor(value: Value) -> Value:
    """Round down to a long; text becomes lower case."""
    return lift(_floor, value)


@register("ceiling", rank=1, atomic=True)
def ceiling(value: Value) -> Value:
    """Round up to a long."""
    return lift(lambda one: _rounded(one, map_type(promotion.CEILING, one), np.ceil), value)
