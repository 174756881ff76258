"""Matrices as lists of float rows: products, inverses, least squares."""

import numpy as np

from tickloop.analytics.q import matrix_kernels
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    Array,
    Atom,
    List,
    QType,
    Value,
    Vector,
    items_of,
    type_of,
)
from tickloop.analytics.q.widths import as_underlying

_FLOATS = (QType.REAL, QType.FLOAT)


def is_matrix(value: Value) -> bool:
    """Tell whether a value is a float vector or a list of them."""
    if isinstance(value, Vector):
        return value.type in _FLOATS
    return isinstance(value, List) and bool(value.items) and all(map(is_matrix, value.items))


def _array(value: Value) -> Array:
    """Give a float vector or matrix; 'type for anything else, 'length if rows differ."""
    if isinstance(value, Vector) and value.type in _FLOATS:
        return as_underlying(value.data, value.type, QType.FLOAT)
    if not is_matrix(value):
        raise type_error(f"a value of type {type_of(value)}h seen, floats needed")
    rows = [_array(item) for item in items_of(value)]
    for row in rows:
        if row.shape != rows[0].shape:
            raise length_error(len(rows[0]), len(row))
    return np.array(rows)


def _value(array: Array) -> Value:
    if array.ndim == 0:
        return Atom(QType.FLOAT, float(array))
    if array.ndim == 1:
        return Vector(QType.FLOAT, np.ascontiguousarray(array))
    return List(tuple(_value(row) for row in array))


@register("mmu", rank=2, operator=True)
def product(left: Value, right: Value) -> Value:
    """Multiply matrices and vectors of floats."""
    one, other = _array(left), _array(right)
    if one.shape[-1] != other.shape[0]:
        raise length_error(one.shape[-1], other.shape[0])
    answer = matrix_kernels.product(
        np.atleast_2d(one), other if other.ndim == 2 else other.reshape(-1, 1)
    )
    return _value(answer.reshape(one.shape[:-1] + other.shape[1:]))


@register("inv", rank=1)
def inverse(value: Value) -> Value:
    """Invert a square matrix of floats; a singular one is 'domain."""
    array = _array(value)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise length_error(len(array), array.shape[-1])
    answer = matrix_kernels.inverse(array)
    if answer is None:
        raise QError("domain", "a singular matrix seen, which has no inverse")
    return _value(answer)


@register("lsq", rank=2, operator=True)
def least_squares(left: Value, right: Value) -> Value:
    """Solve left = answer mmu right for the least squares of the rest."""
    one, other = _array(left), _array(right)
    if one.shape[-1] != other.shape[-1]:
        raise length_error(one.shape[-1], other.shape[-1])
    if one.ndim != 2 or other.ndim != 2 or len(other) > other.shape[1]:
        raise QError("length", "two matrices needed, the right one no taller than it is wide")
    answer = matrix_kernels.least_squares(one, other)
    if answer is None:
        raise QError("domain", "rows on the right depend on each other, so nothing is least")
    return _value(answer)
