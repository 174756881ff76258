"""Capture stamps of every resolution, as nanoseconds since 2000, exactly and without overflow."""

from tickloop.core.clock import EPOCH_UNIX_NS, NULL_TIME
from tickloop.core.kernel import inline_kernel

EPOCH_UNIX_S = EPOCH_UNIX_NS // 1_000_000_000
# Whole seconds since 1970 that nanoseconds since 2000 can express with room to spare.
SECONDS_MIN = -8_000_000_000
SECONDS_MAX = 9_000_000_000
LOW_32 = 0xFFFFFFFF
MICRO = 6  # if_tsresol: 10**-6 s
NANO = 9


@inline_kernel
def _divide(high: int, low: int, divisor: int) -> tuple[int, int, int]:
    """Divide high * 2**32 + low by at most 2**30: (quotient high, quotient low, remainder)."""
    rest = (high % divisor) << 32 | low
    return high // divisor, rest // divisor, rest % divisor


@inline_kernel
def _decimal(high: int, low: int, digits: int) -> tuple[int, int]:
    """Split a stamp in units of 10**-digits s: (seconds, nanoseconds within the second)."""
    while digits > 9:
        step = min(digits - 9, 9)
        high, low, _ = _divide(high, low, 10**step)
        digits -= step
    quotient_high, quotient_low, rest = _divide(high, low, 10**digits)
    return quotient_high << 32 | quotient_low, rest * 10 ** (9 - digits)


@inline_kernel
def _binary(high: int, low: int, bits: int) -> tuple[int, int]:
    """Split a stamp in units of 2**-bits s: (seconds, nanoseconds within the second)."""
    if bits <= 32:
        fraction = low & ((1 << bits) - 1)
        return high << (32 - bits) | low >> bits, (fraction * 1_000_000_000) >> bits
    seconds = high >> (bits - 32) if bits < 64 else 0
    high_part = high & ((1 << (bits - 32)) - 1) if bits < 64 else high
    # 10**9 is 5**9 * 2**9, which leaves room for the product in two limbs.
    product_high = high_part * 1_953_125
    product_low = low * 1_953_125
    shift = bits - 9
    if shift <= 32:
        return seconds, (product_high << (32 - shift)) + (product_low >> shift)
    if shift - 32 > 62:
        return seconds, 0
    return seconds, (product_high + (product_low >> 32)) >> (shift - 32)


@inline_kernel
def stamp_ns(high: int, low: int, resolution: int, offset_s: int) -> int:
    """Convert a 64-bit stamp in two halves; NULL_TIME if it is beyond what an instant can say.

    `resolution` is pcapng's if_tsresol: 10**-n seconds, or 2**-n if the top bit is set.
    """
    if resolution & 128:
        seconds, nanos = _binary(high, low, resolution & 127)
    else:
        seconds, nanos = _decimal(high, low, resolution)
    if not SECONDS_MIN <= offset_s <= SECONDS_MAX or not 0 <= seconds <= 2 * SECONDS_MAX:
        return NULL_TIME
    seconds += offset_s
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        return NULL_TIME
    return (seconds - EPOCH_UNIX_S) * 1_000_000_000 + nanos
