"""What a SQL statement reads: tables, columns, dates and symbols, so that only those are mapped.

Works on the syntax tree that DuckDB gives as JSON. Every answer is a superset of what the
statement needs: where a shape is not understood, everything is read and DuckDB filters.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tickloop.analytics.pruning import Filter, Node, mentions, nodes, table_name, type_of
from tickloop.core.errors import QueryError

# Table functions that read nothing but their arguments or the catalog of this session.
_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
    | {"duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_functions", "duckdb_types"}
    | {"duckdb_keywords", "pragma_version", "pg_timezone_names", "summary", "test_all_types"}
)
_ALL_COLUMNS = frozenset({"STAR", "POSITIONAL_REFERENCE", "PIVOT", "SHOW_REF"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement reads; names are in lower case."""

    filters: Mapping[str, Filter]  # by table
    columns: frozenset[str] | None  # over all tables; None for every column


def reading(tree: Node, functions: Collection[str] = ()) -> Reading:
    """Find what a parsed statement reads; QueryError for a function that is not allowed.

    `functions` are table functions that are allowed beside the ones that always are.
    """
    for node in nodes(tree):
        _refuse_function(node, functions)
    filters: dict[str, Filter] = {}
    for mention in mentions(tree):
        known = filters.get(mention.table)
        filters[mention.table] = mention.filter if known is None else known.either(mention.filter)
    for name in _common_table_names(tree) & filters.keys():
        filters[name] = Filter()
    return Reading(filters, _columns(tree))


def _refuse_function(node: Node, functions: Collection[str]) -> None:
    if type_of(node) != "TABLE_FUNCTION":
        return
    name = str(node["function"].get("function_name", "")).lower()
    if name not in _FUNCTIONS and name not in functions:
        raise QueryError(
            f"table function {name}() is not available here: queries read the database's tables"
            f" only (and {', '.join(sorted(_FUNCTIONS))})"
        )


def _columns(tree: Node) -> frozenset[str] | None:
    found: set[str] = set()
    tables: set[str] = set()
    for node in nodes(tree):
        kind = type_of(node)
        if kind in _ALL_COLUMNS or node.get("ref_type") == "NATURAL":
            return None
        if node.get("column_name_alias"):
            return None
        if kind == "COLUMN_REF":
            found.update(name.lower() for name in node["column_names"])
        elif kind == "JOIN":
            found.update(name.lower() for name in node.get("using_columns", ()))
        elif kind == "BASE_TABLE":
            tables.update((table_name(node), str(node.get("alias", "")).lower()))
    # A table's name where a value stands is the whole row.
    single = {
        node["column_names"][0].lower()
        for node in nodes(tree)
        if type_of(node) == "COLUMN_REF" and len(node["column_names"]) == 1
    }
    return None if single & tables else frozenset(found)


def _common_table_names(tree: Node) -> set[str]:
    names: set[str] = set()
    for node in nodes(tree):
        entries = node.get("cte_map")
        if isinstance(entries, dict):
            names.update(str(entry["key"]).lower() for entry in entries.get("map", ()))
    return names
