"""The verb `0:`: tables to delimited text, and text to columns or tables."""

import csv
import itertools
from collections.abc import Sequence

from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.file_paths import path_of, refused
from tickloop.analytics.q.file_verbs import content, lines_of
from tickloop.analytics.q.iso_text import iso
from tickloop.analytics.q.kinds import whole_vector
from tickloop.analytics.q.lists import make_table
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.strings import text_bytes
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.tok import parse
from tickloop.analytics.q.values import (
    TYPES_BY_CHAR,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    collect,
    is_keyed_table,
    is_list,
    items_of,
    name_of,
    symbols,
    text_of,
)


@register("0:", rank=2, operator=True, session=True)
def text(session: Interpreter, left: Value, right: Value) -> Value:
    """Prepare a table as text, parse text by types, or write lines to a granted file."""
    name = name_of(left)
    if name is not None:
        return _write(session, name, right)
    if isinstance(left, List):
        return _parsed(session, left, right)
    delimiter = text_of(left)
    if delimiter is None:
        raise type_error("a delimiter, or types and a delimiter or widths, needed on the left")
    if len(delimiter) == 1:
        return _prepared(delimiter, right, session.precision)
    if len(delimiter) == 2:
        # One type beside a delimiter: two chars in brackets are a string.
        return _parsed(session, List(tuple(items_of(left))), right)
    return _pairs(delimiter, right)


def _write(session: Interpreter, name: str, lines: Value) -> Value:
    path = path_of(session, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(text_bytes(line) + b"\n" for line in items_of(lines)))
    except OSError as error:
        raise refused(path, error) from None
    return Atom(QType.SYMBOL, name)


def _prepared(delimiter: str, value: Value, precision: int) -> Value:
    """Write a table, or a list of columns, as lines."""
    if isinstance(value, Table) or is_keyed_table(value):
        table = flat(value)
        names, columns = list(table.names), list(table.columns)
    elif isinstance(value, Dictionary):
        raise type_error("a table or a list of columns needed on the right of 0:")
    else:
        names, columns = [], items_of(value)
    cells = [[_cell(item, delimiter, precision) for item in items_of(col)] for col in columns]
    lines = [delimiter.join(row) for row in zip(*cells, strict=True)]
    header = [delimiter.join(_enclosed(name, delimiter) for name in names)] if names else []
    return List(tuple(chars(line) for line in [*header, *lines]))


def _cell(item: Value, delimiter: str, precision: int) -> str:
    written = text_of(item)
    if written is None and is_list(item):
        raise type_error("a column of lists seen; delimited text holds atoms and strings")
    return _enclosed(written if written is not None else iso(item, precision), delimiter)


def _enclosed(written: str, delimiter: str) -> str:
    # A quote inside of a cell is read back as it is; only one that begins it needs others.
    if delimiter in written or "\n" in written or written.startswith('"'):
        return '"' + written.replace('"', '""') + '"'
    return written


def _parsed(session: Interpreter, left: List, right: Value) -> Value:
    """Read lines by (types; delimiter) or (types; widths); an enlisted delimiter: with header."""
    if len(left.items) < 2:
        raise length_error(len(left.items), 2)
    types = text_bytes(left.items[0]).decode("latin-1")
    lines, is_one = _lines(session, right)
    widths = whole_vector(left.items[1])
    if widths is not None:
        rows = [_cut(line, widths.tolist()) for line in lines]
        return _columns(types, rows, is_one=False)
    delimiter = text_bytes(left.items[1]).decode("latin-1")
    if len(delimiter) != 1:
        raise QError("length", f"a delimiter of one char needed, {delimiter!r} seen")
    rows = _split(lines, delimiter)
    if isinstance(left.items[1], Atom):
        return _columns(types, rows, is_one=is_one)
    return _table(types, rows)


def _table(types: str, rows: list[list[str]]) -> Value:
    if not rows:
        raise QError("length", "a first line with the names of the columns needed")
    kept = [name for name, letter in zip(rows[0], types, strict=False) if letter != " "]
    columns = items_of(_columns(types, rows[1:], is_one=False))
    return make_table(kept, columns)


def _lines(session: Interpreter, value: Value) -> tuple[list[str], bool]:
    """Give lines as text that keeps every byte, and whether there was one string only."""
    name = name_of(value)
    if name is not None:
        return _decoded(content(session, value)), False
    if isinstance(value, List) and len(value) in (2, 3) and name_of(value.items[0]) is not None:
        return _decoded(content(session, value)), False
    whole = text_of(value)
    if whole is not None:
        lines = whole.splitlines()
        return lines, len(lines) == 1 and not whole.endswith("\n")
    texts = [text_bytes(line).decode("utf-8", "surrogateescape") for line in items_of(value)]
    return texts, False


def _decoded(raw: bytes) -> list[str]:
    return [line.decode("utf-8", "surrogateescape") for line in lines_of(raw)]


def _split(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    if not any('"' in line for line in lines):
        return [line.split(delimiter) for line in lines]
    return list(csv.reader(lines, delimiter=delimiter, doublequote=True))


def _cut(line: str, widths: Sequence[int]) -> list[str]:
    edges = [0, *itertools.accumulate(widths)]
    return [line[start:stop] for start, stop in itertools.pairwise(edges)]


def _columns(types: str, rows: Sequence[Sequence[str]], *, is_one: bool) -> Value:
    """Read cells column by column; a blank among the types leaves a column out."""
    columns: list[Value] = []
    for number, letter in enumerate(types):
        if letter != " ":
            cells = [row[number] if number < len(row) else "" for row in rows]
            columns.append(_column(letter, cells))
    if is_one:
        return collect([items_of(column)[0] for column in columns])
    return List(tuple(columns))


def _column(letter: str, cells: Sequence[str]) -> Value:
    if letter == "*":
        return List(tuple(chars(cell) for cell in cells))
    kind = TYPES_BY_CHAR.get(letter.lower())
    if kind is None:
        raise type_error(f"{letter!r} seen, the letter of a type, * or a blank needed")
    if kind is QType.SYMBOL:
        return symbols(cell.strip(" ") for cell in cells)
    if kind is QType.CHAR:
        return collect([Atom(kind, ord(cell[:1] or " ") & 0xFF) for cell in cells])
    column = parse(kind, List(tuple(chars(cell) for cell in cells)))
    assert isinstance(column, Vector)
    return column


def _pairs(form: str, value: Value) -> Value:
    """Read `key=value;...` by the key's type, what joins a pair, and what ends one."""
    if len(form) < 3:
        raise QError("length", 'the key\'s type, a separator and a delimiter needed: "S=;"')
    letter, separator, delimiter = form[0], form[1], form[-1]
    whole = text_of(value)
    if whole is None:
        raise type_error("a string needed on the right of 0:")
    quotes = len(form) > 3 and form[2] == "*"
    parts = _outside_quotes(whole, delimiter) if quotes else whole.split(delimiter)
    pairs = [part.partition(separator) for part in parts if part]
    keys = _column(letter, [key for key, _, _ in pairs])
    values = [_unquoted(item) if quotes else item for _, _, item in pairs]
    return List((keys, List(tuple(chars(item) for item in values))))


def _outside_quotes(whole: str, delimiter: str) -> list[str]:
    """Cut text at a delimiter, except between quotes."""
    found = [""]
    inside = False
    for char in whole:
        inside ^= char == '"'
        if char == delimiter and not inside:
            found.append("")
        else:
            found[-1] += char
    return found


def _unquoted(item: str) -> str:
    is_quoted = len(item) > 1 and item[0] == item[-1] == '"'
    return item[1:-1].replace('""', '"') if is_quoted else item
