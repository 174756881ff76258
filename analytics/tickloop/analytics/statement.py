"""What a SQL statement reads: tables, columns, dates and symbols, so that only those are mapped.

Works on the syntax tree that DuckDB gives as JSON. Every answer is a superset of what the
statement needs: where a shape is not understood, everything is read and DuckDB filters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tickloop.core.errors import QueryError

Node = Mapping[str, Any]

# Table functions that read nothing but their arguments or the catalog of this session.
_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
    | {"duckdb_columns", "duckdb_tables", "duckdb_views", "duckdb_functions", "duckdb_types"}
    | {"duckdb_keywords", "pragma_version", "pg_timezone_names", "summary", "test_all_types"}
)
_ALL_COLUMNS = frozenset({"STAR", "POSITIONAL_REFERENCE", "PIVOT", "SHOW_REF"})


@dataclass(frozen=True, slots=True)
class Dates:
    """Dates from `first` to `last`, and of `only` those if it is set."""

    first: date = date.min
    last: date = date.max
    only: frozenset[date] | None = None

    def __contains__(self, session: object) -> bool:
        if not isinstance(session, date):
            return False
        return self.first <= session <= self.last and (self.only is None or session in self.only)

    def both(self, other: "Dates") -> "Dates":
        """Narrow to the dates that are in both."""
        only = self.only if other.only is None else other.only
        if self.only is not None and other.only is not None:
            only = self.only & other.only
        return Dates(max(self.first, other.first), min(self.last, other.last), only)

    def either(self, other: "Dates") -> "Dates":
        """Widen to a range with the dates of both."""
        only = None
        if self.only is not None and other.only is not None:
            only = self.only | other.only
        return Dates(min(self.first, other.first), max(self.last, other.last), only)


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows that one mention of a table can need: of these dates and symbols."""

    dates: Dates = Dates()
    symbols: frozenset[str] | None = None

    def both(self, other: "Filter") -> "Filter":
        """Narrow to rows that pass both."""
        symbols = self.symbols if other.symbols is None else other.symbols
        if self.symbols is not None and other.symbols is not None:
            symbols = self.symbols & other.symbols
        return Filter(self.dates.both(other.dates), symbols)

    def either(self, other: "Filter") -> "Filter":
        """Widen to rows that pass one of both."""
        symbols = None
        if self.symbols is not None and other.symbols is not None:
            symbols = self.symbols | other.symbols
        return Filter(self.dates.either(other.dates), symbols)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement reads; names are in lower case."""

    filters: Mapping[str, Filter]  # by table
    columns: frozenset[str] | None  # over all tables; None for every column


def reading(tree: Node) -> Reading:
    """Find what a parsed statement reads; QueryError for a function that is not allowed."""
    for node in _nodes(tree):
        _refuse_function(node)
    filters: dict[str, Filter] = {}
    for mention in _mentions(tree):
        known = filters.get(mention.table)
        filters[mention.table] = mention.filter if known is None else known.either(mention.filter)
    for name in _common_table_names(tree) & filters.keys():
        filters[name] = Filter()
    return Reading(filters, _columns(tree))


def _nodes(tree: object) -> Iterator[Node]:
    """Walk all objects of a tree."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def _type(node: Node) -> str:
    """Name what an object of the tree is; some have a `type` that is an object itself."""
    kind = node.get("type")
    return kind if isinstance(kind, str) else ""


def _refuse_function(node: Node) -> None:
    if _type(node) != "TABLE_FUNCTION":
        return
    name = str(node["function"].get("function_name", "")).lower()
    if name not in _FUNCTIONS:
        raise QueryError(
            f"table function {name}() is not available here: queries read the database's tables"
            f" only (and {', '.join(sorted(_FUNCTIONS))})"
        )


def _columns(tree: Node) -> frozenset[str] | None:
    found: set[str] = set()
    tables: set[str] = set()
    for node in _nodes(tree):
        kind = _type(node)
        if kind in _ALL_COLUMNS or node.get("ref_type") == "NATURAL":
            return None
        if node.get("column_name_alias"):
            return None
        if kind == "COLUMN_REF":
            found.update(name.lower() for name in node["column_names"])
        elif kind == "JOIN":
            found.update(name.lower() for name in node.get("using_columns", ()))
        elif kind == "BASE_TABLE":
            tables.update((_table_name(node), str(node.get("alias", "")).lower()))
    # A table's name where a value stands is the whole row.
    single = {
        node["column_names"][0].lower()
        for node in _nodes(tree)
        if _type(node) == "COLUMN_REF" and len(node["column_names"]) == 1
    }
    return None if single & tables else frozenset(found)


def _table_name(node: Node) -> str:
    return str(node.get("table_name", "")).strip('"').lower()


def _common_table_names(tree: Node) -> set[str]:
    names: set[str] = set()
    for node in _nodes(tree):
        entries = node.get("cte_map")
        if isinstance(entries, dict):
            names.update(str(entry["key"]).lower() for entry in entries.get("map", ()))
    return names


# Mentions of tables, each with the filter of the SELECT that it stands in


@dataclass(slots=True)
class _Mention:
    table: str
    alias: str
    prunable: bool
    filter: Filter = field(default_factory=Filter)


def _mentions(tree: Node) -> Iterator[_Mention]:
    seen: set[int] = set()
    for node in _nodes(tree):
        if _type(node) == "SELECT_NODE" and isinstance(node.get("from_table"), dict):
            leaves: list[_Mention] = []
            equalities: list[tuple[tuple[str, str], tuple[str, str]]] = []
            _from(node["from_table"], not node.get("sample"), leaves, equalities, seen)
            _filter(node, leaves, equalities)
            yield from (leaf for leaf in leaves if leaf.table)
    for node in _nodes(tree):
        if _type(node) in ("BASE_TABLE", "SHOW_REF") and id(node) not in seen:
            yield _Mention(_table_name(node), "", prunable=False)


def _from(
    node: Node,
    prunable: bool,
    leaves: list[_Mention],
    equalities: list[tuple[tuple[str, str], tuple[str, str]]],
    seen: set[int],
) -> None:
    """List the leaves of a FROM clause; only tables have a name."""
    kind = _type(node)
    if kind == "JOIN":
        shape = node.get("ref_type")
        kept = prunable and shape != "POSITIONAL"
        _from(node["left"], kept, leaves, equalities, seen)
        left = list(leaves)
        # What an as-of join finds on its right side depends on the rows that are there.
        _from(node["right"], kept and shape != "ASOF", leaves, equalities, seen)
        if kept and node.get("join_type") in ("INNER", "LEFT"):
            equalities.extend(_equalities(node, left, leaves[len(left) :]))
        return
    if kind != "BASE_TABLE":
        leaves.append(_Mention("", str(node.get("alias", "")).lower(), prunable=False))
        return
    seen.add(id(node))
    table = _table_name(node)
    alias = str(node.get("alias", "")).lower() or table
    plain = not (node.get("sample") or node.get("at_clause") or node.get("column_name_alias"))
    leaves.append(_Mention(table, alias, prunable and plain))


def _equalities(
    join: Node, left: Sequence[_Mention], right: Sequence[_Mention]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """List column pairs (left, right) that a join makes equal."""
    using = [str(name).lower() for name in join.get("using_columns", ())]
    if join.get("ref_type") == "ASOF":
        using = using[:-1]
    if len(left) == len(right) == 1:
        yield from (((left[0].alias, name), (right[0].alias, name)) for name in using)
    lefts = {mention.alias for mention in left}
    rights = {mention.alias for mention in right}
    for term in _conjuncts(join.get("condition")):
        if _type(term) != "COMPARE_EQUAL":
            continue
        one, other = _column(term["left"]), _column(term["right"])
        if one and other and one[0] in lefts and other[0] in rights:
            yield one, other
        elif one and other and other[0] in lefts and one[0] in rights:
            yield other, one


def _filter(
    select: Node,
    leaves: Sequence[_Mention],
    equalities: Sequence[tuple[tuple[str, str], tuple[str, str]]],
) -> None:
    """Give each leaf the filter that the WHERE clause puts on it."""
    alone = leaves[0].alias if len(leaves) == 1 else None
    by_column: dict[tuple[str, str], Filter] = {}
    using = {one[1]: one for one, other in equalities if one[1] == other[1]}
    for term in _conjuncts(select.get("where_clause")):
        found = _term(term)
        if found is None:
            continue
        (alias, name), narrowed = found
        # A bare name belongs to the only table, or to the columns that USING made one.
        key = (alias, name) if alias else (alone, name) if alone is not None else using.get(name)
        if key is not None:
            by_column[key] = by_column.get(key, Filter()).both(narrowed)
    for leaf in leaves:
        if leaf.prunable:
            for (alias, _), narrowed in by_column.items():
                if alias == leaf.alias:
                    leaf.filter = leaf.filter.both(narrowed)
    _carry(leaves, equalities, by_column)


def _carry(
    leaves: Sequence[_Mention],
    equalities: Sequence[tuple[tuple[str, str], tuple[str, str]]],
    by_column: Mapping[tuple[str, str], Filter],
) -> None:
    """Narrow the right side of a join by what its left side is compared with."""
    for one, other in equalities:
        narrowed = by_column.get(one)
        if narrowed is None or one[1] != other[1]:
            continue
        for leaf in leaves:
            if leaf.alias == other[0]:
                leaf.filter = leaf.filter.both(narrowed)


def _conjuncts(clause: object) -> Iterator[Node]:
    if not isinstance(clause, dict):
        return
    if _type(clause) == "CONJUNCTION_AND":
        for child in clause["children"]:
            yield from _conjuncts(child)
        return
    yield clause


def _term(term: Node) -> tuple[tuple[str, str], Filter] | None:
    """Read `date` or `sym` compared with constants: the column and what passes."""
    kind = _type(term)
    if kind == "COMPARE_BETWEEN":
        column, values = _column(term["input"]), [term["lower"], term["upper"]]
    elif kind == "COMPARE_IN":
        column, values = _column(term["children"][0]), term["children"][1:]
    elif kind in _FLIPPED:
        column, values = _column(term["left"]), [term["right"]]
        if column is None:
            kind, column, values = _FLIPPED[kind], _column(term["right"]), [term["left"]]
    else:
        return None
    texts = [_constant(value) for value in values]
    if column is None or not texts or None in texts:
        return None
    narrowed = _narrowed(column[1], str(kind), [text for text in texts if text is not None])
    return None if narrowed is None else (column, narrowed)


_FLIPPED = {
    "COMPARE_EQUAL": "COMPARE_EQUAL",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}


def _narrowed(column: str, kind: str, texts: Sequence[str]) -> Filter | None:
    equal = kind in ("COMPARE_EQUAL", "COMPARE_IN")
    if column == "sym":
        return Filter(symbols=frozenset(texts)) if equal else None
    if column != "date":
        return None
    try:
        days = [date.fromisoformat(text) for text in texts if len(text) == len("2000-01-01")]
    except ValueError:
        return None
    if len(days) != len(texts):
        return None
    if equal:
        return Filter(Dates(min(days), max(days), frozenset(days)))
    if kind == "COMPARE_BETWEEN":
        return Filter(Dates(days[0], days[1]))
    # Both bounds are kept inclusive: DuckDB drops the day itself where it must.
    return Filter(Dates(last=days[0]) if "LESS" in kind else Dates(first=days[0]))


def _column(node: Node) -> tuple[str, str] | None:
    """Give a column reference as (table or alias or "", column)."""
    if _type(node) != "COLUMN_REF" or len(node["column_names"]) > 2:
        return None
    names = [str(name).lower() for name in node["column_names"]]
    return ("", names[0]) if len(names) == 1 else (names[0], names[1])


def _constant(node: Node) -> str | None:
    """Give the text of a string constant, or of one cast to DATE."""
    while _type(node) == "OPERATOR_CAST":
        if str(node.get("type_expr", {}).get("type_name", "")).lower() != "date":
            return None
        node = node["child"]
    literal = node.get("literal")
    if _type(node) != "VALUE_CONSTANT" or not isinstance(literal, dict):
        return None
    return str(literal["text"]) if literal.get("kind") == "STRING" else None
