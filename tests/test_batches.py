"""Symbols, batches, one order over tables, and cuts that depend on nothing but the feed."""

from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.batch import Batch, Slice, concatenate, slice_of
from tickloop.core.errors import SchemaError
from tickloop.core.interleave import interleave
from tickloop.core.schema import QUOTE, TRADE
from tickloop.core.symbols import NAME_BYTES_MAX, Symbols
from tickloop.ingest.feed import CutRule, cut_end

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
KEYS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), max_size=12).map(sorted)


@given(names=st.lists(NAMES))
def test_a_name_keeps_the_id_of_its_first_use(names: list[str]) -> None:
    symbols = Symbols()
    ids = symbols.ids(names)
    known = list(dict.fromkeys(name for name in names if name))
    assert list(symbols) == known
    assert len(symbols) == len(known)
    assert [symbols.name(int(number)) for number in ids] == names
    assert symbols.ids(names).tolist() == ids.tolist()
    assert [symbols.find(name) for name in known] == list(range(len(known)))
    assert symbols.names_from(len(known) // 2) == known[len(known) // 2 :]


def test_the_empty_name_is_null_and_every_negative_id_reads_as_it() -> None:
    symbols = Symbols(["A"])
    assert symbols.id("") == -(2**31)
    assert [symbols.name(number) for number in (-1, -(2**31))] == ["", ""]
    assert symbols.find("B") is None
    assert len(symbols) == 1


def test_a_file_that_repeats_names_keeps_its_positions() -> None:
    symbols = Symbols(["A", "", "A", "B"])
    assert [symbols.id(name) for name in ("A", "B", "C")] == [0, 3, 4]
    assert symbols.name(2) == "A"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("A\0B", "NUL byte"), ("x" * (NAME_BYTES_MAX + 1), "4097 bytes"), ("é" * 3000, "6000 bytes")],
)
def test_a_name_that_the_log_could_not_hold_is_refused(name: str, reason: str) -> None:
    symbols = Symbols()
    with pytest.raises(SchemaError, match=reason):
        symbols.id(name)
    assert len(symbols) == 0
    assert symbols.id("x" * NAME_BYTES_MAX) == 0


def _batch(keys: list[int], first: int = 0) -> Batch:
    return Batch(
        TRADE,
        {
            "trade_id": np.arange(first, first + len(keys), dtype=np.int64),
            "_place": np.array(keys, dtype=np.int64),
        },
    )


@pytest.mark.kernel
@given(lists=st.lists(KEYS, max_size=6))
def test_rows_interleave_as_a_stable_sort_by_key(lists: list[list[int]]) -> None:
    made = interleave([_batch(keys, 100 * rank) for rank, keys in enumerate(lists)])
    expected = sorted(
        (key, rank, row) for rank, keys in enumerate(lists) for row, key in enumerate(keys)
    )
    seen = {
        int(ordinal): int(name)
        for batch in made.batches
        for ordinal, name in zip(batch.columns["_place"], batch.columns["trade_id"], strict=True)
    }
    assert [seen[n] for n in range(len(expected))] == [
        100 * rank + row for _, rank, row in expected
    ]
    assert made.rows == len(seen) == len(expected)
    assert all(len(batch) for batch in made.batches)


def test_batches_that_follow_one_another_are_numbered_through() -> None:
    made = slice_of(_batch([9, 9]), Batch(QUOTE, {"bid": np.arange(3)}))
    assert [batch.columns["_place"].tolist() for batch in made.batches] == [[0, 1], [2, 3, 4]]
    assert made.rows == 5
    assert slice_of() == Slice(())


def test_joining_batches_keeps_rows_in_order_and_refuses_unlike_columns() -> None:
    joined = concatenate([_batch([1, 2]), _batch([3], 2)])
    assert joined.columns["_place"].tolist() == [1, 2, 3]
    assert joined.columns["trade_id"].tolist() == [0, 1, 2]
    more = Batch(TRADE, {**_batch([1]).columns, "price": np.array([1])})
    with pytest.raises(AssertionError, match="trade: unlike columns"):
        concatenate([_batch([1]), more])
    with pytest.raises(AssertionError, match="nothing to join"):
        concatenate([])


def test_columns_of_unequal_length_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="unequal columns"):
        Batch(TRADE, {"price": np.arange(2), "size": np.arange(3)})
    assert len(Batch(TRADE, {})) == 0


def _cuts(times: npt.NDArray[np.int64], rule: CutRule) -> list[int]:
    ends = []
    start = 0
    while start < len(times):
        end = cut_end(times, start, rule)
        assert start < end <= len(times)
        ends.append(end)
        start = end
    return ends


def _slow_cuts(times: list[int], rule: CutRule) -> list[int]:
    """Group by interval of the clock, then chop each group by count."""
    ends: list[int] = []
    start = 0
    for _, rows in groupby(times, key=lambda t: t // rule.interval_ns if rule.interval_ns else 0):
        size = len(list(rows))
        ends += [
            min(at + rule.messages, start + size)
            for at in range(start, start + size, rule.messages)
        ]
        start += size
    return ends


@pytest.mark.kernel
@given(
    times=st.lists(st.integers(-(2**62), 2**62) | st.integers(-20, 20), max_size=40).map(sorted),
    messages=st.integers(1, 50),
    interval=st.integers(0, 12),
)
def test_cuts_cover_every_row_once_and_depend_on_times_alone(
    times: list[int], messages: int, interval: int
) -> None:
    rule = CutRule(messages=messages, interval_ns=interval)
    array = np.array(times, dtype=np.int64)
    cuts = _cuts(array, rule)
    assert cuts == _slow_cuts(times, rule)
    assert cuts == _cuts(array.copy(), rule)
    assert cuts[-1:] == ([len(times)] if times else [])
