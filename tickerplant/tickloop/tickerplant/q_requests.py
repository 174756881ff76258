"""The fixed vocabulary of a tickerplant: calls and short texts to requests, nothing evaluated.

Each is accepted as a call list, with the function's name as a symbol or as text, and as the text
that people type: ``(`.u.sub;`trade;`AAPL`MSFT)``, ``(".u.upd";`trade;data)``, ``tables[]``.
Everything else is not recognised, and is for an engine to answer or refuse.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from tickloop.core.clock import EPOCH_DATE
from tickloop.tickerplant.q_values import (
    IDENTITY,
    Atom,
    Dictionary,
    List,
    QType,
    Value,
    name_of,
    names_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Sub:
    """Subscribe; no tables means all, no symbols means all. Options are the caller's own."""

    tables: tuple[str, ...]
    symbols: tuple[str, ...]
    options: Dictionary | None = None


@dataclass(frozen=True, slots=True)
class RdbCall:
    """A kdb+ RDB's opening call: subscribe, and say how long the log is and where it lies."""

    sub: Sub


@dataclass(frozen=True, slots=True)
class Upd:
    """Publish rows: a table, column vectors, or the atoms of one row."""

    table: str
    data: Value


@dataclass(frozen=True, slots=True)
class End:
    """The day ends; days since 2000-01-01, None where the caller gave no date."""

    day: int | None


@dataclass(frozen=True, slots=True)
class Tables:
    """Ask for the tables' names."""


@dataclass(frozen=True, slots=True)
class Cols:
    """Ask for a table's column names."""

    table: str


@dataclass(frozen=True, slots=True)
class Meta:
    """Ask for a table's columns and types."""

    table: str


@dataclass(frozen=True, slots=True)
class Count:
    """Ask for a table's number of rows."""

    table: str


@dataclass(frozen=True, slots=True)
class Name:
    """Ask for the value of a name: a table, or `.u.i`, `.u.L` and their kind."""

    name: str


Request = Sub | RdbCall | Upd | End | Tables | Cols | Meta | Count | Name

_NAME = r"\.?[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*"
_SYMBOLS = r"(?:`[A-Za-z0-9_.:/]*)+"
_SUB = rf"\.u\.sub\s*\[\s*({_SYMBOLS})\s*;\s*({_SYMBOLS})\s*\]"
# A word and what it is applied to: `cols trade`, cols`trade, cols[trade], cols[`trade].
_OF_TABLE = re.compile(rf"(cols|meta|count)(?:\s*\[\s*`?({_NAME})\s*\]|\s*`({_NAME})|\s+({_NAME}))")
_TABLES = re.compile(r"tables(?:\s*\[\s*(?:`\.?)?\s*\]|\s*`\.?)?")
_SUB_TEXT = re.compile(_SUB)
_RDB_TEXT = re.compile(rf"\(\s*{_SUB}\s*;\s*`?\.u\s*(?:`i`L|\[\s*`i`L\s*\])\s*\)")
_END_TEXT = re.compile(r"\.u\.end\s*\[?\s*(?:(\d{4})\.(\d\d)\.(\d\d))?\s*\]?")
_NAME_TEXT = re.compile(_NAME)
_OF_TABLE_MAKERS: dict[str, type[Cols] | type[Meta] | type[Count]] = {
    "cols": Cols,
    "meta": Meta,
    "count": Count,
}


def recognise(value: Value) -> Request | None:
    """Read a decoded message as one of the known requests, or None."""
    text = text_of(value)
    if text is not None:
        # Single spaces keep the patterns linear in the length of hostile text.
        return _from_text(" ".join(text.split()))
    name = name_of(value)
    if name is not None:
        return Name(name) if name else None
    if isinstance(value, List) and value.items:
        function = text_of(value.items[0]) or name_of(value.items[0])
        reader = _CALLS.get(function.strip()) if function else None
        return reader(value.items[1:]) if reader else None
    return None


def _from_text(text: str) -> Request | None:
    for pattern, reader in _TEXTS:
        found = pattern.fullmatch(text)
        if found is not None:
            return reader(found)
    return None


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """Read a list of names in which the empty one stands for all."""
    return () if "" in names else tuple(names)


def _sub_text(found: re.Match[str]) -> Request:
    tables, symbols = (group[1:].split("`") for group in found.groups())
    return Sub(_named(tables), _named(symbols))


def _rdb_text(found: re.Match[str]) -> Request:
    sub = _sub_text(found)
    assert isinstance(sub, Sub)
    return RdbCall(sub)


def _of_table_text(found: re.Match[str]) -> Request:
    table = found[2] or found[3] or found[4]
    return _OF_TABLE_MAKERS[found[1]](table)


def _end_text(found: re.Match[str]) -> Request | None:
    if found[1] is None:
        return End(None)
    try:
        day = date(*map(int, found.groups()))
    except ValueError:
        return None
    return End((day - EPOCH_DATE).days)


_TEXTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Request | None]], ...] = (
    (_TABLES, lambda found: Tables()),
    (_OF_TABLE, _of_table_text),
    (_SUB_TEXT, _sub_text),
    (_RDB_TEXT, _rdb_text),
    (_END_TEXT, _end_text),
    (_NAME_TEXT, lambda found: Name(found[0])),
)


def _sub_call(arguments: Sequence[Value]) -> Request | None:
    if not 1 <= len(arguments) <= 3:
        return None
    tables = names_of(arguments[0])
    symbols = names_of(arguments[1]) if len(arguments) > 1 else [""]
    options = arguments[2] if len(arguments) == 3 else None
    if tables is None or symbols is None or not (options is None or _is_options(options)):
        return None
    return Sub(
        _named(tables), _named(symbols), options if isinstance(options, Dictionary) else None
    )


def _is_options(value: Value) -> bool:
    return value == IDENTITY or isinstance(value, Dictionary)


def _upd_call(arguments: Sequence[Value]) -> Request | None:
    table = name_of(arguments[0]) if len(arguments) == 2 else None
    return Upd(table, arguments[1]) if table else None


def _end_call(arguments: Sequence[Value]) -> Request | None:
    if not arguments or arguments[0] == IDENTITY:
        return End(None)
    day = arguments[0]
    if len(arguments) == 1 and isinstance(day, Atom) and day.type is QType.DATE:
        assert isinstance(day.value, int)
        return End(day.value)
    return None


def _tables_call(arguments: Sequence[Value]) -> Request | None:
    if len(arguments) > 1 or (arguments and arguments[0] != IDENTITY):
        return Tables() if len(arguments) == 1 and name_of(arguments[0]) in ("", ".") else None
    return Tables()


def _of_table_call(make: Callable[[str], Request]) -> Callable[[Sequence[Value]], Request | None]:
    def read(arguments: Sequence[Value]) -> Request | None:
        name = name_of(arguments[0]) if len(arguments) == 1 else None
        return make(name) if name else None

    return read


_CALLS: dict[str, Callable[[Sequence[Value]], Request | None]] = {
    ".u.sub": _sub_call,
    ".u.upd": _upd_call,
    "upd": _upd_call,
    ".u.end": _end_call,
    "tables": _tables_call,
    "cols": _of_table_call(Cols),
    "meta": _of_table_call(Meta),
    "count": _of_table_call(Count),
    "get": _of_table_call(Name),
    "value": _of_table_call(Name),
}
