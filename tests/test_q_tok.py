"""Text read as every type of q, against Python's own parsing."""

import datetime as dt
import math
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.match import matches
from tickloop.analytics.q.tok import parse, parse_text
from tickloop.analytics.q.values import (
    Atom,
    List,
    QType,
    Value,
    Vector,
    char,
    chars,
    null,
    symbol,
    symbols,
    vector,
)

EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - q has no zones
DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
MONTHS = [dt.date(2000, month, 1).strftime("%b").lower() for month in range(1, 13)]
CLOCK = 45_296  # seconds of 12:34:56


def days_of(date: dt.date) -> int:
    return date.toordinal() - EPOCH.toordinal()


def number(value: Value) -> object:
    assert isinstance(value, Atom), value
    return value.value


@given(value=st.integers(-(2**70), 2**70), pad=st.sampled_from(["", " ", "  "]))
def test_a_whole_number_is_read_or_null_if_it_does_not_fit(value: int, pad: str) -> None:
    for kind, bits in ((QType.SHORT, 16), (QType.INT, 32), (QType.LONG, 64)):
        fits = abs(value) < 2 ** (bits - 1)
        expected = Atom(kind, value) if fits else null(kind)
        assert parse_text(kind, f"{pad}{value}{pad}") == expected


@given(value=st.floats(allow_nan=False))
def test_a_float_is_read_exactly(value: float) -> None:
    text = repr(value).replace("inf", "0w")
    assert number(parse_text(QType.FLOAT, text)) == value


def test_nulls_infinities_and_nonsense() -> None:
    assert parse_text(QType.LONG, "0N") == null(QType.LONG)
    assert parse_text(QType.LONG, "-0W") == Atom(QType.LONG, -(2**63) + 1)
    assert parse_text(QType.DATE, "0Wd") == Atom(QType.DATE, 2**31 - 1)
    for kind in (QType.LONG, QType.DATE, QType.TIMESTAMP, QType.TIME, QType.MONTH):
        for text in ("", "abc", "1.2.3", "--1", "1e5", "2000.13.01", "12:60"):
            assert parse_text(kind, text) == null(kind), (kind, text)
    assert math.isnan(number(parse_text(QType.FLOAT, "1,000")))  # type: ignore[arg-type]
    assert number(parse_text(QType.REAL, "3.14")) == struct.unpack("f", struct.pack("f", 3.14))[0]


@given(date=DATES)
def test_a_date_is_read_in_every_spelling(date: dt.date) -> None:
    year, month, day = f"{date.year:04}", f"{date.month:02}", f"{date.day:02}"
    name = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"][
        date.month - 1
    ]
    expected = Atom(QType.DATE, days_of(date))
    for text in (
        f"{year}.{month}.{day}", f"{year}-{month}-{day}", f"{year}/{month}/{day}",
        f"{year}{month}{day}", f"{day}{name}{year}", f"{day}{name.upper()}{year}",
        f"{year}/{name}/{day}", f"{month}/{day}/{year}", f"{name}/{day}/{year}",
        f"{year}.{date.month}.{date.day}", f"{day}-{name.title()}-{year}",
    ):  # fmt: skip
        assert parse_text(QType.DATE, text) == expected, text


def test_a_date_alone_is_its_midnight() -> None:
    noon = parse_text(QType.TIMESTAMP, "2000.01.02D12")
    assert noon == Atom(QType.TIMESTAMP, 36 * 3600 * 10**9)
    for text in ("2000.01.02", "2000.01.02D", "20000102"):
        assert parse_text(QType.TIMESTAMP, text) == Atom(QType.TIMESTAMP, 86_400 * 10**9)


def test_years_of_two_digits_are_those_around_the_millennium() -> None:
    assert parse_text(QType.DATE, "991231") == Atom(QType.DATE, -1)
    assert parse_text(QType.DATE, "01/02/03") == Atom(QType.DATE, days_of(dt.date(2003, 1, 2)))
    assert parse_text(QType.DATE, "04jul49") == Atom(QType.DATE, days_of(dt.date(2049, 7, 4)))


@given(time=st.times())
def test_a_time_is_read_with_and_without_colons(time: dt.time) -> None:
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    for text in (
        time.strftime("%H:%M:%S.") + f"{time.microsecond:06}",
        time.strftime("%H%M%S") + f"{time.microsecond:06}",
    ):
        nanos = seconds * 10**9 + time.microsecond * 1000
        assert parse_text(QType.TIMESPAN, text) == Atom(QType.TIMESPAN, nanos)
        assert parse_text(QType.TIME, text) == Atom(QType.TIME, nanos // 10**6)
        assert parse_text(QType.SECOND, text) == Atom(QType.SECOND, seconds)
        assert parse_text(QType.MINUTE, text) == Atom(QType.MINUTE, seconds // 60)


@given(moment=st.datetimes(dt.datetime(1708, 1, 1), dt.datetime(2291, 1, 1)))  # noqa: DTZ001
def test_a_timestamp_is_read_in_every_spelling(moment: dt.datetime) -> None:
    expected = Atom(QType.TIMESTAMP, (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000)
    micros = f"{moment.microsecond:06}"
    for pattern in (
        "{:%Y.%m.%dD%H:%M:%S}", "{:%Y-%m-%dT%H:%M:%S}", "{:%Y-%m-%d %H:%M:%S}",
        "{:%Y%m%d-%H:%M:%S}", "{:%Y-%m-%dD%H:%M:%S}", "{:%Y%m%dT%H%M%S}",
    ):  # fmt: skip
        text = f"{pattern.format(moment)}.{micros}"
        assert parse_text(QType.TIMESTAMP, text) == expected, text
    assert parse_text(QType.TIMESTAMP, f"{moment.isoformat()}Z") == expected


@given(seconds=st.integers(0, 10**11 - 1), nanos=st.integers(0, 10**9 - 1))
def test_nine_to_eleven_digits_are_seconds_since_1970(seconds: int, nanos: int) -> None:
    value = (seconds - 946_684_800) * 10**9 + nanos
    expected = Atom(QType.TIMESTAMP, value) if abs(value) < 2**63 else null(QType.TIMESTAMP)
    assert parse_text(QType.TIMESTAMP, f"{seconds:011}.{nanos:09}") == expected


def test_spans_of_days() -> None:
    day = 86_400 * 10**9
    assert parse_text(QType.TIMESPAN, "2D12:34:56.5") == Atom(
        QType.TIMESPAN, 2 * day + CLOCK * 10**9 + 500_000_000
    )
    assert parse_text(QType.TIMESPAN, "1D") == Atom(QType.TIMESPAN, day)
    assert parse_text(QType.TIMESPAN, "-0D00:00:01") == Atom(QType.TIMESPAN, -(10**9))


def test_months() -> None:
    for text in ("2010.03", "2010-03", "201003", "2010.03m", "2010.03.17"):
        assert parse_text(QType.MONTH, text) == Atom(QType.MONTH, 122), text


@given(value=st.uuids())
def test_a_guid_is_read_with_and_without_dashes(value: uuid.UUID) -> None:
    for text in (str(value), value.hex, str(value).upper()):
        assert parse_text(QType.GUID, text) == Atom(QType.GUID, value.bytes)


def test_addresses_are_ints_and_guids() -> None:
    assert number(parse_text(QType.INT, "192.168.1.34")) == -1_062_731_486
    mapped = bytes(10) + b"\xff\xff\xc0\x00\x02\x01"
    for text in ("192.0.2.1", "::FFFF:192.0.2.1", "::FFFF:c000:201"):
        assert parse_text(QType.GUID, text) == Atom(QType.GUID, mapped)
    assert parse_text(QType.GUID, "not a guid") == null(QType.GUID)


def test_bytes_truth_and_chars() -> None:
    assert [number(parse_text(QType.BYTE, text)) for text in ("42", "f", "0xff", "zz")] == [
        0x42, 15, 255, 0,
    ]  # fmt: skip
    true = [text for text in map(chr, range(33, 127)) if number(parse_text(QType.BOOLEAN, text))]
    assert true == list("1TXYtxy")
    assert parse_text(QType.BOOLEAN, "   Y  ") == Atom(QType.BOOLEAN, True)
    assert parse_text(QType.CHAR, "x") == char(ord("x"))


def test_symbols_lose_the_blanks_around_them() -> None:
    assert parse_text(QType.SYMBOL, "   I BM  ") == symbol("I BM")
    strings = List((chars("a"), chars(" b")))
    assert matches(parse(QType.SYMBOL, strings), symbols(["a", "b"]))


def test_lists_of_strings_become_vectors() -> None:
    strings = List((chars("1"), chars("x"), chars("3")))
    assert matches(parse(QType.LONG, strings), vector(QType.LONG, [1, -(2**63), 3]))
    empty = parse(QType.FLOAT, List(()))
    assert isinstance(empty, Vector)
    assert (empty.type, len(empty)) == (QType.FLOAT, 0)


@pytest.mark.parametrize("kind", [kind for kind in QType if kind is not QType.CHAR])
def test_every_type_reads_something_from_any_text(kind: QType) -> None:
    for text in ("", "::", "-", ".", "0x", "D", "99999999999999999999", "1:2:3:4", "\udcff"):
        value = parse_text(kind, text)
        assert isinstance(value, Atom)
        assert value.type is kind
