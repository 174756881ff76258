"""Iterators in all their forms, against loops of Python."""

from collections.abc import Callable
from functools import reduce
from itertools import accumulate, pairwise
from operator import add, mul, sub

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.q_lines import refused, typed
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Atom, QType, Value, Vector, items_of, vector

SESSION = Session()
LONGS = st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30)
OPERATORS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "&": min, "|": max}


def evaluated(text: str, **names: list[int]) -> Value:
    """Evaluate text over lists of longs."""
    for name, values in names.items():
        SESSION[name] = vector(QType.LONG, values)
    return SESSION.eval(text)


def numbers(value: Value) -> list[int]:
    """List the longs in a value."""
    if isinstance(value, Atom):
        return [int(value.value)]
    assert isinstance(value, Vector), value
    assert value.type is QType.LONG
    return [int(item) for item in value.data]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("spelled", ["{0}", "{{x{0}y}}"], ids=["operator", "lambda"])
@given(values=LONGS, start=st.integers(-100, 100))
def test_over_and_scan_are_pythons_reduce_and_accumulate(
    operator: str, spelled: str, values: list[int], start: int
) -> None:
    step, f = OPERATORS[operator], spelled.format(operator)
    assert numbers(evaluated(f"{f}/[v]", v=values)) == [reduce(step, values)]
    assert numbers(evaluated(f"({f}\\)v", v=values)) == list(accumulate(values, step))
    assert numbers(evaluated(f"({f}) over v", v=values)) == [reduce(step, values)]
    assert numbers(evaluated(f"{f}/[{start};v]", v=values)) == [reduce(step, values, start)]
    expected = list(accumulate(values, step, initial=start))[1:]
    assert numbers(evaluated(f"{start} {f}\\v", v=values)) == expected


@pytest.mark.parametrize("f", ["*", "{x*y}"])
@given(values=LONGS)
def test_products_wrap_as_longs_do(f: str, values: list[int]) -> None:
    wrapped = (reduce(mul, values) + 2**63) % 2**64 - 2**63
    if all(abs(item) < 2**62 for item in accumulate(values, mul)):
        assert numbers(evaluated(f"{f}/[v]", v=values)) == [wrapped]


@pytest.mark.parametrize("f", ["+", "{x+y}"])
@given(values=LONGS)
def test_a_null_poisons_what_comes_after_it(f: str, values: list[int]) -> None:
    null = -(2**63)
    scanned = numbers(evaluated(f"({f}\\)v", v=[*values, null, 5]))
    assert scanned == [*accumulate(values), null, null]


@pytest.mark.parametrize("f", ["-", "{x-y}"])
@given(values=LONGS)
def test_each_prior_gives_every_step(f: str, values: list[int]) -> None:
    first = values[0] if f == "-" else -(2**63)
    steps = [later - earlier for earlier, later in pairwise(values)]
    assert numbers(evaluated(f"({f}':)v", v=values)) == [first, *steps]
    assert numbers(evaluated(f"7 {f}':v", v=values)) == [values[0] - 7, *steps]


@given(LONGS, LONGS)
def test_each_left_and_right_make_every_pair(left: list[int], right: list[int]) -> None:
    rows = [numbers(row) for row in items_of(evaluated("a-/:\\:b", a=left, b=right))]
    assert rows == [[x - y for y in right] for x in left]
    columns = [numbers(row) for row in items_of(evaluated("a-\\:/:b", a=left, b=right))]
    assert columns == [[x - y for x in left] for y in right]


@given(LONGS)
def test_each_goes_through_a_list_and_pairs_of_lists(values: list[int]) -> None:
    assert numbers(evaluated("{x*2}each v", v=values)) == [item * 2 for item in values]
    assert numbers(evaluated("neg each v", v=values)) == [-item for item in values]
    pairs = evaluated("v{x-2*y}'reverse v", v=values)
    expected = [x - 2 * y for x, y in zip(values, reversed(values), strict=True)]
    assert numbers(pairs) == expected
    assert numbers(evaluated("{x+y*z}'[1;v;2]", v=values)) == [1 + item * 2 for item in values]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3{x*2}/1", "8"),
        ("3{x*2}\\1", "1 2 4 8"),
        ("0{x*2}/1", "1"),
        ("{x<100}{x*2}/1", "128"),
        ("{x<10}{x*2}\\1", "1 2 4 8 16"),
        ("{x div 2}/[100]", "0"),
        ("({x div 2}\\)10", "10 5 2 1 0"),
        ("(neg\\)1", "1 -1"),
        ("(,//)(1;(2;(3;4 5)))", "1 2 3 4 5"),
        ("1 2 0\\[0]", "0 1 2"),
        ("(1 2 0)/[2;0]", "2"),
        ("{x+y+z}/[0;1 2;10 20]", "33"),
        ("{x+y+z}\\[0;1 2;10 20]", "11 33"),
        ("{x+y+z}/[0;1 2;10]", "23"),
        ("+/[()]", "0"),
        ("*/[0#0]", "1"),
        ("{x*y}/[0#0]", "()"),
        ("+/[5]", "5"),
        ("+/[0;()]", "0"),
        ("+/[`a`b!1 2]", "3"),
        ("(+\\)`a`b!1 2", "a| 1\nb| 3"),
        ("+/[(1 2;3 4)]", "4 6"),
        ("+/[([]a:1 2;b:3 4)]", "a| 3\nb| 7"),
        ("(+/)each(1 2;3 4)", "3 7"),
        ("(+/')(1 2;3 4)", "3 7"),
        ("(count'')((1 2;3);(4 5 6;7))", "2 1\n3 1"),
        ("{x}each()", "()"),
        ("count each`a`b!(1 2;3)", "a| 2\nb| 1"),
        ("{x`a}each([]a:1 2)", "1 2"),
        ("0 1 0'[`a`b`c;`x`y`z]", "`a`y`c"),
        ("1 2+'10 20", "11 22"),
        ("1+'10 20", "11 21"),
        ("(`a`b!1 2)+'10 20", "a| 11\nb| 22"),
        ("10 20-\\:1 2", "9  8\n19 18"),
        ("10,/:`a`b!1 2", "a| 10 1\nb| 10 2"),
        ("(,':)1 2 3", ",1\n2 1\n3 2"),
        ("{(x;y)}prior til 2", "0\n1 0"),
        ("1950-':`S`J!1952 1954", "S| 2\nJ| 2"),
        ("{x+1}peach 1 2", "2 3"),
        ("('[neg;+])/[1 2 3]", "0"),
        ("(`a;`b)@/:0 1", "`a`b"),
        ("5(`f;)\\1", "1"),
        ("f:{x+y}/;f[0;1 2 3]", "6"),
        ("total:+/;total[1 2 3]", "6"),
        ('ssr\\["abc";("a";"b");("b";"c")]', '"bbc"\n"ccc"'),
    ],
)
def test_a_form_of_an_iterator_gives_what_is_documented(text: str, shown: str) -> None:
    assert typed(text).split("\n")[: shown.count("\n") + 1] == shown.split("\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1 2+'1 2 3", "length"),
        ("{x+y+z}/[0;1 2;1 2 3]", "length"),
        ("2.5{x}/1", "type"),
        ("{`a}{x}/1", "type"),
        ("5 6'[1 2;3 4]", "type"),
        ("total:+/;2 total 3 4", "type"),
    ],
)
def test_what_does_not_pair_up_is_refused(text: str, name: str) -> None:
    assert refused(text).name == name


def test_a_fold_of_a_long_list_by_an_operator_takes_no_step_for_each_item() -> None:
    session = Session()
    session.show("v:til 5000000")
    taken = session.eval("\\t r:+/[v]")
    assert isinstance(taken, Atom)
    assert int(taken.value) < 500
    assert session.eval("r") == Atom(QType.LONG, 5_000_000 * 4_999_999 // 2)
