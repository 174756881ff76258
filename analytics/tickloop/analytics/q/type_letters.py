"""The letter that stands for a column's type: large for lists of vectors of one type."""

from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    TYPE_CHARS,
    Atom,
    Enumerated,
    EnumeratedAtom,
    List,
    Value,
    Vector,
    char,
    plain,
)


@register(".Q.ty", rank=1)
def ty(value: Value) -> Value:
    """Give the letter of a value's type."""
    return char(ord(letter_of(value)))


def letter_of(value: Value) -> str:
    """Give a column's letter, a blank for mixed ones; an atom's is large, too."""
    if isinstance(value, Vector):
        return TYPE_CHARS[value.type]
    if isinstance(value, Enumerated):
        return "s" if value.domain.is_symbolic else letter_of(plain(value))
    if isinstance(value, Atom):
        return TYPE_CHARS[value.type].upper()
    if isinstance(value, EnumeratedAtom):
        return "S"
    if isinstance(value, List) and value.items:
        return _of_lists(value)
    return " "


def _of_lists(value: List) -> str:
    first = value.items[0]
    if isinstance(first, Enumerated):
        return "S" if all(isinstance(item, Enumerated) for item in value.items) else " "
    if not isinstance(first, Vector):
        return " "
    kind = first.type
    if all(isinstance(item, Vector) and item.type is kind for item in value.items):
        return TYPE_CHARS[kind].upper()
    return " "
