"""A statement as the database here reads it, in QuestDB's words, with the same meaning.

QuestDB compares nulls as values, divides whole numbers wholly, joins as-of to the left, and knows
no session dates: each is spelled so that rows come out as they do here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tickloop.analytics.arrow_parts import DATE
from tickloop.analytics.pg.tokens import tokens_of
from tickloop.analytics.questdb import conditions, joins
from tickloop.analytics.questdb.dialect import UNITS, QuestDb, call, spelled
from tickloop.analytics.questdb.forms import has_own_join, marked, refuse_acting, spaced
from tickloop.core.clock import DAY_NS
from tickloop.core.errors import QueryError
from tickloop.core.schema import Table

_FEW = 10_000
_FUNCTIONS = frozenset({"long_sequence", "generate_series"})
_CUT = frozenset(
    {exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMPTZ}
)
_INSTANTS = _CUT | {exp.DataType.Type.TIMESTAMP_NS, exp.DataType.Type.DATE}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known here of the tables: their columns as SQL shows them, and where days begin."""

    tables: Mapping[str, Table] = field(default_factory=dict)  # by name in lower case
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column names, likewise
    zone: str = "UTC"
    roll_ns: int = 0
    whole_division: bool = False
    cuts_instants: bool = False  # to microseconds, as on the Postgres wire

    def has(self, table: str, column: str) -> bool:
        """Tell whether a table has a column of its own by this name."""
        found = self.tables.get(table)
        return found is not None and column in found.names


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement for QuestDB, and the tables that it names; `is_ours` if it was understood."""

    text: str
    tables: frozenset[str]
    is_ours: bool


def translated(text: str, known: Known, *, rows_max: int) -> Translated:
    """Translate one SELECT; what only QuestDB can read goes to it as it is written.

    QueryError for what is no question, or has no words in QuestDB.
    """
    refuse_acting(text)
    if has_own_join(text) or tokens_of(text)[0].word == "explain":
        return Translated(spaced(text, tokens_of(text)), frozenset(), is_ours=False)
    marks = marked(text)
    try:
        tree = sqlglot.parse_one(marks.text, dialect=QuestDb)
    except (SqlglotError, RecursionError):
        return Translated(spaced(text, tokens_of(text)), frozenset(), is_ours=False)
    if not isinstance(tree, exp.Query):
        if tokens_of(text)[0].word in ("select", "with", "from"):
            return Translated(spaced(text, tokens_of(text)), frozenset(), is_ours=False)
        raise QueryError("SQL is read-only here: SELECT expected")
    tables = frozenset(_tables(tree))
    for select in list(tree.find_all(exp.Select)):
        _Select(select, known).translate()
    for node in reversed(list(tree.bfs())):
        made = _node(node, known)
        if made is not node:
            node.replace(made)
    first, count = _limit(tree)
    text = _limited(spelled(tree, marks.clauses), first, count, rows_max)
    return Translated(text, tables, is_ours=True)


def _tables(tree: exp.Expression) -> Iterator[str]:
    """List the tables that are read; QueryError for functions that stand in a table's place."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            name = str(table.this.name or table.this.sql_name()).lower()
            if name not in _FUNCTIONS and table.this.sql_name().lower() not in _FUNCTIONS:
                raise QueryError(f"table function {name}() is not available in QuestDB here")
        elif table.name.lower() not in own:
            yield (
                ".".join(filter(None, (table.db.lower(), table.name.lower())))
                .removeprefix("public.")
                .removeprefix("main.")
            )


class _Select:
    """One SELECT: names are resolved by what stands in its FROM."""

    def __init__(self, select: exp.Select, known: Known) -> None:
        self._select = select
        self._known = known
        self._sources: dict[str, str] = {}  # alias -> table, "" for a subquery
        for source in joins.sources(select):
            table = source.name.lower() if isinstance(source, exp.Table) else ""
            self._sources[source.alias_or_name.lower()] = table if table in known.tables else ""

    def translate(self) -> None:
        """Change the SELECT in place."""
        self._select.set("hint", joins.hint(self._select))
        self._stars()
        for join in self._select.args.get("joins") or ():
            kept = joins.translate(join, next(iter(self._sources)))
            if kept is not None:
                self._select.where(kept, copy=False)
        self._columns()
        self._having()
        if (group := self._select.args.get("group")) is not None and group.args.get("all"):
            self._select.set("group", None)
        self._order()

    def _having(self) -> None:
        """Compute what HAVING compares inside, and filter outside: QuestDB has no HAVING."""
        having = self._select.args.get("having")
        if having is None:
            return
        names = [item.alias_or_name for item in self._select.expressions]
        if not all(names) or len(set(names)) != len(names):
            raise QueryError("HAVING needs names for all columns in QuestDB: write `... AS name`")
        self._select.set("having", None)
        condition = having.this
        for number, found in enumerate(list(condition.find_all(exp.AggFunc))):
            self._select.select(exp.alias_(found.copy(), f"__having_{number}"), copy=False)
            if found is condition:
                condition = exp.column(f"__having_{number}")
            else:
                found.replace(exp.column(f"__having_{number}"))
        inner = self._select.copy()
        outer = exp.select(*(exp.column(name) for name in names))
        for part in ("order", "limit", "offset", "with_"):
            outer.set(part, inner.args.get(part))
            inner.set(part, None)
        outer = outer.from_(inner.subquery("__grouped")).where(condition)
        self._select.args.clear()
        for key, value in outer.args.items():
            self._select.set(key, value)

    def _order(self) -> None:
        order = self._select.args.get("order")
        if order is None or [str(one.this).upper() for one in order.expressions] != ["ALL"]:
            return
        count = len(self._select.expressions)
        order.set("expressions", [exp.Literal.number(at) for at in range(1, count + 1)])

    def _stars(self) -> None:
        """Spell `*` of tables that are known, so that columns and their order are as here."""
        found: list[exp.Expression] = []
        for item in self._select.expressions:
            is_star = isinstance(item, exp.Star) or (
                isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
            )
            wanted = [item.table.lower()] if isinstance(item, exp.Column) and item.table else list(
                self._sources
            )  # fmt: skip
            if not is_star or not all(self._sources.get(alias) for alias in wanted):
                found.append(item)
                continue
            for alias in wanted:
                skipped = joins.used(self._select, alias) if isinstance(item, exp.Star) else ()
                found += [
                    exp.column(name, table=alias)
                    for name in self._known.shown[self._sources[alias]]
                    if name not in skipped
                ]
        self._select.set("expressions", found)

    def _columns(self) -> None:
        """Put what QuestDB can compute in place of columns that only the views here have."""
        for column in list(self._select.find_all(exp.Column)):
            if column.find_ancestor(exp.Select) is not self._select:
                continue
            made = self._made(column)
            if made is None:
                continue
            if column.parent is self._select and column.arg_key == "expressions":
                made = exp.alias_(made, column.name)
            column.replace(made)

    def _made(self, column: exp.Column) -> exp.Expression | None:
        name, alias = column.name.lower(), self._alias_of(column)
        table = self._sources.get(alias, "")
        if not table or self._known.has(table, name):
            return None
        instant = exp.column("time", table=alias)
        if name == DATE and self._known.has(table, "time"):
            return self._session_date(instant)
        base = name.removesuffix("_ns")
        if base != name and self._known.has(table, base):
            return _long(exp.column(base, table=alias))
        return None

    def _alias_of(self, column: exp.Column) -> str:
        if column.table:
            return str(column.table).lower()
        name = column.name.lower()
        having = [
            alias
            for alias, table in self._sources.items()
            if table and name in self._known.shown[table]
        ]
        return having[0] if having else ""

    def _session_date(self, instant: exp.Expression) -> exp.Expression:
        """Spell the day that a row belongs to, as the plant counts days."""
        local = instant
        if self._known.zone != "UTC":
            local = call("to_timezone", instant, exp.Literal.string(self._known.zone))
        ahead_s, rest = divmod(-self._known.roll_ns % DAY_NS, 1_000_000_000)
        if rest:
            raise QueryError("days that do not begin at a whole second cannot be asked for here")
        if ahead_s:
            local = call("dateadd", exp.Literal.string("s"), exp.Literal.number(ahead_s), local)
        return call("timestamp_floor", exp.Literal.string("d"), local)


def _node(node: exp.Expression, known: Known) -> exp.Expression:
    """Translate one node whose children have been translated."""
    if isinstance(node, exp.Where | exp.Having):
        return conditions.exact(node, known)
    if isinstance(node, exp.Filter):
        return _filtered(node)
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
        return call("count")
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
        return _distinct(node, known)
    if isinstance(node, exp.Div) and not known.whole_division:
        return exp.Div(this=exp.cast(node.this, "DOUBLE"), expression=node.expression)
    if isinstance(node, exp.IntDiv):
        return exp.Div(this=node.this, expression=node.expression)
    return _of_time(node, known)


def _distinct(node: exp.Count, known: Known) -> exp.Expression:
    """Count different floats by their texts, as QuestDB counts no others."""
    values = node.this.expressions
    if len(values) == 1 and conditions.is_of(values[0], known, "price", "float", "real", "size"):
        values[0].replace(exp.cast(values[0].copy(), "TEXT"))
    return node


def _filtered(node: exp.Filter) -> exp.Expression:
    """Spell agg(x) FILTER (WHERE c) as agg(CASE WHEN c THEN x END)."""
    aggregate, condition = node.this, node.expression.this
    if isinstance(aggregate, exp.Anonymous) and not aggregate.expressions:
        return exp.Count(this=exp.Case().when(condition, exp.Literal.number(1)))
    value = aggregate.this
    if not isinstance(aggregate, exp.Count | exp.Sum | exp.Min | exp.Max | exp.Avg):
        raise QueryError(f"{aggregate.sql()} FILTER has no words in QuestDB; use CASE inside")
    aggregate.set("this", exp.Case().when(condition, value))
    return aggregate


def _of_time(node: exp.Expression, known: Known) -> exp.Expression:
    if isinstance(node, exp.Cast):
        return _cast(node, known)
    if isinstance(node, exp.DateBin):
        count, unit = _span(node.this)
        floor = call("timestamp_floor", exp.Literal.string(f"{count}{unit}"), node.expression)
        if node.args.get("zone") or node.args.get("origin"):
            raise QueryError("time_bucket with an origin has no words in QuestDB")
        return floor
    if isinstance(node, exp.Add | exp.Sub) and isinstance(node.expression, exp.Interval):
        count, unit = _span(node.expression)
        signed = count if isinstance(node, exp.Add) else -count
        return call("dateadd", exp.Literal.string(unit), exp.convert(signed), node.this)
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        unit = exp.Literal.string(str(node.args["unit"].name).lower())
        return call("date_trunc", unit, node.this)
    if isinstance(node, exp.TimeToUnix):
        return exp.Div(this=exp.cast(node.this, "BIGINT"), expression=exp.Literal.number("1e9"))
    if isinstance(node, exp.Anonymous) and node.name.lower() == "epoch_ns":
        return _long(node.expressions[0])
    return node


def _long(node: exp.Expression) -> exp.Expression:
    found: exp.Expression = exp.cast(node, "BIGINT")
    return found


def _cast(node: exp.Cast, known: Known) -> exp.Expression:
    kind = node.to.this
    if kind in _INSTANTS and isinstance(node.this, exp.Literal):
        return conditions.moment(node.this) or node
    if kind in _CUT and not known.cuts_instants and conditions.is_of(node.this, known, "instant"):
        # DuckDB rounds what it casts to microseconds, QuestDB cuts.
        half = exp.Literal.string("n"), exp.Literal.number(500)
        node.set("this", call("dateadd", *half, node.this))
        return node
    if kind is exp.DataType.Type.DATE:
        return call("timestamp_floor", exp.Literal.string("d"), node.this)
    if kind is exp.DataType.Type.DECIMAL and isinstance(node.this, exp.Literal):
        return exp.Literal.number(node.this.this)
    return node


def _span(interval: exp.Expression | None) -> tuple[int, str]:
    """Read an INTERVAL of one unit."""
    if isinstance(interval, exp.Interval) and isinstance(interval.this, exp.Literal):
        unit = UNITS.get(str(interval.args.get("unit") or "").upper().rstrip("S"))
        text = str(interval.this.this)
        if unit is not None and text.lstrip("-").isdecimal():
            return int(text), unit
    raise QueryError("a span such as INTERVAL 5 minute expected, of one unit and a whole number")


def _limit(tree: exp.Query) -> tuple[int, int | None]:
    """Take LIMIT and OFFSET out of a statement: the first row that counts, and how many."""
    limit, offset = tree.args.get("limit"), tree.args.get("offset")
    found = _number(offset) if offset is not None else 0, None if limit is None else _number(limit)
    tree.set("offset", None)
    tree.set("limit", None)
    return found


def _limited(text: str, first: int, count: int | None, rows_max: int) -> str:
    """Ask for one row more than may come, so that too many are noticed and few more travel.

    Around the statement, not in it: QuestDB sorts for a LIMIT of many rows by a slow way of its
    own (28 s instead of 0.06 s for a million of 5,000), which no time-out stops.
    """
    count = rows_max + 1 if count is None else min(count, rows_max + 1)
    shown = f"{first}, {first + count}" if first else str(count)
    if count <= _FEW:
        return f"{text} LIMIT {shown}"
    return f"SELECT * FROM ({text}) LIMIT {shown}"  # noqa: S608 - the statement itself


def _number(node: exp.Expression) -> int:
    found = node.expression
    if not isinstance(found, exp.Literal) or not str(found.this).isdecimal():
        raise QueryError("LIMIT and OFFSET take whole numbers for QuestDB")
    return int(found.this)
