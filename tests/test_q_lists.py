"""List verbs of q against Python's own slices, sets and sorts."""

import bisect
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, python
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.finding import bin_, binr, find, member
from tickloop.analytics.q.joining import join, raze
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.lists import shifted
from tickloop.analytics.q.sets import cross, distinct, except_, group_, inter, union, where
from tickloop.analytics.q.sorting import asc, desc, rank, xrank
from tickloop.analytics.q.taking import cut, drop, reverse, rotate, sublist, take
from tickloop.analytics.q.values import List, QType, Value, chars, collect, long, symbols, vector

NUMBERS = st.lists(st.integers(-4, 9), max_size=20)
NAMES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=20)
COUNTS = st.integers(-30, 30)


def strings(texts: list[str]) -> Value:
    return List(tuple(chars(text) for text in texts))


@given(COUNTS, NUMBERS.filter(bool))
def test_take_goes_round_and_round(count: int, items: list[int]) -> None:
    taken = python(take(long(count), longs(items)))
    start = 0 if count >= 0 else -(abs(count) % len(items))
    assert taken == [items[(start + i) % len(items)] for i in range(abs(count))]


@given(COUNTS, NUMBERS)
def test_drop_leaves_the_rest_of_a_slice(count: int, items: list[int]) -> None:
    expected = items[count:] if count >= 0 else items[: max(len(items) + count, 0)]
    assert python(drop(long(count), longs(items))) == expected


@given(st.integers(1, 4), st.integers(1, 4), NUMBERS.filter(bool))
def test_a_shape_lays_items_out_row_by_row(rows: int, width: int, items: list[int]) -> None:
    made = python(take(longs([rows, width]), longs(items)))
    flat = [items[i % len(items)] for i in range(rows * width)]
    assert made == [flat[row * width : (row + 1) * width] for row in range(rows)]


@given(st.integers(1, 5), NUMBERS)
def test_cut_makes_pieces_that_raze_joins_again(size: int, items: list[int]) -> None:
    pieces = cut(long(size), longs(items))
    assert python(pieces) == [items[i : i + size] for i in range(0, len(items), size)]
    assert python(raze(pieces)) == items


@given(NUMBERS, st.lists(st.integers(0, 20), min_size=1, max_size=5))
def test_cutting_at_positions_starts_a_piece_at_each(items: list[int], at: list[int]) -> None:
    starts = sorted(place for place in at if place <= len(items)) or [0]
    edges = [*starts, len(items)]
    expected = [items[a:b] for a, b in itertools.pairwise(edges)]
    assert python(drop(longs(starts), longs(items))) == expected


@given(COUNTS, NUMBERS)
def test_sublist_never_goes_round(count: int, items: list[int]) -> None:
    expected = items[:count] if count >= 0 else items[max(len(items) + count, 0) :]
    assert python(sublist(long(count), longs(items))) == expected


@given(COUNTS, NUMBERS.filter(bool))
def test_rotate_moves_the_front_to_the_end(count: int, items: list[int]) -> None:
    place = count % len(items)
    assert python(rotate(long(count), longs(items))) == items[place:] + items[:place]


@given(NUMBERS, st.integers(-5, 5))
def test_shifting_brings_nulls_in(items: list[int], places: int) -> None:
    expected = [
        items[i - places] if 0 <= i - places < len(items) else None for i in range(len(items))
    ]
    assert python(shifted(longs(items), places)) == expected


@given(NAMES)
def test_distinct_and_group_keep_the_order_of_first_appearance(names: list[str]) -> None:
    column = symbols(names)
    firsts = list(dict.fromkeys(names))
    assert python(distinct(column)) == firsts
    groups = [(name, [i for i, other in enumerate(names) if other == name]) for name in firsts]
    assert python(group_(column)) == groups


@given(NAMES)
def test_lists_of_strings_are_grouped_as_symbols_are(names: list[str]) -> None:
    of_strings = python(group_(strings(names)))
    of_symbols = python(group_(symbols(names)))
    assert [("".join(key), places) for key, places in of_strings] == of_symbols


@given(NUMBERS, NUMBERS)
def test_sets_of_two_lists(left: list[int], right: list[int]) -> None:
    ours, theirs = longs(left), longs(right)
    assert python(union(ours, theirs)) == list(dict.fromkeys(left + right))
    assert python(inter(ours, theirs)) == [item for item in left if item in right]
    assert python(except_(ours, theirs)) == [item for item in left if item not in right]
    assert python(member(ours, theirs)) == [item in right for item in left]


@given(NUMBERS, NUMBERS)
def test_find_gives_the_count_for_what_is_not_there(left: list[int], right: list[int]) -> None:
    expected = [left.index(item) if item in left else len(left) for item in right]
    assert python(find(longs(left), longs(right))) == expected


@given(NUMBERS, st.lists(st.integers(-6, 12), max_size=9))
def test_bin_is_bisection(items: list[int], wanted: list[int]) -> None:
    ordered = sorted(items)
    after = python(bin_(longs(ordered), longs(wanted)))
    before = python(binr(longs(ordered), longs(wanted)))
    assert after == [bisect.bisect_right(ordered, item) - 1 for item in wanted]
    assert before == [bisect.bisect_left(ordered, item) for item in wanted]


@given(NUMBERS)
def test_sorts_and_ranks(items: list[int]) -> None:
    column = longs(items)
    assert python(asc(column)) == sorted(items)
    assert python(desc(column)) == sorted(items, reverse=True)
    order = sorted(range(len(items)), key=lambda i: items[i])
    assert python(rank(column)) == [order.index(i) for i in range(len(items))]


@given(st.lists(st.sampled_from([None, -1.5, 0.0, 2.0, math.inf, -math.inf]), max_size=9))
def test_null_floats_sort_first_and_last(items: list[float | None]) -> None:
    values = vector(QType.FLOAT, [math.nan if item is None else item for item in items])
    known = sorted(item for item in items if item is not None)
    nulls = [None] * items.count(None)
    assert python(asc(values)) == nulls + known
    assert python(desc(values)) == known[::-1] + nulls


@given(st.integers(1, 6), NUMBERS.filter(bool))
def test_buckets_differ_by_one_item_at_most(buckets: int, items: list[int]) -> None:
    numbers = python(xrank(long(buckets), longs(items)))
    sizes = [numbers.count(bucket) for bucket in range(buckets)]
    assert max(sizes) - min(sizes) <= 1
    assert [n for _, n in sorted(zip(items, numbers, strict=True))] == sorted(numbers)


@given(NUMBERS, NUMBERS)
def test_cross_pairs_every_item_with_every_other(left: list[int], right: list[int]) -> None:
    pairs = python(cross(longs(left), longs(right)))
    assert pairs == [[a, b] for a in left for b in right]


@given(st.lists(st.integers(0, 3), max_size=9))
def test_where_repeats_positions_by_their_counts(counts: list[int]) -> None:
    expected = [place for place, count in enumerate(counts) for _ in range(count)]
    assert python(where(longs(counts))) == expected


@given(st.lists(NUMBERS, max_size=5))
def test_raze_joins_all_the_lists(lists: list[list[int]]) -> None:
    nested = collect([longs(items) for items in lists])
    assert python(raze(nested)) == [item for items in lists for item in items]


def test_joining_two_types_keeps_every_item_as_it_was() -> None:
    assert asked("type each 1 2,`a") == [-7, -7, -11]
    assert asked('1,"b",`c') == [1, "b", "c"]


def test_an_empty_list_takes_the_type_of_what_it_is_joined_to() -> None:
    assert asked("type each ((),1 2;(),`a;(0#0),1.5 2)") == [7, 11, 9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1 2;3 4)?3 4", 1),
        ("(1 2;3 4)?(3 4;1 2)", [1, 0]),
        ('("ab";"cd")?"cd"', 1),
        ('("ab";"cd")?("cd";"zz")', [1, 2]),
        ("([]a:1 2;b:3 4)?`a`b!2 4", 1),
        ("([]a:1 2;b:3 4)?([]a:2 9;b:4 9)", [1, 2]),
        ("(`a`b!1 2)?2", "b"),
        ("(`a`b!1 2)?9", ""),
        ("1 2i?2", 1),
        ("1 2f?2", 1),
        ("0n 1?0n", 0),
        ("(1 2;3 4) in enlist 3 4", [False, True]),
        ("`a in `a`b", True),
        ("() in 1 2", []),
    ],
)
def test_find_and_in_look_for_items_of_the_lists_own_depth(text: str, expected: Any) -> None:
    assert asked(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1 2?1.5", "type"),
        ("1 2.5 in 0#2", "type"),
        ("til -1", "domain"),
        ("til 1.5", "type"),
        ("2 1_til 3", "domain"),
        ("0 9_til 3", "length"),
        ("flip (1 2;3 4 5)", "length"),
        ("flip 1 2 3", "rank"),
        ("1 2!3 4 5", "length"),
        ("1!2", "type"),
        ("-5?3", "length"),
        ("10,`a`b!1 2", "type"),
        ("asc 1", "rank"),
        ("2 -1#til 4", "domain"),
        ("100000000000000000#0", "wsfull"),
        ("1000000000000000000#0", "limit"),
        ("where 1 100000000000000000", "wsfull"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_q_gives_it(text: str, name: str) -> None:
    with pytest.raises(QError) as refused:
        asked(text)
    assert refused.value.name == name


def test_a_dictionary_is_taken_dropped_and_turned_by_its_entries() -> None:
    assert asked("2#`a`b`c!1 2 3") == [("a", 1), ("b", 2)]
    assert asked("`c`a#`a`b`c!1 2 3") == [("c", 3), ("a", 1)]
    assert asked("`a`b _`a`b`c!1 2 3") == [("c", 3)]
    assert asked("(`a`b!1 2)_`a") == [("b", 2)]
    assert asked("reverse `a`b!1 2") == [("b", 2), ("a", 1)]
    assert asked("asc `a`b`c!2 1 3") == [("b", 1), ("a", 2), ("c", 3)]
    assert asked("(`a`b!1 2),`b`c!3 4") == [("a", 1), ("b", 3), ("c", 4)]
    assert asked("group `x`y`z!1 2 1") == [(1, ["x", "z"]), (2, ["y"])]


@given(NUMBERS)
def test_reverse_is_a_slice_backwards(items: list[int]) -> None:
    assert python(reverse(longs(items))) == items[::-1]


@given(NUMBERS, NUMBERS)
def test_join_is_concatenation(left: list[int], right: list[int]) -> None:
    assert python(join(longs(left), longs(right))) == left + right
