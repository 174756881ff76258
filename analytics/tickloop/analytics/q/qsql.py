"""The functional forms of queries: ? selects and executes, ! updates and deletes."""

from collections.abc import Sequence

from tickloop.analytics.q.choice import SIMPLE_EXEC
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.executing import exec_at, exec_rows
from tickloop.analytics.q.partition_queries import query_partitions
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.selecting import clauses_of, select_rows
from tickloop.analytics.q.updating import (
    delete_columns,
    delete_rows,
    is_deleting,
    update_rows,
)
from tickloop.analytics.q.values import Value, count_of, items_of, name_of, names_of
from tickloop.analytics.trace import traced


def _shown(session: Interpreter, table: Value, arguments: Sequence[Value]) -> str:
    if isinstance(table, PartitionedTable):
        return table.name
    return name_of(table) or "a table"


def _rows(session: Interpreter, table: Value, arguments: Sequence[Value]) -> int:
    return count_of(named(session, table))


@traced("query", about=_shown, given=_rows, found=count_of)
def query(session: Interpreter, table: Value, arguments: Sequence[Value]) -> Value:
    """Answer ?[t;c;b;a;n;order]."""
    clauses = clauses_of(arguments)
    source = named(session, table)
    if isinstance(source, PartitionedTable):
        return query_partitions(session, source, clauses)
    if clauses.is_exec:
        return exec_rows(session, source, clauses)
    return select_rows(session, source, clauses)


@traced("change", about=_shown, given=_rows, found=count_of)
def change(session: Interpreter, table: Value, arguments: Sequence[Value]) -> Value:
    """Answer ![t;c;b;a]; a table given by name is changed in place, and the name is the answer."""
    where, by, columns = arguments
    source = named(session, table)
    space = name_of(table)
    if space is not None and space.startswith(".") and is_deleting(by, columns):
        return _forget(session, table, space, columns)
    if not is_deleting(by, columns):
        result = update_rows(session, source, items_of(where), by, columns)
    elif count_of(where) and count_of(columns):
        raise type_error("either rows or columns can be deleted at once, not both")
    elif count_of(columns):
        result = delete_columns(source, columns)
    else:
        result = delete_rows(session, source, items_of(where))
    name = name_of(table)
    if name is None:
        return result
    session.set(name, result)
    return table


def _forget(session: Interpreter, table: Value, space: str, columns: Value) -> Value:
    """Delete names of a namespace; nothing named stands for all of them."""
    prefix = "" if space == "." else f"{space}."
    there = set(names_of(call(session, "key", table)) or ())
    for name in names_of(columns) or there:
        if name and name in there:
            session.forget(prefix + name)
    return table


def named(session: Interpreter, table: Value) -> Value:
    """Give a table that is given by its name; anything else as it is."""
    name = name_of(table)
    return table if name is None else session.get(name)


@register("?", rank=4, session=True, operator=True)
def select_4(session: Interpreter, table: Value, *clauses: Value) -> Value:
    """Answer ?[t;c;b;a]."""
    return query(session, table, clauses)


@register("?", rank=5, session=True, operator=True)
def select_5(session: Interpreter, table: Value, *clauses: Value) -> Value:
    """Answer ?[t;c;b;a;n]."""
    return query(session, table, clauses)


@register("?", rank=6, session=True, operator=True)
def select_6(session: Interpreter, table: Value, *clauses: Value) -> Value:
    """Answer ?[t;c;b;a;n;(g;column)]."""
    return query(session, table, clauses)


@register("!", rank=4, session=True, operator=True)
def change_4(session: Interpreter, table: Value, *clauses: Value) -> Value:
    """Answer ![t;c;b;a]."""
    return change(session, table, clauses)


@register(SIMPLE_EXEC, rank=3, session=True)
def simple_exec(session: Interpreter, table: Value, rows: Value, tree: Value) -> Value:
    """Answer ?[t;i;p], the form of rank 3 that takes a table."""
    return exec_at(session, named(session, table), rows, tree)
