"""Codes, groups, find and order of vectors, against dictionaries and sorts of plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.analytics.q.factorize import factorize, first_positions, group
from tickloop.analytics.q.finding import positions_in
from tickloop.analytics.q.kinds import longs, order_keys
from tickloop.analytics.q.order import ascending, descending
from tickloop.analytics.q.values import Attribute, QType, Table, Vector, symbols, vector

pytestmark = pytest.mark.kernel

SMALL = st.lists(st.integers(-5, 5), max_size=60)
WIDE = st.lists(st.sampled_from([-(2**63), -(2**62), -1, 0, 3, 2**40, 2**63 - 1]), max_size=60)
FLOATS = st.lists(st.sampled_from([math.nan, -0.0, 0.0, 1.5, -math.inf, math.inf]), max_size=40)


def codes_by_dict(items: list[object]) -> list[int]:
    known: dict[object, int] = {}
    return [known.setdefault(item, len(known)) for item in items]


@given(st.one_of(SMALL, WIDE))
def test_codes_number_items_as_they_first_appear(items: list[int]) -> None:
    codes = factorize(longs(items))
    assert codes.codes.tolist() == codes_by_dict(list(items))
    assert [items[place] for place in codes.firsts.tolist()] == list(dict.fromkeys(items))


@given(FLOATS)
def test_nan_equals_nan_and_zero_equals_minus_zero(items: list[float]) -> None:
    codes = factorize(vector(QType.FLOAT, items))
    same = [str(item + 0.0) if item == item else "nan" for item in items]
    assert codes.codes.tolist() == codes_by_dict(list(same))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", ""])), max_size=40))
def test_rows_are_coded_by_all_their_columns(rows: list[tuple[int, str]]) -> None:
    table = Table(("n", "s"), (longs([n for n, _ in rows]), symbols(s for _, s in rows)))
    assert factorize(table).codes.tolist() == codes_by_dict(list(rows))


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20))
def test_guids_are_coded_by_all_their_bytes(items: list[bytes]) -> None:
    doubled = items + items[:3]
    column = vector(QType.GUID, np.frombuffer(b"".join(doubled), dtype="|V16"))
    assert factorize(column).codes.tolist() == codes_by_dict(list(doubled))


@given(st.one_of(SMALL, WIDE))
def test_groups_hold_every_position_once_in_order(items: list[int]) -> None:
    groups = group(factorize(longs(items)))
    edges = groups.starts.tolist()
    parts = [groups.order[a:b].tolist() for a, b in itertools.pairwise(edges)]
    expected = [
        [i for i, other in enumerate(items) if other == item] for item in dict.fromkeys(items)
    ]
    assert parts == expected


@given(st.one_of(SMALL, WIDE), st.one_of(SMALL, WIDE))
def test_needles_are_found_where_they_first_stand(items: list[int], wanted: list[int]) -> None:
    found = first_positions(np.array(items, dtype=np.int64), np.array(wanted, dtype=np.int64))
    expected = [items.index(item) if item in items else len(items) for item in wanted]
    assert found.tolist() == expected


@given(st.one_of(SMALL, WIDE), SMALL)
def test_a_sorted_list_is_searched_with_the_same_answers(
    items: list[int], wanted: list[int]
) -> None:
    ordered = sorted(items)
    marked = Vector(QType.LONG, np.array(ordered, dtype=np.int64), Attribute.SORTED)
    assert (
        positions_in(marked, longs(wanted)).tolist()
        == positions_in(longs(ordered), longs(wanted)).tolist()
    )


@given(st.one_of(SMALL, WIDE))
def test_sorting_is_stable_both_ways(items: list[int]) -> None:
    column = longs(items)
    assert ascending(column).tolist() == sorted(range(len(items)), key=lambda i: items[i])
    assert descending(column).tolist() == sorted(range(len(items)), key=lambda i: -items[i])


@given(FLOATS)
def test_a_null_float_sorts_before_minus_infinity(items: list[float]) -> None:
    keys = order_keys(vector(QType.FLOAT, items))
    nulls = [i for i in range(len(items)) if math.isnan(items[i])]
    others = [i for i in range(len(items)) if not math.isnan(items[i])]
    expected = nulls + sorted(others, key=lambda i: items[i])
    assert np.argsort(keys, kind="stable").tolist() == expected


@given(st.lists(st.text(alphabet="abZ_", max_size=3), max_size=30))
def test_symbols_sort_by_their_names(names: list[str]) -> None:
    places = ascending(symbols(names)).tolist()
    assert [names[place] for place in places] == sorted(names)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_rows_sort_by_the_first_column_before_the_second(rows: list[tuple[int, int]]) -> None:
    table = Table(("a", "b"), (longs([a for a, _ in rows]), longs([b for _, b in rows])))
    assert ascending(table).tolist() == sorted(range(len(rows)), key=lambda i: rows[i])


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([3, 2**17, 2**40, 2**63 - 1]))
def test_long_lists_sort_by_digits_with_ties_in_their_order(seed: int, width: int) -> None:
    items = np.random.default_rng(seed).integers(-width, width, 6000)
    items[::7] = items[0]
    assert np.array_equal(ascending(longs(items)), np.argsort(items, kind="stable"))
    upwards = descending(longs(items))
    assert np.array_equal(items[upwards], np.sort(items)[::-1])
    assert all(a < b for a, b in itertools.pairwise(upwards) if items[a] == items[b])
