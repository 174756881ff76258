"""What a value is: type, the -N! forms of parse and eval, 0N! that prints as it passes."""

import hashlib
from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import call, register
from tickloop.analytics.q.tree_verbs import eval_verb, parse_verb
from tickloop.analytics.q.values import Atom, QType, Value, text_of, type_of, vector

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@register("type", rank=1, shown="@:")
def type_verb(value: Value) -> Value:
    """Give the type number."""
    return Atom(QType.SHORT, type_of(value))


@register("0N!", rank=1, session=True)
def print_through(session: "Session", value: Value) -> Value:
    """Print a value on one line and give it on."""
    spelled = text_of(call(session, "-3!", value))
    session.write(f"{spelled}\n")
    return value


@register("-5!", rank=1, session=True)
def internal_parse(session: "Session", text: Value) -> Value:
    """Parse, as the internal function."""
    return parse_verb(session, text)


@register("-6!", rank=1, session=True)
def internal_eval(session: "Session", tree: Value) -> Value:
    """Evaluate a tree, as the internal function."""
    return eval_verb(session, tree)


@register("-15!", "md5", rank=1, shown="md5")
def md5(text: Value) -> Value:
    """Give the MD5 digest of a string, 16 bytes."""
    return vector(QType.BYTE, list(hashlib.md5(_raw(text), usedforsecurity=False).digest()))


@register(".Q.sha1", "-33!", rank=1)
def sha1(text: Value) -> Value:
    """Give the SHA-1 digest of a string, 20 bytes."""
    return vector(QType.BYTE, list(hashlib.sha1(_raw(text), usedforsecurity=False).digest()))


def _raw(value: Value) -> bytes:
    text = text_of(value)
    if text is None:
        raise QError("type", "a digest is of a string")
    return text.encode("utf-8", "surrogateescape")
