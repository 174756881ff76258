"""The type of a value as a number."""

from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import Atom, QType, Value, type_of


@register("type", "@:", rank=1, shown="@:")
def type_number(value: Value) -> Value:
    """Give the type's number: negative for atoms, 98 for tables, from 100 on for functions."""
    return Atom(QType.SHORT, type_of(value))
