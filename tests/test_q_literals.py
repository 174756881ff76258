"""Literals of q: what text spells which value."""

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.q_lines import refused, typed
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Atom, QType, Value, Vector

SESSION = Session()


def read(text: str) -> Value:
    """Evaluate a literal."""
    return SESSION.eval(text)


ATOMS = [
    ("1", QType.LONG, 1),
    ("-1", QType.LONG, -1),
    ("1j", QType.LONG, 1),
    ("1i", QType.INT, 1),
    ("1h", QType.SHORT, 1),
    ("0x1f", QType.BYTE, 31),
    ("1b", QType.BOOLEAN, True),
    ("0b", QType.BOOLEAN, False),
    ("1f", QType.FLOAT, 1.0),
    ("1.5", QType.FLOAT, 1.5),
    (".5", QType.FLOAT, 0.5),
    ("-.5", QType.FLOAT, -0.5),
    ("2.", QType.FLOAT, 2.0),
    ("1e3", QType.FLOAT, 1000.0),
    ("1e-3", QType.FLOAT, 0.001),
    ("1.5e", QType.REAL, 1.5),
    ("2e", QType.REAL, 2.0),
    ('"a"', QType.CHAR, 97),
    ("`ibm", QType.SYMBOL, "ibm"),
    ("`", QType.SYMBOL, ""),
    ("`a.b_1", QType.SYMBOL, "a.b_1"),
    ("`:dir/file.txt", QType.SYMBOL, ":dir/file.txt"),
    ("`:host:5010", QType.SYMBOL, ":host:5010"),
    ("0N", QType.LONG, -(2**63)),
    ("0Nh", QType.SHORT, -(2**15)),
    ("0Ni", QType.INT, -(2**31)),
    ("0W", QType.LONG, 2**63 - 1),
    ("-0W", QType.LONG, -(2**63) + 1),
    ("0Wh", QType.SHORT, 2**15 - 1),
    ("0w", QType.FLOAT, float("inf")),
    ("-0w", QType.FLOAT, float("-inf")),
    ("2000.01.02", QType.DATE, 1),
    ("1999.12.31", QType.DATE, -1),
    ("2000.02m", QType.MONTH, 1),
    ("12:30", QType.MINUTE, 750),
    ("-12:30", QType.MINUTE, -750),
    ("25:00", QType.MINUTE, 1500),
    ("12:30:01", QType.SECOND, 45_001),
    ("12:30:01.5", QType.TIME, 45_001_500),
    ("12:30:01.123", QType.TIME, 45_001_123),
    ("12:30:01.123456789", QType.TIMESPAN, 45_001_123_456_789),
    ("0D12:30", QType.TIMESPAN, 45_000_000_000_000),
    ("2D", QType.TIMESPAN, 172_800_000_000_000),
    ("-1D00:00:01", QType.TIMESPAN, -86_401_000_000_000),
    ("2000.01.01D12:30:00.000000001", QType.TIMESTAMP, 45_000_000_000_001),
    ("2000.01.02D", QType.TIMESTAMP, 86_400_000_000_000),
    ("2000.01.02D12", QType.TIMESTAMP, 129_600_000_000_000),
    ("2000.01.02T12:00", QType.DATETIME, 1.5),
    ("3m", QType.MONTH, 3),
    ("3p", QType.TIMESTAMP, 3),
    ("0Np", QType.TIMESTAMP, -(2**63)),
    ("0Wd", QType.DATE, 2**31 - 1),
    ("0Ng", QType.GUID, bytes(16)),
]


@pytest.mark.parametrize(("text", "kind", "value"), ATOMS)
def test_an_atom_has_the_type_and_value_that_its_text_says(
    text: str, kind: QType, value: object
) -> None:
    assert read(text) == Atom(kind, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0n", "0Nf", "0Ne", "0Nz"])
def test_a_float_null_is_not_a_number(text: str) -> None:
    found = read(text)
    assert isinstance(found, Atom)
    assert np.isnan(found.value)


VECTORS = [
    ("1 2 3", QType.LONG, [1, 2, 3]),
    ("1 -2 3", QType.LONG, [1, -2, 3]),
    ("1  2\t3", QType.LONG, [1, 2, 3]),
    ("1 2 3h", QType.SHORT, [1, 2, 3]),
    ("1 2 3f", QType.FLOAT, [1.0, 2.0, 3.0]),
    ("1 2.5", QType.FLOAT, [1.0, 2.5]),
    ("1.5 2", QType.FLOAT, [1.5, 2.0]),
    ("1.5 2e", QType.REAL, [1.5, 2.0]),
    ("1 0N 0W -0W", QType.LONG, [1, -(2**63), 2**63 - 1, -(2**63) + 1]),
    ("1 0N 3i", QType.INT, [1, -(2**31), 3]),
    ("0101b", QType.BOOLEAN, [False, True, False, True]),
    ("0x0102ff", QType.BYTE, [1, 2, 255]),
    ("0x123", QType.BYTE, [1, 0x23]),
    ("0x", QType.BYTE, []),
    ("2000.01.01 2000.01.03", QType.DATE, [0, 2]),
    ("2000.01.01 0N", QType.DATE, [0, -(2**31)]),
    ("10:00 11:30", QType.MINUTE, [600, 690]),
    ("2000.01 2000.03m", QType.MONTH, [0, 2]),
    ("0 1 2p", QType.TIMESTAMP, [0, 1, 2]),
    ('"ab"', QType.CHAR, [97, 98]),
    ('""', QType.CHAR, []),
    (r'"\n\t\"\\\101"', QType.CHAR, [10, 9, 34, 92, 65]),
]


@pytest.mark.parametrize(("text", "kind", "values"), VECTORS)
def test_words_that_stand_together_are_one_vector(
    text: str, kind: QType, values: list[object]
) -> None:
    found = read(text)
    assert isinstance(found, Vector)
    assert found.type is kind
    assert found.data.tolist() == values


def test_a_null_among_decimals_is_a_float_null() -> None:
    found = read("1.5 0N 0W -0W")
    assert isinstance(found, Vector)
    assert found.type is QType.FLOAT
    assert np.isnan(found.data[1])
    assert found.data[2:].tolist() == [float("inf"), float("-inf")]


def test_symbols_that_touch_are_a_vector_and_those_apart_are_applied() -> None:
    assert typed("`a`b``c") == "`a`b``c"
    assert refused("`a `b").name == "a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3-2", "1"),
        ("3 -2", "3 -2"),
        ("3- 2", "1"),
        ("(3)-2", "1"),
        ("x-2", "8"),
        ("x[]-2", "8"),
        ("neg -2", "2"),
        ("3*-2", "-6"),
        ("(-2)", "-2"),
        ("-2 3", "-2 3"),
    ],
)
def test_a_minus_belongs_to_a_number_unless_a_noun_touches_it(text: str, shown: str) -> None:
    assert typed("x:10", text).removesuffix("i") == shown


@pytest.mark.parametrize(
    "text",
    ["1.2.3", "2000.13.01", "2000.02.30", "12:60", "1q", "0x1g", "10000000000i", "1 2000.01.01 1h",
     "99999h", "0Nb", "0Wb", "1 2z3"],
)  # fmt: skip
def test_what_spells_no_number_is_refused_with_its_place(text: str) -> None:
    error = refused("1;  " + text)
    assert error.position == 4
    assert error.sentence


def test_a_string_that_is_not_closed_is_refused() -> None:
    assert refused('count "abc').position == 6


@given(st.integers(min_value=-(2**63) + 2, max_value=2**63 - 2))
def test_every_long_is_read_as_python_reads_it(value: int) -> None:
    assert read(str(value)) == Atom(QType.LONG, value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_as_python_reads_it(value: float) -> None:
    text = repr(value)
    assert read(text if "." in text or "e" in text else text + "f") == Atom(QType.FLOAT, value)


@given(st.dates())
def test_every_date_counts_the_days_since_2000(day: dt.date) -> None:
    days = (day - dt.date(2000, 1, 1)).days
    assert read(f"{day.year:04d}.{day.month:02d}.{day.day:02d}") == Atom(QType.DATE, days)


@given(st.integers(0, 86_400 * 10**9 - 1), st.dates())
def test_every_instant_is_its_day_and_its_time_of_day(nanoseconds: int, day: dt.date) -> None:
    seconds, part = divmod(nanoseconds, 10**9)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{part:09d}"
    days = (day - dt.date(2000, 1, 1)).days
    text = f"{day.year:04d}.{day.month:02d}.{day.day:02d}D{clock}"
    expected = days * 86_400 * 10**9 + nanoseconds
    if abs(expected) < 2**63:
        assert read(text) == Atom(QType.TIMESTAMP, expected)
    else:
        assert refused(text).sentence


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=2))
def test_every_vector_of_ints_is_read(values: list[int]) -> None:
    found = read(" ".join(map(str, values)) + "i")
    assert isinstance(found, Vector)
    assert found.type is QType.INT
    assert found.data.tolist() == values


@given(st.binary())
def test_any_bytes_in_a_string_come_back(raw: bytes) -> None:
    found = read('"' + "".join(f"\\{byte:03o}" for byte in raw) + '"')
    if len(raw) == 1:
        assert found == Atom(QType.CHAR, raw[0])
    else:
        assert isinstance(found, Vector)
        assert found.data.tobytes() == raw
