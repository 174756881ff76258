"""Arithmetic of q against Python's own numbers: nulls, wrap-around, dictionaries and tables."""

import math
import operator
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q import arithmetic, division_kernels, extremes, integer_kernels
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    float_,
    items_of,
    long,
    null,
    symbols,
    vector,
)

NULL = -(2**63)
INFINITY = 2**63 - 1
WHOLE = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([NULL, INFINITY, -INFINITY, 0, 1, -1, 7])
)
PAIRS = st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=30)
Verb = Callable[[Value, Value], Value]
Oracle = Callable[[int, int], int]
SUMS: list[tuple[Verb, Oracle]] = [
    (arithmetic.plus, operator.add),
    (arithmetic.minus, operator.sub),
    (arithmetic.times, operator.mul),
]


def longs(*numbers: int) -> Vector:
    return vector(QType.LONG, numbers)


def floats(*numbers: float) -> Vector:
    return vector(QType.FLOAT, numbers)


def wrapped(number: int, bits: int = 64) -> int:
    half = 2 ** (bits - 1)
    return int((number + half) % (2 * half) - half)


def numbers(value: Value) -> list[object]:
    assert isinstance(value, Vector), value
    return list(value.data.tolist())


def same(value: Value, expected: Value) -> bool:
    return matches(value, expected)


@pytest.mark.kernel
@pytest.mark.parametrize(("verb", "oracle"), SUMS)
@given(pairs=PAIRS)
def test_longs_wrap_around_and_nulls_stay_null(
    verb: Callable[[Value, Value], Value],
    oracle: Callable[[int, int], int],
    pairs: list[tuple[int, int]],
) -> None:
    lefts, rights = zip(*pairs, strict=True)
    expected = [NULL if NULL in pair else wrapped(oracle(*pair)) for pair in pairs]
    assert numbers(verb(longs(*lefts), longs(*rights))) == expected
    for left, right, answer in zip(lefts, rights, expected, strict=True):
        assert verb(long(left), long(right)) == long(answer)
        assert numbers(verb(longs(left), long(right))) == [answer]
        assert numbers(verb(long(left), longs(right))) == [answer]


@pytest.mark.kernel
@pytest.mark.parametrize(("verb", "oracle"), SUMS)
@given(left=st.integers(-(2**31) + 1, 2**31 - 1), right=st.integers(-(2**31) + 1, 2**31 - 1))
def test_ints_wrap_at_their_own_width(verb: Verb, oracle: Oracle, left: int, right: int) -> None:
    answer = wrapped(oracle(left, right), 32)
    one, other = (vector(QType.INT, [number]) for number in (left, right))
    assert numbers(verb(one, other)) == [answer]
    assert verb(Atom(QType.INT, left), Atom(QType.INT, right)) == Atom(QType.INT, answer)


def test_a_short_null_is_still_null_among_longs() -> None:
    shorts = vector(QType.SHORT, [-(2**15), 32767, 3])
    assert numbers(arithmetic.plus(shorts, longs(1, 1, 1))) == [NULL, 32768, 4]
    assert math.isnan(numbers(arithmetic.divide(shorts, longs(1, 1, 1)))[0])  # type: ignore[arg-type]


def test_infinity_is_a_number_and_one_more_is_null() -> None:
    assert arithmetic.plus(long(INFINITY), long(1)) == null(QType.LONG)
    assert arithmetic.plus(Atom(QType.INT, 2**31 - 1), Atom(QType.INT, 5)) == Atom(
        QType.INT, -2147483644
    )


@given(pairs=PAIRS)
def test_div_and_mod_agree_with_python(pairs: list[tuple[int, int]]) -> None:
    pairs = [pair for pair in pairs if pair[1] != 0 and NULL not in pair and pair[1] != -1]
    if not pairs:
        return
    lefts, rights = (longs(*side) for side in zip(*pairs, strict=True))
    assert numbers(arithmetic.div(lefts, rights)) == [one // other for one, other in pairs]
    assert numbers(arithmetic.mod(lefts, rights)) == [one % other for one, other in pairs]
    for one, other in pairs:
        assert arithmetic.mod(long(one), long(other)) == long(one % other)


def test_div_and_mod_of_floats_and_nulls() -> None:
    assert numbers(arithmetic.mod(longs(-7, 7), float_(-2.5))) == [-2.0, -0.5]
    assert numbers(arithmetic.div(longs(-7, 7), float_(2.5))) == [-3, 2]
    assert numbers(arithmetic.div(longs(NULL, 7), long(2))) == [NULL, 3]
    assert numbers(arithmetic.div(longs(5, -5, 0), long(0))) == [INFINITY, -INFINITY, NULL]


@given(
    width=st.integers(1, 10**9),
    values=st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=20),
)
def test_xbar_rounds_down_to_multiples(width: int, values: list[int]) -> None:
    answers = numbers(arithmetic.xbar(long(width), longs(*values)))
    assert answers == [value // width * width for value in values]


def test_xbar_of_floats_keeps_nulls() -> None:
    bars = numbers(arithmetic.xbar(float_(2.5), floats(4.9, 5.0, math.nan)))
    assert bars[:2] == [2.5, 5.0]
    assert bars[2] != bars[2]


def test_division_by_zero_is_infinite_and_of_nothing_null() -> None:
    answers = numbers(arithmetic.divide(longs(1, -1, 0), longs(0, 0, 0)))
    assert answers[:2] == [math.inf, -math.inf]
    assert answers[2] != answers[2]


def test_signs_of_nulls_and_booleans() -> None:
    assert numbers(arithmetic.signum(longs(NULL, -5, 0, 9))) == [-1, -1, 0, 1]
    assert numbers(arithmetic.signum(floats(math.nan, 0.0, math.inf))) == [-1, 0, 1]
    assert numbers(arithmetic.neg(longs(NULL, INFINITY, -3))) == [NULL, -INFINITY, 3]
    assert arithmetic.neg(boolean(True)) == Atom(QType.INT, -1)
    assert numbers(arithmetic.absolute(longs(NULL, -3))) == [NULL, 3]
    assert arithmetic.absolute(List((long(-10), longs(20, -30)))).items[0] == long(10)  # type: ignore[union-attr]


@given(pairs=PAIRS)
def test_the_lesser_of_a_null_and_a_number_is_the_null(pairs: list[tuple[int, int]]) -> None:
    lefts, rights = (longs(*side) for side in zip(*pairs, strict=True))
    assert numbers(extremes.lesser(lefts, rights)) == [min(pair) for pair in pairs]
    assert numbers(extremes.greater(lefts, rights)) == [max(pair) for pair in pairs]


def test_the_greater_of_a_float_null_and_a_number_is_the_number() -> None:
    one, other = floats(math.nan, 1.0), floats(2.0, math.nan)
    assert numbers(extremes.greater(one, other)) == [2.0, 1.0]
    assert all(number != number for number in numbers(extremes.lesser(one, other)))
    for left, right in product((math.nan, 1.0), repeat=2):
        for verb in (extremes.lesser, extremes.greater):
            atom = verb(float_(left), float_(right))
            assert same(collect([atom]), verb(floats(left), floats(right)))


def test_fill_replaces_nulls_and_takes_the_wider_type() -> None:
    assert numbers(extremes.fill(longs(1, 2, 3), longs(6, NULL, 8))) == [6, 2, 8]
    filled = extremes.fill(long(5), vector(QType.INT, [NULLS[QType.INT], 2, 3]))
    assert same(filled, longs(5, 2, 3))
    assert same(extremes.fill(symbols(["x"]), symbols([""])), symbols(["x"]))


def test_lists_of_different_counts_are_a_length_error_at_any_depth() -> None:
    with pytest.raises(QError, match="length: lists of 3 and 2 items"):
        arithmetic.plus(longs(1, 2, 3), longs(4, 5))
    with pytest.raises(QError, match="length"):
        arithmetic.plus(List((longs(1, 2), long(1))), List((longs(1, 2, 3), long(1))))


def test_a_list_is_added_item_by_item() -> None:
    total = arithmetic.plus(List((long(10), longs(20, 30))), List((long(2), longs(3, 4))))
    assert same(total, List((long(12), longs(23, 34))))
    assert same(arithmetic.plus(List((long(1), long(2))), long(1)), longs(2, 3))


def test_dictionaries_keep_keys_of_either_side() -> None:
    left = Dictionary(symbols("ab"), longs(1, 2))
    right = Dictionary(symbols("bc"), longs(10, 20))
    keys = symbols("abc")
    assert same(arithmetic.plus(left, right), Dictionary(keys, longs(1, 12, 20)))
    assert same(arithmetic.minus(left, right), Dictionary(keys, longs(1, -8, -20)))
    filled = extremes.fill(left, Dictionary(symbols("bc"), longs(NULL, 30)))
    assert same(filled, Dictionary(keys, longs(1, 2, 30)))


@given(
    st.dictionaries(st.integers(0, 20), st.integers(-99, 99)),
    st.dictionaries(st.integers(0, 20), st.integers(-99, 99)),
)
def test_a_sum_of_dictionaries_is_that_of_counters(
    left: dict[int, int], right: dict[int, int]
) -> None:
    sides = [Dictionary(longs(*side), longs(*side.values())) for side in (left, right)]
    total = arithmetic.plus(*sides)
    assert isinstance(total, Dictionary)
    expected = {key: left.get(key, 0) + right.get(key, 0) for key in (*left, *right)}
    assert dict(zip(numbers(total.keys), numbers(total.values), strict=True)) == expected
    assert numbers(total.keys) == list(dict.fromkeys((*left, *right)))


def test_tables_are_added_column_by_column() -> None:
    table = Table.of({"a": longs(1, 2), "b": floats(3.0, 4.0)})
    plus_row = arithmetic.plus(table, longs(10, 20))
    assert same(plus_row, Table.of({"a": longs(11, 22), "b": floats(13.0, 24.0)}))
    doubled = arithmetic.times(long(2), table)
    assert same(doubled, Table.of({"a": longs(2, 4), "b": floats(6.0, 8.0)}))
    one_row = Dictionary(symbols(["b"]), floats(1.0))
    assert same(
        arithmetic.plus(table, one_row), Table.of({"a": longs(1, 2), "b": floats(4.0, 5.0)})
    )


def test_keyed_tables_keep_rows_and_columns_of_either_side() -> None:
    left = Dictionary(Table.of({"k": symbols("xy")}), Table.of({"a": longs(1, 2)}))
    right = Dictionary(
        Table.of({"k": symbols("yz")}), Table.of({"a": longs(10, 20), "b": longs(7, 8)})
    )
    total = arithmetic.plus(left, right)
    expected = Dictionary(
        Table.of({"k": symbols("xyz")}),
        Table.of({"a": longs(1, 12, 20), "b": longs(NULL, 7, 8)}),
    )
    assert same(total, expected)


def test_a_mapped_read_only_column_is_summed_without_a_copy() -> None:
    column = np.arange(5)
    column.flags.writeable = False
    strided = np.arange(10)[::2]
    total = arithmetic.plus(Vector(QType.LONG, column), Vector(QType.LONG, strided))
    assert numbers(total) == [0, 3, 6, 9, 12]
    assert integer_kernels.sealed(column).base is column


def test_moments_and_spans_add_in_their_units() -> None:
    day, midnight = Atom(QType.DATE, 1), 86_400 * 10**9
    assert arithmetic.plus(day, Atom(QType.TIME, 1500)) == Atom(
        QType.TIMESTAMP, midnight + 1_500_000_000
    )
    assert arithmetic.plus(Atom(QType.MINUTE, 1), Atom(QType.SECOND, 5)) == Atom(QType.SECOND, 65)
    assert arithmetic.minus(day, Atom(QType.DATE, 3)) == Atom(QType.INT, -2)
    stamp = Atom(QType.TIMESTAMP, midnight)
    assert arithmetic.minus(stamp, stamp) == Atom(QType.TIMESPAN, 0)
    assert arithmetic.plus(null(QType.DATE), Atom(QType.TIME, 1)) == null(QType.TIMESTAMP)
    assert arithmetic.plus(Atom(QType.MONTH, 1), Atom(QType.MINUTE, 0)) == Atom(
        QType.TIMESTAMP, 31 * midnight
    )


def test_empty_lists_stay_empty() -> None:
    assert items_of(arithmetic.plus(List(()), long(1))) == []
    empty = arithmetic.plus(longs(), float_(1.0))
    assert isinstance(empty, Vector)
    assert (empty.type, len(empty)) == (QType.FLOAT, 0)


@pytest.mark.kernel
@given(
    width=st.one_of(st.integers(1, 100), st.integers(1, 2**62)),
    values=st.lists(st.one_of(WHOLE, st.integers(-(10**18), 10**18)), min_size=1, max_size=20),
)
def test_a_guessed_quotient_is_exact_or_refused(width: int, values: list[int]) -> None:
    array = np.array(values)
    quotients = division_kernels.quotients(array, width)
    bars = division_kernels.bars(array, width)
    assert (quotients is None) == (bars is None)
    expected = [NULL if value == NULL else value // width for value in values]
    if quotients is None or bars is None:
        assert max(abs(number) for number in expected if number != NULL) > 2**50
        return
    assert quotients.tolist() == expected
    assert bars.tolist() == [NULL if one == NULL else wrapped(one * width) for one in expected]
