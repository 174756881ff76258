"""The shape of patterns: which expressions take a value apart, and what they hold."""

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.naming import unwrapped
from tickloop.analytics.q.syntax import (
    Apply,
    Assign,
    Constant,
    ListOf,
    Name,
    Node,
    Return,
    TableOf,
    Train,
    Verb,
)


def is_place(node: Node) -> bool:
    """Tell a name, or a name with indexes, from what nothing can be stored in."""
    while isinstance(node, Apply) and node.style in ("bracket", "prefix"):
        node = node.function
    return isinstance(node, Name)


def bare_key(node: Node) -> str | None:
    """Give the name in `name:`, the key of a pattern that does not care about the value."""
    if isinstance(node, Train) and len(node.functions) == 1:
        only = node.functions[0]
        if isinstance(only, Apply) and only.style == "project" and _is_verb(only.function, ":"):
            name = only.arguments[0]
            return name.name if isinstance(name, Name) else None
    return None


def check_pattern(node: Node | None) -> None:
    """Refuse what no value can be taken apart by; QError 'assign."""
    node = None if node is None else unwrapped(node)
    if node is None or isinstance(node, Constant | Return) or is_place(node):
        return
    parts = pattern_parts(node)
    if not parts and not isinstance(node, TableOf):
        raise QError("assign", "a pattern holds names: (a;b):1 2", node.position)
    for part in parts:
        check_pattern(part)


def pattern_parts(node: Node | None) -> tuple[Node | None, ...]:
    """Give the patterns that a pattern holds: of lists, filters, dictionaries and tables."""
    if isinstance(node, ListOf):
        return node.items
    if isinstance(node, Assign):
        return (node.target,) if node.verb is None else ()
    if isinstance(node, TableOf):
        return tuple(part for _, part in (*node.keys, *(node.columns or ())))
    if (pair := keyed_pair(node)) is not None:
        return pair
    flipped = flipped_pattern(node)
    return () if flipped is None else (flipped,)


def keyed_pair(node: Node | None) -> tuple[Node, Node | None] | None:
    """Give the two sides of keys!values; the right one may be left out."""
    if isinstance(node, Train) and len(node.functions) == 1:
        only = node.functions[0]
        if isinstance(only, Apply) and only.style == "project" and _is_verb(only.function, "!"):
            assert only.arguments[0] is not None
            return only.arguments[0], None
    if isinstance(node, Apply) and node.style == "infix" and _is_verb(node.function, "!"):
        left, right = node.arguments
        assert left is not None
        return left, right
    return None


def flipped_pattern(node: Node | None) -> Node | None:
    """Give the pattern of a table's columns in flip pattern."""
    if isinstance(node, Apply) and node.style == "prefix" and _is_verb(node.function, "flip"):
        return node.arguments[0]
    return None


def _is_verb(node: Node, name: str) -> bool:
    return isinstance(node, Verb) and node.name == name
