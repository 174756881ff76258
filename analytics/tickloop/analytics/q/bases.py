"""Numbers as digits, bits and bytes, and back: vs and sv."""

from collections.abc import Callable

import numpy as np

from tickloop.analytics.q import splitting
from tickloop.analytics.q.arithmetic import div, minus, mod, plus, times
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.promotion import FLOATING
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import (
    DTYPES,
    Array,
    Atom,
    List,
    QType,
    Value,
    Vector,
    atom_at,
    collect,
    count_of,
    is_list,
    items_of,
    long,
    name_of,
    type_of,
)

_BY_BYTES = {
    1: QType.BYTE, 2: QType.SHORT, 4: QType.INT, 8: QType.LONG, 16: QType.GUID,
}  # fmt: skip


def _is_atom(value: Value, kind: QType, number: int) -> bool:
    return isinstance(value, Atom) and value.type is kind and value.value == number


def _bytes_of(value: Atom) -> Array:
    """Give a number's bytes, the most significant first."""
    if value.type is QType.SYMBOL:
        raise type_error("a symbol seen, a number needed")
    raw = np.array([value.item()], dtype=DTYPES[value.type]).view(np.uint8)
    return np.ascontiguousarray(raw if value.type is QType.GUID else raw[::-1])


def _from_bytes(data: Array, name: str) -> Value:
    kind = _BY_BYTES.get(len(data))
    if kind is None:
        raise QError("length", f"{name} of {len(data)} bytes seen; 1, 2, 4, 8 or 16 make a value")
    ordered = data if kind is QType.GUID else data[::-1]
    return atom_at(Vector(kind, np.ascontiguousarray(ordered).view(DTYPES[kind])), 0)


@register("vs", rank=2, operator=True)
def vector_from(left: Value, right: Value) -> Value:
    """Cut text, or spell a number as digits, bits (0b) or bytes (0x0)."""
    if name_of(left) == "":
        return splitting.cut_naturally(right)
    if _is_atom(left, QType.BOOLEAN, 0):
        return _each_atom(right, lambda one: Vector(QType.BOOLEAN, _bits(one)))
    if _is_atom(left, QType.BYTE, 0) and isinstance(right, Atom):
        return Vector(QType.BYTE, _bytes_of(right))
    if splitting.raw_of(left) is not None:
        return splitting.cut(left, right)
    return _digits(left, right)


def _bits(value: Atom) -> Array:
    if value.type is QType.BOOLEAN:
        return np.array([value.value], dtype=np.bool_)
    return np.unpackbits(_bytes_of(value)).astype(np.bool_)


def _each_atom(value: Value, function: Callable[[Atom], Value]) -> Value:
    if isinstance(value, Atom):
        return function(value)
    if is_list(value):
        return collect([_each_atom(item, function) for item in items_of(value)])
    raise type_error(f"a value of type {type_of(value)}h seen, numbers needed")


def _digits(base: Value, value: Value) -> Value:
    """Spell numbers in a base, or in a list of bases; a base of 0 takes all that is left."""
    if isinstance(base, Atom):
        bases: list[Value] = [base] * _digit_count(base, value)
    elif is_list(base):
        bases = items_of(base)
    else:
        raise type_error(f"a base of type {type_of(base)}h seen, a number needed")
    digits: list[Value] = []
    for one in reversed(bases):
        digit = mod(value, one)
        digits.append(digit)
        value = div(minus(value, digit), one)
    return collect(digits[::-1])


def _digit_count(base: Atom, value: Value) -> int:
    if base.type in FLOATING or not isinstance(base.value, int) or base.value < 2:
        raise type_error("a base is a whole number of at least 2")
    largest, count = _largest(value), 1
    while largest >= base.value:
        largest //= base.value
        count += 1
    return count


def _largest(value: Value) -> int:
    if isinstance(value, Vector) and value.type not in FLOATING:
        return int(value.data.max(initial=0))
    if isinstance(value, Atom) and isinstance(value.value, int):
        return int(value.value)
    if isinstance(value, List):
        return max(map(_largest, value.items), default=0)
    raise type_error(f"a value of type {type_of(value)}h seen, whole numbers needed")


@register("sv", rank=2, operator=True)
def scalar_from(left: Value, right: Value) -> Value:
    """Join text, or read a number from digits, bits (0b) or bytes (0x0)."""
    if name_of(left) == "":
        return splitting.joined_naturally(right)
    if _is_atom(left, QType.BOOLEAN, 0):
        return _from_bits(right)
    if _is_atom(left, QType.BYTE, 0) and isinstance(right, Vector) and right.type is QType.BYTE:
        return _from_bytes(right.data, "a vector")
    if splitting.raw_of(left) is not None:
        return splitting.joined(left, right)
    return _number(left, right)


def _from_bits(value: Value) -> Value:
    if not isinstance(value, Vector) or value.type is not QType.BOOLEAN:
        raise type_error(f"a value of type {type_of(value)}h seen, a boolean vector needed")
    if len(value) % 8:
        raise QError("length", f"{len(value)} bits seen; 8, 16, 32, 64 or 128 make a value")
    return _from_bytes(np.packbits(value.data), f"{len(value)} bits")


def _number(base: Value, digits: Value) -> Value:
    """Read digits in a base or bases, of which the first is not used."""
    items = items_of(digits)
    bases = items_of(base) if is_list(base) else [base] * len(items)
    if len(bases) != len(items):
        raise length_error(len(bases), count_of(digits))
    if not items:
        return long(0)
    total = items[0]
    for one, digit in zip(bases[1:], items[1:], strict=True):
        total = plus(times(total, one), digit)
    return plus(total, long(0)) if isinstance(total, Atom) and total.type < QType.INT else total
