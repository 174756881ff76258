"""What a client is told when it cannot have what it asks for: an SQLSTATE, a sentence, a place."""

import re
from enum import Enum

from tickloop.core.errors import QueryError, TickloopError


class SqlState(Enum):
    """The codes that are used, as PostgreSQL numbers them."""

    PROTOCOL_VIOLATION = "08P01"
    FEATURE_NOT_SUPPORTED = "0A000"
    CARDINALITY_VIOLATION = "21000"
    OUT_OF_RANGE = "22003"
    INVALID_DATETIME = "22007"
    DATETIME_OVERFLOW = "22008"
    DIVISION_BY_ZERO = "22012"
    INVALID_PARAMETER = "22023"
    INVALID_TEXT = "22P02"
    INVALID_BINARY = "22P03"
    NOT_IN_ENCODING = "22021"
    ACTIVE_TRANSACTION = "25001"
    READ_ONLY = "25006"
    NO_TRANSACTION = "25P01"
    FAILED_TRANSACTION = "25P02"
    NO_SUCH_STATEMENT = "26000"
    NO_SUCH_SAVEPOINT = "3B001"
    LOGIN_REFUSED = "28P01"
    INVALID_AUTHORIZATION = "28000"
    NO_SUCH_PORTAL = "34000"
    SYNTAX_ERROR = "42601"
    NO_PRIVILEGE = "42501"
    UNDEFINED_COLUMN = "42703"
    AMBIGUOUS_COLUMN = "42702"
    UNDEFINED_FUNCTION = "42883"
    UNDEFINED_TABLE = "42P01"
    UNDEFINED_OBJECT = "42704"
    GROUPING_ERROR = "42803"
    TYPE_MISMATCH = "42804"
    UNDEFINED_PARAMETER = "42P02"
    UNKNOWN_PARAMETER_TYPE = "42P18"
    DUPLICATE_PREPARED = "42P05"
    DUPLICATE_CURSOR = "42P03"
    TOO_MANY_CONNECTIONS = "53300"
    OUT_OF_MEMORY = "53200"
    LIMIT_EXCEEDED = "54000"
    TOO_COMPLEX = "54001"
    QUERY_CANCELED = "57014"
    ADMIN_SHUTDOWN = "57P01"
    INTERNAL = "XX000"


class PgError(TickloopError):
    """A refusal as the wire spells it; `position` counts characters of the statement from 1."""

    def __init__(
        self,
        state: SqlState,
        message: str,
        *,
        position: int | None = None,
        detail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.state = state
        self.message = message
        self.position = position
        self.detail = detail
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (self.state, self.message, self.position, self.detail, self.hint)


def _remade(state: SqlState, message: str, position: int | None, detail: str, hint: str) -> PgError:
    return PgError(state, message, position=position, detail=detail, hint=hint)


# The first pattern that is found decides; those of one kind of error stand together.
_STATES = [
    (re.compile(pattern), state)
    for pattern, state in (
        (r"^INTERRUPT Error", SqlState.QUERY_CANCELED),
        (r"is not possible: SQL is read-only", SqlState.READ_ONLY),
        (r"^Out of Memory Error", SqlState.OUT_OF_MEMORY),
        (r"Max expression depth", SqlState.TOO_COMPLEX),
        (r"^Parser Error|^Syntax Error|statements? seen, one expected", SqlState.SYNTAX_ERROR),
        (r"Table with name .* does not exist", SqlState.UNDEFINED_TABLE),
        (r"table function .* is not available", SqlState.NO_PRIVILEGE),
        (r"^Permission Error", SqlState.NO_PRIVILEGE),
        (r"Function with name|No function matches|does not support the supplied", SqlState.UNDEFINED_FUNCTION),  # noqa: E501
        (r"Type with name .* does not exist", SqlState.UNDEFINED_OBJECT),
        (r"[Aa]mbiguous reference|is ambiguous", SqlState.AMBIGUOUS_COLUMN),
        (r"must appear in the GROUP BY|aggregate", SqlState.GROUPING_ERROR),
        (r"Referenced (column|table)|does not have a column|[Cc]olumn .* not found", SqlState.UNDEFINED_COLUMN),  # noqa: E501
        (r"Cannot compare values|explicit cast is required|Cannot mix values", SqlState.TYPE_MISMATCH),  # noqa: E501
        (r"(timestamp|date|time) field value out of range", SqlState.DATETIME_OVERFLOW),
        (r"invalid (timestamp|date|time) field", SqlState.INVALID_DATETIME),
        (r"^Out of Range Error|out of range|[Oo]verflow", SqlState.OUT_OF_RANGE),
        (r"[Dd]ivision by zero", SqlState.DIVISION_BY_ZERO),
        (r"^Conversion Error", SqlState.INVALID_TEXT),
        (r"More than one row returned by a subquery", SqlState.CARDINALITY_VIOLATION),
        (r"^Invalid Input Error|^Binder Error", SqlState.INVALID_PARAMETER),
        (r"^Not implemented Error", SqlState.FEATURE_NOT_SUPPORTED),
    )
]  # fmt: skip
_CAUSE = re.compile(r'(?:Referenced (?:column|table) |at or near |Table with name |[Cc]olumn )"?([\w.]+)"?')  # noqa: E501  # fmt: skip
_FUNCTION = re.compile(r"Function with name \"?(\w+)\"?|given name and argument types '(\w+)\(")
_CARET = re.compile(r"\n+LINE \d+: (?P<line>[^\n]*)\n *(?P<caret>\^+)")


def failure_of(error: QueryError, statement: str) -> PgError:
    """Say in the wire's terms what a query's error says of a statement."""
    text = str(error)
    state = next((state for pattern, state in _STATES if pattern.search(text)), SqlState.INTERNAL)
    if state is SqlState.QUERY_CANCELED:
        return PgError(state, "canceling statement due to user request")
    caret = _CARET.search(text)
    said = text[: caret.start()] + text[caret.end() :] if caret else text
    message, _, hint = said.strip().partition("\n")
    message = re.sub(r"^(Parser|Syntax|Binder|Catalog|Conversion|Invalid Input) Error: ", "", message)  # noqa: E501  # fmt: skip
    return PgError(state, message, position=_position(text, statement), hint=hint.strip())


def _position(text: str, statement: str) -> int | None:
    """Find where in the client's own text the trouble is; it may have been rewritten since."""
    cause = _CAUSE.search(text) or _FUNCTION.search(text)
    name = next((group for group in cause.groups() if group), "") if cause else ""
    caret = _CARET.search(text)
    if caret is not None:
        line = caret["line"].removeprefix("...").removesuffix("...")
        before = caret.start("caret") - text.rindex("\n", 0, caret.start("caret")) - 1
        column = before - (caret.start("line") - text.rindex("\n", 0, caret.start("line")) - 1)
        column -= 3 if caret["line"].startswith("...") else 0
        found = statement.find(line)
        if line and found >= 0 and statement.count(line) == 1:
            return found + column + 1
    if not name:
        return None
    places = [m.start() for m in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", statement)]
    return places[0] + 1 if places else None
