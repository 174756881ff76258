"""Functional exec: columns as lists, dictionaries of columns, and results by group."""

from collections.abc import Sequence

from tickloop.analytics.q.clause import Scope, evaluate
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.filters import filtered
from tickloop.analytics.q.grouped import GroupedScope
from tickloop.analytics.q.grouping import group
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import as_table, is_nothing, null_like, take
from tickloop.analytics.q.selecting import (
    Clauses,
    as_sorted,
    grouped_columns,
    key_table,
    limits,
    ordered,
    trees_of,
)
from tickloop.analytics.q.values import (
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_list,
    item_at,
    symbols,
)
from tickloop.analytics.trace import traced


def exec_rows(session: Interpreter, table: Value, clauses: Clauses) -> Value:
    """Answer an exec."""
    rows = as_table(table)
    if rows is None:
        raise type_error("a table is needed after from")
    return executed(filtered(Scope(session, rows), clauses.where), clauses)


def executed(scope: Scope, clauses: Clauses) -> Value:
    """Answer an exec of rows that were filtered."""
    scope = ordered(scope, clauses)
    if is_nothing(clauses.by):
        result = _ungrouped(scope, clauses.columns)
    else:
        result = _grouped(scope, clauses)
    if clauses.limit is None or isinstance(clauses.columns, Dictionary):
        return result
    return take(result, limits(clauses.limit, count_of(result))) if is_list(result) else result


@traced("columns", given=lambda scope, columns: scope.count, found=count_of)
def _ungrouped(scope: Scope, columns: Value) -> Value:
    if is_nothing(columns):
        return _last_row(scope)
    if isinstance(columns, Dictionary):
        names, trees = trees_of(columns)
        return Dictionary(symbols(names), collect([evaluate(tree, scope) for tree in trees]))
    return evaluate(columns, scope)


def _last_row(scope: Scope) -> Value:
    if scope.count:
        last = int(scope.row_numbers().data[-1]) if scope.rows is not None else scope.count - 1
        return item_at(scope.table, last)
    row = collect([null_like(column) for column in scope.table.columns])
    return Dictionary(symbols(scope.table.names), row)


def _grouped(scope: Scope, clauses: Clauses) -> Value:
    if isinstance(clauses.by, Dictionary):
        names, trees = trees_of(clauses.by)
    else:
        names, trees = [], [clauses.by]
    groups, keys = group(scope, trees)
    shown: Value = key_table(names, keys) if names else as_sorted(keys[0])
    if is_nothing(clauses.columns) or isinstance(clauses.columns, Dictionary):
        found = grouped_columns(scope, groups, names, clauses.columns)
        return Dictionary(shown, Table(tuple(found[0]), tuple(found[1])))
    grouped = GroupedScope(scope, groups)
    found_values = grouped.result(grouped.evaluate([clauses.columns])[0])
    if isinstance(found_values, List) and _are_dictionaries(found_values.items):
        # Dictionaries of equal keys are rows: this is how a table is pivoted.
        found_values = collect(found_values.items)
    return Dictionary(shown, found_values)


def _are_dictionaries(items: Sequence[Value]) -> bool:
    return bool(items) and all(isinstance(item, Dictionary) for item in items)


def exec_at(session: Interpreter, table: Value, rows: Value, tree: Value) -> Value:
    """Answer ?[t;i;p]: an expression over the rows of the given numbers."""
    whole = as_table(table)
    if whole is None or not isinstance(rows, Vector) or rows.type not in (QType.LONG, QType.INT):
        raise type_error("a table, row numbers and a parse tree are needed")
    scope = Scope(session, whole, rows.data, ascending=False)
    return evaluate(tree, scope)
