"""What a session knows about itself: system, views, view; and what it does not reach from here."""

from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.system import command, measured
from tickloop.analytics.q.values import (
    NIL,
    Attribute,
    List,
    Value,
    chars,
    items_of,
    name_of,
    names_of,
    symbol,
    symbols,
    text_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@register("system", rank=1, session=True)
def system(session: "Session", text: Value) -> Value:
    """Run a system command, spelled without its backslash."""
    spelled = text_of(text)
    if spelled is None:
        raise QError("type", "system takes a string")
    return command(session, spelled)


@register(".Q.ts", rank=2, session=True)
def time_and_space(session: "Session", function: Value, arguments: Value) -> Value:
    """Apply a function to a list of arguments; give milliseconds and bytes, and the result."""
    given = items_of(arguments)
    return List(measured(lambda: session.apply(function, given)))


@register("views", rank=1, session=True)
def views(session: "Session", _: Value) -> Value:
    """List the views of the root."""
    names = sorted(name for name in session.names.views if not name.startswith("."))
    return symbols(names, Attribute.SORTED if names else Attribute.NONE)


@register("view", rank=1, session=True)
def view(session: "Session", name: Value) -> Value:
    """Give the text of a view."""
    spelled = name_of(name)
    if spelled is None:
        raise QError("type", "view takes a name")
    found = session.names.views.get(spelled)
    if found is None:
        raise QError("view", f"{spelled} is no view")
    return chars(found.source)


@register("hsym", rank=1)
def hsym(name: Value) -> Value:
    """Give the file or host symbol of a name."""
    names = names_of(name)
    if names is None:
        raise QError("type", "hsym takes symbols")
    files = [spelled if spelled.startswith(":") else f":{spelled}" for spelled in names]
    return symbol(files[0]) if name_of(name) is not None else symbols(files)


@register("gtime", "ltime", rank=1)
def same_time(instant: Value) -> Value:
    """Convert between local time and UTC: sessions live in UTC."""
    return instant


def _refused(reason: str, *spellings: str) -> None:
    def refuse(*_: Value) -> Value:
        raise QError("access", reason)

    register(*spellings, rank=1)(refuse)


_refused("queries do not end the process that answers them", "exit")


@register("getenv", rank=1, session=True)
def getenv(session: "Session", name: Value) -> Value:
    """Give what setenv set; the environment of the process is not told."""
    spelled = name_of(name)
    if spelled is None:
        raise QError("type", "getenv takes a name")
    return chars(session.environment.get(spelled, ""))


@register("setenv", rank=2, operator=True, session=True)
def setenv(session: "Session", name: Value, value: Value) -> Value:
    """Set a name that getenv tells, in this session alone."""
    spelled, text = name_of(name), text_of(value)
    if spelled is None or text is None:
        raise QError("type", "setenv takes a name and a string")
    session.environment[spelled] = text
    return NIL
