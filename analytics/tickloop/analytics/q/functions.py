"""Applying values: functions of every kind, lists and dictionaries, names and handles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.indexing import index
from tickloop.analytics.q.iterators import apply_iterated
from tickloop.analytics.q.lambdas import apply_lambda
from tickloop.analytics.q.ranks import has_missing, rank_of
from tickloop.analytics.q.values import (
    Adverb,
    Atom,
    Builtin,
    Composition,
    Dictionary,
    Enumerated,
    Iterated,
    Lambda,
    List,
    Missing,
    Nil,
    Projection,
    QType,
    Table,
    Value,
    Vector,
    collect,
    text_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

Arguments = Sequence[Value]
_WHOLE = frozenset((QType.SHORT, QType.INT, QType.LONG))


def apply(session: "Session", function: Value, arguments: Arguments) -> Value:
    """Apply a function to arguments, or index a list, dictionary or table by them."""
    return _APPLIERS.get(type(function), _not_applicable)(session, function, arguments)


def _builtin(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Builtin)
    if has_missing(arguments):
        return Projection(function, tuple(arguments))
    called = function.by_rank.get(len(arguments))
    if called is not None:
        return called(session, *arguments)
    if function.name in ("enlist", ",:"):
        return collect(arguments)
    if len(arguments) < max(function.by_rank):
        return Projection(function, tuple(arguments))
    raise too_many(function.name, max(function.by_rank), len(arguments))


def too_many(name: str, rank: int, count: int) -> QError:
    """Make the 'rank error of a function with more arguments than it takes."""
    return QError("rank", f"{name} takes {rank} argument{'s' * (rank > 1)}, {count} seen")


def _lambda(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Lambda)
    return apply_lambda(session, function, arguments)


def _projection(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Projection)
    filled, rest = fill(function.arguments, arguments)
    if has_missing(filled):
        return Projection(function.function, (*filled, *rest))
    return apply(session, function.function, [*filled, *rest])


def fill(given: Arguments, arguments: Arguments) -> tuple[list[Value], list[Value]]:
    """Put arguments where a projection misses them; give what is over, too."""
    rest = list(arguments)
    filled = [
        rest.pop(0) if isinstance(argument, Missing) and rest else argument for argument in given
    ]
    return filled, rest


def _composition(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Composition)
    *outer, last = function.functions
    if isinstance(last, Nil) and outer:
        # (+):: hands its arguments on as they are.
        *outer, last = outer
    if has_missing(arguments) or len(arguments) < rank_of(last):
        return Projection(function, tuple(arguments))
    value = apply(session, last, arguments)
    for one in reversed(outer):
        value = apply(session, one, (value,))
    return value


def _nil(session: "Session", function: Value, arguments: Arguments) -> Value:
    if len(arguments) != 1:
        raise too_many("::", 1, len(arguments))
    return arguments[0]


def _adverb(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Adverb)
    if has_missing(arguments):
        return Projection(function, tuple(arguments))
    if len(arguments) == 1:
        return Iterated(function.iterator, arguments[0])
    if function.iterator == "'" and len(arguments) == 2:
        return Composition(tuple(arguments))
    raise too_many(function.iterator, 1, len(arguments))


def _iterated(session: "Session", function: Value, arguments: Arguments) -> Value:
    assert isinstance(function, Iterated)
    return apply_iterated(session, function, arguments)


def _index(session: "Session", function: Value, arguments: Arguments) -> Value:
    return index(session, function, arguments)


def _atom(session: "Session", function: Value, arguments: Arguments) -> Value:
    """A symbol stands for the variable it names, an integer for a handle."""
    assert isinstance(function, Atom)
    if function.type is QType.SYMBOL:
        return apply(session, session.get(str(function.value)), arguments)
    if len(arguments) == 1 and isinstance(arguments[0], Nil):
        return function
    if function.type in _WHOLE and len(arguments) == 1 and text_like(arguments[0]):
        return session.handle(int(function.value), arguments[0])
    return _not_applicable(session, function, arguments)


def text_like(value: Value) -> bool:
    """Tell what a handle takes: strings, lists of strings, parse trees."""
    is_bytes = isinstance(value, Vector) and value.type is QType.BYTE
    return isinstance(value, List) or is_bytes or text_of(value) is not None


def _not_applicable(session: "Session", function: Value, arguments: Arguments) -> Value:
    raise QError("type", "an atom cannot be applied or indexed")


_APPLIERS = {
    Builtin: _builtin,
    Lambda: _lambda,
    Projection: _projection,
    Composition: _composition,
    Nil: _nil,
    Adverb: _adverb,
    Iterated: _iterated,
    Vector: _index,
    Enumerated: _index,
    List: _index,
    Dictionary: _index,
    Table: _index,
    Atom: _atom,
}
