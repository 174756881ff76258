"""Bytes of the q wire to values; a hostile count costs an error, never memory or recursion."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import WireError
from tickloop.core.kernel import kernel
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
    Simple,
    SymbolVector,
    Table,
    Value,
    Vector,
    count_of,
    symbol_text,
)

Order: TypeAlias = Literal["<", ">"]

# The smallest value is two bytes: a type and one byte.
VALUE_BYTES_MIN = 2
_HEAD_SIZE = 5
_HEADS: dict[Order, struct.Struct] = {"<": struct.Struct("<Bi"), ">": struct.Struct(">Bi")}
_ATTRIBUTES = tuple(Attribute)
# By byte order and type: what a vector holds, how we keep it, and how it travels.
_LAYOUTS: dict[Order, dict[int, tuple[QType, np.dtype[np.generic], np.dtype[np.generic]]]] = {
    order: {
        int(kind): (kind, np.dtype(dtype), np.dtype(dtype).newbyteorder(order))
        for kind, dtype in DTYPES.items()
    }
    for order in get_args(Order)
}
_FORMATS: dict[str, str] = {"i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d", "u1": "B"}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How deep and how many values one message may hold."""

    depth: int
    values: int


# A value costs up to 240 bytes of memory (an empty vector) and 3 us, whatever it costs on the
# wire. A process that must not stall allows fewer.
LIMITS = DecodeLimits(depth=64, values=2_000_000)


@kernel("int64(Array(uint8, 1, 'C', readonly=True), int64, int64)")
def _names_end(raw: npt.NDArray[np.uint8], start: int, count: int) -> int:
    """Find the byte after the NUL that ends the last of `count` names, or -1."""
    position = start
    for _ in range(count):
        while position < raw.shape[0] and raw[position] != 0:
            position += 1
        if position >= raw.shape[0]:
            return -1
        position += 1
    return position


class _Reader:
    """A position in one payload, and what is left of its limits."""

    def __init__(self, payload: bytes, offset: int, order: Order, limits: DecodeLimits) -> None:
        self.payload = payload
        self.position = offset
        self.order = order
        self.limits = limits
        self.depth_left = limits.depth
        self.values_left = limits.values
        self._raw = np.frombuffer(payload, dtype=np.uint8)

    def damage(self, text: str) -> WireError:
        return WireError(
            f"payload byte {self.position} of {len(self.payload)}: {text};"
            " the peer does not speak q IPC as expected here"
        )

    def take(self, size: int) -> int:
        """Step over `size` bytes that must be there; give where they begin."""
        start = self.position
        if size > len(self.payload) - start:
            raise self.damage(f"{size} bytes expected, {len(self.payload) - start} left")
        self.position = start + size
        return start

    def number(self, code: str) -> int:
        value: int = struct.unpack_from(
            self.order + code, self.payload, self.take(struct.calcsize(code))
        )[0]
        return value

    def name(self) -> str:
        start = self.position
        end = self.payload.find(b"\0", start)
        if end < 0:
            raise self.damage("a name without the NUL that ends it")
        self.position = end + 1
        return symbol_text(self.payload[start:end])

    def head(self) -> tuple[Attribute, int]:
        """Read a list's attribute and count."""
        start = self.take(_HEAD_SIZE)
        attribute, count = _HEADS[self.order].unpack_from(self.payload, start)
        if attribute > Attribute.GROUPED or count < 0:
            raise self.damage(f"attribute {attribute} and count {count}; 0 to 4, and no less")
        return _ATTRIBUTES[attribute], count

    def count(self) -> int:
        count = self.number("i")
        if count < 0:
            raise self.damage(f"count {count}")
        return count

    def value(self) -> Value:
        """Read one value, whatever it is."""
        kind = self.payload[self.take(1)]
        kind = kind - 256 if kind > 127 else kind
        read = _READERS.get(kind)
        if read is None:
            raise self.damage(_unknown(kind))
        self.depth_left -= 1
        self.values_left -= 1
        if self.depth_left < 0 or self.values_left < 0:
            raise self.damage(
                f"more than {self.limits.depth} levels or {self.limits.values} values in a message"
            )
        result = read(self, kind)
        self.depth_left += 1
        return result

    def several(self, count: int) -> tuple[Value, ...]:
        """Read `count` values, which must be possible in what is left."""
        if count > min((len(self.payload) - self.position) // VALUE_BYTES_MIN, self.values_left):
            raise self.damage(f"a list claims {count} items")
        return tuple([self.value() for _ in range(count)])

    def names_end(self, count: int) -> int:
        if count > len(self.payload) - self.position:
            raise self.damage(f"a list claims {count} symbols")
        end = _names_end(self._raw, self.position, count)
        if end < 0:
            raise self.damage(f"fewer than the {count} symbols that a list claims")
        return end


def _unknown(kind: int) -> str:
    if 20 <= abs(kind) <= 97:
        return (
            f"type {kind} is an enumeration or a mapped list, which never travels;"
            " send its values instead"
        )
    return f"type {kind} is not known"


def _simple_atom(reader: _Reader, kind: int) -> Value:
    qtype = QType(-kind)
    code = _FORMATS[DTYPES[qtype][1:]]
    value: Simple = reader.number(code)
    if qtype is QType.BOOLEAN and value not in (0, 1):
        raise reader.damage(f"boolean {value!r}")
    return Atom(qtype, value)


def _guid_atom(reader: _Reader, kind: int) -> Value:
    start = reader.take(16)
    return Atom(QType.GUID, reader.payload[start : start + 16])


def _symbol_atom(reader: _Reader, kind: int) -> Value:
    return Atom(QType.SYMBOL, reader.name())


def _vector(reader: _Reader, kind: int) -> Value:
    qtype, dtype, travelled = _LAYOUTS[reader.order][kind]
    attribute, count = reader.head()
    start = reader.take(count * dtype.itemsize)
    # The copy is aligned, writable and does not hold on to the message.
    values = np.ndarray(count, travelled, reader.payload, start).astype(dtype, copy=True)
    if qtype is QType.BOOLEAN and count and values.max() > 1:
        raise reader.damage(f"boolean {values.max()} in a vector")
    return Vector(qtype, values, attribute)


def _symbol_vector(reader: _Reader, kind: int) -> Value:
    attribute, count = reader.head()
    end = reader.names_end(count)
    start = reader.take(end - reader.position)
    return SymbolVector(reader.payload[start:end], count, attribute)


def _list(reader: _Reader, kind: int) -> Value:
    attribute, count = reader.head()
    return List(reader.several(count), attribute)


def _dictionary(reader: _Reader, kind: int) -> Value:
    keys, values = reader.value(), reader.value()
    if not _is_countable(keys) or not _is_countable(values):
        raise reader.damage("a dictionary whose keys or values are no list")
    if count_of(keys) != count_of(values):
        raise reader.damage(f"{count_of(keys)} keys for {count_of(values)} values")
    return Dictionary(keys, values, kind == 127)


def _is_countable(value: Value) -> bool:
    return isinstance(value, Vector | SymbolVector | List | Dictionary | Table)


def _table(reader: _Reader, kind: int) -> Value:
    is_sorted = reader.number("b") != 0
    flipped = reader.value()
    if not (
        isinstance(flipped, Dictionary)
        and isinstance(flipped.keys, SymbolVector)
        and isinstance(flipped.values, List)
    ):
        raise reader.damage("a table that is no dictionary of names to columns held in memory")
    columns = flipped.values.items
    counts = {count_of(column) if _is_countable(column) else -1 for column in columns}
    if len(counts) > 1 or -1 in counts:
        raise reader.damage(f"table columns of unequal counts {sorted(counts)} (-1 is no list)")
    return Table(flipped.keys, columns, is_sorted)


def _lambda(reader: _Reader, kind: int) -> Value:
    context = reader.name()
    source = reader.value()
    if not (isinstance(source, Vector) and source.type is QType.CHAR):
        raise reader.damage("a function without source text")
    return Lambda(context, symbol_text(source.data.tobytes()))


def _primitive(reader: _Reader, kind: int) -> Value:
    return Primitive(kind, reader.number("B"))


def _derived(reader: _Reader, kind: int) -> Value:
    return Derived(kind, reader.several(reader.count() if kind <= 105 else 1))


def _signal(reader: _Reader, kind: int) -> Value:
    return Signal(reader.name())


_READERS: dict[int, Callable[[_Reader, int], Value]] = {
    **{-kind: _simple_atom for kind in DTYPES},
    **{int(kind): _vector for kind in DTYPES},
    -QType.GUID: _guid_atom,
    -QType.SYMBOL: _symbol_atom,
    int(QType.SYMBOL): _symbol_vector,
    0: _list,
    98: _table,
    99: _dictionary,
    127: _dictionary,
    100: _lambda,
    **dict.fromkeys((101, 102, 103), _primitive),
    **dict.fromkeys(range(104, 112), _derived),
}


def decode_prefix(
    payload: bytes, offset: int = 0, *, little_endian: bool = True, limits: DecodeLimits = LIMITS
) -> tuple[Value, int]:
    """Read the value that begins at `offset`; give it and the byte after it."""
    reader = _Reader(payload, offset, "<" if little_endian else ">", limits)
    if payload[offset : offset + 1] == b"\x80":
        reader.take(1)
        return _signal(reader, -128), reader.position
    value = reader.value()
    return value, reader.position


def decode(payload: bytes, *, little_endian: bool = True, limits: DecodeLimits = LIMITS) -> Value:
    """Read a payload that is exactly one value; WireError names the byte where it is not."""
    value, end = decode_prefix(payload, 0, little_endian=little_endian, limits=limits)
    if end != len(payload):
        raise WireError(
            f"payload of {len(payload)} bytes holds one value of {end};"
            " the peer wrote a wrong length or count"
        )
    return value
