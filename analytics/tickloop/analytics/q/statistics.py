"""Statistics: variance and deviation, covariance and correlation, weighted sums and means."""

import math

import numpy as np

from tickloop.analytics.q.aggregates import aggregate, by_column, folded
from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.fold_kernels import fold_deviations, fold_weighted
from tickloop.analytics.q.kinds import Floats, as_floats
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    Table,
    Value,
    Vector,
    collect,
    float_,
    items_of,
    plain,
    symbols,
)


def _spread(values: Vector, less: float) -> float:
    numbers = as_floats(values)
    return fold_deviations(numbers, numbers, less)


def var_vector(values: Vector) -> Atom:
    """Give the variance of a population."""
    return float_(_spread(values, 0.0))


def svar_vector(values: Vector) -> Atom:
    """Give the variance of a sample."""
    return float_(_spread(values, 1.0))


def dev_vector(values: Vector) -> Atom:
    """Give the deviation of a population."""
    return float_(math.sqrt(_spread(values, 0.0)))


def sdev_vector(values: Vector) -> Atom:
    """Give the deviation of a sample."""
    return float_(math.sqrt(_spread(values, 1.0)))


@register("var", rank=1, aggregate=True)
def var(value: Value) -> Value:
    """Give the variance of a population."""
    return aggregate(value, var_vector, by_column(var_vector))


@register("svar", rank=1, aggregate=True)
def svar(value: Value) -> Value:
    """Give the variance of a sample; null for fewer than two items."""
    return aggregate(value, svar_vector, by_column(svar_vector))


@register("dev", rank=1, aggregate=True)
def dev(value: Value) -> Value:
    """Give the standard deviation of a population."""
    return aggregate(value, dev_vector, by_column(dev_vector))


@register("sdev", rank=1, aggregate=True)
def sdev(value: Value) -> Value:
    """Give the standard deviation of a sample; null for fewer than two items."""
    return aggregate(value, sdev_vector, by_column(sdev_vector))


def _paired(left: Value, right: Value) -> tuple[Floats, Floats]:
    """Give two lists of numbers as floats of one length; an atom counts for every item."""
    ours, theirs = _floats(left), _floats(right)
    if isinstance(plain(left), Atom):
        ours = np.repeat(ours, len(theirs))
    if isinstance(plain(right), Atom):
        theirs = np.repeat(theirs, len(ours))
    if len(ours) != len(theirs):
        raise length_error(len(ours), len(theirs))
    return ours, theirs


def _floats(value: Value) -> Floats:
    value = plain(value)
    if isinstance(value, Atom):
        value = collect([value])
    if isinstance(value, List):
        parts = [_floats(item) for item in value.items]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float64)
    if not isinstance(value, Vector):
        raise type_error("lists of numbers needed")
    return as_floats(value)


@register("cov", rank=2, operator=True, aggregate=True)
def cov(left: Value, right: Value) -> Value:
    """Give the covariance of a population, leaving out pairs with a null."""
    return float_(fold_deviations(*_paired(left, right), 0.0))


@register("scov", rank=2, operator=True, aggregate=True)
def scov(left: Value, right: Value) -> Value:
    """Give the covariance of a sample, leaving out pairs with a null."""
    return float_(fold_deviations(*_paired(left, right), 1.0))


@register("cor", rank=2, operator=True, aggregate=True)
def cor(left: Value, right: Value) -> Value:
    """Give the correlation, leaving out pairs with a null."""
    ours, theirs = _paired(left, right)
    together = fold_deviations(ours, theirs, 0.0)
    known = ~(np.isnan(ours) | np.isnan(theirs))
    ours, theirs = ours[known], theirs[known]
    spread = fold_deviations(ours, ours, 0.0) * fold_deviations(theirs, theirs, 0.0)
    return float_(together / math.sqrt(spread) if spread > 0 else np.nan)


@register("wavg", rank=2, operator=True, session=True, aggregate=True)
def wavg(session: Interpreter, left: Value, right: Value) -> Value:
    """Give the mean weighted by the left, leaving out pairs with a null."""
    if isinstance(right, Table):
        means = [wavg(session, left, column) for column in right.columns]
        return Dictionary(symbols(right.names), collect(means))
    if isinstance(right, Dictionary):
        return wavg(session, left, right.values)
    if _is_nested(left) or _is_nested(right):
        weight = folded(session, "+")(items_of(left))
        return call(session, "%", wsum(session, left, right), weight)
    heavy = np.zeros(1)
    total = fold_weighted(*_paired(left, right), heavy)
    return float_(total / heavy[0] if heavy[0] else np.nan)


@register("wsum", rank=2, operator=True, session=True, aggregate=True)
def wsum(session: Interpreter, left: Value, right: Value) -> Value:
    """Give the sum weighted by the left, leaving out pairs with a null.

    Two lists of whole numbers give a float; a weight for all of them gives their own type.
    """
    if isinstance(right, Table):
        sums = [wsum(session, left, column) for column in right.columns]
        return Dictionary(symbols(right.names), collect(sums))
    if isinstance(right, Dictionary):
        return wsum(session, left, right.values)
    if isinstance(plain(left), Vector) and isinstance(plain(right), Vector):
        return float_(fold_weighted(*_paired(left, right), np.zeros(1)))
    weighted = call(session, "*", left, right)
    if isinstance(weighted, Vector | Atom):
        return call(session, "sum", weighted)
    return folded(session, "+")(items_of(weighted))


def _is_nested(value: Value) -> bool:
    return isinstance(value, List) and any(not isinstance(item, Atom) for item in value.items)
