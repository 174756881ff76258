"""The verbs that turn values into text: show, string, .Q.s, .Q.s1, .Q.f, .Q.fmt, -3!, -27!."""

import math

from tickloop.analytics.q.console import show
from tickloop.analytics.q.console_cells import cells
from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.spell import spell, string_of
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Dictionary,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    items_of,
    plain,
)

_NUMBERS = frozenset(
    {QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT}
)
# Beyond this a scaled float has no digit left after the point, and is written as it is.
_WHOLE_MAX = 9e15


def console_text(session: Interpreter, value: Value) -> str:
    """Give the text of a value on a session's console, each line ended."""
    text = show(value, rows=session.rows, columns=session.columns, precision=session.precision)
    return f"{text}\n" if text else ""


@register("show", rank=1, session=True)
def show_value(session: Interpreter, value: Value) -> Value:
    """Print a value on the console; the result is null."""
    session.write(console_text(session, value))
    return NIL


@register(".Q.s", rank=1, session=True)
def console_string(session: Interpreter, value: Value) -> Value:
    """Give what the console would print."""
    return chars(console_text(session, value))


@register(".Q.s1", "-3!", rank=1, session=True)
def one_line(session: Interpreter, value: Value) -> Value:
    """Spell a value on one line."""
    return chars(spell(value, session.precision))


@register("string", "$:", rank=1, shown="$:", session=True, atomic=True)
def string(session: Interpreter, value: Value) -> Value:
    """Write every atom of a value as a string."""
    return _strings(value, session.precision)


def _strings(value: Value, precision: int) -> Value:
    if isinstance(value, Enumerated):
        value = plain(value)
    if isinstance(value, Vector):
        if value.type is QType.CHAR:
            return List(tuple([Vector(QType.CHAR, item) for item in value.data.reshape(-1, 1)]))
        return List(tuple([chars(text) for text in cells(value, precision)]))
    if isinstance(value, List):
        return List(tuple([_strings(item, precision) for item in items_of(value)]))
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, _strings(value.values, precision))
    if isinstance(value, Table):
        columns = [_strings(column, precision) for column in value.columns]
        return Table(value.names, tuple(columns))
    if isinstance(value, Atom) and value.type is QType.CHAR:
        return chars(bytes([int(value.value)]))
    return chars(string_of(value, precision))


@register(".Q.f", rank=2, session=True)
def fixed(session: Interpreter, places: Value, value: Value) -> Value:
    """Write a number with so many digits after the point."""
    return chars(_fixed(_whole(places), _number(value), session.precision))


@register(".Q.fmt", rank=3, session=True)
def fixed_padded(session: Interpreter, width: Value, places: Value, value: Value) -> Value:
    """Write a number with so many digits after the point, stars if it is wider than the width."""
    text = _fixed(_whole(places), _number(value), session.precision)
    room = _whole(width)
    return chars("*" * room if len(text) > room else text.rjust(room))


def _fixed(places: int, value: float, precision: int) -> str:
    if math.isnan(value):
        return ""
    scale = 10.0**places
    if math.isinf(value) or abs(value) * scale > _WHOLE_MAX:
        return string_of(Atom(QType.FLOAT, value), precision)
    # Halves go up after scaling, so that .045 with two places is 0.05 although the double is less.
    digits = str(math.floor(abs(value) * scale + 0.5)).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{sign}{whole}.{part}"


@register("-27!", rank=1)
def exactly_fixed_pair(pair: Value) -> Value:
    """Write (places; numbers) with so many digits after the point."""
    if not isinstance(pair, List) or len(pair) != 2:
        raise type_error("-27! takes (places; numbers)")
    return exactly_fixed(pair.items[0], pair.items[1])


@register("-27!", rank=2)
def exactly_fixed(places: Value, value: Value) -> Value:
    """Write floats with so many digits after the point, rounded from their exact values."""
    count = _whole(places)
    if isinstance(value, Vector) and value.type in _NUMBERS:
        return List(tuple([chars(_exact(count, float(item))) for item in value.data.tolist()]))
    return chars(_exact(count, _number(value)))


def _exact(places: int, value: float) -> str:
    finite = math.isfinite(value)
    return f"{value:.{places}f}" if finite else string_of(Atom(QType.FLOAT, value))


def _number(value: Value) -> float:
    if not isinstance(value, Atom) or value.type not in _NUMBERS:
        raise type_error(f"a number is needed to write with digits, {spell(value)[:40]} seen")
    if string_of(value) == "":
        return math.nan
    assert isinstance(value.value, int | float)
    return float(value.value)


def _whole(value: Value) -> int:
    if not isinstance(value, Atom) or value.type not in _NUMBERS - {QType.REAL, QType.FLOAT}:
        raise type_error(f"a count of digits is needed, {spell(value)[:40]} seen")
    return int(value.value)
