"""Small tools of the .Q namespace: months, joined symbols, options, tables of nulls."""

import ipaddress

import numpy as np

from tickloop.analytics.q.blocks import BLOCKS
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    count_of,
    is_keyed_table,
    is_list,
    item_at,
    items_of,
    long,
    name_of,
    names_of,
    null,
    plain,
    symbol,
    symbols,
    text_of,
    vector,
)

_LOOPBACK = int(ipaddress.IPv4Address("127.0.0.1"))
_EPOCH = np.datetime64("2000-01-01", "D")


@register(".Q.addmonths", rank=2)
def add_months(dates: Value, months: Value) -> Value:
    """Move dates by months; a day that the month lacks goes on into the next one."""
    day, step = _whole(dates, QType.DATE), _whole(months, None)
    known = (day != NULLS[QType.DATE]) & (step > -(2**31))
    moments = _EPOCH + np.where(known, day, 0)
    firsts = moments.astype("datetime64[M]")
    moved = (firsts + np.where(known, step, 0)).astype("datetime64[D]")
    found = ((moved - _EPOCH) + (moments - firsts.astype("datetime64[D]"))).astype(np.int64)
    result = np.where(known, found, NULLS[QType.DATE])
    if result.ndim == 0:
        return Atom(QType.DATE, int(result))
    return vector(QType.DATE, result)


def _whole(value: Value, kind: QType | None) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    allowed = {QType.SHORT, QType.INT, QType.LONG} if kind is None else {kind}
    if isinstance(value, Vector) and value.type in allowed:
        return value.data.astype(np.int64)
    if isinstance(value, Atom) and value.type in allowed:
        return np.asarray(int(value.value), dtype=np.int64)
    raise type_error(".Q.addmonths takes dates and whole numbers of months")


@register(".Q.dd", rank=2, session=True)
def dotted(session: Interpreter, first: Value, rest: Value) -> Value:
    """Join symbols by dots, or a path by slashes."""
    texts = call(session, "string", rest)
    last = [text_of(texts)] if text_of(texts) is not None else map(text_of, items_of(texts))
    names = [*(names_of(first) or []), *[text or "" for text in last]]
    return call(session, "sv", symbol(""), symbols(names))


@register(".Q.qt", rank=1)
def is_table(value: Value) -> Value:
    """Tell whether a value is a table, keyed or not."""
    return boolean(isinstance(value, Table) or is_keyed_table(value))


@register(".Q.V", rank=1, session=True)
def columns_of(session: Interpreter, table: Value) -> Value:
    """Give a table as a dictionary of its columns."""
    name = name_of(table)
    found = _table(session.get(name) if name is not None else table)
    return Dictionary(symbols(found.names), List(found.columns))


@register(".Q.v", rank=1, session=True)
def value_of(session: Interpreter, value: Value) -> Value:
    """Give the value of a name, anything else as it is."""
    name = name_of(value)
    return value if name is None else session.get(name)


def _table(value: Value) -> Table:
    if isinstance(value, Table):
        return value
    if is_keyed_table(value):
        assert isinstance(value, Dictionary)
        keys, values = value.keys, value.values
        assert isinstance(keys, Table)
        assert isinstance(values, Table)
        return Table(keys.names + values.names, keys.columns + values.columns)
    raise type_error("a table needed")


@register(".Q.ff", rank=2)
def add_columns(table: Value, other: Value) -> Value:
    """Append the columns that only the other table has, full of nulls."""
    mine, theirs = _table(table), _table(other)
    fresh = {
        name: _nulls(column, len(mine))
        for name, column in zip(theirs.names, theirs.columns, strict=True)
        if name not in mine.names
    }
    return Table((*mine.names, *fresh), (*mine.columns, *fresh.values()))


def _nulls(column: Value, count: int) -> Value:
    column = plain(column)
    if not isinstance(column, Vector):
        return List((List(()),) * count)
    if column.type is QType.GUID:
        return collect([null(column.type)] * count) if count else column
    return vector(column.type, [NULLS[column.type]] * count)


@register(".Q.ft", rank=2, session=True)
def on_simple(session: Interpreter, function: Value, table: Value) -> Value:
    """Apply a function to a table without its keys, and key the result as the table was."""
    result = session.apply(function, (_table(table),))
    if not isinstance(table, Dictionary):
        return result
    return call(session, "!", call(session, "count", call(session, "keys", table)), result)


@register(".Q.fu", rank=2, session=True)
def on_distinct(session: Interpreter, function: Value, value: Value) -> Value:
    """Apply a function to the distinct items of a list, and spread the results over it."""
    if not is_list(value):
        return session.apply(function, (value,))
    distinct = call(session, "distinct", value)
    places = call(session, "?", distinct, value)
    return session.apply(session.apply(function, (distinct,)), (places,))


@register(".Q.fc", rank=2, session=True)
def on_parts(session: Interpreter, function: Value, value: Value) -> Value:
    """Apply a function to a list; one core, one part."""
    return session.apply(function, (value,))


@register(".Q.opt", rank=1, session=True)
def options(session: Interpreter, words: Value) -> Value:
    """Make a dictionary of a command line's words, -name value value; .Q.x is what goes before."""
    found: dict[str, list[Value]] = {}
    before: list[Value] = []
    for word in items_of(words) if is_list(words) else []:
        text = text_of(word) or ""
        if text.startswith("-") and not text[1:2].isdigit():
            found.setdefault(text[1:], [])
        elif found:
            found[next(reversed(found))].append(word)
        else:
            before.append(word)
    session.set(".Q.x", List(tuple(before)))
    return Dictionary(symbols(found), List(tuple([List(tuple(given)) for given in found.values()])))


@register(".Q.def", rank=2, session=True)
def defaults(session: Interpreter, known: Value, given: Value) -> Value:
    """Fill a command line's options with defaults, and read them as the defaults' types."""
    if not isinstance(known, Dictionary) or not isinstance(given, Dictionary):
        raise type_error(".Q.def takes a dictionary of defaults and one of options")
    found = dict(zip(names_of(known.keys) or [], items_of(known.values), strict=True))
    for name, words in zip(names_of(given.keys) or [], items_of(given.values), strict=True):
        default = found.get(name)
        if isinstance(default, Atom) and count_of(words):
            kind = Atom(QType.SHORT, -int(default.type))
            found[name] = call(session, "$", kind, item_at(words, 0))
        else:
            found[name] = words
    return Dictionary(symbols(found), collect(list(found.values())))


@register(".Q.addr", rank=1)
def address(host: Value) -> Value:
    """Give an IPv4 address as an int; names are not looked up, but for localhost."""
    name = name_of(host)
    if name is None:
        raise type_error("a symbol needed: .Q.addr`127.0.0.1")
    try:
        number = int(ipaddress.IPv4Address("127.0.0.1" if name == "localhost" else name))
    except ipaddress.AddressValueError:
        return Atom(QType.INT, -1)
    return Atom(QType.INT, number - 2**32 if number >= 2**31 else number)


@register(".Q.host", rank=1)
def host(number: Value) -> Value:
    """Name the host of an IPv4 address; names are not looked up, but for localhost."""
    if not isinstance(number, Atom) or number.type is not QType.INT:
        raise type_error("an address as an int needed, as .Q.addr gives it")
    return symbol("localhost" if int(number.value) == _LOOPBACK else "")


@register(".Q.gc", rank=1)
def collect_garbage(_: Value) -> Value:
    """Hand memory that is kept for the next long columns back; give its bytes."""
    return long(BLOCKS.release())
