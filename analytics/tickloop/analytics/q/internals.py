"""Internal functions by number, and words that reach outside: refused without a grant."""

import os

from tickloop.analytics.q.attributes import attr
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.spell import spell
from tickloop.analytics.q.values import (
    Atom,
    QType,
    Value,
    chars,
    count_of,
    long,
    name_of,
    names_of,
    symbol,
    symbols,
)


@register("0N!", rank=1, session=True)
def display(session: Interpreter, value: Value) -> Value:
    """Print a value on one line, and give it back."""
    session.print(spell(value, session.precision) + "\n")
    return value


register("-2!", rank=1)(attr)


@register("hsym", "-1!", rank=1)
def hsym(value: Value) -> Value:
    """Make symbols name files: with a colon in front."""
    names = names_of(value)
    if names is None:
        raise type_error("symbols needed")
    made = [name if name.startswith(":") else f":{name}" for name in names]
    return symbol(made[0]) if name_of(value) is not None else symbols(made)


@register("-16!", rank=1)
def references(value: Value) -> Value:
    """Count the references to a value; values are shared here, so it is always 1."""
    return Atom(QType.INT, 1)


@register("-22!", rank=1, session=True)
def size(session: Interpreter, value: Value) -> Value:
    """Give how many bytes a value takes as a message."""
    return long(count_of(call(session, "-8!", value)))


def _refuse(session: Interpreter, what: str) -> None:
    if not getattr(session, "files", False):
        raise QError("access", f"this session may not {what}")


@register("getenv", rank=1, session=True)
def getenv(session: Interpreter, value: Value) -> Value:
    """Give an environment variable's text, empty if there is none."""
    _refuse(session, "read the environment")
    name = name_of(value)
    if name is None:
        raise type_error("the name of a variable needed, as a symbol")
    return chars(os.environ.get(name, ""))


@register("setenv", rank=2, operator=True, session=True)
def setenv(session: Interpreter, left: Value, right: Value) -> Value:
    """Refuse to change the environment: it belongs to the whole process."""
    raise QError("access", "the environment is shared by all sessions and stays as it is")
