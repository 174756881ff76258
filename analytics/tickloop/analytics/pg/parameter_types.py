"""The types of parameters that a client leaves open, from what they are compared with.

Reads DuckDB's syntax tree. What cannot be told is text, which every type can be read from.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tickloop.analytics.pruning import Node, nodes, table_name, type_of

Columns = Mapping[str, Mapping[str, str]]  # table -> column -> type, all names in lower case
_TEXT = "VARCHAR"
_OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "^", "**"})
_GIVEN: Mapping[str, str] = {
    "count": "BIGINT", "count_star": "BIGINT", "row_number": "BIGINT", "rank": "BIGINT",
    "length": "BIGINT", "epoch_ns": "BIGINT", "avg": "DOUBLE", "stddev": "DOUBLE", "vwap": "DOUBLE",
    "mid": "DOUBLE", "now": "TIMESTAMP WITH TIME ZONE", "epoch": "DOUBLE", "date_part": "DOUBLE",
    "date_trunc": "TIMESTAMP WITH TIME ZONE", "time_bucket": "TIMESTAMP WITH TIME ZONE",
    "to_timestamp": "TIMESTAMP WITH TIME ZONE", "lower": _TEXT, "upper": _TEXT, "concat": _TEXT,
}  # fmt: skip
_LIKE_ARGUMENT = frozenset({"min", "max", "sum", "first", "last", "abs", "coalesce", "any_value", "lag", "lead"})  # noqa: E501  # fmt: skip


def inferred(tree: Node, known: Columns) -> dict[int, str]:
    """Give a type for each parameter that something tells of."""
    columns = _visible(tree, known)
    found: dict[int, str] = {}
    for node in nodes(tree):
        for number, kind in _told(node, columns):
            if kind:
                found.setdefault(number, kind)
    return found


def _visible(tree: Node, known: Columns) -> Mapping[str, str]:
    """List the columns of the tables that are named, plain and behind their table's alias."""
    visible: dict[str, str] = {}
    for node in nodes(tree):
        if type_of(node) != "BASE_TABLE":
            continue
        table = table_name(node)
        alias = str(node.get("alias", "")).lower() or table
        for name, kind in known.get(table, {}).items():
            visible.setdefault(name, kind)
            visible[f"{alias}.{name}"] = kind
    return visible


def _told(node: Node, columns: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Give what one node of the tree tells of the parameters right under it."""
    kind = type_of(node)
    if kind == "OPERATOR_CAST":
        yield from _if_parameter(node["child"], cast_type(node))
    elif kind == "LIMIT_MODIFIER":
        for place in ("limit", "offset"):
            yield from _if_parameter(node.get(place), "BIGINT")
    elif kind == "SUBQUERY" and node.get("subquery_type") == "ANY":
        yield from _any_of(node, columns)
    else:
        operands = _operands(node)
        like = next(filter(None, (_type(operand, columns) for operand in operands)), "")
        if node.get("function_name") == "+" and like.startswith(("TIME", "DATE")):
            like = "INTERVAL"  # moments are not added to one another
        for operand in operands:
            yield from _if_parameter(operand, like)


def _operands(node: Node) -> list[Any]:
    """List the expressions that have to be of one type."""
    kind = type_of(node)
    if kind == "COMPARE_BETWEEN":
        return [node["input"], node["lower"], node["upper"]]
    if kind in ("COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE"):
        return list(node["children"])
    if kind.startswith("COMPARE_"):
        return [node["left"], node["right"]]
    if kind == "FUNCTION" and node.get("function_name") in _OPERATORS:
        return _arguments(node)
    if kind == "CASE_EXPR":
        return [*(case["then_expr"] for case in node["case_checks"]), node["else_expr"]]
    return []


def _arguments(node: Node) -> list[Any]:
    listed = node.get("arguments", node.get("children", ()))
    return [one.get("expression", one) for one in listed]


def _any_of(node: Node, columns: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Read `x = ANY($1)`, which is a subquery over the list's items."""
    kind = _type(node.get("child"), columns)
    if not kind:
        return
    for inner in nodes(node["subquery"]):
        if type_of(inner) == "FUNCTION" and inner.get("function_name") == "unnest":
            for argument in _arguments(inner):
                yield from _if_parameter(argument, f"{kind}[]")


def _if_parameter(node: Any, kind: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, dict) and type_of(node) == "VALUE_PARAMETER":
        identifier = str(node.get("identifier", ""))
        if identifier.isdigit():
            yield int(identifier), kind


def _type(node: Any, columns: Mapping[str, str]) -> str:
    """Tell an expression's type as far as can be seen without binding it; empty if it cannot."""
    if not isinstance(node, dict):
        return ""
    kind = type_of(node)
    if kind == "COLUMN_REF":
        return columns.get(".".join(str(name).lower() for name in node["column_names"]), "")
    if kind == "OPERATOR_CAST":
        return cast_type(node)
    if kind == "VALUE_CONSTANT":
        literal = node.get("literal") or {}
        return {"INTEGER": "INTEGER", "STRING": _TEXT, "FLOAT": "DOUBLE", "DECIMAL": "DOUBLE"}.get(
            str(literal.get("kind")), ""
        )
    if kind == "FUNCTION":
        return _function(node, columns)
    return ""


def _function(node: Node, columns: Mapping[str, str]) -> str:
    name = str(node.get("function_name", ""))
    if name in _GIVEN:
        return _GIVEN[name]
    if name in _OPERATORS or name in _LIKE_ARGUMENT:
        return next(filter(None, (_type(one, columns) for one in _arguments(node))), "")
    return ""


_SPELLED = {
    "INT": "INTEGER", "INT2": "SMALLINT", "INT4": "INTEGER", "INT8": "BIGINT", "FLOAT4": "FLOAT",
    "FLOAT8": "DOUBLE", "REAL": "FLOAT", "TEXT": _TEXT, "STRING": _TEXT, "BOOL": "BOOLEAN",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "DECIMAL": "NUMERIC", "BYTEA": "BLOB",
    "DATETIME": "TIMESTAMP", "LONG": "BIGINT", "SHORT": "SMALLINT", "UINT32": "UINTEGER",
    "CHAR": _TEXT, "BPCHAR": _TEXT,
}  # fmt: skip


def cast_type(node: Node) -> str:
    described = node.get("type_expr") or {}
    name = str(described.get("type_name", "")).upper()
    if name == "LIST":
        inner = [cast_type({"type_expr": child}) for child in described.get("children", ())]
        return f"{inner[0]}[]" if inner and inner[0] else ""
    return _SPELLED.get(name, name)
