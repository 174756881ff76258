"""The documented tables of result types: one cell, one expression of q text, one type."""

import json
import tomllib
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.q_conformance import MISSES, TYPES
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import TYPE_CHARS, QType, type_of

pytestmark = pytest.mark.skipif(
    not TYPES.exists(),
    reason=f"documented type tables absent: {TYPES}; set TICKLOOP_CONFORMANCE to their folder",
)
ATOMS = {
    "b": "1b", "g": '("G"$"8c680a01-5a49-5aab-5a65-d4bfddb6a661")', "x": "0x02", "h": "2h",
    "i": "2i", "j": "2", "e": "2e", "f": "2f", "c": '"a"', "s": "`a",
    "p": "2000.01.03D00:00:00.000000000", "m": "2000.03m", "d": "2000.01.03",
    "z": "2000.01.03T00:00:00.000", "n": "0D00:02:00.000000000", "u": "00:02", "v": "00:00:02",
    "t": "00:00:02.000",
}  # fmt: skip
# Some pages head a table with another function of the page than the one whose types it gives.
MEANT = {
    ("mmin", "monadic", 0): "mins",
    ("wsum", "monadic", 0): "sum",
    ("wsum", "dyadic", 0): "msum",
}
# Functions of lists, whose tables are headed by the small letters of atoms all the same.
OF_LISTS = {"max", "maxs", "mins", "med", "prds", "sum", "svar"}
WINDOWED = {"mavg", "mdev", "mmax", "mmin", "msum"}


@dataclass(frozen=True, slots=True)
class Row:
    """A table, or a row of a table of two arguments: what each type on the right gives."""

    name: str
    left: str
    number: int
    results: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """Name the row."""
        return f"{self.name} {self.left} {self.number}".replace("  ", " ")


def rows() -> list[Row]:
    """Read the tables' rows."""
    found: list[Row] = []
    seen: Counter[tuple[str, str]] = Counter()
    if not TYPES.exists():
        return found
    for line in TYPES.read_text().splitlines():
        table = json.loads(line)
        key = (table["op"], table["kind"])
        name = MEANT.get((*key, seen[key]), table["op"])
        by_left = table.get("left_x_right") or {"": table["map"]}
        found += [
            Row(name, left, seen[key], tuple(results.items())) for left, results in by_left.items()
        ]
        seen[key] += 1
    return found


def text(letter: str, *, as_list: bool) -> str:
    """Write a value of a type: an atom for a small letter, a list for a capital."""
    atom = ATOMS[letter.lower()]
    return f"(2#{atom})" if letter.isupper() or as_list else atom


def expression(row: Row, right: str) -> str:
    """Write a cell as q text."""
    argument = text(right, as_list=row.name in OF_LISTS | WINDOWED)
    if not row.left:
        return f"{row.name} {argument}"
    return f"{text(row.left, as_list=False)} {row.name} {argument}"


def letter_of(session: Session, source: str) -> str:
    """Give the type letter of what text evaluates to, a dot for an error."""
    try:
        kind = abs(type_of(session.evaluate_text(source)))
    except QError:
        return "."
    return TYPE_CHARS[QType(kind)] if kind in TYPE_CHARS else str(kind)


def known() -> dict[str, str]:
    """Read why cells differ from the tables: the row's name, a space, the types on the right."""
    found: dict[str, str] = tomllib.loads(MISSES.read_text())["types"]
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_every_cell_has_the_documented_type(row: Row) -> None:
    session = Session(rows=25, columns=80)
    wrong = ""
    for right, documented in row.results:
        if letter_of(session, expression(row, right)) != documented.lower():
            wrong += right.lower()
    excused = "".join(
        letters for name, letters in (key.rsplit(" ", 1) for key in known()) if name == row.id
    )
    assert sorted(wrong) == sorted(excused), [expression(row, letter) for letter in wrong]
