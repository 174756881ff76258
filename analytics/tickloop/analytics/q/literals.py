"""Numbers as q text spells them: plain, temporal, null and infinite, alone or as a vector."""

import re
from collections.abc import Sequence
from datetime import date

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    TYPE_CHARS,
    TYPES_BY_CHAR,
    Atom,
    QType,
    Simple,
    Value,
    Vector,
)

Item = tuple[QType, Simple]

# A word that may open a number: the lexer cuts it, `read_numbers` says what it is.
WORD = re.compile(
    r"-?(?:0x[0-9a-zA-Z]*"
    r"|(?:[0-9]|\.[0-9])(?:(?<=[0-9.]e)[-+](?=[0-9])|[0-9A-Za-z.]|:(?=[0-9.]))*)"
)
_SPECIAL = re.compile(r"(-?)0([NWnw])([a-z]?)")
_BOOLEANS = re.compile(r"[01]+b")
_BYTES = re.compile(r"0x([0-9a-fA-F]*)")
_INTEGER = re.compile(r"(-?[0-9]+)([a-z]?)")
_DECIMAL = re.compile(r"(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)([ef]?)")
_CLOCK = r"(\d+)(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9}))?)?)?"
_TIME = re.compile(r"(-?)(\d+):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9}))?)?([uvtn]?)")
_TIMESPAN = re.compile(rf"(-?)(\d+)D(?:{_CLOCK})?n?")
_MONTH = re.compile(r"(\d{4})\.(\d{2})m")
_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})(?:([DT])(?:" + _CLOCK + r")?)?([dpz]?)")

_EPOCH = date(2000, 1, 1).toordinal()
_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_FLOATS = (QType.REAL, QType.FLOAT, QType.DATETIME)
INFINITIES: dict[QType, int | float] = {
    kind: float("inf") if dtype.kind == "f" else int(np.iinfo(dtype).max)
    for kind, dtype in DTYPES.items()
    if dtype.kind in "fi" and kind is not QType.SYMBOL
}


def read_numbers(words: Sequence[str]) -> Value:
    """Make the atom or vector of words that stand next to each other."""
    last = words[-1]
    if len(words) == 1 and (listed := _listed(last)) is not None:
        return listed
    items = [_read(word) for word in words]
    if len(items) == 1:
        return Atom(*items[0])
    kind = _common(items, last)
    values = [_convert(item, kind, word) for item, word in zip(items, words, strict=True)]
    if kind is QType.GUID:
        return Vector(kind, np.zeros(len(values), dtype=DTYPES[kind]))
    try:
        return Vector(kind, np.array(values, dtype=DTYPES[kind]))
    except OverflowError:
        raise _bad(last, f"a number too large for a {kind.name.lower()}") from None


def _listed(word: str) -> Value | None:
    """Read `0101b` and `0x0102`; a word of one item is an atom."""
    if _BOOLEANS.fullmatch(word):
        flags = np.frombuffer(word[:-1].encode(), dtype=np.uint8) == ord("1")
        return (
            Atom(QType.BOOLEAN, bool(flags[0])) if len(flags) == 1 else Vector(QType.BOOLEAN, flags)
        )
    found = _BYTES.fullmatch(word)
    if found is None:
        return None
    digits = found[1]
    raw = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
    if len(raw) == 1:
        return Atom(QType.BYTE, raw[0])
    return Vector(QType.BYTE, np.frombuffer(bytearray(raw), dtype=np.uint8))


def _read(word: str) -> Item:
    for reader in (_special, _integer, _decimal, _time, _timespan, _calendar):
        if (item := reader(word)) is not None:
            return item
    listed = _listed(word)
    if isinstance(listed, Atom):
        return listed.type, listed.value
    raise _bad(word, "no number, date or time is spelled like this")


def _bad(word: str, why: str) -> QError:
    return QError(word, why)


def _special(word: str) -> Item | None:
    found = _SPECIAL.fullmatch(word)
    if found is None:
        return None
    sign, letter, suffix = found.groups()
    if letter in "nw" and not suffix:
        kind = QType.FLOAT
    else:
        known = TYPES_BY_CHAR.get(suffix or "j")
        if known is None or known in (QType.BOOLEAN, QType.BYTE):
            raise _bad(word, f"no type has the letter {suffix}")
        kind = known
    if letter in "Nn":
        return kind, "" if kind is QType.SYMBOL else NULLS[kind]
    if kind not in INFINITIES:
        raise _bad(word, f"a {kind.name.lower()} has no infinity")
    return kind, -INFINITIES[kind] if sign else INFINITIES[kind]


def _integer(word: str) -> Item | None:
    found = _INTEGER.fullmatch(word)
    if found is None:
        return None
    value, suffix = int(found[1]), found[2]
    if suffix == "b" and _BOOLEANS.fullmatch(word):
        return None
    kind = TYPES_BY_CHAR.get(suffix or "j")
    if kind is None or kind in (QType.BOOLEAN, QType.GUID, QType.SYMBOL, QType.BYTE):
        raise _bad(word, f"no type of numbers has the letter {suffix}")
    return kind, _fitting(value, kind, word)


def _fitting(value: int, kind: QType, word: str) -> Simple:
    if kind in _FLOATS:
        return float(value)
    limits = np.iinfo(DTYPES[kind])
    if not limits.min <= value <= limits.max:
        raise _bad(word, f"outside of what a {kind.name.lower()} holds")
    return value


def _decimal(word: str) -> Item | None:
    found = _DECIMAL.fullmatch(word)
    if found is None:
        return None
    value = float(found[1])
    if found[2] == "e":
        with np.errstate(over="ignore"):
            return QType.REAL, float(np.float32(value))
    return QType.FLOAT, value


def _clock(hours: str | None, minutes: str | None, seconds: str | None, part: str | None) -> int:
    """Count the nanoseconds of a clock's digits."""
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return total * _SECOND_NS + int((part or "").ljust(9, "0"))


def _time(word: str) -> Item | None:
    found = _TIME.fullmatch(word)
    if found is None:
        return None
    sign, hours, minutes, seconds, part, suffix = found.groups()
    if int(minutes) > 59 or int(seconds or 0) > 59:
        raise _bad(word, "minutes and seconds run from 00 to 59")
    nanoseconds = _clock(hours, minutes, seconds, part) * (-1 if sign else 1)
    if not suffix:
        suffix = "u" if seconds is None else "v" if part is None else "t"
        if part is not None and len(part) > 3:
            suffix = "n"
    unit = {"u": 60 * _SECOND_NS, "v": _SECOND_NS, "t": 1_000_000, "n": 1}[suffix]
    value = nanoseconds // unit if nanoseconds >= 0 else -(-nanoseconds // unit)
    kind = TYPES_BY_CHAR[suffix]
    return kind, _fitting(value, kind, word)


def _timespan(word: str) -> Item | None:
    found = _TIMESPAN.fullmatch(word)
    if found is None:
        return None
    sign, days, *clock = found.groups()
    value = int(days) * _DAY_NS + _clock(*clock)
    return QType.TIMESPAN, _fitting(-value if sign else value, QType.TIMESPAN, word)


def _calendar(word: str) -> Item | None:
    found = _MONTH.fullmatch(word)
    if found is not None:
        year, month = int(found[1]), int(found[2])
        if not 1 <= month <= 12:
            raise _bad(word, "months run from 01 to 12")
        return QType.MONTH, (year - 2000) * 12 + month - 1
    found = _DATE.fullmatch(word)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise _bad(word, "no such day in the calendar") from None
    mark, hours, minutes, seconds, part, suffix = found.groups()[3:]
    nanoseconds = _clock(hours, minutes, seconds, part)
    if mark == "T" or suffix == "z":
        return QType.DATETIME, days + nanoseconds / _DAY_NS
    if mark == "D" or suffix == "p":
        value = days * _DAY_NS + nanoseconds
        return QType.TIMESTAMP, _fitting(value, QType.TIMESTAMP, word)
    return QType.DATE, days


def _common(items: Sequence[Item], last: str) -> QType:
    """Find the one type of a vector's words: bare integers take that of the others."""
    kinds = {kind for kind, _ in items}
    if items[-1][0] is not QType.LONG or last.endswith("j"):
        kind = items[-1][0]
        # 1 2.5 3i is no int: decimals stay decimals.
        return kind if kind not in (QType.LONG,) or QType.FLOAT not in kinds else QType.FLOAT
    kinds.discard(QType.LONG)
    if not kinds:
        return QType.LONG
    if len(kinds) > 1:
        raise _bad(last, "one vector has numbers of one type")
    return kinds.pop()


def _retold(word: str, kind: QType) -> Simple | None:
    """Read a time or date as if it ended with the letter of the vector's type: 13:30 20:00t."""
    for reader in (_time, _timespan, _calendar):
        told = reader(word + TYPE_CHARS[kind])
        if told is not None and told[0] is kind:
            return told[1]
    return None


def _special_as(own: QType, kind: QType, word: str) -> Simple | None:
    """Read 0N and 0W, in either case, as those of another type."""
    found = _SPECIAL.fullmatch(word)
    if found is None or own not in (QType.LONG, QType.FLOAT):
        return None
    if found[2] in "Nn":
        return "" if kind is QType.SYMBOL else NULLS[kind]
    if kind not in INFINITIES:
        return None
    return -INFINITIES[kind] if found[1] else INFINITIES[kind]


def _convert(item: Item, kind: QType, word: str) -> Simple:
    own, value = item
    if own is kind:
        return value
    if own is QType.FLOAT and kind in _FLOATS:
        return value
    if (special := _special_as(own, kind, word)) is not None:
        return special
    if kind is QType.MONTH and (month := _calendar(word + "m")) is not None:
        return month[1]
    if (told := _retold(word, kind)) is not None:
        return told
    if own is QType.LONG and kind is not QType.GUID:
        if kind is QType.BOOLEAN:
            return bool(value)
        return _fitting(int(value), kind, word)
    raise _bad(word, f"one vector has numbers of one type, here {kind.name.lower()}")
