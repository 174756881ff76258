"""The verbs of text and trees: parse, eval, reval, value, get, set."""

from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.parser import parse
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.standard import dependencies
from tickloop.analytics.q.syntax import Function
from tickloop.analytics.q.tree_evaluator import evaluate_tree
from tickloop.analytics.q.trees import parse_tree
from tickloop.analytics.q.values import (
    Builtin,
    Composition,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    Iterated,
    Lambda,
    List,
    Nil,
    Projection,
    QType,
    Value,
    Vector,
    chars,
    items_of,
    long,
    name_of,
    plain,
    symbol,
    symbols,
    text_of,
    vector,
)
from tickloop.analytics.q.wire_functions import number_of

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@register("parse", rank=1, session=True)
def parse_verb(session: "Session", text: Value) -> Value:
    """Give the parse tree of a string."""
    source = text_of(text)
    if source is None:
        raise QError("type", "parse takes a string")
    return parse_tree(session, source)


@register("eval", "reval", rank=1, session=True)
def eval_verb(session: "Session", tree: Value) -> Value:
    """Evaluate a parse tree."""
    return evaluate_tree(session, tree)


@register("value", "get", rank=1, session=True, shown=".:")
def value_verb(session: "Session", value: Value) -> Value:
    """Evaluate a string, read a variable, apply a list, or take a value apart."""
    name = name_of(value) if not isinstance(value, EnumeratedAtom) else None
    if name is not None:
        return session.read_name(name)
    text = text_of(value)
    if text is not None:
        return session.evaluate_text(text)
    if isinstance(value, Dictionary):
        return value.values
    if isinstance(value, Enumerated | EnumeratedAtom):
        return plain(value)
    if isinstance(value, List | Vector):
        return _applied(session, value)
    return _taken_apart(value)


def _applied(session: "Session", value: List | Vector) -> Value:
    if not len(value):
        return value
    head, *arguments = items_of(value)
    if isinstance(value, Vector) and value.type is not QType.SYMBOL:
        return apply(session, head, arguments)
    text = text_of(head)
    if text is not None:
        head = session.evaluate_text(text)
    elif (name := name_of(head)) is not None:
        head = session.get(name)
    return apply(session, head, arguments) if arguments else head


def _taken_apart(value: Value) -> Value:
    if isinstance(value, Projection):
        return List((value.function, *value.arguments))
    if isinstance(value, Composition):
        return List(value.functions)
    if isinstance(value, Iterated):
        return value.function
    if isinstance(value, Lambda):
        return _lambda_parts(value)
    if isinstance(value, Builtin):
        known = number_of(value)
        return long(0 if known is None else known[1])
    return long(0) if isinstance(value, Nil) else value


def _lambda_parts(value: Lambda) -> Value:
    """Give what makes a lambda; there is no bytecode here, so its place is empty."""
    inner = parse(value.source).statements[0]
    used = dependencies(inner.statements) if isinstance(inner, Function) else []
    local = sorted(value.locals - set(value.parameters))
    known = {*local, *value.parameters}
    names = [name for name in used if name not in known]
    return List(
        (
            vector(QType.BYTE, []),
            symbols(value.parameters),
            symbols(local),
            symbols([value.namespace.removeprefix("."), *names]),
            chars(value.source),
        )
    )


@register("set", rank=2, session=True)
def set_verb(session: "Session", name: Value, value: Value) -> Value:
    """Write a variable, or a file if the session may."""
    spelled = name_of(name)
    if spelled is None:
        from tickloop.analytics.q.file_verbs import write_packed
        from tickloop.analytics.q.packing import target_of

        spelled, packing = target_of(name)
        write_packed(session, spelled, value, packing)
        return symbol(spelled)
    session.write_name(spelled, value)
    return symbol(spelled)
