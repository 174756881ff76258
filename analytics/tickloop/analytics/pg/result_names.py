"""The names that PostgreSQL gives to columns without one: `count`, not `count_star()`."""

from collections.abc import Sequence
from typing import Any

from tickloop.analytics.pg.oids import of_duck
from tickloop.analytics.pg.parameter_types import cast_type
from tickloop.analytics.pruning import Node, type_of

_NAMELESS = "?column?"
_OF_FUNCTION = {
    "count_star": "count",
    "date_part": "extract",
    "list_value": "array",
    "quantile_cont": "percentile_cont",
    "quantile_disc": "percentile_disc",
    "unhex": "bytea",
}
_OF_OPERATOR = {"OPERATOR_COALESCE": "coalesce", "ARRAY_CONSTRUCTOR": "array"}
_FROM_TYPE = frozenset({_NAMELESS, "case", "array"})


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
        # A column keeps its name through a cast; what has none takes the type's.
        return of_duck(cast_type(item)).item.name if inner in _FROM_TYPE else inner
    if kind == "CASE_EXPR":
        return "case"
    if kind == "SUBQUERY":
        is_value = item.get("subquery_type") == "SCALAR"
        inside = _items({"statements": [item["subquery"]]}) if is_value else []
        return str(inside[0].get("alias") or _spelled(inside[0])) if inside else "exists"
    if kind == "ARRAY_EXTRACT":
        return _spelled(item["children"][0])
    if kind in _OF_OPERATOR:
        return _OF_OPERATOR[kind]
    if str(item.get("class")) == "WINDOW":
        return str(item.get("function_name") or kind.removeprefix("WINDOW_")).lower()
    return _NAMELESS
