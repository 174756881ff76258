"""Functional select over tables in memory: ?[t;c;b;a], with a limit and an order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.clause import Scope, apply, evaluate
from tickloop.analytics.q.codes import coded
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.filters import filtered
from tickloop.analytics.q.grouped import GroupedScope
from tickloop.analytics.q.grouping import group
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import as_table, is_nothing, keyed, repeat, take
from tickloop.analytics.q.tree_text import tree_text
from tickloop.analytics.q.values import (
    Atom,
    Attribute,
    Dictionary,
    Enumerated,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    is_keyed_table,
    is_list,
    items_of,
    names_of,
)
from tickloop.analytics.trace import traced

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clauses:
    """The arguments of ?[t;c;b;a;n;(g;column)] apart from the table."""

    where: tuple[Value, ...]
    by: Value
    columns: Value
    limit: Value | None = None
    order: Value | None = None

    @property
    def is_exec(self) -> bool:
        """Whether the result is a list or dictionary, not a table."""
        if isinstance(self.by, Dictionary):
            return not isinstance(self.columns, Dictionary) and not is_nothing(self.columns)
        return not is_flag(self.by)


def is_flag(value: Value) -> bool:
    """Tell whether a value is 0b or 1b."""
    return isinstance(value, Atom) and value.type is QType.BOOLEAN


def trees_of(value: Value) -> tuple[list[str], list[Value]]:
    """Read a dictionary of names and trees."""
    if not isinstance(value, Dictionary):
        raise type_error("a dictionary of names and parse trees is needed")
    names = names_of(value.keys)
    if names is None:
        raise type_error("names of columns have to be symbols")
    return names, items_of(value.values)


def select_rows(session: Interpreter, table: Value, clauses: Clauses) -> Value:
    """Answer a select: a table, a keyed table where it has `by`."""
    rows = as_table(table)
    if rows is None:
        raise type_error("a table is needed after from")
    return selected(filtered(Scope(session, rows), clauses.where), clauses, _key_count(table))


def selected(scope: Scope, clauses: Clauses, keys: int = 0) -> Value:
    """Answer a select of rows that were filtered; the first `keys` columns key the table."""
    scope = ordered(scope, clauses)
    if isinstance(clauses.by, Dictionary) and len(clauses.by):
        return _limited(_by_group(scope, clauses), clauses)
    if is_nothing(clauses.columns):
        scope = _limited_scope(scope, clauses)
        result = keyed(_taken(scope), keys)
    else:
        result = _limited(_computed(scope, clauses.columns), clauses)
    if is_flag(clauses.by) and isinstance(clauses.by, Atom) and clauses.by.value:
        return distinct_rows(result)
    return result


def _texts(columns: Value) -> str:
    return ", ".join(map(tree_text, trees_of(columns)[1]))


@traced(
    "columns",
    about=lambda scope, columns: _texts(columns),
    given=lambda scope, columns: scope.count,
    found=len,
)
def _computed(scope: Scope, columns: Value) -> Table:
    """Evaluate the columns of a result that is not grouped."""
    names, trees = trees_of(columns)
    return table_of(names, [evaluate(tree, scope) for tree in trees])


@traced("rows", given=lambda scope: scope.count, found=len)
def _taken(scope: Scope) -> Table:
    """Give all columns of a scope's rows."""
    columns = [scope.column(name) for name in scope.table.names]
    return Table(scope.table.names, tuple(column for column in columns if column is not None))


def _key_count(table: Value) -> int:
    if not is_keyed_table(table):
        return 0
    assert isinstance(table, Dictionary)
    assert isinstance(table.keys, Table)
    return len(table.keys.names)


def table_of(names: Sequence[str], values: Sequence[Value]) -> Table:
    """Make a table of columns; single values stand in every row, or make one row together."""
    counts = {count_of(value) for value in values if is_list(value)}
    if len(counts) > 1:
        least, *_, greatest = sorted(counts)
        raise length_error(least, greatest)
    count = counts.pop() if counts else 1
    columns = [value if is_list(value) else repeat(value, count) for value in values]
    return Table(tuple(names), tuple(columns))


def distinct_rows(value: Value) -> Value:
    """Keep the first of equal rows."""
    table = as_table(value)
    if table is None or not table.columns:
        return value
    firsts = Groups.of_codes(coded(table.columns)).firsts
    return take(table, np.sort(firsts))


def _by_group(scope: Scope, clauses: Clauses) -> Value:
    key_names, key_trees = trees_of(clauses.by)
    groups, keys = group(scope, key_trees)
    names, columns = grouped_columns(scope, groups, key_names, clauses.columns)
    return Dictionary(key_table(key_names, keys), Table(tuple(names), tuple(columns)))


def key_table(names: Sequence[str], keys: Sequence[Value]) -> Table:
    """Make the key of a grouped result; a single key is known to be sorted."""
    columns = [as_sorted(key) for key in keys] if len(keys) == 1 else list(keys)
    return Table(tuple(names), tuple(columns))


def as_sorted(column: Value) -> Value:
    """Say of a column that it is sorted."""
    if isinstance(column, Vector):
        return Vector(column.type, column.data, Attribute.SORTED)
    if isinstance(column, Enumerated):
        return Enumerated(column.domain, column.data, Attribute.SORTED)
    return column


@traced(
    "aggregate",
    about=lambda scope, groups, key_names, columns: (
        "last" if is_nothing(columns) else _texts(columns)
    ),
    given=lambda scope, groups, key_names, columns: scope.count,
    found=lambda made: count_of(made[1][0]) if made[1] else 0,
)
def grouped_columns(
    scope: Scope, groups: Groups, key_names: Sequence[str], columns: Value
) -> tuple[list[str], list[Value]]:
    """Evaluate a grouped result's columns; without any, the last row of each group."""
    if is_nothing(columns):
        names = [name for name in scope.table.names if name not in key_names]
        found = [scope.column(name) for name in names]
        return names, [take(column, groups.lasts) for column in found if column is not None]
    names, trees = trees_of(columns)
    check_names(key_names, names)
    grouped = GroupedScope(scope, groups)
    return names, [grouped.result(leveled) for leveled in grouped.evaluate(trees)]


def check_names(by: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a name that stands both in `by` and among the columns."""
    for name in by:
        if name in columns:
            raise QError(
                f"dup names for cols/groups {name}", "name one of them anew: select b1:b by b"
            )


def ordered(scope: Scope, clauses: Clauses) -> Scope:
    """Put a scope's rows in the order of (g;column), where g is iasc or idesc."""
    if clauses.order is None:
        return scope
    parts = items_of(clauses.order)
    if len(parts) != 2:
        raise type_error("an order is a pair: iasc or idesc, and a column")
    places = apply(scope.session, parts[0], [evaluate(parts[1], scope)])
    if not isinstance(places, Vector) or places.data.dtype.kind != "i":
        raise type_error("an order has to give row numbers")
    return scope.narrowed(rows_at(scope, places.data), ascending=False)


def rows_at(scope: Scope, places: npt.NDArray[np.int64]) -> Longs:
    """Turn places among a scope's rows into rows of its table."""
    rows: Longs = scope.row_numbers().data[places]
    return rows


def _limited_scope(scope: Scope, clauses: Clauses) -> Scope:
    if clauses.limit is None:
        return scope
    window = limits(clauses.limit, scope.count)
    if isinstance(scope.rows, np.ndarray):
        return scope.narrowed(scope.rows[window], ascending=scope.ascending)
    start = scope.rows.start if isinstance(scope.rows, slice) else 0
    return scope.narrowed(slice(start + window.start, start + window.stop))


def _limited(table: Value, clauses: Clauses) -> Value:
    if clauses.limit is None:
        return table
    return take(table, limits(clauses.limit, count_of(table)))


def limits(limit: Value, count: int) -> slice:
    """Read a limit: the first n rows, the last -n, or n rows from a start."""
    numbers = [item.value for item in items_of(limit) if isinstance(item, Atom)]
    if not 1 <= len(numbers) <= 2 or not all(isinstance(number, int) for number in numbers):
        raise type_error("a limit is one whole number, or a start and a count")
    whole = [int(number) for number in numbers]
    if len(whole) == 2:
        start = min(max(whole[0] if whole[0] >= 0 else count + whole[0], 0), count)
        return slice(start, min(start + max(whole[1], 0), count))
    if whole[0] < 0:
        return slice(max(count + whole[0], 0), count)
    return slice(0, min(whole[0], count))


def clauses_of(arguments: Sequence[Value]) -> Clauses:
    """Read the arguments c;b;a;n;order."""
    where, by, columns, *rest = arguments
    if not isinstance(where, Vector) and not is_list(where):
        raise QError("type", "filters are a list of parse trees")
    return Clauses(tuple(items_of(where)), by, columns, *rest)
