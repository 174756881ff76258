"""Documented examples of q print what the documentation prints."""

import pytest

from tests.q_conformance import (
    EXAMPLES,
    PAGE,
    Verdict,
    answers,
    known_misses,
    page,
    rate_of_page,
)

pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(),
    reason=f"documented examples absent: {EXAMPLES}; set TICKLOOP_CONFORMANCE to their folder",
)


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return answers()


def test_no_fewer_examples_pass_than_the_page_says(verdicts: list[Verdict]) -> None:
    passed, count = rate_of_page()
    assert len(verdicts) >= count
    assert sum(verdict.passed for verdict in verdicts) >= passed


def test_every_miss_has_a_reason(verdicts: list[Verdict]) -> None:
    reasons = known_misses()
    unexplained = [
        f"{verdict.case.id} {verdict.case.input!r}: {verdict.seen!r}"
        for verdict in verdicts
        if not verdict.passed and verdict.case.id not in reasons
    ]
    assert unexplained == []


def test_no_reason_outlives_its_miss(verdicts: list[Verdict]) -> None:
    missed = {verdict.case.id for verdict in verdicts if not verdict.passed}
    assert set(known_misses()) - missed == set()


def test_the_page_is_what_the_command_writes(verdicts: list[Verdict]) -> None:
    assert PAGE.read_text() == page(verdicts, known_misses())
