"""Text as values of a type; what cannot be read is that type's null."""

import ipaddress
import re
from collections.abc import Callable
from functools import partial

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.tok_temporal import (
    parse_date,
    parse_month,
    parse_span,
    parse_timestamp,
)
from tickloop.analytics.q.units import SPAN_NS, cast_one
from tickloop.analytics.q.values import (
    DTYPES,
    Atom,
    Dictionary,
    List,
    QType,
    Simple,
    Table,
    Value,
    Vector,
    char,
    collect,
    names_of,
    null,
    text_of,
    type_of,
)
from tickloop.analytics.q.widths import infinity_of

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_SPECIAL = re.compile(r"(-?)0([NnWw])[a-z]?")
_HEX = re.compile(r"(?:0x)?([0-9a-f]{1,2})", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.I)


def parses(value: Value) -> bool:
    """Tell whether a left side of `$` parses text rather than casts."""
    if not isinstance(value, Atom):
        return False
    if value.type is QType.CHAR:
        letter = chr(int(value.value))
        return letter == "*" or letter.isupper()
    if value.type is QType.SHORT:
        return int(value.value) <= 0
    return value == null(QType.SYMBOL)


def parse(kind: QType, value: Value) -> Value:
    """Parse every string in a value; symbols count as their text."""
    text = text_of(value)
    if text is not None:
        return parse_text(kind, text)
    if isinstance(value, List) and not value.items:
        return Vector(kind, np.zeros(0, dtype=DTYPES[kind]))
    if isinstance(value, List):
        return _parse_list(kind, value)
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, parse(kind, value.values))
    if isinstance(value, Table):
        return Table(value.names, tuple(parse(kind, column) for column in value.columns))
    return _parse_symbols(kind, value)


def _parse_list(kind: QType, value: List) -> Value:
    """Parse each string; a column of text repeats itself, so what was seen is kept."""
    known: dict[bytes, Value] = {}
    parsed: list[Value] = []
    for item in value.items:
        if not isinstance(item, Vector) or item.type is not QType.CHAR:
            parsed.append(parse(kind, item))
            continue
        raw = item.data.tobytes()
        found = known.get(raw)
        if found is None:
            found = known[raw] = parse_text(kind, raw.decode("utf-8", "surrogateescape"))
        parsed.append(found)
    return collect(parsed)


def _parse_symbols(kind: QType, value: Value) -> Value:
    names = names_of(value)
    if names is None or kind is not QType.SYMBOL:
        if isinstance(value, Atom | Vector) and value.type is kind:
            return value
        raise type_error(f"a value of type {type_of(value)}h seen, text to parse needed")
    return value


def parse_text(kind: QType, text: str) -> Value:
    """Parse one string as an atom."""
    if kind is QType.SYMBOL:
        return Atom(kind, text.strip(" "))
    if kind is QType.CHAR:
        raw = text.encode("utf-8", "surrogateescape")
        return char(raw[0]) if len(raw) == 1 else null(kind)
    text = text.strip()
    if kind not in (QType.BOOLEAN, QType.BYTE, QType.GUID) and (found := _SPECIAL.fullmatch(text)):
        return _special(kind, found[1], found[2])
    parsed = _PARSERS[kind](text)
    return null(kind) if parsed is None else Atom(kind, parsed)


def _special(kind: QType, sign: str, letter: str) -> Atom:
    """Make a null or infinity of a type."""
    if letter in "Nn":
        return null(kind)
    infinity = float("inf") if DTYPES[kind].kind == "f" else infinity_of(kind)
    return Atom(kind, -infinity if sign else infinity)


def _boolean(text: str) -> Simple:
    return text in ("1", "t", "T", "x", "X", "y", "Y") or text.lower() == "true"


def _byte(text: str) -> Simple | None:
    found = _HEX.fullmatch(text)
    return int(found[1], 16) if found else None


def _integer(kind: QType, text: str) -> Simple | None:
    if _INTEGER.fullmatch(text):
        number = int(text)
        return number if abs(number) <= infinity_of(kind) else None
    return _address(text) if kind is QType.INT else None


def _address(text: str) -> int | None:
    """Read a dotted address as the int that it is on the network."""
    try:
        return int.from_bytes(ipaddress.IPv4Address(text).packed, "big", signed=True)
    except ValueError:
        return None


def _float(text: str) -> Simple | None:
    return float(text) if _FLOAT.fullmatch(text) else None


def _real(text: str) -> Simple | None:
    number = _float(text)
    if number is None:
        return None
    with np.errstate(over="ignore"):
        return float(np.float32(number))


def _guid(text: str) -> Simple | None:
    if _GUID.fullmatch(text):
        return bytes.fromhex(text.replace("-", ""))
    try:
        if ":" in text:
            return ipaddress.IPv6Address(text).packed
        return bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(text).packed
    except ValueError:
        return None


def _fitting(kind: QType, parse_number: Callable[[str], int | None], text: str) -> Simple | None:
    """Keep what a type can hold."""
    number = parse_number(text)
    return number if number is not None and abs(number) <= infinity_of(kind) else None


def _datetime(text: str) -> Simple | None:
    instant = parse_timestamp(text)
    if instant is None:
        return None
    days: float = cast_one(instant, QType.TIMESTAMP, QType.DATETIME)
    return days


_PARSERS: dict[QType, Callable[[str], Simple | None]] = {
    QType.BOOLEAN: _boolean,
    QType.GUID: _guid,
    QType.BYTE: _byte,
    **{kind: partial(_integer, kind) for kind in (QType.SHORT, QType.INT, QType.LONG)},
    QType.REAL: _real,
    QType.FLOAT: _float,
    QType.TIMESTAMP: partial(_fitting, QType.TIMESTAMP, parse_timestamp),
    QType.MONTH: parse_month,
    QType.DATE: parse_date,
    QType.DATETIME: _datetime,
    **{kind: partial(_fitting, kind, partial(parse_span, kind=kind)) for kind in SPAN_NS},
}
