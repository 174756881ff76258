"""Functions of `.Q` that only compute: dates, names, tables, memory."""

import re
import resource

import numpy as np

from tickloop.analytics.q.calendar import first_days, months_of
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import factorize
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.selection import nulls_like, pick
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.table_verbs import key_names, rekeyed
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    is_atom,
    is_keyed_table,
    is_list,
    items_of,
    long,
    name_of,
    names_of,
    plain,
    symbol,
    symbols,
    text_of,
)
from tickloop.analytics.q.words import RESERVED

_MEMORY = ("used", "heap", "peak", "wmax", "mmap", "mphy", "syms", "symw")


@register(".Q.addmonths", rank=2)
def addmonths(days: Value, months: Value) -> Value:
    """Move dates by months; days that a month lacks run into the next."""
    dates, counts = _numbers(days), _numbers(months)
    known = months_of(dates)
    moved = first_days(known + counts) + (dates - first_days(known))
    if is_atom(days) and is_atom(months):
        return Atom(QType.DATE, int(moved[0]))
    return Vector(QType.DATE, np.ascontiguousarray(moved, dtype=np.int32))


def _numbers(value: Value) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    value = collect([value]) if is_atom(value) else value
    if not isinstance(value, Vector) or value.data.dtype.kind != "i":
        raise type_error("dates and counts of months needed")
    return value.data.astype(np.int64)


@register(".Q.id", rank=1)
def id_(value: Value) -> Value:
    """Make names that q text can hold: of a symbol, a dictionary's keys, a table's columns."""
    if isinstance(value, Table):
        return Table(tuple(_different(value.names)), value.columns)
    if isinstance(value, Dictionary):
        keys = id_(value.keys) if not isinstance(value.keys, Table) else value.keys
        if is_keyed_table(value):
            table = flat(value)
            return rekeyed(value, Table(tuple(_different(table.names)), table.columns))
        return Dictionary(keys, value.values)
    names = names_of(value)
    if names is None:
        raise type_error("symbols or a table needed")
    return symbol(_sound(names[0])) if is_atom(value) else symbols(_different(names))


def _sound(name: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9_]", "", name)
    if not kept:
        return "a"
    if kept in RESERVED:
        return kept + "1"
    return kept if kept[0].isalpha() else "a" + kept


def _different(names: "tuple[str, ...] | list[str]") -> list[str]:
    """Make sound names, with a number behind those that are there already."""
    made: list[str] = []
    for name in map(_sound, names):
        number, tried = 0, name
        while tried in made:
            number += 1
            tried = f"{name}{number}"
        made.append(tried)
    return made


@register(".Q.dd", rank=2)
def dd(left: Value, right: Value) -> Value:
    """Join a symbol and what text there is on the right by a dot."""
    first, second = name_of(left), text_of(right)
    second = second if second is not None else name_of(right)
    if first is None or second is None:
        raise type_error("a symbol and a symbol or char needed")
    return symbol(f"{first}.{second}")


@register(".Q.ff", rank=2)
def ff(left: Value, right: Value) -> Value:
    """Add to a table the columns of another that it lacks, all null."""
    table, other = flat(left), flat(right)
    missing = [name for name in other.names if name not in table.names]
    added = tuple(nulls_like(other.column(name), len(table)) for name in missing)
    return rekeyed(left, Table((*table.names, *missing), table.columns + added))


@register(".Q.fu", rank=2, session=True)
def fu(session: Interpreter, function: Value, value: Value) -> Value:
    """Apply a function to the different items of a list, and spread what it gives."""
    if not is_list(value):
        return session.apply(function, [value])
    codes = factorize(value)
    answers = session.apply(function, [pick(value, codes.firsts)])
    return pick(answers, codes.codes)


@register(".Q.fc", rank=2, session=True)
def fc(session: Interpreter, function: Value, value: Value) -> Value:
    """Apply a function to a list; in one piece, as there is one thread."""
    return session.apply(function, [value])


@register(".Q.ft", rank=2, session=True)
def ft(session: Interpreter, function: Value, value: Value) -> Value:
    """Apply a function to a table without its keys, and key the result again."""
    if not key_names(value):
        return session.apply(function, [value])
    return rekeyed(value, flat(session.apply(function, [flat(value)])))


@register(".Q.qt", rank=1)
def qt(value: Value) -> Value:
    """Tell whether a value is a table."""
    return boolean(isinstance(value, Table) or is_keyed_table(value))


@register(".Q.V", rank=1, session=True)
def columns(session: Interpreter, value: Value) -> Value:
    """Give a table, or the one that a name holds, as a dictionary of its columns."""
    name = name_of(value)
    table = flat(session.get(name) if name is not None else value)
    return Dictionary(symbols(table.names), List(table.columns))


@register(".Q.v", rank=1, session=True)
def held(session: Interpreter, value: Value) -> Value:
    """Give what a name holds, anything else as it is."""
    name = name_of(value)
    return value if name is None else session.get(name)


@register(".Q.ind", rank=2, session=True)
def ind(session: Interpreter, table: Value, positions: Value) -> Value:
    """Give the rows of a table at positions."""
    return session.apply(table, [positions])


@register(".Q.w", rank=1)
def memory(_: Value) -> Value:
    """Give the memory of this process in bytes, and how many symbols there are."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss * 1024
    names = INTERNED.names(np.arange(len(INTERNED)))
    letters = sum(len(name) + 1 for name in names)
    sizes = longs([peak, peak, peak, 0, 0, 0, len(names), letters])
    return Dictionary(symbols(_MEMORY), sizes)


@register(".Q.gc", rank=1)
def collect_garbage(_: Value) -> Value:
    """Give back unused memory: none is held back here."""
    return long(0)


@register(".Q.def", rank=2, session=True)
def with_defaults(session: Interpreter, defaults: Value, given: Value) -> Value:
    """Read options by the types of their defaults."""
    if not isinstance(defaults, Dictionary) or not isinstance(given, Dictionary):
        raise type_error("a dictionary of defaults and one of strings needed")
    wanted, texts = names_of(defaults.keys) or [], names_of(given.keys) or []
    found = dict(zip(texts, items_of(given.values), strict=True))
    read = [
        _option(session, default, found[name]) if name in found else default
        for name, default in zip(wanted, items_of(defaults.values), strict=True)
    ]
    extra = [name for name in texts if name not in wanted]
    return Dictionary(symbols([*wanted, *extra]), collect([*read, *(found[n] for n in extra)]))


def _option(session: Interpreter, default: Value, texts: Value) -> Value:
    kind = plain(default)
    if not isinstance(kind, Atom | Vector):
        return texts
    letter = Atom(QType.SHORT, -int(kind.type))
    read = call(session, "$", letter, texts)
    if isinstance(kind, Atom) and is_list(read):
        items = items_of(read)
        if not items:
            raise QError("length", "an option without a value seen")
        return items[0]
    return read
