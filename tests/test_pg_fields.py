"""Columns as text and binary, rows put together, passwords: as other readers take them."""

import base64
import datetime as dt
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from tickloop.analytics.pg import oids, scram
from tickloop.analytics.pg.binary_fields import binary_fields
from tickloop.analytics.pg.failures import PgError
from tickloop.analytics.pg.fields import Fields, framed, of_list, separated
from tickloop.analytics.pg.oids import PgType, of_duck
from tickloop.analytics.pg.text_fields import text_fields
from tickloop.analytics.pg.values_in import items_of_text, parameter


def tenth(number: int) -> Decimal:
    """Put ten decimal places after a point, however many there are before it."""
    sign, digits, _ = Decimal(number).as_tuple()
    return Decimal((sign, digits, -10))


WHOLE = st.integers(-(10**38) + 1, 10**38 - 1)
QUOTABLE = st.text('a ,{}"\\N', max_size=4)
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "BOOLEAN": (pa.bool_(), st.booleans()),
    "SMALLINT": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "UTINYINT": (pa.uint8(), st.integers(0, 255)),
    "INTEGER": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "BIGINT": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "UINTEGER": (pa.uint32(), st.integers(0, 2**32 - 1)),
    "DOUBLE": (pa.float64(), st.floats(allow_nan=False)),
    "FLOAT": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "VARCHAR": (pa.string(), st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
    "BLOB": (pa.binary(), st.binary()),
    "DATE": (pa.date32(), st.dates()),
    "TIME": (pa.time64("us"), st.times()),
    "TIMESTAMP": (pa.timestamp("us"), st.datetimes()),
    "TIMESTAMP WITH TIME ZONE": (
        pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(dt.UTC)),
    ),
    "DECIMAL(38,10)": (pa.decimal128(38, 10), WHOLE.map(tenth)),
    "HUGEINT": (pa.decimal128(38, 0), WHOLE.map(Decimal)),
    "UUID": (pa.string(), st.uuids().map(str)),
    "INTEGER[]": (pa.list_(pa.int32()), st.lists(st.one_of(st.none(), st.integers(-9, 9)))),
    "VARCHAR[]": (pa.list_(pa.string()), st.lists(st.one_of(st.none(), QUOTABLE))),
}  # fmt: skip


def loaded(raw: bytes | None, oid: int, form: Format) -> Any:
    """Read a value as psycopg does."""
    if raw is None:
        return None
    transformer = Transformer()
    return transformer.get_loader(oid, form).load(raw)


@pytest.mark.parametrize("form", [Format.TEXT, Format.BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_psycopg_reads_each_value_that_was_spelled(
    name: str, form: Format, data: st.DataObject
) -> None:
    kind, one = TYPES[name]
    values = data.draw(st.lists(st.one_of(st.none(), one), max_size=6))
    before = data.draw(st.integers(0, 2))
    # A slice of a longer array is what a portal that was suspended gives.
    array = pa.array([None] * before + values, type=kind).slice(before)
    wire = of_duck(name)
    fields = (text_fields if form is Format.TEXT else binary_fields)(array, wire)
    found = [loaded(raw, wire.oid, form) for raw in fields.to_list()]
    wanted = [uuid.UUID(value) if name == "UUID" and value else value for value in values]
    if name == "FLOAT":
        # The shortest text that reads back is that of a number of 32 bits.
        found = [value if value is None else float(np.float32(value)) for value in found]
    assert found == wanted


@pytest.mark.parametrize("name", ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIME", "UUID", "INTEGER[]", "DECIMAL(38,10)", "BOOLEAN", "BLOB", "VARCHAR"])  # noqa: E501  # fmt: skip
@given(data=st.data())
def test_a_parameter_in_binary_is_read_as_the_text_of_it(name: str, data: st.DataObject) -> None:
    kind, one = TYPES[name]
    value = data.draw(one)
    array = pa.array([value], type=kind)
    wire = of_duck(name)
    (raw,) = binary_fields(array, wire).to_list()
    (text,) = text_fields(array, wire).to_list()
    assert raw is not None
    assert text is not None
    found = parameter(wire.oid, raw, binary=True).value
    if wire.is_array:
        assert found == items_of_text(text.decode())
    elif name == "DOUBLE":
        assert isinstance(found, str)
        assert float(found) == value
    elif name == "BOOLEAN":
        assert found == ("true" if value else "false")
    elif name == "TIMESTAMP":
        assert dt.datetime.fromisoformat(str(found)) == value.replace(tzinfo=dt.UTC)
    elif name == "TIME":
        assert dt.time.fromisoformat(str(found)) == value
    else:
        assert found == text.decode()


@given(raw=st.binary(max_size=40), oid=st.sampled_from([*oids.BY_OID, *oids.BY_ARRAY, 0, 705, 1043, 2205, 99]), binary=st.booleans())  # noqa: E501  # fmt: skip
def test_any_bytes_are_a_parameter_or_a_clean_error(raw: bytes, oid: int, binary: bool) -> None:
    try:
        parameter(oid, raw, binary=binary)
    except PgError as error:
        assert error.state.value[:2] in ("22", "42", "0A")


@pytest.mark.parametrize(
    ("value", "double", "single"),
    [(1e15, "1e+15", "1e+15"), (1e14, "100000000000000", "1e+14"), (123456.0, "123456", "123456"),
     (1234567.0, "1234567", "1.234567e+06"), (0.0001, "0.0001", "0.0001"),
     (0.00001, "1e-05", "1e-05"), (-0.0, "-0", "-0"), (0.1, "0.1", "0.1"), (1e22, "1e+22", "1e+22"),
     (math.nan, "NaN", "NaN"), (math.inf, "Infinity", "Infinity"),
     (-math.inf, "-Infinity", "-Infinity"), (100.0, "100", "100"),
     (1.5e300, "1.5e+300", "Infinity"),
     (123456789012345680.0, "1.2345678901234568e+17", "1.2345679e+17")],
)  # fmt: skip
def test_floats_are_spelled_as_postgresql_does(value: float, double: str, single: str) -> None:
    with np.errstate(over="ignore"):
        for kind, dtype, expected in (
            ("DOUBLE", np.float64, double),
            ("FLOAT", np.float32, single),
        ):
            array = pa.array(np.array([value], dtype=dtype), from_pandas=False)
            assert text_fields(array, of_duck(kind)).to_list() == [expected.encode()]


def test_nanoseconds_are_cut_and_never_rounded_up() -> None:
    array = pa.array([999, -1, 1_000, None], type=pa.timestamp("ns", tz="UTC"))
    texts = text_fields(array, of_duck("TIMESTAMPTZ_NS")).to_list()
    assert texts == [
        b"1970-01-01 00:00:00+00", b"1969-12-31 23:59:59.999999+00",
        b"1970-01-01 00:00:00.000001+00", None,
    ]  # fmt: skip


def test_infinite_moments_are_spelled_as_such() -> None:
    last = 2**63 - 1
    array = pa.array([last, -last, None], type=pa.timestamp("us"))
    assert text_fields(array, of_duck("TIMESTAMP")).to_list() == [b"infinity", b"-infinity", None]
    raw = binary_fields(array, of_duck("TIMESTAMP")).to_list()
    assert raw == [struct.pack("!q", last), struct.pack("!q", -last - 1), None]
    days = pa.array([2**31 - 1, -(2**31) + 1], type=pa.int32()).cast(pa.date32())
    assert text_fields(days, of_duck("DATE")).to_list() == [b"infinity", b"-infinity"]


@pytest.mark.kernel
@given(micros=st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999), zoned=st.booleans())
def test_instants_as_text_are_those_of_the_calendar(micros: int, zoned: bool) -> None:
    kind = pa.timestamp("us", tz="UTC") if zoned else pa.timestamp("us")
    wire = of_duck("TIMESTAMP WITH TIME ZONE" if zoned else "TIMESTAMP")
    (text,) = text_fields(pa.array([micros], type=pa.int64()).cast(kind), wire).to_list()
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)
    spelled = moment.isoformat(sep=" ").removesuffix("+00:00")
    spelled = spelled.rstrip("0") if "." in spelled else spelled
    assert text == (spelled + ("+00" if zoned else "")).encode()


def test_years_before_christ_are_said_to_be() -> None:
    micros = pa.array([-62_135_596_800_000_001], type=pa.int64()).cast(pa.timestamp("us"))
    assert text_fields(micros, of_duck("TIMESTAMP")).to_list() == [b"0001-12-31 23:59:59.999999 BC"]


CELLS = st.lists(st.lists(st.one_of(st.none(), st.binary(max_size=9)), min_size=3, max_size=3))


def columns_of(table: list[list[bytes | None]]) -> list[Fields]:
    return [of_list([row[column] for row in table]) for column in range(3)]


@pytest.mark.kernel
@given(table=CELLS)
def test_rows_are_messages_of_their_fields(table: list[list[bytes | None]]) -> None:
    raw = bytes(framed(b"D", columns_of(table), len(table)))
    at, found = 0, []
    while at < len(raw):
        kind, size, count = struct.unpack_from("!cih", raw, at)
        assert (kind, count) == (b"D", 3)
        end, at, row = at + 1 + size, at + 7, []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", raw, at)
            row.append(None if length < 0 else raw[at + 4 : at + 4 + length])
            at += 4 + max(length, 0)
        assert at == end
        found.append(row)
    assert found == table


@pytest.mark.kernel
@given(table=CELLS)
def test_lines_are_messages_with_what_stands_between(table: list[list[bytes | None]]) -> None:
    raw = bytes(separated(columns_of(table), len(table), delimiter=b"|", null=b"NIL"))
    expected = b""
    for row in table:
        line = b"|".join(b"NIL" if cell is None else cell for cell in row) + b"\n"
        expected += b"d" + struct.pack("!i", len(line) + 4) + line
    assert raw == expected


@pytest.mark.parametrize("kind", oids.GIVEN, ids=lambda kind: kind.name)
def test_types_have_the_numbers_that_psycopg_knows(kind: PgType) -> None:
    info = psycopg.postgres.types[kind.oid]
    assert (info.name, info.array_oid) == (kind.name, kind.array)


def test_the_example_of_the_standard_is_proven() -> None:
    """RFC 7677, section 3."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = scram.Verifier.of_password("pencil", salt=salt, iterations=4096)
    exchange = scram.Exchange(verifier)
    exchange.challenge(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    exchange._nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    exchange._challenge = f"r={exchange._nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = f"c=biws,r={exchange._nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    assert exchange.proof(final) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert exchange.proof(final.replace(b"p=dH", b"p=dI")) is None
    assert str(scram.Verifier.of_text(str(verifier))) == str(verifier)


@given(raw=st.binary(max_size=60))
def test_any_bytes_in_a_login_are_refused_in_words(raw: bytes) -> None:
    exchange = scram.Exchange(scram.unknown_user("x", b"secret"))
    for step in (exchange.challenge, exchange.proof):
        try:
            step(raw)
        except PgError as error:
            assert "SCRAM" in error.message or "channel binding" in error.message


def test_doubles_of_any_size_and_number_of_places_are_spelled_as_python_spells_them() -> None:
    draw = np.random.default_rng(1)
    sizes = 10.0 ** draw.integers(-9, 14, 2000)
    values = np.concatenate([np.round(draw.random(2000) * sizes, places) for places in range(9)])
    values = np.concatenate(
        [values, -values[::7], draw.random(2000) * sizes, [0.0, 99999999.5, 1e8]]
    )
    fields = text_fields(pa.array(values), of_duck("DOUBLE"))
    seen = [text or b"" for text in fields.to_list()]
    # The shortest text that reads back is what Python finds too; the exponent's form aside.
    assert [float(text) for text in seen] == values.tolist()
    digits = [str(Decimal(text.decode()).normalize()) for text in seen]
    assert digits == [str(Decimal(repr(value)).normalize()) for value in values.tolist()]
    # PostgreSQL has an exponent below 0.0001 and from 1e15 on.
    has_exponent = [b"e" in text for text in seen]
    assert has_exponent == [0 < abs(value) < 1e-4 for value in values.tolist()]
