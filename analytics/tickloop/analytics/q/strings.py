"""Strings: like, ss and ssr, trim, upper and lower."""

import re
from collections.abc import Callable

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.kinds import booleans, longs, null_mask
from tickloop.analytics.q.patterns import matcher, searcher
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import (
    Array,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    chars,
    collect,
    is_function,
    plain,
    symbol,
    text_of,
)

Match = Callable[[bytes], bool]


@register("like", rank=2, operator=True)
def like(left: Value, right: Value) -> Value:
    """Tell which symbols or strings match a pattern of ? * [..] [^..]."""
    pattern = _raw(right)
    if pattern is None and isinstance(right, List) and not right.items:
        pattern = b""
    if pattern is None:
        raise type_error("a pattern, as a string, needed on the right of like")
    return _like(plain(left), matcher(pattern))


def _raw(value: Value) -> bytes | None:
    """Give the bytes of a string or char, None for anything else."""
    if isinstance(value, Vector) and value.type is QType.CHAR:
        return value.data.tobytes()
    if isinstance(value, Atom) and value.type is QType.CHAR:
        return bytes([int(value.value)])
    return None


def text_bytes(value: Value) -> bytes:
    """Give the bytes of a string or char; 'type for anything else."""
    raw = _raw(value)
    if raw is None:
        raise type_error("a string needed")
    return raw


def _name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _like(value: Value, match: Match) -> Value:
    raw = _raw(value)
    if raw is not None:
        return boolean(match(raw))
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return boolean(match(_name_bytes(str(value.value))))
    if isinstance(value, Vector) and value.type is QType.SYMBOL:
        return booleans(_like_symbols(value.data, match))
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, _like(plain(value.values), match))
    if isinstance(value, List):
        if not value.items:
            return booleans([])
        return collect([_like(plain(item), match) for item in value.items])
    raise type_error("symbols or strings needed on the left of like")


def _like_symbols(ids: Array, match: Match) -> Array:
    """Match every symbol once, however often it stands."""
    if not len(ids):
        return np.empty(0, dtype=np.bool_)
    known = np.zeros(len(INTERNED), dtype=np.bool_)
    known[ids] = True
    for number in np.flatnonzero(known).tolist():
        known[number] = match(_name_bytes(INTERNED.name(number)))
    return known[ids]


@register("ss", rank=2, operator=True)
def ss(left: Value, right: Value) -> Value:
    """Give the positions at which a pattern stands in a string."""
    text, pattern = _raw(left), _raw(right)
    if text is None or pattern is None:
        raise type_error("a string, and a pattern as a string, needed")
    if not pattern:
        raise QError("length", "an empty pattern seen, one char or more needed")
    return longs([found.start() for found in searcher(pattern).finditer(text)])


@register("ssr", rank=3, session=True)
def ssr(session: Interpreter, text: Value, pattern: Value, replacement: Value) -> Value:
    """Replace what a pattern finds by a string, or by what a function makes of it."""
    raw, wanted = _raw(text), _raw(pattern)
    if raw is None or wanted is None:
        raise type_error("a string, and a pattern as a string, needed")
    if not wanted:
        raise QError("length", "an empty pattern seen, one char or more needed")

    def replaced(found: re.Match[bytes]) -> bytes:
        value = replacement
        if is_function(replacement):
            value = session.apply(replacement, [chars(found.group())])
        made = _raw(value)
        if made is None:
            raise type_error("a string, or a function that gives one, needed as the replacement")
        return made

    return chars(searcher(wanted).sub(replaced, raw))


def _trimmed(value: Value, *, left: bool, right: bool) -> Value:
    if isinstance(value, Vector):
        known = np.flatnonzero(~null_mask(value))
        if not len(known):
            return Vector(value.type, value.data[:0])
        first = int(known[0]) if left else 0
        stop = int(known[-1]) + 1 if right else len(value)
        return Vector(value.type, value.data[first:stop])
    return through(value, lambda item: _trimmed(item, left=left, right=right))


def through(value: Value, change: Callable[[Value], Value]) -> Value:
    """Change every item of a list, dictionary or table; other values stay."""
    if isinstance(value, List):
        return collect([change(item) for item in value.items])
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, change(value.values))
    if isinstance(value, Table):
        return Table(value.names, tuple(change(column) for column in value.columns))
    return value


@register("trim", rank=1)
def trim(value: Value) -> Value:
    """Leave out nulls (blanks) at both ends."""
    return _trimmed(value, left=True, right=True)


@register("ltrim", rank=1)
def ltrim(value: Value) -> Value:
    """Leave out nulls (blanks) at the front."""
    return _trimmed(value, left=True, right=False)


@register("rtrim", rank=1)
def rtrim(value: Value) -> Value:
    """Leave out nulls (blanks) at the end."""
    return _trimmed(value, left=False, right=True)


def _case_table(fold: Callable[[bytes], bytes]) -> Array:
    return np.frombuffer(fold(bytes(range(256))), dtype=np.uint8)


_LOWER = _case_table(bytes.lower)
_UPPER = _case_table(bytes.upper)


@register("lower", rank=1)
def lower(value: Value) -> Value:
    """Write letters small; letters of other alphabets than a to z stay."""
    return _cased(value, _LOWER)


@register("upper", rank=1)
def upper(value: Value) -> Value:
    """Write letters large; letters of other alphabets than a to z stay."""
    return _cased(value, _UPPER)


def _cased(value: Value, table: Array) -> Value:
    value = plain(value)
    if isinstance(value, Vector) and value.type is QType.CHAR:
        return Vector(QType.CHAR, table[value.data])
    if isinstance(value, Atom) and value.type is QType.CHAR:
        return Atom(QType.CHAR, int(table[int(value.value)]))
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return symbol(_cased_name(str(value.value), table))
    if isinstance(value, Vector) and value.type is QType.SYMBOL:
        names, places = np.unique(value.data, return_inverse=True)
        cased = [_cased_name(name, table) for name in INTERNED.names(names)]
        return Vector(QType.SYMBOL, INTERNED.ids(cased)[places])
    if isinstance(value, Atom | Vector):
        raise type_error(f"{value.type.name.lower()} seen, chars or symbols needed")
    return through(value, lambda item: _cased(item, table))


def _cased_name(name: str, table: Array) -> str:
    text = text_of(Vector(QType.CHAR, table[chars(name).data]))
    assert text is not None
    return text
