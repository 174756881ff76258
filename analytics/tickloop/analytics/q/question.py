"""The verb `?` of two arguments: find, random values, and enumerations that grow."""

from tickloop.analytics.q.enumerations import extend
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.finding import find
from tickloop.analytics.q.kinds import WHOLE, is_null_whole, limited
from tickloop.analytics.q.lists import first
from tickloop.analytics.q.random_values import deal, roll, shuffle
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.saving import extend_file
from tickloop.analytics.q.values import Atom, QType, Value


@register("?", rank=2, operator=True, session=True)
def question(session: Interpreter, left: Value, right: Value) -> Value:
    """Find in a list; roll, deal or shuffle with a number; enumerate with a name."""
    if not isinstance(left, Atom):
        return find(left, right)
    if left.type is QType.SYMBOL:
        name = str(left.value)
        if name.startswith(":"):
            return extend_file(session, name, right)
        return extend(session, name, right)
    if left.type not in WHOLE:
        raise type_error("a list, a count or the name of an enumeration needed on the left of ?")
    if is_null_whole(left):
        return shuffle(session.random, right)
    count = limited(abs(int(left.value)))
    draw = roll if int(left.value) >= 0 else deal
    return draw(session.random, count, right)


@register("rand", rank=1, session=True)
def rand(session: Interpreter, value: Value) -> Value:
    """Draw one random value."""
    return first(roll(session.random, 1, value))
