"""The names that PostgreSQL gives to columns without one: `count`, not `count_star()`."""

from collections.abc import Sequence
from typing import Any

from tickloop.analytics.pruning import Node, type_of

_NAMELESS = "?column?"
_OF_FUNCTION = {"count_star": "count", "date_part": "extract", "list_value": "array"}


def result_names(tree: Node, names: Sequence[str]) -> list[str]:
    """Give a result's columns their names, where the statement's own list tells of each."""
    items = _items(tree)
    if len(items) != len(names) or any(type_of(item) in _MANY for item in items):
        return list(names)
    return [_given(item, name) for item, name in zip(items, names, strict=True)]


_MANY = frozenset({"STAR", "POSITIONAL_REFERENCE"})


def _items(tree: Node) -> list[Any]:
    statements = tree.get("statements") or [{}]
    node = statements[0].get("node") or {}
    while node.get("type") == "SET_OPERATION_NODE":
        node = node.get("left") or (node.get("children") or [{}])[0]
    return list(node.get("select_list") or ())


def _given(item: Node, name: str) -> str:
    if item.get("alias") or type_of(item) == "COLUMN_REF":
        return name
    return _spelled(item)


def _spelled(item: Node) -> str:
    kind = type_of(item)
    if kind == "COLUMN_REF":
        return str(item["column_names"][-1])
    if kind == "FUNCTION":
        if item.get("is_operator"):
            return _NAMELESS
        function = str(item.get("function_name", _NAMELESS))
        return _OF_FUNCTION.get(function, function)
    if kind == "OPERATOR_CAST":
        inner = _spelled(item["child"])
        described = item.get("type_expr") or {}
        return str(described.get("type_name", inner)).lower() if inner == _NAMELESS else inner
    if kind == "CASE_EXPR":
        return "case"
    if kind == "OPERATOR_COALESCE":
        return "coalesce"
    if str(item.get("class")) == "WINDOW":
        return str(item.get("function_name") or kind.removeprefix("WINDOW_")).lower()
    return _NAMELESS
