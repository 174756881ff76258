"""Attributes of q lists: checked when set, kept only where they stay true."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, python
from tickloop.analytics.q.attributes import attr, set_attribute
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.joining import append
from tickloop.analytics.q.kinds import longs

ITEMS = st.lists(st.integers(0, 4), max_size=8)


def is_true(letter: str, items: list[int]) -> bool:
    if letter == "s":
        return items == sorted(items)
    if letter == "u":
        return len(set(items)) == len(items)
    runs = [key for key, _ in itertools.groupby(items)]
    return letter == "g" or len(runs) == len(set(runs))


@given(st.sampled_from("supg"), ITEMS)
def test_an_attribute_is_set_where_it_is_true_and_refused_elsewhere(
    letter: str, items: list[int]
) -> None:
    if is_true(letter, items):
        assert python(attr(set_attribute(letter, longs(items)))) == letter
        return
    with pytest.raises(QError) as refused:
        set_attribute(letter, longs(items))
    assert refused.value.name == ("s-fail" if letter == "s" else "u-fail")


@given(st.sampled_from("sug"), ITEMS, ITEMS)
def test_an_append_keeps_an_attribute_exactly_where_it_stays_true(
    letter: str, items: list[int], more: list[int]
) -> None:
    items = sorted(set(items))
    grown = append(set_attribute(letter, longs(items)), longs(more))
    assert python(grown) == items + more
    assert python(attr(grown)) == (letter if is_true(letter, items + more) else "")


def test_an_append_always_ends_a_parted_list() -> None:
    assert python(attr(append(set_attribute("p", longs([1, 1, 2])), longs([2])))) == ""


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("asc 3 1 2", "s"),
        ("desc 3 1 2", ""),
        ("2#`s#1 2 3", "s"),
        ("1_`s#1 2 3", "s"),
        ("reverse `s#1 2 3", ""),
        ("(`s#1 2 3)0 1", ""),
        ("1+`g#1 2", ""),
        ("(`b xasc ([]a:1 2;b:2 1))`b", "s"),
        ("(`b xdesc ([]a:1 2;b:2 1))`b", ""),
        ("`#`s#1 2", ""),
    ],
)
def test_results_carry_the_attribute_that_is_known_of_them(text: str, letter: str) -> None:
    assert asked("attr " + text) == letter


def test_a_sorted_table_has_its_first_column_parted() -> None:
    assert asked("exec a from meta asc ([]x:3 1 2;y:1 2 3)") == ["p", ""]
    assert asked("exec a from meta asc ([]x:3 1 2)") == ["s"]


def test_an_attribute_set_in_an_update_stays_with_its_column() -> None:
    text = "t:([]s:`a`b`a;p:1 2 3);update `g#s from `t;"
    assert asked(text + "cols t") == ["s", "p"]
    assert asked(text + "exec a from meta t") == ["g", ""]
    assert asked(text + "`t insert (`c;4);exec a from meta t") == ["g", ""]
