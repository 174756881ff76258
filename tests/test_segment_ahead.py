"""The next segment of a busy table is there before it is needed, and is never seen too early."""

from pathlib import Path

import numpy as np
import pytest

from tests.test_rdb import CATALOG, NEWS, seqs_of, surface
from tickloop.core.batch import Batch
from tickloop.core.errors import StoreError
from tickloop.core.schema import TRADE
from tickloop.tickerplant import segment_ahead, segment_writer
from tickloop.tickerplant.rdb import FIRST_SEGMENT_ROWS, Rdb, RdbReader

LARGE = segment_writer.LARGE_ROWS


def filled(root: Path, rows: int) -> Rdb:
    """Append rows in batches until the first large segment is near."""
    rdb = Rdb(root, CATALOG, segment_rows=LARGE)
    for first in range(0, rows, 1000):
        rdb.append(surface(TRADE, range(first, min(first + 1000, rows))))
    return rdb


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.lstrip(".") != "published")


# The segments before the first large one hold this many rows together.
_STEPS = (LARGE // FIRST_SEGMENT_ROWS - 1).bit_length()
SMALL = sum(FIRST_SEGMENT_ROWS * 2**step for step in range(_STEPS))


def test_a_segment_that_is_made_ahead_is_hidden_until_rows_need_it(tmp_path: Path) -> None:
    root = tmp_path / "rdb"
    rdb = filled(root, SMALL - 2000)
    rdb.publish(SMALL - 2001)
    rdb._ahead._coming["trade"].result()
    ahead = [name for name in names(root) if name.startswith(".")]
    assert len(ahead) == 1
    reader = RdbReader(root)
    assert len(reader.parts("trade", up_to_seq=2**62)) == len(names(root)) - 1
    rdb.append(surface(TRADE, range(SMALL - 2000, SMALL + 5000)))
    rdb.publish(SMALL + 4999)
    assert ahead[0].lstrip(".") in names(root)
    assert not any(name.startswith(".") for name in names(root))
    assert seqs_of(reader, "trade", up_to=2**62) == list(range(SMALL + 5000))


def test_a_segment_made_ahead_and_not_needed_is_removed_at_the_end(tmp_path: Path) -> None:
    root = tmp_path / "rdb"
    rdb = filled(root, SMALL - 2000)
    assert "trade" in rdb._ahead._coming
    rdb.close()
    assert not any(name.startswith(".") for name in names(root))


def test_more_rows_at_once_than_the_segment_made_ahead_holds_get_a_larger_one(
    tmp_path: Path,
) -> None:
    root = tmp_path / "rdb"
    rdb = filled(root, SMALL - 2000)
    columns = rdb.reserve(TRADE, LARGE + 7)
    assert len(columns["seq"]) == LARGE + 7
    more = surface(TRADE, range(SMALL, SMALL + LARGE + 7))
    for name, values in columns.items():
        np.copyto(values, more.columns[name])
    rdb.commit(TRADE, LARGE + 7)
    rdb.publish(2**40)
    seqs = seqs_of(RdbReader(root), "trade", up_to=2**62)
    assert seqs == [*range(SMALL - 2000), *range(SMALL, SMALL + LARGE + 7)]
    rdb.close()


def test_what_could_not_be_made_ahead_is_made_or_refused_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, descriptor: int, size: int) -> None:
        raise StoreError(f"{path}: {size} bytes could not be had; free some space")

    root = tmp_path / "rdb"
    rdb = filled(root, SMALL // 2 - 1000)
    monkeypatch.setattr(segment_writer, "_reserve", full)
    with pytest.raises(StoreError, match="free some space"):
        rdb.append(surface(TRADE, range(SMALL // 2 - 1000, SMALL + 5000)))
    monkeypatch.undo()
    assert not any(name.startswith(".") for name in names(root))
    done = int(
        sum(part.stop - part.first for part in RdbReader(root).parts("trade", up_to_seq=2**62))
    )
    rdb.append(surface(TRADE, range(done, SMALL + 5000)))
    rdb.publish(2**40)
    assert np.array_equal(seqs_of(RdbReader(root), "trade", up_to=2**62), np.arange(SMALL + 5000))
    rdb.close()


def test_a_table_with_text_gets_its_segments_when_they_are_needed(tmp_path: Path) -> None:
    rdb = Rdb(tmp_path / "rdb", CATALOG, segment_rows=LARGE)
    rows = surface(NEWS, range(SMALL - 2000))
    text = np.array([b"x"] * len(rows), dtype=object)
    rdb.append(Batch(NEWS, {**rows.columns, "body": text}))
    assert rdb._ahead._coming == {}
    rdb.close()


def test_an_error_of_the_maker_that_is_no_full_disk_is_not_hidden() -> None:
    def broken() -> segment_writer.SegmentWriter:
        raise KeyError("no such table")

    ahead = segment_ahead.SegmentsAhead()
    ahead.begin("trade", broken)
    with pytest.raises(KeyError):
        ahead.take("trade")
    ahead.close()
