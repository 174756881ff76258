"""A resumed feed leaves out exactly the rows that were kept, wherever its slices were cut."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plants import mixed
from tickloop.app.captures import Capture, Kept, prepare, read, write
from tickloop.core.batch import Batch, Slice
from tickloop.core.errors import DataDirectoryError
from tickloop.core.interleave import interleave
from tickloop.core.symbols import Symbols

FEED = "itch:/a/day.itch 100 bytes"


def cut(rows: Slice, ends: list[int]) -> list[Slice]:
    """Cut a slice at positions of its order, as a feed with another rule would."""
    bounds = [0, *sorted(ends), rows.rows]
    return [
        interleave(
            [
                Batch(batch.table, {name: v[inside] for name, v in batch.columns.items()})
                for batch in rows.batches
                for inside in [np.isin(batch.columns["_place"], np.arange(first, stop))]
            ]
        )
        for first, stop in itertools.pairwise(bounds)
    ]


def told(slices: list[Slice]) -> dict[str, list[int]]:
    """List each table's times in the order of the slices."""
    found: dict[str, list[int]] = {}
    for rows in slices:
        for batch in rows.batches:
            found.setdefault(batch.table.name, []).extend(batch.columns["time"].tolist())
    return found


@given(
    kept=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    ends=st.lists(st.integers(0, 40), max_size=6),
)
def test_what_comes_is_what_was_not_kept_table_by_table(
    tmp_path_factory: pytest.TempPathFactory, kept: tuple[int, int], ends: list[int]
) -> None:
    root = tmp_path_factory.mktemp("kept")
    trades, quotes = kept
    write(root, [Capture(FEED, 1, rows={"trade": trades, "quote": quotes})])
    day = mixed(Symbols(), 20)
    whole = told([day])
    way = Kept(root, FEED, next_seq=500, append=False)
    rests = [way.rest(rows) for rows in cut(day, ends)]
    for rows in rests:
        ordinals = [batch.columns["_place"] for batch in rows.batches]
        assert sorted(np.concatenate(ordinals or [np.empty(0)])) == list(range(rows.rows))
        way.add(rows)
    expected = {"trade": whole["trade"][trades:], "quote": whole["quote"][quotes:]}
    assert told(rests) == {table: times for table, times in expected.items() if times}
    assert way.resumed == trades + quotes
    way.end(is_whole=False)
    assert read(root) == [Capture(FEED, 1, rows={"trade": 20, "quote": 20})]


def test_a_feed_that_ended_is_refused_until_it_is_asked_for_again(tmp_path: Path) -> None:
    way = Kept(tmp_path, FEED, next_seq=1, append=False)
    prepare(tmp_path, FEED, append=False, fresh=False)  # interrupted: it goes on
    way.end(is_whole=True)
    with pytest.raises(DataDirectoryError, match="already holds itch:/a/day"):
        prepare(tmp_path, FEED, append=False, fresh=False)
    prepare(tmp_path, "itch:/another", append=False, fresh=False)
    prepare(tmp_path, FEED, append=True, fresh=False)
    again = Kept(tmp_path, FEED, next_seq=41, append=True)
    day = mixed(Symbols(), 3)
    assert again.rest(day) is day
    assert [capture.first_seq for capture in read(tmp_path)] == [1, 41]
    prepare(tmp_path, FEED, append=False, fresh=True)
    assert not list(tmp_path.iterdir())


def test_guests_are_written_down_before_they_publish(tmp_path: Path) -> None:
    way = Kept(tmp_path, FEED, next_seq=1, append=False)
    assert not read(tmp_path)[0].has_guests
    way.note_guests()
    assert read(tmp_path)[0].has_guests
    with pytest.raises(DataDirectoryError, match="where it stopped cannot be told"):
        Kept(tmp_path, FEED, next_seq=9, append=False)
    # A run that ended in order wrote down which rows are the feed's.
    way.end(is_whole=False)
    Kept(tmp_path, FEED, next_seq=9, append=False)


def test_a_live_feed_is_not_remembered(tmp_path: Path) -> None:
    way = Kept(tmp_path, None, next_seq=1, append=False)
    way.note_guests()
    way.end(is_whole=True)
    assert not list(tmp_path.iterdir())


def test_a_damaged_list_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "captured.json").write_text("[{]")
    with pytest.raises(DataDirectoryError, match=r"captured.json is damaged .* delete it"):
        prepare(tmp_path, FEED, append=False, fresh=False)
