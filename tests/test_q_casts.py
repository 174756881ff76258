"""The verb `$` in all its meanings, through q text."""

from collections.abc import Callable

import pytest

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.match import matches
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Enumerated, Value

Run = Callable[[str], Value]


@pytest.fixture
def run() -> Run:
    return Session().eval


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("`int$10", "10i"),
        ('"i"$10.6', "11i"),
        ("6h$10", "10i"),
        ('("i";`float;5h)$1 2 3', "(1i;2f;3h)"),
        ("`long$(1.2;3 4h)", "(1;3 4)"),
        ('("*";0h)$\\:5 6', "(5 6;5 6)"),
        ("`float$()", "0#0f"),
        ('"f"$`a`b!1 2', "`a`b!1 2f"),
        ("`date$2010.03.04D12:00 0Np", "2010.03.04 0Nd"),
        ("`month$2010.03.04", "2010.03m"),
        ("`hh`uu`ss$03:55:58.11", "3 55 58i"),
        ("`week$2024.01.17", "2024.01.15"),
        ("`symbol$`a", "`a"),
    ],
)
def test_casts_by_name_letter_and_number(run: Run, text: str, same: str) -> None:
    assert matches(run(text), run(same))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"J"$"42"', "42"),
        ('-6h$"42"', "42i"),
        ('"JF"$("1";"2.5")', "(1;2.5)"),
        ('"BXH"$("42";"42";"42")', "(0b;0x42;42h)"),
        ('`$"abc"', "`abc"),
        ('`$("ab";"cd")', "`ab`cd"),
        ("`$()", "0#`"),
        ('"D"$`a`b!("2000.01.02";"x")', "`a`b!2000.01.02 0Nd"),
        ('"*"$"abc"', '"abc"'),
    ],
)
def test_upper_case_letters_and_negative_shorts_parse_text(run: Run, text: str, same: str) -> None:
    assert matches(run(text), run(same))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('5$"abc"', '"abc  "'),
        ('-5$"abc"', '"  abc"'),
        ('2$"abc"', '"ab"'),
        ('-2$"abc"', '"bc"'),
        ('0$"abc"', '""'),
        ('3$("a";"bc")', '("a  ";"bc ")'),
        ('3$`x`y!("a";"bc")', '`x`y!("a  ";"bc ")'),
    ],
)
def test_a_long_on_the_left_pads_or_cuts(run: Run, text: str, same: str) -> None:
    assert matches(run(text), run(same))


def test_an_enumeration_follows_its_variable(run: Run) -> None:
    run("d:`a`b`c")
    enumerated = run("e:`d$`c`a`c")
    assert isinstance(enumerated, Enumerated)
    assert enumerated.data.tolist() == [2, 0, 2]
    assert matches(run("`int$e"), run("2 0 2i"))
    run("d[2]:`z")
    assert matches(run("value e"), run("`z`a`z"))
    with pytest.raises(QError, match="cast"):
        run("`d$`nowhere")


def test_enumerations_of_one_variable_share_their_domain(run: Run) -> None:
    run("d:`a`b")
    assert matches(run("(`d$`a`b)~`d?`a`b"), run("1b"))
    grown = run("`d?`b`new")
    assert isinstance(grown, Enumerated)
    assert matches(run("d"), run("`a`b`new"))
    assert matches(run("(`d$`a)=`a"), run("1b"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("`int$`a", "type"),
        ("1 2h$1 2 3", "length"),
        ("`nothing$`a", "nothing"),
        ("5$1", "type"),
        ('"q"$1', "type"),
        ("77h$1", "type"),
    ],
)
def test_what_cannot_be_cast_says_so(run: Run, text: str, error: str) -> None:
    with pytest.raises(QError) as caught:
        run(text)
    assert caught.value.name == error
