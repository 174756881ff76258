"""Documented examples of q, run through the engine.

`python -m tests.q_conformance` writes the page of how many print as documented. An example is an
input and the text that the console prints for it, after its setup lines. Examples that we do not
print so are listed with the reason, in `golden/q_misses.toml` by the example's id.
"""

import json
import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickloop.analytics.q.console_errors import show_error
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session

ROOT = Path(__file__).parents[1]
CONFORMANCE = Path(os.environ.get("TICKLOOP_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
EXAMPLES = CONFORMANCE / "q_examples.jsonl"
TYPES = CONFORMANCE / "q_type_matrix.jsonl"
MISSES = Path(__file__).parent / "golden" / "q_misses.toml"
PAGE = ROOT / "docs" / "q-conformance.md"


@dataclass(frozen=True, slots=True)
class Case:
    """One documented example."""

    id: str
    topic: str
    setup: tuple[str, ...]
    input: str
    expected: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine printed for an example."""

    case: Case
    seen: str

    @property
    def passed(self) -> bool:
        """Tell whether the texts are equal, spaces at the ends of lines and the text apart.

        Some pages show of an error its name alone; then its place is not compared.
        """
        seen, expected = _trimmed(self.seen), _trimmed(self.case.expected)
        if expected.startswith("'") and "\n" not in expected:
            seen = seen.split("\n")[0]
        return seen == expected


def cases() -> list[Case]:
    """Read the examples; each stands once, however many pages show it."""
    found: dict[str, Case] = {}
    for line in EXAMPLES.read_text().splitlines():
        row = json.loads(line)
        found[row["id"]] = Case(
            row["id"], row["topic"], tuple(row["setup"]), row["input"], row["expected_text"]
        )
    return list(found.values())


def answer(case: Case) -> Verdict:
    """Run an example in a fresh session on a console of 25 by 80."""
    session = Session(rows=25, columns=80)
    for line in case.setup:
        printed(session, line)
    return Verdict(case, printed(session, case.input))


def printed(session: Session, line: str) -> str:
    """Give what the console prints for a line: a value, or the error with its place."""
    try:
        return session.show(line)
    except QError as error:
        return show_error(error)


def answers() -> list[Verdict]:
    """Run every example."""
    return [answer(case) for case in cases()]


def known_misses() -> dict[str, str]:
    """Read why an example is not printed as documented, by its id."""
    known: dict[str, str] = tomllib.loads(MISSES.read_text())["examples"]
    return known


def page(verdicts: Sequence[Verdict], reasons: dict[str, str]) -> str:
    """Write the page: the pass rate of every topic, and each miss with its reason."""
    passed = sum(verdict.passed for verdict in verdicts)
    lines = [
        "# q, as documented",
        "",
        "Examples of q's public documentation, typed into a console of 25 by 80. An example",
        "passes if every character is equal, spaces at the ends of lines apart. This page is",
        "written by `python -m tests.q_conformance`; a test keeps it true.",
        "",
        f"**{passed} of {len(verdicts)} pass ({passed / len(verdicts):.1%}).**",
        "",
        "## By topic",
        "",
        "| topic | examples | pass | rate |",
        "|---|---:|---:|---:|",
        *_topics(verdicts),
        "",
        "## Misses",
        "",
        "| topic | input | why |",
        "|---|---|---|",
        *[
            f"| {verdict.case.topic} | {_code(verdict.case.input)} | {reasons[verdict.case.id]} |"
            for verdict in verdicts
            if not verdict.passed
        ],
    ]
    return "\n".join(lines) + "\n"


def _topics(verdicts: Iterable[Verdict]) -> list[str]:
    by_topic: dict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        by_topic[verdict.case.topic].append(verdict.passed)
    return [
        f"| {topic} | {len(passed)} | {sum(passed)} | {sum(passed) / len(passed):.0%} |"
        for topic, passed in sorted(by_topic.items())
    ]


def rate_of_page() -> tuple[int, int]:
    """Read how many examples pass, of how many, from the committed page."""
    found = re.search(r"\*\*(\d+) of (\d+) pass", PAGE.read_text())
    assert found is not None, PAGE
    return int(found[1]), int(found[2])


def _trimmed(text: str) -> str:
    return "\n".join([line.rstrip() for line in text.rstrip().split("\n")])


def _code(text: str) -> str:
    text = text.replace("|", "\\|").replace("\n", " ")
    return f"`` {text[:100]} ``"


def main() -> None:
    """Write the page and print what fails without a reason."""
    verdicts = answers()
    reasons = defaultdict(lambda: "not yet looked into", known_misses())
    PAGE.write_text(page(verdicts, reasons))
    for verdict in verdicts:
        if not verdict.passed and verdict.case.id not in reasons:
            print(verdict.case.id, verdict.case.topic, verdict.case.input, verdict.seen, sep="\n")
    print(f"{sum(verdict.passed for verdict in verdicts)} of {len(verdicts)} pass")


if __name__ == "__main__":
    main()
