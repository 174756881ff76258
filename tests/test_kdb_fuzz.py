"""Damaged kdb+ files are named; they never crash, hang, or take memory that they do not fill."""

import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import kdb_oracle as oracle
from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_file import open_kdb_file
from tickloop.tickerplant.partition import Partition

FindData = Callable[[str], Path]
ROUNDS = 60


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one directory to all examples; each overwrites its files."""
    return tmp_path_factory.mktemp("scratch")


def read_whole(path: Path) -> bool:
    """Read every row; tell whether the file was accepted."""
    try:
        values = open_kdb_file(path).values()
        if isinstance(values, np.ndarray):
            values.tobytes()
        else:
            list(values.items(0, len(values)))
    except StoreError:
        return False
    return True


def mutations(content: bytes, seed: int) -> list[bytes]:
    """Flip, cut, repeat and overwrite bytes, at the head and the trailer above all."""
    draw = random.Random(seed)
    made = []
    for _ in range(ROUNDS):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            place = draw.choice([draw.randrange(32), -draw.randrange(1, 64), draw.randrange(2**30)])
            damaged[place % len(damaged)] = draw.choice(
                [0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)]
            )
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        made.append(bytes(damaged))
    return made


@pytest.mark.parametrize("name", ["trade/sym", "trade/stop", "trade/.d", "trade/ex"])
def test_mutated_real_files_are_read_or_refused(
    market_data: FindData, scratch: Path, name: str
) -> None:
    content = market_data(f"kdb/hdb/2015.01.07/{name}").read_bytes()
    for damaged in mutations(content, seed=5):
        (scratch / "c").write_bytes(damaged)
        read_whole(scratch / "c")


_SMALL = b"".join(bytes([number]) for number in range(256)) * 20


@pytest.mark.parametrize(
    "content",
    [
        *(oracle.zipped(oracle.vector(4, _SMALL, len(_SMALL)), algo) for algo in oracle.BLOCKS),
        oracle.enum([1, 2, 3]),
        oracle.old_enum([1, 2, 3], attribute=3),
    ],
)
def test_mutated_files_of_every_shape_are_read_or_refused(scratch: Path, content: bytes) -> None:
    (scratch / "c").write_bytes(content)
    assert read_whole(scratch / "c")
    for damaged in mutations(content, seed=6):
        (scratch / "c").write_bytes(damaged)
        read_whole(scratch / "c")


def test_mutated_heaps_are_read_or_refused(scratch: Path) -> None:
    inner = oracle.long_form(77, bytes(8), 1)
    values = [oracle.short_form(10, b"text", 4), oracle.short_form(7, bytes(16), 2), inner]
    places, heap = oracle.anymap(values)
    (scratch / "c##").write_bytes(oracle.names(["a", "b"]))
    for damaged_places in [places, *mutations(places, seed=1)]:
        (scratch / "c").write_bytes(damaged_places)
        for damaged in mutations(heap, seed=2)[:10]:
            (scratch / "c#").write_bytes(damaged)
            read_whole(scratch / "c")


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\x01", b"\xfe\x20", b"\xfd\x20", b"\xfe"])
)
def test_random_bytes_are_read_or_refused(scratch: Path, content: bytes, magic: bytes) -> None:
    (scratch / "c").write_bytes(magic + content)
    (scratch / "c#").write_bytes(content)
    read_whole(scratch / "c")


@given(st.binary(max_size=100))
def test_a_random_column_list_is_read_or_refused(scratch: Path, content: bytes) -> None:
    (scratch / ".d").write_bytes(b"\xff\x01\x0b" + content)
    try:
        partition = Partition(scratch)
    except StoreError:
        return
    assert all("/" not in name and "\0" not in name for name in partition.names)


_BOMB = """
import resource, sys
from pathlib import Path
from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_file import open_kdb_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_kdb_file(Path(sys.argv[1])).values()
except StoreError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_file_that_promises_a_terabyte_takes_no_memory(tmp_path: Path) -> None:
    good = bytearray(oracle.zipped(bytes(4096), 2))
    block = bytes(good[8 : len(good) - 48])
    blocks = 1_000_000  # of a megabyte each, so the trailer itself is 8 MB
    table = struct.pack("<ii", 1, 2) * (blocks - 1) + struct.pack("<ii", len(block), 2)
    body = b"kxzipped" + b"x" * (blocks - 1) + block
    head = struct.pack("<iiqqq", 2, 2, blocks << 20, len(body), 1 << 20)
    (tmp_path / "bomb").write_bytes(body + head + table + struct.pack("<q", blocks))
    run = subprocess.run(
        [sys.executable, "-c", _BOMB, tmp_path / "bomb"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    complaint, grown_mb = run.stdout.splitlines()
    assert "bomb" in complaint
    assert int(grown_mb) < 500
