"""Evaluating parse trees, as `eval` does: symbols are variables, one-item lists are quotes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tickloop.analytics.q.amend import amend_at_depth
from tickloop.analytics.q.control import truth
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.indexing import index
from tickloop.analytics.q.lambdas import ReturnSignal, interruption
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import (
    NIL,
    Adverb,
    Atom,
    Builtin,
    List,
    QType,
    Value,
    Vector,
    items_of,
    name_of,
    text_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

Trees = Sequence[Value]


def evaluate_tree(session: "Session", tree: Value) -> Value:
    """Evaluate a parse tree."""
    if isinstance(tree, Atom):
        return session.get(str(tree.value)) if tree.type is QType.SYMBOL else tree
    if isinstance(tree, Vector) and tree.type is not QType.SYMBOL:
        return tree
    if not isinstance(tree, List | Vector) or not len(tree):
        return tree
    parts = items_of(tree)
    if len(parts) == 1:
        return parts[0]
    head = parts[0]
    special = _special(head, parts)
    if special is not None:
        return special(session, parts)
    arguments = [evaluate_tree(session, part) for part in reversed(parts[1:])]
    arguments.reverse()
    return apply(session, evaluate_tree(session, head), arguments)


Special = Callable[["Session", Trees], Value]


def _special(head: Value, parts: Trees) -> Special | None:
    if isinstance(head, Builtin):
        if head.name == "$" and len(parts) > 3:
            return _condition
        if head.name.endswith(":") and len(parts) == 3 and _is_target(parts[1]):
            return _assign
        if head.name == ":" and len(parts) == 2:
            return _return
    elif isinstance(head, Atom):
        if head.type is QType.CHAR and head.value == ord(";"):
            return _block
        if head.type is QType.SYMBOL and head.value in _CONTROLS:
            return _CONTROLS[str(head.value)]
    elif isinstance(head, Adverb) and head.iterator == "'" and len(parts) == 2:
        return _signal_or_each
    return None


def _is_target(tree: Value) -> bool:
    if name_of(tree) is not None:
        return True
    return isinstance(tree, List | Vector) and len(tree) > 1 and _is_target(items_of(tree)[0])


def _assign(session: "Session", parts: Trees) -> Value:
    head, target, tree = parts
    assert isinstance(head, Builtin)
    value = evaluate_tree(session, tree)
    verb = head.name.rstrip(":")
    function = BUILTINS[verb] if verb else None
    name = name_of(target)
    if name is not None:
        if function is not None:
            value = apply(session, function, (session.get(name), value))
        session.set(name, value)
        return value
    first, *path = items_of(target)
    name = name_of(first)
    if name is None:
        raise QError("assign", "only variables and their items are assigned")
    indexes = [evaluate_tree(session, part) for part in path]
    new = amend_at_depth(session, session.get(name), indexes, function, value)
    session.set(name, new)
    return value if function is None else index(session, new, indexes)


def _condition(session: "Session", parts: Trees) -> Value:
    rest = parts[1:]
    while len(rest) > 1:
        if truth(evaluate_tree(session, rest[0]), 0):
            return evaluate_tree(session, rest[1])
        rest = rest[2:]
    return evaluate_tree(session, rest[0]) if rest else NIL


def _return(session: "Session", parts: Trees) -> Value:
    raise ReturnSignal(evaluate_tree(session, parts[1]))


def _block(session: "Session", parts: Trees) -> Value:
    value: Value = NIL
    for part in parts[1:]:
        value = evaluate_tree(session, part)
    return value


def _if(session: "Session", parts: Trees) -> Value:
    if truth(evaluate_tree(session, parts[1]), 0):
        _block(session, parts[1:])
    return NIL


def _do(session: "Session", parts: Trees) -> Value:
    count = evaluate_tree(session, parts[1])
    if not isinstance(count, Atom) or not isinstance(count.value, int):
        raise QError("type", "do[n;...] needs a whole number")
    for _ in range(count.value):
        if session.interrupted:
            raise interruption()
        _block(session, parts[1:])
    return NIL


def _while(session: "Session", parts: Trees) -> Value:
    while truth(evaluate_tree(session, parts[1]), 0):
        if session.interrupted:
            raise interruption()
        _block(session, parts[1:])
    return NIL


def _signal_or_each(session: "Session", parts: Trees) -> Value:
    value = evaluate_tree(session, parts[1])
    name = name_of(value) or text_of(value)
    if name is not None:
        raise QError(name)
    return apply(session, Adverb("'"), (value,))


_CONTROLS: dict[str, Special] = {"if": _if, "do": _do, "while": _while}
