"""kdb+ column files read as kdb+ wrote them; formats without a real file here are by-hand bytes.

What is spelled by hand (pages, nested strings, heaps, blocks of algorithms 2 to 5) is unproven
against q itself.
"""

import ctypes
import gc
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import kdb_oracle as oracle
from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind
from tickloop.tickerplant.kdb_anymap import AnyMap
from tickloop.tickerplant.kdb_file import open_kdb_file, read_object
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.q_values import QType, Table, symbols, vector

DAY = "kdb/hdb/2015.01.07"
FindData = Callable[[str], Path]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one directory to all examples of a property; each overwrites its files."""
    return tmp_path_factory.mktemp("scratch")


def _array(path: Path) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    values = open_kdb_file(path).values()
    assert isinstance(values, np.ndarray)
    return values


def _rows(path: Path) -> list[object]:
    values = open_kdb_file(path).values()
    assert isinstance(values, Nested | AnyMap)
    return list(values.items(0, len(values)))


def test_a_real_day_of_trades_reads_as_kdb_wrote_it(market_data: FindData) -> None:
    day = market_data(f"{DAY}/trade")
    files = {name: open_kdb_file(day / name) for name in read_names(day / ".d")}
    assert list(files) == ["time", "sym", "price", "size", "stop", "cond", "ex"]
    assert {file.rows for file in files.values()} == {196_519}
    kinds = [Kind.INSTANT, Kind.SYMBOL, Kind.FLOAT, Kind.INT, Kind.FLAG, Kind.CHAR, Kind.CHAR]
    assert [file.kind for file in files.values()] == kinds
    assert files["price"].compression == "q"
    assert files["ex"].compression == ""
    price, size = _array(day / "price"), _array(day / "size")
    assert round(float(price.astype("f8").sum()), 2) == 7_281_892.74
    assert int(size.astype("i8").sum()) == 9_639_450


def test_a_real_symbol_column_is_parted_over_the_ten_names_of_sym(market_data: FindData) -> None:
    known = read_names(market_data("kdb/hdb/sym"))
    assert known == ["MSFT", "DOW", "AAPL", "IBM", "INTC", "GOOG", "AMD", "AIG", "HPQ", "DELL"]
    file = open_kdb_file(market_data(f"{DAY}/trade/sym"))
    assert (file.layout.domain, file.layout.attribute) == ("sym", "p")
    ids = _array(market_data(f"{DAY}/trade/sym"))
    assert sorted(np.unique(ids).tolist()) == list(range(10))
    assert np.count_nonzero(np.diff(ids.astype("i8"))) == 9


def test_real_empty_columns_have_no_rows(market_data: FindData) -> None:
    day = market_data(f"{DAY}/quote_iex")
    assert {open_kdb_file(day / name).rows for name in read_names(day / ".d")} == {0}


def _slow_q_blocks(packed: bytes) -> bytes:
    """Decode a container of q blocks in plain Python, from the published description of LZ."""
    blocks = struct.unpack("<q", packed[-8:])[0]
    table = len(packed) - 8 - 8 * blocks
    at, plain = 8, b""
    for number in range(blocks):
        length, algorithm = struct.unpack_from("<ii", packed, table + 8 * number)
        block = packed[at : at + length]
        plain += block if algorithm == 0 else _slow_q_block(block)
        at += length
    return plain


def _slow_q_block(block: bytes) -> bytes:
    out = bytearray(8)
    size = struct.unpack_from("<i", block, 8)[0]
    at, seen, places = 12, 8, [0] * 256
    while len(out) < size:
        flags = block[at]
        at += 1
        for bit in range(8):
            if len(out) >= size:
                break
            extra = 0
            if flags >> bit & 1:
                place, extra = places[block[at]], block[at + 1]
                at += 2
                for step in range(extra + 2):
                    out.append(out[place + step])
            else:
                out.append(block[at])
                at += 1
            while seen < len(out) - extra - 1:
                places[out[seen] ^ out[seen + 1]] = seen
                seen += 1
            if flags >> bit & 1:
                seen = len(out)
    return bytes(out[8:])


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["sym", "stop"])
def test_real_compressed_bytes_equal_a_plain_python_decoder(
    market_data: FindData, tmp_path: Path, name: str
) -> None:
    path = market_data(f"{DAY}/trade/{name}")
    (tmp_path / name).write_bytes(_slow_q_blocks(path.read_bytes()))
    assert open_kdb_file(tmp_path / name).compression == ""
    assert (_array(tmp_path / name) == _array(path)).all()


@pytest.mark.kernel
@pytest.mark.parametrize("algorithm", sorted(oracle.BLOCKS))
def test_every_algorithm_of_the_container_unpacks(tmp_path: Path, algorithm: int) -> None:
    values = [number * number for number in range(3000)]
    (tmp_path / "c").write_bytes(oracle.zipped(oracle.longs(values), algorithm))
    assert _array(tmp_path / "c").tolist() == values
    assert (
        open_kdb_file(tmp_path / "c").compression
        == (["stored", "q", "gzip", "snappy", "lz4hc", "zstd"][algorithm])
    )


@pytest.mark.parametrize("algorithm", sorted(set(oracle.BLOCKS) - {0}))
def test_a_block_that_unpacks_to_another_length_is_refused(tmp_path: Path, algorithm: int) -> None:
    good = oracle.zipped(oracle.longs(range(600)), algorithm)
    short = oracle.BLOCKS[algorithm](oracle.longs(range(600))[4096:-8])
    last = struct.unpack_from("<i", good, len(good) - 16)[0]
    end = len(good) - 8 - 16 - 32
    damaged = bytearray(good[: end - last] + short + good[end:])
    struct.pack_into("<i", damaged, len(damaged) - 16, len(short))
    struct.pack_into("<q", damaged, len(damaged) - 8 - 16 - 16, end - last + len(short))
    (tmp_path / "c").write_bytes(damaged)
    with pytest.raises(StoreError, match="block 1"):
        open_kdb_file(tmp_path / "c").values()


def test_a_count_that_compressing_set_to_zero_is_told_by_the_size(tmp_path: Path) -> None:
    plain = bytearray(oracle.longs(range(1000)))
    plain[8:16] = bytes(8)
    (tmp_path / "c").write_bytes(oracle.zipped(bytes(plain), 2))
    assert _array(tmp_path / "c").tolist() == list(range(1000))


def test_a_lost_count_behind_an_index_is_refused_rather_than_read_as_empty(tmp_path: Path) -> None:
    plain = bytearray(oracle.longs(range(1000), attribute=3))
    plain[8:16] = bytes(8)
    (tmp_path / "c").write_bytes(oracle.zipped(bytes(plain), 2))
    with pytest.raises(StoreError, match="lost its count"):
        open_kdb_file(tmp_path / "c")
    (tmp_path / "c").write_bytes(oracle.zipped(oracle.longs([], attribute=3) + bytes(80), 2))
    assert _array(tmp_path / "c").tolist() == []


def test_an_encrypted_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"kxzippEd" + bytes(100))
    with pytest.raises(StoreError, match="encrypted"):
        open_kdb_file(tmp_path / "c")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), st.sampled_from([7, 12, 16]))
def test_vectors_of_longs_read_back(scratch: Path, values: list[int], type_number: int) -> None:
    path = scratch / "v"
    path.write_bytes(oracle.longs(values, type_number))
    assert _array(path).tolist() == values


def test_enumerations_of_both_ages_give_their_indexes_and_domain(tmp_path: Path) -> None:
    null = -(2**63)
    (tmp_path / "new").write_bytes(oracle.enum([2, 0, null], "exchange"))
    (tmp_path / "old").write_bytes(oracle.old_enum([2, 0, -(2**31)], "mkt", attribute=3))
    assert _array(tmp_path / "new").tolist() == [2, 0, null]
    assert _array(tmp_path / "old").tolist() == [2, 0, -(2**31)]
    assert open_kdb_file(tmp_path / "new").layout.domain == "exchange"
    old = open_kdb_file(tmp_path / "old")
    assert (old.layout.domain, old.layout.attribute, old.kind) == ("mkt", "p", Kind.SYMBOL)


@pytest.mark.parametrize("attribute", [2, 3, 4])
def test_an_index_that_kdb_appends_is_not_taken_for_values(tmp_path: Path, attribute: int) -> None:
    (tmp_path / "c").write_bytes(oracle.longs([1, 1, 5], attribute=attribute) + b"\x7f" * 88)
    assert _array(tmp_path / "c").tolist() == [1, 1, 5]


def test_a_file_of_2009_reads(tmp_path: Path) -> None:
    head = b"\xff\x20\x00\x00" + b"\x11\x22\x33\x44" + struct.pack("<II", 9, 3)
    (tmp_path / "c").write_bytes(head + struct.pack("<3d", 1.5, 2.5, 3.5))
    assert _array(tmp_path / "c").tolist() == [1.5, 2.5, 3.5]


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_strings_read_back_byte_for_byte(scratch: Path, texts: list[bytes]) -> None:
    path = scratch / "t"
    ends, raw = oracle.nested(texts)
    path.write_bytes(ends)
    path.with_name("t#").write_bytes(raw)
    assert _rows(path) == texts
    assert open_kdb_file(path).kind is Kind.TEXT


def test_a_column_of_vectors_gives_arrays(tmp_path: Path) -> None:
    rows = [struct.pack("<2i", 1, 2), b"", struct.pack("<i", -7)]
    ends, raw = oracle.nested(rows, 77 + 6)
    (tmp_path / "c").write_bytes(ends)
    (tmp_path / "c#").write_bytes(raw)
    given_rows = open_kdb_file(tmp_path / "c").values()
    assert isinstance(given_rows, Nested)
    assert [np.asarray(row).tolist() for row in given_rows.items(0, 3)] == [[1, 2], [], [-7]]
    assert open_kdb_file(tmp_path / "c").kind is None


def test_offsets_past_the_companion_file_are_refused_by_row(tmp_path: Path) -> None:
    ends, raw = oracle.nested([b"one", b"two"])
    (tmp_path / "c").write_bytes(ends)
    (tmp_path / "c#").write_bytes(raw[:-1])
    with pytest.raises(StoreError, match="row 1 "):
        _rows(tmp_path / "c")


def test_a_heap_of_strings_reads_as_text(tmp_path: Path) -> None:
    texts = [b"short", b"", b"x" * 300]
    forms = [
        oracle.short_form(10, texts[0], 5), oracle.short_form(10, b"", 0),
        oracle.long_form(10, texts[2], 300),
    ]  # fmt: skip
    _write_anymap(tmp_path / "c", forms)
    assert _rows(tmp_path / "c") == texts
    assert open_kdb_file(tmp_path / "c").kind is Kind.TEXT


def test_a_heap_of_mixed_values_gives_arrays_names_and_dictionaries(tmp_path: Path) -> None:
    keys = oracle.short_form(11, struct.pack("<2i", 1, 0), 2)
    chars = oracle.short_form(10, b"hi", 2)
    longs = oracle.short_form(7, struct.pack("<2q", 5, 6), 2)
    places = [0, 16, 24]  # of keys, chars, longs in the heap, each padded to eight
    inner = oracle.long_form(77, struct.pack("<2q", *places[1:]), 2)
    table = oracle.long_form(98, struct.pack("<2q", places[0], 48), 2)
    _write_anymap(tmp_path / "c", [keys, chars, longs, inner, table], ["a", "b"])
    rows = _rows(tmp_path / "c")
    assert rows[0] == ["b", "a"]
    assert rows[1] == b"hi"
    assert np.asarray(rows[2]).tolist() == [5, 6]
    assert isinstance(rows[4], dict)
    assert rows[4]["b"] == b"hi"
    assert open_kdb_file(tmp_path / "c").kind is None


def test_a_heap_that_leads_in_circles_is_refused(tmp_path: Path) -> None:
    circle = oracle.long_form(77, struct.pack("<2q", 0, 0), 2)
    _write_anymap(tmp_path / "c", [circle])
    with pytest.raises(StoreError, match="without end"):
        _rows(tmp_path / "c")


def _write_anymap(path: Path, values: list[bytes], names: list[str] | None = None) -> None:
    places, heap = oracle.anymap(values)
    path.write_bytes(places)
    path.with_name(path.name + "#").write_bytes(heap)
    path.with_name(path.name + "##").write_bytes(oracle.names(names or []))


def test_a_short_list_kept_as_one_object_reads_as_text(tmp_path: Path) -> None:
    items = b"\x0a\x00\x03\x00\x00\x00abc" + b"\xf6x" + b"\x0a\x00\x00\x00\x00\x00"
    (tmp_path / "c").write_bytes(b"\xff\x01\x00\x00\x03\x00\x00\x00" + items)
    assert _rows(tmp_path / "c") == [b"abc", b"x", b""]


def test_a_flat_table_and_a_stale_list_of_symbols_read_as_values(tmp_path: Path) -> None:
    columns = b"\x00\x00\x02\0\0\0" + b"\x07\0\x01\0\0\0" + struct.pack("<q", 5)
    columns += b"\x0b\0\x01\0\0\0A\0"
    (tmp_path / "t").write_bytes(b"\xff\x01\x62\0\x63\x0b\0\x02\0\0\0n\0s\0" + columns)
    table = read_object(tmp_path / "t")
    assert isinstance(table, Table)
    assert table.names.names == ["n", "s"]
    assert table["n"] == vector(QType.LONG, [5])
    (tmp_path / "sym").write_bytes(oracle.names(["A", "B", "C"], count=1))
    assert read_object(tmp_path / "sym") == symbols(["A", "B", "C"])
    (tmp_path / "c").write_bytes(oracle.longs([1]))
    with pytest.raises(StoreError, match="a serialised value"):
        read_object(tmp_path / "c")


@pytest.mark.parametrize("codec", ["snappy", "lz4_raw", "zstd"])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_with_copies_in_them_unpack(tmp_path: Path, codec: str, seed: int) -> None:
    import pyarrow as pa

    draw = np.random.default_rng(seed)
    values = draw.integers(0, 4, 3000).cumsum().tolist()
    algorithm = {"snappy": 3, "lz4_raw": 4, "zstd": 5}[codec]

    def pack(plain: bytes) -> bytes:
        return bytes(pa.Codec(codec).compress(plain))

    packed = oracle.zipped(oracle.longs(values), algorithm, pack=pack)
    assert len(packed) < 3000 * 8
    (tmp_path / "c").write_bytes(packed)
    assert _array(tmp_path / "c").tolist() == values


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no kdb"),
        (b"PK\x03\x04zip", "no kdb"),
        (oracle.longs([1, 2, 3])[:-1], "3 values of 8 bytes"),
        (oracle.longs([1])[:9], "end within the header"),
        (oracle.vector(7, b"", 2**60), "values of 8 bytes"),
        (oracle.vector(7, b"", -1), "values of 8 bytes"),
        (oracle.vector(3, b"", 0), "type 3"),
        (oracle.vector(7, b"", 0, attribute=9), "attribute byte 9"),
        (oracle.enum([0], "../../etc/passwd"), "no file name"),
        (oracle.page(20, b"", 0), "no file name"),
        (b"kxzipped" + bytes(20), "no compression trailer"),
        (oracle.longs([5], 87), "absent|cannot be opened"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(StoreError, match=complaint):
        open_kdb_file(tmp_path / "c").values()


def test_a_directory_or_a_pipe_is_no_column(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(StoreError):
            open_kdb_file(path)


def _resident_pages(path: Path) -> int:
    """Count a file's pages in the page cache with mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        flags = (ctypes.c_ubyte * pages)()
        address = np.frombuffer(view, dtype=np.uint8).ctypes.data
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), flags) == 0
        return sum(flag & 1 for flag in flags)


def _forget_cached_pages(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("shape", ["vector", "page"])
def test_opening_reads_no_page_of_values(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "c"
    values = range(200_000)
    path.write_bytes(oracle.longs(values) if shape == "vector" else oracle.enum(values))
    _forget_cached_pages(path)
    if _resident_pages(path) > 4:
        pytest.skip("this file system keeps pages that it was asked to forget")
    file = open_kdb_file(path)
    values_view = file.values()
    assert isinstance(values_view, np.ndarray)
    assert len(values_view) == 200_000
    assert _resident_pages(path) <= 4
    assert values_view[123_456] == 123_456
    assert _resident_pages(path) > 4


def test_values_are_read_only_views_of_the_file_that_outlive_its_name(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(oracle.longs(range(10)))
    values = _array(path)
    path.unlink()
    assert values.tolist() == list(range(10))
    assert not values.flags.writeable
    assert not values.flags.owndata


def test_a_thousand_open_columns_hold_no_descriptors(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(oracle.longs(range(10)))
    gc.collect()  # what other tests left may close files meanwhile
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    held = [_array(tmp_path / "c") for _ in range(1000)]
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
    assert sum(int(np.asarray(values[9], dtype="i8")) for values in held) == 9000
