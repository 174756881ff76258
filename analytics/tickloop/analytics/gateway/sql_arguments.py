"""Python values where `?` stands in SQL: each as a literal of the type that it has."""

import math
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from tickloop.core.errors import QueryError


def with_arguments(text: str, arguments: tuple[object, ...]) -> str:
    """Write arguments where `?` stands in a statement, outside of quotes and comments."""
    if not arguments:
        return text
    left = list(map(_literal, arguments))
    pieces = []
    for piece in _PIECES.findall(text):
        if piece == "?":
            if not left:
                raise QueryError(f"more `?` than the {len(arguments)} arguments")
            piece = left.pop(0)
        pieces.append(piece)
    if left:
        raise QueryError(f"{len(arguments)} arguments given, {len(left)} too many for the `?` seen")
    return "".join(pieces)


_PIECES = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|.", re.DOTALL)


def _literal(given: object) -> str:
    if _is_missing(given):
        return "NULL"
    if isinstance(given, np.generic):
        return _scalar(given)
    if isinstance(given, list | tuple | set | frozenset | np.ndarray):
        return "[" + ", ".join(map(_literal, given)) + "]"
    nanoseconds = getattr(given, "asm8", None)  # pandas' instants and spans, to the nanosecond
    if isinstance(nanoseconds, np.generic):
        return _scalar(nanoseconds)
    for kind, spell in _KINDS:
        if isinstance(given, kind):
            return spell(given)
    raise QueryError(f"{type(given).__name__} seen, which cannot stand in SQL; write it as text")


def _is_missing(given: object) -> bool:
    """Tell None, and the missing values of NumPy and pandas that are no numbers."""
    if isinstance(given, np.datetime64 | np.timedelta64):
        return bool(np.isnat(given))
    return given is None or type(given).__name__ in ("NaTType", "NAType")


def _scalar(given: Any) -> str:
    if isinstance(given, np.datetime64):
        text = str(given.astype("datetime64[ns]"))
        is_day = np.datetime_data(given.dtype)[0] in ("Y", "M", "W", "D")
        return _quoted(str(given.astype("M8[D]")), "DATE") if is_day else _instant(text)
    if isinstance(given, np.timedelta64):
        return _span(int(given.astype("timedelta64[ns]").astype(np.int64)))
    return _literal(given.item())


def _quoted(text: str, kind: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'::{kind}"


def _instant(text: str) -> str:
    return _quoted(text, "TIMESTAMP_NS")


def _datetime(given: datetime) -> str:
    # Columns of instants are in UTC and say no zone.
    naive = given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given
    return _instant(naive.isoformat(sep=" "))


def _span(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, 1000)
    if rest:
        raise QueryError(
            f"a span of {nanoseconds} ns seen; SQL's intervals count microseconds, round it"
        )
    return f"to_microseconds({whole})"


def _float(given: float) -> str:
    return f"'{given}'::DOUBLE" if math.isfinite(given) else _quoted(str(given), "DOUBLE")


def _decimal(given: Decimal) -> str:
    if not given.is_finite():
        return _float(float(given))
    _, digits, exponent = given.as_tuple()
    assert isinstance(exponent, int)
    scale = max(-exponent, 0)
    width = max(len(digits) + max(exponent, 0), scale, 1)
    if width > 38:
        raise QueryError(f"a Decimal of {width} digits seen, 38 at most in SQL; give a float")
    return _quoted(f"{given:f}", f"DECIMAL({width}, {scale})")


def _microseconds(given: timedelta) -> str:
    return _span(given // timedelta(microseconds=1) * 1000)


_KINDS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda given: "TRUE" if given else "FALSE"),
    (int, str),
    (float, _float),
    (Decimal, _decimal),
    (datetime, _datetime),
    (date, lambda given: _quoted(given.isoformat(), "DATE")),
    (time, lambda given: _quoted(given.isoformat(), "TIME")),
    (timedelta, _microseconds),
    (str, lambda given: _quoted(given, "VARCHAR")),
    (uuid.UUID, lambda given: _quoted(str(given), "UUID")),
    (bytes, lambda given: f"from_hex('{given.hex()}')"),
)
