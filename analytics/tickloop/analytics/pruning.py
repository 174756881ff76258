"""Which rows each mention of a table in a statement can need: its dates and symbols.

The answer may be too much, never too little: it narrows only by what a WHERE clause says of
`date` and `sym` in plain comparisons with constants, where no join can tell the difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Node = Mapping[str, Any]
Column = tuple[str, str]  # table or alias ("" where none is given), column


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


def nodes(tree: object) -> Iterator[Node]:
    """Walk all objects of a tree."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def type_of(node: Node) -> str:
    """Name what an object of the tree is; some have a `type` that is an object itself."""
    kind = node.get("type")
    return kind if isinstance(kind, str) else ""


def table_name(node: Node) -> str:
    """Give the table that a mention names, in lower case."""
    return str(node.get("table_name", "")).strip('"').lower()


@dataclass(slots=True)
class Mention:
    """One place of a statement that names a table; `table` is empty for a subquery."""

    table: str
    alias: str
    prunable: bool
    filter: Filter = field(default_factory=Filter)


def mentions(tree: Node) -> Iterator[Mention]:
    """List every mention of a table, each with the filter of the SELECT that it stands in."""
    seen: set[int] = set()
    for node in nodes(tree):
        if type_of(node) == "SELECT_NODE" and isinstance(node.get("from_table"), dict):
            leaves: list[Mention] = []
            equalities: list[tuple[Column, Column]] = []
            _from(node["from_table"], not node.get("sample"), leaves, equalities, seen)
            _filter(node, leaves, equalities)
            yield from (leaf for leaf in leaves if leaf.table)
    for node in nodes(tree):
        if type_of(node) in ("BASE_TABLE", "SHOW_REF") and id(node) not in seen:
            yield Mention(table_name(node), "", prunable=False)


def _from(
    node: Node,
    prunable: bool,
    leaves: list[Mention],
    equalities: list[tuple[Column, Column]],
    seen: set[int],
) -> None:
    """List the leaves of a FROM clause; only tables have a name."""
    if type_of(node) == "JOIN":
        _from_join(node, prunable, leaves, equalities, seen)
        return
    if type_of(node) != "BASE_TABLE":
        leaves.append(Mention("", str(node.get("alias", "")).lower(), prunable=False))
        return
    seen.add(id(node))
    table = table_name(node)
    alias = str(node.get("alias", "")).lower() or table
    leaves.append(Mention(table, alias, prunable and _is_plain(node)))


def _is_plain(node: Node) -> bool:
    """Tell whether a mention is of the whole table under its own columns' names."""
    return type_of(node) == "BASE_TABLE" and not (
        node.get("sample") or node.get("at_clause") or node.get("column_name_alias")
    )


def _from_join(
    node: Node,
    prunable: bool,
    leaves: list[Mention],
    equalities: list[tuple[Column, Column]],
    seen: set[int],
) -> None:
    kept = prunable and node.get("ref_type") != "POSITIONAL"
    first = len(leaves)
    _from(node["left"], kept, leaves, equalities, seen)
    middle = len(leaves)
    # What an as-of join finds on its right side depends on the rows that are there, and what a
    # semi-join has there is not what WHERE can name.
    joins = node.get("join_type")
    right = kept and node.get("ref_type") != "ASOF" and joins not in ("SEMI", "ANTI")
    _from(node["right"], right, leaves, equalities, seen)
    # Only a table that stands there itself: inside another join its rows decide about others.
    if kept and joins in ("INNER", "LEFT") and _is_plain(node["right"]):
        equalities.extend(_equalities(node, leaves[first:middle], leaves[middle]))


def _equalities(
    join: Node, left: Sequence[Mention], right: Mention
) -> Iterator[tuple[Column, Column]]:
    """List column pairs (left, right) that a join makes equal."""
    using = [str(name).lower() for name in join.get("using_columns", ())]
    if join.get("ref_type") == "ASOF":
        using = using[:-1]
    if len(left) == 1:
        yield from (((left[0].alias, name), (right.alias, name)) for name in using)
    lefts = {mention.alias for mention in left}
    for term in _conjuncts(join.get("condition")):
        if type_of(term) != "COMPARE_EQUAL":
            continue
        one, other = _column(term["left"]), _column(term["right"])
        if one and other and one[0] in lefts and other[0] == right.alias:
            yield one, other
        elif one and other and other[0] in lefts and one[0] == right.alias:
            yield other, one


def _filter(
    select: Node,
    leaves: Sequence[Mention],
    equalities: Sequence[tuple[Column, Column]],
) -> None:
    """Give each leaf the filter that the WHERE clause puts on it."""
    alone = leaves[0].alias if len(leaves) == 1 else None
    by_column: dict[Column, Filter] = {}
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
    leaves: Sequence[Mention],
    equalities: Sequence[tuple[Column, Column]],
    by_column: Mapping[Column, Filter],
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
    if type_of(clause) == "CONJUNCTION_AND":
        for child in clause["children"]:
            yield from _conjuncts(child)
        return
    yield clause


def _term(term: Node) -> tuple[Column, Filter] | None:
    """Read `date` or `sym` compared with constants: the column and what passes."""
    kind = type_of(term)
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


def _column(node: Node) -> Column | None:
    """Give a column reference as (table or alias or "", column)."""
    if type_of(node) != "COLUMN_REF" or len(node["column_names"]) > 2:
        return None
    names = [str(name).lower() for name in node["column_names"]]
    return ("", names[0]) if len(names) == 1 else (names[0], names[1])


def _constant(node: Node) -> str | None:
    """Give the text of a string constant, or of one cast to DATE."""
    while type_of(node) == "OPERATOR_CAST":
        if str(node.get("type_expr", {}).get("type_name", "")).lower() != "date":
            return None
        node = node["child"]
    literal = node.get("literal")
    if type_of(node) != "VALUE_CONSTANT" or not isinstance(literal, dict):
        return None
    return str(literal["text"]) if literal.get("kind") == "STRING" else None
