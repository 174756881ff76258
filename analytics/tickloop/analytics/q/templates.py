"""select, exec, update and delete as calls of ? and !, their phrases as parse trees."""

from collections.abc import Callable

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lambdas import Code, Frame
from tickloop.analytics.q.naming import names_in
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.syntax import Columns, Template
from tickloop.analytics.q.trees import Resolve, quoted, to_tree
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    name_of,
    names_of,
    symbol,
    symbols,
    vector,
)

NOTHING = List(())
Phrases = list[Value]
PhrasesCode = Callable[[Frame, Value], Phrases]


def compile_template(node: Template, scope: Scope) -> Code:
    """Compile a template to a call of its functional form."""
    from tickloop.analytics.q.evaluator import builtin, compile_node, located

    table = compile_node(node.table, scope)
    limits = _limits(node, scope)
    verb = builtin("?" if node.verb in ("select", "exec") else "!", node.position)
    session, position = scope.session, node.position
    rank = 4 + len(limits)
    function = verb.by_rank.get(rank)
    if function is None:
        raise QError("nyi", f"{node.verb} is not part of this engine", position)
    phrases = _phrases_code(node, scope)

    def run(frame: Frame) -> Value:
        source = table(frame)
        given = [limit(frame) for limit in limits]
        try:
            return function(session, source, *phrases(frame, source), *given)
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error

    return run


def _phrases_code(node: Template, scope: Scope) -> PhrasesCode:
    """Make the phrases once, or at every run if they hold names of locals."""
    used = names_in((node.columns, node.by, node.where))
    needs_locals = bool(used & scope.slots.keys())
    if not needs_locals and not (scope.namespace and used):
        fixed = phrases_of(node, scope, None)
        return lambda frame, source: fixed
    return _Dynamic(node, scope)


class _Dynamic:
    """Phrases whose names may be columns, locals or globals: known when the table is."""

    def __init__(self, node: Template, scope: Scope) -> None:
        self._node = node
        self._scope = scope

    def __call__(self, frame: Frame, source: Value) -> Phrases:
        columns = set(column_names(self._scope, source))
        scope = self._scope

        def resolve(name: str) -> Value | None:
            first = name.partition(".")[0]
            if name in columns or first in columns or name == "i":
                return None
            slot = scope.slots.get(name)
            if slot is not None:
                return quoted(frame[slot])
            return symbol(scope.global_name(name)) if scope.namespace else None

        return phrases_of(self._node, scope, resolve)


def column_names(scope: Scope, source: Value) -> list[str]:
    """List the columns that a template's table has."""
    name = name_of(source)
    if name is not None:
        source = scope.session.get(scope.global_name(name))
    if isinstance(source, Table):
        return list(source.names)
    if isinstance(source, Dictionary) and isinstance(source.keys, Table):
        assert isinstance(source.values, Table)
        return [*source.keys.names, *source.values.names]
    if isinstance(source, Dictionary):
        return names_of(source.keys) or []
    listed = BUILTINS["cols"].by_rank[1](scope.session, source)
    return names_of(listed) or []


def phrases_of(node: Template, scope: Scope, resolve: Resolve | None) -> Phrases:
    """Give the where, by and column arguments of the functional form."""
    where = _general([to_tree(part, scope, resolve) for part in node.where])
    if node.verb == "delete":
        names = tuple(name for name, _ in node.columns or ())
        if not names:
            return [where, boolean(False), vector(QType.SYMBOL, [])]
        return [where, boolean(False), symbols(names)]
    columns = _columns(node.columns or (), scope, resolve)
    if node.verb == "exec":
        if node.is_unnamed and node.columns:
            columns = to_tree(node.columns[0][1], scope, resolve)
        by: Value = NOTHING
        if node.by:
            by = (
                to_tree(node.by[0][1], scope, resolve)
                if node.is_by_unnamed
                else _columns(node.by, scope, resolve)
            )
        return [where, by, columns]
    if node.by is not None:
        _refuse_twice(node)
        return [where, _columns(node.by, scope, resolve), columns]
    return [where, boolean(node.is_distinct), columns]


def _refuse_twice(node: Template) -> None:
    """Refuse a name that select gives to a group and to a column."""
    if node.verb == "select":
        groups = {name for name, _ in node.by or ()}
        for name, _ in node.columns or ():
            if name in groups:
                raise QError(
                    f"dup names for cols/groups {name}",
                    "name one of them anew, as in select b1:b by b from t",
                    node.position,
                )


def _columns(columns: Columns, scope: Scope, resolve: Resolve | None) -> Value:
    if not columns:
        return NOTHING
    trees = [to_tree(node, scope, resolve) for _, node in columns]
    return Dictionary(symbols(name for name, _ in columns), _general(trees))


def _general(trees: Phrases) -> Value:
    """Make the list of trees: general unless all are names."""
    if trees and all(_is_symbol(tree) for tree in trees):
        return collect(trees)
    return List(tuple(trees))


def _is_symbol(tree: Value) -> bool:
    return isinstance(tree, Atom) and tree.type is QType.SYMBOL


def _limits(node: Template, scope: Scope) -> list[Code]:
    """Compile select[n;>column] to the fifth and sixth arguments."""
    from tickloop.analytics.q.evaluator import builtin, compile_node

    if node.limit is None and node.order is None:
        return []
    codes: list[Code] = []
    if node.limit is not None:
        codes.append(compile_node(node.limit, scope))
    else:
        everything = Atom(QType.LONG, 2**63 - 1)
        codes.append(lambda frame: everything)
    if node.order is not None:
        verb, column = node.order
        sorter = builtin("iasc" if verb == "<" else "idesc", node.position)
        order = List((sorter, to_tree(column, scope, None)))
        codes.append(lambda frame: order)
    return codes


def template_tree(node: Template, scope: Scope, resolve: Resolve | None) -> Value:
    """Give a template as a parse tree: (?;table;where;by;columns)."""
    from tickloop.analytics.q.evaluator import builtin

    verb = builtin("?" if node.verb in ("select", "exec") else "!", node.position)
    where, by, columns = phrases_of(node, scope, resolve)
    table = to_tree(node.table, scope, resolve)
    parts = [verb, table, _wrapped(where), _wrapped_names(by), _wrapped_names(columns)]
    parts.extend(_limit_trees(node, scope, resolve))
    return List(tuple(parts))


def _limit_trees(node: Template, scope: Scope, resolve: Resolve | None) -> list[Value]:
    from tickloop.analytics.q.evaluator import builtin

    if node.limit is None and node.order is None:
        return []
    trees = [
        Atom(QType.LONG, 2**63 - 1) if node.limit is None else to_tree(node.limit, scope, resolve)
    ]
    if node.order is not None:
        verb, column = node.order
        sorter = builtin("iasc" if verb == "<" else "idesc", node.position)
        trees.append(List((List((sorter, to_tree(column, scope, resolve))),)))
    return trees


def _wrapped(value: Value) -> Value:
    """Keep a list from being evaluated: in trees, a list of one item stands for the item."""
    return value if isinstance(value, List) and not value.items else List((value,))


def _wrapped_names(value: Value) -> Value:
    if isinstance(value, Vector) and len(value):
        return List((value,))
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return collect([value])
    if isinstance(value, List) and value.items:
        return List((value,))
    return value
