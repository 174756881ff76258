"""Every q value that travels on the wire, held as data: nothing here is ever evaluated."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt


class QType(IntEnum):
    """Type numbers of simple values: an atom carries the negative, a vector the positive."""

    BOOLEAN = 1
    GUID = 2
    BYTE = 4
    SHORT = 5
    INT = 6
    LONG = 7
    REAL = 8
    FLOAT = 9
    CHAR = 10
    SYMBOL = 11
    TIMESTAMP = 12
    MONTH = 13
    DATE = 14
    DATETIME = 15
    TIMESPAN = 16
    MINUTE = 17
    SECOND = 18
    TIME = 19


class Attribute(IntEnum):
    """A promise about a list's order or uniqueness; peers may trust it."""

    NONE = 0
    SORTED = 1
    UNIQUE = 2
    PARTED = 3
    GROUPED = 4


# Temporal values keep kdb+'s integers: nanoseconds, months, days since 2000, and so on.
DTYPES: dict[QType, str] = {
    QType.BOOLEAN: "|u1",
    QType.GUID: "|V16",
    QType.BYTE: "|u1",
    QType.SHORT: "<i2",
    QType.INT: "<i4",
    QType.LONG: "<i8",
    QType.REAL: "<f4",
    QType.FLOAT: "<f8",
    QType.CHAR: "|u1",
    QType.TIMESTAMP: "<i8",
    QType.MONTH: "<i4",
    QType.DATE: "<i4",
    QType.DATETIME: "<f8",
    QType.TIMESPAN: "<i8",
    QType.MINUTE: "<i4",
    QType.SECOND: "<i4",
    QType.TIME: "<i4",
}
_NULL_BY_DTYPE: dict[str, int | float | bytes] = {
    "|u1": 0,
    "|V16": bytes(16),
    "<i2": -(2**15),
    "<i4": -(2**31),
    "<i8": -(2**63),
    "<f4": float("nan"),
    "<f8": float("nan"),
}
# Booleans and bytes have no null; kdb+ shows 0 for one.
NULLS: dict[QType, "Simple"] = {
    **{kind: _NULL_BY_DTYPE[dtype] for kind, dtype in DTYPES.items()},
    QType.CHAR: 0x20,
    QType.SYMBOL: "",
}
INFINITIES: dict[QType, int | float] = {
    kind: float("inf") if dtype in ("<f4", "<f8") else 2 ** (8 * int(dtype[2]) - 1) - 1
    for kind, dtype in DTYPES.items()
    if dtype[1] in "if"
}

# A symbol is a str (UTF-8 with surrogate escapes, so any bytes survive), a guid 16 bytes.
Simple: TypeAlias = int | float | str | bytes
Array: TypeAlias = npt.NDArray[np.generic]


def symbol_bytes(name: str) -> bytes:
    """Spell a symbol's name as it travels, without its NUL."""
    return name.encode("utf-8", "surrogateescape")


def symbol_text(raw: bytes) -> str:
    """Read a symbol's name; bytes that are not UTF-8 survive as surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """One simple value. NaN equals NaN, as in q."""

    type: QType
    value: Simple

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Atom):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[int, Simple | None]:
        return self.type, None if self.value != self.value else self.value


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """Simple values of one type except symbols: an owned, aligned, little-endian array."""

    type: QType
    data: Array
    attribute: Attribute = Attribute.NONE

    def __post_init__(self) -> None:
        expected = DTYPES[self.type]
        assert self.data.dtype.str == expected, f"{self.type.name}: {self.data.dtype}"
        assert self.data.ndim == 1, f"{self.type.name}: {self.data.ndim} dimensions, not 1"

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector):
            return NotImplemented
        return (self.type, self.attribute) == (other.type, other.attribute) and _same(
            self.data, other.data
        )

    __hash__ = None  # type: ignore[assignment]


def _same(left: Array, right: Array) -> bool:
    return bool(np.array_equal(left, right, equal_nan=left.dtype.kind == "f"))


@dataclass(frozen=True, slots=True)
class SymbolVector:
    """Symbols as they travel: names one after another, each ended by a NUL."""

    text: bytes
    count: int
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return self.count

    @property
    def raw_names(self) -> list[bytes]:
        """The names as bytes."""
        return self.text.split(b"\0")[:-1]

    @property
    def names(self) -> list[str]:
        """The names as text."""
        return symbol_text(self.text).split("\0")[:-1]


@dataclass(frozen=True, slots=True)
class List:
    """A general list."""

    items: tuple["Value", ...]
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator["Value"]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Keys to values, of equal count; a keyed table is a dictionary of two tables."""

    keys: "Value"
    values: "Value"
    sorted: bool = False

    def __len__(self) -> int:
        return count_of(self.keys)


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns of equal count."""

    names: SymbolVector
    columns: tuple["Value", ...]
    sorted: bool = False

    def __len__(self) -> int:
        return count_of(self.columns[0]) if self.columns else 0

    def __getitem__(self, name: str) -> "Value":
        return self.columns[self.names.names.index(name)]


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function's source and the namespace it was defined in ("" is the root)."""

    context: str
    source: str


@dataclass(frozen=True, slots=True)
class Primitive:
    """A built-in by number: type 101 unary (0 is `::`), 102 binary, 103 iterator."""

    type: int
    code: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A function made of values: type 104 projection, 105 composition, 106-111 iterated."""

    type: int
    parts: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """An error as the answer to a request; only ever a whole message."""

    text: str


Value: TypeAlias = (
    Atom | Vector | SymbolVector | List | Dictionary | Table | Lambda | Primitive | Derived | Signal
)

IDENTITY = Primitive(101, 0)


def count_of(value: Value) -> int:
    """Count a value's items as q does: rows of a table, keys of a dictionary, 1 for an atom."""
    if isinstance(value, Vector | SymbolVector | List | Dictionary | Table):
        return len(value)
    return 1


def is_atom(value: Value) -> bool:
    """Tell whether a value is a simple atom."""
    return isinstance(value, Atom)


def is_keyed_table(value: Value) -> bool:
    """Tell whether a value is a keyed table."""
    return (
        isinstance(value, Dictionary)
        and isinstance(value.keys, Table)
        and isinstance(value.values, Table)
    )


def atom(kind: QType, value: Simple) -> Atom:
    """Make an atom; a real is rounded to what it travels as."""
    if kind is QType.REAL:
        value = float(np.float32(value))
    return Atom(kind, value)


def null(kind: QType) -> Atom:
    """Make a type's null."""
    return Atom(kind, NULLS[kind])


def long(value: int) -> Atom:
    """Make a long atom."""
    return Atom(QType.LONG, value)


def float_atom(value: float) -> Atom:
    """Make a float atom."""
    return Atom(QType.FLOAT, value)


def boolean(value: bool) -> Atom:
    """Make a boolean atom."""
    return Atom(QType.BOOLEAN, int(value))


def symbol(name: str) -> Atom:
    """Make a symbol atom."""
    assert "\0" not in name, f"NUL in symbol {name!r}"
    return Atom(QType.SYMBOL, name)


def timestamp(time_ns: int) -> Atom:
    """Make a timestamp atom from nanoseconds since 2000-01-01."""
    return Atom(QType.TIMESTAMP, time_ns)


def vector(
    kind: QType,
    values: Sequence[Simple] | Array,
    attribute: Attribute = Attribute.NONE,
) -> Vector:
    """Make a vector of any simple type but symbol, copying only to change the layout."""
    if kind is QType.GUID and not isinstance(values, np.ndarray):
        raw = b"".join(item for item in values if isinstance(item, bytes))
        return Vector(kind, np.frombuffer(bytearray(raw), dtype="|V16"), attribute)
    return Vector(kind, np.ascontiguousarray(values, dtype=DTYPES[kind]), attribute)


def chars(text: str | bytes) -> Vector:
    """Make a char vector, q's string."""
    raw = symbol_bytes(text) if isinstance(text, str) else text
    return Vector(QType.CHAR, np.frombuffer(bytearray(raw), dtype="|u1"))


def symbols(names: Iterable[str], attribute: Attribute = Attribute.NONE) -> SymbolVector:
    """Make a symbol vector."""
    listed = list(names)
    raw = symbol_bytes("".join(f"{name}\0" for name in listed))
    assert raw.count(0) == len(listed), f"NUL in one of the symbols {listed}"
    return SymbolVector(raw, len(listed), attribute)


def items(*values: Value) -> List:
    """Make a general list."""
    return List(values)


def table(columns: Mapping[str, Value]) -> Table:
    """Make a table of equally long columns."""
    lengths = {name: count_of(column) for name, column in columns.items()}
    assert len(set(lengths.values())) <= 1, f"unequal columns {lengths}"
    return Table(symbols(columns), tuple(columns.values()))


def text_of(value: Value) -> str | None:
    """Give the text of a char vector or char atom, or None for any other value."""
    if isinstance(value, Vector) and value.type is QType.CHAR:
        return symbol_text(value.data.tobytes())
    if isinstance(value, Atom) and value.type is QType.CHAR:
        return symbol_text(struct.pack("B", value.value))
    return None


def name_of(value: Value) -> str | None:
    """Give a symbol atom's name, or None for any other value."""
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return str(value.value)
    return None


def names_of(value: Value) -> list[str] | None:
    """Give the names in a symbol atom, symbol vector or list of symbol atoms, else None."""
    if isinstance(value, SymbolVector):
        return value.names
    if isinstance(value, List):
        names = [name_of(item) for item in value.items]
        return None if None in names else [name for name in names if name is not None]
    name = name_of(value)
    return None if name is None else [name]
