"""SQL text as tokens, as PostgreSQL's lexer cuts it; enough to split, bind and rewrite it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from tickloop.analytics.pg.failures import PgError, SqlState


class Kind(Enum):
    """What a token is."""

    WORD = "word"  # a bare identifier or keyword
    QUOTED = "quoted"  # "identifier"
    TEXT = "text"  # a string, in any of its spellings
    NUMBER = "number"
    PARAMETER = "parameter"  # $1
    SIGN = "sign"  # an operator or punctuation


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where it stands."""

    kind: Kind
    text: str
    start: int
    end: int
    depth: int  # of parentheses and brackets around it

    @property
    def word(self) -> str:
        """The keyword or bare name in lower case; empty for anything else."""
        return self.text.lower() if self.kind is Kind.WORD else ""

    @property
    def name(self) -> str:
        """The identifier that it is, bare or quoted; empty for anything else."""
        if self.kind is Kind.QUOTED:
            return self.text[1:-1].replace('""', '"')
        return self.word


_PATTERN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<open_comment>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<text>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
    | (?P<dollar>\$(?P<tag>[A-Za-z_\u0080-\uffff][A-Za-z_0-9\u0080-\uffff]*)?\$)
    | (?P<parameter>\$[0-9]+)
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<number>(?:[0-9][0-9_]*(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z_0-9$\u0080-\U0010ffff]*)
    | (?P<sign>::|:=|=>|->>|->|<=|>=|<>|!=|\|\||!~~\*|!~~|!~\*|!~|~~\*|~~|~\*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KINDS = {
    "escaped": Kind.TEXT,
    "text": Kind.TEXT,
    "parameter": Kind.PARAMETER,
    "quoted": Kind.QUOTED,
    "number": Kind.NUMBER,
    "word": Kind.WORD,
    "sign": Kind.SIGN,
}


# A statement is looked at by several readers, one after the other.
@lru_cache(maxsize=16)
def tokens_of(text: str) -> tuple[Token, ...]:
    """Cut a text into tokens, without space and comments; PgError where a quote stays open."""
    return tuple(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    at = depth = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        assert match is not None, f"character {at} matched nothing, and `sign` matches anything"
        group = match.lastgroup or ""
        end = match.end()
        if group == "space":
            at = end
            continue
        if group == "open_comment":
            at = _comment_end(text, at)
            continue
        if match["dollar"] is not None:
            closing = text.find(match["dollar"], end)
            if closing < 0:
                raise _unterminated("dollar-quoted string", at)
            end = closing + len(match["dollar"])
            yield Token(Kind.TEXT, text[at:end], at, end, depth)
            at = end
            continue
        found = text[at:end]
        if found in ("'", '"'):
            raise _unterminated("quoted string" if found == "'" else "quoted identifier", at)
        if found in (")", "]"):
            depth = max(0, depth - 1)
        yield Token(_KINDS[group], found, at, end, depth)
        if found in ("(", "["):
            depth += 1
        at = end


def _comment_end(text: str, start: int) -> int:
    """Give the end of a comment; comments nest."""
    depth, at = 0, start
    while True:
        edge = _COMMENT_EDGE.search(text, at)
        if edge is None:
            raise _unterminated("/* comment", start)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
        if depth == 0:
            return at


def _unterminated(what: str, at: int) -> PgError:
    return PgError(SqlState.SYNTAX_ERROR, f"unterminated {what}", position=at + 1)


def split(text: str) -> list[str]:
    """Cut a text at its semicolons into statements; empty ones and comments alone are left out.

    Each statement is padded with spaces to where it stood, so that positions stay true.
    """
    statements = []
    start: int | None = None
    end = 0
    for token in tokens_of(text):
        if token.text == ";" and token.depth == 0:
            if start is not None:
                statements.append(" " * start + text[start:end])
            start = None
            continue
        start = token.start if start is None else start
        end = token.end
    if start is not None:
        statements.append(" " * start + text[start:end])
    return statements


def replaced(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """Put new text in place of spans (start, end) that do not overlap."""
    parts, at = [], 0
    for start, end, new in sorted(edits):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def with_parameters(text: str, spelled: Callable[[int], str]) -> str:
    """Put what `spelled` gives for a number in place of each $number."""
    edits = [
        (token.start, token.end, spelled(int(token.text[1:])))
        for token in tokens_of(text)
        if token.kind is Kind.PARAMETER
    ]
    return replaced(text, edits)


def parameter_count(text: str) -> int:
    """Give the highest number of a parameter, 0 where there is none."""
    numbers = [int(token.text[1:]) for token in tokens_of(text) if token.kind is Kind.PARAMETER]
    return max(numbers, default=0)


def literal(text: str) -> str:
    """Spell a string."""
    return "'" + text.replace("'", "''") + "'"


_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{1,3})|(.))", re.DOTALL)  # noqa: E501  # fmt: skip


def string_value(token: Token) -> str:
    """Give what a string token stands for."""
    text = token.text
    if text.startswith("$"):
        tag_end = text.index("$", 1) + 1
        return text[tag_end:-tag_end]
    body = text[text.index("'") + 1 : -1].replace("''", "'")
    if text[0] in "eE":
        return _ESCAPE.sub(_unescaped, body)
    return body


def _unescaped(match: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[group]:
            code = int(match[group], base)
            return chr(code) if code < 0x110000 else "\ufffd"
    return _ESCAPES.get(match[5], match[5])
