"""Values of parameters as SQL literals: what a statement compares with is then seen at once.

With literals in their place, dates and symbols that are given as parameters prune like any others.
"""

import re

from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.statements import Parameter, ParameterValue
from tickloop.analytics.pg.tokens import literal, with_parameters

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_HEX = re.compile(r"\\x((?:[0-9a-fA-F]{2})*)")
_BYTE = re.compile(r"\\([0-3][0-7]{2}|\\)")


def bound(text: str, parameters: tuple[Parameter, ...]) -> str:
    """Put the parameters' values in place of $1, $2 ..."""
    return with_parameters(text, lambda number: spelled(_numbered(parameters, number)))


def typed(text: str, types: tuple[str, ...]) -> str:
    """Put NULLs of the parameters' types in their place: what a statement gives follows from it."""
    parameters = tuple(Parameter(kind or "VARCHAR") for kind in types)
    return bound(text, parameters)


def _numbered(parameters: tuple[Parameter, ...], number: int) -> Parameter:
    if not 1 <= number <= len(parameters):
        raise PgError(SqlState.UNDEFINED_PARAMETER, f"there is no parameter ${number}")
    return parameters[number - 1]


def spelled(parameter: Parameter) -> str:
    """Spell one value."""
    kind, value = parameter.type, parameter.value
    if value is None:
        return f"CAST(NULL AS {kind})" if kind else "NULL"
    if isinstance(value, tuple):
        item = kind.removesuffix("[]")
        listed = ", ".join(spelled(Parameter(item, one)) for one in value)
        return f"CAST([{listed}] AS {kind or 'VARCHAR[]'})"
    if kind in ("", "VARCHAR"):
        return literal(value)
    if kind == "NUMERIC":
        is_plain = _NUMBER.fullmatch(value) is not None
        return f"({value.strip()})" if is_plain else f"CAST({literal(value)} AS DOUBLE)"
    if kind == "BLOB":
        return f"unhex({literal(_bytes(value).hex())})"
    return f"CAST({literal(_for_cast(kind, value))} AS {kind})"


def _for_cast(kind: str, value: str) -> str:
    if kind == "BOOLEAN":
        return {"on": "true", "off": "false", "yes": "true", "no": "false"}.get(
            value.strip().lower(), value
        )
    return value


def _bytes(value: ParameterValue) -> bytes:
    """Read bytea's text: `\\x` and digits, or characters with octal escapes."""
    assert isinstance(value, str), f"a bytea is one text, {value!r} seen"
    match = _HEX.fullmatch(value)
    if match is not None:
        return bytes.fromhex(match[1])
    raw = _BYTE.sub(lambda m: "\\" if m[1] == "\\" else chr(int(m[1], 8)), value)
    return raw.encode("latin-1", errors="replace")
