"""Conditions as ranges of what is stored: nulls pass none of them unless they are asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.direct import constants
from tickloop.analytics.direct.columns import Shown
from tickloop.analytics.direct.shape import Constant, NotSimpleError
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_CHAR
from tickloop.core.schema import Kind

Mask = npt.NDArray[np.bool_]
Bound = int | float
_ASCII = range(33, 127)
_FIRST, _LAST = -(2**63) + 1, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Ranges:
    """Stored values of a column that pass: those in one of the ranges, both ends included."""

    column: str
    ranges: tuple[tuple[Bound, Bound], ...]

    def keeps(self, values: npt.NDArray[Any]) -> Mask:
        """Tell which values pass."""
        kept = np.zeros(len(values), dtype=np.bool_)
        for low, high in self.ranges:
            if low == high:
                kept |= values == low
            else:
                kept |= (values >= low) & (values <= high)
        return kept


@dataclass(frozen=True, slots=True)
class Nulls:
    """NaNs of a column pass, or all others."""

    column: str
    wanted: bool

    def keeps(self, values: npt.NDArray[Any]) -> Mask:
        """Tell which values pass."""
        found: Mask = np.isnan(values)
        return found if self.wanted else ~found


@dataclass(frozen=True, slots=True)
class Symbols:
    """Rows with one of some names pass, or those with any other name; None is the null."""

    column: str
    names: frozenset[str | None]
    others: bool = False


@dataclass(frozen=True, slots=True)
class Days:
    """Rows of session dates that stand so to a date pass."""

    sign: str
    days: tuple[date, ...]

    def keeps(self, session: date | None) -> bool:
        """Tell whether rows of a session date pass."""
        if self.sign in ("null", "not null"):
            return (session is None) == (self.sign == "null")
        if session is None:
            return False
        if self.sign == "in":
            return session in self.days
        return bool(_HOLDS[self.sign](session, self.days[0]))


_HOLDS: dict[str, Any] = {
    "=": date.__eq__, "<>": date.__ne__, "<": date.__lt__, ">": date.__gt__,
    "<=": date.__le__, ">=": date.__ge__,
}  # fmt: skip

Condition = Ranges | Nulls | Symbols | Days


def condition(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    """Read a condition on a column; NotSimpleError where its meaning is not certain."""
    if shown.kind is None:
        return Days(sign, tuple(map(constants.day, values)))
    if shown.kind is Kind.SYMBOL:
        return _symbols(shown, sign, values)
    if shown.is_float:
        return _floats(shown, sign, values)
    if shown.kind is Kind.INSTANT:
        return _instants(shown, sign, values)
    if shown.kind is Kind.CHAR:
        return _chars(shown, sign, values)
    return _whole(shown, sign, values)


def _symbols(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    if sign in ("null", "not null"):
        return Symbols(shown.source, frozenset({None}), others=sign == "not null")
    if sign not in ("=", "in", "<>"):
        raise NotSimpleError
    names = frozenset(map(constants.text, values))
    if "" in names:
        raise NotSimpleError
    others = sign == "<>"
    return Symbols(shown.source, names | {None} if others else names, others=others)


def _floats(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    if sign in ("null", "not null"):
        return Nulls(shown.source, wanted=sign == "null")
    if shown.kind is Kind.REAL:
        raise NotSimpleError
    ranges: list[tuple[Bound, Bound]] = []
    for value in map(constants.number, values):
        below, above = math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
        ranges += _around(sign, value, below, above, -math.inf, math.inf)
    return Ranges(shown.source, tuple(ranges))


def _around(
    sign: str, value: Bound, below: Bound, above: Bound, first: Bound, last: Bound
) -> list[tuple[Bound, Bound]]:
    """Give the ranges that stand so to a value."""
    return {
        "=": [(value, value)],
        "in": [(value, value)],
        "<>": [(first, below), (above, last)],
        "<": [(first, below)],
        "<=": [(first, value)],
        ">": [(above, last)],
        ">=": [(value, last)],
    }[sign]


def _whole(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    null, first, last = _limits(shown)
    if sign in ("null", "not null"):
        return _null_or_not(shown, sign, null, first, last)
    ranges: list[tuple[Bound, Bound]] = []
    for value in map(constants.whole, values):
        around = _around(sign, value, value - 1, value + 1, first, last)
        ranges += [(max(low, first), min(high, last)) for low, high in around]
    return Ranges(shown.source, tuple((low, high) for low, high in ranges if low <= high))


def _limits(shown: Shown) -> tuple[int | None, int, int]:
    """Give a column's null, and the first and last number that is none."""
    if shown.kind is Kind.BYTE:
        return None, 0, 255
    bits = {Kind.INT: 31, Kind.SHORT: 15}.get(shown.kind or Kind.LONG, 63)
    if shown.kind not in (Kind.INT, Kind.SHORT, Kind.LONG, Kind.SPAN, Kind.SIZE):
        raise NotSimpleError
    return -(2**bits), -(2**bits) + 1, 2**bits - 1


def _null_or_not(shown: Shown, sign: str, null: int | None, first: int, last: int) -> Ranges:
    if sign == "not null":
        return Ranges(shown.source, ((first, last),))
    return Ranges(shown.source, () if null is None else ((null, null),))


def _instants(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    if sign in ("null", "not null"):
        return _null_or_not(shown, sign, -(2**63), _FIRST, _LAST)
    # The column counts in steps of so many nanoseconds, cut.
    step = 1000 if shown.type == constants.ZONED else 1
    ranges: list[tuple[Bound, Bound]] = []
    for constant in values:
        if shown.type == "BIGINT":
            value = constants.whole(constant)
        else:
            value = constants.moment(constant, shown.type)
            if value % step:
                raise NotSimpleError
        at = value - EPOCH_UNIX_NS
        last_of_it = at + step - 1
        ranges += {
            "=": [(at, last_of_it)],
            "in": [(at, last_of_it)],
            "<>": [(_FIRST, at - 1), (last_of_it + 1, _LAST)],
            "<": [(_FIRST, at - 1)],
            "<=": [(_FIRST, last_of_it)],
            ">": [(last_of_it + 1, _LAST)],
            ">=": [(at, _LAST)],
        }[sign]
    return Ranges(shown.source, tuple(ranges))


def _chars(shown: Shown, sign: str, values: Sequence[Constant]) -> Condition:
    if sign in ("null", "not null"):
        is_null = ((NULL_CHAR, NULL_CHAR),)
        others = ((0, NULL_CHAR - 1), (NULL_CHAR + 1, 255))
        return Ranges(shown.source, is_null if sign == "null" else others)
    texts = [constants.text(value) for value in values]
    if sign not in ("=", "in") or any(len(one) != 1 or ord(one) not in _ASCII for one in texts):
        raise NotSimpleError
    return Ranges(shown.source, tuple((ord(one), ord(one)) for one in texts))
