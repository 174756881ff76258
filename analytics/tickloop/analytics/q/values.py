"""Every value of the q language: immutable, columns as NumPy arrays.

Temporal values are their integers (nanoseconds, days, months ... since 2000.01.01), symbols are
ids of `INTERNED`, nulls are values inside the arrays as in kdb+.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.type_tables import DTYPES, NULLS, TYPE_CHARS, TYPES_BY_CHAR
from tickloop.tickerplant.q_values import Attribute, QType

__all__ = ["DTYPES", "NULLS", "TYPES_BY_CHAR", "TYPE_CHARS", "Attribute", "QType"]

Array: TypeAlias = npt.NDArray[Any]
Simple: TypeAlias = bool | int | float | str | bytes


@dataclass(frozen=True, slots=True)
class Atom:
    """One simple value: bool, int, float, str for a symbol, bytes for a guid, int for a char."""

    type: QType
    value: Simple

    def item(self) -> Any:
        """Give what stands for it inside an array: a symbol's id, everything else itself."""
        if self.type is QType.SYMBOL:
            return INTERNED.id(str(self.value))
        if self.type is QType.GUID:
            assert isinstance(self.value, bytes)
            return np.void(self.value)
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """Simple values of one type; never written to once it is made. May view mapped files."""

    type: QType
    data: Array
    attribute: Attribute = Attribute.NONE

    def __post_init__(self) -> None:
        assert self.data.dtype == DTYPES[self.type], f"{self.type.name}: {self.data.dtype}"
        assert self.data.ndim == 1, f"{self.type.name}: {self.data.ndim} dimensions"

    def __len__(self) -> int:
        return len(self.data)


@dataclass(slots=True, eq=False)
class Domain:
    """What an enumeration points into: a symbol vector, a keyed table (a foreign key), or a table.

    The positions of a foreign key stand for keys of any type, those of a link for themselves.
    """

    name: str
    target: "Vector | Dictionary | Table"

    @property
    def is_symbolic(self) -> bool:
        """Whether positions stand for symbols."""
        if isinstance(self.target, Vector):
            return True
        column = self._key()
        return isinstance(column, Vector) and column.type is QType.SYMBOL

    def _key(self) -> "Value | None":
        """Give the only key column of a keyed table."""
        if not isinstance(self.target, Dictionary):
            return None
        keys = self.target.keys
        if not isinstance(keys, Table) or len(keys.columns) != 1:
            return None
        return plain(keys.columns[0])

    def standing_for(self, positions: Array) -> "Value":
        """Give what positions of a foreign key or link stand for, where that is no symbol."""
        column = self._key()
        if isinstance(column, Vector):
            padded = np.append(column.data, np.array([NULLS[column.type]], dtype=column.data.dtype))
            return Vector(column.type, padded[np.where(positions < 0, len(column), positions)])
        if isinstance(self.target, Dictionary):
            keys = self.target.keys
            rows = [item_at(keys, place) for place in np.maximum(positions, 0).tolist()]
            return List(tuple([row.values for row in rows if isinstance(row, Dictionary)]))
        nulls = np.where(positions < 0, NULLS[QType.LONG], positions)
        return Vector(QType.LONG, nulls.astype(np.int64))

    def symbols(self) -> Array:
        """Give the interned ids of the symbols that positions stand for."""
        if isinstance(self.target, Vector):
            return self.target.data
        assert isinstance(self.target, Dictionary), self.name
        keys = self.target.keys
        assert isinstance(keys, Table), self.name
        column = plain(keys.columns[0])
        assert isinstance(column, Vector), self.name
        return column.data


@dataclass(frozen=True, slots=True, eq=False)
class Enumerated:
    """Positions in a domain, type 20h; a negative position is null."""

    domain: Domain
    data: Array  # int32 or int64
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True, eq=False)
class EnumeratedAtom:
    """One position in a domain, type -20h."""

    domain: Domain
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """A general list."""

    items: Sequence["Value"]
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator["Value"]:
        return iter(self.items)


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """Keys to values, of equal count; a keyed table is a dictionary of two tables."""

    keys: "Value"
    values: "Value"
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return count_of(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Named columns of equal count."""

    names: tuple[str, ...]
    columns: tuple["Value", ...]
    attribute: Attribute = Attribute.NONE

    def __len__(self) -> int:
        return count_of(self.columns[0]) if self.columns else 0

    def column(self, name: str) -> "Value":
        """Give a column by its name; KeyError if there is none."""
        try:
            return self.columns[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    @staticmethod
    def of(columns: Mapping[str, "Value"]) -> "Table":
        """Make a table of columns."""
        return Table(tuple(columns), tuple(columns.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """An argument that was left out: f[1;]."""


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A verb or function of the language.

    `name` is what the console shows (`+`, `#:` for count, `avg`). `by_rank` holds a function for
    each number of arguments; with `wants_session` its first argument is the interpreter.
    """

    name: str
    by_rank: Mapping[int, Callable[..., "Value"]]
    wants_session: bool = False
    is_operator: bool = False  # written between its arguments: + in, not count
    is_atomic: bool = False  # item by item, through lists, dictionaries and tables
    is_uniform: bool = False  # a vector in, one as long out
    is_aggregate: bool = False  # a vector in, an atom out


@dataclass(frozen=True, slots=True, eq=False)
class Lambda:
    """A function written in q. `body` belongs to the evaluator."""

    source: str
    parameters: tuple[str, ...]
    body: object = field(repr=False)
    namespace: str = ""
    locals: frozenset[str] = frozenset()
    label: str = ""  # `f:`, or `f@:` within f: what an error says of where it happened


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A function with some of its arguments given; `Missing` stands for the others."""

    function: "Value"
    arguments: tuple["Value", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """Functions applied from the last to the first; all but the last take one argument."""

    functions: tuple["Value", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Iterated:
    """A value with an iterator: `'` `/` `\\` `':` `/:` `\\:`."""

    iterator: str
    function: "Value"


@dataclass(frozen=True, slots=True, eq=False)
class Adverb:
    """An iterator that stands alone, as in a parse tree."""

    iterator: str


@dataclass(frozen=True, slots=True, eq=False)
class Nil:
    """The generic null, `::`; also the identity function."""


NIL = Nil()
MISSING = Missing()

Function: TypeAlias = Builtin | Lambda | Projection | Composition | Iterated | Adverb | Nil
Value: TypeAlias = (
    Atom | Vector | Enumerated | EnumeratedAtom | List | Dictionary | Table | Function | Missing
)

_FUNCTION_TYPES: dict[type, int] = {
    Lambda: 100, Nil: 101, Adverb: 103, Projection: 104, Composition: 105,
}  # fmt: skip
_ITERATED_TYPES = {"'": 106, "/": 107, "\\": 108, "':": 109, "/:": 110, "\\:": 111}


def type_of(value: Value) -> int:
    """Give q's type number, negative for atoms."""
    if isinstance(value, Atom):
        return -int(value.type)
    if isinstance(value, Vector):
        return int(value.type)
    if isinstance(value, Enumerated | EnumeratedAtom):
        return 20 if isinstance(value, Enumerated) else -20
    if isinstance(value, List):
        return 0
    if isinstance(value, Table | Dictionary):
        return 98 if isinstance(value, Table) else 99
    if isinstance(value, Iterated):
        return _ITERATED_TYPES[value.iterator]
    if isinstance(value, Builtin):
        return 102 if value.is_operator else 101
    return _FUNCTION_TYPES.get(type(value), 101)


def count_of(value: Value) -> int:
    """Count a value's items as q does: rows of a table, keys of a dictionary, 1 for an atom."""
    if isinstance(value, Vector | Enumerated | List | Dictionary | Table):
        return len(value)
    return 1


def is_list(value: Value) -> bool:
    """Tell whether a value is a vector or a general list."""
    return isinstance(value, Vector | Enumerated | List)


def is_atom(value: Value) -> bool:
    """Tell whether a value is a simple atom."""
    return isinstance(value, Atom | EnumeratedAtom)


def is_function(value: Value) -> bool:
    """Tell whether a value is applied rather than indexed."""
    return type_of(value) >= 100


def is_keyed_table(value: Value) -> bool:
    """Tell whether a value is a keyed table."""
    return (
        isinstance(value, Dictionary)
        and isinstance(value.keys, Table)
        and isinstance(value.values, Table)
    )


def plain(value: Value) -> Value:
    """Turn an enumeration into the symbols it stands for; give anything else as it is."""
    if isinstance(value, Enumerated):
        if not value.domain.is_symbolic:
            return value.domain.standing_for(value.data)
        symbols = np.append(value.domain.symbols(), np.int32(0))
        positions = np.where(value.data < 0, len(symbols) - 1, value.data)
        return Vector(QType.SYMBOL, symbols[positions], value.attribute)
    if isinstance(value, EnumeratedAtom):
        if not value.domain.is_symbolic:
            found = value.domain.standing_for(np.array([value.position]))
            return item_at(found, 0)
        symbols = value.domain.symbols()
        known = 0 <= value.position < len(symbols)
        return symbol(INTERNED.name(int(symbols[value.position])) if known else "")
    return value


def null(kind: QType) -> Atom:
    """Make a type's null."""
    return Atom(kind, "" if kind is QType.SYMBOL else NULLS[kind])


def long(value: int) -> Atom:
    """Make a long atom."""
    return Atom(QType.LONG, int(value))


def float_(value: float) -> Atom:
    """Make a float atom."""
    return Atom(QType.FLOAT, float(value))


def boolean(value: bool) -> Atom:
    """Make a boolean atom."""
    return Atom(QType.BOOLEAN, bool(value))


def symbol(name: str) -> Atom:
    """Make a symbol atom."""
    return Atom(QType.SYMBOL, name)


def char(code: int) -> Atom:
    """Make a char atom."""
    return Atom(QType.CHAR, code)


def chars(text: str | bytes) -> Vector:
    """Make a string."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return Vector(QType.CHAR, np.frombuffer(bytearray(raw), dtype=np.uint8))


def symbols(names: Iterable[str], attribute: Attribute = Attribute.NONE) -> Vector:
    """Make a symbol vector."""
    return Vector(QType.SYMBOL, INTERNED.ids(names), attribute)


def vector(
    kind: QType, values: Sequence[Any] | Array, attribute: Attribute = Attribute.NONE
) -> Vector:
    """Make a vector of values as they lie in arrays (symbols: ids), copying only if needed."""
    return Vector(kind, np.ascontiguousarray(values, dtype=DTYPES[kind]), attribute)


def atom_at(value: Vector, position: int) -> Atom:
    """Give a vector's item."""
    item = value.data[position]
    if value.type is QType.SYMBOL:
        return Atom(QType.SYMBOL, INTERNED.name(int(item)))
    return Atom(value.type, item.tobytes() if value.type is QType.GUID else item.item())


def item_at(value: Value, position: int) -> Value:
    """Give item `position` of a list (0 <= position < count), a table's row as a dictionary."""
    if isinstance(value, Vector):
        return atom_at(value, position)
    if isinstance(value, Enumerated):
        return EnumeratedAtom(value.domain, int(value.data[position]))
    if isinstance(value, List):
        return value.items[position]
    if isinstance(value, Table):
        row = collect([item_at(column, position) for column in value.columns])
        return Dictionary(symbols(value.names), row)
    if isinstance(value, Dictionary):
        return item_at(value.values, position)
    return value


def items_of(value: Value) -> list[Value]:
    """List a value's items; an atom or function is its own only item."""
    if isinstance(value, List):
        return list(value.items)
    if isinstance(value, Vector):
        kind = value.type
        if kind is QType.SYMBOL:
            return [Atom(kind, name) for name in INTERNED.names(value.data)]
        if kind is QType.GUID:
            return [Atom(kind, item.tobytes()) for item in value.data]
        return [Atom(kind, item) for item in value.data.tolist()]
    if isinstance(value, Enumerated | Table | Dictionary):
        return [item_at(value, position) for position in range(len(value))]
    return [value]


def collect(items: Sequence[Value]) -> Value:
    """Make the list of items: a vector if all are atoms of one type, a table if all are rows."""
    if not items:
        return List(())
    first = items[0]
    if isinstance(first, Atom):
        kind = first.type
        if all(isinstance(item, Atom) and item.type is kind for item in items):
            return _vector_of(kind, [item.value for item in items])  # type: ignore[union-attr]
    elif isinstance(first, EnumeratedAtom):
        domain = first.domain
        if all(isinstance(item, EnumeratedAtom) and item.domain is domain for item in items):
            positions = [item.position for item in items]  # type: ignore[union-attr]
            return Enumerated(domain, np.array(positions, dtype=np.int64))
    elif isinstance(first, Dictionary) and (rows := _rows(first, items)) is not None:
        return rows
    return List(tuple(items))


def _vector_of(kind: QType, values: Sequence[Any]) -> Vector:
    if kind is QType.SYMBOL:
        return symbols(values)
    if kind is QType.GUID:
        return Vector(kind, np.frombuffer(bytearray(b"".join(values)), dtype="|V16"))
    return Vector(kind, np.array(values, dtype=DTYPES[kind]))


def _rows(first: Dictionary, items: Sequence[Value]) -> Table | None:
    """Make a table of dictionaries with the same symbols as keys."""
    keys = first.keys
    if not isinstance(keys, Vector) or keys.type is not QType.SYMBOL or not len(keys):
        return None
    for item in items:
        if not isinstance(item, Dictionary) or not isinstance(item.keys, Vector):
            return None
        if item.keys.type is not QType.SYMBOL or not np.array_equal(item.keys.data, keys.data):
            return None
    columns = [
        collect([item_at(item.values, number) for item in items])  # type: ignore[union-attr]
        for number in range(len(keys))
    ]
    return Table(tuple(INTERNED.names(keys.data)), tuple(columns))


def text_of(value: Value) -> str | None:
    """Give the text of a string or char atom, None for anything else."""
    if isinstance(value, Vector) and value.type is QType.CHAR:
        return value.data.tobytes().decode("utf-8", "surrogateescape")
    if isinstance(value, Atom) and value.type is QType.CHAR:
        return bytes([int(value.value)]).decode("utf-8", "surrogateescape")
    return None


def name_of(value: Value) -> str | None:
    """Give a symbol atom's name, None for anything else."""
    value = plain(value)
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return str(value.value)
    return None


def names_of(value: Value) -> list[str] | None:
    """Give the names in a symbol atom or symbol vector, None for anything else."""
    value = plain(value)
    if isinstance(value, Vector) and value.type is QType.SYMBOL:
        return INTERNED.names(value.data)
    if isinstance(value, List) and not value.items:
        return []
    name = name_of(value)
    return None if name is None else [name]
