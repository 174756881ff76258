"""Text, bytes and symbols cut at a separator, and joined by one: the textual half of vs and sv."""

from collections.abc import Sequence

import numpy as np

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.values import (
    Atom,
    List,
    QType,
    Value,
    Vector,
    items_of,
    names_of,
    plain,
    symbol,
    symbols,
    type_of,
)

_RAW = (QType.CHAR, QType.BYTE)


def raw_of(value: Value) -> bytes | None:
    """Give the bytes of a string, a byte vector or one of their items, None for anything else."""
    if isinstance(value, Vector) and value.type in _RAW:
        return value.data.tobytes()
    if isinstance(value, Atom) and value.type in _RAW:
        return bytes([int(value.value)])
    return None


def from_raw(kind: QType, raw: bytes) -> Vector:
    """Make a string or byte vector."""
    return Vector(kind, np.frombuffer(bytearray(raw), dtype=np.uint8))


def _parts(kind: QType, parts: Sequence[bytes]) -> List:
    return List(tuple(from_raw(kind, part) for part in parts))


def cut(separator: Value, value: Value) -> Value:
    """Cut text or bytes at a separator, whose type the parts get."""
    raw, at = raw_of(value), raw_of(separator)
    assert isinstance(separator, Atom | Vector), type_of(separator)
    if raw is None or not at:
        raise type_error(f"a value of type {type_of(value)}h seen, text to cut needed")
    return _parts(separator.type, raw.split(at))


def cut_naturally(value: Value) -> Value:
    """Cut text into lines, a symbol at its dots, a file handle into folder and file."""
    raw = raw_of(value)
    if raw is not None:
        lines = raw.replace(b"\r\n", b"\n").split(b"\n")
        return _parts(QType.CHAR, lines[:-1] if lines[-1] == b"" else lines)
    names = names_of(value)
    if names is None or not isinstance(plain(value), Atom):
        raise type_error(f"a value of type {type_of(value)}h seen, text or a symbol needed")
    name = names[0]
    if name.startswith(":"):
        folder, slash, file = name.rpartition("/")
        return symbols([folder, file] if slash else [":", name[1:]])
    return symbols(name.split("."))


def joined(separator: Value, value: Value) -> Value:
    """Join strings or byte vectors by a separator."""
    between = raw_of(separator)
    assert isinstance(separator, Atom | Vector), type_of(separator)
    assert between is not None, type_of(separator)
    return from_raw(separator.type, between.join(_raw_items(value)))


def joined_naturally(value: Value) -> Value:
    """Join strings as lines, symbols by dots, the parts of a path by slashes."""
    names = names_of(value)
    if isinstance(plain(value), Vector) and names is not None:
        return symbol(("/" if names[:1] and names[0].startswith(":") else ".").join(names))
    return from_raw(QType.CHAR, b"".join(line + b"\n" for line in _raw_items(value)))


def _raw_items(value: Value) -> list[bytes]:
    parts = [raw_of(item) for item in items_of(value)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        raise type_error("a list of strings needed; `string x` makes them")
    return known
