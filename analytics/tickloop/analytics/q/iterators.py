"""The iterators: each, each left and right, each prior, over and scan in all their forms."""

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from tickloop.analytics.q.accumulators import accumulate
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.item_stream import stream
from tickloop.analytics.q.lambdas import interruption
from tickloop.analytics.q.ranks import has_missing, rank_of
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    Dictionary,
    Iterated,
    List,
    Projection,
    QType,
    Value,
    Vector,
    collect,
    count_of,
    is_atom,
    is_function,
    is_keyed_table,
    item_at,
    items_of,
    null,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

Arguments = Sequence[Value]
_WHOLE = (QType.SHORT, QType.INT, QType.LONG)


def apply_iterated(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    """Apply a derived function."""
    if has_missing(arguments):
        return Projection(derived, tuple(arguments))
    return _FORMS[derived.iterator](session, derived, arguments)


def _each(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    function = derived.function
    if isinstance(function, Vector | Atom) and len(arguments) > 1 and function.type in _WHOLE:
        return _case(function, arguments)
    if len(arguments) == 1:
        if is_function(function) and rank_of(function) > 1:
            return Projection(derived, tuple(arguments))
        return each_item(session, function, arguments[0])
    return each_together(session, function, arguments)


def each_item(session: "Session", function: Value, value: Value) -> Value:
    """Apply a function to every item of a value."""
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, each_item(session, function, value.values))
    if _is_single(value):
        return session.apply(function, (value,))
    if isinstance(function, Builtin) and 1 in function.by_rank:
        direct = function.by_rank[1]
        if function.is_atomic and isinstance(value, Vector) and len(value):
            return direct(session, value)
        return collect([direct(session, item) for item in stream(value)])
    return collect([_applied(session, function, (item,)) for item in stream(value)])


def _applied(session: "Session", function: Value, arguments: Arguments) -> Value:
    if session.interrupted:
        raise interruption()
    return session.apply(function, arguments)


def each_together(session: "Session", function: Value, arguments: Arguments) -> Value:
    """Apply a function to the items of several lists, atoms standing for all of them."""
    if (joined := _each_row(session, function, arguments)) is not None:
        return joined
    keyed = [value for value in arguments if _is_mapping(value)]
    if keyed:
        return _each_keyed(session, function, arguments, keyed[0])
    lists = [value for value in arguments if not _is_single(value)]
    if not lists:
        return session.apply(function, arguments)
    count = count_of(lists[0])
    for value in lists:
        if count_of(value) != count:
            raise QError("length", f"lists of {count} and {count_of(value)} items do not pair up")
    columns = [repeat(value, count) if _is_single(value) else stream(value) for value in arguments]
    if isinstance(function, Builtin) and (direct := function.by_rank.get(len(columns))):
        rows = zip(*columns, strict=True)
        return collect([direct(session, *row) for row in rows])
    return collect([_applied(session, function, row) for row in zip(*columns, strict=True)])


def _each_row(session: "Session", function: Value, arguments: Arguments) -> Value | None:
    """Pair the rows of keyed tables up, if all have the same keys; the keys stay."""
    tables = [value for value in arguments if isinstance(value, Dictionary)]
    if len(tables) < len(arguments) or not all(is_keyed_table(value) for value in tables):
        return None
    keys = tables[0].keys
    for table in tables[1:]:
        same = call(session, "~", keys, table.keys)
        if not isinstance(same, Atom) or not same.value:
            return None
    return Dictionary(keys, each_together(session, function, [table.values for table in tables]))


def _is_mapping(value: Value) -> bool:
    return isinstance(value, Dictionary) and not is_keyed_table(value)


def _each_keyed(session: "Session", function: Value, arguments: Arguments, model: Value) -> Value:
    """Pair dictionaries up by the keys of the first."""
    assert isinstance(model, Dictionary)
    values = [
        session.apply(value, (model.keys,)) if _is_mapping(value) else value for value in arguments
    ]
    return Dictionary(model.keys, each_together(session, function, values))


def _is_single(value: Value) -> bool:
    return is_atom(value) or is_function(value)


def _case(chooser: Value, arguments: Arguments) -> Value:
    """Take each item from the argument that the chooser's item tells."""
    if isinstance(chooser, Atom):
        return arguments[int(chooser.value)]
    assert isinstance(chooser, Vector)
    choices = chooser.data.tolist()
    chosen = []
    for place, choice in enumerate(choices):
        if not 0 <= choice < len(arguments):
            raise QError("type", f"case {choice} of {len(arguments)} choices")
        value = arguments[choice]
        if not _is_single(value) and place >= count_of(value):
            raise QError("length", f"{len(choices)} cases, {count_of(value)} items")
        chosen.append(value if _is_single(value) else item_at(value, place))
    return collect(chosen)


def _both(derived: Iterated, arguments: Arguments) -> Value | None:
    if len(arguments) == 2:
        return None
    if len(arguments) == 1:
        return Projection(derived, tuple(arguments))
    raise QError("rank", f"{derived.iterator} takes two arguments, {len(arguments)} seen")


def _separates(function: Value) -> bool:
    """Tell what joins and cuts text and bytes: ","/: is sv, ","\\: is vs."""
    return isinstance(function, Atom | Vector) and function.type in (QType.CHAR, QType.BYTE)


def _each_right(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    if len(arguments) == 1 and _separates(derived.function):
        return call(session, "sv", derived.function, arguments[0])
    if (waiting := _both(derived, arguments)) is not None:
        return waiting
    left, right = arguments
    if isinstance(right, Dictionary):
        return Dictionary(right.keys, _each_right(session, derived, (left, right.values)))
    if _is_single(right):
        return session.apply(derived.function, (left, right))
    function = derived.function
    return collect([_applied(session, function, (left, item)) for item in stream(right)])


def _each_left(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    if len(arguments) == 1 and _separates(derived.function):
        return call(session, "vs", derived.function, arguments[0])
    if (waiting := _both(derived, arguments)) is not None:
        return waiting
    left, right = arguments
    if isinstance(left, Dictionary):
        return Dictionary(left.keys, _each_left(session, derived, (left.values, right)))
    if _is_single(left):
        return session.apply(derived.function, (left, right))
    function = derived.function
    return collect([_applied(session, function, (item, right)) for item in stream(left)])


def _prior(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    function = derived.function
    value = arguments[-1]
    if len(arguments) == 1 and rank_of(function) == 1:
        return each_item(session, function, value)
    if len(arguments) > 2:
        raise QError("rank", f"each prior takes two arguments at most, {len(arguments)} seen")
    if isinstance(value, Dictionary):
        rest = (*arguments[:-1], value.values)
        return Dictionary(value.keys, _prior(session, derived, rest))
    if _is_single(value):
        return session.apply(function, (value, arguments[0])) if len(arguments) == 2 else value
    items = items_of(value)
    if not items:
        return value
    if len(arguments) == 2:
        before = arguments[0]
    elif (kept := _first_kept(function, items[0])) is not None:
        pairs = zip(items[1:], items, strict=False)
        return collect([kept, *[_applied(session, function, pair) for pair in pairs]])
    else:
        before = _null_before(value)
    shifted = [before, *items[:-1]]
    return collect([_applied(session, function, pair) for pair in zip(items, shifted, strict=True)])


def _first_kept(function: Value, first: Value) -> Value | None:
    """Give the first result of each prior where the operator has an identity."""
    if isinstance(function, Builtin):
        if function.name in ("+", "-", "*", "%", "&", "|"):
            return first
        if function.name == ",":
            return collect([first]) if _is_single(first) else first
    return None


def _null_before(value: Value) -> Value:
    if isinstance(value, Vector):
        return null(value.type)
    if isinstance(value, List) and isinstance(value.items[0], Atom):
        return null(value.items[0].type)
    return List(())


def _accumulate(session: "Session", derived: Iterated, arguments: Arguments) -> Value:
    return accumulate(session, derived, arguments)


_FORMS = {
    "'": _each,
    "/:": _each_right,
    "\\:": _each_left,
    "':": _prior,
    "/": _accumulate,
    "\\": _accumulate,
}
