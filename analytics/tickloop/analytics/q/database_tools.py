"""Tools of .Q that load databases and scripts, and save whole days."""

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.file_paths import file_of, path_of, session_of
from tickloop.analytics.q.loading import load_database, load_path
from tickloop.analytics.q.mounted import refresh
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import CONSTANTS, Interpreter, call, register
from tickloop.analytics.q.saving import dpft, par
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    chars,
    is_keyed_table,
    items_of,
    long,
    name_of,
    names_of,
    symbol,
    text_of,
    vector,
)

_CHUNK_ROWS = 1_000_000
CONSTANTS[".Q.M"] = long(np.iinfo(np.int64).max)


# -- loading --------------------------------------------------------------------------------------


@register(".Q.l", rank=1, session=True)
def load(session: Interpreter, path: Value) -> Value:
    r"""Load a database, a table, a value or a script, as \l does."""
    load_path(session, (name_of(path) or text_of(path) or "").removeprefix(":"))
    return NIL


@register(".Q.lo", rank=3, session=True)
def load_without(session: Interpreter, path: Value, change: Value, scripts: Value) -> Value:
    """Load a database; flags tell whether to go into it and whether to run its scripts."""
    whole = session_of(session)
    before = whole.directory
    load_database(session, file_of(session, path), with_scripts=_is_set(scripts))
    if not _is_set(change):
        whole.directory = before
    return NIL


def _is_set(flag: Value) -> bool:
    return isinstance(flag, Atom) and bool(flag.value)


@register(".Q.li", rank=1, session=True)
def load_partitions(session: Interpreter, _: Value) -> Value:
    """See partitions that were written since the database was loaded; all of them, here."""
    refresh(session)
    return NIL


@register(".Q.ld", rank=1)
def script_parts(lines: Value) -> Value:
    """Group the lines of a script: the numbers of first lines, and what is evaluated at once."""
    numbers: list[int] = []
    texts: list[str] = []
    for number, line in enumerate(items_of(lines), start=1):
        text = text_of(line) or ""
        if texts and text[:1] in (" ", "\t"):
            texts[-1] += f"\n{text}"
        elif text:
            numbers.append(number)
            texts.append(text)
    return List((vector(QType.LONG, numbers), List(tuple([chars(text) for text in texts]))))


# -- saving ---------------------------------------------------------------------------------------


@register(".Q.hdpf", rank=4, session=True)
def save_day(session: Interpreter, port: Value, root: Value, part: Value, field: Value) -> Value:
    """Save all tables into a partition and empty them; no database is told, for want of a line."""
    names = names_of(call(session, "tables", symbol("."))) or []
    held = {name: value for name in names if isinstance(value := session.get(name), Table)}
    for name in sorted(held, key=lambda each: -len(held[each])):
        if not isinstance(held[name], PartitionedTable):
            dpft(session, root, part, field, symbol(name))
            session.set(name, call(session, "#", long(0), held[name]))
    return NIL


@register(".Q.dsftg", rank=5, session=True)
def load_fixed(
    session: Interpreter, target: Value, source: Value, fields: Value, types: Value, change: Value
) -> Value:
    """Load a file of records of one width into a partition, .Q.M rows or a million at a time."""
    root, part, table = items_of(target)
    file, start, length = items_of(source)
    if not isinstance(start, Atom) or not isinstance(length, Atom):
        raise type_error("the source is (file;offset;length)")
    width = sum(int(item.value) for item in items_of(items_of(types)[1]) if isinstance(item, Atom))
    first, count = int(start.value), int(length.value)
    stop = (
        first + count if count > 0 else path_of(session, name_of(file) or "").stat().st_size + count
    )
    place = symbol((name_of(par(session, root, part, table)) or "") + "/")
    step = width * _chunk_rows(session)
    for offset in range(first, stop, step):
        piece = List((file, long(offset), long(min(step, stop - offset))))
        columns = call(session, "1:", types, piece)
        rows = call(session, "flip", call(session, "!", fields, columns))
        rows = session.apply(change, (rows,))
        call(session, "upsert", place, call(session, ".Q.en", root, rows))
    return place


def _chunk_rows(session: Interpreter) -> int:
    limit = session.get(".Q.M")
    return min(int(limit.value), _CHUNK_ROWS) if isinstance(limit, Atom) else _CHUNK_ROWS


@register(".Q.fk", rank=1)
def table_of_key(column: Value) -> Value:
    """Name the table that a column of foreign keys points into, nothing for other columns."""
    is_key = isinstance(column, Enumerated) and is_keyed_table(column.domain.target)
    return symbol(column.domain.name if is_key and isinstance(column, Enumerated) else "")
