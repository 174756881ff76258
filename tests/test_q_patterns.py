"""Patterns take values apart: in assignments, in parameters, and in the pattern conditional."""

import pytest

from tests.q_lines import refused, typed

ANSWERS = [
    # Names, lists, constants; the value of a match is what was matched.
    (["(b;c):2 3", "b,c"], "2 3"),
    (["(a;(b;c)):(1;2 3)", "a,b,c"], "1 2 3"),
    (["(a;;b):1 2 3", "a,b"], "1 3"),
    (["(1;a):1 5", "a"], "5"),
    (["a:1 2 3", "(a[1]):4", "a"], "1 4 3"),
    (["(a;b):([]x:1 2;y:3 4)", "b"], "x| 2\ny| 4"),
    # Dictionaries: the keys that are named, whatever else there is.
    (["(1 2!(one;two)):1 2 3!`a`b`c", "one,two"], "`a`b"),
    (["([four:d]):`one`four!1 4", "d"], "4"),
    (["([a;b]):`b`a!1 2", "a,b"], "2 1"),
    (["([one:;four:d]):`one`four!1 4", "d"], "4"),
    (["(a!b):1 2!3 4", "a,b"], "1 2 3 4"),
    (["(a!):1 2!3 4", "a"], "1 2"),
    # Tables, with and without keys.
    (["([]cc:e):([]aa:1 2;cc:5 6)", "e"], "5 6"),
    (["([k1:f]cc:e):([k1:7 8]aa:1 2;cc:5 6)", "f,e"], "7 8 5 6"),
    (["(flip([a;b])):([]a:1 2;b:3 4)", "a,b"], "1 2 3 4"),
    # Types and filters.
    (["((a;b):`F):3 4f", "a+b"], "7f"),
    (["(a:3+):4", "a"], "7"),
    (["a:(b;:1+):1 2", "a"], "1 3"),
    (["(a:neg;b):(1;`x)", "a"], "-1"),
    (["r:([a:x:neg]):`a`b!1 2", "r"], "a| -1\nb| 2"),
    (["r:([]a:x:neg):([]a:1 2;b:3 4)", "r"], "a  b\n----\n-1 3\n-2 4"),
    # Parameters.
    (["{[(a;b);c]a+b+c}[1 2;3]"], "6"),
    (["{[([a;b])]a-b}`a`b!5 2"], "3"),
    (["{[x;]x}[3;4]"], "3"),
    (["{[a:`j;b:`f]a*b}[2;1.5]"], "3f"),
    (['f:{$[x<0;\'"too cold";x]}', "{[x:f]32+1.8*x}20"], "68f"),
    # The pattern conditional takes the first pattern that matches.
    (['a: :[1f;r:`f;"float";r:`i;"int";"other"]', "a"], '"float"'),
    (['a: :[1f;r:`f;"float";r:`i;"int";"other"]', "r"], "1f"),
    (["{:[x;(a;b);a+b;c:`j;neg c;`none]}each(1 2;3;`x)"], "3\n-3\n`none"),
]


@pytest.mark.parametrize(("lines", "shown"), ANSWERS, ids=lambda value: str(value)[:60])
def test_a_pattern_takes_a_value_apart(lines: list[str], shown: str) -> None:
    assert typed(*lines) == shown


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("(1):2", "match"),
        ("(1 2):1 3", "match"),
        ("(b;c;3):2 3 4", "match"),
        ("(b;c):2 3 4", "length"),
        ("(b;c):5", "length"),
        ('(1 2!(one;two)):1 3!"ac"', "match"),
        ("([six:;four:d]):`one`four!1 4", "match"),
        ("([]z:c):([]a:1 2)", "match"),
        ("(:`f):3e", "type"),
        ("((a;b):`F):3 4e", "type"),
        ("(a+b;c):1 2", "assign"),
        ("{[a:`j]a}1.5", "type"),
    ],
)
def test_what_does_not_match_is_refused_by_name(line: str, name: str) -> None:
    assert refused(line).name == name


def test_a_failed_match_changes_no_variable() -> None:
    assert refused("a:0", "(a;b;7):1 2 3").name == "match"
    assert typed("a:0", "@[{(a;b;7)::1 2 3};();`failed]", "a") == "0"


def test_the_place_of_a_mismatch_is_that_of_the_part() -> None:
    assert refused("(b;c;3):2 3 4").position == 5
    assert refused("(1):2").position == 3
