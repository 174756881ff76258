"""Roots, powers, angles, rounding and matrices of q against Python's math and NumPy."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q import maths, matrices
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import (
    Atom,
    List,
    QType,
    Value,
    Vector,
    chars,
    float_,
    items_of,
    long,
    null,
    symbol,
    symbols,
    vector,
)

CURVES: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
}  # fmt: skip
MATRIX = st.integers(1, 5).flatmap(
    lambda size: st.lists(
        st.lists(st.floats(-9, 9), min_size=size, max_size=size), min_size=size, max_size=size
    )
)


def floats(*numbers: float) -> Vector:
    return vector(QType.FLOAT, numbers)


def matrix(rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> List:
    return List(tuple(floats(*row) for row in rows.tolist()))


def array(value: Value) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([item.data for item in items_of(value)])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", CURVES)
@given(value=st.floats(0.01, 0.99))
def test_curves_agree_with_python(name: str, value: float) -> None:
    answer = BUILTINS[name].by_rank[1](None, float_(value))
    assert isinstance(answer, Atom)
    assert float(answer.value) == pytest.approx(CURVES[name](value), rel=1e-14)


def test_curves_outside_their_domain_are_null() -> None:
    for name, value in (("sqrt", -1.0), ("log", -1.0), ("asin", 2.0)):
        assert matches(BUILTINS[name].by_rank[1](None, float_(value)), null(QType.FLOAT))
    assert BUILTINS["log"].by_rank[1](None, long(0)) == float_(-math.inf)
    moment = Atom(QType.DATETIME, 3.5)
    assert BUILTINS["log"].by_rank[1](None, moment) == moment


def test_powers_and_logarithms() -> None:
    assert matches(maths.power(long(2), floats(0.5, 8.0)), floats(math.sqrt(2), 256.0))
    assert matches(maths.power(floats(-2.0, 0.0), float_(2.0)), floats(math.nan, 0.0))
    assert matches(maths.logarithm(long(2), floats(8.0, 0.0, -1.0)), floats(3, -math.inf, math.nan))


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=20))
def test_floor_and_ceiling_agree_with_python(values: list[float]) -> None:
    down = vector(QType.LONG, [math.floor(value) for value in values])
    up = vector(QType.LONG, [math.ceil(value) for value in values])
    assert matches(maths.floor(floats(*values)), down)
    assert matches(maths.ceiling(floats(*values)), up)


def test_floor_of_text_is_lower_case() -> None:
    assert matches(maths.floor(chars("aBC1")), chars("abc1"))
    assert matches(maths.floor(symbols(["IBM", "a"])), symbols(["ibm", "a"]))
    assert maths.floor(symbol("IBM")) == symbol("ibm")


@pytest.mark.kernel
@given(MATRIX, MATRIX)
def test_products_agree_with_numpy(left: list[list[float]], right: list[list[float]]) -> None:
    size = min(len(left), len(right))
    one, other = (np.array(side)[:size, :size] for side in (left, right))
    answer = array(matrices.product(matrix(one), matrix(other)))
    assert np.allclose(answer, one @ other, rtol=1e-12, atol=1e-9)


@pytest.mark.kernel
@given(MATRIX)
def test_a_matrix_times_its_inverse_is_the_identity(rows: list[list[float]]) -> None:
    square = np.array(rows) + 50.0 * np.eye(len(rows))
    product = matrices.product(matrix(square), matrices.inverse(matrix(square)))
    assert np.allclose(array(product), np.eye(len(rows)), atol=1e-9)


def test_an_inverse_needs_a_pivot_that_is_not_zero() -> None:
    swapped = np.array([[0.0, 2.0], [4.0, 0.0]])
    assert np.allclose(array(matrices.inverse(matrix(swapped))), [[0, 0.25], [0.5, 0]])
    with pytest.raises(QError, match="domain: a singular matrix"):
        matrices.inverse(matrix(np.array([[1.0, 2.0], [2.0, 4.0]])))
    with pytest.raises(QError, match="length"):
        matrices.inverse(matrix(np.ones((2, 3))))


@pytest.mark.kernel
@given(MATRIX, st.lists(st.floats(-9, 9), min_size=8, max_size=8))
def test_least_squares_agree_with_numpy(rows: list[list[float]], target: list[float]) -> None:
    size = len(rows)
    right = np.hstack([np.array(rows) / 10 + 5.0 * np.eye(size), np.ones((size, 8 - size))])
    left = np.array([target])
    answer = array(matrices.least_squares(matrix(left), matrix(right)))
    expected = np.linalg.lstsq(right.T, left.T)[0].T
    assert np.allclose(answer, expected, rtol=1e-6, atol=1e-6)


def test_vectors_multiply_as_rows_columns_and_dots() -> None:
    rows = matrix(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert matrices.product(floats(1, 2, 3), floats(4, 5, 6)) == float_(32)
    assert matches(matrices.product(rows, floats(1, 1)), floats(3, 7))
    assert matches(matrices.product(floats(1, 1), rows), floats(4, 6))
    with pytest.raises(QError, match="length"):
        matrices.product(rows, floats(1, 2, 3))
    with pytest.raises(QError, match="type"):
        matrices.product(vector(QType.LONG, [1]), floats(1))
