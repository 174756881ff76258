"""Whatever text comes in, a q session answers or refuses with an error of q."""

import random
import string

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.parser import parse
from tickloop.analytics.q.session import Session

PIECES = [
    "1", "2.5", "`a", '"abc"', "x", "y", "f", "t", "+", "-", "*", "%", "#", "_", "?", "!", "@", ".",
    ",", "$", "^", "&", "|", "=", "<", "~", ":", "::", "+:", "'", "/", "\\", "':", "/:", "\\:", "(",
    ")", "[", "]", "{", "}", ";", " ", "\n", "select ", " from ", " where ", " by ", "update ",
    "exec ", "delete ", "each ", " in ", "if[", "do[", "while[", "$[", "0:", "0N", "()", "([]",
    "parse ", "eval ", "value ", "`", "\\d .a", "/ comment", "12:30", "2000.01.01", "0x01", "neg ",
]  # fmt: skip
TEXTS = [
    "select a,b:sum c by d from t where x>1,y in `a`b",
    "f:{[a;b] $[a>b;a;{x+y}[a;b]]}",
    "@[x;1 2;+;10];.[m;(0;1);:;`a]",
    "+/[0;1 2 3];(count')each(1 2;3 4);2 f\\1",
    '([k:1 2]a:`x`y;b:(1;"s"))',
    "a[1;2]+:3;b::a*2;{if[x;:1];2}each 01b",
]


def only_errors_of_q(text: str) -> None:
    """Parse a text; any error but one of q, with a place inside of the text, is a fault."""
    try:
        parse(text)
    except QError as error:
        assert error.name
        assert error.sentence
        assert error.position is None or 0 <= error.position <= len(text)


@given(st.text())
@example("\x00")
@example("é+1")
@example("`\udcff")
def test_any_text_is_parsed_or_refused(text: str) -> None:
    only_errors_of_q(text)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_printable_text_is_parsed_or_refused(text: str) -> None:
    only_errors_of_q(text)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=500)
def test_any_row_of_pieces_of_q_is_parsed_or_refused(pieces: list[str]) -> None:
    only_errors_of_q("".join(pieces))


@pytest.mark.parametrize("text", TEXTS)
def test_a_changed_text_is_parsed_or_refused(text: str) -> None:
    chance = random.Random(20)
    for _ in range(300):
        letters = list(text)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(letters))
            kind = chance.randrange(3)
            if kind == 0:
                del letters[place]
            elif kind == 1:
                letters.insert(place, chance.choice(string.printable))
            else:
                letters[place] = chance.choice(string.printable)
        only_errors_of_q("".join(letters))


@pytest.mark.parametrize(
    "piece", ["(", "[", "{", "((1;", "f[", "1+", "neg ", "$[1;", "{x+{", "`a,"]
)
def test_text_that_nests_without_end_is_refused(piece: str) -> None:
    only_errors_of_q(piece * 5_000)
    with pytest.raises(QError):
        Session().eval(piece * 5_000)


@given(st.lists(st.sampled_from([p for p in PIECES if "while" not in p and "do" not in p]),
                max_size=12))  # fmt: skip
@settings(max_examples=300)
def test_any_row_of_pieces_runs_or_is_refused(pieces: list[str]) -> None:
    session = Session()
    session.show("x:1 2 3;y:`a`b!1 2;f:{x+y};t:([]a:1 2;b:`x`y)")
    try:
        session.show("".join(pieces))
    except QError as error:
        assert error.name
