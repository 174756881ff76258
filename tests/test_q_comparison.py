"""Comparison in q: tolerance, nulls, types and units, against Python's own numbers."""

import math
import operator
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q import choice, comparison, logic
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Dictionary,
    Domain,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    char,
    chars,
    float_,
    long,
    null,
    symbol,
    symbols,
    vector,
)

Verb = Callable[[Value, Value], Value]
Oracle = Callable[[object, object], bool]
VERBS: list[tuple[Verb, Oracle]] = [
    (comparison.equal, operator.eq),
    (comparison.not_equal, operator.ne),
    (comparison.less, operator.lt),  # type: ignore[list-item]
    (comparison.greater, operator.gt),  # type: ignore[list-item]
    (comparison.at_most, operator.le),  # type: ignore[list-item]
    (comparison.at_least, operator.ge),  # type: ignore[list-item]
]
FLOATS = st.one_of(
    st.floats(allow_nan=True, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, 1 + 1e-13, 1 + 2e-13, 1 - 1e-13, math.inf, -math.inf, math.nan]),
)
WHOLE = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 0, 1]))


def flags(value: Value) -> list[bool]:
    assert isinstance(value, Vector)
    assert value.type is QType.BOOLEAN
    return list(value.data.tolist())


def ordinal(one: float, other: float) -> int:
    """Order two floats exactly, by the documented rule of tolerance: -1, 0 or 1."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(other) - math.isnan(one)
    if math.isinf(one) or math.isinf(other):
        return (one > other) - (one < other)
    apart = abs(Fraction(one) - Fraction(other))
    if apart <= Fraction(1, 2**43) * max(abs(Fraction(one)), abs(Fraction(other))):
        return 0
    return 1 if one > other else -1


def is_borderline(one: float, other: float) -> bool:
    """Tell whether rounding alone decides if two floats are near."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return False
    size = max(abs(Fraction(one)), abs(Fraction(other))) / 2**43
    apart = abs(Fraction(one) - Fraction(other))
    return size > 0 and (abs(apart / size - 1) < Fraction(1, 2**20) or size < Fraction(1, 2**1000))


@pytest.mark.kernel
@pytest.mark.parametrize(("verb", "oracle"), VERBS)
@given(pairs=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=20))
def test_floats_compare_with_tolerance(
    verb: Verb, oracle: Oracle, pairs: list[tuple[float, float]]
) -> None:
    pairs = [pair for pair in pairs if not is_borderline(*pair)] or [(1.0, 1.0)]
    expected = [oracle(ordinal(*pair), 0) for pair in pairs]
    lefts, rights = (vector(QType.FLOAT, side) for side in zip(*pairs, strict=True))
    assert flags(verb(lefts, rights)) == expected
    for (one, other), answer in zip(pairs, expected, strict=True):
        assert verb(float_(one), float_(other)) == boolean(answer)
        assert flags(verb(vector(QType.FLOAT, [one]), float_(other))) == [answer]
        assert flags(verb(float_(one), vector(QType.FLOAT, [other]))) == [answer]


@pytest.mark.parametrize(("verb", "oracle"), VERBS)
@given(left=WHOLE, right=st.one_of(st.integers(-(2**31), 2**31 - 1), st.just(-(2**31))))
def test_integers_of_any_width_compare_exactly_with_nulls_first(
    verb: Verb, oracle: Oracle, left: int, right: int
) -> None:
    meant = -(2**63) if right == -(2**31) else right
    expected = oracle(left, meant)
    longs, ints = vector(QType.LONG, [left]), vector(QType.INT, [right])
    assert flags(verb(longs, ints)) == [expected]
    assert flags(verb(longs, Atom(QType.INT, right))) == [expected]
    assert verb(long(left), Atom(QType.INT, right)) == boolean(expected)
    assert flags(verb(ints, long(left))) == [oracle(meant, left)]


def test_a_number_as_small_as_a_narrow_null_is_no_null() -> None:
    ints = vector(QType.INT, [NULLS[QType.INT], 0])
    assert flags(comparison.equal(ints, long(-(2**31)))) == [False, False]
    assert flags(comparison.equal(ints, null(QType.LONG))) == [True, False]


def test_nulls_of_all_numeric_types_are_equal_and_below_all_infinities() -> None:
    kinds = (QType.SHORT, QType.INT, QType.LONG, QType.REAL, QType.FLOAT)
    for left in kinds:
        for right in kinds:
            assert comparison.equal(null(left), null(right)) == boolean(True)
            lowest = -math.inf if right in (QType.REAL, QType.FLOAT) else NULLS[right] + 1
            assert comparison.less(null(left), Atom(right, lowest)) == boolean(True)


def test_text_compares_by_code_and_symbols_by_name() -> None:
    assert flags(comparison.equal(chars("hello"), chars("world"))) == [0, 0, 0, 1, 0]
    mixed = List((char(ord("4")), char(ord("f")), long(4)))
    assert flags(comparison.less(char(ord("0")), mixed)) == [True, True, False]
    names = symbols(["pear", "apple", "zoo", ""])
    assert flags(comparison.less(names, symbol("plum"))) == [True, True, False, True]
    assert flags(comparison.at_least(names, names)) == [True] * 4
    assert comparison.greater(symbol("alpha"), symbol("omega")) == boolean(False)


def test_guids_compare_by_their_bytes() -> None:
    raw = [bytes(16), bytes([1]) + bytes(15), bytes(15) + bytes([2])]
    guids = Vector(QType.GUID, np.frombuffer(b"".join(raw), dtype="V16"))
    pivot = Atom(QType.GUID, raw[2])
    assert flags(comparison.less(guids, pivot)) == [one < raw[2] for one in raw]
    assert flags(comparison.equal(guids, pivot)) == [False, False, True]


def test_moments_compare_with_times_of_day_in_the_coarser_unit() -> None:
    day = 86_400 * 10**9
    stamps = vector(QType.TIMESTAMP, [day + 34_140 * 10**9, day + 34_155 * 10**9])  # 09:29
    assert flags(comparison.equal(stamps, Atom(QType.MINUTE, 569))) == [True, True]
    spans = vector(QType.TIMESPAN, [34_140 * 10**9, 34_155 * 10**9])
    assert flags(comparison.greater(spans, Atom(QType.MINUTE, 569))) == [False, True]
    assert flags(comparison.greater(stamps, Atom(QType.DATE, 1))) == [True, True]
    assert comparison.equal(Atom(QType.MINUTE, 630), Atom(QType.TIME, 37_800_000)) == boolean(True)
    with pytest.raises(QError, match="type"):
        comparison.less(Atom(QType.DATE, 1), Atom(QType.TIME, 1))


def test_an_enumeration_is_compared_by_what_it_stands_for() -> None:
    domain = Domain("sym", symbols(["a", "b", "a"]))
    column = Enumerated(domain, np.array([0, 1, 2, -1]))
    assert flags(comparison.equal(column, symbol("a"))) == [True, False, True, False]
    assert flags(comparison.equal(symbol("b"), column)) == [False, True, False, False]
    assert flags(comparison.not_equal(column, symbol(""))) == [True, True, True, False]
    assert flags(comparison.equal(column, symbol("never seen before"))) == [False] * 4
    assert flags(comparison.less(column, symbol("b"))) == [True, False, True, True]


def test_keys_of_one_dictionary_only_are_compared_with_nulls() -> None:
    left = Dictionary(symbols("ab"), vector(QType.LONG, [1, 2]))
    right = Dictionary(symbols("bc"), vector(QType.LONG, [2, 3]))
    equal = comparison.equal(left, right)
    assert matches(equal, Dictionary(symbols("abc"), vector(QType.BOOLEAN, [0, 1, 0])))


def test_match_is_deep_and_exact_but_for_tolerance_and_attributes() -> None:
    assert matches(float_(1.0), float_(1 - 1e-13))
    assert not matches(long(1), Atom(QType.SHORT, 1))
    assert matches(null(QType.FLOAT), float_(math.nan))
    nested = List((long(1), chars("ab")))
    assert matches(nested, List((long(1), chars("ab"))))
    assert not matches(nested, List((long(1), chars("ac"))))
    assert not matches(List(()), vector(QType.LONG, []))
    assert matches(Table.of({"a": symbols("x")}), Table.of({"a": symbols("x")}))
    assert not matches(Table.of({"a": symbols("x")}), Table.of({"b": symbols("x")}))


def test_null_and_truth_of_every_shape() -> None:
    assert flags(logic.null(vector(QType.FLOAT, [0, math.nan, math.inf]))) == [0, 1, 0]
    assert flags(logic.null(chars(" \0a"))) == [True, False, False]
    assert flags(logic.null(symbols(["", "x"]))) == [True, False]
    assert logic.null(Atom(QType.GUID, bytes(16))) == boolean(True)
    assert flags(logic.negate(chars("ab\0"))) == [False, False, True]
    assert logic.every(List(())) == boolean(True)
    assert logic.some(List(())) == boolean(False)
    assert logic.every(vector(QType.LONG, [1, 0])) == boolean(False)
    columns = {"a": vector(QType.LONG, [1, 2]), "b": vector(QType.LONG, [0, 1])}
    assert matches(
        logic.every(Table.of(columns)),
        Dictionary(symbols("ab"), vector(QType.BOOLEAN, [1, 0])),
    )
    with pytest.raises(QError, match="type"):
        logic.negate(symbol("a"))


def test_within_includes_its_bounds_and_pairs_with_lists_of_them() -> None:
    bounds = vector(QType.LONG, [2, 6])
    assert flags(choice.within(vector(QType.LONG, [1, 3, 10, 6, 2]), bounds)) == [0, 1, 0, 1, 1]
    ranges = List((vector(QType.LONG, [1, 2, 6]), vector(QType.LONG, [3, 5, 7])))
    assert flags(choice.within(long(5), ranges)) == [False, True, False]
    assert flags(choice.within(chars("acy"), chars("br"))) == [False, True, False]
    with pytest.raises(QError, match="length"):
        choice.within(long(1), vector(QType.LONG, [1, 2, 3]))


class NoSession:
    """The vector conditional asks nothing of a session."""


def chosen(test: Value, yes: Value, no: Value) -> Value:
    return choice.choose(NoSession(), test, yes, no)  # type: ignore[arg-type]


def test_the_vector_conditional_picks_item_by_item() -> None:
    test = vector(QType.BOOLEAN, [1, 0, 1])
    tens = vector(QType.LONG, [10, 20, 30])
    assert matches(chosen(test, long(1), tens), vector(QType.LONG, [1, 20, 1]))
    mixed = List((long(1), chars("x"), long(2)))
    assert matches(chosen(test, tens, mixed), List((long(10), chars("x"), long(30))))
    assert chosen(boolean(False), long(1), long(2)) == long(2)
    with pytest.raises(QError, match="length"):
        chosen(test, tens, vector(QType.LONG, [1]))
    with pytest.raises(QError, match="type"):
        chosen(test, tens, float_(1.0))
