"""Delimited text: what `0:` writes and reads, against Python's csv module."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, python
from tickloop.analytics.q.delimited_text import text
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Atom, List, QType, Table, chars, collect, items_of, text_of

CELLS = st.text(alphabet='ab," x', max_size=5)
COMMA = Atom(QType.CHAR, ord(","))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_any_cells_survive_being_written_and_read(rows: list[tuple[str, str]]) -> None:
    session = Session()
    columns = [List(tuple(chars(row[side]) for row in rows)) for side in range(2)]
    lines = text(session, COMMA, Table(("a", "b"), tuple(columns)))
    written = [text_of(line) for line in items_of(lines)]
    assert list(csv.reader(io.StringIO("\n".join(map(str, written))))) == [
        ["a", "b"],
        *map(list, rows),
    ]
    read = text(session, List((chars("**"), collect([COMMA]))), lines)
    assert ["".join(cell) for cell in python(read)["a"]] == [a for a, _ in rows]
    assert ["".join(cell) for cell in python(read)["b"]] == [b for _, b in rows]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('("JSF";",")0:("1,a,2.5";"2,b,")', [[1, 2], ["a", "b"], [2.5, None]]),
        ('("JSF";enlist",")0:("x,y,z";"1,a,2.5")', {"x": [1], "y": ["a"], "z": [2.5]}),
        ('("J S";enlist",")0:("x,y,z";"1,a,b")', {"x": [1], "z": ["b"]}),
        ('("JS";3 2)0:("  1ab";" 22cd")', [[1, 22], ["ab", "cd"]]),
        ('("JF";",")0:"7,1.5"', [7, 1.5]),
        ('"S=;"0:"a=1;b=2"', [["a", "b"], [["1"], ["2"]]]),
        ('type each ("DTP";",")0:enlist"2020.01.02,10:00:00.000,2020.01.02D10"', [14, 19, 12]),
        ('"|" 0: (1 2;`a`b)', [list("1|a"), list("2|b")]),
        ('last csv 0: ([]d:1#2020.01.02;p:1#2020.01.02D10)',
         list("2020-01-02,2020-01-02T10:00:00.000000000")),
        ('last csv 0: ([]a:1#0N;b:1#0n;c:1#`)', [",", ","]),
    ],
)  # fmt: skip
def test_text_is_read_by_types_and_written_by_columns(source: str, expected: Any) -> None:
    assert asked(source) == expected


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('("J";",")0:`:file.csv', "access"),
        ('`:file.csv 0: enlist"a"', "access"),
        ('("Q";",")0:enlist"1"', "type"),
        ("csv 0: ([]a:(1 2;3 4))", "type"),
        ('("J";",")0:1 2', "type"),
        ('("J";enlist",")0:()', "length"),
    ],
)
def test_files_need_a_grant_and_text_a_form(source: str, name: str) -> None:
    with pytest.raises(QError) as refused:
        asked(source)
    assert refused.value.name == name
