"""Names that q finds for itself: of columns without one, of parameters left unsaid."""

from tickloop.analytics.q.syntax import (
    Apply,
    Assign,
    Block,
    Columns,
    Constant,
    Function,
    Name,
    Node,
    Template,
    Verb,
)
from tickloop.analytics.q.values import name_of
from tickloop.analytics.q.words import RESERVED


def unwrapped(node: Node) -> Node:
    """Take away parentheses."""
    while isinstance(node, Block) and len(node.statements) == 1 and node.statements[0] is not None:
        node = node.statements[0]
    return node


def column_name(node: Node) -> str:
    """Name a column that was given none: by the name that leads its expression, else x."""
    node = unwrapped(node)
    if isinstance(node, Name):
        last = node.name.rpartition(".")[2]
        return "x" if last == "i" else last
    if isinstance(node, Assign):
        return column_name(node.target)
    if isinstance(node, Apply):
        function = node.function
        operator = isinstance(function, Verb) and function.name not in RESERVED
        if isinstance(function, Name) and node.style == "bracket" and len(node.arguments) == 1:
            argument = node.arguments[0]
            return column_name(argument) if argument is not None else "x"
        leads = operator and not _leads_with_constant(node)
        chosen = node.arguments[0] if leads else node.arguments[-1]
        return column_name(chosen) if chosen is not None else "x"
    return "x"


def _leads_with_constant(node: Apply) -> bool:
    """Tell `minute$time and `g#sym, which are named by what a constant is applied to."""
    left = node.arguments[0]
    return isinstance(left, Constant) and name_of(left.value) is not None


def unique_names(columns: list[tuple[str, Node]]) -> Columns:
    """Number names that come again: x, x1, x2."""
    taken: set[str] = set()
    unique: list[tuple[str, Node]] = []
    for name, node in columns:
        chosen, number = name, 0
        while chosen in taken:
            number += 1
            chosen = f"{name}{number}"
        taken.add(chosen)
        unique.append((chosen, node))
    return tuple(unique)


def implicit_parameters(statements: tuple[Node | None, ...]) -> tuple[str, ...]:
    """Find x y z in the body of a lambda; one that uses none takes x.

    The phrases of a query hide them: only the table that it asks may name one.
    """
    seen = {name for statement in statements for name in names_in(statement, phrases=False)}
    for count, name in ((3, "z"), (2, "y")):
        if name in seen:
            return ("x", "y", "z")[:count]
    return ("x",)


def names_in(node: object, *, phrases: bool = True) -> set[str]:
    """List the names in a tree, those inside of lambdas left out, and of phrases if told so."""
    if isinstance(node, Name):
        return {node.name}
    if isinstance(node, Template) and not phrases:
        return names_in(node.table, phrases=False)
    if isinstance(node, Function) or node is None:
        return set()
    found: set[str] = set()
    if isinstance(node, tuple):
        for item in node:
            found |= names_in(item, phrases=phrases)
    elif hasattr(node, "__dataclass_fields__") and not isinstance(node, Constant | Verb):
        for field in node.__dataclass_fields__:
            found |= names_in(getattr(node, field), phrases=phrases)
    return found
