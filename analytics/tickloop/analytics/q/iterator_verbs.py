"""The iterators as words: each, over, scan, prior, peach."""

from typing import TYPE_CHECKING

from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import Iterated, Value

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@register("each", "peach", rank=2, session=True)
def each(session: "Session", function: Value, value: Value) -> Value:
    """Apply a function to every item."""
    return apply(session, Iterated("'", function), (value,))


@register("over", rank=2, session=True)
def over(session: "Session", function: Value, value: Value) -> Value:
    """Fold a list, or apply a function until its result settles."""
    return apply(session, Iterated("/", function), (value,))


@register("scan", rank=2, session=True)
def scan(session: "Session", function: Value, value: Value) -> Value:
    """Fold a list and keep all steps."""
    return apply(session, Iterated("\\", function), (value,))


@register("prior", rank=2, session=True)
def prior(session: "Session", function: Value, value: Value) -> Value:
    """Apply a function to every item and the one before."""
    return apply(session, Iterated("':", function), (value,))
