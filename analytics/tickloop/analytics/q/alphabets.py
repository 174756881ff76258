"""Alphabets, and what is written in them: .Q.a, .Q.b6, base 64 and base 36, clean names."""

import base64
import binascii
import re
from collections.abc import Iterable

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import CONSTANTS, register
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    QType,
    Table,
    Value,
    Vector,
    chars,
    is_keyed_table,
    long,
    name_of,
    names_of,
    symbol,
    symbols,
    text_of,
    vector,
)
from tickloop.analytics.q.words import RESERVED

LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
DIGITS = "0123456789"
BASE_64 = UPPER + LOWER + DIGITS + "+/"
BASE_36 = DIGITS + UPPER
WORDS = LOWER + UPPER + "_" + DIGITS
# The letter of each type at the position of its number.
LETTERS = " bg xhijefcspmdznuvts"

CONSTANTS[".Q.a"] = chars(LOWER)
CONSTANTS[".Q.A"] = chars(UPPER)
CONSTANTS[".Q.n"] = chars(DIGITS)
CONSTANTS[".Q.nA"] = chars(BASE_36)
CONSTANTS[".Q.an"] = chars(WORDS)
CONSTANTS[".Q.b6"] = chars(BASE_64)
CONSTANTS[".Q.t"] = chars(LETTERS)
CONSTANTS[".Q.res"] = symbols(sorted(RESERVED))


def _text(value: Value) -> str:
    text = text_of(value)
    if text is None:
        raise type_error("a string needed")
    return text


def _whole(value: Value) -> int:
    if not isinstance(value, Atom) or value.type not in (QType.SHORT, QType.INT, QType.LONG):
        raise type_error("an integer needed")
    return int(value.value)


def _written(value: int, alphabet: str, width: int) -> Value:
    base, found = len(alphabet), ""
    for _ in range(width):
        value, digit = divmod(value, base)
        found = alphabet[digit] + found
    return chars(found)


def _read(text: str, alphabet: str) -> Value:
    value = 0
    for letter in text:
        digit = alphabet.find(letter)
        if digit < 0:
            raise QError("domain", f"{letter!r} is none of {alphabet}")
        value = value * len(alphabet) + digit
    return long((value + 2**63) % 2**64 - 2**63)


@register(".Q.x10", rank=1)
def to_base_64(value: Value) -> Value:
    """Write a long as ten digits of base 64."""
    return _written(_whole(value), BASE_64, 10)


@register(".Q.j10", rank=1)
def from_base_64(text: Value) -> Value:
    """Read digits of base 64."""
    return _read(_text(text), BASE_64)


@register(".Q.x12", rank=1)
def to_base_36(value: Value) -> Value:
    """Write a long as twelve digits of base 36."""
    return _written(_whole(value), BASE_36, 12)


@register(".Q.j12", rank=1)
def from_base_36(text: Value) -> Value:
    """Read digits of base 36."""
    return _read(_text(text), BASE_36)


@register(".Q.btoa", rank=1)
def encoded(text: Value) -> Value:
    """Encode bytes or a string in Base64."""
    if isinstance(text, Vector) and text.type is QType.BYTE:
        return chars(base64.b64encode(text.data.tobytes()))
    return chars(base64.b64encode(_text(text).encode("utf-8", "surrogateescape")))


@register(".Q.atob", rank=1)
def decoded(text: Value) -> Value:
    """Decode Base64 to bytes; 'domain if it is not padded or not of its alphabet."""
    try:
        raw = base64.b64decode(_text(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise QError("domain", f"no Base64: {error}") from None
    return vector(QType.BYTE, list(raw))


@register(".Q.id", rank=1)
def clean_names(value: Value) -> Value:
    """Make names that q text can hold of a symbol, or of the names of columns or keys."""
    name = name_of(value)
    if name is not None:
        return symbol(clean(name))
    if isinstance(value, Table):
        return Table(tuple(_distinct(map(clean, value.names))), value.columns)
    if is_keyed_table(value):
        assert isinstance(value, Dictionary)
        return Dictionary(clean_names(value.keys), clean_names(value.values))
    names = names_of(value.keys) if isinstance(value, Dictionary) else None
    if names is None or not isinstance(value, Dictionary):
        raise type_error("a symbol, a table or a dictionary of symbols needed")
    return Dictionary(symbols(_distinct(map(clean, names))), value.values)


def clean(name: str) -> str:
    """Keep a name's letters, digits and underscores; set an `a` or a 1 where that is not enough."""
    kept = re.sub(r"[^A-Za-z0-9_]", "", name)
    if not kept or kept[0] not in LOWER + UPPER:
        kept = "a" + kept
    return kept + "1" if kept in RESERVED else kept


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, candidate = 0, name
        while candidate in found:
            number += 1
            candidate = f"{name}{number}"
        found.append(candidate)
    return found
