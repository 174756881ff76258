"""The only place where integers wrap: mixing, counters and seeded draws, alike on every machine.

Everything here is integer arithmetic modulo 2**64, so the same seed gives the same values under
Numba and in plain Python, where NumPy would warn about the overflow that is meant.
"""

import functools
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

P = ParamSpec("P")
R = TypeVar("R")

Seed = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S16 = np.uint64(16)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)
_S32 = np.uint64(32)
_S33 = np.uint64(33)
_S48 = np.uint64(48)
_LOW16 = np.uint64(0xFFFF)

# FNV-1a of 64 bits: a few lines anywhere, and no seed.
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_MASK_64 = 2**64 - 1
NULL_SHARD = 0  # rows of no symbol

# The standard deviation of `bell`: four uniform 16-bit numbers, 65536 × sqrt(4 / 12).
BELL_DEVIATION = 37_837
# Steps of one mean in `waiting`.
WAITING_ONE = 1 << 16
_QUANTILES = 4096
_WAITING = np.array(
    [round(-math.log(1 - i / _QUANTILES) * WAITING_ONE) for i in range(_QUANTILES)]
    + [round((math.log(_QUANTILES) + 2) * WAITING_ONE)],
    dtype=np.int64,
)


def _wrapping(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a helper whose integers wrap on purpose; uncompiled, NumPy does not warn of it."""
    if not numba.config.DISABLE_JIT:
        return inline_kernel(function)

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return quiet


@_wrapping
def mix(value: np.uint64) -> np.uint64:
    """Scatter 64 bits: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection."""
    value = (value ^ (value >> _S30)) * _MIX_1
    value = (value ^ (value >> _S27)) * _MIX_2
    return value ^ (value >> _S31)


@_wrapping
def draw(seed: Seed) -> np.uint64:
    """Advance `seed[0]` and give the next 64 random bits: SplitMix64."""
    seed[0] += _GOLDEN
    return mix(seed[0])


@inline_kernel
def draw_positive(seed: Seed) -> int:
    """Draw 31 random bits as a signed integer: 0 to 2**31 - 1."""
    return int(draw(seed) >> _S33)


@inline_kernel
def draw_below(seed: Seed, limit: int) -> int:
    """Draw an integer from 0 to `limit` - 1; `limit` is at most 2**31."""
    return (draw_positive(seed) * limit) >> 31


@inline_kernel
def draw_bell(seed: Seed) -> int:
    """Draw a bell-shaped integer with mean 0 and standard deviation BELL_DEVIATION."""
    bits = draw(seed)
    pair = (bits & _LOW16) + ((bits >> _S16) & _LOW16)
    total = pair + ((bits >> _S32) & _LOW16) + (bits >> _S48)
    return int(total) - 2 * 65_535


@inline_kernel
def draw_waiting(seed: Seed) -> int:
    """Draw an exponential waiting time in 1/WAITING_ONE of its mean.

    Interpolated between 4,096 quantiles; the last ends where it keeps the tail's mean.
    """
    bits = draw_positive(seed)
    slot = bits >> 19
    part = bits & ((1 << 19) - 1)
    low = _WAITING[slot]
    return int(low + (((_WAITING[slot + 1] - low) * part) >> 19))


# Before a day's first message a few values are drawn outside of kernels. To compile the helpers
# above for that would take longer than all of it, in every process.


def _mixed(value: int) -> int:
    value = ((value ^ (value >> 30)) * int(_MIX_1)) & _MASK_64
    value = ((value ^ (value >> 27)) * int(_MIX_2)) & _MASK_64
    return value ^ (value >> 31)


def seed_of(*parts: int) -> Seed:
    """Make a generator's state from integers; the same parts give the same draws."""
    state = 0
    for part in parts:
        state = _mixed(((state ^ part) + int(_GOLDEN)) & _MASK_64)
    return np.array([state], dtype=np.uint64)


def pick_below(seed: Seed, limit: int) -> int:
    """Draw as `draw_below` does, outside of kernels."""
    state = (int(seed[0]) + int(_GOLDEN)) & _MASK_64
    seed[0] = state
    return (_mixed(state) >> 33) * limit >> 31


def shard_of(name: str, shards: int) -> int:
    """Give the shard of a symbol's name, alike in every language and run; no name is in shard 0."""
    if not name:
        return NULL_SHARD
    value = _FNV_OFFSET
    for byte in name.encode(errors="surrogateescape"):
        value = ((value ^ byte) * _FNV_PRIME) & _MASK_64
    # The low bits of FNV-1a mix worst.
    return (value ^ value >> 32) % shards
