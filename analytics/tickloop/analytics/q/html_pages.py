"""The namespace .h: whole pages, workbooks of tables, and what writes each type of file."""

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.html_text import answer, preformatted
from tickloop.analytics.q.registry import CONSTANTS, Interpreter, call, register
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    count_of,
    is_keyed_table,
    is_list,
    items_of,
    name_of,
    names_of,
    plain,
    symbol,
    symbols,
    text_of,
)

_LINK_COLOUR, _VISITED_COLOUR = "024C7E", "958600"
_ANCHORS = (
    "a{text-decoration:none}"
    f"a:link{{color:{_LINK_COLOUR}}}a:visited{{color:{_LINK_COLOUR}}}"
    f"a:active{{color:{_VISITED_COLOUR}}}"
)
_BODY = "body{font:10pt verdana;text-align:justify}"
_NUMBERS = frozenset(
    (QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT)
)
_OFFICE = "urn:schemas-microsoft-com:office"
_PAGE_ROWS = 32

CONSTANTS[".h.br"] = chars("<br>")
CONSTANTS[".h.c0"] = symbol(_LINK_COLOUR)
CONSTANTS[".h.c1"] = symbol(_VISITED_COLOUR)
CONSTANTS[".h.sa"] = chars(_ANCHORS)
CONSTANTS[".h.sb"] = chars(_BODY)
CONSTANTS[".h.HOME"] = chars("html")
CONSTANTS[".h.logo"] = chars("")


def _given(session: Interpreter, name: str) -> str:
    return text_of(session.get(name)) or ""


# -- pages ----------------------------------------------------------------------------------------


def _page(style: str, body: str) -> str:
    return f"<html><head><style>{style}</style></head><body>{body}</body></html>"


@register(".h.html", rank=1, session=True)
def page(session: Interpreter, body: Value) -> Value:
    """Make a page of its body, in the styles of .h.sa and .h.sb."""
    style = _given(session, ".h.sa") + _given(session, ".h.sb")
    return chars(_page(style, text_of(body) or ""))


@register(".h.hp", rank=1, session=True)
def answer_lines(session: Interpreter, lines: Value) -> Value:
    """Make the answer of a web server that shows lines as they are."""
    body = _page(_given(session, ".h.sb"), text_of(preformatted(lines)) or "")
    return answer(session, symbol("htm"), chars(body))


@register(".h.fram", rank=3)
def frames(title: Value, lines: Value, sources: Value) -> Value:
    """Make a page of two frames, the left one as wide as lines are long."""
    left, right = (text_of(item) or "" for item in items_of(sources))
    width = 8 * max((count_of(line) for line in items_of(lines)), default=0) + 84
    return chars(
        f"<html><head><title>{text_of(title)}</title>"
        f'<frameset cols="{width},*"><frame src="{left}"><frame name=v src="{right}">'
        "</frameset></head></html>"
    )


@register(".h.hug", rank=1)
def escapes(kept: Value) -> Value:
    """Map every character to its escape in an address, the given ones to themselves."""
    safe = text_of(kept) or ""
    spelled = [chr(code) if chr(code) in safe else f"%{code:02x}" for code in range(256)]
    letters = Vector(QType.CHAR, _every_byte())
    return Dictionary(letters, List(tuple([chars(text) for text in spelled])))


def _every_byte() -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.arange(256, dtype=np.uint8)


@register(".h.ka", rank=1)
def keep_alive(timeout_ms: Value) -> Value:
    """Say how a connection goes on; here it ends with its answer."""
    return chars("close")


@register(".h.val", rank=1, session=True)
def value_of_request(session: Interpreter, text: Value) -> Value:
    """Evaluate what a web request asks."""
    return call(session, "value", text)


@register(".h.jx", rank=2, session=True)
def rows_as_text(session: Interpreter, start: Value, name: Value) -> Value:
    """Show the rows of a table from a row on, with links to the rows before and behind."""
    spelled = name_of(name)
    if not isinstance(start, Atom) or spelled is None:
        raise type_error("the first row and the name of a table needed")
    table = flat(session.get(spelled))
    first, count = int(start.value), len(table)
    places = {
        "home": 0,
        "up": max(0, first - _PAGE_ROWS),
        "down": max(0, min(count - _PAGE_ROWS, first + _PAGE_ROWS)),
        "end": max(0, count - _PAGE_ROWS),
    }
    links = " ".join(f'<a href="?[{place}">{word}</a>' for word, place in places.items())
    shown = text_of(call(session, ".Q.s", call(session, "_", start, table))) or ""
    lines = [f"{links} {count}[{first}]", "", *shown.split("\n")[:-1]]
    return List(tuple([chars(line) for line in lines]))


# -- workbooks ------------------------------------------------------------------------------------


@register(".h.ed", rank=1, session=True)
def workbook(session: Interpreter, table: Value) -> Value:
    """Write a table as the only sheet of a workbook."""
    return _book(session, {"Sheet1": table})


@register(".h.edsn", rank=1, session=True)
def workbook_of(session: Interpreter, tables: Value) -> Value:
    """Write a dictionary of tables as the sheets of a workbook."""
    if not isinstance(tables, Dictionary) or (names := names_of(tables.keys)) is None:
        raise type_error("names of sheets and their tables needed, as in `a`b!(t;u)")
    return _book(session, dict(zip(names, items_of(tables.values), strict=True)))


def _book(session: Interpreter, tables: dict[str, Value]) -> Value:
    sheets = "".join(_sheet(session, name, table) for name, table in tables.items())
    head = '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    book = (
        f'<Workbook xmlns="{_OFFICE}:spreadsheet" xmlns:o="{_OFFICE}:office"'
        f' xmlns:x="{_OFFICE}:excel" xmlns:ss="{_OFFICE}:spreadsheet">{sheets}</Workbook>'
    )
    return List((chars(head), chars(book)))


def _sheet(session: Interpreter, name: str, value: Value) -> str:
    table = flat(value)
    columns = [_cells(session, plain(column)) for column in table.columns]
    head = "".join(_cell("String", column) for column in table.names)
    rows = "".join(f"<Row>{''.join(row)}</Row>" for row in zip(*columns, strict=True))
    return f'<Worksheet ss:Name="{name}"><Table><Row>{head}</Row>{rows}</Table></Worksheet>'


def _cells(session: Interpreter, column: Value) -> list[str]:
    is_number = isinstance(column, Vector) and column.type in _NUMBERS
    kind = "Number" if is_number else "String"
    return [_cell(kind, _spelled(session, item)) for item in items_of(column)]


def _spelled(session: Interpreter, item: Value) -> str:
    text = text_of(item)
    return text if text is not None else text_of(call(session, "string", item)) or ""


def _cell(kind: str, text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<Cell><Data ss:Type="{kind}">{escaped}</Data></Cell>'


# -- types of files -------------------------------------------------------------------------------


def as_json(session: Interpreter, value: Value) -> Value:
    """Write each row of a table, or each item of a list, as a line of JSON."""
    whole = isinstance(value, Table) or is_keyed_table(value)
    rows: Value = flat(value) if whole else value
    return List(tuple([call(session, ".j.j", row) for row in items_of(rows)]))


def as_lines(session: Interpreter, value: Value) -> Value:
    """Give a list as it is, anything else as the only item of one."""
    return value if is_list(value) else List((value,))


def _writer(name: str) -> Builtin:
    # By its name, so that what a user may not call is not reached through the dictionary.
    return Builtin(name, {1: lambda session, value: call(session, name, value)}, wants_session=True)


_WRITERS = {
    "raw": Builtin(",:", {1: as_lines}, wants_session=True),
    "json": Builtin(".j.j'", {1: as_json}, wants_session=True),
    "csv": _writer(".h.cd"),
    "txt": _writer(".h.td"),
    "xml": _writer(".h.xd"),
    "xls": _writer(".h.ed"),
}
# Scripts add types of their own: .h.tx[`type]:function.
CONSTANTS[".h.tx"] = Dictionary(symbols(_WRITERS), List(tuple(_WRITERS.values())))
