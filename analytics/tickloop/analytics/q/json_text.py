"""JSON: .j.j writes q values, .j.k reads them; numbers become floats, objects dictionaries."""

import json
import math
from typing import Any

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.iso_text import iso
from tickloop.analytics.q.kinds import FLOATING, null_mask
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.spell import string_of
from tickloop.analytics.q.strings import text_bytes
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    Nil,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    chars,
    collect,
    float_,
    is_keyed_table,
    items_of,
    names_of,
    plain,
    symbols,
    text_of,
)

_NUMBERS = frozenset({QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT})


class _Writer:
    """Writes values with a session's precision; infinities as null if asked to."""

    def __init__(self, precision: int, *, infinities_null: bool) -> None:
        self._precision = precision
        self._infinities_null = infinities_null

    def text(self, value: Value) -> str:
        """Write one value."""
        value = plain(value)
        if isinstance(value, Nil):
            return "null"
        text = text_of(value)
        if text is not None:
            return _quoted(text)
        if isinstance(value, Atom):
            return self._atom(value)
        if is_keyed_table(value):
            return self.text(flat(value))
        if isinstance(value, Dictionary):
            return self._object([self._key(key) for key in items_of(value.keys)], value.values)
        if isinstance(value, Table):
            return self._rows(value)
        if isinstance(value, Vector | List):
            return "[" + ",".join(self.text(item) for item in items_of(value)) + "]"
        return _quoted(string_of(value, self._precision))

    def _object(self, keys: list[str], values: Value) -> str:
        parts = zip(keys, items_of(values), strict=True)
        return "{" + ",".join(f"{key}:{self.text(value)}" for key, value in parts) + "}"

    def _rows(self, table: Table) -> str:
        keys = [_quoted(name) for name in table.names]
        columns = [[self.text(item) for item in items_of(column)] for column in table.columns]
        rows = (
            "{" + ",".join(f"{key}:{cell}" for key, cell in zip(keys, row, strict=True)) + "}"
            for row in zip(*columns, strict=True)
        )
        return "[" + ",".join(rows) + "]"

    def _key(self, key: Value) -> str:
        text = text_of(key)
        return _quoted(text if text is not None else string_of(key, self._precision))

    def _atom(self, atom: Atom) -> str:
        if atom.type is QType.BOOLEAN:
            return "true" if atom.value else "false"
        if atom.type in _NUMBERS:
            return self._number(atom)
        return _quoted(iso(atom, self._precision))

    def _number(self, atom: Atom) -> str:
        one = collect([atom])
        assert isinstance(one, Vector)
        if null_mask(one)[0]:
            return "null"
        if atom.type not in FLOATING:
            return str(atom.value)
        number = float(atom.value)
        if math.isinf(number):
            return "null" if self._infinities_null else ("inf" if number > 0 else "-inf")
        return string_of(Atom(QType.FLOAT, number), self._precision)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@register(".j.j", rank=1, session=True)
def to_json(session: Interpreter, value: Value) -> Value:
    """Write a value as JSON."""
    return chars(_Writer(session.precision, infinities_null=False).text(value))


@register(".j.jd", rank=1, session=True)
def to_json_with(session: Interpreter, value: Value) -> Value:
    """Write the first of two items as JSON, by the options in the second: null0w."""
    items = items_of(value)
    if len(items) != 2 or not isinstance(items[1], Dictionary):
        raise type_error("a value and a dictionary of options needed")
    options = dict(zip(_option_names(items[1]), items_of(items[1].values), strict=True))
    infinities_null = _is_set(options.get("null0w"))
    return chars(_Writer(session.precision, infinities_null=infinities_null).text(items[0]))


def _option_names(options: Dictionary) -> list[str]:
    return names_of(options.keys) or []


def _is_set(value: Value | None) -> bool:
    return isinstance(value, Atom) and bool(value.value)


@register(".j.k", rank=1)
def from_json(value: Value) -> Value:
    """Read JSON: arrays of equal objects become tables."""
    text = value
    if isinstance(text, List):
        text = chars(b"\n".join(text_bytes(line) for line in items_of(text)))
    raw = text_bytes(text).decode("utf-8", "surrogateescape")
    try:
        found = json.loads(raw, parse_int=float, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise QError("parse", f"not JSON: {error}") from None
    return _value(found)


class _Object(list[tuple[str, Any]]):
    """An object's pairs, told from an array by their type."""


def _value(found: Any) -> Value:
    if isinstance(found, _Object):
        pairs = {key: _value(item) for key, item in found}
        return Dictionary(symbols(pairs), collect(list(pairs.values())))
    if isinstance(found, list):
        if found and all(type(item) is float or item is None for item in found):
            numbers = [math.nan if item is None else item for item in found]
            return Vector(QType.FLOAT, np.array(numbers, dtype=np.float64))
        return collect([_value(item) for item in found])
    if isinstance(found, bool):
        return boolean(found)
    if isinstance(found, str):
        return chars(found.encode("utf-8", "surrogateescape"))
    return float_(math.nan if found is None else found)
