"""Every documented cell of q's type tables holds for verbs of atoms and of vectors."""

import json
from typing import Any

import numpy as np
import pytest

from tests.q_conformance import TYPES as TABLES
from tickloop.analytics.q import arithmetic, choice, comparison, extremes, logic, maths
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import (
    DTYPES,
    TYPE_CHARS,
    TYPES_BY_CHAR,
    Atom,
    QType,
    Value,
    Vector,
    atom_at,
    symbols,
)

MODULES = (arithmetic, choice, comparison, extremes, logic, maths)  # they register the verbs

DYADS = ("+", "-", "*", "%", "div", "mod", "xbar", "&", "|", "^", "<", ">", "xexp", "xlog")
MONADS = (
    "abs", "all", "any", "ceiling", "cos", "exp", "floor", "log", "neg", "reciprocal",
    "signum", "sin", "sqrt", "tan",
)  # fmt: skip


def tables(verbs: tuple[str, ...], member: str) -> list[tuple[str, dict[str, Any]]]:
    if not TABLES.exists():
        return []
    rows = [json.loads(line) for line in TABLES.read_text().splitlines()]
    return [(row["op"], row[member]) for row in rows if row["op"] in verbs and member in row]


def dyadic_cells() -> list[tuple[str, str, str, str]]:
    return [
        (verb, left, right, expected)
        for verb, cells in tables(DYADS, "left_x_right")
        for left, row in cells.items()
        for right, expected in row.items()
    ]


def monadic_cells() -> list[tuple[str, str, str]]:
    cells: dict[tuple[str, str], set[str]] = {}
    for verb, types in tables(MONADS, "map"):
        for kind, expected in types.items():
            cells.setdefault((verb, kind.lower()), set()).add(expected)
    # Where one page has two tables that disagree, neither is a fact.
    return [(*cell, min(found)) for cell, found in cells.items() if len(found) == 1]


def sample(letter: str) -> Vector:
    kind = TYPES_BY_CHAR[letter]
    if kind is QType.GUID:
        return Vector(kind, np.frombuffer(bytes(range(32)), dtype="V16"))
    if kind is QType.SYMBOL:
        return symbols(["one", "one"])
    return Vector(kind, np.array([1, 1], dtype=DTYPES[kind]))


def letter_of(value: Value) -> str:
    assert isinstance(value, Atom | Vector), value
    return TYPE_CHARS[value.type]


def applied(verb: str, *arguments: Value) -> str:
    try:
        return letter_of(BUILTINS[verb].by_rank[len(arguments)](None, *arguments))
    except QError as error:
        assert error.name == "type", error
        return "."


def test_the_documented_tables_are_all_read() -> None:
    if not TABLES.exists():
        pytest.skip(f"documented type tables absent: {TABLES}; set TICKLOOP_CONFORMANCE")
    assert {verb for verb, _ in tables(DYADS, "left_x_right")} == set(DYADS)
    assert {verb for verb, _ in tables(MONADS, "map")} == set(MONADS)


@pytest.mark.parametrize(("verb", "left", "right", "expected"), dyadic_cells())
def test_a_dyadic_verb_gives_the_documented_type(
    verb: str, left: str, right: str, expected: str
) -> None:
    one, other = sample(left), sample(right)
    assert applied(verb, one, other) == expected
    assert applied(verb, one, atom_at(other, 0)) == expected
    assert applied(verb, atom_at(one, 0), other) == expected
    assert applied(verb, atom_at(one, 0), atom_at(other, 0)) == expected


@pytest.mark.parametrize(("verb", "kind", "expected"), monadic_cells())
def test_a_monadic_verb_gives_the_documented_type(verb: str, kind: str, expected: str) -> None:
    vector = sample(kind)
    assert applied(verb, atom_at(vector, 0)) == expected
    assert applied(verb, vector) == expected
