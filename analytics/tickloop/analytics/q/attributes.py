"""Attributes of lists: checked when they are set, kept by appends that keep their promise."""

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.factorize import factorize
from tickloop.analytics.q.order import is_ascending
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.selection import without_attribute
from tickloop.analytics.q.values import (
    Attribute,
    Dictionary,
    Enumerated,
    List,
    Table,
    Value,
    Vector,
    count_of,
    symbol,
)

LETTERS = {
    "": Attribute.NONE,
    "s": Attribute.SORTED,
    "u": Attribute.UNIQUE,
    "p": Attribute.PARTED,
    "g": Attribute.GROUPED,
}
_NAMES = {attribute: letter for letter, attribute in LETTERS.items()}


def attribute_of(value: Value) -> Attribute:
    """Give a value's attribute; atoms and functions have none."""
    if isinstance(value, Vector | Enumerated | List | Dictionary | Table):
        return value.attribute
    return Attribute.NONE


@register("attr", rank=1)
def attr(value: Value) -> Value:
    """Name a value's attribute."""
    return symbol(_NAMES[attribute_of(value)])


def set_attribute(letter: str, value: Value) -> Value:
    """Promise an attribute of a list, dictionary or table; 's-fail and 'u-fail if it is untrue."""
    attribute = LETTERS[letter]
    if isinstance(value, Table | Dictionary):
        return _on_table_or_keys(attribute, value)
    if not isinstance(value, Vector | Enumerated | List):
        if attribute is Attribute.SORTED or attribute is Attribute.NONE:
            return value
        raise type_error(f"`{letter}# of an atom seen, a list needed")
    if attribute_of(value) is not attribute:
        _check(attribute, value)
    return with_attribute(value, attribute)


def with_attribute(value: Value, attribute: Attribute) -> Value:
    """Give a list with an attribute that is known to be true."""
    if isinstance(value, Vector):
        return Vector(value.type, value.data, attribute)
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, value.data, attribute)
    if isinstance(value, List):
        return List(value.items, attribute)
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, value.values, attribute)
    if isinstance(value, Table):
        return Table(value.names, value.columns, attribute)
    return value


def _check(attribute: Attribute, value: Value) -> None:
    if attribute is Attribute.SORTED and not is_ascending(value):
        raise QError("s-fail", "the list is not ascending; sort it with asc")
    if attribute is Attribute.UNIQUE and not is_unique(value):
        raise QError("u-fail", "the list holds an item twice; u# needs distinct items")
    if attribute is Attribute.PARTED and not is_parted(value):
        raise QError("u-fail", "equal items do not stand together; sort before p#")


def is_unique(value: Value) -> bool:
    """Tell whether no item stands twice."""
    return len(factorize(value).firsts) == count_of(value)


def is_parted(value: Value) -> bool:
    """Tell whether equal items stand side by side."""
    codes = factorize(value).codes
    return bool((np.diff(codes) >= 0).all())


def _on_table_or_keys(attribute: Attribute, value: Table | Dictionary) -> Value:
    if attribute not in (Attribute.NONE, Attribute.SORTED):
        raise type_error("only `s# may be set on a dictionary or table; set others on a column")
    if isinstance(value, Dictionary):
        keys = value.keys
        if attribute is Attribute.SORTED:
            keys = set_attribute("s", keys)
        elif isinstance(keys, Table):
            keys = _on_table_or_keys(attribute, keys)
        else:
            keys = without_attribute(keys)
        return Dictionary(keys, value.values, attribute)
    if attribute is Attribute.SORTED and value.attribute is not attribute:
        _check(attribute, value)
    # Rows sorted by several columns leave the first one sorted, and so parted.
    inner = Attribute.PARTED if len(value.columns) > 1 else Attribute.SORTED
    first = with_attribute(value.columns[0], inner if attribute else Attribute.NONE)
    return Table(value.names, (first, *value.columns[1:]), attribute)


def after_append(before: Value, after: Value) -> Attribute:
    """Tell which attribute of a list survives that items were appended to it."""
    attribute = attribute_of(before)
    if attribute is Attribute.GROUPED:
        return attribute
    if attribute is Attribute.SORTED and is_ascending(_tail(before, after)):
        return attribute
    if attribute is Attribute.UNIQUE and is_unique(after):
        return attribute
    return Attribute.NONE


def _tail(before: Value, after: Value) -> Value:
    """Give what was appended, with the item before it."""
    start = max(count_of(before) - 1, 0)
    if isinstance(after, Vector):
        return Vector(after.type, after.data[start:])
    if isinstance(after, Enumerated):
        return Enumerated(after.domain, after.data[start:])
    assert isinstance(after, List)
    return List(after.items[start:])
