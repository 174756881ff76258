"""Where errors happen, as values and text: .Q.trp .Q.trpd .Q.sbt .Q.bt."""

import inspect
from typing import TYPE_CHECKING

from tickloop.analytics.q import lambdas
from tickloop.analytics.q.console_errors import place_lines
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Lambda,
    List,
    Value,
    chars,
    items_of,
    long,
    text_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

# A call of which only the text is known has no place in it.
_NO_PLACE = -1


@register(".Q.trp", rank=3, session=True)
def trap_with_trace(session: "Session", function: Value, value: Value, rescue: Value) -> Value:
    """Apply a function; on an error call another with its name and where it happened."""
    return _trapped(session, ".Q.trp", function, (value,), rescue)


@register(".Q.trpd", rank=3, session=True)
def trap_all_with_trace(session: "Session", function: Value, values: Value, rescue: Value) -> Value:
    """Apply a function to several values; on an error call another with its name and place."""
    return _trapped(session, ".Q.trpd", function, tuple(items_of(values)), rescue)


def _trapped(
    session: "Session", name: str, function: Value, values: tuple[Value, ...], rescue: Value
) -> Value:
    outer = _calls(session)
    try:
        return session.apply(function, values)
    except QError as error:
        inner = [(text, _NO_PLACE if at is None else at) for text, at in error.frames]
        calls = [*inner, (f"({name})", _NO_PLACE), *outer]
        trace = List(tuple([List((chars(text), long(at))) for text, at in calls]))
        return session.apply(rescue, (chars(error.name), trace))


def _calls(session: "Session") -> list[tuple[str, int]]:
    """List the functions that run now, the innermost first, and the line that was typed."""
    found = []
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is lambdas.RUN_CODE:
            function = frame.f_locals["function"]
            if isinstance(function, Lambda) and frame.f_locals["session"] is session:
                found.append((function.label + function.source, _NO_PLACE))
        frame = frame.f_back
    statements = session.statements
    return [*found, *([(statements[-1], _NO_PLACE)] if statements else [])]


@register(".Q.sbt", rank=1)
def trace_text(trace: Value) -> Value:
    """Write where an error happened, two lines for each call: its text, and a mark under it."""
    calls = [items_of(each) for each in items_of(trace)]
    lines: list[str] = []
    for number, (text, at) in zip(range(len(calls) - 1, -1, -1), calls, strict=True):
        position = int(at.value) if isinstance(at, Atom) and at.value != _NO_PLACE else None
        lines += place_lines(number, text_of(text) or "", position)
        if position is None:
            lines.append("")
    return chars("".join(f"{line}\n" for line in lines))


@register(".Q.bt", rank=1, session=True)
def print_trace(session: "Session", _: Value) -> Value:
    """Print the functions that run now."""
    calls = [List((chars(text), long(at))) for text, at in _calls(session)]
    session.write(text_of(trace_text(List(tuple(calls)))) or "")
    return NIL
