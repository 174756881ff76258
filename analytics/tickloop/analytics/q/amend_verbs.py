"""The verbs `@`, `.` and `:`: apply, index, amend, trap."""

from typing import TYPE_CHECKING

from tickloop.analytics.q.amend import amend_at_depth, amend_by
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    Dictionary,
    List,
    Nil,
    Table,
    Value,
    Vector,
    chars,
    is_function,
    is_list,
    items_of,
    name_of,
    symbol,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@register("@", rank=2, operator=True, session=True)
def apply_at(session: "Session", function: Value, argument: Value) -> Value:
    """Apply to one argument, or index by one."""
    return apply(session, function, (argument,))


@register(".", rank=2, operator=True, session=True)
def apply_dot(session: "Session", function: Value, arguments: Value) -> Value:
    """Apply to a list of arguments, or index at depth."""
    given = _arguments(arguments)
    return apply(session, function, given) if given else _with_none(session, function)


def _with_none(session: "Session", function: Value) -> Value:
    return apply(session, function, (Nil(),)) if is_function(function) else function


def _arguments(value: Value) -> list[Value]:
    if isinstance(value, Table | Dictionary):
        return items_of(value)
    if isinstance(value, Nil):
        return [value]
    if not is_list(value):
        raise QError("type", "the arguments are a list: f . (a;b)")
    return items_of(value)


@register(":", rank=2, operator=True)
def assign(old: Value, new: Value) -> Value:
    """Give the second argument."""
    return new


@register("@", rank=3, operator=True, session=True)
def trap_at(session: "Session", value: Value, second: Value, third: Value) -> Value:
    """Apply to one argument and catch errors, or amend items by a function of one argument."""
    if is_function(value):
        return _trap(session, value, (second,), third)
    return _amended(session, value, [second], third, None)


@register(".", rank=3, operator=True, session=True)
def trap_dot(session: "Session", value: Value, second: Value, third: Value) -> Value:
    """Apply to arguments and catch errors, or amend at depth by a function of one argument."""
    if is_function(value):
        return _trap(session, value, _arguments(second) or [Nil()], third)
    return _amended(session, value, _path(second), third, None)


@register("@", rank=4, operator=True, session=True)
def amend_at(
    session: "Session", value: Value, position: Value, function: Value, given: Value
) -> Value:
    """Amend items: @[list;indexes;function;values]."""
    return _amended(session, value, [position], function, given)


@register(".", rank=4, operator=True, session=True)
def amend_dot(
    session: "Session", value: Value, path: Value, function: Value, given: Value
) -> Value:
    """Amend at depth: .[list;path;function;values]."""
    return _amended(session, value, _path(path), function, given)


def _path(value: Value) -> list[Value]:
    if isinstance(value, List | Vector):
        return items_of(value)
    if isinstance(value, Nil):
        return [value]
    raise QError("type", "a path is a list of indexes, one for each level; enlist makes one")


def _amended(
    session: "Session", value: Value, path: list[Value], function: Value, given: Value | None
) -> Value:
    name = name_of(value)
    if name is None:
        return _changed(session, value, path, function, given)
    # An empty path replaces the whole value, so the name need not exist yet.
    old = session.get(name) if path or given is None else session.find(name) or List(())
    session.set(name, _changed(session, old, path, function, given))
    return symbol(name)


def _changed(
    session: "Session", value: Value, path: list[Value], function: Value, given: Value | None
) -> Value:
    if given is None:
        return amend_by(session, value, path, function)
    return amend_at_depth(session, value, path, function, given)


def _trap(
    session: "Session", function: Value, arguments: list[Value] | tuple[Value, ...], rescue: Value
) -> Value:
    calls = session.calls
    try:
        return apply(session, function, arguments)
    except RecursionError:
        error = QError("stack", "expressions or calls nest too deep")
    except QError as caught:
        if session.interrupted:
            raise
        error = caught
    session.calls = calls
    if is_function(rescue):
        return apply(session, rescue, (_message(error),))
    return rescue


def _message(error: QError) -> Value:
    return chars(error.name)
