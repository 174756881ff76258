"""What a negative number before `!` calls: 0N! shows, -5! parses, -6! evaluates, -15! digests."""

import hashlib

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.spell import spell
from tickloop.analytics.q.values import (
    QType,
    Value,
    Vector,
    text_of,
    type_of,
    vector,
)


@register("0N!", rank=1, session=True)
def shown(session: Interpreter, value: Value) -> Value:
    """Print a value on one line and give it back."""
    session.write(spell(value, session.precision) + "\n")
    return value


@register("-5!", rank=1, session=True)
def parsed(session: Interpreter, text: Value) -> Value:
    """Give the parse tree of a string."""
    return call(session, "parse", text)


@register("-6!", rank=1, session=True)
def evaluated(session: Interpreter, tree: Value) -> Value:
    """Evaluate a parse tree."""
    return session.evaluate_tree(tree)


@register("md5", "-15!", rank=1, shown="md5")
def md5(text: Value) -> Value:
    """Give the MD5 digest of a string, a checksum here and no secret."""
    return _bytes(hashlib.md5(_raw(text), usedforsecurity=False).digest())


@register(".Q.sha1", "-33!", rank=1)
def sha1(text: Value) -> Value:
    """Give the SHA-1 digest of a string, a checksum here and no secret."""
    return _bytes(hashlib.sha1(_raw(text), usedforsecurity=False).digest())


def _raw(value: Value) -> bytes:
    text = text_of(value)
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    if isinstance(value, Vector) and value.type is QType.BYTE:
        return value.data.tobytes()
    raise type_error(f"a string needed, a value of type {type_of(value)}h seen")


def _bytes(raw: bytes) -> Vector:
    return vector(QType.BYTE, list(raw))
