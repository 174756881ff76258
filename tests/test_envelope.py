"""Messages on the bus: taken apart they are what was put in, and damage is told."""

import contextlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE
from tickloop.core.errors import WireError
from tickloop.core.hashing import shard_of
from tickloop.core.instruments import Instruments
from tickloop.core.schema import QUOTE, TRADE, Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.envelope import (
    HEADER_BYTES,
    Header,
    decode,
    encode,
    read_header,
    schema_id,
)
from tickloop.tickerplant.sinks.inside import inside, surface
from tickloop.tickerplant.sinks.json_rows import json_rows
from tickloop.tickerplant.sinks.packing import Packing, pack
from tickloop.tickerplant.sinks.shards import Shards

EVERYTHING = Table(
    "everything",
    (
        Column("time", Kind.INSTANT),
        Column("sym", Kind.SYMBOL),
        *(Column(kind.value, kind) for kind in Kind if kind not in (Kind.INSTANT, Kind.SYMBOL)),
        Column("seq", Kind.LONG),
    ),
)


def rows_of(table: Table, count: int, seed: int) -> Batch:
    """Make rows of any bytes, with text where the table has some."""
    random = np.random.default_rng(seed)
    columns: dict[str, npt.NDArray[Any]] = {}
    for column in table.columns:
        if column.kind is Kind.TEXT:
            texts = np.empty(count, dtype="|O")
            texts[:] = [random.bytes(int(random.integers(0, 9))) for _ in range(count)]
            columns[column.name] = texts
        else:
            dtype = np.dtype(INSIDE[column.kind])
            raw = random.bytes(count * dtype.itemsize)
            columns[column.name] = np.frombuffer(raw, dtype=dtype)
    columns["seq"] = np.arange(10, 10 + count, dtype=np.int64)
    return Batch(table, columns)


def header_of(rows: Batch, clocks: int = 0, **more: int) -> Header:
    values = {
        "shard": 3, "shards": 8, "schema": schema_id(rows.table), "plant": 7, "rows": len(rows),
        "clocks": clocks, "previous": 9, "through": 10_000, "first_seq": 10, "last_seq": 99,
        "first_time": 1, "last_time": 2, "floats": 0,
    }  # fmt: skip
    return Header(**{**values, **more})


@pytest.mark.kernel
@given(count=st.integers(0, 40), clocks=st.integers(0, 5), seed=st.integers(0, 2**32))
def test_what_was_put_in_comes_out(count: int, clocks: int, seed: int) -> None:
    rows = rows_of(EVERYTHING, count, seed)
    times, seqs = np.arange(clocks) * 10**9, np.arange(clocks) + 500
    header = header_of(rows, clocks)
    message = decode(encode(header, rows, (times, seqs)), EVERYTHING)
    assert message.header == header
    assert message.clocks.columns["time"].tolist() == times.tolist()
    assert message.clocks.columns["seq"].tolist() == seqs.tolist()
    for name in EVERYTHING.names:
        assert message.rows.columns[name].tobytes() == rows.columns[name].tobytes() or (
            message.rows.columns[name].tolist() == rows.columns[name].tolist()
        )


def test_the_header_s_bytes_are_what_the_formats_page_says() -> None:
    rows = rows_of(TRADE, 2, 1)
    raw = encode(header_of(rows, 1), rows, (np.array([5]), np.array([6])))
    assert raw[:4] == b"TLB1"
    assert struct.unpack_from("<HH", raw, 4) == (HEADER_BYTES, 3)
    assert struct.unpack_from("<QQII", raw, 8) == (schema_id(TRADE), 7, 2, 1)
    assert struct.unpack_from("<6q", raw, 32) == (9, 10_000, 10, 99, 1, 2)
    assert struct.unpack_from("<QHH", raw, 80) == (0, 8, len(TRADE.columns))
    assert struct.unpack_from("<qq", raw, 96) == (5, 6)
    assert list(raw[112:122]) == [Packing.PLAIN] * 9 + [Packing.OFFSETS_8]
    assert raw[128:144] == rows.columns["time"].tobytes()
    assert raw[-16:] == struct.pack("<qBB6x", 10, 0, 1)


KINDS = {"<i8": Kind.LONG, "<i4": Kind.INT, "<i2": Kind.SHORT, "|u1": Kind.BYTE}


@pytest.mark.kernel
@given(
    dtype=st.sampled_from([*KINDS]),
    ends=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**33)),
    count=st.integers(1, 50), seed=st.integers(0, 1000),
)  # fmt: skip
def test_packed_columns_come_back_whatever_lies_between_their_ends(
    dtype: str, ends: tuple[int, int], count: int, seed: int
) -> None:
    limits = np.iinfo(dtype)
    least = limits.min + ends[0] % (limits.max - limits.min + 1)
    most = min(least + ends[1], limits.max)
    values = np.random.default_rng(seed).integers(least, most, count, dtype, endpoint=True)
    table = Table("packed", (Column("value", KINDS[dtype]), Column("seq", Kind.LONG)))
    rows = Batch(table, {"value": values, "seq": np.arange(count)})
    raw = encode(header_of(rows), rows, ())
    _, pieces = pack(values)
    assert sum(piece.nbytes for piece in pieces) <= values.nbytes + 8
    back = decode(raw, table).rows.columns["value"]
    assert (back.dtype, back.tolist()) == (values.dtype, values.tolist())
    assert back.flags.writeable


@pytest.mark.kernel
@given(cut=st.integers(0, 400), seed=st.integers(0, 1000))
def test_a_message_that_is_cut_short_is_refused(cut: int, seed: int) -> None:
    rows = rows_of(EVERYTHING, 5, seed)
    raw = encode(header_of(rows), rows, (np.empty(0), np.empty(0)))
    with pytest.raises(WireError, match="bus message of"):
        decode(raw[: min(cut, len(raw) - 8)], EVERYTHING)


@pytest.mark.kernel
@given(seed=st.integers(0, 2**32), places=st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_damaged_bytes_are_refused_or_read_but_never_past_their_end(
    seed: int, places: list[int]
) -> None:
    rows = rows_of(EVERYTHING, 5, seed)
    raw = bytearray(encode(header_of(rows, 1), rows, (np.array([5]), np.array([6]))))
    for place in places:
        raw[8 + place % (len(raw) - 8)] = place % 256
    with contextlib.suppress(WireError):
        message = decode(bytes(raw), EVERYTHING)
        assert len(message.rows) == message.header.rows <= len(raw)


def test_bytes_of_something_else_and_another_table_s_rows_are_refused() -> None:
    rows = rows_of(TRADE, 3, 1)
    raw = encode(header_of(rows), rows, (np.empty(0), np.empty(0)))
    with pytest.raises(WireError, match="does something else write to this topic"):
        read_header(b'{"json": 1}' * 20)
    with pytest.raises(WireError, match=r"quote: time sym bid .*expected"):
        decode(raw, QUOTE)


@given(
    prices=st.lists(st.floats(allow_nan=True, width=64) | st.integers(-(10**9), 10**9).map(
        lambda units: units / 10**4), max_size=30),
)  # fmt: skip
def test_prices_come_back_to_the_bit_whether_or_not_they_are_whole_units(
    prices: list[float],
) -> None:
    count = len(prices)
    rows = rows_of(TRADE, count, 3)
    symbols = np.zeros(count, dtype=np.int32)
    held = Batch(
        TRADE, {**rows.columns, "sym": symbols, "price": np.array(prices, dtype=np.float64) + 0.0}
    )
    instruments = Instruments()
    instruments.declare(0, price_unit=-4, size_unit=0)
    sent, floats = inside(held, instruments)
    assert sent.columns["price"].dtype == (np.float64 if floats else np.int64)
    back = surface(sent, floats, instruments, fractional=False)
    np.testing.assert_array_equal(back.columns["price"], held.columns["price"])


@pytest.mark.parametrize(
    ("name", "digest"),
    # Published vectors of FNV-1a, 64 bits.
    [("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)],
)
def test_a_shard_is_a_published_hash_of_the_name(name: str, digest: int) -> None:
    assert shard_of(name, 64) == (digest ^ digest >> 32) % 64


def test_shards_of_columns_are_those_of_names_also_for_symbols_that_come_later() -> None:
    symbols = Symbols(["A", "B"])
    shards = Shards(symbols, 5)
    ids = np.array([1, 0, -(2**31), 1], dtype=np.int32)
    expected = [shard_of(symbols.name(int(i)), 5) for i in ids]
    assert shards.of(ids).tolist() == expected
    late = symbols.id("LATE")
    assert shards.of(np.array([late, -1], dtype=np.int32)).tolist() == [shard_of("LATE", 5), 0]


def test_rows_as_json_spell_nulls_as_null() -> None:
    columns = {
        "time": np.array([0, 1]), "sym": np.array([0, -(2**31)], dtype=np.int32),
        "price": np.array([1.5, np.nan]), "size": np.array([7, -(2**63)]),
        "side": np.frombuffer(b"B ", dtype=np.uint8), "cond": np.array([-1, -1], dtype=np.int32),
        "ex": np.array([0, 0], dtype=np.int32), "trade_id": np.array([1, 2]),
        "venue_time": np.array([-(2**63), 3]), "seq": np.array([8, 9]),
    }  # fmt: skip
    first, second = map(bytes.decode, json_rows(Batch(TRADE, columns), ["S"]))
    assert first == (
        '{"time": "2000-01-01T00:00:00.000000000Z", "sym": "S", "price": 1.5, "size": 7,'
        ' "side": "B", "cond": null, "ex": "S", "trade_id": 1, "venue_time": null, "seq": 8}'
    )
    assert '"sym": null, "price": null, "size": null, "side": null' in second
