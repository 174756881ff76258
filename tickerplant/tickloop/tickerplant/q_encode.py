"""Values to the bytes of the q wire, little-endian."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tickloop.core.errors import WireError
from tickloop.tickerplant.q_values import (
    DTYPES,
    Atom,
    Attribute,
    Derived,
    Dictionary,
    Lambda,
    List,
    Primitive,
    QType,
    Signal,
    SymbolVector,
    Table,
    Value,
    Vector,
    symbol_bytes,
)

DEPTH_MAX = 64
PAYLOAD_MAX = 2**31 - 1 - 8

# What is smaller is copied: a buffer of its own costs more.
_COPIED_MAX = 1 << 14

Parts = list[bytes | memoryview]
_ATOMS: dict[QType, struct.Struct] = {
    kind: struct.Struct(
        "<b" + {"u1": "B", "i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d"}[dtype[1:]]
    )
    for kind, dtype in DTYPES.items()
    if kind is not QType.GUID
}
_LIST_HEAD = struct.Struct("<bBi")
_COUNTED = struct.Struct("<bi")


def _atom(value: Atom, parts: Parts, depth: int) -> None:
    if value.type is QType.SYMBOL:
        parts.append(b"\xf5" + symbol_bytes(str(value.value)) + b"\0")
    elif value.type is QType.GUID:
        assert isinstance(value.value, bytes), f"guid {value.value!r} is no bytes"
        assert len(value.value) == 16, f"guid of {len(value.value)} bytes"
        parts.append(b"\xfe" + value.value)
    else:
        parts.append(_ATOMS[value.type].pack(-value.type, value.value))


def _vector(value: Vector, parts: Parts, depth: int) -> None:
    parts.append(_LIST_HEAD.pack(value.type, value.attribute, len(value.data)))
    if value.data.nbytes <= _COPIED_MAX:
        parts.append(value.data.tobytes())
    else:
        parts.append(np.ascontiguousarray(value.data).view(np.uint8).data)


def _symbols(value: SymbolVector, parts: Parts, depth: int) -> None:
    parts.append(_LIST_HEAD.pack(QType.SYMBOL, value.attribute, value.count))
    parts.append(value.text)


def _list(value: List, parts: Parts, depth: int) -> None:
    parts.append(_LIST_HEAD.pack(0, value.attribute, len(value.items)))
    for item in value.items:
        _append(item, parts, depth)


def _dictionary(value: Dictionary, parts: Parts, depth: int) -> None:
    parts.append(b"\x7f" if value.sorted else b"\x63")
    _append(value.keys, parts, depth)
    _append(value.values, parts, depth)


def _table(value: Table, parts: Parts, depth: int) -> None:
    parts.append(b"\x62\x01\x63" if value.sorted else b"\x62\x00\x63")
    _symbols(value.names, parts, depth)
    _list(List(value.columns, Attribute.NONE), parts, depth)


def _lambda(value: Lambda, parts: Parts, depth: int) -> None:
    source = symbol_bytes(value.source)
    parts.append(b"\x64" + symbol_bytes(value.context) + b"\0")
    parts.append(_LIST_HEAD.pack(QType.CHAR, 0, len(source)))
    parts.append(source)


def _primitive(value: Primitive, parts: Parts, depth: int) -> None:
    parts.append(bytes((value.type, value.code)))


def _derived(value: Derived, parts: Parts, depth: int) -> None:
    if value.type <= 105:
        parts.append(_COUNTED.pack(value.type, len(value.parts)))
    else:
        parts.append(bytes((value.type,)))
    for part in value.parts:
        _append(part, parts, depth)


def _signal(value: Signal, parts: Parts, depth: int) -> None:
    parts.append(b"\x80" + symbol_bytes(value.text.replace("\0", " ")) + b"\0")


_WRITERS: dict[type, Callable[[Any, Parts, int], None]] = {
    Atom: _atom,
    Vector: _vector,
    SymbolVector: _symbols,
    List: _list,
    Dictionary: _dictionary,
    Table: _table,
    Lambda: _lambda,
    Primitive: _primitive,
    Derived: _derived,
    Signal: _signal,
}


def _append(value: Value, parts: Parts, depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise WireError(f"a value of more than {DEPTH_MAX} levels; peers refuse to read deeper")
    _WRITERS[type(value)](value, parts, depth + 1)


def encode_parts(value: Value) -> Parts:
    """Spell a value as the pieces of a payload, large columns uncopied.

    WireError if it nests deeper than 64 levels or is longer than a header's length can say.
    """
    parts: Parts = []
    _append(value, parts, 0)
    size = sum(map(len, parts))
    if size > PAYLOAD_MAX:
        raise WireError(
            f"a value of {size} bytes seen, at most {PAYLOAD_MAX} fit a message;"
            " ask for fewer rows at a time"
        )
    return parts


def encode(value: Value) -> bytes:
    """Spell a value as a payload, without a message header; otherwise as `encode_parts`."""
    return b"".join(encode_parts(value))
