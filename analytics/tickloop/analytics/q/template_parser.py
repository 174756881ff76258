"""The phrases of select, exec, update and delete."""

from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lexer import Kind
from tickloop.analytics.q.naming import column_name, unique_names
from tickloop.analytics.q.syntax import Apply, Assign, Columns, Name, Node, Template, Verb

if TYPE_CHECKING:
    from tickloop.analytics.q.parser import Parser

# Before from, `where` is the function of that name.
_COLUMNS_END = frozenset(("by", "from"))
_KEYS_END = frozenset(("from",))
_ORDERS = {"<": "<", ">": ">", "<:": "<", ">:": ">"}


def parse_template(parser: "Parser") -> Node:
    """Read a template from its first word to the end of its where phrase."""
    kept = parser.ends_at, parser.comma_ends
    parser.ends_at, parser.comma_ends = _COLUMNS_END, True
    try:
        return _template(parser, kept[0])
    finally:
        parser.ends_at, parser.comma_ends = kept


def _template(parser: "Parser", outer_ends: frozenset[str]) -> Node:
    word = parser.advance()
    limit: Node | None = None
    order: tuple[str, Node] | None = None
    if parser.is_next("[", Kind.OPEN) and word.text in ("select", "exec"):
        limit, order = _limits(parser)
    is_distinct = word.text == "select" and parser.is_next("distinct", Kind.NAME)
    if is_distinct:
        parser.advance()
    columns, is_unnamed = _phrase(parser)
    by: Columns | None = None
    is_by_unnamed = False
    if parser.is_next("by", Kind.NAME):
        parser.advance()
        parser.ends_at = _KEYS_END
        by, is_by_unnamed = _phrase(parser)
    if not parser.is_next("from", Kind.NAME):
        raise parser.unexpected("from expected")
    parser.advance()
    parser.ends_at, parser.comma_ends = outer_ends | {"where"}, False
    table = parser.expression()
    where: tuple[Node, ...] = ()
    if parser.is_next("where", Kind.NAME):
        parser.advance()
        parser.ends_at, parser.comma_ends = outer_ends, True
        where = tuple(node for _, node in _phrase(parser, is_named=False)[0])
    return Template(
        word.text,
        columns,
        by,
        is_unnamed,
        is_by_unnamed,
        table,
        where,
        limit,
        order,
        is_distinct,
        word.start,
    )


def _limits(parser: "Parser") -> tuple[Node | None, tuple[str, Node] | None]:
    """Read [n], [m n], [n;>column] or [<column]."""
    opened = parser.advance()
    limit: Node | None = None
    order: tuple[str, Node] | None = None
    parser.ends_at, parser.comma_ends = frozenset(), False
    while True:
        if parser.token.kind is Kind.VERB and parser.token.text in _ORDERS:
            verb = _ORDERS[parser.advance().text]
            order = verb, parser.expression()
        elif limit is None:
            limit = parser.optional()
        else:
            raise QError("parse", "select[count;>column] expected", opened.start)
        if not parser.is_next(";", Kind.SEMICOLON):
            break
        parser.advance()
    parser.expect("]")
    parser.ends_at, parser.comma_ends = _COLUMNS_END, True
    return limit, order


def _phrase(parser: "Parser", *, is_named: bool = True) -> tuple[Columns, bool]:
    """Read expressions between commas; tell whether the only one has no name of its own."""
    named: list[tuple[str, Node]] = []
    is_unnamed = False
    while not _ended(parser):
        node = parser.expression()
        own = _own_name(node)
        is_unnamed = own is None
        if own is not None and is_named:
            named.append(own)
        else:
            named.append((column_name(node), node))
        if not parser.is_next(",", Kind.VERB):
            break
        parser.advance()
    return unique_names(named), is_unnamed and len(named) == 1


def _ended(parser: "Parser") -> bool:
    token = parser.token
    if token.kind in (Kind.END, Kind.CLOSE, Kind.SEMICOLON):
        return True
    return token.kind is Kind.NAME and token.text in parser.ends_at


def _own_name(node: Node) -> tuple[str, Node] | None:
    if not isinstance(node, Assign) or not isinstance(node.target, Name) or node.is_global:
        return None
    if node.verb is not None:
        # select a+:b names the column a and computes a+b.
        verb = Verb(node.verb.name, node.verb.position)
        return node.target.name, Apply(verb, (node.target, node.value), "infix", node.position)
    return node.target.name, node.value
