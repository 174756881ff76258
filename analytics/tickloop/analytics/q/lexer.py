"""Tokens of q text, with their places in it. Literals are read to values here."""

import re
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.literals import WORD, read_numbers
from tickloop.analytics.q.values import QType, Value, Vector, char, symbol, symbols


class Kind(Enum):
    """What a token is."""

    LITERAL = auto()
    NAME = auto()
    VERB = auto()  # `+`, `+:`, `+::`, `:`, `::`, `0:`
    ITERATOR = auto()
    OPEN = auto()  # ( [ {
    CLOSE = auto()  # ) ] }
    SEMICOLON = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text; `spaced` says that blank space stands before it."""

    kind: Kind
    text: str
    start: int
    end: int
    spaced: bool
    value: Value | None = None


# Text copied from pages has blanks that do not break lines.
_BLANK = re.compile("[ \t\r\n\f\v\u00a0\u200b]+")
_NAME = re.compile(r"\.?[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
# Behind a colon a symbol is a path, be it of a file, a host or a drive: `c:/q/trade.q
_SYMBOL = re.compile(r"`(:[A-Za-z0-9_.:/~\\-]*|[A-Za-z0-9.][A-Za-z0-9_.]*(?::[A-Za-z0-9_.:/]*)?|)")
_VERB = re.compile(r"<=|>=|<>|[-+*%!&|<>=~,^#_?@.$]")
_COLONS = re.compile(r"::?")
_ITERATOR = re.compile(r"['/\\]:?")
# Two digits behind the colon make it a time of day.
_FILE_VERB = re.compile(r"[012]:(?![0-9]{2}(?![0-9]))")
# After a noun that it touches, the digit cannot begin a time of day.
_FILE_MARK = re.compile(r"[012]:")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\", b'"': b'"', b"/": b"/"}
_COMMENT = re.compile(r"/[^\n]*")

_MARKS = dict.fromkeys("([{", Kind.OPEN) | dict.fromkeys(")]}", Kind.CLOSE)
_MARKS[";"] = Kind.SEMICOLON
# Behind the parameters of a lambda nothing stands that a number could be taken from.
_PARAMETERS = re.compile(r"\{\[[^\[\]{}()]*\]")
# Kinds after which a minus sign that touches is a subtraction.
_NOUN_ENDS = (Kind.LITERAL, Kind.NAME, Kind.CLOSE)


def tokens(text: str) -> list[Token]:
    """Cut text into tokens; the last is END. QError with its place if something is no token."""
    found: list[Token] = []
    place = 0
    spaced = True
    while place < len(text):
        blank = _BLANK.match(text, place)
        if blank is not None:
            place, spaced = blank.end(), True
            continue
        if text[place] == "/" and spaced:
            comment = _COMMENT.match(text, place)
            assert comment is not None
            place = comment.end()
            continue
        token = _token(text, place, spaced, found[-1] if found else None)
        found.append(token)
        place, spaced = token.end, False
    found.append(Token(Kind.END, "", len(text), len(text), True))
    return found


def _token(text: str, place: int, spaced: bool, before: Token | None) -> Token:
    first = text[place]
    if first == '"':
        return _string(text, place, spaced)
    if first == "`":
        return _symbols(text, place, spaced)
    if (mark := _MARKS.get(first)) is not None:
        return Token(mark, first, place, place + 1, spaced)
    joins = before is not None and before.kind in _NOUN_ENDS and not spaced
    if (found := (_FILE_MARK if joins else _FILE_VERB).match(text, place)) is not None:
        return Token(Kind.VERB, found[0], place, found.end(), spaced)
    if _opens_number(text, place, spaced, before):
        return _numbers(text, place, spaced)
    for kind, pattern in ((Kind.NAME, _NAME), (Kind.ITERATOR, _ITERATOR), (Kind.VERB, _COLONS)):
        if (found := pattern.match(text, place)) is not None:
            return Token(kind, found[0], place, found.end(), spaced)
    if (found := _VERB.match(text, place)) is not None:
        colons = _COLONS.match(text, found.end())
        end = found.end() if colons is None else colons.end()
        return Token(Kind.VERB, text[place:end], place, end, spaced)
    raise QError("char", f"{first!r} begins nothing that q knows", place)


def _opens_number(text: str, place: int, spaced: bool, before: Token | None) -> bool:
    """Tell a negative literal from a subtraction: a noun that touches makes it the latter."""
    if WORD.match(text, place) is None:
        return False
    if spaced or before is None or before.kind not in _NOUN_ENDS:
        return True
    if text[place] == ".":
        # x[1].5 is an argument; only a name goes on with a dot.
        return before.kind is Kind.CLOSE
    if text[place] != "-":
        return True
    opened = text.rfind("{[", 0, place)
    return opened >= 0 and _PARAMETERS.fullmatch(text, opened, place) is not None


def _numbers(text: str, place: int, spaced: bool) -> Token:
    words: list[str] = []
    end = place
    while True:
        at = end
        if words:
            blank = _BLANK.match(text, end)
            if blank is None:
                break
            at = blank.end()
        word = WORD.match(text, at)
        if word is None or _FILE_VERB.match(text, at) is not None:
            break
        words.append(word[0])
        end = word.end()
    try:
        return Token(Kind.LITERAL, text[place:end], place, end, spaced, read_numbers(words))
    except QError as error:
        error.position = place
        raise


def _string(text: str, place: int, spaced: bool) -> Token:
    found = _STRING.match(text, place)
    if found is None:
        raise QError('"', "a string has no closing quote", place)
    raw = found[0][1:-1].encode("utf-8", "surrogateescape")
    try:
        raw = _ESCAPE.sub(_unescape, raw)
    except QError as error:
        error.position = place
        raise
    value = (
        char(raw[0])
        if len(raw) == 1
        else Vector(QType.CHAR, np.frombuffer(bytearray(raw), dtype=np.uint8))
    )
    return Token(Kind.LITERAL, found[0], place, found.end(), spaced, value)


def _unescape(found: re.Match[bytes]) -> bytes:
    letter = found[1]
    if len(letter) == 3:
        code = int(letter, 8)
        if code < 256:
            return bytes([code])
    if letter not in _ESCAPES:
        raise QError("char", f"\\{letter.decode('latin-1')} escapes nothing; \\n \\t \\r \\\\ do")
    return _ESCAPES[letter]


def _symbols(text: str, place: int, spaced: bool) -> Token:
    names: list[str] = []
    end = place
    while (found := _SYMBOL.match(text, end)) is not None:
        names.append(found[1])
        end = found.end()
    value = symbol(names[0]) if len(names) == 1 else symbols(names)
    return Token(Kind.LITERAL, text[place:end], place, end, spaced, value)
