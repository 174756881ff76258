"""The namespace .h: tables as text, markup, and the pieces of web answers."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.iso_text import iso
from tickloop.analytics.q.registry import CONSTANTS, Interpreter, call, register
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    chars,
    is_keyed_table,
    is_list,
    items_of,
    name_of,
    symbols,
    text_of,
)

_SAFE = "$-.+!*'(),_"
_LINK = re.compile(r"https?://[^\s<>\"]+")
_TYPES = {
    "htm": "text/html", "html": "text/html", "csv": "text/comma-separated-values",
    "txt": "text/plain", "xml": "text/plain", "xls": "application/msexcel", "gif": "image/gif",
    "jpg": "image/jpeg", "png": "image/png", "css": "text/css", "js": "application/javascript",
    "json": "application/json", "swf": "application/x-shockwave-flash",
    "ico": "image/x-icon", "svg": "image/svg+xml", "pdf": "application/pdf",
}  # fmt: skip
_ANY_TYPE = "application/octet-stream"

CONSTANTS[".h.d"] = Atom(QType.CHAR, ord(" "))
CONSTANTS[".h.sc"] = chars(
    "$-.+!*'(),abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
)
CONSTANTS[".h.ty"] = Dictionary(
    symbols(_TYPES), List(tuple([chars(text) for text in _TYPES.values()]))
)


def _text(session: Interpreter, value: Value) -> str:
    """Give a string, or the spelling of anything else."""
    return text_of(value) or text_of(call(session, "string", value)) or ""


def _lines(value: Value) -> Sequence[str]:
    texts = [text_of(item) for item in items_of(value)]
    if None in texts:
        raise type_error("a list of strings needed")
    return [text or "" for text in texts]


# -- tables ---------------------------------------------------------------------------------------


def _spread(session: Interpreter, table: Value) -> Value:
    """Write the lists in a table's columns as strings, their items joined by .h.d."""
    if isinstance(table, Dictionary) and is_keyed_table(table):
        table = flat(table)
    if not isinstance(table, Table):
        return table
    mark = text_of(session.get(".h.d")) or " "
    return Table(table.names, tuple([_joined(session, column, mark) for column in table.columns]))


def _joined(session: Interpreter, column: Value, mark: str) -> Value:
    if not isinstance(column, List):
        return column
    cells = []
    for item in column.items:
        text = text_of(item)
        if text is None and is_list(item):
            text = mark.join(
                text_of(part) or "" for part in items_of(call(session, "string", item))
            )
        cells.append(chars(_text(session, item) if text is None else text))
    return List(tuple(cells))


@register(".h.cd", rank=1, session=True)
def as_csv(session: Interpreter, table: Value) -> Value:
    """Write a table, or a list of columns, with commas."""
    return call(session, "0:", chars(","), _spread(session, table))


@register(".h.td", rank=1, session=True)
def as_tabs(session: Interpreter, table: Value) -> Value:
    """Write a table with tabs."""
    return call(session, "0:", chars("\t"), _spread(session, table))


@register(".h.xd", rank=1, session=True)
def as_xml(session: Interpreter, table: Value) -> Value:
    """Write a table as XML, one line for each row."""
    rows = flat(table)
    cells = [
        [iso(item, session.precision) if text_of(item) is None else text_of(item) or ""
         for item in items_of(column)]
        for column in rows.columns
    ]  # fmt: skip
    lines = [
        "".join(
            f"<{name}>{_escaped(cell)}</{name}>" for name, cell in zip(rows.names, row, strict=True)
        )
        for row in zip(*cells, strict=True)
    ]
    return List(tuple([chars(line) for line in ("<R>", *[f"<r>{x}</r>" for x in lines], "</R>")]))


@register(".h.xt", rank=2, session=True)
def from_type(session: Interpreter, kind: Value, lines: Value) -> Value:
    """Read lines of JSON."""
    if name_of(kind) != "json":
        raise type_error("only json is read here")
    return List(tuple([call(session, ".j.k", line) for line in items_of(lines)]))


# -- markup ---------------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@register(".h.xs", rank=1)
def xml_escape(value: Value) -> Value:
    """Spell what XML gives a meaning to."""
    return chars(_escaped(text_of(value) or ""))


@register(".h.hc", rank=1)
def less_than(value: Value) -> Value:
    """Spell < so that it opens no tag."""
    return chars((text_of(value) or "").replace("<", "&lt;"))


def _tag(name: str, attributes: str, text: str) -> Value:
    return chars(f"<{name}{attributes}>{text}</{name}>")


@register(".h.htc", rank=2, session=True)
def tagged(session: Interpreter, tag: Value, text: Value) -> Value:
    """Put text between the tags of a name."""
    return _tag(name_of(tag) or "", "", _text(session, text))


def _attributes(session: Interpreter, value: Value) -> str:
    if not isinstance(value, Dictionary):
        raise type_error("a dictionary of attributes needed")
    names, texts = items_of(value.keys), items_of(value.values)
    return "".join(
        f' {name_of(name)}="{_text(session, text)}"'
        for name, text in zip(names, texts, strict=True)
    )


@register(".h.hta", rank=2, session=True)
def opening(session: Interpreter, tag: Value, attributes: Value) -> Value:
    """Write an opening tag with attributes."""
    return chars(f"<{name_of(tag)}{_attributes(session, attributes)}>")


@register(".h.htac", rank=3, session=True)
def element(session: Interpreter, tag: Value, attributes: Value, text: Value) -> Value:
    """Put text between tags, the first with attributes."""
    return _tag(name_of(tag) or "", _attributes(session, attributes), _text(session, text))


def _target(session: Interpreter, value: Value) -> str:
    name = name_of(value)
    return name if name is not None else f'"{_text(session, value)}"'


@register(".h.ha", rank=2, session=True)
def anchor(session: Interpreter, target: Value, text: Value) -> Value:
    """Write a link."""
    return _tag("a", f" href={_target(session, target)}", _text(session, text))


@register(".h.hb", rank=2, session=True)
def framed_anchor(session: Interpreter, target: Value, text: Value) -> Value:
    """Write a link into the frame v."""
    return _tag("a", f" target=v href={_target(session, target)}", _text(session, text))


@register(".h.nbr", rank=1)
def unbroken(text: Value) -> Value:
    """Mark text that no line end may part."""
    return _tag("nobr", "", text_of(text) or "")


@register(".h.pre", rank=1)
def preformatted(lines: Value) -> Value:
    """Put lines between the tags of preformatted text."""
    return _tag("pre", "", "".join(f"{line}\n" for line in _lines(lines)))


@register(".h.xmp", rank=1)
def example(lines: Value) -> Value:
    """Put lines between the tags of an example."""
    return _tag("xmp", "", "".join(f"{line}\n" for line in _lines(lines)))


@register(".h.text", rank=1)
def paragraphs(lines: Value) -> Value:
    """Make a paragraph of each line."""
    return chars("".join(f"<p>{line}</p>\n" for line in _lines(lines)))


@register(".h.hr", rank=1)
def ruler(text: Value) -> Value:
    """Write as many dashes as a text has letters."""
    return chars("-" * len(text_of(text) or ""))


@register(".h.code", rank=1)
def code(text: Value) -> Value:
    """Mark every second part between tabs as code."""
    parts = (text_of(text) or "").split("\t")
    marked = [
        f"<code><nobr>{part}</nobr></code>" if place % 2 else part
        for place, part in enumerate(parts)
    ]
    return chars(" ".join(marked))


@register(".h.http", rank=1)
def linked(text: Value) -> Value:
    """Make links of the addresses in a text."""
    return chars(_LINK.sub(lambda at: f'<a href="{at[0]}">{at[0]}</a>', text_of(text) or ""))


# -- the web --------------------------------------------------------------------------------------


@register(".h.hu", rank=1)
def uri_escape(text: Value) -> Value:
    """Spell what an address gives a meaning to."""
    raw = (text_of(text) or "").encode("utf-8", "surrogateescape")
    return chars(re.sub("%[0-9A-F]{2}", lambda at: at[0].lower(), quote(raw, safe=_SAFE)))


@register(".h.uh", rank=1)
def uri_unescape(text: Value) -> Value:
    """Read an address as it was before it was escaped."""
    return chars(unquote_to_bytes((text_of(text) or "").encode("utf-8", "surrogateescape")))


@register(".h.iso8601", rank=1, session=True)
def iso_8601(session: Interpreter, value: Value) -> Value:
    """Write nanoseconds since 2000 as other programs write instants."""
    instant = call(session, "$", Atom(QType.CHAR, ord("p")), value)
    spelled = text_of(call(session, "string", instant)) or ""
    return chars(spelled.replace(".", "-", 2).replace("D", "T"))


def _answer(status: str, kind: str, body: str) -> Value:
    length = len(body.encode("utf-8", "surrogateescape"))
    return chars(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        f"Content-Length: {length}\r\n\r\n{body}"
    )


@register(".h.hy", rank=2, session=True)
def answer(session: Interpreter, kind: Value, body: Value) -> Value:
    """Make the answer of a web server to a request that it can serve."""
    return _answer("200 OK", _TYPES.get(name_of(kind) or "", _ANY_TYPE), _text(session, body))


@register(".h.hn", rank=3, session=True)
def answer_with(session: Interpreter, status: Value, kind: Value, body: Value) -> Value:
    """Make the answer of a web server with a status."""
    spelled = _TYPES.get(name_of(kind) or "", _ANY_TYPE)
    return _answer(_text(session, status), spelled, _text(session, body))


@register(".h.he", rank=1, session=True)
def bad_request(session: Interpreter, error: Value) -> Value:
    """Make the answer of a web server to a request that failed."""
    body = f"'{_text(session, error).replace('<', '&lt;')}"
    return _answer("400 Bad Request", "text/plain", body)
