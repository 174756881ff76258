"""Folds of whole vectors by + * & | without a step for each item; nulls poison as they do there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Builtin,
    QType,
    Value,
    Vector,
    atom_at,
)

_NUMBERS = (QType.INT, QType.LONG, QType.FLOAT, QType.TIMESPAN)
_SCANS: dict[str, Callable[[Array], Array]] = {
    "+": np.add.accumulate,
    "*": np.multiply.accumulate,
    "&": np.minimum.accumulate,
    "|": np.fmax.accumulate,
}


def quick_scan(function: Value, value: Value) -> Value | None:
    """Scan a vector that is not empty, or give None if the operator or the type is another."""
    if not isinstance(function, Builtin) or not isinstance(value, Vector):
        return None
    scan = _SCANS.get(function.name)
    if scan is None or value.type not in _NUMBERS:
        return None
    if function.name == "*" and value.type is QType.TIMESPAN:
        return None
    data = value.data
    with np.errstate(all="ignore"):
        scanned = scan(data)
    if data.dtype.kind == "i" and function.name in "+*":
        scanned = _poisoned(data, scanned, NULLS[value.type])
    return Vector(value.type, scanned.astype(data.dtype, copy=False))


def _poisoned(data: Array, scanned: Array, missing: Any) -> Array:
    nulls = data == missing
    if not nulls.any():
        return scanned
    scanned = scanned.copy()
    scanned[int(nulls.argmax()) :] = missing
    return scanned


def quick_fold(function: Value, value: Value) -> Value | None:
    """Fold a vector that is not empty; in order, so that floats add up as they do one by one."""
    scanned = quick_scan(function, value)
    return None if not isinstance(scanned, Vector) else _last(scanned)


def _last(scanned: Vector) -> Atom:
    return atom_at(scanned, len(scanned) - 1)
