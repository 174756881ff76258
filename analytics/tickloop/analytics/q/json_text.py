"""Values as JSON text and back: .j.j, .j.jd, .j.k."""

import json
import math
from typing import Any

from tickloop.analytics.q.console_cells import (
    FLOATS,
    TEMPORALS,
    cell,
    float_text,
    is_null,
    number_text,
)
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.spell import spell
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
    name_of,
    names_of,
    plain,
    symbols,
    text_of,
)

_NUMBERS = frozenset({QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT})


@register(".j.j", rank=1, session=True)
def to_json(session: Interpreter, value: Value) -> Value:
    """Write a value as JSON."""
    return chars(_Writer(session.precision, infinite=True).text(value))


@register(".j.jd", rank=1, session=True)
def to_json_with(session: Interpreter, given: Value) -> Value:
    """Write a value as JSON; the option `null0w` writes infinities as null."""
    parts = items_of(given)
    if len(parts) != 2 or not isinstance(parts[1], Dictionary):
        raise type_error(".j.jd takes a value and a dictionary of options")
    options = dict(zip(names_of(parts[1].keys) or [], items_of(parts[1].values), strict=True))
    flag = options.get("null0w")
    finite = isinstance(flag, Atom) and bool(flag.value)
    return chars(_Writer(session.precision, infinite=not finite).text(parts[0]))


class _Writer:
    """How numbers are written: to so many digits, with infinities or without."""

    def __init__(self, precision: int, *, infinite: bool) -> None:
        self.precision = precision
        self.infinite = infinite

    def text(self, value: Value) -> str:
        """Write any value."""
        value = plain(value)
        string = text_of(value)
        if string is not None:
            return quoted(string)
        if isinstance(value, Atom):
            return self._atom(value)
        if isinstance(value, Nil):
            return "null"
        if is_keyed_table(value):
            assert isinstance(value, Dictionary)
            return self._rows(value.keys, value.values)
        if isinstance(value, Dictionary):
            return self._object(value)
        if isinstance(value, Table):
            return self._rows(value)
        if isinstance(value, Vector | List):
            return "[" + ",".join([self.text(item) for item in items_of(value)]) + "]"
        return quoted(spell(value, self.precision))

    def _atom(self, value: Atom) -> str:
        kind, item = value.type, value.value
        if kind is QType.BOOLEAN:
            return "true" if item else "false"
        if is_null(kind, item):
            return "null"
        if kind in _NUMBERS:
            return self._number(kind, item)
        written = cell(kind, item, self.precision)
        if kind in TEMPORALS and kind not in (QType.TIMESPAN,):
            date, mark, clock = written.partition("D" if kind is QType.TIMESTAMP else "T")
            written = date.replace(".", "-") + mark + clock if _has_date(kind) else written
        return quoted(written)

    def _number(self, kind: QType, item: Any) -> str:
        if kind in FLOATS and math.isinf(item):
            return ("inf" if item > 0 else "-inf") if self.infinite else "null"
        if kind in FLOATS:
            return float_text(item, self.precision)
        return number_text(kind, item, self.precision) if abs(item) < 2**62 else str(item)

    def _object(self, value: Dictionary) -> str:
        keys = [self._key(key) for key in items_of(value.keys)]
        texts = [self.text(item) for item in items_of(value.values)]
        return "{" + ",".join(f"{key}:{text}" for key, text in zip(keys, texts, strict=True)) + "}"

    def _key(self, key: Value) -> str:
        name = name_of(key)
        if name is not None:
            return quoted(name)
        string = text_of(key)
        return quoted(spell(key, self.precision) if string is None else string)

    def _rows(self, *tables: Value) -> str:
        names = [quoted(name) for table in tables for name in _table(table).names]
        columns = [column for table in tables for column in _table(table).columns]
        texts = [[self.text(item) for item in items_of(column)] for column in columns]
        rows = [
            "{" + ",".join(f"{name}:{text}" for name, text in zip(names, row, strict=True)) + "}"
            for row in zip(*texts, strict=True)
        ]
        return "[" + ",".join(rows) + "]"


def _table(value: Value) -> Table:
    assert isinstance(value, Table)
    return value


def _has_date(kind: QType) -> bool:
    return kind in (QType.TIMESTAMP, QType.MONTH, QType.DATE, QType.DATETIME)


def quoted(text: str) -> str:
    """Write a JSON string; what is not ASCII stays as it is."""
    return json.dumps(text, ensure_ascii=False)


@register(".j.k", rank=1)
def from_json(text: Value) -> Value:
    """Read JSON: numbers as floats, null as 0n, objects as dictionaries, rows as tables."""
    source = text_of(text)
    if source is None:
        raise type_error(".j.k takes a string of JSON")
    try:
        found = json.loads(source, object_pairs_hook=_Object, strict=False)
    except json.JSONDecodeError as error:
        raise QError("json", f"{error.msg} at {error.pos} of {len(source)} characters") from None
    return _value(found)


class _Object(list[tuple[str, Any]]):
    """The entries of a JSON object, in their order."""


def _value(found: Any) -> Value:
    if isinstance(found, _Object):
        return Dictionary(symbols(key for key, _ in found), collect([_value(v) for _, v in found]))
    if isinstance(found, list):
        return collect([_value(item) for item in found])
    if isinstance(found, str):
        return chars(found)
    if isinstance(found, bool):
        return boolean(found)
    return float_(math.nan if found is None else float(found))
