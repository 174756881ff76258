"""insert and upsert: rows into tables, by value or into the one that a name holds."""

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import first_positions, paired_numbers
from tickloop.analytics.q.file_verbs import upsert_file
from tickloop.analytics.q.joining import join
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.table_rows import (
    append_rows,
    columns_from,
    flat,
    rows_from,
    upsert_rows,
)
from tickloop.analytics.q.values import (
    Dictionary,
    List,
    Table,
    Value,
    count_of,
    is_keyed_table,
    is_list,
    items_of,
    name_of,
)


@register("insert", rank=2, operator=True, session=True)
def insert(session: Interpreter, left: Value, right: Value) -> Value:
    """Append rows to the table that a name holds, and give their positions.

    A list holds the columns, or one row. 'insert if a key is there already.
    """
    name = name_of(left)
    if name is None:
        raise type_error("the name of a table needed on the left of insert")
    value = _held(session, name, right)
    if isinstance(right, List) and not right.items:
        return longs(np.arange(0))
    if isinstance(value, List):
        session.set(name, right)
        return longs(np.arange(count_of(right)))
    table = flat(value)
    rows = columns_from(table, right)
    if isinstance(value, Dictionary):
        _refuse_known_keys(value, rows)
        changed: Value = upsert_rows(value, rows, strict=True)
    else:
        changed = append_rows(table, rows, strict=True)
    session.set(name, changed)
    return longs(np.arange(len(table), len(table) + len(rows)))


def _refuse_known_keys(value: Dictionary, rows: Table) -> None:
    keys = value.keys
    assert isinstance(keys, Table)
    if not all(name in rows.names for name in keys.names):
        raise QError("mismatch", f"the key columns {', '.join(keys.names)} needed")
    given = Table(keys.names, tuple(rows.column(name) for name in keys.names))
    ours, theirs = paired_numbers(keys, given) if len(keys) else paired_numbers(given, given)
    known = len(keys) and (first_positions(ours, theirs) < len(ours)).any()
    if known or len(np.unique(theirs)) < len(theirs):
        raise QError("insert", "a key is in the table already; upsert replaces its row")


@register("upsert", rank=2, operator=True, session=True)
def upsert(session: Interpreter, left: Value, right: Value) -> Value:
    """Append rows, in a keyed table replacing those of known keys; by its name, in place."""
    name = name_of(left)
    if name is None:
        return upserted(left, right)
    if name.startswith(":"):
        upsert_file(session, name, right)
        return left
    session.set(name, upserted(_held(session, name, right), right))
    return left


def _held(session: Interpreter, name: str, right: Value) -> Value:
    """Give the table that a name holds; one that is not there yet starts empty."""
    try:
        return session.get(name)
    except QError:
        if not isinstance(right, Table) and not is_keyed_table(right):
            raise
        return List(())


def upserted(value: Value, more: Value) -> Value:
    """Append rows to a table, put rows into a keyed one; entries into a dictionary."""
    if isinstance(value, Table):
        return append_rows(value, _rows(value, more), strict=True)
    if isinstance(value, Dictionary) and value.attribute:
        raise QError("step", "a step function takes no entries; `#d takes its attribute away")
    if isinstance(value, Dictionary) and is_keyed_table(value):
        return upsert_rows(value, _rows(flat(value), more), strict=True)
    if is_list(value) and not items_of(value):
        return more
    return join(value, more)


def _rows(table: Table, more: Value) -> Table:
    """Make rows of what is given; lists of columns are told from rows by their types."""
    try:
        rows = rows_from(table, more)
    except QError:
        return columns_from(table, more)
    return rows
