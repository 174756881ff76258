"""The engine's values to and from those of the q wire; columns are not copied where they agree."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    DTYPES,
    MISSING,
    NIL,
    Adverb,
    Atom,
    Attribute,
    Builtin,
    Composition,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    Iterated,
    Lambda,
    List,
    Missing,
    Nil,
    Projection,
    QType,
    Simple,
    Table,
    Value,
    Vector,
    plain,
)
from tickloop.analytics.q.wire_functions import (
    ITERATORS,
    OPEN,
    builtin_of,
    number_of,
    spelling_of,
)
from tickloop.analytics.q.wire_symbols import from_symbols, to_symbols
from tickloop.tickerplant import q_values as q

_ITERATED_MIN, _ITERATED_MAX = 106, 111


class Functions(Protocol):
    """Makes a function of its q text and the namespace it was written in."""

    def __call__(self, source: str, namespace: str) -> Value:
        """Parse a function; QError if the text is none."""
        ...


def no_functions(source: str, namespace: str) -> Value:
    """Refuse functions, where nothing can run them."""
    raise QError("type", f"the function {source[:60]!r} seen, data expected")


def to_wire(value: Value) -> q.Value:
    """Turn a value into what travels: enumerations resolved, functions by number or text.

    QError for what cannot travel.
    """
    return _WRITERS[type(value)](value)


def from_wire(value: q.Value, functions: Functions = no_functions) -> Value:
    """Turn what arrived into a value; `functions` makes those that came as text."""
    return _READERS[type(value)](value, functions)


# To the wire


def _atom_out(value: Atom) -> q.Value:
    kind = value.type
    if kind is QType.SYMBOL:
        return q.symbol(_until_nul(str(value.value)))
    if kind is QType.GUID:
        return q.Atom(kind, value.value)
    if isinstance(value.value, np.generic):
        return q.Atom(kind, value.value.item())
    return q.Atom(kind, int(value.value) if kind is QType.BOOLEAN else value.value)


def _until_nul(name: str) -> str:
    """Give what of a name can travel: a NUL ends it."""
    return name.partition("\0")[0]


def _vector_out(value: Vector) -> q.Value:
    if value.type is QType.SYMBOL:
        return to_symbols(value.data, value.attribute)
    data = np.ascontiguousarray(value.data)
    if value.type is QType.BOOLEAN:
        data = data.view(np.uint8)
    return q.Vector(value.type, data, value.attribute)


def _enumerated_out(value: Enumerated | EnumeratedAtom) -> q.Value:
    return to_wire(plain(value))


def _list_out(value: List) -> q.Value:
    return q.List(tuple([to_wire(item) for item in value.items]), value.attribute)


def _dictionary_out(value: Dictionary) -> q.Value:
    is_sorted = value.attribute is Attribute.SORTED
    return q.Dictionary(_column_out(value.keys), _column_out(value.values), is_sorted)


def _table_out(value: Table) -> q.Value:
    columns = tuple([_column_out(column) for column in value.columns])
    return q.Table(
        q.symbols(map(_until_nul, value.names)), columns, value.attribute is Attribute.SORTED
    )


def _column_out(value: Value) -> q.Value:
    found = to_wire(value)
    if q.is_atom(found):
        raise QError("type", "an atom seen where a list of keys, values or rows was expected")
    return found


def _lambda_out(value: Lambda) -> q.Value:
    return q.Lambda(value.namespace.removeprefix("."), value.source)


def _builtin_out(value: Builtin) -> q.Value:
    number = number_of(value)
    return q.Lambda("", spelling_of(value)) if number is None else q.Primitive(*number)


def _projection_out(value: Projection) -> q.Value:
    return q.Derived(104, tuple([to_wire(part) for part in (value.function, *value.arguments)]))


def _composition_out(value: Composition) -> q.Value:
    return q.Derived(105, tuple([to_wire(part) for part in value.functions]))


def _iterated_out(value: Iterated) -> q.Value:
    kind = _ITERATED_MIN + ITERATORS.index(value.iterator)
    return q.Derived(kind, (to_wire(value.function),))


def _adverb_out(value: Adverb) -> q.Value:
    return q.Primitive(103, ITERATORS.index(value.iterator))


def _nil_out(value: Nil) -> q.Value:
    return q.IDENTITY


def _missing_out(value: Missing) -> q.Value:
    return q.Primitive(101, OPEN)


_WRITERS: dict[type, Callable[[Any], q.Value]] = {
    Atom: _atom_out,
    Vector: _vector_out,
    Enumerated: _enumerated_out,
    EnumeratedAtom: _enumerated_out,
    List: _list_out,
    Dictionary: _dictionary_out,
    Table: _table_out,
    Lambda: _lambda_out,
    Builtin: _builtin_out,
    Projection: _projection_out,
    Composition: _composition_out,
    Iterated: _iterated_out,
    Adverb: _adverb_out,
    Nil: _nil_out,
    Missing: _missing_out,
}


# From the wire


def _atom_in(value: q.Atom, functions: Functions) -> Value:
    simple: Simple = value.value
    if value.type is QType.BOOLEAN:
        simple = bool(simple)
    return Atom(value.type, simple)


def _vector_in(value: q.Vector, functions: Functions) -> Value:
    data = value.data.view(DTYPES[value.type])
    return Vector(value.type, data, _kept(value.type, data, value.attribute))


def _kept(kind: QType, data: np.ndarray[Any, Any], attribute: Attribute) -> Attribute:
    """Keep a peer's promise only where it is cheap to check that it is true."""
    if attribute is not Attribute.SORTED or kind is QType.GUID:
        return Attribute.NONE
    return attribute if bool((data[:-1] <= data[1:]).all()) else Attribute.NONE


def _symbols_in(value: q.SymbolVector, functions: Functions) -> Value:
    ids = from_symbols(value)
    if value.attribute is not Attribute.SORTED:
        return Vector(QType.SYMBOL, ids)
    ranks = INTERNED.ranks()[ids]
    is_sorted = bool((ranks[:-1] <= ranks[1:]).all())
    return Vector(QType.SYMBOL, ids, Attribute.SORTED if is_sorted else Attribute.NONE)


def _items_in(items: Sequence[q.Value], functions: Functions) -> tuple[Value, ...]:
    return tuple([from_wire(item, functions) for item in items])


def _list_in(value: q.List, functions: Functions) -> Value:
    return List(_items_in(value.items, functions))


def _dictionary_in(value: q.Dictionary, functions: Functions) -> Value:
    return Dictionary(from_wire(value.keys, functions), from_wire(value.values, functions))


def _table_in(value: q.Table, functions: Functions) -> Value:
    return Table(tuple(value.names.names), _items_in(value.columns, functions))


def _lambda_in(value: q.Lambda, functions: Functions) -> Value:
    return functions(value.source, f".{value.context}" if value.context else "")


def _primitive_in(value: q.Primitive, functions: Functions) -> Value:
    if value.type == 103:
        if value.code >= len(ITERATORS):
            raise QError("type", f"iterator {value.code} seen, 0 to {len(ITERATORS) - 1} expected")
        return Adverb(ITERATORS[value.code])
    if value.type == 101 and value.code in (0, OPEN):
        return MISSING if value.code else NIL
    found = builtin_of(value.type, value.code)
    if found is None:
        raise QError("nyi", f"the built-in function of type {value.type}, number {value.code}")
    return found


def _derived_in(value: q.Derived, functions: Functions) -> Value:
    parts = _items_in(value.parts, functions)
    if not parts:
        raise QError("type", f"a function of type {value.type} without parts")
    if value.type == 104:
        return Projection(parts[0], parts[1:])
    if value.type == 105:
        return Composition(parts)
    return Iterated(ITERATORS[value.type - _ITERATED_MIN], parts[0])


def _signal_in(value: q.Signal, functions: Functions) -> Value:
    name, _, sentence = value.text.partition(": ")
    raise QError(name, sentence)


_READERS: dict[type, Callable[[Any, Functions], Value]] = {
    q.Atom: _atom_in,
    q.Vector: _vector_in,
    q.SymbolVector: _symbols_in,
    q.List: _list_in,
    q.Dictionary: _dictionary_in,
    q.Table: _table_in,
    q.Lambda: _lambda_in,
    q.Primitive: _primitive_in,
    q.Derived: _derived_in,
    q.Signal: _signal_in,
}
