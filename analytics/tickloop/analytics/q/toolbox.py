"""Tools of the .Q namespace for programs: options, addresses, errors with their place."""

import ipaddress

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    QType,
    Value,
    chars,
    is_list,
    items_of,
    name_of,
    symbols,
    text_of,
)


@register(".Q.opt", rank=1)
def options(words: Value) -> Value:
    """Make a dictionary of a command line's words: -name value value."""
    found: dict[str, list[Value]] = {}
    for word in items_of(words) if is_list(words) else []:
        text = text_of(word) or ""
        if text.startswith("-") and not text[1:2].isdigit():
            found.setdefault(text[1:], [])
        elif found:
            found[next(reversed(found))].append(word)
    return Dictionary(symbols(found), List(tuple([List(tuple(given)) for given in found.values()])))


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


@register(".Q.trp", rank=3, session=True)
def trap_with_trace(session: Interpreter, function: Value, value: Value, rescue: Value) -> Value:
    """Apply a function; on an error call another with its name and where it happened."""
    return _trapped(session, function, (value,), rescue)


@register(".Q.trpd", rank=3, session=True)
def trap_all_with_trace(
    session: Interpreter, function: Value, values: Value, rescue: Value
) -> Value:
    """Apply a function to several values; on an error call another with its name and place."""
    return _trapped(session, function, tuple(items_of(values)), rescue)


def _trapped(
    session: Interpreter, function: Value, values: tuple[Value, ...], rescue: Value
) -> Value:
    try:
        return session.apply(function, values)
    except QError as error:
        frames = [chars(text) for text, _ in error.frames]
        return session.apply(rescue, (chars(error.name), List(tuple(frames))))


@register(".Q.sbt", rank=1)
def trace_text(trace: Value) -> Value:
    """Write where an error happened, one line for each call."""
    lines = [
        f"  [{number}]  {text_of(text) or ''}\n"
        for number, text in reversed(list(enumerate(items_of(trace))))
    ]
    return chars("".join(lines))
