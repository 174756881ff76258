"""vs and sv: digits, bits, bytes, text, symbols and paths, there and back."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.bases import scalar_from, vector_from
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import (
    Atom,
    List,
    QType,
    Value,
    Vector,
    boolean,
    chars,
    long,
    symbol,
    symbols,
    vector,
)

Run = Callable[[str], Value]
BYTE = Atom(QType.BYTE, 0)
BIT = boolean(False)


@pytest.fixture
def run() -> Run:
    return Session().eval


def numbers(value: Value) -> list[int]:
    assert isinstance(value, Vector), value
    return list(value.data.tolist())


@given(value=st.integers(0, 2**62), base=st.integers(2, 100))
def test_digits_of_a_base_give_the_number_back(value: int, base: int) -> None:
    digits = numbers(vector_from(long(base), long(value)))
    assert digits[0] != 0 or value == 0
    assert all(0 <= digit < base for digit in digits)
    assert sum(digit * base**place for place, digit in enumerate(reversed(digits))) == value
    assert scalar_from(long(base), vector(QType.LONG, digits)) == long(value)


@given(value=st.integers(0, 10**9))
def test_mixed_bases_spell_days_and_times(value: int) -> None:
    bases = vector(QType.LONG, [0, 24, 60, 60])
    minutes, seconds = divmod(value, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    spelled = vector_from(bases, long(value))
    assert numbers(spelled) == [days, hours, minutes, seconds]
    assert scalar_from(bases, spelled) == long(value)


@pytest.mark.parametrize(
    ("kind", "code"), [(QType.SHORT, ">h"), (QType.INT, ">i"), (QType.LONG, ">q")]
)
@given(value=st.integers(-(2**15), 2**15 - 1))
def test_bytes_and_bits_come_most_significant_first(kind: QType, code: str, value: int) -> None:
    raw = struct.pack(code, value)
    spelled = vector_from(BYTE, Atom(kind, value))
    assert bytes(numbers(spelled)) == raw
    assert scalar_from(BYTE, spelled) == Atom(kind, value)
    bits = vector_from(BIT, Atom(kind, value))
    assert "".join(str(int(bit)) for bit in numbers(bits)) == "".join(f"{one:08b}" for one in raw)
    assert scalar_from(BIT, bits) == Atom(kind, value)


def test_floats_and_guids_as_bytes() -> None:
    assert bytes(numbers(vector_from(BYTE, Atom(QType.FLOAT, 2413.0)))) == struct.pack(">d", 2413)
    guid = Atom(QType.GUID, bytes(range(16)))
    assert scalar_from(BYTE, vector_from(BYTE, guid)) == guid
    assert scalar_from(BIT, vector_from(BIT, guid)) == guid


def test_digits_of_a_vector_are_the_columns_of_a_matrix() -> None:
    rows = vector_from(long(10), vector(QType.LONG, [1995, 6]))
    assert isinstance(rows, List)
    assert [numbers(row) for row in rows] == [[1, 0], [9, 0], [9, 0], [5, 6]]
    assert numbers(scalar_from(long(10), rows)) == [1995, 6]


@given(parts=st.lists(st.text("abc|", max_size=5), min_size=1, max_size=5))
def test_text_is_cut_and_joined_as_python_does(parts: list[str]) -> None:
    text = "|".join(parts)
    cut = vector_from(chars("|"), chars(text))
    assert isinstance(cut, List)
    assert matches(cut, List(tuple(chars(part) for part in text.split("|"))))
    assert matches(scalar_from(chars("|"), cut), chars(text))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('", " vs "a, b"', '(enlist"a";enlist"b")'),
        ('` vs "ab\\r\\ncd\\n"', '("ab";"cd")'),
        ('` sv ("ab";"cd")', '"ab\\ncd\\n"'),
        ("` vs `a.b.c", "`a`b`c"),
        ("` sv `a`b`c", "`a.b.c"),
        ("` vs `:/home/x/t.q", "`:/home/x`t.q"),
        ("` sv `:/home/x`t.q", "`:/home/x/t.q"),
        ("0x02 vs 0x0102010201", "3#enlist enlist 0x01"),
        ("0x03 sv (0x01;0x0102)", "0x01030102"),
        ('"," sv string 1 2 3', '"1,2,3"'),
        ("16 sv 0x0f0f", "255"),
    ],
)
def test_separators_by_what_is_cut(run: Run, text: str, same: str) -> None:
    assert matches(run(text), run(same))


def test_what_makes_no_number_says_so() -> None:
    with pytest.raises(QError, match="length"):
        scalar_from(BYTE, vector(QType.BYTE, [1, 2, 3]))
    with pytest.raises(QError, match="length"):
        scalar_from(vector(QType.LONG, [1, 2]), vector(QType.LONG, [1, 2, 3]))
    with pytest.raises(QError, match="type"):
        vector_from(long(10), symbol("a"))
    with pytest.raises(QError, match="type"):
        scalar_from(chars(","), symbols(["a", "b"]))
    with pytest.raises(QError, match="type"):
        vector_from(long(1), long(5))


def test_bits_come_back_from_every_width(run: Run) -> None:
    for width, kind in ((8, QType.BYTE), (16, QType.SHORT), (32, QType.INT), (64, QType.LONG)):
        ones = Vector(QType.BOOLEAN, np.ones(width, dtype=np.bool_))
        expected = 255 if kind is QType.BYTE else -1
        assert scalar_from(BIT, ones) == Atom(kind, expected)
    assert matches(run("0b vs 5 6h"), run("(0b vs 5h;0b vs 6h)"))
