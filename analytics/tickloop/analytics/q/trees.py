"""Parse trees as q values: made from text, evaluated as `eval` does."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.scope import Scope, assigned_names
from tickloop.analytics.q.syntax import (
    Apply,
    Assign,
    Block,
    Columns,
    Constant,
    Control,
    Derived,
    Function,
    Iterator,
    ListOf,
    Name,
    Node,
    Return,
    Signal,
    TableOf,
    Template,
    Train,
    Verb,
)
from tickloop.analytics.q.values import (
    MISSING,
    NIL,
    Adverb,
    Atom,
    Builtin,
    Lambda,
    List,
    QType,
    Value,
    Vector,
    char,
    collect,
    symbol,
    symbols,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

# What stands for a name, or None to leave it as its symbol.
Resolve = Callable[[str], Value | None]


def _unused(*_: Value) -> Value:
    raise QError("type", "an assignment stands in a parse tree only")


def assigner(spelling: str) -> Builtin:
    """Give the verb of an assignment in a parse tree: `:`, `::`, `+:`."""
    return BUILTINS.get(spelling) or Builtin(spelling, {2: _unused}, is_operator=True)


def quoted(value: Value) -> Value:
    """Give the tree that evaluates to a value: symbols and lists are enlisted."""
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return collect([value])
    if isinstance(value, Vector) and value.type is QType.SYMBOL:
        return List((value,))
    if isinstance(value, List) and value.items:
        return List((value,))
    return value


def listed(items: Sequence[Value]) -> Value:
    """Make a tree of parts: a vector only if all are symbols."""
    if len(items) > 1 and all(isinstance(x, Atom) and x.type is QType.SYMBOL for x in items):
        return collect(items)
    return List(tuple(items))


def to_tree(node: Node | None, scope: Scope, resolve: Resolve | None = None) -> Value:
    """Turn a syntax tree into a parse tree."""
    if node is None:
        return MISSING
    return _MAKERS[type(node)](node, scope, resolve)


def _constant(node: Constant, scope: Scope, resolve: Resolve | None) -> Value:
    return quoted(node.value)


def _name(node: Name, scope: Scope, resolve: Resolve | None) -> Value:
    if resolve is not None and (found := resolve(node.name)) is not None:
        return found
    return symbol(node.name)


def _verb(node: Verb, scope: Scope, resolve: Resolve | None) -> Value:
    from tickloop.analytics.q.evaluator import builtin

    return builtin(node.name, node.position)


def _iterator(node: Iterator, scope: Scope, resolve: Resolve | None) -> Value:
    return Adverb(node.iterator)


def _derived(node: Derived, scope: Scope, resolve: Resolve | None) -> Value:
    return List((Adverb(node.iterator), to_tree(node.function, scope, resolve)))


def _apply(node: Apply, scope: Scope, resolve: Resolve | None) -> Value:
    function = to_tree(node.function, scope, resolve)
    arguments = [to_tree(part, scope, resolve) for part in node.arguments]
    if isinstance(function, Builtin) and function.name in ("enlist", ",:") and arguments == [NIL]:
        return List((function, NIL))
    return listed([function, *arguments])


def _train(node: Train, scope: Scope, resolve: Resolve | None) -> Value:
    *outer, tree = [to_tree(part, scope, resolve) for part in node.functions]
    for function in reversed(outer):
        tree = List((Adverb("'"), function, tree))
    return tree


def _assign(node: Assign, scope: Scope, resolve: Resolve | None) -> Value:
    spelling = (node.verb.name if node.verb is not None else "") + ":"
    if node.is_global:
        spelling += ":"
    target = to_tree(node.target, scope, None)
    return List((assigner(spelling), target, to_tree(node.value, scope, resolve)))


def _return(node: Return, scope: Scope, resolve: Resolve | None) -> Value:
    return List((assigner(":"), to_tree(node.value, scope, resolve)))


def _signal(node: Signal, scope: Scope, resolve: Resolve | None) -> Value:
    return List((Adverb("'"), to_tree(node.value, scope, resolve)))


def _block(node: Block, scope: Scope, resolve: Resolve | None) -> Value:
    if len(node.statements) == 1:
        only = node.statements[0]
        return NIL if only is None else to_tree(only, scope, resolve)
    parts = [NIL if one is None else to_tree(one, scope, resolve) for one in node.statements]
    return List((char(ord(";")), *parts))


def _control(node: Control, scope: Scope, resolve: Resolve | None) -> Value:
    from tickloop.analytics.q.evaluator import builtin

    heads: dict[str, Value] = {"$": builtin("$", node.position), ":": assigner(":")}
    head = heads.get(node.word, symbol(node.word))
    parts = [NIL if part is None else to_tree(part, scope, resolve) for part in node.arguments]
    return List((head, *parts))


def _list(node: ListOf, scope: Scope, resolve: Resolve | None) -> Value:
    from tickloop.analytics.q.evaluator import builtin

    parts = [to_tree(item, scope, resolve) for item in node.items]
    return List((builtin("enlist", node.position), *parts))


def _table(node: TableOf, scope: Scope, resolve: Resolve | None) -> Value:
    keys = _dictionary_tree(node.keys, node, scope, resolve)
    if node.columns is None:
        return keys
    columns = _flipped(_dictionary_tree(node.columns, node, scope, resolve), node)
    if not node.keys:
        return columns
    return List((_verb(Verb("!", node.position), scope, resolve), _flipped(keys, node), columns))


def _dictionary_tree(
    columns: Columns, node: TableOf, scope: Scope, resolve: Resolve | None
) -> Value:
    from tickloop.analytics.q.evaluator import builtin

    names = List((symbols(name for name, _ in columns),))
    parts = [to_tree(part, scope, resolve) for _, part in columns]
    values = List((builtin("enlist", node.position), *parts))
    return List((builtin("!", node.position), names, values))


def _flipped(tree: Value, node: TableOf) -> Value:
    from tickloop.analytics.q.evaluator import builtin

    return List((builtin("flip", node.position), tree))


def function_value(node: Function, scope: Scope) -> Lambda:
    """Make the lambda of its syntax tree."""
    from tickloop.analytics.q.evaluator import compile_function

    body = compile_function(node, scope)
    local = frozenset(assigned_names(node.statements))
    return Lambda(node.source, node.parameters, body, scope.namespace, local)


def _function(node: Function, scope: Scope, resolve: Resolve | None) -> Value:
    return function_value(node, scope)


def _template(node: Template, scope: Scope, resolve: Resolve | None) -> Value:
    from tickloop.analytics.q.templates import template_tree

    return template_tree(node, scope, resolve)


_MAKERS: dict[type, Callable[[Any, Scope, Resolve | None], Value]] = {
    Constant: _constant,
    Name: _name,
    Verb: _verb,
    Iterator: _iterator,
    Derived: _derived,
    Apply: _apply,
    Train: _train,
    Assign: _assign,
    Return: _return,
    Signal: _signal,
    Block: _block,
    Control: _control,
    ListOf: _list,
    TableOf: _table,
    Function: _function,
    Template: _template,
}


def parse_tree(session: "Session", text: str) -> Value:
    """Give the parse tree of a text."""
    from tickloop.analytics.q.parser import parse

    return to_tree(parse(text), Scope(session, session.namespace))
