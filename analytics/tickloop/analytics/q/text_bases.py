"""Alphabets and the encodings over them: .Q.a and its kin, .Q.x10, .Q.btoa, md5, .Q.sha1."""

import base64
import binascii
import hashlib
import string

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.kinds import whole_atom
from tickloop.analytics.q.registry import CONSTANTS, register
from tickloop.analytics.q.strings import text_bytes
from tickloop.analytics.q.values import QType, Value, Vector, chars, long, text_of

_BASE_64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_BASE_36 = string.digits + string.ascii_uppercase
_SHORT, _LONG = 10, 12  # how many letters a number takes in base 64 and in base 36

CONSTANTS.update(
    {
        ".Q.a": chars(string.ascii_lowercase),
        ".Q.A": chars(string.ascii_uppercase),
        ".Q.n": chars(string.digits),
        ".Q.nA": chars(_BASE_36),
        ".Q.an": chars(string.ascii_lowercase + string.ascii_uppercase + "_" + string.digits),
        ".Q.b6": chars(_BASE_64),
        ".Q.t": chars(" bg xhijefcspmdznuvts"),
        "csv": Vector(QType.CHAR, np.array([ord(",")], dtype=np.uint8)),
    }
)


def _spelled(value: Value, letters: str, width: int) -> Value:
    number = whole_atom(value)
    if number is None:
        raise type_error("a whole number needed")
    number &= len(letters) ** width - 1 if letters is _BASE_64 else 2**64 - 1
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(letters))
        digits.append(letters[digit])
    return chars("".join(reversed(digits)))


def _read(value: Value, letters: str) -> Value:
    text = text_of(value)
    if text is None or any(letter not in letters for letter in text):
        raise type_error(f"a string of letters out of {letters[:4]}... needed")
    number = 0
    for letter in text:
        number = number * len(letters) + letters.index(letter)
    return long((number + 2**63) % 2**64 - 2**63)


@register(".Q.x10", rank=1)
def to_base_64(value: Value) -> Value:
    """Spell a number below 2 to the 60 in ten letters."""
    return _spelled(value, _BASE_64, _SHORT)


@register(".Q.j10", rank=1)
def from_base_64(value: Value) -> Value:
    """Read a number in base 64."""
    return _read(value, _BASE_64)


@register(".Q.x12", rank=1)
def to_base_36(value: Value) -> Value:
    """Spell a number below 2 to the 62 in twelve letters."""
    return _spelled(value, _BASE_36, _LONG)


@register(".Q.j12", rank=1)
def from_base_36(value: Value) -> Value:
    """Read a number in base 36."""
    return _read(value, _BASE_36)


@register(".Q.btoa", rank=1)
def btoa(value: Value) -> Value:
    """Encode a string in base 64."""
    return chars(base64.b64encode(text_bytes(value)))


@register(".Q.atob", rank=1)
def atob(value: Value) -> Value:
    """Decode a string in base 64; 'domain if it is none."""
    try:
        return chars(base64.b64decode(text_bytes(value), validate=True))
    except binascii.Error as error:
        raise QError("domain", f"not base 64: {error}") from None


def _hashed(raw: bytes) -> Value:
    return Vector(QType.BYTE, np.frombuffer(bytearray(raw), dtype=np.uint8))


@register("md5", "-15!", rank=1)
def md5(value: Value) -> Value:
    """Give the MD5 digest of a string: 16 bytes."""
    return _hashed(hashlib.md5(text_bytes(value), usedforsecurity=False).digest())


@register(".Q.sha1", "-33!", rank=1)
def sha1(value: Value) -> Value:
    """Give the SHA-1 digest of a string: 20 bytes."""
    return _hashed(hashlib.sha1(text_bytes(value), usedforsecurity=False).digest())
