"""Matrix products, inverses and least squares, summed in order, so that digits never vary."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel

Matrix = npt.NDArray[np.float64]
_MATRIX = "float64[:, ::1]"


@kernel(f"void({_MATRIX}, {_MATRIX}, {_MATRIX})")
def _product(left: Matrix, right: Matrix, out: Matrix) -> None:
    for row in range(left.shape[0]):
        for inner in range(left.shape[1]):
            factor = left[row, inner]
            for column in range(right.shape[1]):
                out[row, column] += factor * right[inner, column]


@inline_kernel
def _pivot(lower_upper: Matrix, order: npt.NDArray[np.int64], column: int) -> bool:
    """Bring the largest item below the diagonal onto it; False if all are zero."""
    best = column
    for row in range(column + 1, lower_upper.shape[0]):
        if abs(lower_upper[row, column]) > abs(lower_upper[best, column]):
            best = row
    if best != column:
        order[column], order[best] = order[best], order[column]
        for item in range(lower_upper.shape[1]):
            kept = lower_upper[column, item]
            lower_upper[column, item] = lower_upper[best, item]
            lower_upper[best, item] = kept
    return bool(lower_upper[column, column] != 0.0)


@kernel(f"boolean({_MATRIX}, int64[::1])")
def _decompose(lower_upper: Matrix, order: npt.NDArray[np.int64]) -> bool:
    """Decompose in place, pivoting rows; False if the matrix is singular."""
    size = lower_upper.shape[0]
    for column in range(size):
        if not _pivot(lower_upper, order, column):
            return False
        for row in range(column + 1, size):
            lower_upper[row, column] /= lower_upper[column, column]
            factor = lower_upper[row, column]
            for item in range(column + 1, size):
                lower_upper[row, item] -= factor * lower_upper[column, item]
    return True


@kernel(f"void({_MATRIX}, int64[::1], {_MATRIX})")
def _invert(lower_upper: Matrix, order: npt.NDArray[np.int64], out: Matrix) -> None:
    size = lower_upper.shape[0]
    for column in range(size):
        for row in range(size):
            total = 1.0 if order[row] == column else 0.0
            for inner in range(row):
                total -= lower_upper[row, inner] * out[inner, column]
            out[row, column] = total
        for row in range(size - 1, -1, -1):
            total = out[row, column]
            for inner in range(row + 1, size):
                total -= lower_upper[row, inner] * out[inner, column]
            out[row, column] = total / lower_upper[row, row]


@kernel(f"boolean({_MATRIX})")
def _cholesky(matrix: Matrix) -> bool:
    """Replace the lower half by its Cholesky factor; False if the matrix has none."""
    for row in range(matrix.shape[0]):
        for column in range(row + 1):
            total = matrix[row, column]
            for inner in range(column):
                total -= matrix[row, inner] * matrix[column, inner]
            if row != column:
                matrix[row, column] = total / matrix[column, column]
            elif total > 0.0:
                matrix[row, row] = np.sqrt(total)
            else:
                return False
    return True


@kernel(f"void({_MATRIX}, {_MATRIX})")
def _substitute(lower: Matrix, out: Matrix) -> None:
    """Solve each row of `out` against a Cholesky factor, in place."""
    size = lower.shape[0]
    for row in range(out.shape[0]):
        for item in range(size):
            for inner in range(item):
                out[row, item] -= lower[item, inner] * out[row, inner]
            out[row, item] /= lower[item, item]
        for item in range(size - 1, -1, -1):
            for inner in range(item + 1, size):
                out[row, item] -= lower[inner, item] * out[row, inner]
            out[row, item] /= lower[item, item]


def _owned(array: npt.NDArray[Any]) -> Matrix:
    """Give a matrix of its own, writable and contiguous."""
    return np.array(array, dtype=np.float64, order="C", ndmin=2)


def product(left: Matrix, right: Matrix) -> Matrix:
    """Multiply two matrices."""
    out = np.zeros((left.shape[0], right.shape[1]))
    with np.errstate(all="ignore"):
        _product(_owned(left), _owned(right), out)
    return out


def inverse(matrix: Matrix) -> Matrix | None:
    """Invert a square matrix; None if it is singular."""
    lower_upper = _owned(matrix)
    order = np.arange(len(matrix))
    with np.errstate(all="ignore"):
        if not _decompose(lower_upper, order):
            return None
        out = np.zeros_like(lower_upper)
        _invert(lower_upper, order, out)
    return out


def least_squares(left: Matrix, right: Matrix) -> Matrix | None:
    """Solve the normal equations of left = answer × right; None if rows of right depend."""
    across = np.ascontiguousarray(right.T)
    squares = product(right, across)
    out = product(left, across)
    with np.errstate(all="ignore"):
        if not _cholesky(squares):
            return None
        _substitute(squares, out)
    return out
