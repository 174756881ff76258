"""Over and scan: folds, repetition, while, converge."""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.folds import quick_fold, quick_scan
from tickloop.analytics.q.item_stream import stream
from tickloop.analytics.q.lambdas import interruption
from tickloop.analytics.q.ranks import rank_of
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    Dictionary,
    Iterated,
    List,
    QType,
    Value,
    Vector,
    collect,
    count_of,
    is_atom,
    is_function,
    long,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

Arguments = Sequence[Value]
Step = Callable[[Value], Value]
# What folds of nothing give.
_IDENTITIES: dict[str, Value] = {
    "+": long(0),
    "*": long(1),
    "&": long(2**63 - 1),
    "|": long(-(2**63) + 1),
    "-": long(0),
    "%": long(1),
    ",": List(()),
}


def accumulate(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    """Apply a function with / or \\: which form it is follows from ranks and arguments."""
    function = derived.function
    keeps = derived.iterator == "\\"
    single = rank_of(function) == 1
    if len(arguments) == 1:
        if single:
            return _converge(session, function, arguments[0], keeps=keeps)
        return _fold(session, function, arguments[0], keeps=keeps)
    if len(arguments) == 2 and single:
        return _repeat(session, function, arguments[0], arguments[1], keeps=keeps)
    return _fold_from(session, function, arguments[0], arguments[1:], keeps=keeps)


def _step(session: "Session", function: Value) -> Step:
    def step(value: Value) -> Value:
        if session.interrupted:
            raise interruption()
        return session.apply(function, (value,))

    return step


# -- one argument: converge, do, while ----------------------------------------------------------


def _converge(session: "Session", function: Value, value: Value, *, keeps: bool) -> Value:
    """Apply until the result repeats itself or comes back to the start."""
    step = _step(session, function)
    start = value
    seen = [value]
    while True:
        new = step(value)
        if _same(session, new, value) or _same(session, new, start):
            return collect(seen) if keeps else value
        value = new
        if keeps:
            seen.append(value)


def _same(session: "Session", left: Value, right: Value) -> bool:
    if isinstance(left, Atom) and isinstance(right, Atom) and left.type is not right.type:
        return False
    same = call(session, "~", left, right)
    return isinstance(same, Atom) and bool(same.value)


def _repeat(
    session: "Session", function: Value, control: Value, value: Value, *, keeps: bool
) -> Value:
    """Apply a number of times, or while a test holds."""
    step = _step(session, function)
    seen = [value]
    if isinstance(control, Atom) and control.type is not QType.SYMBOL:
        if not isinstance(control.value, int):
            raise QError("type", "a whole number of repetitions, or a test, is needed")
        for _ in range(control.value):
            value = step(value)
            if keeps:
                seen.append(value)
        return collect(seen) if keeps else value
    while _holds(session.apply(control, (value,))):
        value = step(value)
        if keeps:
            seen.append(value)
    return collect(seen) if keeps else value


def _holds(test: Value) -> bool:
    if isinstance(test, Atom) and test.type not in (QType.SYMBOL, QType.GUID):
        return bool(test.value)
    raise QError("type", "a test gives one boolean or number")


# -- two and more: folds ------------------------------------------------------------------------


def _fold(session: "Session", function: Value, value: Value, *, keeps: bool) -> Value:
    """Fold a list from its first item."""
    if isinstance(value, Dictionary):
        folded = _fold(session, function, value.values, keeps=keeps)
        return Dictionary(value.keys, folded) if keeps else folded
    if is_atom(value) or is_function(value):
        return value
    if count_of(value) == 0:
        return _of_nothing(function, value)
    quick = quick_scan(function, value) if keeps else quick_fold(function, value)
    if quick is not None:
        return quick
    if not keeps and isinstance(function, Builtin) and function.name == ",":
        return call(session, "raze", value)
    rest = stream(value)
    first = next(rest)
    if keeps:
        return collect([first, *_scanned(session, function, first, [rest])])
    return _folded(session, function, first, [rest])


def _of_nothing(function: Value, value: Value) -> Value:
    if isinstance(function, Builtin) and function.name in _IDENTITIES:
        identity = _IDENTITIES[function.name]
        if isinstance(value, Vector) and value.type is QType.FLOAT and isinstance(identity, Atom):
            limits = {2**63 - 1: float("inf"), -(2**63) + 1: float("-inf")}
            number = int(identity.value)
            return Atom(QType.FLOAT, limits.get(number, float(number)))
        return identity
    return List(())


def _fold_from(
    session: "Session", function: Value, start: Value, rest: Arguments, *, keeps: bool
) -> Value:
    """Fold one or more lists side by side from a given start."""
    if len(rest) == 1 and isinstance(rest[0], Dictionary):
        keys = rest[0].keys
        folded = _fold_from(session, function, start, (rest[0].values,), keeps=keeps)
        return Dictionary(keys, folded) if keeps else folded
    lists = [value for value in rest if not (is_atom(value) or is_function(value))]
    if not lists:
        return session.apply(function, (start, *rest))
    count = count_of(lists[0])
    if any(count_of(value) != count for value in lists):
        raise QError("length", "lists that are folded together need equal counts")
    if len(rest) == 1 and count:
        joined = _started(function, start, rest[0])
        quick = None
        if joined is not None:
            quick = quick_scan(function, joined) if keeps else quick_fold(function, joined)
        if quick is not None:
            if isinstance(quick, Vector):
                return Vector(quick.type, quick.data[1:])
            return quick
    columns = [
        repeat(value, count) if is_atom(value) or is_function(value) else stream(value)
        for value in rest
    ]
    if keeps:
        return collect(_scanned(session, function, start, columns))
    return _folded(session, function, start, columns)


def _started(function: Value, start: Value, value: Value) -> Value | None:
    """Put a start before a vector of its own type."""
    if not isinstance(start, Atom) or not isinstance(value, Vector):
        return None
    if start.type is not value.type or not isinstance(function, Builtin):
        return None
    first = np.array([start.item()], dtype=value.data.dtype)
    return Vector(value.type, np.concatenate((first, value.data)))


def _folded(
    session: "Session", function: Value, value: Value, columns: Sequence[Iterable[Value]]
) -> Value:
    for row in zip(*columns, strict=True):
        if session.interrupted:
            raise interruption()
        value = session.apply(function, (value, *row))
    return value


def _scanned(
    session: "Session", function: Value, value: Value, columns: Sequence[Iterable[Value]]
) -> list[Value]:
    seen = []
    for row in zip(*columns, strict=True):
        if session.interrupted:
            raise interruption()
        value = session.apply(function, (value, *row))
        seen.append(value)
    return seen
