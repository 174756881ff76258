"""Compressed files: set with a packing writes what get, upsert, hcount and read1 see unpacked."""

import struct
import zlib
from pathlib import Path

import pytest

from tests.q_lines import refused, typed
from tickloop.analytics.q.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Give a session that may touch files below an empty directory."""
    made = Session(files=True)
    made.directory = tmp_path
    return made


@pytest.mark.parametrize("packing", ["12;1;0", "17;2;6", "17;2;9", "14;3;0", "20;5;3", "17;0;0"])
@pytest.mark.parametrize("value", ["til 1000", "`a`b!1 2", '"abc"', '("ab";"cde";1)', "`x`y`x"])
def test_what_is_set_packed_is_what_get_gives(session: Session, packing: str, value: str) -> None:
    assert typed(f"(`:f;{packing}) set {value}", session=session) == "`:f"
    assert typed(f"(get`:f)~{value}", session=session) == "1b"


def test_a_gzip_block_is_zlib_between_the_mark_and_the_trailer(
    session: Session, tmp_path: Path
) -> None:
    typed("(`:f;12;2;6) set til 1000", session=session)
    raw = (tmp_path / "f").read_bytes()
    assert raw[:8] == b"kxzipped"
    (blocks,) = struct.unpack("<q", raw[-8:])
    sizes = struct.unpack(f"<{2 * blocks}i", raw[-8 - 8 * blocks : -8])
    plain, at = b"", 8
    for length, algorithm in zip(sizes[::2], sizes[1::2], strict=True):
        assert algorithm == 2
        plain += zlib.decompress(raw[at : at + length])
        at += length
    assert blocks == 2
    assert plain == b"\xfe\x20\x07\0\0\0\0\0" + struct.pack("<1001q", 1000, *range(1000))


def test_a_packed_file_counts_and_reads_as_its_unpacked_bytes(session: Session) -> None:
    typed("(`:f;17;2;6) set til 1000", session=session)
    assert typed("hcount`:f", session=session) == "8016"
    assert typed("count read1`:f", session=session) == "8016"
    assert typed("-8#read1(`:f;8;8)", session=session) == "0xe803000000000000"


def test_a_packed_table_grows_and_stays_packed(session: Session) -> None:
    typed('t:([]a:til 500;b:500#("ab";"cde"))', "(`:t/;17;2;6) set t", session=session)
    assert typed("`:t/ upsert t", "(t,t)~select from get`:t/", session=session) == "1b"
    assert typed("(-21!`:t/a)`algorithm`logicalBlockSize", session=session) == "2 17i"
    assert typed("count -21!`:t/.d", session=session) == "0"


def test_a_dictionary_tells_the_packing_of_each_column(session: Session) -> None:
    typed("t:([]a:til 500;c:til 500)", "d:``a!(17 2 9;17 1 0)", session=session)
    typed("(`:t/;d) set t", session=session)
    assert typed("(-21!`:t/a)`algorithm", session=session) == "1i"
    assert typed("(-21!`:t/c)`algorithm", session=session) == "2i"


def test_the_default_packs_files_without_a_suffix(session: Session) -> None:
    typed(".z.zd:17 2 4", "`:f set til 1000", "`:f.x set til 1000", session=session)
    assert typed("(-21!`:f)`uncompressedLength", session=session) == "8016"
    assert typed("count -21!`:f.x", session=session) == "0"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("(`:f;17;4;6) set til 9", "nyi"),
        ("(`:f;17;16;6) set til 9", "nyi"),
        ("(`:f;9;2;6) set til 9", "nyi"),
        ("(`:f;17;2) set til 9", "type"),
        ("(`f;17;2;6) set til 9", "type"),
    ],
)
def test_what_cannot_be_packed_is_refused(session: Session, line: str, name: str) -> None:
    error = refused(line, session=session)
    assert error.name == name
    assert error.sentence
