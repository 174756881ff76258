"""What a simple SELECT over one table says, read from DuckDB's syntax tree.

Only what is known word for word passes: a key of a node that was never seen, or one that is set
where it is empty as a rule, makes the statement one for DuckDB.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tickloop.analytics.pruning import Node, table_name, type_of

AGGREGATES = frozenset({"count", "sum", "avg", "min", "max"})
COMPARISONS = {
    "COMPARE_EQUAL": "=", "COMPARE_NOTEQUAL": "<>", "COMPARE_LESSTHAN": "<",
    "COMPARE_GREATERTHAN": ">", "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}  # fmt: skip
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SPELLED = {
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "INT8": "BIGINT", "INT4": "INTEGER",
    "INT": "INTEGER", "INT2": "SMALLINT", "FLOAT8": "DOUBLE",
}  # fmt: skip
# What a SELECT without more than we read has in its node, and what each may hold.
_EMPTY: tuple[object, ...] = (None, [], {}, "")
_READ_OF_SELECT = frozenset(
    {"type", "modifiers", "cte_map", "select_list", "from_table", "where_clause"}
    | {"aggregate_handling"}
)
_NOTHING_OF_SELECT = frozenset({"group_expressions", "group_sets", "having", "sample", "qualify"})


class NotSimpleError(Exception):
    """The statement says something that only DuckDB understands."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value as the statement spells it: LITERAL, NUMERIC or STRING, or the type of a cast.

    LITERAL is a whole number of any size.
    """

    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that comes later, by its number from 1."""

    number: int


Operand = Constant | Parameter


@dataclass(frozen=True, slots=True)
class Term:
    """A condition on one column: a comparison, `in`, `null` or `not null`."""

    column: str
    sign: str
    values: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is selected: a column, or an aggregate of one; "" counts rows."""

    column: str
    aggregate: str = ""
    alias: str = ""  # as it is spelled
    path: tuple[str, ...] = ()  # the column as it is spelled


@dataclass(frozen=True, slots=True)
class Shape:
    """One SELECT; names are in lower case, no items mean every column."""

    table: str
    items: tuple[Item, ...]
    terms: tuple[Term, ...]
    keys: tuple[tuple[str, bool], ...]  # column, whether descending
    limit: Operand | None
    offset: Operand | None


def shape_of(tree: Node) -> Shape | None:
    """Read a statement; None where it says more than a simple SELECT does."""
    try:
        return _shape(tree)
    except (NotSimpleError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _need(condition: object) -> None:
    if not condition:
        raise NotSimpleError


def _shape(tree: Node) -> Shape:
    (statement,) = tree["statements"] if len(tree["statements"]) == 1 else ({},)
    node = statement["node"]
    _need(type_of(node) == "SELECT_NODE")
    _need(node.keys() <= _READ_OF_SELECT | _NOTHING_OF_SELECT)
    _need(all(node.get(key) in _EMPTY for key in _NOTHING_OF_SELECT))
    _need(node["cte_map"] in ({}, {"map": []}))
    _need(node["aggregate_handling"] == "STANDARD_HANDLING")
    source = node["from_table"]
    _need(type_of(source) == "BASE_TABLE")
    for key in ("sample", "at_clause", "column_name_alias", "schema_name", "catalog_name"):
        _need(source.get(key) in _EMPTY)
    table = table_name(source)
    _need(len(source["qualified_name"]["path"]) == 1)
    names = _Names(str(source.get("alias") or "").lower() or table)
    items = tuple(_items(node["select_list"], names))
    _need(len({bool(item.aggregate) for item in items}) <= 1)
    keys, limit, offset = _modifiers(node["modifiers"], names, items)
    return Shape(table, items, tuple(_terms(node["where_clause"], names)), keys, limit, offset)


class _Names:
    """Reads column references to one table."""

    def __init__(self, table: str) -> None:
        self._table = table

    def of(self, node: Node) -> str:
        _need(type_of(node) == "COLUMN_REF")
        path = [str(name).lower() for name in node["column_names"]]
        # The table's name alone is its whole row.
        _need(path[-1] != self._table)
        _need(len(path) == 1 or (len(path) == 2 and path[0] == self._table))
        return path[-1]


def _items(listed: Sequence[Node], names: _Names) -> Iterator[Item]:
    if len(listed) == 1 and type_of(listed[0]) == "STAR":
        star = {key: value for key, value in listed[0].items() if not key.startswith("query_")}
        _need(star.pop("class") == star.pop("type") == "STAR")
        _need(all(value in (*_EMPTY, False) for value in star.values()))
        return
    for node in listed:
        alias = str(node.get("alias") or "")
        if type_of(node) == "FUNCTION":
            yield _aggregate(node, names, alias)
        else:
            yield Item(names.of(node), "", alias, tuple(node["column_names"]))


def _aggregate(node: Node, names: _Names, alias: str) -> Item:
    name = str(node["function_name"]).lower()
    _need(len(node["qualified_name"]["path"]) == 1)
    _need(not (node.get("distinct") or node.get("is_operator") or node.get("export_state")))
    _need(node.get("filter") in _EMPTY)
    _need(node["order_bys"].get("orders") in _EMPTY)
    arguments = node.get("arguments") or []
    if name == "count_star" and not arguments:
        return Item("", "count", alias)
    _need(name in AGGREGATES and len(arguments) == 1 and not arguments[0].get("name"))
    column = arguments[0]["expression"]
    return Item(names.of(column), name, alias, tuple(column["column_names"]))


def _modifiers(
    listed: Sequence[Node], names: _Names, items: Sequence[Item]
) -> tuple[tuple[tuple[str, bool], ...], Operand | None, Operand | None]:
    keys: list[tuple[str, bool]] = []
    limit = offset = None
    aliases = {item.alias.lower(): item for item in items if item.alias}
    for node in listed:
        if type_of(node) == "LIMIT_MODIFIER":
            _need(node.get("limit_type") == "ROW_COUNT")
            limit, offset = _optional(node.get("limit")), _optional(node.get("offset"))
            continue
        _need(type_of(node) == "ORDER_MODIFIER")
        for order in node["orders"]:
            _need(order["null_order"] in ("ORDER_DEFAULT", "NULLS_LAST"))
            _need(order["type"] in ("ORDER_DEFAULT", "ASCENDING", "DESCENDING"))
            name = names.of(order["expression"])
            is_bare = len(order["expression"]["column_names"]) == 1
            column = aliases[name].column if is_bare and name in aliases else name
            keys.append((column, order["type"] == "DESCENDING"))
    _need(not keys or not any(item.aggregate for item in items))
    return tuple(keys), limit, offset


def _optional(node: Any) -> Operand | None:
    return None if node in _EMPTY else _operand(node)


def _terms(clause: Any, names: _Names) -> Iterator[Term]:
    if clause in _EMPTY:
        return
    kind = type_of(clause)
    if kind == "CONJUNCTION_AND":
        for child in clause["children"]:
            yield from _terms(child, names)
    elif kind == "COMPARE_BETWEEN":
        column = names.of(clause["input"])
        yield Term(column, ">=", (_operand(clause["lower"]),))
        yield Term(column, "<=", (_operand(clause["upper"]),))
    elif kind == "COMPARE_IN":
        first, *rest = clause["children"]
        yield Term(names.of(first), "in", tuple(map(_operand, rest)))
    elif kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
        (child,) = clause["children"]
        yield Term(names.of(child), "null" if kind == "OPERATOR_IS_NULL" else "not null")
    else:
        yield _comparison(clause, COMPARISONS[kind], names)


def _comparison(node: Node, sign: str, names: _Names) -> Term:
    left, right = node["left"], node["right"]
    if type_of(left) == "COLUMN_REF":
        return Term(names.of(left), sign, (_operand(right),))
    return Term(names.of(right), _FLIPPED[sign], (_operand(left),))


def _operand(node: Node) -> Operand:
    kind = type_of(node)
    if kind == "VALUE_PARAMETER":
        return Parameter(int(node["identifier"]))
    if kind == "OPERATOR_CAST":
        _need(not node.get("try_cast"))
        described: Mapping[str, Any] = node["type_expr"]
        _need(type_of(described) == "TYPE" and len(described["qualified_name"]["path"]) == 1)
        _need(described.get("children") in _EMPTY)
        inner = _operand(node["child"])
        _need(isinstance(inner, Constant) and inner.type == "STRING")
        assert isinstance(inner, Constant), inner
        name = str(described["type_name"]).upper()
        return Constant(_SPELLED.get(name, name), inner.text)
    _need(kind == "VALUE_CONSTANT")
    literal = node["literal"]
    kinds = {"INTEGER": "LITERAL", "NUMERIC": "NUMERIC", "STRING": "STRING"}
    return Constant(kinds[literal["kind"]], str(literal["text"]))
