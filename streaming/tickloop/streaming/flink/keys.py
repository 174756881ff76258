"""Flink's keys of a job's shares: chosen so that every task gets its part of them.

Flink gives a key to a key group, and key groups to tasks in stretches. A number that is hashed
falls anywhere, and two shares of two might fall to one task; so each share gets a key whose group
lies in the share's own stretch. Keys depend on the number of shares and on max_parallelism alone,
which hold for as long as a job's state lives.
"""

_MASK = 0xFFFFFFFF


def key_of(share: int, shares: int, max_parallelism: int) -> int:
    """Give the key of a share."""
    wanted = (2 * share + 1) * max_parallelism // (2 * shares)
    key = 0
    while key_group(key, max_parallelism) != wanted:
        key += 1
    return key


def task_of(key: int, parallelism: int, max_parallelism: int) -> int:
    """Give the task that a key falls to."""
    return key_group(key, max_parallelism) * parallelism // max_parallelism


def key_group(key: int, max_parallelism: int) -> int:
    """Give the group of a whole number's hash code: MurmurHash3 (Appleby 2011) of four bytes."""
    code = _rotated(key * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK
    code = _rotated(code, 13) * 5 + 0xE6546B64 & _MASK
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _MASK
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    signed = code - (1 << 32) if code >> 31 else code
    return abs(signed) % max_parallelism


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK
