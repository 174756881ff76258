"""QuestDB's own clauses, set aside while a statement is read as SQL, and put back afterwards."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tickloop.analytics.pg.tokens import Kind, Token, replaced, tokens_of
from tickloop.core.errors import QueryError

MARK = "__questdb_clause"
_ENDS = frozenset(
    {"group", "having", "order", "limit", "offset", "union", "except", "intersect", "window"}
    | {"qualify", "where", "sample", "latest"}
)
_INSIDE = frozenset({"select", "join", "with", "union"})
_OWN_JOINS = frozenset({"lt", "splice", "window", "horizon"})
_COMMENT = re.compile(r"/\*\+[\w\s(),]*\*/")
# Functions that act on the server, or tell of more than a table's rows.
_ACTING = re.compile(
    r"(simulate|flush|hydrate|wait_wal|pg_|parquet|read_parquet|table_|wal_|query_|copy|reload"
    r"|cancel|touch|dump|reader_|writer_|memory_|import|export|backup|switch|all_tables|tables"
    r"|information_schema|sys|functions|keywords|views|materialized|permissions|current_|rnd_).*"
)
_WRITES = frozenset({"insert", "update"})
_VERBS = frozenset(
    {"insert", "update", "delete", "drop", "truncate", "alter", "create", "rename", "copy"}
    | {"backup", "vacuum", "reindex", "grant", "revoke", "cancel", "refresh", "snapshot", "repair"}
    | {"checkpoint", "compile", "declare", "begin", "commit", "set", "show"}
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A statement whose clauses of QuestDB's stand as GROUP BY __questdb_clause(n)."""

    text: str
    clauses: tuple[str, ...]


def refuse_acting(text: str) -> None:
    """Refuse statements that do more than read rows; QueryError names the word.

    The server's door for answers takes only SELECT as well; this says it before anything is sent.
    """
    tokens = tokens_of(text)
    if tokens and tokens[0].word in _VERBS:
        raise QueryError(f"{tokens[0].text.upper()} is not possible: SQL is read-only here")
    for at, token in enumerate(tokens):
        if token.word in _WRITES:
            raise QueryError(f"{token.text.upper()} is not possible: SQL is read-only here")
        if token.text == ";":
            raise QueryError("several statements seen, one expected")
        is_call = at + 1 < len(tokens) and tokens[at + 1].text == "("
        if is_call and _ACTING.fullmatch(token.name):
            raise QueryError(
                f"function {token.text}() of QuestDB is not available here: queries read tables"
                " only"
            )


def marked(text: str) -> Marked:
    """Set SAMPLE BY and LATEST ON aside."""
    if MARK in text.lower():
        raise QueryError(f"the name {MARK} is Tickloop's own")
    text = _with_selects(text)
    tokens = tokens_of(text)
    clauses: list[str] = []
    edits: list[tuple[int, int, str]] = []
    for at in range(len(tokens)):
        if is_form(tokens, at):
            stop = _stop(tokens, at)
            words = {token.word for token in tokens[at:stop]}
            if words & _INSIDE:
                raise QueryError(f"{tokens[at].text.upper()} seen with a query inside of it")
            spelled = spaced(text, tokens[at:stop])
            edits.append(
                (tokens[at].start, tokens[stop - 1].end, f"GROUP BY {MARK}({len(clauses)})")
            )
            clauses.append(spelled)
    return Marked(replaced(text, edits), tuple(clauses))


def spaced(text: str, tokens: Sequence[Token]) -> str:
    """Spell tokens again, without the comments between them."""
    pieces, last = [], None
    for token in tokens:
        if last is not None and token.start != last:
            hint = _COMMENT.search(text[last : token.start])
            pieces.append(f" {hint[0]} " if hint else " ")
        if token.kind is Kind.TEXT and not token.text.startswith("'"):
            raise QueryError(f"{token.text[:20]} seen, a text in plain quotes expected")
        pieces.append(token.text)
        last = token.end
    return "".join(pieces)


def is_form(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a clause of QuestDB's begins here."""
    pair = (tokens[at].word, tokens[at + 1].word if at + 1 < len(tokens) else "")
    return pair in (("sample", "by"), ("latest", "on"), ("latest", "by"))


def has_own_join(text: str) -> bool:
    """Tell whether a statement has joins that only QuestDB knows."""
    tokens = tokens_of(text)
    return any(
        token.word in _OWN_JOINS and following.word == "join"
        for token, following in itertools.pairwise(tokens)
    )


def _stop(tokens: Sequence[Token], at: int) -> int:
    depth = tokens[at].depth
    stop = at + 2
    while stop < len(tokens) and not (
        tokens[stop].depth < depth
        or (tokens[stop].depth == depth and tokens[stop].word in _ENDS | {";"})
    ):
        stop += 1
    return stop


def _with_selects(text: str) -> str:
    """Give `(trade LATEST ON ...)` the SELECT * FROM that QuestDB lets out."""
    edits = []
    tokens = tokens_of(text)
    for at in range(len(tokens)):
        if is_form(tokens, at):
            first = at
            while first > 0 and tokens[first - 1].depth >= tokens[at].depth:
                first -= 1
            inside = {token.word for token in tokens[first:at]}
            if not inside & {"select", "from"} and tokens[first].name:
                edits.append((tokens[first].start, tokens[first].start, "SELECT * FROM "))
    return replaced(text, edits)
