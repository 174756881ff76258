"""Integers in a power-of-ten unit and correctly rounded floats are exact round trips."""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.errors import RangeError, SchemaError
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.units import (
    EXACT_MAX,
    NULL_LONG,
    UNIT_MIN,
    to_float,
    to_floats,
    to_integer,
    to_integers,
)

ALWAYS_EXACT = 2**51
UNITS = st.integers(UNIT_MIN, 0)
VALUES = st.integers(-ALWAYS_EXACT, ALWAYS_EXACT)

pytestmark = pytest.mark.kernel


def _nearest(value: int, unit: int) -> float:
    """Round the exact decimal to the nearest double, as reading its text does."""
    return float(Decimal(value).scaleb(unit))


def _ints(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _there(values: npt.NDArray[np.int64], unit: int) -> tuple[npt.NDArray[np.float64], int]:
    return to_floats(values, np.full(len(values), -1, np.int32), np.zeros(0, np.int8), unit)


def _back(floats: npt.NDArray[np.float64], unit: int) -> tuple[npt.NDArray[np.int64], int]:
    return to_integers(floats, np.full(len(floats), -1, np.int32), np.zeros(0, np.int8), unit)


@given(values=st.lists(VALUES, max_size=20), unit=UNITS)
def test_every_integer_up_to_two_to_the_51_comes_back(values: list[int], unit: int) -> None:
    floats, refused = _there(_ints(*values), unit)
    assert refused == 0
    assert floats.tolist() == [_nearest(value, unit) for value in values]
    integers, refused = _back(floats, unit)
    assert (integers.tolist(), refused) == (values, 0)


@given(value=st.integers(-EXACT_MAX, EXACT_MAX))
def test_whole_units_are_exact_up_to_two_to_the_53(value: int) -> None:
    floats, refused = _there(_ints(value), 0)
    assert (floats.tolist(), refused) == ([float(value)], 0)
    assert _back(floats, 0)[0].tolist() == [value]


@given(value=st.integers(ALWAYS_EXACT, 2**63 - 1), sign=st.sampled_from([1, -1]), unit=UNITS)
def test_a_larger_integer_comes_back_or_is_refused_and_counted(
    value: int, sign: int, unit: int
) -> None:
    floats, refused = _there(_ints(sign * value), unit)
    if refused:
        assert np.isnan(floats[0])
        with pytest.raises(RangeError, match="does not fit a float64 exactly"):
            to_float(sign * value, unit)
    else:
        assert value <= EXACT_MAX
        assert floats[0] == _nearest(sign * value, unit) == to_float(sign * value, unit)
        assert _back(floats, unit) == (_ints(sign * value), 0)


def test_everything_beyond_two_to_the_53_is_refused() -> None:
    values = _ints(EXACT_MAX + 1, -EXACT_MAX - 1, 2**63 - 1, -(2**63) + 1, EXACT_MAX)
    floats, refused = _there(values, 0)
    assert refused == 4
    assert np.isnan(floats[:4]).all()
    assert floats[4] == EXACT_MAX


@given(number=st.floats(), unit=UNITS)
def test_a_float_is_a_whole_number_of_units_or_refused(number: float, unit: int) -> None:
    integers, refused = _back(np.array([number]), unit)
    if np.isnan(number):
        assert (integers[0], refused) == (NULL_LONG, 0)
    elif refused:
        assert (integers[0], refused) == (NULL_LONG, 1)
        with pytest.raises(RangeError, match="is not a whole number"):
            to_integer(number, unit)
    else:
        assert _nearest(int(integers[0]), unit) == number
        assert to_integer(number, unit) == integers[0]


@given(value=st.integers(-(10**15), 10**15), unit=UNITS)
def test_a_decimal_text_of_fifteen_digits_is_never_refused(value: int, unit: int) -> None:
    number = float(f"{Decimal(value).scaleb(unit):f}")
    assert _back(np.array([number]), unit)[0].tolist() == [value]
    assert to_integer(number, unit) == value
    assert to_float(value, unit) == number


def test_a_price_equals_what_a_person_types() -> None:
    floats, _ = _there(_ints(1_001_000, 1, 999_999, -1_001_000), -4)
    assert floats.tolist() == [100.1, 0.0001, 99.9999, -100.1]


def test_null_is_nan_and_back_and_not_counted() -> None:
    floats, refused = _there(_ints(NULL_LONG, 5), -2)
    assert np.isnan(floats[0])
    assert (floats[1], refused) == (0.05, 0)
    assert _back(floats, -2)[0].tolist() == [NULL_LONG, 5]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 0.00001, 1e300])
def test_a_single_number_that_does_not_fit_is_a_range_error(number: float) -> None:
    with pytest.raises(RangeError, match="choose a finer unit"):
        to_integer(number, -4)


def test_each_symbol_has_its_unit_and_strangers_the_default() -> None:
    units = np.array([-2, -8], dtype=np.int8)
    symbols = np.array([0, 1, 2, -1, NULL_LONG // 2**32], dtype=np.int32)
    floats, _ = to_floats(_ints(100, 100, 100, 100, 100), symbols, units, -4)
    assert floats.tolist() == [1.0, 0.000001, 0.01, 0.01, 0.01]
    assert to_integers(floats, symbols, units, -4)[0].tolist() == [100] * 5


def test_arrays_with_gaps_between_elements_are_taken() -> None:
    values = np.arange(20, dtype=np.int64)[::2]
    symbols = np.full(20, -1, dtype=np.int32)[::2]
    floats, _ = to_floats(values, symbols, np.zeros(0, np.int8), -1)
    assert floats.tolist() == [value / 10 for value in range(0, 20, 2)]


def test_an_instrument_keeps_its_units() -> None:
    instruments = Instruments()
    assert instruments.declare(3, price_unit=-2, size_unit=0)
    assert not instruments.declare(3, price_unit=-2, size_unit=0)
    with pytest.raises(
        SchemaError, match=r"symbol 3 has .*\(-2, 0\), asked to change to \(-3, 0\)"
    ):
        instruments.declare(3, price_unit=-3, size_unit=0)
    assert instruments.declared(3) == (-2, 0)
    assert instruments.declared(4) is None
    assert instruments.price_units[3] == -2


@pytest.mark.parametrize("unit", [1, UNIT_MIN - 1, 300])
def test_a_unit_without_an_exact_power_of_ten_is_refused(unit: int) -> None:
    instruments = Instruments()
    for units in ({"price_unit": unit, "size_unit": 0}, {"price_unit": 0, "size_unit": unit}):
        with pytest.raises(SchemaError, match=r"10\^-18 to 10\^0 expected"):
            instruments.declare(0, **units)
    assert instruments.declared(0) is None


@given(ids=st.lists(st.integers(0, 20_000), max_size=10, unique=True))
def test_units_grow_with_the_symbols_and_the_rest_keeps_the_default(ids: list[int]) -> None:
    instruments = Instruments()
    for symbol in ids:
        instruments.declare(symbol, price_unit=-(symbol % 19), size_unit=-(symbol % 7))
    prices, sizes = instruments.price_units, instruments.size_units
    assert len(prices) == len(sizes) > max(ids, default=0)
    for symbol in range(0, len(prices), 97):
        declared = symbol in ids
        assert prices[symbol] == (-(symbol % 19) if declared else DEFAULT_PRICE_UNIT)
        assert sizes[symbol] == (-(symbol % 7) if declared else DEFAULT_SIZE_UNIT)
    for symbol in ids:
        assert (prices[symbol], sizes[symbol]) == instruments.declared(symbol)
