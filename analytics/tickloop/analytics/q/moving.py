"""Moving aggregates over the last items: msum, mavg, mmax, mmin, mcount, mdev, ema."""

import numpy as np

from tickloop.analytics.q.aggregates import known_or
from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.kinds import (
    FLOATING,
    UNRANKED,
    Floats,
    Positions,
    as_floats,
    floats,
    longs,
    null_mask,
    order_keys,
    whole_atom,
)
from tickloop.analytics.q.literals import INFINITIES
from tickloop.analytics.q.moving_kernels import (
    moving_deviations,
    moving_exponential,
    moving_greatest,
    moving_sums,
)
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.running import uniform
from tickloop.analytics.q.values import (
    DTYPES,
    Array,
    Atom,
    QType,
    Value,
    Vector,
    collect,
    plain,
)
from tickloop.analytics.q.widths import is_null

# Sums of these over a window come out in another type than they have.
_SUMMED = {
    QType.BOOLEAN: QType.INT,
    QType.BYTE: QType.INT,
    QType.SHORT: QType.INT,
    QType.TIMESTAMP: QType.TIMESPAN,
    QType.MONTH: QType.INT,
    QType.DATE: QType.INT,
    QType.DATETIME: QType.FLOAT,
}


def _window(value: Value) -> int:
    window = whole_atom(value)
    if window is None:
        raise type_error("a count of items needed on the left")
    return max(window, 0)


@register("msum", rank=2, operator=True, uniform=True)
def msum(left: Value, right: Value) -> Value:
    """Sum the last items of each window; nulls add nothing."""
    window = _window(left)
    return uniform(right, lambda values: _sum_vector(window, values))


def _sum_vector(window: int, values: Vector) -> Vector:
    if values.type in UNRANKED or values.type is QType.CHAR:
        raise type_error(f"{values.type.name.lower()} seen, numbers or times needed")
    kind = _SUMMED.get(values.type, values.type)
    if values.type in FLOATING:
        sums, _ = _sums(window, as_floats(values))
        return Vector(kind, sums.astype(DTYPES[kind]))
    # Whole numbers wrap alike on the way up and down, so a difference of sums is exact.
    running = np.add.accumulate(known_or(values, 0), dtype=DTYPES[kind])
    return Vector(kind, running - _moved(running, window))


def _moved(running: Array, window: int) -> Array:
    moved = np.zeros_like(running)
    if window < len(running):
        moved[window:] = running[: len(running) - window]
    return moved


def _sums(window: int, numbers: Floats) -> tuple[Floats, Positions]:
    sums, counts = np.empty(len(numbers)), np.empty(len(numbers), dtype=np.int64)
    moving_sums(np.ascontiguousarray(numbers), min(window, len(numbers)), sums, counts)
    return sums, counts


@register("mavg", rank=2, operator=True, uniform=True)
def mavg(left: Value, right: Value) -> Value:
    """Give the mean of the known items of each window."""
    window = _window(left)
    return uniform(right, lambda values: _average_vector(window, values))


def _average_vector(window: int, values: Vector) -> Vector:
    if values.type is QType.CHAR:
        raise type_error("char seen, numbers or times needed")
    sums, counts = _sums(window, as_floats(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return floats(sums / counts)


@register("mcount", rank=2, operator=True, uniform=True)
def mcount(left: Value, right: Value) -> Value:
    """Count the items of each window that are not null."""
    window = _window(left)
    return uniform(right, lambda values: _count_vector(window, values))


def _count_vector(window: int, values: Vector) -> Vector:
    running = np.add.accumulate(~null_mask(values), dtype=np.int64)
    return longs(running - _moved(running, window))


@register("mdev", rank=2, operator=True, uniform=True)
def mdev(left: Value, right: Value) -> Value:
    """Give the standard deviation of the known items of each window."""
    window = _window(left)
    return uniform(right, lambda values: _deviation_vector(window, values))


def _deviation_vector(window: int, values: Vector) -> Vector:
    numbers = as_floats(values)
    finite = numbers[np.isfinite(numbers)]
    near = numbers - (finite[0] if len(finite) else 0.0)
    sums, counts = _sums(window, near)
    squares, _ = _sums(window, near * near)
    deviations = np.empty(len(numbers))
    moving_deviations(near, min(window, len(near)), sums, squares, counts, deviations)
    return floats(deviations)


@register("mmax", rank=2, operator=True, uniform=True)
def mmax(left: Value, right: Value) -> Value:
    """Give the greatest item of each window; -0W where all are null."""
    window = _window(left)
    return uniform(right, lambda values: _extreme(window, values, sign=1))


@register("mmin", rank=2, operator=True, uniform=True)
def mmin(left: Value, right: Value) -> Value:
    """Give the least item of each window; a null is below everything."""
    window = _window(left)
    return uniform(right, lambda values: _extreme(window, values, sign=-1))


def _extreme(window: int, values: Vector, *, sign: int) -> Vector:
    if not window:
        return Vector(values.type, values.data)
    keys = order_keys(values)
    if values.type is QType.GUID:
        keys = np.unique(keys, return_inverse=True)[1]
    keys = keys.astype(np.int64)
    # -1 - key turns the order around without overflow.
    ordered = keys if sign > 0 else ~keys
    queue, places = np.empty_like(keys), np.empty_like(keys)
    moving_greatest(ordered, window, queue, places)
    found = values.data[places]
    if sign > 0 and values.type in INFINITIES:
        # A window of nothing but nulls has the least of all for its greatest.
        nothing = is_null(values.data, values.type)[places]
        found = np.where(nothing, values.data.dtype.type(-INFINITIES[values.type]), found)
    return Vector(values.type, found)


@register("ema", rank=2, operator=True, uniform=True)
def ema(left: Value, right: Value) -> Value:
    """Smooth exponentially: by one alpha, or by one for each item."""
    alphas = _alphas(left)
    return uniform(right, lambda values: _smoothed(alphas, values))


def _alphas(value: Value) -> Floats:
    value = plain(value)
    if isinstance(value, Atom):
        value = collect([value])
    if not isinstance(value, Vector):
        raise type_error("a number, or one for each item, needed on the left of ema")
    return as_floats(value)


def _smoothed(alphas: Floats, values: Vector) -> Vector:
    numbers = as_floats(values)
    if len(alphas) not in (1, len(numbers)):
        raise length_error(len(alphas), len(numbers))
    means = np.empty(len(numbers))
    moving_exponential(numbers, alphas, means)
    return floats(means)
