"""Patterns of q: ? any char, * any chars, [abc] [a-z] one of them, [^abc] none of them."""

import functools
import re
from collections.abc import Callable

from tickloop.analytics.q.errors import QError

# As documented: a pattern may hold more than two stars only by error.
_MOST_STARS = 2


@functools.lru_cache(maxsize=512)
def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """Give a test of whether a pattern matches the whole of a text."""
    if not any(special in pattern for special in b"?*["):
        return pattern.__eq__
    compiled = re.compile(_translated(pattern, stars=True), re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


@functools.lru_cache(maxsize=512)
def searcher(pattern: bytes) -> re.Pattern[bytes]:
    """Give what finds a pattern inside a text; 'length if it has a * outside of brackets."""
    return re.compile(_translated(pattern, stars=False), re.DOTALL)


def _translated(pattern: bytes, *, stars: bool) -> bytes:
    parts: list[bytes] = []
    count = 0
    place = 0
    char = b""
    while place < len(pattern):
        char = pattern[place : place + 1]
        place += 1
        if char == b"[":
            part, place = _one_of(pattern, place)
        elif char == b"*":
            if not stars:
                raise QError("length", "ss and ssr take no * in a pattern; [*] is a star itself")
            count += 1
            part = b".*"
        else:
            part = b"." if char == b"?" else re.escape(char)
        parts.append(part)
    if count == _MOST_STARS and char != b"*":
        raise QError("nyi", "of two stars in a pattern, the second ends it")
    if count > _MOST_STARS:
        raise QError("nyi", f"a pattern with {count} stars seen, {_MOST_STARS} at most")
    return b"".join(parts)


def _one_of(pattern: bytes, start: int) -> tuple[bytes, int]:
    """Translate a set that starts behind its bracket; a ] may stand first in it."""
    end = pattern.find(b"]", start + 1)
    negated = pattern[start : start + 1] == b"^"
    if negated:
        end = pattern.find(b"]", start + 2)
    if end < 0:
        raise QError("rank", "a [ without its ] seen in a pattern")
    inside = pattern[start + negated : end]
    members = b"".join(_member(inside, place) for place in range(len(inside)))
    return (b"[^" if negated else b"[") + members + b"]", end + 1


def _member(inside: bytes, place: int) -> bytes:
    char = inside[place : place + 1]
    between = 0 < place < len(inside) - 1
    return char if char == b"-" and between else re.escape(char)
