"""Statements about the session itself: transactions, settings, cursors, prepared statements."""

from collections.abc import Callable
from dataclasses import dataclass

from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.tokens import Kind, Token, string_value, tokens_of


@dataclass(frozen=True, slots=True)
class Begin:
    """BEGIN or START TRANSACTION."""

    tag: str
    read_write: bool


@dataclass(frozen=True, slots=True)
class End:
    """COMMIT or ROLLBACK, and whether a new transaction follows at once."""

    commit: bool
    chain: bool


@dataclass(frozen=True, slots=True)
class Savepoint:
    """SAVEPOINT, RELEASE or ROLLBACK TO."""

    tag: str
    name: str


@dataclass(frozen=True, slots=True)
class Set:
    """SET or RESET; a value of None is the first one; an empty name is every setting."""

    tag: str
    name: str
    value: str | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Show:
    """SHOW of a setting; an empty name is every setting."""

    name: str


@dataclass(frozen=True, slots=True)
class Discard:
    """DISCARD, DEALLOCATE or UNLISTEN: what is forgotten, a name or empty for all."""

    tag: str
    what: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Declare:
    """DECLARE CURSOR."""

    name: str
    query: str
    binary: bool
    hold: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH or MOVE: up to `count` rows, None for all."""

    tag: str
    name: str
    count: int | None


@dataclass(frozen=True, slots=True)
class CloseCursor:
    """CLOSE of a cursor; an empty name is all."""

    name: str


Command = Begin | End | Savepoint | Set | Show | Discard | Declare | Fetch | CloseCursor


class _Words:
    """A statement's tokens, taken from the front."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.at = 0

    @property
    def left(self) -> tuple[Token, ...]:
        return self.tokens[self.at :]

    def peek(self) -> str:
        return self.tokens[self.at].word if self.at < len(self.tokens) else ""

    def skip(self, *words: str) -> bool:
        """Pass over words if they come next."""
        ahead = [token.word for token in self.tokens[self.at : self.at + len(words)]]
        if ahead != list(words):
            return False
        self.at += len(words)
        return True

    def name(self) -> str:
        """Take an identifier."""
        if self.at >= len(self.tokens) or not self.tokens[self.at].name:
            raise self.wrong()
        self.at += 1
        return self.tokens[self.at - 1].name

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise self.wrong()

    def wrong(self) -> PgError:
        if self.at >= len(self.tokens):
            return PgError(
                SqlState.SYNTAX_ERROR, "syntax error at end of input", position=len(self.text) + 1
            )
        token = self.tokens[self.at]
        return PgError(
            SqlState.SYNTAX_ERROR,
            f'syntax error at or near "{token.text}"',
            position=token.start + 1,
        )


def command_of(text: str) -> Command | None:
    """Read a statement about the session; None for one that asks for data."""
    words = _Words(text)
    first = words.peek()
    read = _READERS.get(first)
    if read is None:
        return None
    words.at += 1
    return read(words, first)


def _begin(words: _Words, first: str) -> Command | None:
    if first == "start" and not words.skip("transaction"):
        raise words.wrong()
    listed = " ".join(token.word for token in words.left)
    return Begin("START TRANSACTION" if first == "start" else "BEGIN", "read write" in listed)


def _end(words: _Words, first: str) -> Command | None:
    commit = first in ("commit", "end")
    if words.peek() in ("work", "transaction"):
        words.at += 1
    if not commit and words.skip("to"):
        words.skip("savepoint")
        return Savepoint("ROLLBACK", words.name())
    chain = words.skip("and", "chain")
    if not chain:
        words.skip("and", "no", "chain")
    if words.peek() == "prepared":
        raise PgError(SqlState.FEATURE_NOT_SUPPORTED, "prepared transactions are not supported")
    words.end()
    return End(commit, chain)


def _savepoint(words: _Words, first: str) -> Command | None:
    if first == "release":
        words.skip("savepoint")
    return Savepoint(first.upper(), words.name())


def _set(words: _Words, first: str) -> Command | None:
    if words.skip("session", "characteristics", "as", "transaction") or words.skip("transaction"):
        return _transaction_mode(words)
    local = words.skip("local")
    if not local:
        words.skip("session")
    if words.skip("transaction"):
        return _transaction_mode(words)
    if words.skip("time", "zone"):
        return Set("SET", "TimeZone", _value(words), local)
    if words.skip("names"):
        return Set("SET", "client_encoding", _value(words), local)
    if words.skip("authorization"):
        return Set("SET", "session_authorization", _value(words), local)
    if words.skip("role"):
        return Set("SET", "role", _value(words), local)
    name = words.name()
    while words.left and words.left[0].text == ".":
        words.at += 1
        name += "." + words.name()
    if words.left and (words.left[0].text == "=" or words.left[0].word == "to"):
        words.at += 1
        return Set("SET", name, _value(words), local)
    raise words.wrong()


def _transaction_mode(words: _Words) -> Command | None:
    listed = " ".join(token.word for token in words.left)
    if "read write" in listed:
        return Set("SET", "transaction_read_only", "off")
    for level in ("serializable", "repeatable read", "read committed", "read uncommitted"):
        if level in listed:
            return Set("SET", "transaction_isolation", level, local=True)
    return Set("SET", "transaction_read_only", "on")


def _value(words: _Words) -> str | None:
    """Take a setting's value: texts, numbers and words, listed with commas."""
    if words.skip("default"):
        words.end()
        return None
    parts: list[str] = []
    sign = ""
    for token in words.left:
        words.at += 1
        if token.text == ",":
            continue
        if token.text == "-":
            sign = "-"
            continue
        if token.kind is Kind.SIGN:
            words.at -= 1
            raise words.wrong()
        parts.append(sign + (string_value(token) if token.kind is Kind.TEXT else token.name or token.text))  # noqa: E501  # fmt: skip
        sign = ""
    if not parts:
        raise words.wrong()
    return ", ".join(parts)


def _reset(words: _Words, first: str) -> Command | None:
    if words.skip("all"):
        return Set("RESET", "", None)
    if words.skip("session", "authorization"):
        return Set("RESET", "session_authorization", None)
    return Set("RESET", "TimeZone" if words.skip("time", "zone") else words.name(), None)


def _show(words: _Words, first: str) -> Command | None:
    if words.skip("all"):
        return Show("") if not words.left else None
    if words.skip("transaction", "isolation", "level"):
        return Show("transaction_isolation")
    if words.skip("time", "zone"):
        return Show("TimeZone")
    if words.skip("session", "authorization"):
        return Show("session_authorization")
    if [token.name or token.text for token in words.left] == ["tickloop", ".", "engine"]:
        return Show("tickloop.engine")
    # SHOW TABLES and SHOW trade are DuckDB's.
    if len(words.left) != 1 or words.peek() in ("tables", "databases", "schemas"):
        return None
    return Show(words.name())


def _discard(words: _Words, first: str) -> Command | None:
    if first == "deallocate":
        words.skip("prepare")
        return Discard("DEALLOCATE", "statements", "" if words.skip("all") else words.name())
    if first == "unlisten":
        return Discard("UNLISTEN", "nothing")
    what = words.name()
    if what not in ("all", "plans", "sequences", "temp", "temporary"):
        raise words.wrong()
    return Discard(f"DISCARD {what.upper()}", "all" if what == "all" else "nothing")


def _declare(words: _Words, first: str) -> Command | None:
    name = words.name()
    binary = False
    while words.peek() in ("binary", "asensitive", "insensitive", "no", "scroll"):
        binary |= words.peek() == "binary"
        words.at += 1
    if not words.skip("cursor"):
        raise words.wrong()
    hold = words.skip("with", "hold")
    if not hold:
        words.skip("without", "hold")
    if not words.skip("for") or not words.left:
        raise words.wrong()
    start = words.left[0].start
    return Declare(name, " " * start + words.text[start:], binary, hold)


def _fetch(words: _Words, first: str) -> Command | None:
    tag = first.upper()
    if words.peek() in ("prior", "last", "absolute", "relative", "backward"):
        raise PgError(
            SqlState.FEATURE_NOT_SUPPORTED, f"cursors only go forward: {tag} {words.peek().upper()}"
        )
    words.skip("forward")
    count: int | None = 1
    if words.peek() in ("next", "first"):
        words.at += 1
    elif words.skip("all"):
        count = None
    elif words.left and words.left[0].text.isdecimal():
        count = int(words.left[0].text)
        words.at += 1
    if words.peek() in ("from", "in"):
        words.at += 1
    return Fetch(tag, words.name(), count)


def _close(words: _Words, first: str) -> Command | None:
    return CloseCursor("" if words.skip("all") else words.name())


_READERS: dict[str, Callable[[_Words, str], Command | None]] = {
    "begin": _begin,
    "start": _begin,
    "commit": _end,
    "end": _end,
    "rollback": _end,
    "abort": _end,
    "savepoint": _savepoint,
    "release": _savepoint,
    "set": _set,
    "reset": _reset,
    "show": _show,
    "discard": _discard,
    "deallocate": _discard,
    "unlisten": _discard,
    "declare": _declare,
    "fetch": _fetch,
    "move": _fetch,
    "close": _close,
}
