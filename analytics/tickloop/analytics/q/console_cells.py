"""Simple values as text without types: the cells of tables and matrices, and `string`."""

import math
from collections.abc import Callable
from typing import Any

from tickloop.analytics.q.console_times import temporal_text
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import DTYPES, NULLS, QType, Vector

# Integer types whose smallest value is null and whose next and last values are the infinities.
INTEGERS = frozenset(kind for kind, dtype in DTYPES.items() if dtype.kind == "i") - {QType.SYMBOL}
FLOATS = frozenset({QType.REAL, QType.FLOAT, QType.DATETIME})
TEMPORALS = frozenset(kind for kind in QType if QType.TIMESTAMP <= kind <= QType.TIME)

_ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
ESCAPED = [
    _ESCAPES.get(code, chr(code) if 32 <= code < 127 else f"\\{code:03o}") for code in range(256)
]


def float_text(value: float, precision: int) -> str:
    """Write a float to so many digits; 0 stands for all 17."""
    if math.isnan(value):
        return "0n"
    if math.isinf(value):
        return "0w" if value > 0 else "-0w"
    return f"{value:.{precision or 17}g}"


def integer_text(kind: QType, value: int) -> str:
    """Write an integer, or the null or infinity that it stands for, without its suffix."""
    least = int(NULLS[kind])
    if value == least:
        return "0N"
    if value == ~least:
        return "0W"
    if value == least + 1:
        return "-0W"
    return str(value) if kind not in TEMPORALS else temporal_text(kind, value)


def number_text(kind: QType, value: float, precision: int) -> str:
    """Write a number or temporal value without its suffix."""
    if kind in INTEGERS:
        return integer_text(kind, int(value))
    if kind is QType.DATETIME and math.isfinite(value):
        return temporal_text(kind, value)
    # Only a float's own null has a small n: 0n, but 0Ne and 0Nz.
    if kind is not QType.FLOAT and math.isnan(value):
        return "0N"
    return float_text(value, precision)


def guid_text(raw: bytes) -> str:
    """Write a guid."""
    digits = raw.hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def is_null(kind: QType, value: Any) -> bool:
    """Tell whether a number or temporal value is null."""
    if kind in INTEGERS:
        return bool(value == NULLS[kind])
    return kind in FLOATS and math.isnan(value)


def cell(kind: QType, value: Any, precision: int) -> str:
    """Write one simple value (a symbol by its name, a char by its code) as in a table."""
    if kind is QType.SYMBOL:
        return str(value)
    if kind is QType.CHAR:
        return char_cell(int(value))
    if kind is QType.BOOLEAN:
        return "1" if value else "0"
    if kind is QType.BYTE:
        return f"{value:02x}"
    if kind is QType.GUID:
        return guid_text(value)
    return "" if is_null(kind, value) else number_text(kind, value, precision)


def char_cell(code: int) -> str:
    """Write a char as it is, or its escape if it cannot be printed."""
    return chr(code) if 32 <= code < 127 else ESCAPED[code]


def cells(value: Vector, precision: int) -> list[str]:
    """Write a vector's items as in a table: no types, nulls blank."""
    kind = value.type
    if kind is QType.SYMBOL:
        return INTERNED.names(value.data)
    if kind is QType.GUID:
        return [guid_text(item.tobytes()) for item in value.data]
    write = _WRITERS.get(kind)
    if write is not None:
        return [write(item) for item in value.data.tolist()]
    return [cell(kind, item, precision) for item in value.data.tolist()]


_WRITERS: dict[QType, Callable[[Any], str]] = {
    QType.BOOLEAN: lambda item: "1" if item else "0",
    QType.BYTE: lambda item: f"{item:02x}",
    QType.CHAR: char_cell,
}
