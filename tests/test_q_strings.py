"""Patterns and strings of q against Python's fnmatch, re and str."""

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, python
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.strings import like, lower, ltrim, rtrim, ss, trim, upper
from tickloop.analytics.q.values import chars, symbols

TEXTS = st.text(alphabet="abx.*?[", max_size=6)
PATTERNS = st.lists(st.sampled_from(["a", "b", ".", "?", "[ab]", "[a-c]", "x"]), max_size=5)


def translated(pattern: str) -> str:
    """Spell a pattern for fnmatch, which differs in how it says 'none of'."""
    return pattern.replace("[^", "[!")


@given(TEXTS, PATTERNS, st.sampled_from(["", "*"]), st.sampled_from(["", "*"]))
def test_like_matches_what_fnmatch_does(text: str, parts: list[str], head: str, tail: str) -> None:
    pattern = head + "".join(parts) + tail
    expected = fnmatch.fnmatchcase(text, translated(pattern))
    assert python(like(chars(text), chars(pattern))) is expected
    assert python(like(symbols([text, "zz"]), chars(pattern))) == [
        expected,
        fnmatch.fnmatchcase("zz", translated(pattern)),
    ]


@given(st.text(alphabet="abc", max_size=12), st.text(alphabet="abc?", min_size=1, max_size=3))
def test_ss_finds_what_a_search_without_overlap_does(text: str, pattern: str) -> None:
    expected = [found.start() for found in re.finditer(pattern.replace("?", "."), text)]
    assert python(ss(chars(text), chars(pattern))) == expected


@given(st.text(alphabet="abc", max_size=12), st.text(alphabet="abc", min_size=1, max_size=2))
def test_ssr_replaces_as_str_does(text: str, wanted: str) -> None:
    assert "".join(asked("ssr[x;y;z]", x=chars(text), y=chars(wanted), z=chars("--"))) == (
        text.replace(wanted, "--")
    )


@given(st.text(alphabet="a B", max_size=8))
def test_blanks_are_trimmed_and_letters_change_their_case(text: str) -> None:
    value = chars(text)
    assert "".join(python(trim(value))) == text.strip()
    assert "".join(python(ltrim(value))) == text.lstrip()
    assert "".join(python(rtrim(value))) == text.rstrip()
    assert "".join(python(upper(value))) == text.upper()
    assert "".join(python(lower(value))) == text.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('`abc`abd`x like "ab[^c]"', [False, True, False]),
        ('("abc";"xyz") like "?b*"', [True, False]),
        ('(`a`b!`quick`fox) like "f*"', [("a", False), ("b", True)]),
        ('"a]c" like "a[]]c"', True),
        ('"a-c" like "a[+-]c"', True),
        ('"a\\\\c" like "a[\\\\]c"', True),
        ('ssr["toronto";"o";{upper x}]', list("tOrOntO")),
        ('ssr["a.b";".";"-"]', list("a-b")),
        ("upper `ab`c", ["AB", "C"]),
        ('trim (" a ";"b ")', [["a"], ["b"]]),
    ],
)
def test_patterns_and_strings(text: str, expected: Any) -> None:
    assert asked(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"abc" ss ""', "length"),
        ('"abc" like "*a*b*"', "nyi"),
        ('1 2 like "a"', "type"),
        ("upper 1 2", "type"),
        ('ssr["abc";"b";1]', "type"),
    ],
)
def test_what_is_no_pattern_or_string_is_refused(text: str, name: str) -> None:
    with pytest.raises(QError) as refused:
        asked(text)
    assert refused.value.name == name
