"""PostgreSQL's own forms in DuckDB's words: catalogue queries, casts to reg types, operators."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tickloop.analytics.pg.tokens import Kind, Token, replaced, tokens_of

_SCHEMA = "catalogue"
_TRIGGERS = frozenset(
    {
        *("information_schema", "regclass", "regtype", "regproc", "regprocedure", "regnamespace"),
        *("current_setting", "set_config", "to_char", "to_regclass", "operator", "collate"),
        *("quote_ident", "quote_literal", "current_user", "session_user", "user", "current_role"),
        *("current_catalog", "obj_description", "col_description", "shobj_description"),
        *("format_type", "parse_ident", "array_upper", "array_lower", "oid", "name", "to_regtype"),
        *("to_timestamp", "to_date", "tableoid", "json_build_object", "json_agg"),
    }
)  # fmt: skip
_SIGNS = frozenset({"~", "~*", "!~", "!~*", "~~", "!~~", "~~*", "!~~*"})
_PLAIN_TYPES = {"oid": "uinteger", "name": "text", "jsonb": "json", "bpchar": "text", "xid": "uinteger", "cstring": "text", "tid": "text"}  # noqa: E501  # fmt: skip
_NUMERIC = "DECIMAL(38, 10)"
_HEX = re.compile(r"'\\x((?:[0-9a-fA-F]{2})*)'")
_ARRAY = re.compile(r"\{.*\}", re.DOTALL)
_TABLE_FUNCTIONS = (exp.GenerateSeries, exp.ExplodingGenerateSeries, exp.Unnest)
_TABLE_MACROS = frozenset({"pg_get_keywords", "tables", "table_columns", "range", "unnest", "generate_series", "repeat", "pg_show_all_settings", "aclexplode", "pg_options_to_table", "pg_timezone_names", "duckdb_tables", "duckdb_columns", "duckdb_functions", "pg_listening_channels"})  # noqa: E501  # fmt: skip


def in_duckdb(text: str, settings: Mapping[str, str], catalogue: frozenset[str]) -> str:
    """Give the statement as DuckDB reads it; the same text where nothing is PostgreSQL's alone.

    `catalogue` names the tables of the catalogue, those of information_schema with its name.
    """
    tokens = tokens_of(text)
    text = replaced(text, list(_edits(tokens)))
    if not _is_foreign(tokens):
        return text
    for dialect in ("postgres", "duckdb"):
        try:
            tree = sqlglot.parse_one(text, read=dialect)
            return str(_Translation(settings, catalogue).of(tree).sql("duckdb"))
        except (SqlglotError, RecursionError):
            continue
    return text  # DuckDB says what is wrong with it


def _is_foreign(tokens: Sequence[Token]) -> bool:
    return any(
        token.word in _TRIGGERS
        or token.word.startswith(("pg_", "has_"))
        or (token.kind is Kind.SIGN and token.text in _SIGNS)
        or (token.kind is Kind.TEXT and _is_array_cast(tokens, at))
        or (token.word in ("any", "all") and _text_at(tokens, at - 1) in ("like", "ilike"))
        for at, token in enumerate(tokens)
    )


def _is_array_cast(tokens: Sequence[Token], at: int) -> bool:
    return tokens[at].text.startswith("'{") and _text_at(tokens, at + 1) == "::"


def _text_at(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text.lower() if 0 <= at < len(tokens) else ""


def _edits(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    """Find what is replaced without a look at the grammar."""
    edits: list[tuple[int, int, str]] = []
    at = 0
    while at < len(tokens):
        edit, used = _edit(tokens, at)
        if edit is not None:
            edits.append((tokens[at].start, tokens[at + used - 1].end, edit))
        at += used
    return edits


def _edit(tokens: Sequence[Token], at: int) -> tuple[str | None, int]:
    """Give the new text for the tokens from `at` on, and how many they are."""
    name = tokens[at].name
    before, after = _text_at(tokens, at - 1), _text_at(tokens, at + 1)
    if after == "." and before != "." and name in ("pg_catalog", "public"):
        return "", 2
    if after == "." and name == "tickloop" and _text_at(tokens, at + 2) == "public":
        return "", 4 if _text_at(tokens, at + 3) == "." else 1
    if name == "information_schema" and _text_at(tokens, at + 2).startswith("_pg_"):
        return tokens[at + 2].name, 3
    if name == "information_schema" and after == "." and at + 2 < len(tokens):
        return f'"information_schema.{tokens[at + 2].name}"', 3
    if name == "operator" and after == "(":
        return _operator(tokens, at)
    if name == "collate" and at + 1 < len(tokens) and tokens[at + 1].name:
        return "", 4 if _text_at(tokens, at + 2) == "." else 2
    return _cast_edit(tokens, at, before, after), 1


def _cast_edit(tokens: Sequence[Token], at: int, before: str, after: str) -> str | None:
    """Give the new text of a type's name, or of a text that is cast to bytea."""
    token = tokens[at]
    if token.kind is Kind.TEXT and after == "::" and _text_at(tokens, at + 2) == "bytea":
        digits = _HEX.fullmatch(token.text)
        return None if digits is None else f"unhex('{digits[1]}')"
    if not (before in ("::", "as") or (before == "." and _text_at(tokens, at - 3) == "::")):
        return None
    if token.text == '"char"':
        return "text"
    if token.word in ("numeric", "decimal"):
        return None if after == "(" else _NUMERIC
    is_sure = before != "as" or after in (")", "[")
    return _PLAIN_TYPES.get(token.word) if is_sure else None


def _operator(tokens: Sequence[Token], at: int) -> tuple[str | None, int]:
    """Read OPERATOR(schema.sign) as the sign."""
    stop = at + 2
    while stop < len(tokens) and tokens[stop].text != ")":
        stop += 1
    sign = "".join(token.text for token in tokens[at + 2 : stop] if not token.name and token.text != ".")  # noqa: E501  # fmt: skip
    return f" {sign} ", min(stop + 1, len(tokens)) - at


class _Translation:
    """Rewrites a syntax tree for one session."""

    def __init__(self, settings: Mapping[str, str], catalogue: frozenset[str]) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._user = settings.get("session_authorization", "")
        self._aliases: dict[str, str] = {}
        self._rewriters: dict[type, Callable[[Any], Any]] = {
            exp.Table: self._table,
            exp.Cast: self._cast,
            exp.Column: self._column,
            exp.CurrentUser: self._this_user,
            exp.SessionUser: self._this_user,
            exp.Anonymous: self._function,
            exp.Dot: self._field,
            exp.Like: self._like,
            exp.NEQ: self._not_any,
            exp.Collate: lambda node: node.this,
        }

    def of(self, tree: Any) -> Any:
        """Rewrite every node that needs it, from the leaves up."""
        for table in tree.find_all(exp.Table):
            self._aliases[table.alias_or_name.lower()] = table.name.lower()
        for node in reversed(list(tree.walk())):
            new = self._rewritten(node)
            if new is not node:
                if node is tree:
                    tree = new
                else:
                    node.replace(new)
        return tree

    def _rewritten(self, node: Any) -> Any:
        kinds = (kind for kind in type(node).__mro__ if kind in self._rewriters)
        found = next(kinds, None)
        return node if found is None else self._rewriters[found](node)

    def _table(self, node: Any) -> Any:
        name = node.name.lower()
        if isinstance(node.this, exp.Identifier):
            if name in self._catalogue and not node.args.get("db"):
                node.set("db", exp.to_identifier(_SCHEMA))
                if not node.alias:
                    shown = name.removeprefix("information_schema.")
                    node.set("alias", exp.TableAlias(this=exp.to_identifier(shown)))
            return node
        return self._function_in_from(node)

    def _function_in_from(self, node: Any) -> Any:
        """A function in FROM gives its name to its column too, also a function of one value."""
        alias = node.args.get("alias")
        function = node.this
        name = function.name.lower() if isinstance(function, exp.Anonymous) else ""
        if isinstance(function, _TABLE_FUNCTIONS) or name in _TABLE_MACROS:
            is_series = not name or name in ("generate_series", "unnest")
            if is_series and alias is not None and not alias.args.get("columns"):
                alias.set("columns", [alias.this.copy()])
            return node
        if not isinstance(function, exp.Func):
            return node
        shown = alias.this.name if alias is not None and alias.this is not None else name or "value"
        made = exp.select(exp.alias_(function.copy(), shown))
        return made.subquery(shown)

    def _cast(self, node: Any) -> Any:
        wanted = _type_name(node.to)
        inner = node.this
        if wanted in _REG_LOOKUPS:
            return _shown(node, wanted, _looked_up(wanted, inner))
        if wanted.startswith("information_schema."):
            kind = "int" if wanted.endswith("cardinal_number") else "text"
            return exp.cast(inner.copy(), kind)
        if wanted in ("oid", "xid", "cid"):
            return exp.cast(inner.copy(), exp.DataType.build("uinteger", dialect="duckdb"))
        if wanted in ("name", "char", "cstring", "aclitem", "pg_node_tree", "inet"):
            return exp.cast(inner.copy(), "text")
        if node.to.is_type("array") and inner.is_string and _ARRAY.fullmatch(inner.name):
            return exp.cast(_list(inner.name), node.to.copy())
        return node

    def _column(self, node: Any) -> Any:
        name = node.name.lower()
        if name == "tableoid":
            return self._table_number(node)
        if node.table or node.this.args.get("quoted"):
            return node
        if name in ("user", "session_user", "current_user", "current_role"):
            return self._this_user(node)
        if name == "current_catalog":
            return _named(node, exp.Literal.string("tickloop"), name)
        return node

    def _table_number(self, node: Any) -> Any:
        """Every row of a table has its table's number."""
        table = self._aliases.get(node.table.lower(), "")
        function = exp.Anonymous(this="regclass_of_name", expressions=[exp.Literal.string(table)])
        return _named(node, function, "tableoid") if table else node

    def _this_user(self, node: Any) -> Any:
        name = node.name if isinstance(node, exp.Column) else "current_user"
        return _named(node, exp.Literal.string(self._user), name or "current_user")

    def _function(self, node: Any) -> Any:
        name = node.name.lower()
        if name in _RENAMED:
            node.set("this", _RENAMED[name])
            return node
        arguments = node.expressions
        if name == "current_setting" and arguments and arguments[0].is_string:
            wanted = arguments[0].name
            by_name = {key.lower(): value for key, value in self._settings.items()}
            found = by_name.get(wanted.lower())
            value = exp.null() if found is None else exp.Literal.string(found)
            return _named(node, value, name)
        if name == "set_config" and len(arguments) > 1:
            return arguments[1].copy()
        return node

    def _field(self, node: Any) -> Any:
        """A function with its schema before it."""
        if isinstance(node.this, exp.Identifier) and isinstance(node.expression, exp.Func):
            return node.expression
        return node

    def _like(self, node: Any) -> Any:
        """LIKE ANY or ALL of a list."""
        quantified = node.expression
        if not isinstance(quantified, exp.Any | exp.All):
            return node
        arms: list[Any] = [
            exp.Like(this=node.this.copy(), expression=one.copy())
            for one in _listed(quantified.this)
        ]
        if not arms:
            return node
        if node.args.get("negate"):
            arms = [exp.not_(arm) for arm in arms]
        joined = exp.or_(*arms) if isinstance(quantified, exp.Any) else exp.and_(*arms)
        return exp.paren(joined)

    def _not_any(self, node: Any) -> Any:
        """`<> ALL (list)` is NOT IN it."""
        if isinstance(node.expression, exp.All):
            items = _unwrapped(node.expression.this)
            if isinstance(items, exp.Array | exp.Cast | exp.Column):
                held = exp.Anonymous(this="list_contains", expressions=[items.copy(), node.this.copy()])  # noqa: E501  # fmt: skip
                return exp.not_(held)
        return node


def _named(node: Any, value: Any, name: str) -> Any:
    """Keep an item's name where it stands in a SELECT list by itself."""
    return exp.alias_(value, name) if isinstance(node.parent, exp.Select) else value


def _type_name(kind: Any) -> str:
    if isinstance(kind, exp.DataType) and kind.args.get("kind") is not None:
        return str(kind.args["kind"]).replace('"', "").lower()
    return str(getattr(kind.this, "value", kind.this)).lower()


def _looked_up(wanted: str, inner: Any) -> Any:
    """Read a name as the number it stands for, and a number as its name."""
    to_number, to_name = _REG_LOOKUPS[wanted]
    is_text = isinstance(inner, exp.Cast) and inner.to.is_type(*exp.DataType.TEXT_TYPES)
    is_given = inner.is_string or is_text or isinstance(inner, exp.Parameter | exp.Placeholder)
    function = to_number if is_given else to_name
    return exp.Anonymous(this=function, expressions=[inner.copy()])


def _shown(node: Any, wanted: str, found: Any) -> Any:
    """A number that is a result is shown as the name it stands for."""
    number, name = _REG_LOOKUPS[wanted]
    if not isinstance(node.parent, exp.Select):
        return found
    if found.name == number and number != name:
        found = exp.Anonymous(this=name, expressions=[found])
    return exp.alias_(found, wanted)


_REG_LOOKUPS = {
    "regclass": ("regclass_of_name", "regclass_name"),
    "regtype": ("regtype_of_name", "regtype_name"),
    "regnamespace": ("regnamespace_of_name", "regnamespace_name"),
    # Functions are known by their names alone.
    "regproc": ("regproc_name", "regproc_name"),
    "regprocedure": ("regproc_name", "regproc_name"),
}


_RENAMED = {
    "json_build_object": "json_object",
    "jsonb_build_object": "json_object",
    "json_build_array": "json_array",
    "json_agg": "json_group_array",
    "jsonb_agg": "json_group_array",
    "row_to_json": "to_json",
}


def _unwrapped(node: Any) -> Any:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _listed(node: Any) -> list[Any]:
    inner = _unwrapped(node)
    return list(inner.expressions) if isinstance(inner, exp.Array) else []


def _list(text: str) -> Any:
    """Read an array's text as a list."""
    body = text.strip()[1:-1]
    items = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,]+)', body)
    values = [quoted.replace('\\"', '"') or bare.strip() for quoted, bare in items]
    return exp.Array(expressions=[exp.Literal.string(value) for value in values])
