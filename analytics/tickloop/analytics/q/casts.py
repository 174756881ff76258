"""The verb `$`: casts by name, letter or number, and the other things that it is."""

import numpy as np

from tickloop.analytics.q import tok
from tickloop.analytics.q.enumerations import enumerate_by
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.extremes import array_of, shaped
from tickloop.analytics.q.lift import Simple, lift
from tickloop.analytics.q.matrices import is_matrix, product
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.temporal import PARTS, accessor
from tickloop.analytics.q.units import cast
from tickloop.analytics.q.values import (
    DTYPES,
    TYPE_CHARS,
    Atom,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    collect,
    count_of,
    is_list,
    items_of,
    text_of,
    type_of,
    vector,
)

TYPES_BY_NAME = {kind.name.lower(): kind for kind in TYPE_CHARS}
_TYPES_BY_LETTER = {letter: kind for kind, letter in TYPE_CHARS.items()}
_IDS = (QType.GUID, QType.SYMBOL)
_WIDTHS = (QType.INT, QType.LONG)


def cast_to(kind: QType, value: Value) -> Value:
    """Cast every part of a value; an empty list becomes an empty vector."""
    if isinstance(value, List) and not value.items:
        return Vector(kind, np.zeros(0, dtype=DTYPES[kind]))
    if isinstance(value, Enumerated | EnumeratedAtom) and kind is not QType.SYMBOL:
        return _positions(value, kind)
    if isinstance(value, List):
        return collect([cast_to(kind, item) for item in value.items])
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, cast_to(kind, value.values))
    if isinstance(value, Table):
        return Table(value.names, tuple(cast_to(kind, column) for column in value.columns))
    if kind is QType.SYMBOL and text_of(value) is not None:
        return tok.parse(kind, value)
    return lift(lambda simple: _cast_simple(kind, simple), value)


def _positions(value: Enumerated | EnumeratedAtom, kind: QType) -> Value:
    if isinstance(value, EnumeratedAtom):
        return cast_to(kind, Atom(QType.LONG, value.position))
    return cast_to(kind, vector(QType.LONG, value.data))


def _cast_simple(kind: QType, value: Simple) -> Value:
    if value.type is kind:
        return value
    if value.type in _IDS or kind in _IDS:
        seen = f"{value.type.name.lower()} to {kind.name.lower()}"
        raise type_error(f"a cast of {seen} seen; `$string x makes symbols")
    return shaped(kind, cast(array_of(value), value.type, kind), value)


@register("$", rank=2, operator=True, session=True)
def dollar(session: Interpreter, left: Value, right: Value) -> Value:
    """Cast, parse text, pad, enumerate or multiply matrices, by what is on the left."""
    if isinstance(left, Atom):
        return _by_atom(session, left, right)
    if is_matrix(left) and is_matrix(right):
        return product(left, right)
    if isinstance(left, Vector | List):
        return _by_list(session, left, right)
    raise type_error(
        f"{type_of(left)}h on the left of $ seen; a type's name, letter or number needed"
    )


def _by_atom(session: Interpreter, left: Atom, right: Value) -> Value:
    if left.type is QType.SYMBOL:
        return _by_name(session, str(left.value), right)
    if left.type is QType.CHAR:
        return _by_letter(chr(int(left.value)), right)
    if left.type is QType.SHORT:
        return _by_number(int(left.value), right)
    if left.type in _WIDTHS:
        return pad(int(left.value), right)
    raise type_error(f"a {left.type.name.lower()} on the left of $ seen")


def _by_name(session: Interpreter, name: str, right: Value) -> Value:
    if name == "":
        return tok.parse(QType.SYMBOL, right)
    kind = TYPES_BY_NAME.get(name)
    if kind is not None:
        return cast_to(kind, right)
    if name in PARTS:
        return accessor(right, name)
    return enumerate_by(session, name, right)


def _by_letter(letter: str, right: Value) -> Value:
    if letter == "*":
        return right
    kind = _TYPES_BY_LETTER.get(letter.lower())
    if kind is None:
        raise type_error(f'"{letter}"$ seen; no type has this letter')
    return cast_to(kind, right) if letter.islower() else tok.parse(kind, right)


def _by_number(number: int, right: Value) -> Value:
    if number == 0:
        return right
    try:
        kind = QType(abs(number))
    except ValueError:
        raise type_error(f"{number}h$ seen; no type has this number") from None
    return cast_to(kind, right) if number > 0 else tok.parse(kind, right)


def _by_list(session: Interpreter, left: Vector | List, right: Value) -> Value:
    """Cast item by item; text on the right stays whole under what parses text."""
    lefts = items_of(left)
    whole = not is_list(right) or (text_of(right) is not None and all(map(tok.parses, lefts)))
    if whole:
        return collect([dollar(session, one, right) for one in lefts])
    if len(left) != count_of(right):
        raise length_error(len(left), count_of(right))
    pairs = zip(lefts, items_of(right), strict=True)
    return collect([dollar(session, one, other) for one, other in pairs])


def pad(width: int, value: Value) -> Value:
    """Make strings of a width, to the right of blanks if it is negative; longer ones are cut."""
    text = text_of(value)
    if text is not None and isinstance(value, Vector):
        return _padded(width, value)
    if isinstance(value, List):
        return collect([pad(width, item) for item in value.items])
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, pad(width, value.values))
    if isinstance(value, Table):
        return Table(value.names, tuple(pad(width, column) for column in value.columns))
    if text is not None:
        return _padded(width, chars(text))
    raise QError("type", "a string needed on the right of a width; a short on the left casts")


def _padded(width: int, value: Vector) -> Vector:
    raw, size = value.data.tobytes(), abs(width)
    return chars(raw[:size].ljust(size) if width >= 0 else raw[-size:].rjust(size))
