"""Internal functions by number: -2!, -4!, -16!, -22!, -120!."""

from tickloop.analytics.q.attributes import attr
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.lexer import tokens
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    Atom,
    List,
    QType,
    Value,
    chars,
    count_of,
    long,
    text_of,
)

register("-2!", rank=1)(attr)


@register("-4!", rank=1)
def text_tokens(value: Value) -> Value:
    """Cut a text into its tokens, the blanks between them included."""
    text = text_of(value)
    if text is None:
        raise type_error("-4! takes a string")
    found: list[str] = []
    place = 0
    for token in tokens(text):
        found += [text[place : token.start], text[token.start : token.end]]
        place = token.end
    return List(tuple([chars(piece) for piece in found if piece]))


@register("-120!", rank=1)
def memory_domain(value: Value) -> Value:
    """Give the number of the memory that holds a value; there is one, 0."""
    return long(0)


@register("-16!", rank=1)
def references(value: Value) -> Value:
    """Count the references to a value; values are shared here, so it is always 1."""
    return Atom(QType.INT, 1)


@register("-22!", rank=1, session=True)
def size(session: Interpreter, value: Value) -> Value:
    """Give how many bytes a value takes as a message."""
    return long(count_of(call(session, "-8!", value)))
