"""The verb `1:`: records of fixed width to columns, and raw bytes to files."""

from typing import Literal

import numpy as np

from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.file_paths import path_of, refused
from tickloop.analytics.q.file_verbs import content
from tickloop.analytics.q.kinds import whole_vector
from tickloop.analytics.q.object_files import write_value
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.strings import text_bytes
from tickloop.analytics.q.values import (
    DTYPES,
    TYPES_BY_CHAR,
    Array,
    Atom,
    List,
    QType,
    Value,
    Vector,
    chars,
    name_of,
    symbol,
    symbols,
    text_of,
)


@register("1:", rank=2, operator=True, session=True)
def binary(session: Interpreter, left: Value, right: Value) -> Value:
    """Write bytes to a file, or cut bytes into records by (types; widths)."""
    name = name_of(left)
    if name is not None:
        return _written(session, name, right)
    if not isinstance(left, List) or len(left) != 2:
        raise type_error("a file, or types and widths, needed on the left of 1:")
    first, second = left.items
    # Widths before types mean numbers of the other byte order.
    order: Literal["<", ">"] = "<"
    if text_of(first) is None:
        first, second, order = second, first, ">"
    widths = whole_vector(second)
    if widths is None:
        raise type_error("widths are whole numbers")
    types = text_bytes(first).decode("latin-1")
    if len(types) != len(widths):
        raise length_error(len(types), len(widths))
    return _records(types, widths.tolist(), _raw(session, right), order)


def _written(session: Interpreter, name: str, value: Value) -> Value:
    path = path_of(session, name)
    if not isinstance(value, Atom | Vector) or value.type is QType.SYMBOL:
        write_value(path, value)
        return symbol(name)
    data = value.data if isinstance(value, Vector) else np.array([value.value], DTYPES[value.type])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise refused(path, error) from None
    return symbol(name)


def _raw(session: Interpreter, value: Value) -> bytes:
    if isinstance(value, Atom | Vector) and value.type in (QType.BYTE, QType.CHAR):
        return value.data.tobytes() if isinstance(value, Vector) else bytes([int(value.value)])
    return content(session, value)


def _records(types: str, widths: list[int], raw: bytes, order: Literal["<", ">"]) -> Value:
    size = sum(widths)
    if size <= 0:
        raise QError("length", "records of no bytes")
    count = len(raw) // size
    rows = np.frombuffer(bytearray(raw[: count * size]), dtype=np.uint8).reshape(count, size)
    columns, start = [], 0
    for letter, width in zip(types, widths, strict=True):
        if letter != " ":
            columns.append(_column(letter, rows[:, start : start + width], order))
        start += width
    return List(tuple(columns))


def _column(letter: str, cells: Array, order: Literal["<", ">"]) -> Value:
    if letter in "*sS":
        texts = [bytes(row) for row in cells]
        if letter == "*":
            return List(tuple([chars(text) for text in texts]))
        return symbols([text.rstrip(b"\0 ").decode("utf-8", "surrogateescape") for text in texts])
    kind = TYPES_BY_CHAR.get(letter.lower())
    if kind is None:
        raise type_error(f"{letter!r} seen, the letter of a type, * or a blank needed")
    dtype = DTYPES[kind]
    if cells.shape[1] != dtype.itemsize:
        raise QError("length", f"a {kind.name.lower()} has {dtype.itemsize} bytes")
    flat = np.ascontiguousarray(cells).reshape(-1)
    numbers = flat.view(dtype.newbyteorder(order)) if dtype.kind in "if" else flat.view(dtype)
    return Vector(kind, numbers.astype(dtype))
