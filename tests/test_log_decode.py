"""Messages of a log come back as the rows that were written, whatever their names and sizes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickloop.core.catalog import Catalog
from tickloop.core.schema import Kind
from tickloop.core.symbols import NAME_BYTES_MAX, Symbols
from tickloop.core.user_tables import table
from tickloop.tickerplant.ahead import ahead
from tickloop.tickerplant.decode import Decoder, Reused
from tickloop.tickerplant.scan import ROWS, Found, Outcome, Scanner

NOTE = table("note", {"size": Kind.LONG, "side": Kind.CHAR, "text": Kind.TEXT, "by": Kind.SYMBOL})
CATALOG = Catalog().with_user_tables([NOTE])

short_names = st.text("abcXYZ_019", max_size=9).map(str.encode)
long_names = st.integers(10, 200).map(lambda size: b"n" * size)


@dataclass(frozen=True)
class Row:
    """A row of `note`; one written before `text` and `by` were columns has neither."""

    time: int
    sym: bytes
    size: int
    side: int
    text: bytes
    by: bytes
    seq: int = 0


rows = st.builds(
    Row,
    time=st.integers(0, 2**62),
    sym=short_names | long_names,
    size=st.integers(-(2**63), 2**63 - 1),
    side=st.integers(0, 255),
    text=st.binary(max_size=20),
    by=st.sampled_from([b"", b"x", b"seven77", b"eight888"]),
)
messages = st.lists(st.tuples(st.booleans(), st.lists(rows, min_size=1, max_size=30)), max_size=12)


def _head(q_type: int, count: int) -> bytes:
    return struct.pack("<BBi", q_type, 0, count)


def _spelled(found: list[Row], *, old: bool) -> bytes:
    """Spell rows as a tickerplant logs them: (`upd;`note;columns), one vector a column."""
    columns = [
        _head(12, len(found)) + b"".join(struct.pack("<q", row.time) for row in found),
        _head(11, len(found)) + b"".join(row.sym + b"\0" for row in found),
        _head(7, len(found)) + b"".join(struct.pack("<q", row.size) for row in found),
        _head(10, len(found)) + bytes(row.side for row in found),
        _head(0, len(found)) + b"".join(_head(10, len(row.text)) + row.text for row in found),
        _head(11, len(found)) + b"".join(row.by + b"\0" for row in found),
        _head(7, len(found)) + b"".join(struct.pack("<q", row.seq) for row in found),
    ]
    if old:
        del columns[4:6]
    call = _head(0, 3) + b"\xf5upd\0" + b"\xf5note\0" + _head(0, len(columns))
    return call + b"".join(columns)


def _array(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(bytearray(raw), dtype=np.uint8)


def _numbered(found: list[tuple[bool, list[Row]]]) -> list[tuple[bool, list[Row]]]:
    seq = 0
    numbered = []
    for old, part in found:
        kept = []
        for row in part:
            text, by = (b"", b"") if old else (row.text, row.by)
            kept.append(Row(row.time, row.sym, row.size, row.side, text, by, seq))
            seq += 1
        numbered.append((old, kept))
    return numbered


def _decoded(raw: bytes, **bounds: int) -> list[Row]:
    """Read `note` rows back with small bounds, so that a log takes several scans."""
    log = _array(raw)
    scanner = Scanner(CATALOG, **bounds)
    symbols = Symbols()
    decoder = Decoder(scanner, symbols)
    columns = Reused(CATALOG)
    read = []
    for found in ahead(scanner.scan_all(log, 0, len(log))):
        for batch in decoder.batches(log, found, destination=columns):
            values = [batch.columns[name].tolist() for name in NOTE.names]
            for time, sym, size, side, text, by, seq in zip(*values, strict=True):
                names = (
                    symbols.name(sym).encode(errors="surrogateescape"),
                    symbols.name(by).encode(errors="surrogateescape"),
                )
                read.append(Row(time, names[0], size, side, text, names[1], seq))
    return read


def _scan(raw: bytes) -> Found:
    return Scanner(CATALOG).scan(_array(raw), 0, len(raw))


@pytest.mark.kernel
@given(messages, st.integers(1, 20), st.sampled_from([1, 300, 1 << 20]))
@example([(False, [Row(0, b"a" * 8 * k, 0, 0, b"", b"") for k in range(30)])], 3, 1 << 20)
@example([(False, [Row(0, b"", 0, 0, b"", b"")] * 30)], 3, 1 << 20)
def test_rows_come_back_however_the_log_is_cut_into_scans(
    found: list[tuple[bool, list[Row]]], at_a_time: int, bytes_at_a_time: int
) -> None:
    written = _numbered(found)
    raw = b"".join(_spelled(part, old=old) for old, part in written)
    read = _decoded(raw, at_a_time=at_a_time, bytes_at_a_time=bytes_at_a_time)
    assert read == [row for _, part in written for row in part]


@pytest.mark.kernel
def test_a_message_torn_at_any_byte_is_told_from_a_foreign_one() -> None:
    part = [Row(n, b"S%d" % (n % 7) + b"y" * n, n, 66, b"t" * n, b"x", n) for n in range(20)]
    whole = _spelled(part, old=False)
    for cut in range(1, len(whole)):
        found = _scan(whole + whole[:cut])
        assert (len(found.messages), found.stopped) == (1, len(whole)), cut
        assert found.outcome is Outcome.TORN, cut


@pytest.mark.kernel
@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("excess", [0, 1, 7, 100])
def test_a_name_is_no_longer_than_the_bound(count: int, excess: int) -> None:
    name = b"z" * (NAME_BYTES_MAX + excess)
    part = [Row(0, name if n == count // 2 else b"s", 0, 66, b"", b"", n) for n in range(count)]
    found = _scan(_spelled(part, old=False))
    assert len(found.messages) == (0 if excess else 1)
    assert found.outcome is (Outcome.FOREIGN if excess else Outcome.END)


@pytest.mark.kernel
@given(st.data())
def test_bytes_that_are_no_message_are_never_read_past_their_end(data: st.DataObject) -> None:
    part = [Row(n, b"S%d" % n, n, 66, b"t" * n, b"x", n) for n in range(9)]
    raw = bytearray(_spelled(part, old=False))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    found = _scan(bytes(raw))
    assert found.stopped <= len(raw)
    assert len(_decoded(bytes(raw))) == int(found.messages[:, ROWS].sum())


def test_what_an_iterator_raises_reaches_the_one_who_asks() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("two is missing")

    taken = ahead(broken())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="two is missing"):
        next(taken)
