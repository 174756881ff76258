"""Locals in functional queries: a name is a column, else a local of the function, else a global.

The parse trees that ?[t;c;b;a] is given are data; what they name of the function around is put
into them as values, as the phrases of a template have it.
"""

from collections.abc import Callable

from tickloop.analytics.q.lambdas import EMPTY, Frame
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.trees import listed, quoted
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
)

_CLAUSES = slice(1, 4)  # where, by, columns
Put = Callable[[Value], Value]


def with_locals(values: list[Value], frame: Frame, scope: Scope) -> list[Value]:
    """Put the values of locals into the clauses of a functional query."""
    from tickloop.analytics.q.templates import column_names

    slots = scope.slots
    columns: set[str] | None = None

    def put(tree: Value) -> Value:
        nonlocal columns
        if isinstance(tree, List) and len(tree.items) > 1:
            return List(tuple([put(item) for item in tree.items]))
        if isinstance(tree, Vector) and tree.type is QType.SYMBOL and len(tree) > 1:
            found = [put(item) for item in items_of(tree)]
            return List(tuple(found))
        if not isinstance(tree, Atom) or tree.type is not QType.SYMBOL:
            return tree
        name = str(tree.value)
        if name not in slots or frame[slots[name]] is EMPTY or name == "i":
            return tree
        if columns is None:
            columns = set(column_names(scope, values[0]))
        return tree if name in columns else quoted(frame[slots[name]])

    where, by, chosen = values[_CLAUSES]
    if isinstance(where, List):
        where = List(tuple([put(tree) for tree in where.items]))
    return [values[0], where, _clause(by, put), _clause(chosen, put), *values[4:]]


def _clause(clause: Value, put: Put) -> Value:
    """Put values into the trees of a dictionary, or into a tree; lists of names stay names."""
    if isinstance(clause, Dictionary) and not isinstance(clause.values, Table):
        trees = [put(tree) for tree in items_of(clause.values)]
        return Dictionary(clause.keys, listed(trees) if trees else clause.values)
    return clause if isinstance(clause, Vector) else put(clause)
