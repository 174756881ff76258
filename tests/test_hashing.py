"""Draws are the published SplitMix64, and what is derived from them has the stated moments."""

import numpy as np
import numpy.typing as npt
import pytest

from tickloop.core.hashing import (
    BELL_DEVIATION,
    WAITING_ONE,
    draw,
    draw_bell,
    draw_below,
    draw_waiting,
    pick_below,
    seed_of,
)
from tickloop.core.kernel import kernel


@kernel("void(uint64[::1], uint64[::1])")
def _fill_bits(seed: npt.NDArray[np.uint64], out: npt.NDArray[np.uint64]) -> None:
    for row in range(len(out)):
        out[row] = draw(seed)


@kernel("void(uint64[::1], int64[:,::1])")
def _fill_shapes(seed: npt.NDArray[np.uint64], out: npt.NDArray[np.int64]) -> None:
    for row in range(len(out)):
        out[row, 0] = draw_below(seed, 10)
        out[row, 1] = draw_bell(seed)
        out[row, 2] = draw_waiting(seed)


def _shapes(rows: int) -> npt.NDArray[np.int64]:
    out = np.empty((rows, 3), dtype=np.int64)
    _fill_shapes(seed_of(7), out)
    return out


def _splitmix64(state: int, count: int) -> list[int]:
    """Follow the published C code in Python's unbounded integers."""
    mask = 2**64 - 1
    values = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        value = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        values.append(value ^ (value >> 31))
    return values


@pytest.mark.kernel
@pytest.mark.parametrize("start", [0, 1, 1234567, 2**64 - 1])
def test_draws_outside_of_kernels_are_those_inside(start: int) -> None:
    shapes = np.empty((50, 3), dtype=np.int64)
    inside, outside = (np.array([start], dtype=np.uint64) for _ in range(2))
    expected, found = [], []
    for _ in range(50):
        _fill_shapes(inside, shapes[:1])
        expected.append(int(shapes[0, 0]))
        found.append(pick_below(outside, 10))
        outside[0] = _splitmix_seed(outside, 2)
    assert found == expected
    assert inside == outside


def _splitmix_seed(seed: npt.NDArray[np.uint64], draws: int) -> int:
    """Give the state so many draws later."""
    return (int(seed[0]) + draws * 0x9E3779B97F4A7C15) & (2**64 - 1)


@pytest.mark.kernel
@pytest.mark.parametrize("start", [0, 1, 1234567, 2**64 - 1])
def test_draws_are_the_published_splitmix64(start: int) -> None:
    out = np.empty(50, dtype=np.uint64)
    _fill_bits(np.array([start], dtype=np.uint64), out)
    assert out.tolist() == _splitmix64(start, 50)


def test_the_first_draws_from_seed_1234567_are_those_of_the_reference() -> None:
    # As printed with the reference implementation (Vigna, prng.di.unimi.it) in Rosetta Code.
    assert _splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]


@pytest.mark.kernel
def test_bounded_draws_cover_their_range_evenly() -> None:
    counts = np.bincount(_shapes(10_000)[:, 0], minlength=10)
    assert len(counts) == 10
    # 1,000 expected a value; the standard deviation of a count is 30.
    assert counts.min() > 850
    assert counts.max() < 1150


@pytest.mark.kernel
def test_bells_have_the_stated_deviation_and_no_mean() -> None:
    bells = _shapes(10_000)[:, 1]
    assert abs(bells.mean()) < 4 * BELL_DEVIATION / 100
    assert bells.std() == pytest.approx(BELL_DEVIATION, rel=0.04)


@pytest.mark.kernel
def test_waiting_times_are_exponential_with_mean_one() -> None:
    waits = _shapes(10_000)[:, 2] / WAITING_ONE
    assert waits.min() >= 0
    assert waits.mean() == pytest.approx(1, abs=0.04)
    assert np.median(waits) == pytest.approx(np.log(2), abs=0.04)
    assert np.mean(waits > 2) == pytest.approx(np.exp(-2), abs=0.02)


@pytest.mark.kernel
def test_a_seed_depends_on_every_part_and_their_order() -> None:
    seeds = {int(seed_of(*parts)[0]) for parts in [(1, 2), (2, 1), (1, 3), (1,), (1, 2, 0)]}
    assert len(seeds) == 5
