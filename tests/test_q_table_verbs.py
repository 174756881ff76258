"""Table verbs of q: rows put in, columns moved, groups; against lists of Python rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_python import asked, python
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.inserting import upserted
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.order import ascending
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.sorting import sort_table
from tickloop.analytics.q.table_rows import keyed
from tickloop.analytics.q.values import Table, Value, symbols

ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=12)
Row = tuple[str, int]


def table(rows: list[Row]) -> Table:
    return Table(("k", "v"), (symbols(k for k, _ in rows), longs([v for _, v in rows])))


def rows_of(value: Value) -> list[Row]:
    columns = python(value)
    if "keys" in columns:
        columns = columns["keys"] | columns["values"]
    return list(zip(columns["k"], columns["v"], strict=True))


@given(ROWS, ROWS)
def test_an_upsert_into_a_keyed_table_is_an_update_of_a_dict(
    old: list[Row], new: list[Row]
) -> None:
    before = list(dict(old).items())
    after = upserted(keyed(table(before), 1), table(new))
    assert rows_of(after) == list((dict(before) | dict(new)).items())


@given(ROWS, ROWS)
def test_an_upsert_into_a_plain_table_appends(old: list[Row], new: list[Row]) -> None:
    assert rows_of(upserted(table(old), table(new))) == old + new


@given(ROWS, st.booleans())
def test_tables_sort_by_columns_and_keep_ties(rows: list[Row], downwards: bool) -> None:
    by_value = sort_table(table(rows), ["v"], descending=downwards)
    assert rows_of(by_value) == sorted(rows, key=lambda row: row[1], reverse=downwards)
    by_both = sort_table(table(rows), ["v", "k"], descending=False)
    assert rows_of(by_both) == sorted(rows, key=lambda row: (row[1], row[0]))


@given(ROWS)
def test_a_table_is_graded_by_whole_rows(rows: list[Row]) -> None:
    assert ascending(table(rows)).tolist() == sorted(range(len(rows)), key=lambda i: rows[i])


@given(ROWS.filter(bool))
def test_ungroup_undoes_xgroup_up_to_the_order_of_rows(rows: list[Row]) -> None:
    session = Session()
    session["t"] = table(rows)
    grouped = python(session.eval("`k xgroup t"))
    firsts = list(dict.fromkeys(k for k, _ in rows))
    assert grouped["keys"] == {"k": firsts}
    assert grouped["values"]["v"] == [[v for k, v in rows if k == first] for first in firsts]
    assert sorted(rows_of(session.eval("ungroup `k xgroup t"))) == sorted(rows)


TRADES = "t:([]s:`a`b;p:1 2f;n:3 4);kt:1!t;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cols t", ["s", "p", "n"]),
        ("cols kt", ["s", "p", "n"]),
        ("cols `t", ["s", "p", "n"]),
        ("keys kt", ["s"]),
        ("keys t", []),
        ("cols `x`y xcol t", ["x", "y", "n"]),
        ("cols ((enlist`p)!enlist`price) xcol t", ["s", "price", "n"]),
        ("keys `x xcol kt", ["x"]),
        ("cols `n`s xcols t", ["n", "s", "p"]),
        ("keys `p`s xkey t", ["p", "s"]),
        ("cols `p`s xkey t", ["p", "s", "n"]),
        ("keys 0!kt", []),
        ("exec t from meta t", ["s", "f", "j"]),
        ('exec t from meta ([]a:("ab";"cd");b:(1 2;3 4f);c:2 3)', ["C", " ", "j"]),
        ("t[1]", [("s", "b"), ("p", 2.0), ("n", 4)]),
        ("cols enlist[`p] _ t", ["s", "n"]),
        ("count each (t,t;distinct t,t;t union t;t except 1#t;t inter 1#t)", [4, 2, 2, 1, 1]),
        ("count each (kt except kt;kt inter kt;t except t 0)", [0, 2, 1]),
        ("(0!kt)~t", True),
        ("(flip t)`n", [3, 4]),
        ("(flip `a`b!(1 2;`x))`b", ["x", "x"]),
        ("exec k from (([]k:`a`b) cross ([]v:1 2))", ["a", "a", "b", "b"]),
        ("tables[]", ["kt", "t"]),
    ],
)
def test_columns_keys_and_types(text: str, expected: Any) -> None:
    assert asked(TRADES + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`t insert (`c;5f;6)", [2]),
        ("`t insert (`c`d;5 6f;6 7)", [2, 3]),
        ("`t insert ([]n:9 8;s:`y`z;p:1 2f)", [2, 3]),
        ("`kt insert (`c;5f;6)", [2]),
        ("`t upsert (`c;5f;6);last t`n", 6),
        ("`t upsert ((`c;5f;6);(`d;6f;7));count t", 4),
        ("`kt upsert (`a;9f;9);exec n from kt", [9, 4]),
        ("`kt upsert `s`n!(`a;9);exec p from kt", [None, 2.0]),
        ("`u upsert ([]a:1 2);count u", 2),
        ("u:([]a:();b:());`u insert (1;`x);type each value flip u", [7, 11]),
        ('u:([]a:();b:());`u insert (`x;"abc");last u`b', ["a", "b", "c"]),
        ("exec n from (kt upsert (`a;1f;7))", [7, 4]),
        ("kt,:(`b;0f;0);exec n from kt", [3, 0]),
        ("t,:`n`s`p!(1;`q;0n);last t`s", "q"),
    ],
)
def test_rows_go_in_by_name_and_by_value(text: str, expected: Any) -> None:
    assert asked(TRADES + text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("`t insert (`c;5;6)", "type"),
        ("`t insert (`c;5f)", "length"),
        ("`t insert (`c`d;5 6f;6)", "length"),
        ("`kt insert (`a;5f;6)", "insert"),
        ("`kt insert (`c`c;5 5f;6 6)", "insert"),
        ("t upsert ([]zz:1 2)", "mismatch"),
        ("t insert (`c;5f;6)", "type"),
        ("`zz xkey t", "zz"),
        ("4!t", "length"),
        ("`a`b`c`d xcol t", "length"),
        ("cols 1 2", "type"),
        ("`:file upsert t", "access"),
    ],
)
def test_rows_and_names_that_do_not_fit_are_refused(text: str, name: str) -> None:
    with pytest.raises(QError) as refused:
        asked(TRADES + text)
    assert refused.value.name == name


def test_a_refused_insert_leaves_the_table_as_it_was() -> None:
    session = Session()
    session.eval("t:([]a:1 2;b:`x`y)")
    with pytest.raises(QError):
        session.eval("`t insert (3;4)")
    assert python(session.eval("t")) == {"a": [1, 2], "b": ["x", "y"]}


def test_an_enumerated_column_takes_symbols_of_its_domain_only() -> None:
    made = "sym:`a`b;t:([]s:`sym$`a`b`a;n:1 2 3);"
    assert asked(made + "`t insert (`b;4);t`s") == ["a", "b", "a", "b"]
    assert asked(made + "`t insert (`b;4);type t`s") == 20
    with pytest.raises(QError) as refused:
        asked(made + "`t insert (`zz;4)")
    assert refused.value.name == "cast"


def test_a_foreign_key_is_named_by_meta_and_fkeys() -> None:
    made = "k:([s:`a`b]n:1 2);t:([]s:`k$`b`a`b);"
    assert asked(made + "fkeys t") == [("s", "k")]
    assert asked(made + "exec f from meta t") == ["k"]
    assert asked(made + "type `k!0 1 0") == 20
