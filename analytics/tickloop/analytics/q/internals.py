"""Internal functions of lists by number: -2!, -16!, -22!."""

from tickloop.analytics.q.attributes import attr
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    Atom,
    QType,
    Value,
    count_of,
    long,
)

register("-2!", rank=1)(attr)


@register("-16!", rank=1)
def references(value: Value) -> Value:
    """Count the references to a value; values are shared here, so it is always 1."""
    return Atom(QType.INT, 1)


@register("-22!", rank=1, session=True)
def size(session: Interpreter, value: Value) -> Value:
    """Give how many bytes a value takes as a message."""
    return long(count_of(call(session, "-8!", value)))
