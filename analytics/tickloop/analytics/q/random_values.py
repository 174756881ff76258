"""Random values: n?x rolls, -n?x deals; the session's generator decides, so a seed repeats them."""

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.kinds import FLOATING, longs
from tickloop.analytics.q.selection import pick
from tickloop.analytics.q.values import (
    DTYPES,
    Atom,
    Dictionary,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    is_list,
    plain,
)

_LETTERS = "abcdefghijklmnop"  # random symbols are made of these
_LONGEST_SYMBOL = 8


def roll(random: np.random.Generator, count: int, source: Value) -> Value:
    """Draw as many random values as asked for, from a list or below an atom."""
    source = plain(source)
    if is_list(source) or isinstance(source, Table | Dictionary):
        have = count_of(source)
        if not have and count:
            raise QError("length", f"{count} items asked for of an empty list")
        values = source.values if isinstance(source, Dictionary) else source
        return pick(values, random.integers(0, max(have, 1), count))
    if not isinstance(source, Atom):
        raise type_error("a list or an atom needed on the right of ?")
    return _rolled(random, count, source)


def deal(random: np.random.Generator, count: int, source: Value) -> Value:
    """Draw different items of a list, or different numbers below an atom; 'length if too few."""
    source = plain(source)
    if isinstance(source, Atom):
        if source.type is QType.GUID:
            return _guids(random, count)
        if source.type is QType.SYMBOL:
            return _different_symbols(random, count, source)
        if source.type not in (QType.LONG, QType.INT, QType.SHORT):
            raise type_error("a list or a whole number needed on the right of a deal")
        numbers = _dealt(random, count, int(source.value))
        return Vector(source.type, numbers.astype(DTYPES[source.type]))
    values = source.values if isinstance(source, Dictionary) else source
    return pick(values, _dealt(random, count, count_of(source)))


def shuffle(random: np.random.Generator, source: Value) -> Value:
    """Draw all items of a list, or all numbers below one, in random order: 0N?x."""
    source = plain(source)
    if isinstance(source, Atom):
        if source.type not in (QType.LONG, QType.INT, QType.SHORT):
            raise type_error("a list or a whole number needed on the right of 0N?")
        return longs(random.permutation(max(int(source.value), 0)))
    return pick(source, random.permutation(count_of(source)))


def _dealt(
    random: np.random.Generator, count: int, have: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if count > have:
        raise QError("length", f"{count} different items asked for, there are {have}")
    if count * 8 > have:
        return random.permutation(have)[:count]
    return random.choice(have, count, replace=False, shuffle=True)


def _rolled(random: np.random.Generator, count: int, source: Atom) -> Vector:
    kind = source.type
    if kind is QType.SYMBOL:
        return _symbols(random, count, source)
    if kind is QType.GUID:
        return _guids(random, count)
    if kind is QType.CHAR:
        return Vector(kind, random.integers(ord("a"), ord("z") + 1, count).astype(np.uint8))
    if kind is QType.BOOLEAN:
        return Vector(kind, random.integers(0, 2, count).astype(np.bool_))
    assert isinstance(source.value, int | float)
    if kind in FLOATING:
        below = source.value if source.value else 1.0
        return Vector(kind, (random.random(count) * below).astype(DTYPES[kind]))
    return _whole(random, count, kind, int(source.value))


def _whole(random: np.random.Generator, count: int, kind: QType, below: int) -> Vector:
    """Draw numbers from 0 up to one, or any number of the type for 0."""
    dtype = DTYPES[kind]
    if below < 0:
        raise QError("domain", f"a bound of 0 or more needed, {below} seen")
    low, high = (0, below) if below else (0, np.iinfo(dtype).max)
    if not below and kind is not QType.BYTE:
        low = int(np.iinfo(dtype).min) + 1
    drawn = random.integers(low, high, count, dtype=np.int64, endpoint=kind is QType.BYTE)
    return Vector(kind, drawn.astype(dtype))


def _guids(random: np.random.Generator, count: int) -> Vector:
    """Draw random guids, marked as such in their version and variant bits."""
    raw = random.integers(0, 256, (count, 16), dtype=np.uint8)
    raw[:, 6] = (raw[:, 6] & 0x0F) | 0x40
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    return Vector(QType.GUID, np.frombuffer(raw.tobytes(), dtype=DTYPES[QType.GUID]))


def _length_of(source: Atom) -> int:
    """Give how long random symbols are to be: `3 for three letters."""
    text = str(source.value)
    if not text.isdigit() or not 1 <= int(text) <= _LONGEST_SYMBOL:
        raise type_error(f"`{text} seen, a length from `1 to `{_LONGEST_SYMBOL} needed")
    return int(text)


def _symbols(random: np.random.Generator, count: int, source: Atom) -> Vector:
    length = _length_of(source)
    codes = random.integers(0, len(_LETTERS) ** length, count)
    different, places = np.unique(codes, return_inverse=True)
    names = [_spelled(int(code), length) for code in different]
    return Vector(QType.SYMBOL, INTERNED.ids(names)[places])


def _different_symbols(random: np.random.Generator, count: int, source: Atom) -> Vector:
    length = _length_of(source)
    codes = _dealt(random, count, len(_LETTERS) ** length)
    return Vector(QType.SYMBOL, INTERNED.ids(_spelled(int(code), length) for code in codes))


def _spelled(code: int, length: int) -> str:
    letters = []
    for _ in range(length):
        code, letter = divmod(code, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)
