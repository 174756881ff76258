"""Which type a verb's result has: a few rules from which every cell of q's type tables follows."""

from collections.abc import Callable
from typing import TypeAlias

from tickloop.analytics.q.values import TYPES_BY_CHAR, QType

Rule: TypeAlias = Callable[[QType, QType], QType | None]

_SMALL = frozenset({QType.BOOLEAN, QType.BYTE, QType.SHORT})  # arithmetic makes ints of them
_NUMBERS = (
    QType.BOOLEAN, QType.BYTE, QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT,
)  # fmt: skip
_SPANS = (QType.MINUTE, QType.SECOND, QType.TIME, QType.TIMESPAN)  # from coarse to fine
FLOATING = frozenset({QType.REAL, QType.FLOAT, QType.DATETIME})
TEMPORAL = frozenset(QType(number) for number in range(12, 20))
NUMERIC = frozenset(_NUMBERS)
_UNORDERED = frozenset({QType.GUID, QType.SYMBOL})
# Two moments of one kind differ by a number of their units.
_DIFFERENCE = {
    QType.TIMESTAMP: QType.TIMESPAN, QType.MONTH: QType.INT, QType.DATE: QType.INT,
    QType.DATETIME: QType.FLOAT,
}  # fmt: skip


def _widest(left: QType, right: QType) -> QType:
    """Give the wider of two numeric types; arithmetic has none narrower than int."""
    kind = max(left, right, key=_NUMBERS.index)
    return QType.INT if kind in _SMALL else kind


def _with_number(temporal: QType, number: QType) -> QType:
    """Type a temporal combined with a number or char: a float makes it a plain float."""
    if number is not QType.FLOAT:
        return temporal
    return QType.DATETIME if temporal in (QType.DATE, QType.DATETIME) else QType.FLOAT


def _with_char(other: QType) -> QType | None:
    if other is QType.FLOAT:
        return QType.FLOAT
    return other if other in TEMPORAL else None


def _two_temporals(left: QType, right: QType) -> QType | None:
    """Type the sum of two temporals."""
    if left in _SPANS and right in _SPANS:
        return max(left, right, key=_SPANS.index)
    if left in _SPANS:
        left, right = right, left
    if right in _SPANS:
        exact = left is not QType.DATETIME or right is QType.TIMESPAN
        return QType.TIMESTAMP if exact else QType.DATETIME
    return _DIFFERENCE[left] if left is right else None


def plus(left: QType, right: QType) -> QType | None:
    """Give the type of a sum."""
    if left in _UNORDERED or right in _UNORDERED:
        return None
    if left in TEMPORAL and right in TEMPORAL:
        return _two_temporals(left, right)
    return times(left, right)


def minus(left: QType, right: QType) -> QType | None:
    """Give the type of a difference: unlike a sum, it takes a char off a number."""
    if right is QType.CHAR and left in NUMERIC:
        return _widest(left, QType.INT)
    return plus(left, right)


def times(left: QType, right: QType) -> QType | None:
    """Give the type of a product."""
    if left in _UNORDERED or right in _UNORDERED:
        return None
    if left in TEMPORAL or right in TEMPORAL:
        if left in TEMPORAL and right in TEMPORAL:
            return None
        return _with_number(left, right) if left in TEMPORAL else _with_number(right, left)
    if left is QType.CHAR or right is QType.CHAR:
        return _with_char(right if left is QType.CHAR else left)
    return _widest(left, right)


def divide(left: QType, right: QType) -> QType | None:
    """Give the type of a quotient: a float of whatever has numbers under it."""
    return None if left in _UNORDERED or right in _UNORDERED else QType.FLOAT


def div(left: QType, right: QType) -> QType | None:
    """Give the type of a whole quotient: the left one, of a usable width."""
    if left in _UNORDERED or right in _UNORDERED:
        return None
    if left in _SMALL or left is QType.CHAR:
        return QType.INT
    return QType.FLOAT if left is QType.REAL else left


def _chain(rule: Rule, left: QType | None, right: QType | None) -> QType | None:
    return None if left is None or right is None else rule(left, right)


def mod(left: QType, right: QType) -> QType | None:
    """Give the type of a remainder, left-right*left div right."""
    return _chain(minus, left, _chain(times, right, div(left, right)))


def xbar(left: QType, right: QType) -> QType | None:
    """Give the type of left*right div left; a timespan on the left counts as a long."""
    width = QType.LONG if left is QType.TIMESPAN else left
    return _chain(times, width, div(right, width))


def compared_as(left: QType, right: QType) -> QType | None:
    """Give the type in which two different temporals are compared."""
    if left is right:
        return left
    pair = {left, right}
    spans = [kind for kind in _SPANS if kind in pair]
    if len(spans) == 2:
        return spans[1]
    if spans:  # a moment and a span: the time of day, if the moment has one
        return None if pair & {QType.MONTH, QType.DATE} else spans[0]
    if QType.TIMESTAMP in pair:
        return QType.TIMESTAMP
    if QType.DATETIME in pair:
        return None if QType.MONTH in pair else QType.DATETIME
    return QType.DATE


def extreme(left: QType, right: QType) -> QType | None:
    """Give the type of the lesser or greater of two values, and of one filled by another."""
    if left in _UNORDERED or right in _UNORDERED:
        return None
    if left in TEMPORAL and right in TEMPORAL:
        return compared_as(left, right)
    for kinds in (TEMPORAL, (QType.CHAR,)):
        for kind in (left, right):
            if kind in kinds:
                return kind
    return max(left, right, key=_NUMBERS.index)


def fill(left: QType, right: QType) -> QType | None:
    """Give the type of a vector whose nulls are replaced; ids are filled by their own kind."""
    return left if left is right else extreme(left, right)


def compare(left: QType, right: QType) -> QType | None:
    """Give the type of a comparison."""
    return QType.BOOLEAN if fill(left, right) is not None else None


def power(left: QType, right: QType) -> QType | None:
    """Give the type of left xexp right: numbers only."""
    return QType.FLOAT if left in NUMERIC and right in NUMERIC else None


def logarithm(left: QType, right: QType) -> QType | None:
    """Give the type of left xlog right."""
    refused = _UNORDERED | {QType.DATETIME}
    return None if left in refused or right in refused else QType.FLOAT


_ALL = tuple(TYPES_BY_CHAR.values())


def table(rule: Rule) -> dict[tuple[QType, QType], QType]:
    """List a rule's results; pairs that are a 'type error are absent."""
    cells = {(left, right): rule(left, right) for left in _ALL for right in _ALL}
    return {pair: kind for pair, kind in cells.items() if kind is not None}


def _map(letters: str) -> dict[QType, QType]:
    """Read one line of a table over the types b g x h i j e f c s p m d z n u v t."""
    order = "bgxhijefcspmdznuvt"
    return {
        TYPES_BY_CHAR[char]: TYPES_BY_CHAR[to]
        for char, to in zip(order, letters, strict=True)
        if to != "."
    }


SIGNED = _map("i.ihijefi.pmdznuvt")  # neg, abs
SIGN = _map("i.iiiiiii.iiiiiiii")
TRUTH = _map("b.bbbbbbb.bbbbbbbb")  # not, all, any
CURVE = _map("f.fffffff.fffzffff")  # sqrt, exp, log, sin ...
INVERSE = _map("f.fffffff.pffzffff")
CEILING = _map("i.ihijjji.........")
FLOOR = _map("...hijjjcs........")
